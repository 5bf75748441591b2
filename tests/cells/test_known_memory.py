import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells import known_memory, shape_check
from echo_jax.cells.delay_line_mlp import DelayLineMLP
from echo_jax.exceptions import ConfigError

BATCH, FEATURES = 3, 2
VECTORS = np.random.default_rng(0).normal(size=(9, BATCH, FEATURES)).astype(np.float32)


def unrolled(cell, inputs, key=1):
    """The carries and outputs of all steps of a jitted scan from the cell's own start."""
    start = cell.initialize_carry(jax.random.key(0), inputs.shape[1:])
    variables = cell.init(jax.random.key(key), start, jnp.asarray(inputs[0]))

    def step(carry, x):
        carry, output = cell.apply(variables, carry, x)
        return carry, (carry, output)

    _, (carries, outputs) = jax.jit(lambda x: jax.lax.scan(step, start, x))(inputs)
    return variables, np.asarray(carries), np.asarray(outputs)


@pytest.mark.parametrize("slots", [1, 2, 6, 12])
def test_a_shift_register_holds_its_last_inputs_newest_first_and_nothing_older(slots):
    variables, carries, outputs = unrolled(known_memory.ShiftRegister(slots), VECTORS)
    assert variables == {}
    padded = np.concatenate([np.zeros((slots, BATCH, FEATURES)), VECTORS])
    for t in range(len(VECTORS)):
        newest_first = np.stack([padded[slots + t - lag] for lag in range(slots)], axis=1)
        np.testing.assert_array_equal(carries[t], newest_first)
        np.testing.assert_array_equal(outputs[t], newest_first.reshape(BATCH, slots * FEATURES))


def test_a_shift_register_of_d_plus_1_slots_has_a_gradient_from_lag_d_and_none_from_beyond():
    cell = known_memory.ShiftRegister(4)

    def last_output(inputs):
        start = cell.initialize_carry(jax.random.key(0), inputs.shape[1:])
        _, outputs = jax.lax.scan(lambda c, x: cell.apply({}, c, x), start, inputs)
        return jnp.sum(outputs[-1])

    by_time = np.abs(jax.jit(jax.grad(last_output))(VECTORS)).sum((1, 2))
    np.testing.assert_array_equal(by_time[::-1] > 0, [True] * 4 + [False] * 5)


def test_a_leaky_integrator_is_the_decaying_sum_of_its_inputs():
    tokens = np.random.default_rng(1).integers(0, 2, (9, BATCH))
    _, carries, outputs = unrolled(known_memory.LeakyIntegrator(0.7), np.eye(2, dtype="f")[tokens])
    for t in range(9):
        expected = sum(0.7**k * (2 * tokens[t - k] - 1) for k in range(t + 1))
        np.testing.assert_allclose(carries[t], expected[:, None], atol=2e-6)
    np.testing.assert_array_equal(carries, outputs)


@pytest.mark.parametrize("vocab_size", [1, 3])
def test_a_leaky_integrator_takes_other_inputs_than_two_tokens(vocab_size):
    inputs = np.ones((1, 1, 1), "f") if vocab_size == 1 else np.eye(3, dtype="f")[None]
    _, carries, _ = unrolled(known_memory.LeakyIntegrator(), inputs)
    np.testing.assert_allclose(carries[0, :, 0], [1.0] if vocab_size == 1 else [-1.0, 0.0, 1.0])


@pytest.mark.parametrize("rate", [0.5, -0.8])
def test_the_linear_memory_function_of_a_leaky_integrator_is_its_closed_form(rate):
    tokens = np.random.default_rng(2).integers(0, 2, (20_000, 1))
    inputs = np.eye(2, dtype="f")[tokens]
    _, carries, _ = unrolled(known_memory.LeakyIntegrator(rate), inputs)
    s, u = carries[100:, 0, 0], 2 * tokens[:, 0] - 1
    for lag in range(6):
        found = np.corrcoef(s, u[100 - lag : len(u) - lag])[0, 1] ** 2
        assert found == pytest.approx((1 - rate**2) * rate ** (2 * lag), abs=0.02)


def test_a_memoryless_cell_sees_the_present_alone():
    cell = known_memory.Memoryless(5)
    variables, carries, outputs = unrolled(cell, VECTORS)
    kernel, bias = variables["params"]["kernel"], variables["params"]["bias"]
    chex.assert_shape(kernel, (FEATURES, 5))
    np.testing.assert_allclose(outputs, np.tanh(VECTORS @ kernel + bias), atol=1e-6)
    np.testing.assert_array_equal(carries, np.zeros((len(VECTORS), BATCH, 1)))
    carry, output = cell.apply(variables, jnp.ones((BATCH, 1)), VECTORS[0])
    np.testing.assert_array_equal(carry, np.zeros((BATCH, 1)))
    np.testing.assert_allclose(output, outputs[0], atol=1e-6)


def test_a_causal_convolution_is_the_delay_line_mlp_with_another_carry():
    variables, carries, outputs = unrolled(known_memory.CausalConvolution(5, window=3), VECTORS)
    np.testing.assert_array_equal(carries[-1], VECTORS[[-1, -2]].transpose(1, 0, 2))
    kernel, bias = (variables["params"]["convolution"][x] for x in ("kernel", "bias"))
    params = {"kernel": kernel.reshape(3, FEATURES, 5), "bias": bias}
    mlp = DelayLineMLP(5, 3)
    line = mlp.initialize_carry(jax.random.key(0), (BATCH, FEATURES))
    _, expected = jax.lax.scan(
        lambda line, x: mlp.apply({"params": params}, line, x), line, VECTORS
    )
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


@pytest.mark.parametrize(
    "cell",
    [
        known_memory.ShiftRegister(6),
        known_memory.LeakyIntegrator(),
        known_memory.Memoryless(5),
        known_memory.CausalConvolution(5),
    ],
)
def test_a_control_is_a_cell_like_any_other(cell):
    shape_check.check_shapes(cell, type(cell).__name__, input_size=2)
    assert cell.num_feature_axes == 1


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (lambda: known_memory.ShiftRegister(0), "slots 0 is below 1: use 1 or more"),
        (
            lambda: known_memory.LeakyIntegrator(1.0),
            "rate 1.0 is not between -1 and 1: use one such",
        ),
    ],
)
def test_a_control_without_a_known_answer_is_refused(build, sentence):
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        build()
