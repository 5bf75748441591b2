import cell_reference
import jax
import numpy as np
import pytest
from cell_reference import silu

from echo_jax.cells.matrix_state.mamba2 import Mamba2Cell

CELL = Mamba2Cell(4, key_size=2, value_size=3)


def mamba2_step(p, state, u):
    z, x, b, c = u @ p.W_z, silu(u @ p.W_x), silu(u @ p.W_B), silu(u @ p.W_C)
    dt = np.log(1 + np.exp(u @ p.W_dt + p.dt_bias))
    decay = np.exp(-np.exp(p.A_log) * dt)
    state = decay[:, :, None] * state + dt[:, :, None] * np.einsum("bn,bp->bnp", b, x)
    o = (np.einsum("bn,bnp->bp", c, state) + p.D * x) * silu(z)
    return state, p.gain * o / np.sqrt(np.mean(o**2, -1, keepdims=True) + 1e-5) @ p.W_o


def test_mamba2_is_its_equations_step_by_step_at_once_and_in_parallel():
    cell_reference.check_equations(CELL, mamba2_step)


def test_mamba2_starts_with_the_decays_and_step_sizes_of_its_authors():
    init = jax.jit(jax.vmap(lambda key: Mamba2Cell(9).init(key, 4)))
    heads = jax.tree.map(np.asarray, init(jax.random.split(jax.random.key(0), 400)))
    dt = np.log1p(np.exp(np.asarray(heads.dt_bias, np.float64)))
    quarters = np.linspace(0, 1, 5)
    uniform_dt = np.quantile(np.log(dt / 0.001) / np.log(100), quarters)
    uniform_a = np.quantile((np.exp(heads.A_log) - 1) / 15, quarters)
    np.testing.assert_allclose([uniform_dt, uniform_a], [quarters] * 2, atol=0.06)
    for weights, limit in ((heads.W_B, 1 / 2), (heads.W_dt, 1 / 2), (heads.W_o, 1 / 3)):
        assert 0.99 * limit < np.max(np.abs(weights)) <= limit
        assert np.std(weights) == pytest.approx(limit / np.sqrt(3), rel=0.03)
    assert np.all(heads.D == 1)
    assert np.all(heads.gain == 1)
