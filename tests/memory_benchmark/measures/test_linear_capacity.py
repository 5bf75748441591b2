import dataclasses

import jax
import numpy as np
import pytest

from echo_jax.cells.known_memory import LeakyIntegrator
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


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_the_linear_memory_function_of_a_leaky_integrator_is_its_closed_form(rate):
    found, null = measured(LeakyIntegrator(rate))
    np.testing.assert_allclose(found, (1 - rate**2) * rate ** (2 * LAGS), atol=0.03)
    assert np.all(null < 0.01)
