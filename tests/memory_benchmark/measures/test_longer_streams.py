import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.known_memory import ShiftRegister
from echo_jax.memory_benchmark.measures import longer_streams
from echo_jax.memory_benchmark.protocol import CELL_FULL
from echo_jax.memory_benchmark.training import LadderTraining, Run


@pytest.mark.slow
def test_a_longer_stream_goes_on_from_the_state_that_was_left():
    chosen = dataclasses.replace(CELL_FULL, answers=88, shortest_lag=16, beyond=(1, 2, 4))
    training = LadderTraining(ShiftRegister(3), chosen.ladders[0], chosen)
    kernel = np.zeros((6, 2), np.float32)
    kernel[4:] = np.eye(2)  # reads slot 2: the token two steps back
    params = {"cell": {}, "readout": {"kernel": kernel, "bias": np.zeros(2, np.float32)}}
    run = Run(jnp.int32(3), jnp.int32(2), jnp.float32(0.01))
    found = longer_streams.accuracies(training, 16, run, params)
    np.testing.assert_array_equal(found, np.ones(4))
    guesses = longer_streams.accuracies(training, 16, run._replace(rung=jnp.int32(3)), params)
    np.testing.assert_allclose(guesses, 0.5, atol=0.25)  # five standard errors
