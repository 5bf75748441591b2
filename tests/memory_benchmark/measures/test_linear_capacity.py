import dataclasses

import jax
import numpy as np
import pytest

from echo_jax.cells.known_memory import LeakyIntegrator, Memoryless, ShiftRegister
from echo_jax.cells.vector_state.delay_line_mlp import DelayLineMLP
from echo_jax.memory_benchmark.measures.linear_capacity import drive_streams, linear_capacity
from echo_jax.memory_benchmark.protocol import CELL_FULL
from echo_jax.memory_benchmark.training import LadderTraining, Run

SMALL = dataclasses.replace(CELL_FULL, linear_lags=12, linear_steps=3000, washout=50)
RUN = Run(np.int32(1), np.int32(12), np.float32(0.01))
LAGS = np.arange(1, 13)


def measured(cell):
    training = LadderTraining(cell, SMALL.ladders[0], SMALL)
    drive = jax.jit(lambda run: drive_streams(training, run, training.init(run).params))
    return linear_capacity(*jax.device_get(drive(RUN)), 12)


class Imaginary(ShiftRegister):
    """A register with its slots in the imaginary part of its carry."""

    def __call__(self, carry, inputs):
        carry, outputs = super().__call__(carry.imag, inputs)
        return 1j * carry, outputs

    def initialize_carry(self, rng, input_shape):
        return 1j * super().initialize_carry(rng, input_shape)


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_the_linear_memory_function_of_a_leaky_integrator_is_its_closed_form(rate):
    found, null = measured(LeakyIntegrator(rate))
    np.testing.assert_allclose(found, (1 - rate**2) * rate ** (2 * LAGS), atol=0.03)
    assert np.all(null < 0.01)


@pytest.mark.parametrize(
    ("cell", "past"), [(ShiftRegister(2), 1), (ShiftRegister(11), 10), (Imaginary(4), 3)]
)
def test_the_linear_capacity_of_a_register_is_1_up_to_its_last_slot_and_then_0(cell, past):
    found, null = measured(cell)
    np.testing.assert_allclose(found - null, past >= LAGS, atol=0.01)


@pytest.mark.parametrize("cell", [Memoryless(3), DelayLineMLP(3, delay_line=1)])
def test_a_state_that_is_constant_or_empty_holds_nothing(cell):
    np.testing.assert_array_equal(measured(cell), np.zeros((2, 12)))
