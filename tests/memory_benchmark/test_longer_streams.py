import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells.known_memory import ShiftRegister
from echo_jax.memory_benchmark import longer_streams
from echo_jax.memory_benchmark.lag_training import LagTraining, Run
from echo_jax.memory_benchmark.protocol import FULL


@pytest.mark.slow
def test_a_longer_stream_goes_on_from_the_state_that_was_left():
    chosen = dataclasses.replace(FULL, evaluation={"stream": 8}, beyond=(1, 2, 4))
    training = LagTraining(ShiftRegister(3), "stream", chosen)
    kernel = np.zeros((6, 2), np.float32)
    kernel[4:] = np.eye(2)  # reads slot 2: the token two steps back
    params = {"cell": {}, "readout": {"kernel": kernel, "bias": np.zeros(2, np.float32)}}
    run = Run(jnp.int32(3), jnp.int32(2), jnp.float32(0.01))
    found = longer_streams.accuracies(training, 16, run, params)
    np.testing.assert_array_equal(found, np.ones(4))
    guesses = longer_streams.accuracies(training, 16, run._replace(lag=jnp.int32(3)), params)
    np.testing.assert_allclose(guesses, 0.5, atol=0.25)  # five standard errors
