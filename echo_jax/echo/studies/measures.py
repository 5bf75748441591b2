"""Measures of a trained network beside its score, each a pure function.

A measure is a function of a configuration, its network, and one seed's dynamic parameters and
trained weights. It returns arrays by name.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.config import DynamicParams, RunConfig, changed
from echo_jax.echo import token_by_token
from echo_jax.echo.data import draw_sequences
from echo_jax.echo.evaluation import evaluate, states_around
from echo_jax.echo.studies import linear_discriminant
from echo_jax.learner.network import Network, Params, init_params
from echo_jax.learner.random_tokens import Purpose, purpose_key, uniform_tokens

WINDOWS = 500  # sequences in which `follows` changes each input in turn
PROBED = 1000  # sequences whose states a probe is fitted to; it is tested on as many others
PROBE_LAGS = 9  # the values 0 to 8 steps back
STARTS = 100  # sequences whose answers are fed back
FED_BACK = 200  # answers after each
STRETCH = 25  # answers in a row


Measured = dict[str, jax.Array]


def other_state(
    config: RunConfig, network: Network, dynamic: DynamicParams, params: Params
) -> Measured:
    """Return the accuracy of `params` with the other kind of state than in training.

    A stateful network gets a zero state before every batch, and a stateless network gets the
    carried state.
    """
    other = dynamic._replace(stateful=jnp.logical_not(dynamic.stateful))
    return {"accuracy": evaluate(config, network, other, params).accuracy}


def rows_apart(
    config: RunConfig, network: Network, dynamic: DynamicParams, params: Params
) -> Measured:
    """Return the accuracy of `params` in layout prefixes, on two kinds of rows.

    missing  the accuracy on rows with missing values
    full     the accuracy on rows whose window is full
    """
    asked = changed(config, layout="prefixes")
    right = evaluate(asked, network, dynamic, params).accuracy_by_position
    # In NumPy, so that the numbers of rows of both kinds are known when it is compiled.
    full = np.asarray(asked.task.row_times) >= config.task.window - 1
    return {"missing": jnp.mean(right[~full]), "full": jnp.mean(right[full])}


def follows(
    config: RunConfig, network: Network, dynamic: DynamicParams, params: Params
) -> Measured:
    """Return the share of answers that follow a change of the input d steps back, by d.

    trained    `[D]`, with the weights `params`
    untrained  `[D]`, with the initial weights

    d is 0 .. D-1, where D is twice the window, but at most L. An answer is the last answer to one
    of 500 sequences.
    """
    key = purpose_key(dynamic.seed, Purpose.EVALUATION)
    positions = jnp.arange(min(config.task.length, 2 * config.task.window))
    # The key of the weights draws the initial ones again: nothing is kept for this.
    untrained = init_params(network, purpose_key(dynamic.seed, Purpose.WEIGHTS))
    return {
        name: token_by_token.follows(config, network, weights, key, positions, WINDOWS)
        for name, weights in {"trained": params, "untrained": untrained}.items()
    }


def probe(config: RunConfig, network: Network, dynamic: DynamicParams, params: Params) -> Measured:
    """Return the accuracy of linear probes for x(t-d), d = 0 .. 8, on states around a row.

    t is the time at which the row ends.

    before   `[9]`, on the state from which the row starts
    after    `[9]`, on the state at the end of the row
    network  the accuracy of the network itself on rows of the evaluation that end at equal times

    A probe is fitted to 1,000 sequences and tested on 1,000 others. Rows with t below 8 are left
    out.
    """
    counters = jnp.arange(2 * PROBED)
    tokens = draw_sequences(dynamic.seed, Purpose.EVALUATION, counters, config.task)
    states = jax.vmap(lambda x: states_around(config, network, dynamic, params, x))(tokens)
    times = np.asarray(config.task.row_times)
    late = np.flatnonzero(times >= PROBE_LAGS - 1)  # rows with all these values before them

    def at_lag(states: jax.Array, lag: jax.Array) -> jax.Array:
        """Return the accuracy of a probe of `states` for the value `lag` steps back."""
        # fitted to the first half of the sequences, tested on the second
        (fit, trial), (fit_values, trial_values) = (
            x.reshape(2, PROBED * len(late), *x.shape[2:])
            for x in (states[:, late], tokens[:, times[late] - lag])
        )
        fitted = linear_discriminant.fit(fit, fit_values, config.task.vocab_size)
        return linear_discriminant.accuracy(fitted, trial, trial_values)

    lags = jnp.arange(PROBE_LAGS)
    by_row = evaluate(config, network, dynamic, params).accuracy_by_position
    return {
        "network": jnp.mean(by_row[late]),
        "before": jax.lax.map(lambda lag: at_lag(states.before, lag), lags),
        "after": jax.lax.map(lambda lag: at_lag(states.after, lag), lags),
    }


def newest(config: RunConfig, network: Network, dynamic: DynamicParams, params: Params) -> Measured:
    """Return the variance of the states after rows, and the part that the newest value explains.

    variance   the variance of the states over the rows
    explained  the variance over the rows of the mean state that belongs to a row's newest value

    The newest value is the value fed last. Both results are sums over all numbers of the state.
    """
    tokens = draw_sequences(dynamic.seed, Purpose.EVALUATION, jnp.arange(PROBED), config.task)
    times = np.asarray(config.task.row_times)
    states = jax.vmap(lambda x: states_around(config, network, dynamic, params, x).after)(tokens)
    states = states.reshape(-1, states.shape[-1])
    fed = jax.nn.one_hot(tokens[:, times].reshape(-1), config.task.vocab_size)
    means = fed.T @ states / jnp.maximum(fed.sum(axis=0), 1)[:, None]
    return {
        "variance": jnp.sum(jnp.var(states, axis=0)),
        "explained": jnp.sum(jnp.var(fed @ means, axis=0)),
    }


def fed_back(
    config: RunConfig, network: Network, dynamic: DynamicParams, params: Params
) -> Measured:
    """Return measures of 200 answers that are fed back: each answer is the next input.

    answers   int32 `[50]`, the first answers after the first of 100 starts
    distinct  `[8]`, the number of different values in each block of 25 answers, the mean over the
              starts
    repeats   the share of the starts whose last 50 answers have a period of 25 or less

    A start is a sequence of L random integers that is fed before the first answer.
    """
    # Sequences of the evaluation fold in their numbers from 0 on, so this one is nobody else's.
    key = jax.random.fold_in(purpose_key(dynamic.seed, Purpose.EVALUATION), 2**31 - 1)
    vocab_size = config.task.vocab_size
    start = uniform_tokens(key, (STARTS, config.task.length), vocab_size)

    def go_on(tokens: jax.Array) -> jax.Array:
        """Return the fed-back answers `[FED_BACK]` after one random sequence."""
        first = token_by_token.start(config, network, params)
        state, answers = token_by_token.feed(config, network, params, first, tokens)

        def step(memory: tuple, _: None) -> tuple[tuple, jax.Array]:
            state, token = memory
            state, answer = token_by_token.step(config, network, params, state, token)
            return (state, answer.token), token

        return jax.lax.scan(step, (state, answers.token[-1]), None, FED_BACK)[1]

    answers = jax.vmap(go_on)(start)
    stretches = answers.reshape(STARTS, -1, STRETCH)
    there = jax.nn.one_hot(stretches, vocab_size).max(axis=2).sum(axis=2)
    last = answers[:, -2 * STRETCH :]
    periodic = [jnp.all(last[:, p:] == last[:, :-p], axis=1) for p in range(1, STRETCH + 1)]
    return {
        "answers": answers[0, :50],
        "distinct": jnp.mean(there, axis=0),
        "repeats": jnp.mean(jnp.any(jnp.stack(periodic), axis=0)),
    }


MEASURES: dict[str, Callable[[RunConfig, Network, DynamicParams, Params], Measured]] = {
    measure.__name__: measure
    for measure in (other_state, rows_apart, follows, probe, newest, fed_back)
}
