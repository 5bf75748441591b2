import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.delay_line_mlp import DelayLineMLP

TOKENS = np.random.default_rng(5).integers(0, 6, (7, 2))


def started(delay_line):
    """A cell, its variables with a bias that is not zero, and its first carry."""
    cell = DelayLineMLP(4, delay_line)
    carry = cell.initialize_carry(jax.random.key(0), (2, 6))
    params = cell.init(jax.random.key(1), carry, jnp.zeros((2, 6)))["params"]
    return cell, {"params": params | {"bias": jnp.arange(4) / 4 - 0.3}}, carry


def outputs_of(cell, variables, carry, tokens):
    step = jax.jit(lambda carry, x: cell.apply(variables, carry, x))
    return np.asarray(jax.lax.scan(step, carry, jax.nn.one_hot(tokens, 6))[1])


@pytest.mark.parametrize("delay_line", [1, 3])
def test_it_is_a_perceptron_on_its_last_inputs_side_by_side(delay_line):
    cell, variables, carry = started(delay_line)
    kernel, bias = (np.asarray(variables["params"][x], np.float64) for x in ("kernel", "bias"))
    chex.assert_shape(kernel, (delay_line, 6, 4))
    one_hot = np.concatenate([np.zeros((delay_line - 1, 2, 6)), np.eye(6)[TOKENS]])
    found = outputs_of(cell, variables, carry, TOKENS)
    for t in range(len(TOKENS)):
        newest_first = [one_hot[t + delay_line - 1 - d] for d in range(delay_line)]
        expected = np.maximum(np.concatenate(newest_first, 1) @ kernel.reshape(-1, 4) + bias, 0)
        np.testing.assert_allclose(found[t], expected, atol=1e-6)


def test_it_sees_nothing_older_than_its_line():
    changed = TOKENS.copy()
    changed[1] = (changed[1] + 1) % 6
    before, after = (outputs_of(*started(3), tokens) for tokens in (TOKENS, changed))
    differs = np.any(before != after, axis=(1, 2))
    np.testing.assert_array_equal(differs, [False, True, True, True, False, False, False])


def test_it_starts_as_one_glorot_matrix_over_all_of_its_inputs():
    cell = DelayLineMLP(50, 5)
    carry = cell.initialize_carry(jax.random.key(0), (2, 100))
    params = cell.init(jax.random.key(1), carry, jnp.zeros((2, 100)))["params"]
    limit = np.sqrt(6 / (5 * 100 + 50))
    assert 0.99 * limit < jnp.max(jnp.abs(params["kernel"])) <= limit
    assert not jnp.any(params["bias"])
