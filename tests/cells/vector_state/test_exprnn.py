import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from echo_jax.cells.vector_state.exprnn import ExpRNNCell, PreparedExpRNN, exponential

CELL = ExpRNNCell(5, recurrent_rate=0.5)


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
