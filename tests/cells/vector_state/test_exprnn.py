import cell_reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from echo_jax.cells.vector_state.exprnn import ExpRNNCell, PreparedExpRNN, exponential

CELL = ExpRNNCell(5, recurrent_rate=0.5)


def skew_symmetric(upper, rate):
    """A, filled row by row."""
    size = round((1 + np.sqrt(1 + 8 * len(upper))) / 2)
    matrix, entries = np.zeros((size, size)), iter(rate * np.asarray(upper, np.float64))
    for row in range(size):
        for column in range(row + 1, size):
            matrix[row, column] = next(entries)
            matrix[column, row] = -matrix[row, column]
    return matrix


def exprnn_step(p, h, x):
    z = h @ scipy.linalg.expm(skew_symmetric(p.A, 0.5)) + x @ p.T
    h = np.where(np.abs(z) + p.b > 0, z + np.sign(z) * p.b, 0)
    return h, h


def test_exprnn_is_its_equations_step_by_step_and_at_once():
    cell_reference.check_equations(CELL, exprnn_step, scale=0.3)


def test_exprnn_rotates_in_full_precision_also_where_that_is_not_the_default():
    prepared = PreparedExpRNN(jnp.eye(5), jnp.eye(5), jnp.zeros(5))
    assert "HIGHEST" in str(
        jax.make_jaxpr(CELL.recur)(prepared, jnp.ones((1, 5)), jnp.ones((1, 5)))
    )


@pytest.mark.parametrize("scale", [0.0, 0.01, 1.0, 30.0])
def test_the_exponential_is_that_of_scipy_and_so_is_its_derivative(scale):
    drawn, direction = np.random.default_rng(0).normal(size=(2, 6, 6))
    matrix = scale * (drawn - drawn.T)
    expected = scipy.linalg.expm_frechet(matrix, direction)
    with jax.enable_x64(True):
        found = jax.jit(lambda a, d: jax.jvp(exponential, (a,), (d,)))(matrix, direction)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    found = np.asarray(jax.jit(exponential)(matrix.astype(np.float32)))
    np.testing.assert_allclose(found @ found.T, np.eye(6), atol=2e-4 if scale > 9 else 2e-6)
