import cell_reference
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.vector_state.minimal_rnns import MinLSTMCell

CELL = MinLSTMCell(4)


def test_minlstm_keeps_half_at_first_and_no_gate_is_lost_to_rounding():
    params = CELL.init(jax.random.key(0), 5)
    kept, added = CELL.project(params, jnp.zeros((1, 5)))
    np.testing.assert_allclose(kept, 0.5)
    np.testing.assert_array_equal(added, 0)
    shut = params._replace(b_f=jnp.full(4, -200.0), b_i=jnp.full(4, -201.0))
    kept, _ = CELL.project(shut, jnp.zeros((1, 5)))
    np.testing.assert_allclose(kept, cell_reference.sigmoid(1.0), rtol=1e-5)
