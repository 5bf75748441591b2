import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import eval_legendre

from echo_jax.cells.vector_state.lmu import LMUCell

CELL = LMUCell(4, order=3, theta=6.5, memories=2)


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
