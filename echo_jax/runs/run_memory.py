"""The memory of a run's network: bits that its state tells about earlier values."""

import functools
from typing import Any

import jax
import numpy as np

from echo_jax import environment
from echo_jax.core import network, token_by_token
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.exceptions import ConfigError
from echo_jax.probing.probe_call import FITTED, LEAST_STREAMS, least_examples, probe, whole_number
from echo_jax.probing.probe_result import ProbeResult

ASKED = 32
"""Steps of a stream that are asked."""

STREAMS = 512, 2048
"""Fewest and most streams. Between them 1.5 examples are fitted for each weight of a head."""


def memory_of(trained: Any, lags: int | None) -> ProbeResult:
    """The bits by lag of the state of a `TrainedNetwork` after each value, at the end of its row.

    Values at random, or streams of the user's own, in order: the last 15% are scored, the 15%
    before choose a penalty. By default the lags are twice as many as reach back to the first value
    of the window and to the target.
    """
    task = trained.config.task
    lags = 2 * max(task.window, task.lag + 1) if lags is None else whole_number("lags", lags, 1)
    first = max(lags, task.target_times.start)
    of_stream = functools.partial(token_by_token.states, trained.config, trained.network)
    numbers = jax.eval_shape(of_stream, trained.params, np.zeros(1, np.int32)).shape[-1]
    tokens = streams_of(trained, first + ASKED, numbers)
    environment.check_memory(2 * 4 * tokens.size * numbers)
    states = jax.jit(lambda params: jax.lax.map(functools.partial(of_stream, params), tokens))
    key = purpose_key(trained.seed, Purpose.WEIGHTS)
    untrained = network.init_params(trained.network, key)
    asked = range(first, first + ASKED)
    return probe(states(trained.params), tokens, lags, at=asked, untrained=states(untrained))


def streams_of(trained: Any, length: int, numbers: int) -> np.ndarray:
    """Streams of some length, int32 `[S, length]`: of own data some evenly apart, in order.

    ConfigError where they are too few for heads on so many numbers.
    """
    classes = trained.config.task.vocab_size
    fewest, most = STREAMS
    wanted = int(np.clip(1.5 * classes * numbers / FITTED / ASKED, fewest, most))
    own = trained.config.data.file is not None
    if own and trained.tokens is None:
        raise ConfigError(None, "the values of this run", "were not read", "train it again")
    count = min(wanted, len(trained.tokens) // length) if own else wanted
    needed = max(least_examples(numbers, classes) / FITTED / ASKED, LEAST_STREAMS)
    if count < needed:
        rule = (
            f"would be asked in {count:,} streams of {length}, and heads on {numbers:,} numbers of "
            f"a state and {classes:,} values need {needed:,.0f}"
        )
        fix = "use fewer lags, more values, or a smaller {hidden_size} or {vocab_size}"
        raise ConfigError(None, "the network", rule, fix)
    if not own:
        return np.random.default_rng(0).integers(classes, size=(count, length), dtype=np.int32)
    whole = len(trained.tokens) // length
    streams = np.asarray(trained.tokens[: whole * length]).reshape(whole, length)
    return streams[np.unique(np.linspace(0, whole - 1, count, dtype=int))]
