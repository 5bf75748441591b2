import cell_reference
import jax
import numpy as np
from cell_reference import gelu, sigmoid

from echo_jax.cells.vector_state.s5 import S5Cell, hippo_frequencies

CELL = S5Cell(4, state_size=6, blocks=2)


def s5_step(p, state, x):
    eigenvalues, step = p.Lambda_re + 1j * p.Lambda_im, np.exp(p.log_step)
    a = np.exp(eigenvalues * step)
    u = x @ p.W_e + p.b_e
    s = a * (state[0] + 1j * state[1])
    s = s + u @ ((a - 1) / eigenvalues * (p.B_re + 1j * p.B_im))
    g = gelu(2 * np.real(s @ (p.C_re + 1j * p.C_im)) + p.D * u)
    return (s.real, s.imag), g * sigmoid(g @ p.W + p.b)


def test_s5_is_its_equations_step_by_step_at_once_and_in_parallel():
    cell_reference.check_equations(CELL, s5_step)


def test_the_frequencies_are_the_eigenvalues_of_hippo_legs_plus_a_matrix_of_rank_1():
    n = np.arange(10)
    legs = -np.tril(np.sqrt(np.outer(2 * n + 1, 2 * n + 1)), -1) - np.diag(n + 1)
    eigenvalues = np.linalg.eigvals(legs + np.sqrt(np.outer(n + 0.5, n + 0.5)))
    np.testing.assert_allclose(eigenvalues.real, -0.5)
    kept = np.sort(eigenvalues.imag)[:5]
    np.testing.assert_allclose(hippo_frequencies(5), kept)
    assert np.all(kept < 0)


def test_a_real_part_above_0_is_clipped():
    params = cell_reference.initial(CELL)._replace(Lambda_re=np.full(6, 0.3, np.float32))
    decay = np.abs(np.asarray(jax.jit(lambda params: CELL.prepare(params).a)(params)))
    np.testing.assert_allclose(decay, np.exp(-1e-4 * np.exp(params.log_step)), rtol=1e-6)
