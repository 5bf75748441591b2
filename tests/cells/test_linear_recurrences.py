import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells import lru, min_gru
from echo_jax.cells.scan import HoistedCell

TOKENS = np.random.default_rng(0).integers(0, 5, (6, 3))
CELLS = {
    "mingru": min_gru.MinGRUCell(4),
    "lru": lru.LRUCell(4),
    "lru of 7": lru.LRUCell(4, 7, r_min=0.5, r_max=1.0, max_phase=1.0, recurrent_rate=0.3),
}
every_cell = pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)


def started(cell, seed=0):
    """Variables no one of which is its initial zero, and a carry that is not zero."""
    zero = cell.initialize_carry(jax.random.key(0), (3, 5))
    variables = jax.jit(cell.init)(jax.random.key(1), zero, jnp.zeros((3, 5)))
    rng = np.random.default_rng(seed)

    def moved(leaf):
        return leaf + jnp.asarray(rng.normal(0, 0.1, leaf.shape), jnp.float32)

    return jax.tree.map(moved, variables), jax.tree.map(moved, zero)


def in_float64(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


@functools.partial(jax.jit, static_argnums=0)
def hoisted(cell, variables, carry, inputs):
    projected = cell.apply(variables, inputs, method="project")
    return cell.apply(variables, carry, projected, None, method="unroll")


def test_the_minimal_gru_is_a_loop_over_its_equations():
    cell = CELLS["mingru"]
    variables, carry = started(cell)
    params, h = in_float64((variables["params"], carry))
    found_carry, found = hoisted(cell, variables, carry, jnp.asarray(TOKENS))
    for t, tokens in enumerate(TOKENS):
        for row, token in enumerate(tokens):
            z = 1 / (1 + np.exp(-(params["kernel"][token, :4] + params["bias"][:4])))
            candidate = params["kernel"][token, 4:] + params["bias"][4:]
            h[row] = (1 - z) * h[row] + z * candidate
        np.testing.assert_allclose(found[t], h, atol=1e-6)
    np.testing.assert_allclose(found_carry, h, atol=1e-6)


@pytest.mark.parametrize("name", ["lru", "lru of 7"])
def test_the_linear_recurrent_unit_is_a_loop_over_its_equations_in_complex_numbers(name):
    cell = CELLS[name]
    variables, carry = started(cell)
    params, start = in_float64((variables["params"], carry))
    n = len(params["nu"])
    b = params["input_kernel"][:, :n] + 1j * params["input_kernel"][:, n:]
    c = params["output_kernel"][:n] - 1j * params["output_kernel"][n:]
    nu, theta = (cell.recurrent_rate * params[name] for name in ("nu", "theta"))
    decay = np.exp(-np.exp(nu) + 1j * np.exp(theta))
    s = start.real + 1j * start.imaginary
    found_carry, found = hoisted(cell, variables, carry, jnp.asarray(TOKENS))
    for t, tokens in enumerate(TOKENS):
        s = decay * s + np.exp(params["gamma"]) * b[tokens]
        y = np.real(s @ c) + params["skip_kernel"][tokens]
        cubic = np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)  # the usual approximation of gelu
        np.testing.assert_allclose(found[t], y / 2 * (1 + np.tanh(cubic)), atol=2e-6)
    np.testing.assert_allclose(found_carry.real, s.real, atol=2e-6)
    np.testing.assert_allclose(found_carry.imaginary, s.imag, atol=2e-6)


@every_cell
def test_all_steps_at_once_are_the_steps_one_by_one_of_tokens_and_of_vectors(cell):
    assert isinstance(cell, HoistedCell)
    variables, start = started(cell)
    vectors, carry, outputs = jax.nn.one_hot(TOKENS, 5), start, []
    for x in vectors:
        carry, output = cell.apply(variables, carry, x)
        outputs.append(output)
    expected = carry, jnp.stack(outputs)
    chex.assert_trees_all_close(hoisted(cell, variables, start, vectors), expected, atol=1e-6)
    by_gather = hoisted(cell, variables, start, jnp.asarray(TOKENS))
    chex.assert_trees_all_close(by_gather, expected, atol=1e-6)


@pytest.mark.slow
@every_cell
def test_the_first_input_has_a_gradient_and_every_weight_a_finite_one(cell):
    variables, start = started(cell)

    def last_output(variables, vectors):
        return jnp.sum(hoisted(cell, variables, start, vectors)[1][-1] ** 2)

    gradient = jax.jit(jax.grad(last_output, argnums=(0, 1)))
    weights, inputs = gradient(variables, jax.nn.one_hot(TOKENS, 5))
    chex.assert_tree_all_finite(weights)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(weights))
    assert jnp.all(jnp.any(inputs != 0, axis=-1))


@pytest.mark.parametrize(
    ("r_min", "r_max", "max_phase"), [(0.0, 1.0, 6.28), (0.9, 0.999, 6.28), (0.999, 1.0, 0.3)]
)
def test_the_linear_recurrent_unit_starts_on_its_ring_and_keeps_the_variance_of_noise(
    r_min, r_max, max_phase
):
    cell = lru.LRUCell(2, 4000, r_min, r_max, max_phase)
    carry = cell.initialize_carry(jax.random.key(0), (1, 3))
    params = jax.jit(cell.init)(jax.random.key(1), carry, jnp.zeros((1, 3)))["params"]
    chex.assert_tree_all_finite(params)
    params = in_float64(params)
    nu, theta = (cell.recurrent_rate * params[name] for name in ("nu", "theta"))
    radius, phase = np.exp(-np.exp(nu)), np.exp(theta)
    assert r_min < radius.min()
    assert radius.max() < r_max
    share = (radius**2 - r_min**2) / (r_max**2 - r_min**2)  # uniform over the area of the ring
    for uniform in (share, phase / max_phase):
        np.testing.assert_allclose(
            np.quantile(uniform, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.03
        )
    # The variance of sum_j lambda^j gamma w_j for white noise w: gamma^2 / (1 - |lambda|^2).
    np.testing.assert_allclose(np.exp(2 * params["gamma"]) / (1 - radius**2), 1, rtol=1e-2)
