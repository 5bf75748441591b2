import cell_reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.vector_state.minimal_rnns import MinLSTMCell

CELL = MinLSTMCell(4)


def test_minlstm_is_its_equations_step_by_step_at_once_and_in_parallel():
    cell_reference.check_equations(CELL, cell_reference.min_lstm_step)


@pytest.mark.slow
def test_gradients_of_minlstm_are_finite_differences():
    cell_reference.check_gradients(CELL)


@pytest.mark.slow
def test_minlstm_stays_finite():
    cell_reference.check_long_run(CELL)


def test_minlstm_keeps_half_at_first_and_no_gate_is_lost_to_rounding():
    params = CELL.init(jax.random.key(0), 5)
    kept, added = CELL.project(params, jnp.zeros((1, 5)))
    np.testing.assert_allclose(kept, 0.5)
    np.testing.assert_array_equal(added, 0)
    shut = params._replace(b_f=jnp.full(4, -200.0), b_i=jnp.full(4, -201.0))
    kept, _ = CELL.project(shut, jnp.zeros((1, 5)))
    np.testing.assert_allclose(kept, cell_reference.sigmoid(1.0), rtol=1e-5)
