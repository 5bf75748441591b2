import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.lru import LRUCarry, LRUCell

TOKENS = np.random.default_rng(0).integers(0, 5, (6, 3))


def initial(cell, vocab_size):
    carry = cell.initialize_carry(jax.random.key(0), (3, vocab_size))
    return jax.jit(cell.init)(jax.random.key(1), carry, jnp.zeros((3, vocab_size)))["params"]


def in_float64(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), tree)


@pytest.mark.parametrize(
    "cell",
    [LRUCell(4), LRUCell(4, 7, r_min=0.5, r_max=1.0, max_phase=1.0, recurrent_rate=0.3)],
    ids=["of 4", "of 7"],
)
def test_it_is_a_loop_over_its_equations_in_complex_numbers(cell):
    params = initial(cell, 5)
    rng = np.random.default_rng(0)
    start = LRUCarry(*jnp.asarray(rng.normal(size=(2, 3, cell.states)), jnp.float32))
    found_carry, found = jax.lax.scan(
        lambda s, x: cell.apply({"params": params}, s, x), start, jax.nn.one_hot(TOKENS, 5)
    )
    params, start = in_float64((params, start))
    n = cell.states
    b = params["input_kernel"][:, :n] + 1j * params["input_kernel"][:, n:]
    c = params["output_kernel"][:n] - 1j * params["output_kernel"][n:]
    nu, theta = (cell.recurrent_rate * params[name] for name in ("nu", "theta"))
    decay = np.exp(-np.exp(nu) + 1j * np.exp(theta))
    s = start.real + 1j * start.imaginary
    for t, tokens in enumerate(TOKENS):
        s = decay * s + np.exp(params["gamma"]) * b[tokens]
        y = np.real(s @ c) + params["skip_kernel"][tokens]
        cubic = np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)  # the usual approximation of gelu
        np.testing.assert_allclose(found[t], y / 2 * (1 + np.tanh(cubic)), atol=3e-6)
    np.testing.assert_allclose(found_carry.real, s.real, atol=3e-6)
    np.testing.assert_allclose(found_carry.imaginary, s.imag, atol=3e-6)


@pytest.mark.parametrize(
    ("r_min", "r_max", "max_phase"), [(0.0, 1.0, 6.28), (0.9, 0.999, 6.28), (0.999, 1.0, 0.3)]
)
def test_it_starts_on_its_ring_and_keeps_the_variance_of_noise(r_min, r_max, max_phase):
    cell = LRUCell(2, 4000, r_min, r_max, max_phase)
    params = initial(cell, 3)
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
