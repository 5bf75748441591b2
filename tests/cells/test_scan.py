"""Cells that offer `project` and `unroll`: both together are their steps."""

import contextlib

import chex
import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from echo_jax.cells import scan
from echo_jax.cells.adapters.adapt import adapt
from echo_jax.cells.matrix_state import mamba2
from echo_jax.cells.vector_state import delay_line_mlp, lru, lstm, minimal_rnns

TOKENS = np.random.default_rng(0).integers(0, 5, (6, 3))
VECTORS = np.eye(5, dtype=np.float32)[TOKENS]
MASK = np.asarray(np.random.default_rng(1).random((6, 3)) > 0.3)
CELLS = {
    "lstm": lstm.LSTMCell(4),
    "lstm-chrono": lstm.ChronoLSTMCell(4),
    "mlp": delay_line_mlp.DelayLineMLP(4, 3),
    "mingru": minimal_rnns.MinGRUCell(4),
    "lru": lru.LRUCell(4),
    "lru of 7": lru.LRUCell(4, 7, r_min=0.5, r_max=1.0, max_phase=1.0, recurrent_rate=0.3),
}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


def started(cell):
    """Variables and a carry, every number different."""

    def initial(key):
        zero = cell.initialize_carry(key, (3, 5))
        return cell.init(key, zero, jnp.zeros((3, 5))), zero

    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: jax.device_put(rng.normal(0, 0.5, leaf.shape).astype(leaf.dtype)),
        jax.eval_shape(initial, jax.random.key(0)),
    )


def all_steps(cell, variables, carry, inputs, mask=None):
    return cell.apply(variables, carry, jnp.asarray(inputs), mask, method="scan")


@every_cell
def test_all_steps_at_once_are_the_steps_one_by_one_and_a_masked_one_holds_the_carry(cell):
    assert adapt(cell).has_scan
    variables, start = started(cell)
    at_once = jax.jit(lambda *arguments: all_steps(cell, variables, *arguments))
    step = jax.jit(lambda carry, x: cell.apply(variables, carry, x))
    for mask in (np.ones_like(MASK), MASK):
        carry, outputs = start, []
        for x, seen in zip(VECTORS, mask, strict=True):
            new, output = step(carry, x)
            carry = jax.tree.map(
                lambda a, b, seen=seen: np.where(seen.reshape(3, *[1] * (a.ndim - 1)), a, b),
                new, carry,
            )  # fmt: skip
            outputs.append(np.asarray(output))
        found = at_once(start, TOKENS, mask)
        chex.assert_trees_all_close(found[0], carry, atol=1e-6)
        shown = np.asarray(found[1])[mask], np.stack(outputs)[mask]
        np.testing.assert_allclose(*shown, atol=1e-6)
    nothing_seen = at_once(start, TOKENS, np.zeros_like(MASK))[0]
    chex.assert_trees_all_equal(nothing_seen, start)
    unmasked = at_once(start, TOKENS, np.ones_like(MASK))
    chex.assert_trees_all_close(at_once(start, VECTORS), unmasked, atol=1e-6)


@pytest.mark.parametrize("name", ["mingru", "lru of 7"])
def test_a_recurrence_in_parallel_is_that_step_by_step(name):
    variables, start = started(CELLS[name])

    def run(mask):
        return all_steps(CELLS[name], variables, start, TOKENS, mask)

    sequential = jax.jit(lambda: (run(None), run(MASK)))()
    with scan.recurrences("parallel"):
        parallel = jax.jit(lambda: (run(None), run(MASK)))()
    assert not scan.in_parallel()
    chex.assert_trees_all_close(parallel[0], sequential[0], atol=1e-5)
    chex.assert_trees_all_close(parallel[1][0], sequential[1][0], atol=1e-5)
    outputs = (np.asarray(found[1][1])[MASK] for found in (parallel, sequential))
    chex.assert_trees_all_close(*outputs, atol=1e-5)


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradients_of_the_lstm_are_finite_differences(masked):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        shapes = [(3, 12), (2, 3), (2, 3), (5, 2, 12)]
        recurrent_kernel, c, h, projected = (jnp.asarray(rng.normal(size=x)) for x in shapes)
        mask = jnp.asarray(rng.normal(size=(5, 2)) > 0) if masked else None

        @jax.jit
        def carry_and_seen_outputs(*arguments):
            carry, outputs = lstm.lstm_unroll(*arguments, mask)
            return carry, outputs if mask is None else jnp.where(mask[..., None], outputs, 0.0)

        arguments = (recurrent_kernel, lstm.LSTMCarry(c, h), projected)
        jax.test_util.check_grads(
            carry_and_seen_outputs, arguments, order=1, modes=["rev"], eps=1e-6
        )


@pytest.mark.slow
@every_cell
def test_the_first_input_has_a_gradient_and_every_weight_a_finite_one(cell):
    variables, start = started(cell)

    def sum_of_squares(variables, vectors):
        return jnp.sum(all_steps(cell, variables, start, vectors)[1] ** 2)

    weights, inputs = jax.jit(jax.grad(sum_of_squares, argnums=(0, 1)))(variables, VECTORS)
    chex.assert_tree_all_finite(weights)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(weights))
    assert jnp.all(jnp.any(inputs != 0, axis=-1))


@pytest.mark.parametrize(("sizes", "at_once"), [((10, 10), False), ((50, 50), True)])
def test_a_large_matrix_goes_in_chunks_on_a_cpu_too(sizes, at_once):
    cell = mamba2.Mamba2Cell(4, *sizes)
    assert cell.parallel_on_cpu == at_once
    params = jax.eval_shape(lambda key: cell.init(key, 5), jax.random.key(0))
    start = jax.ShapeDtypeStruct((3, *sizes), jnp.float32)
    inputs = jax.ShapeDtypeStruct((6, 3, 5), jnp.float32)

    def program(form):
        def run(*arguments):  # another function each time, as jax keeps what it has traced
            return cell.scan(*arguments)

        with scan.recurrences(form) if form else contextlib.nullcontext():
            return str(jax.make_jaxpr(run)(params, start, inputs))

    assert program(None) == program("parallel" if at_once else "sequential")
    assert program("parallel") != program("sequential")
