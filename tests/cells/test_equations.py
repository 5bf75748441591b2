"""Each cell is a loop over its equations, in NumPy and float64."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells import known_memory
from echo_jax.cells.vector_state import delay_line_mlp, identity_rnn, lru, lstm, minimal_rnns

VECTORS = np.random.default_rng(0).normal(size=(6, 3, 5))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def lstm_step(p, state, x):
    c, h = state
    i, f, g, o = np.split(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (c, h), h


def identity_rnn_step(p, h, x):
    h = np.maximum(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 0)
    return h, h


def min_gru_step(p, h, x):
    z, candidate = np.split(x @ p["kernel"] + p["bias"], 2, axis=-1)
    h = (1 - sigmoid(z)) * h + sigmoid(z) * candidate
    return h, h


def lru_step(rate):
    def step(p, state, x):
        n = len(p["nu"])
        b = p["input_kernel"][:, :n] + 1j * p["input_kernel"][:, n:]
        c = p["output_kernel"][:n] - 1j * p["output_kernel"][n:]
        decay = np.exp(-np.exp(rate * p["nu"]) + 1j * np.exp(rate * p["theta"]))
        s = decay * (state[0] + 1j * state[1]) + np.exp(p["gamma"]) * (x @ b)
        y = np.real(s @ c) + x @ p["skip_kernel"]
        cubic = np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)  # the usual approximation of gelu
        return (s.real, s.imag), y / 2 * (1 + np.tanh(cubic))

    return step


def perceptron_step(p, line, x):
    """On the last inputs side by side, newest first."""
    seen = np.concatenate([x[:, None], line], axis=1)
    kernel = p["kernel"].reshape(seen[0].size, -1)
    return seen[:, :-1], np.maximum(seen.reshape(len(x), -1) @ kernel + p["bias"], 0)


def convolution_step(p, line, x):
    return perceptron_step(p["convolution"], line, x)


def shift_register_step(p, slots, x):
    slots = np.concatenate([x[:, None], slots[:, :-1]], axis=1)
    return slots, slots.reshape(len(x), -1)


def leaky_integrator_step(p, s, x):
    s = 0.7 * s + (x @ [-1, -0.5, 0, 0.5, 1])[:, None]
    return s, s


def memoryless_step(p, state, x):
    return np.zeros_like(state), np.tanh(x @ p["kernel"] + p["bias"])


CELLS = {
    "lstm": (lstm.LSTMCell(4), lstm_step),
    "chrono lstm": (lstm.ChronoLSTMCell(4), lstm_step),
    "identity rnn": (identity_rnn.IdentityRNNCell(4), identity_rnn_step),
    "mingru": (minimal_rnns.MinGRUCell(4), min_gru_step),
    "lru": (lru.LRUCell(4), lru_step(0.1)),
    "lru of 7": (lru.LRUCell(4, 7, 0.5, 1.0, 1.0, recurrent_rate=0.3), lru_step(0.3)),
    "mlp of 1": (delay_line_mlp.DelayLineMLP(4, 1), perceptron_step),
    "mlp of 3": (delay_line_mlp.DelayLineMLP(4, 3), perceptron_step),
    "convolution": (known_memory.CausalConvolution(4, window=3), convolution_step),
    "shift register of 1": (known_memory.ShiftRegister(1), shift_register_step),
    "shift register": (known_memory.ShiftRegister(4), shift_register_step),
    "leaky integrator": (known_memory.LeakyIntegrator(0.7), leaky_integrator_step),
    "memoryless": (known_memory.Memoryless(4), memoryless_step),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_a_loop_over_its_equations(name):
    cell, equations = CELLS[name]

    def initial(key):
        start = cell.initialize_carry(key, (3, 5))
        return cell.init(key, start, jnp.zeros((3, 5))), start

    rng = np.random.default_rng(1)
    shapes = jax.eval_shape(initial, jax.random.key(0))
    weights, carry = jax.tree.map(lambda x: np.float32(rng.normal(0, 0.4, x.shape)), shapes)
    state = carry
    if isinstance(cell, delay_line_mlp.DelayLineMLP):  # its carry is a sum of terms, not its inputs
        carry = jax.tree.map(np.zeros_like, carry)
        state = np.zeros((3, cell.delay_line - 1, 5))
    carry, outputs = jax.jit(
        lambda p, carry, xs: jax.lax.scan(lambda c, x: cell.apply(p, c, x), carry, xs)
    )(weights, carry, np.float32(VECTORS))
    params = jax.tree.map(np.float64, weights.get("params"))
    for x, output in zip(VECTORS, np.asarray(outputs), strict=True):
        state, expected = equations(params, state, x)
        np.testing.assert_allclose(output, expected, atol=5e-6)
    if not isinstance(cell, delay_line_mlp.DelayLineMLP):
        chex.assert_trees_all_close(jax.tree.leaves(carry), jax.tree.leaves(state), atol=5e-6)
