import cell_reference
import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
from scipy.special import eval_legendre

from echo_jax.cells.vector_state.lmu import LMUCell, LMUState

CELL = LMUCell(4, order=3, theta=6.5, memories=2)


def lmu_step(p, state, x):
    """The equations of section 2, each memory alone; a held input adds A^-1 (exp(A) - I) B u."""
    a = np.array([[-1, -1, -1], [3, -3, -3], [-5, 5, -5]]) / 6.5
    a_bar = scipy.linalg.expm(a)
    b_bar = np.linalg.inv(a) @ (a_bar - np.eye(3)) @ np.array([1, -3, 5]) / 6.5
    flat = state.m.reshape(len(x), 6)
    u = x @ p.e_x + state.h @ p.e_h + flat @ p.e_m
    m = np.empty_like(state.m)
    for row, memory in np.ndindex(len(x), 2):
        m[row, memory] = a_bar @ state.m[row, memory] + b_bar * u[row, memory]
    h = np.tanh(x @ p.W_x + state.h @ p.W_h + m.reshape(len(x), 6) @ p.W_m)
    return LMUState(h, m), h


def test_lmu_is_its_equations_step_by_step_and_at_once():
    cell_reference.check_equations(CELL, lmu_step)


def memory_of(u, order, theta):
    """The memory after each step of u [T], alone, [T, Q]."""
    cell = LMUCell(1, order, theta)

    @jax.jit
    def run(u):
        start = cell.initial_state(None, 1, 1).m
        return jax.lax.scan(lambda m, u: (cell.remember(m, u),) * 2, start, u)[1]

    return np.asarray(run(np.float32(u).reshape(-1, 1, 1)))[:, 0, 0]


def test_the_memory_of_lmu_is_a_delay_of_any_length_up_to_theta():
    time, order = np.arange(300), 12
    u = np.sin(2 * np.pi * time / 40) + np.cos(2 * np.pi * time / 93)
    m = memory_of(u, order, theta=64)
    for delay in (8, 16, 32, 50, 64):
        decoded = m @ eval_legendre(np.arange(order), 2 * delay / 64 - 1)
        delayed = np.interp(time - delay + 0.5, time, u)  # an input is held for a step
        np.testing.assert_allclose(decoded[150:], delayed[150:], atol=0.006)


def test_lmu_remembers_in_full_precision_also_where_that_is_not_the_default():
    assert "HIGHEST" in str(jax.make_jaxpr(CELL.remember)(jnp.ones((1, 2, 3)), jnp.ones((1, 2))))
