"""What the state of a trained network of a run tells about the values before, beside untrained."""

import functools
from typing import Any

import jax
import numpy as np

from echo_jax.core import network, token_by_token
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.exceptions import ConfigError
from echo_jax.probing.probe_call import probe
from echo_jax.probing.probe_result import ProbeResult

ASKED = 32
"""Steps of a stream that are asked."""

STREAMS = 512, 2048
"""Fewest and most streams: as many as make three examples for each weight of a head."""


def memory_of(trained: Any, lags: int | None) -> ProbeResult:
    """The bits by lag of the state of a `TrainedNetwork` after each value, at the end of its row.

    Values at random, or streams of the user's own, in order: the last 15% are scored, the 15%
    before choose a penalty. By default the lags are twice as many as reach back to the first value
    of the window and to the target.
    """
    task = trained.config.task
    lags = lags or 2 * max(task.window, task.lag + 1)
    first = max(lags, task.target_times.start)
    of_stream = functools.partial(token_by_token.states, trained.config, trained.network)
    numbers = jax.eval_shape(of_stream, trained.params, np.zeros(1, np.int32)).shape[-1]
    most = int(np.clip(3 * task.vocab_size * numbers // ASKED, *STREAMS))
    tokens = streams_of(trained, first + ASKED, most)
    states = jax.jit(lambda params: jax.lax.map(functools.partial(of_stream, params), tokens))
    key = purpose_key(trained.seed, Purpose.WEIGHTS)
    untrained = network.init_params(trained.network, key)
    asked = range(first, first + ASKED)
    return probe(states(trained.params), tokens, lags, at=asked, untrained=states(untrained))


def streams_of(trained: Any, length: int, most: int) -> np.ndarray:
    """Streams of some length, int32 `[S, length]`: of own data some evenly apart, in order."""
    if trained.config.data.file is None:
        classes = trained.config.task.vocab_size
        return np.random.default_rng(0).integers(classes, size=(most, length), dtype=np.int32)
    if trained.tokens is None:
        raise ConfigError(None, "the values of this run", "were not read", "train it again")
    count = len(trained.tokens) // length
    streams = np.asarray(trained.tokens[: count * length]).reshape(count, length)
    return streams[np.unique(np.linspace(0, max(count - 1, 0), min(most, count), dtype=int))]
