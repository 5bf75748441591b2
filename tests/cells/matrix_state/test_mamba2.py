import cell_reference
import numpy as np
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
