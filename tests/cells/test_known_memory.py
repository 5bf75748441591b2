import cell_reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells import known_memory

ATTENTION = known_memory.SlidingWindowAttention(4, window=3, key_size=2)


def attention_step(p, state, x):
    """Row by row, over the inputs that are not zero."""
    after = np.concatenate([x[:, None], state], axis=1)
    ys = []
    for seen in after:
        steps = [n for n in range(len(seen)) if n == 0 or seen[n].any()]
        query = seen[0] @ p.W_q
        weights = np.exp([query @ (seen[n] @ p.W_k) / np.sqrt(2) + p.b[n] for n in steps])
        values = [seen[n] @ p.W_v for n in steps]
        ys.append(weights @ values / weights.sum())
    return after[:, :-1], np.stack(ys)


def test_sliding_window_attention_is_its_equations_step_by_step_and_at_once():
    cell_reference.check_equations(ATTENTION, attention_step)


@pytest.mark.slow
def test_gradients_of_sliding_window_attention_are_finite_differences():
    cell_reference.check_gradients(ATTENTION)


def test_attention_is_shared_among_the_inputs_so_far_and_the_present_one_always_has_some():
    params = known_memory.AttentionParams(
        W_q=np.zeros((2, 1)), W_k=np.zeros((2, 1)), W_v=np.eye(2), b=np.zeros(3)
    )
    cell = known_memory.SlidingWindowAttention(2, window=3)
    xs = np.float32([[0, 0], [6, 0], [0, 12], [24, 0], [0, 0], [0, 0], [0, 0]])[:, None]

    @jax.jit
    def run(params, xs):
        return cell.scan(params, cell.initial_state(params, 1, 2), xs)[1]

    expected = [[0, 0], [6, 0], [3, 6], [10, 4], [8, 4], [12, 0], [0, 0]]
    np.testing.assert_allclose(np.asarray(run(params, xs))[:, 0], expected, atol=1e-5)


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
    run = jax.jit(lambda xs: jax.lax.scan(step, jnp.zeros((1, 1)), xs)[1])
    outputs = run(np.eye(2, dtype="f")[tokens])
    s, u = np.asarray(outputs)[100:, 0, 0], 2 * tokens[:, 0] - 1
    for lag in range(6):
        found = np.corrcoef(s, u[100 - lag : len(u) - lag])[0, 1] ** 2
        assert found == pytest.approx((1 - rate**2) * rate ** (2 * lag), abs=0.02)
