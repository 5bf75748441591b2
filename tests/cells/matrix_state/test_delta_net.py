import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.matrix_state.delta_net import DeltaNetCell, DeltaTerms


def test_decays_whose_product_is_lost_to_rounding_give_finite_gradients_in_chunks():
    rng = np.random.default_rng(0)

    def total(log_alpha):
        q, k, v = (jnp.float32(rng.normal(size=(9, 1, 2))) for _ in range(3))
        terms = DeltaTerms(q, k, v, jnp.full((9, 1, 1), 0.5), log_alpha)
        return DeltaNetCell(2).parallel(None, jnp.ones((1, 2, 2)), terms, None)[1].sum()

    gradient = jax.jit(jax.grad(total))(np.full((9, 1, 1), -60.0))
    assert np.isfinite(gradient).all()
