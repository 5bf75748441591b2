import cell_reference
import jax
import numpy as np

from echo_jax.cells.vector_state.s5 import S5Cell, hippo_frequencies

CELL = S5Cell(4, state_size=6, blocks=2)


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
