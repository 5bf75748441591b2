"""What can be asked of a trained network beside its score. Each measure is a pure function.

other_state   its score when the state is zeroed that was carried in training, or the reverse
rows_apart    its score on rows with and without missing values, each apart
follows       which input its answer follows, and which before training
probe         which values a linear readout finds in the state that a row is handed, and leaves
fed_back      what becomes of its answers when they are fed back as inputs
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.config import RunConfig, TracedParameters
from echo_jax.core import online
from echo_jax.core.data import Purpose, draw_sequences, purpose_key
from echo_jax.core.evaluation import evaluate, states_around
from echo_jax.core.network import Params, build_network
from echo_jax.core.training import init
from echo_jax.studies import linear_probe

Measure = Callable[[RunConfig, TracedParameters, Params], dict[str, jax.Array]]

WINDOWS = 500
"""Sequences in which `follows` changes each input."""

PROBED = 1000
"""Sequences whose states a probe is fitted to, and as many others that it is tried on."""

PROBE_LAGS = 9
"""A probe looks for the values 0 to 8 steps back."""

STARTS, FED_BACK, BLOCK = 100, 200, 25
"""Random sequences that are gone on with, answers fed back in each, and how many make a block."""


def other_state(
    config: RunConfig, settings: TracedParameters, params: Params
) -> dict[str, jax.Array]:
    """Accuracy when every batch starts from zero, of a network trained to carry its state.

    Of one that was trained from zero: when the state is carried.
    """
    other = settings._replace(stateful=jnp.logical_not(settings.stateful))
    return {"accuracy": evaluate(config, other, params).accuracy}


def rows_apart(
    config: RunConfig, settings: TracedParameters, params: Params
) -> dict[str, jax.Array]:
    """Accuracy on rows with and without missing values: the window reaches before the sequence.

    Rows are those of prefixes. A network that was trained on full windows alone, because rows with
    missing values were removed, is asked about masked ones.
    """
    asked = dataclasses.replace(config, task=dataclasses.replace(config.task, layout="prefixes"))
    right = evaluate(asked, settings, params).accuracy_by_position
    full = np.asarray(asked.task.row_times) >= config.task.window - 1
    return {"missing": jnp.mean(right[~full]), "full": jnp.mean(right[full])}


def follows(config: RunConfig, settings: TracedParameters, params: Params) -> dict[str, jax.Array]:
    """How often the answer follows the input d steps back, d = 0 .. L-1: `echo.follows`, `[L]`.

    `untrained` is the same of the weights that training started from.
    """
    network = build_network(config)
    key = purpose_key(settings.seed, Purpose.EVALUATION)
    positions = jnp.arange(min(config.task.length, 2 * config.task.window))

    def shares(params: Params) -> jax.Array:
        return online.follows(config, network, params, key, positions, WINDOWS)

    return {"trained": shares(params), "untrained": shares(init(config, settings).params)}


def probe(config: RunConfig, settings: TracedParameters, params: Params) -> dict[str, jax.Array]:
    """Accuracy of a linear readout of x(t-d), d = 0 .. 8, from the states around a row.

    The row ends at t; `before` is the state that it is handed, `after` the one that it leaves, both
    `[9]`; `network` is the accuracy of the network itself on the same rows. The readout is
    `linear_probe`, fitted on some sequences and tried on others; rows whose t is below 8 are left
    out. It shows what is there linearly, and no more.
    """
    counters = jnp.arange(2 * PROBED)
    tokens = draw_sequences(settings.seed, Purpose.EVALUATION, counters, config.task)
    network = build_network(config)
    states = jax.vmap(lambda x: states_around(config, network, settings, params, x))(tokens)
    times = np.asarray(config.task.row_times)
    late = np.flatnonzero(times >= PROBE_LAGS - 1)  # rows that have all the values behind them

    def found(states: jax.Array, lag: jax.Array) -> jax.Array:
        """Fitted on the first half of the sequences, tried on the second."""
        states, values = states[:, late], tokens[:, times[late] - lag]
        (fit, trial), (fit_values, trial_values) = (
            x.reshape(2, PROBED * len(late), *x.shape[2:]) for x in (states, values)
        )
        fitted = linear_probe.fit(fit, fit_values, config.task.vocab_size)
        return linear_probe.accuracy(fitted, trial, trial_values)

    lags = jnp.arange(PROBE_LAGS)
    by_row = evaluate(config, settings, params).accuracy_by_position
    return {
        "network": jnp.mean(by_row[late]),
        "before": jax.lax.map(lambda lag: found(states.before, lag), lags),
        "after": jax.lax.map(lambda lag: found(states.after, lag), lags),
    }


def fed_back(config: RunConfig, settings: TracedParameters, params: Params) -> dict[str, jax.Array]:
    """A reader's loop: L random integers, and then every answer is the next input.

    `answers` int32 `[50]` are the first ones after the first start; `distinct` `[8]` is how many
    different values are among 25 answers in a row, the mean over 100 starts; `repeats` the share of
    the starts whose last 50 answers have a period of 25 or less.
    """
    network = build_network(config)
    key = jax.random.fold_in(purpose_key(settings.seed, Purpose.EVALUATION), 2**31 - 1)
    vocab_size = config.task.vocab_size
    start = jax.random.bits(key, (STARTS, config.task.length)) % vocab_size

    def go_on(tokens: jax.Array) -> jax.Array:
        """The answers, fed back, that follow one random sequence."""
        state, answers = online.feed(
            config, network, params, online.start(config, network), tokens.astype(jnp.int32)
        )

        def step(memory: tuple, _: None) -> tuple[tuple, jax.Array]:
            """Feed the last answer."""
            state, token = memory
            state, answer = online.step(config, network, params, state, token)
            return (state, answer.token), token

        return jax.lax.scan(step, (state, answers.token[-1]), None, FED_BACK)[1]

    answers = jax.vmap(go_on)(start)
    blocks = answers.reshape(STARTS, -1, BLOCK)
    there = jax.nn.one_hot(blocks, vocab_size).max(axis=2).sum(axis=2)
    last = answers[:, -2 * BLOCK :]
    periodic = [jnp.all(last[:, p:] == last[:, :-p], axis=1) for p in range(1, BLOCK + 1)]
    return {
        "answers": answers[0, :50],
        "distinct": jnp.mean(there, axis=0),
        "repeats": jnp.mean(jnp.any(jnp.stack(periodic), axis=0)),
    }


MEASURES: dict[str, Measure] = {
    "other_state": other_state,
    "rows_apart": rows_apart,
    "follows": follows,
    "probe": probe,
    "fed_back": fed_back,
}
