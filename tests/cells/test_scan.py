"""Cells that offer `project` and `unroll`: both together are their steps."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells import delay_line_mlp, lru, lstm, min_gru, scan

TOKENS = np.random.default_rng(0).integers(0, 5, (6, 3))
VECTORS = jax.nn.one_hot(TOKENS, 5)
MASK = jnp.asarray(np.random.default_rng(1).random((6, 3)) > 0.3)
CELLS = {
    "lstm": lstm.LSTMCell(4),
    "lstm-chrono": lstm.ChronoLSTMCell(4),
    "mlp": delay_line_mlp.DelayLineMLP(4, 3),
    "mingru": min_gru.MinGRUCell(4),
    "lru": lru.LRUCell(4),
    "lru of 7": lru.LRUCell(4, 7, r_min=0.5, r_max=1.0, max_phase=1.0, recurrent_rate=0.3),
}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


def started(cell):
    """Variables and a carry without zeros."""
    zero = cell.initialize_carry(jax.random.key(0), (3, 5))
    variables = jax.jit(cell.init)(jax.random.key(1), zero, jnp.zeros((3, 5)))
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: leaf + jnp.asarray(rng.normal(0, 0.1, leaf.shape), jnp.float32),
        (variables, zero),
    )


def hoisted(cell, variables, carry, inputs, mask=None):
    projected = cell.apply(variables, jnp.asarray(inputs), method="project")
    return cell.apply(variables, carry, projected, mask, method="unroll")


@every_cell
def test_all_steps_at_once_are_the_steps_one_by_one_of_tokens_and_of_vectors(cell):
    assert isinstance(cell, scan.HoistedCell)
    variables, start = started(cell)
    step = jax.jit(lambda carry, x: cell.apply(variables, carry, x))
    carry, outputs = start, []
    for x in VECTORS:
        carry, output = step(carry, x)
        outputs.append(output)
    for inputs in (VECTORS, TOKENS):
        found = hoisted(cell, variables, start, inputs)
        chex.assert_trees_all_close(found, (carry, jnp.stack(outputs)), atol=1e-6)


@every_cell
def test_a_masked_step_holds_the_carry_bit_for_bit(cell):
    variables, start = started(cell)
    carry, outputs = hoisted(cell, variables, start, TOKENS, MASK)
    for row in range(3):
        seen = MASK[:, row]
        one = jax.tree.map(lambda leaf, row=row: leaf[row : row + 1], (start, carry))
        alone = hoisted(cell, variables, one[0], TOKENS[seen, row : row + 1])
        expected = one[1], outputs[seen, row : row + 1]
        chex.assert_trees_all_close(alone, expected, atol=1e-6)
    nothing_seen = hoisted(cell, variables, start, TOKENS, jnp.zeros_like(MASK))[0]
    chex.assert_trees_all_equal(nothing_seen, start)


@pytest.mark.slow
@every_cell
def test_the_first_input_has_a_gradient_and_every_weight_a_finite_one(cell):
    variables, start = started(cell)

    def sum_of_squares(variables, vectors):
        return jnp.sum(hoisted(cell, variables, start, vectors)[1] ** 2)

    weights, inputs = jax.jit(jax.grad(sum_of_squares, argnums=(0, 1)))(variables, VECTORS)
    chex.assert_tree_all_finite(weights)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(weights))
    assert jnp.all(jnp.any(inputs != 0, axis=-1))
