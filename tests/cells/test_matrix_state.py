"""Cells whose state is a matrix, and sLSTM, in chunks and where their numbers are extreme."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_equations import slstm_gates
from cell_reference import sigmoid

from echo_jax.cells.matrix_state.delta_net import DeltaNetCell, DeltaTerms
from echo_jax.cells.matrix_state.gated_linear_attention import GLACell
from echo_jax.cells.matrix_state.key_value_cell import OuterProductCell, OuterProductTerms
from echo_jax.cells.matrix_state.xlstm import SLSTMCell, SLSTMParams


def test_decays_whose_product_is_lost_to_rounding_give_finite_gradients_in_chunks():
    rng = np.random.default_rng(0)

    def total(log_alpha):
        q, k, v = (jnp.float32(rng.normal(size=(9, 1, 2))) for _ in range(3))
        terms = DeltaTerms(q, k, v, jnp.full((9, 1, 1), 0.5), log_alpha)
        return DeltaNetCell(2).parallel(None, jnp.ones((1, 2, 2)), terms, None)[1].sum()

    gradient = jax.jit(jax.grad(total))(np.full((9, 1, 1), -60.0))
    assert np.isfinite(gradient).all()


T, B, K, V = 7, 2, 3, 4
MASK = np.random.default_rng(1).random((T, B)) > 0.3
FORMS = ((None, 3), (MASK, 3), (None, 2 * T))
"""Masks, and sizes of a chunk."""


def loop(state, terms, mask):
    """The last S and all o, by the equations in float64."""
    outputs = []
    for log_a, k, v, q, seen in zip(*terms, mask, strict=True):
        new = np.exp(log_a)[..., None] * state + k[..., None] * v[:, None]
        state = np.where(seen[:, None, None], new, state)
        outputs.append(np.einsum("bkv,bk->bv", state, q))
    return state, np.stack(outputs)


@pytest.mark.parametrize(("steps", "rows"), [(17, 16), (5, 256)])
def test_chunks_from_a_state_that_is_a_constant_in_the_program_are_the_steps(steps, rows):
    """XLA of jax 0.10.2 computes the sum of two products wrong there, on a CPU."""
    cell = GLACell(45)
    assert cell.parallel_on_cpu
    params = cell.init(jax.random.key(0), 16)
    tokens = jax.random.randint(jax.random.key(1), (steps, rows), 0, 16)

    def first():
        return cell.initial_state(params, rows, 16)

    def by_steps(inputs):
        return jax.lax.scan(lambda s, x: cell.step(params, s, x), first(), inputs)

    expected = jax.jit(by_steps)(jax.nn.one_hot(tokens, 16))
    found = jax.jit(lambda tokens: cell.scan(params, first(), tokens))(tokens)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def chunkwise(state, terms, mask, size):
    cell = type("Chunks", (OuterProductCell,), {"chunk": size})(K)
    return cell.parallel(None, state, SimpleNamespace(outer=terms), mask)


@pytest.mark.parametrize("decays", [1, K])
def test_chunks_of_any_size_are_the_steps_also_where_all_is_forgotten(decays):
    rng = np.random.default_rng(0)
    state = rng.normal(size=(B, K, V))
    log_a = -rng.exponential(size=(T, B, decays))
    log_a[4] = -500  # c is 0 in float32 from here to the end of the chunk
    k, v, q = (rng.normal(size=(T, B, n)) for n in (K, V, K))
    terms = OuterProductTerms(log_a, k, v, q)

    @jax.jit
    def run(state, terms):
        return [chunkwise(state, terms, *form) for form in FORMS]

    @jax.jit
    @jax.grad
    def slope(terms):
        return jnp.sum(chunkwise(jnp.ones((B, K, V)), terms, None, T)[1])

    inputs = jax.tree.map(np.float32, (state, terms))
    for (mask, _), (last, o) in zip(FORMS, run(*inputs), strict=True):
        seen = np.ones_like(MASK) if mask is None else mask
        expected_last, expected = loop(state, terms, seen)
        np.testing.assert_allclose(last, expected_last, atol=1e-5)
        np.testing.assert_allclose(np.asarray(o)[seen], expected[seen], atol=1e-5)
    assert all(np.isfinite(leaf).all() for leaf in slope(inputs[1]))


def slstm_mean(p, xs):
    """The outputs by their definition: means of all past tanh(z~), weighted by logarithms."""
    h, weights, values, outputs = np.zeros((xs.shape[1], p.R.shape[1])), [], [], []
    for x in xs:
        i, f, z, o = slstm_gates(p, h, x)
        weights = [weight + np.log(sigmoid(f)) for weight in weights] + [i]
        values.append(np.tanh(z))
        shares = np.exp(np.array(weights) - np.max(weights, axis=0))
        h = sigmoid(o) * np.sum(shares * values, axis=0) / np.sum(shares, axis=0)
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("input_bias", [-200, -60, -15, 200])
def test_slstm_is_a_mean_of_its_inputs_however_low_or_high_their_gates_are(input_bias):
    cell, rng = SLSTMCell(4), np.random.default_rng(0)
    xs = rng.normal(size=(6, 2, 3)).astype(np.float32)
    bias = np.repeat(np.float32([input_bias, 1, 0, 0]), 4)
    params = SLSTMParams(*(rng.normal(size=s).astype("f") for s in [(3, 16), (1, 4, 16)]), bias)

    @jax.jit
    def outputs(params, xs):
        return cell.scan(params, cell.initial_state(params, 2, 3), xs)[1]

    params64 = SLSTMParams(*(leaf.astype(np.float64) for leaf in params))
    found = outputs(params, xs)
    np.testing.assert_allclose(found, slstm_mean(params64, xs.astype(np.float64)), atol=3e-5)
    gradient = jax.jit(jax.grad(lambda params: jnp.sum(outputs(params, xs))))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_slstm_starts_with_forget_gates_from_open_to_shut_and_without_recurrence():
    params = jax.jit(SLSTMCell(400, heads=2).init, static_argnums=1)(jax.random.key(0), 10)
    b = np.asarray(params.b).reshape(4, 2, 200)
    assert not np.any(params.R)
    assert not np.any(b[[0, 2, 3]])
    np.testing.assert_array_equal(b[1, 0], b[1, 1])
    np.testing.assert_allclose(b[1, 0, [0, 1, -1]], [5, 5 - 12 * (1 / 199) ** 0.3, -7], rtol=1e-5)
    assert float(np.std(params.W)) == pytest.approx((2 / 50) ** 0.5, rel=0.02)
