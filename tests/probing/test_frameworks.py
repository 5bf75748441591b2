"""Equal weights in JAX, Flax NNX and PyTorch have equal bits, by one call."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import echo_jax
from echo_jax.cells.vector_state.lstm import LSTMCarry, lstm_step

UNITS, VALUES = 12, 4


@pytest.fixture(scope="module")
def weights():
    """Kernel `[V, 4H]`, recurrent kernel `[H, 4H]` and bias `[4H]`, gates i, f, g, o."""
    random = np.random.default_rng(0)
    shapes = (VALUES, 4 * UNITS), (UNITS, 4 * UNITS), (4 * UNITS,)
    return [random.normal(scale=0.8, size=shape).astype(np.float32) for shape in shapes]


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(1).integers(VALUES, size=(80, 24))


def ours(weights, x):
    kernel, recurrent, bias = map(jnp.asarray, weights)
    zero = jnp.zeros((len(x), UNITS))

    def step(carry, x):
        carry, _ = lstm_step(recurrent, carry, x @ kernel + bias)
        return carry, jnp.concatenate([carry.cell, carry.hidden], axis=-1)

    return jax.lax.scan(step, LSTMCarry(zero, zero), x.swapaxes(0, 1))[1].swapaxes(0, 1)


def of_nnx(weights, x):
    kernel, recurrent, bias = weights
    cell = nnx.OptimizedLSTMCell(VALUES, UNITS, rngs=nnx.Rngs(0))
    cell.dense_i.kernel[...] = kernel
    cell.dense_h.kernel[...] = recurrent
    cell.dense_h.bias[...] = bias
    carry = cell.initialize_carry(x[:, 0].shape, nnx.Rngs(0))
    states = []
    for t in range(x.shape[1]):
        carry, _ = cell(carry, x[:, t])
        states.append(jnp.concatenate(carry, axis=-1))
    return jnp.stack(states, axis=1)


def of_torch(weights, x):
    torch = pytest.importorskip("torch")
    kernel, recurrent, bias = map(torch.tensor, weights)
    cell = torch.nn.LSTMCell(VALUES, UNITS)
    names = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias_ih": bias, "bias_hh": 0 * bias}
    cell.load_state_dict(names)
    state, states = None, []
    for step in torch.tensor(x).unbind(1):
        state = cell(step, state)
        states.append(torch.cat(state[::-1], dim=-1))  # c, h
    return torch.stack(states, dim=1)


@pytest.mark.parametrize("other", [of_nnx, of_torch])
def test_equal_weights_have_equal_bits(weights, tokens, other):
    x = np.eye(VALUES, dtype=np.float32)[tokens]
    expected = echo_jax.probe(ours(weights, x), tokens, 4)
    found = echo_jax.probe(other(weights, x), tokens, 4)
    assert expected.total > 2
    assert found.total == pytest.approx(expected.total, rel=0.01)
