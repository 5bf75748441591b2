import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells import known_memory
from echo_jax.exceptions import ConfigError


def test_a_shift_register_of_d_plus_1_slots_has_a_gradient_from_lag_d_and_none_from_beyond():
    cell = known_memory.ShiftRegister(4)

    def last_output(inputs):
        start = cell.initialize_carry(jax.random.key(0), inputs.shape[1:])
        _, outputs = jax.lax.scan(lambda c, x: cell.apply({}, c, x), start, inputs)
        return jnp.sum(outputs[-1])

    vectors = np.random.default_rng(0).normal(size=(9, 3, 2)).astype(np.float32)
    by_time = np.abs(jax.jit(jax.grad(last_output))(vectors)).sum((1, 2))
    np.testing.assert_array_equal(by_time[::-1] > 0, [True] * 4 + [False] * 5)


@pytest.mark.parametrize("rate", [0.5, -0.8])
def test_the_linear_memory_function_of_a_leaky_integrator_is_its_closed_form(rate):
    tokens = np.random.default_rng(2).integers(0, 2, (20_000, 1))
    cell = known_memory.LeakyIntegrator(rate)
    step = lambda carry, x: cell.apply({}, carry, x)  # noqa: E731
    _, outputs = jax.lax.scan(step, jnp.zeros((1, 1)), np.eye(2, dtype="f")[tokens])
    s, u = np.asarray(outputs)[100:, 0, 0], 2 * tokens[:, 0] - 1
    for lag in range(6):
        found = np.corrcoef(s, u[100 - lag : len(u) - lag])[0, 1] ** 2
        assert found == pytest.approx((1 - rate**2) * rate ** (2 * lag), abs=0.02)


def test_a_leaky_integrator_takes_a_single_number_as_it_is():
    carry, _ = known_memory.LeakyIntegrator().apply({}, jnp.zeros((1, 1)), jnp.full((1, 1), 3.0))
    assert carry.tolist() == [[3.0]]


def test_a_leaky_integrator_that_does_not_leak_is_refused():
    with pytest.raises(ConfigError, match=r"^rate 1\.0 is not between -1 and 1: use one such"):
        known_memory.LeakyIntegrator(1.0)
