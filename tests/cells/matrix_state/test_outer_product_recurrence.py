from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.matrix_state.gated_linear_attention import GLACell
from echo_jax.cells.matrix_state.key_value_cell import OuterProductCell, OuterProductTerms

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
