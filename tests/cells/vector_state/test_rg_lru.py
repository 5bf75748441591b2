import cell_reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_equations import rg_lru_step

from echo_jax.cells.vector_state.rg_lru import RGLRUCell

CELL = RGLRUCell(4)


def test_the_input_is_scaled_by_the_root_of_1_minus_a_squared_also_where_a_is_close_to_1():
    decays = np.float32([-25.0, -12.0, -4.0, 0.0])
    params, x = cell_reference.initial(CELL)._replace(Lambda=decays), np.ones(5)
    a, b = map(np.asarray, jax.jit(CELL.project)(params, x))
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    _, expected = rg_lru_step(p, np.zeros(4), x)
    np.testing.assert_allclose(b[1:], expected[1:], rtol=1e-5)
    assert a[0] == 1  # lost to rounding
    assert b[0] == pytest.approx(expected[0], rel=1e-4)


def test_a_unit_that_never_decays_adds_nothing_and_has_a_gradient():
    params = cell_reference.initial(CELL)._replace(b_a=np.full(4, -200.0))

    @jax.jit
    @jax.value_and_grad
    def added(params):
        a, b = CELL.project(params, jnp.ones(5))
        return jnp.sum(b) + jnp.sum(1 - a)

    total, gradient = added(params)
    assert abs(total) < 1e-15
    assert all(np.isfinite(leaf).all() for leaf in gradient)
