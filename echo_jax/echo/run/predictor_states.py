"""What the states of a trained network show: a figure of the states, and the bits they tell."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from echo_jax import machine
from echo_jax.cells.interface import Carry
from echo_jax.cells.vector_state.lstm import LSTMCarry
from echo_jax.echo import token_by_token
from echo_jax.echo.run.run_folder import TOKENS
from echo_jax.exceptions import ConfigError
from echo_jax.learner import network
from echo_jax.learner.random_tokens import Purpose, purpose_key
from echo_jax.probing.checked_streams import FITTED, LEAST_STREAMS, least_examples
from echo_jax.probing.probe_call import probe
from echo_jax.report.charts import NotebookFigure
from echo_jax.report.styles import INK, drawing, literal, wrapped

MOST_STEPS = 400
"""The most steps that a figure draws."""

ASKED = 32
"""The number of rows of a stream at whose ends heads read the state."""

STREAMS = 512, 2048
"""The fewest and the most streams; between these, 1.5 examples are fitted per weight of a head.

The user's own values may give fewer streams."""


class FedRow(NamedTuple):
    """The steps of the network for one answer: one step in streams, otherwise up to W steps."""

    tokens: np.ndarray  # int32 [T], what the steps were fed
    states: dict[str, np.ndarray]  # name to float32 [T, units], after each step
    answer: Any  # None where there is none yet


def any_values(trained: Any) -> list[Any]:
    """Return random values for the network `trained`, equal in each call, with up to 8 answers."""
    task = trained.config.task
    vocabulary = trained.vocabulary
    count = task.target_times.start + max(1, min(8, MOST_STEPS // task.window))
    known = np.setdiff1d(np.arange(len(vocabulary)), list(vocabulary.untrained))
    tokens = known[np.random.default_rng(0).integers(len(known), size=count)]
    return list(map(vocabulary.value, tokens.tolist()))


def rows_of(trained: Any, tokens: np.ndarray) -> list[FedRow]:
    """Feed `tokens`, int32 `[N]`, to the network `trained`, and return the rows that they complete.

    In streams every token completes a row. In other layouts, a token completes a row if the network
    answers after it.
    """
    state = trained.start()
    steps_of = trained.compiled(token_by_token.steps)
    rows = []
    for token in tokens:
        after, answer = trained.step(state, token)
        if answer.exists or trained.config.task.in_streams:
            fed, states = steps_of(trained.params, state, token)
            value = trained.vocabulary.value(int(answer.token)) if answer.exists else None
            there = np.asarray(fed.mask)
            named = {name: leaf[there] for name, leaf in _named(states).items()}
            rows.append(FedRow(np.asarray(fed.inputs)[there], named, value))
        state = after
    return rows


def figure_of(trained: Any, tokens: np.ndarray) -> NotebookFigure:
    """Return the figure of all states of the network `trained` over `tokens`, int32 `[N]`.

    Raises ConfigError if there are more than MOST_STEPS steps, or no answer.
    """
    task = trained.config.task
    each = 1 if task.in_streams else task.window
    steps = max(len(tokens) - task.target_times.start, 0) * each
    if steps > MOST_STEPS:
        rule = f"take {steps:,} steps, more than {MOST_STEPS}"
        raise ConfigError(None, f"{len(tokens):,} values", rule, "use fewer values")
    rows = rows_of(trained, tokens)
    if all(row.answer is None for row in rows):
        fix = f"use {task.target_times.start + 1} or more"
        raise ConfigError(None, f"{len(tokens)} values", "are too few for an answer", fix)
    with drawing():
        return _drawn(trained, rows)


def _drawn(trained: Any, rows: Sequence[FedRow]) -> NotebookFigure:
    gap = int(max(len(row.tokens) for row in rows) > 1)
    columns = sum(len(row.tokens) + gap for row in rows)
    width = min(24.0, max(6.0, 0.28 * columns))
    names = list(rows[0].states)
    figure = NotebookFigure(figsize=(width, 1.2 + 2 * len(names)), dpi=100, layout="constrained")
    figure.suptitle(wrapped(repr(trained), int(11 * width)), fontsize=11, color=INK)
    panels = figure.subplots(len(names), 1, squeeze=False)[:, 0].tolist()
    for name, axes in zip(names, panels, strict=True):
        blocks = [np.pad(r.states[name], ((0, gap), (0, 0)), constant_values=np.nan) for r in rows]
        strip = np.concatenate(blocks)
        largest = float(np.nanmax(np.abs(strip))) or 1.0
        shades = {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
        image = axes.imshow(strip.T, **shades, aspect="auto", interpolation="nearest")
        figure.colorbar(image, ax=axes, pad=0.01)
        axes.set_ylabel(f"{name}, unit")
        axes.spines[:].set_visible(False)
        axes.set_xticks([])
    _label(panels, rows, trained.vocabulary.values, gap)
    return figure


def _label(panels: Sequence[Any], rows: Sequence[FedRow], values: Sequence[str], gap: int) -> None:
    sizes = np.array([len(row.tokens) for row in rows])
    starts = np.cumsum(sizes + gap) - sizes - gap
    places = [start + np.arange(size) for start, size in zip(starts, sizes, strict=True)]
    tokens = np.concatenate([row.tokens for row in rows])
    fed = [literal(values[token]) if token < len(values) else "-" for token in tokens]
    above = panels[0].secondary_xaxis("top")
    above.set_xticks(np.concatenate(places), fed, fontsize=8)
    above.set_xlabel("fed")
    above.spines[:].set_visible(False)
    answers = ["" if row.answer is None else literal(str(row.answer)) for row in rows]
    panels[-1].set_xticks(starts + (sizes - 1) / 2, answers, fontsize=8)
    panels[-1].set_xlabel("answer")


def _named(states: Carry) -> dict[str, np.ndarray]:
    """Return the arrays of `states` by name, each `[T, units]`; for an LSTM c and h.

    Complex numbers are replaced by their magnitudes.
    """
    if isinstance(states, LSTMCarry):
        states = {"c": states.cell, "h": states.hidden}
    named = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(states):
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "state"
        named[name] = np.abs(leaf) if np.iscomplexobj(leaf) else np.asarray(leaf)
    return {name: leaf.reshape(len(leaf), -1) for name, leaf in named.items()}


def memory_of(trained: Any, lags: int | None) -> Any:
    """Return the `ProbeResult` of the `TrainedNetwork` `trained`.

    The result has the bits that the network's state holds about earlier values, by lag, before and
    after training. The network is fed streams of random values, or of the user's own values in
    order, and heads read its state at the end of ASKED rows of each stream. The last 15% of the
    streams are scored; the 15% before them choose the penalty on the heads' weights. `lags` is the
    number of lags, by default 2 max(W, n + 1), for the window W and the lag n of the task.
    """
    task = trained.config.task
    lags = lags or 2 * max(task.window, task.lag + 1)
    first = max(lags, task.target_times.start)
    of_stream = functools.partial(token_by_token.states, trained.config, trained.network)
    numbers = jax.eval_shape(of_stream, trained.params, np.zeros(1, np.int32)).shape[-1]
    tokens = streams_of(trained, first + ASKED, numbers)
    states = jax.jit(lambda params: jax.lax.map(functools.partial(of_stream, params), tokens))
    key = purpose_key(trained.seed, Purpose.WEIGHTS)
    untrained = network.init_params(trained.network, key)
    asked = range(first, first + ASKED)
    before = states(untrained)
    return probe(states(trained.params), tokens, lags, at=asked, untrained=before)


def streams_of(trained: Any, length: int, numbers: int) -> np.ndarray:
    """Return the streams that `memory_of` feeds to `trained`, int32 `[streams, length]`.

    The streams are random, or evenly spaced parts of the user's data. Raises ConfigError if there
    are too few streams to fit heads on a state of `numbers` numbers, or if the user's data could
    not be read.
    """
    classes = trained.config.task.vocab_size
    fewest, most = STREAMS
    wanted = int(np.clip(1.5 * classes * numbers / FITTED / ASKED, fewest, most))
    own = trained.config.data.file is not None
    if own and trained.tokens is None:
        fix = f"restore {TOKENS}, or train the run again"
        raise ConfigError(None, "the values of this run", "cannot be read", fix)
    count = min(wanted, len(trained.tokens) // length) if own else wanted
    needed = max(least_examples(numbers, classes) / FITTED / ASKED, LEAST_STREAMS)
    if count < needed:
        rule = (
            f"can be measured on only {count:,} streams of {length} values, but heads on "
            f"{numbers:,} numbers of a state and {classes:,} different values need {needed:,.0f} "
            "streams"
        )
        fix = "use more values, a smaller {hidden_size} or, in Python, fewer lags"
        if not own:
            fix = "use a smaller {hidden_size} or {vocab_size}"
        raise ConfigError(None, "the network", rule, fix)
    machine.check_memory(2 * 4 * count * length * numbers, "use fewer lags")
    if not own:
        return np.random.default_rng(0).integers(classes, size=(count, length), dtype=np.int32)
    whole = len(trained.tokens) // length
    streams = np.asarray(trained.tokens[: whole * length]).reshape(whole, length)
    return streams[np.unique(np.linspace(0, whole - 1, count, dtype=int))]
