import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exact_cells import Rotated
from flax import linen as nn

from echo_jax.cells.known_memory import ShiftRegister
from echo_jax.cells.vector_state.lstm import LSTMCell
from echo_jax.core import network
from echo_jax.memory_benchmark.measures import failure_cause
from echo_jax.memory_benchmark.protocol import CELL_FULL
from echo_jax.memory_benchmark.training import LadderTraining, Run
from echo_jax.memory_cards.summary import ROUNDING

SMALL = dataclasses.replace(CELL_FULL, shortest_lag=16, gradient_sequences=6)


def run(lag, seed=3):
    return Run(np.int32(seed), np.int32(lag), np.float32(0.01), np.bool_(True))


def stream(cell):
    return LadderTraining(cell, SMALL.ladders[0], SMALL)


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


REGISTER = ShiftRegister(3)


@pytest.mark.parametrize(
    ("cell", "lag", "here", "nearby"),
    [
        pytest.param(REGISTER, 2, "seen", "seen", marks=pytest.mark.slow),
        pytest.param(REGISTER, 3, "nothing", "nothing", marks=pytest.mark.slow),
        pytest.param(Rounded(3), 2, "seen", "seen", marks=pytest.mark.slow),
        (Gated(3), 2, "nothing", "seen"),
        pytest.param(Rotated(3), 2, "seen", "seen", marks=pytest.mark.slow),
        (Rotated(3), 3, "rounding", "rounding"),
    ],
)
def test_another_token_at_the_lag_changes_what_the_cell_still_holds(cell, lag, here, nearby):
    """Also where no gradient says so: of a rounded carry, and of a gate that is closed."""
    training = stream(cell)

    @jax.jit
    def measured(run):
        params = training.init(run).params
        gradients = failure_cause.gradient_profile(training, 16, 4, run, params)
        there = failure_cause.change(training, 16, run, params)
        return gradients[lag], there, failure_cause.change_nearby(training, 16, run, params)

    gradients, there, around = zip(*(measured(run(lag, seed)) for seed in range(4)), strict=True)
    if isinstance(cell, Rounded | Gated) or (cell, lag) == (REGISTER, 3):
        assert not any(gradients)
    size = {"nothing": (0, 0), "rounding": (1e-12, ROUNDING), "seen": (1e-3, 3)}
    for found, expected in ((max(there), here), (max(around), nearby)):
        low, high = size[expected]
        assert low <= found <= high


class Explodes(ShiftRegister):
    """A register whose outputs are not finite."""

    def __call__(self, carry, inputs):
        carry, outputs = super().__call__(carry, inputs)
        return carry, outputs / 0


@pytest.mark.slow
def test_a_change_of_logits_that_are_not_finite_is_infinite():
    training = stream(Explodes(3))
    found = jax.jit(lambda run: failure_cause.change(training, 16, run, training.init(run).params))(
        run(2)
    )
    assert np.isposinf(found)
