import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from echo_jax.cells.known_memory import ShiftRegister
from echo_jax.cells.vector_state.lstm import LSTMCell
from echo_jax.core import network
from echo_jax.memory_benchmark import failure_cause
from echo_jax.memory_benchmark.lag_training import LagTraining, Run
from echo_jax.memory_benchmark.protocol import FULL

SMALL = dataclasses.replace(FULL, shortest_stream=16, gradient_sequences=6)


def run(lag, seed=3):
    return Run(np.int32(seed), np.int32(lag), np.float32(0.01), np.bool_(True))


def stream(cell):
    return LagTraining(cell, "stream", SMALL)


class Rounded(ShiftRegister):
    """A register whose carry no gradient passes."""

    def __call__(self, carry, inputs):
        return super().__call__(jax.lax.stop_gradient(carry), inputs)


class Gated(ShiftRegister):
    """A register whose carry passes a gate that is closed at first, where it has no gradient."""

    @nn.compact
    def __call__(self, carry, inputs):
        gate = jnp.clip(self.param("gate", nn.initializers.constant(-1.0), ()), 0, 1)
        return super().__call__(gate * carry, inputs)


@pytest.mark.parametrize("slots", [1, 4])
def test_the_gradient_of_a_register_reaches_its_last_slot_and_is_exactly_zero_beyond(slots):
    training = stream(ShiftRegister(slots))

    @jax.jit
    def at_first(run):
        return failure_cause.gradient_profile(training, 16, 10, run, training.init(run).params)

    profile = np.asarray(at_first(run(2)))
    assert profile.shape == (11,)
    assert np.all(profile[:slots] > 0)
    assert np.all(profile[slots:] == 0)


@pytest.mark.slow
def test_the_gradient_is_that_of_the_margin_by_finite_differences():
    training = stream(LSTMCell(6))
    params = jax.tree.map(lambda x: 3 * x, training.init(run(2)).params)
    profile = jax.jit(lambda p: failure_cause.gradient_profile(training, 16, 4, run(2), p))(params)
    asked = failure_cause.last_answers(training, 16, run(2))
    inputs = np.eye(2, dtype=np.float32)[np.asarray(asked.tokens)]
    target = np.asarray(asked.targets[:, -1])

    @jax.jit
    def last_logits(inputs):
        zero, by_time = training.network.initial_state(params, 6), jnp.swapaxes(inputs, 0, 1)
        _, out = network.unroll_inputs(training.network, params, zero, by_time, None)
        return network.read_out(training.network, params, out[-1])

    def margin(inputs):
        logits = np.asarray(last_logits(inputs))
        return logits[np.arange(6), target] - logits[np.arange(6), 1 - target]

    for back in (0, 3):
        slopes = []
        for feature in (0, 1):
            moved = np.zeros_like(inputs)
            moved[:, 15 - back, feature] = 1e-2
            slopes.append((margin(inputs + moved) - margin(inputs - moved)) / 2e-2)
        expected = np.linalg.norm(slopes, axis=0).mean()
        assert float(profile[back]) == pytest.approx(expected, rel=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "lag", "here", "nearby"),
    [
        (Rounded(3), 2, True, True),
        (Gated(3), 2, False, True),
        (ShiftRegister(3), 3, False, False),
    ],
)
def test_dependence_is_found_where_the_gradient_is_zero(cell, lag, here, nearby):
    training = stream(cell)

    @jax.jit
    def measured(run):
        params = training.init(run).params
        gradients = failure_cause.gradient_profile(training, 16, 4, run, params)
        there = failure_cause.depends(training, 16, run, params)
        return gradients[lag], there, failure_cause.depends_nearby(training, 16, run, params)

    gradients, there, around = zip(*(measured(run(lag, seed)) for seed in range(8)), strict=True)
    assert not any(gradients)
    assert set(map(bool, there)) == {here}
    assert any(around) == nearby
