"""The states of a trained network over time, as a figure: a column a step, a row a unit."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from echo_jax.cells.scan import Carry
from echo_jax.cells.vector_state.lstm import LSTMCarry
from echo_jax.config import RunConfig
from echo_jax.core.network import Params, build_network, unroll
from echo_jax.core.online import EchoState
from echo_jax.exceptions import ConfigError
from echo_jax.report.charts import NotebookFigure
from echo_jax.report.styles import INK, drawing, literal, wrapped

MOST_STEPS = 400
"""Steps that are drawn."""

ANSWERS = 8
"""Answers to a sequence that is drawn at random."""


class Row(NamedTuple):
    """The steps of the network for one answer: T steps, one in streams, else W or fewer.

    tokens  int32 `[T]`, what the steps were fed
    states  name to float32 `[T, units]`, the state after each step
    answer  the value that answers, None where there is none yet
    """

    tokens: np.ndarray
    states: dict[str, np.ndarray]
    answer: Any


def any_values(trained: Any) -> list[Any]:
    """A sequence of values at random, always the same, with ANSWERS answers or fewer."""
    task, vocabulary = trained.config.task, trained.vocabulary
    count = task.target_times.start + max(1, min(ANSWERS, MOST_STEPS // task.window))
    known = np.setdiff1d(np.arange(len(vocabulary)), list(vocabulary.untrained))
    tokens = known[np.random.default_rng(0).integers(len(known), size=count)]
    return list(map(vocabulary.value, tokens.tolist()))


def rows_of(trained: Any, tokens: np.ndarray) -> list[Row]:
    """The rows of a network that is fed tokens, int32 `[N]`; none where a window is not full."""
    state, rows = trained.start(), []
    for place, token in enumerate(tokens):
        after, answer = trained.step(state, token)
        streams = trained.config.task.layout == "streams"
        if answer.exists or streams:
            fed = _fed(trained.config, tokens[: place + 1])
            states = _states(trained.config, trained.source)(
                trained.params, _start_of_row(trained, state), fed
            )
            value = trained.vocabulary.value(int(answer.token)) if answer.exists else None
            rows.append(Row(fed, _named(states), value))
        state = after
    return rows


def figure_of(trained: Any, tokens: np.ndarray) -> NotebookFigure:
    """The strip of all states; ConfigError for too many steps, or where there is no answer yet."""
    task = trained.config.task
    each = 1 if task.layout == "streams" else task.window
    steps = max(len(tokens) - task.target_times.start, 0) * each
    if steps > MOST_STEPS:
        rule = f"are {steps:,} steps, more than {MOST_STEPS}"
        raise ConfigError(None, f"{len(tokens):,} values", rule, "use fewer")
    rows = rows_of(trained, tokens)
    if all(row.answer is None for row in rows):
        rule, fix = "are too few for an answer", f"use {task.target_times.start + 1} or more"
        raise ConfigError(None, f"{len(tokens)} values", rule, fix)
    with drawing():
        return _drawn(trained, rows)


def _drawn(trained: Any, rows: Sequence[Row]) -> NotebookFigure:
    """A panel a kind of state; a block is a row, with its answer below."""
    gap = int(max(len(row.tokens) for row in rows) > 1)
    columns = sum(len(row.tokens) + gap for row in rows)
    width, names = min(24.0, max(6.0, 0.28 * columns)), list(rows[0].states)
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


def _label(panels: Sequence[Any], rows: Sequence[Row], values: Sequence[str], gap: int) -> None:
    """The inputs of the steps, above; the answers, below."""
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


def _fed(config: RunConfig, tokens: np.ndarray) -> np.ndarray:
    """The tokens of the row that ends with the last of the tokens so far."""
    task = config.task
    if task.layout == "streams":
        return tokens[-1:]
    row = tokens[-task.window :]
    if task.missing == "token":
        return np.pad(row, (task.window - len(row), 0), constant_values=task.vocab_size)
    return row


def _start_of_row(trained: Any, state: EchoState) -> Carry:
    """The state of one row that the next token starts from, `[1, ...]`."""
    config = trained.config
    goes_on = config.task.layout == "streams" and int(state.phase) != 0
    if config.network.stateful or goes_on:
        return jax.tree.map(lambda leaf: leaf[:1], state.carry)
    return build_network(config).initial_state(trained.params, 1)


@functools.cache
def _states(config: RunConfig, source: str | None) -> Any:
    """The compiled states after each of T tokens: params, `[1, ...]`, `[T]` to `[T, ...]`."""
    del source  # of a user's cell, so that another text of it is another program
    network = build_network(config)

    @jax.jit
    def states(params: Params, carry: Carry, tokens: Any) -> Carry:
        """The carries, stacked over time."""

        def step(carry: Carry, token: Any) -> tuple[Carry, Carry]:
            carry, _ = unroll(network, params, carry, token[None, None], None)
            return carry, carry

        return jax.lax.scan(step, carry, tokens)[1]

    return states


def _named(states: Carry) -> dict[str, np.ndarray]:
    """The arrays of a state by name, each `[T, units]`; of an LSTM c and h."""
    if isinstance(states, LSTMCarry):
        states = {"c": states.cell, "h": states.hidden}
    named = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(states):
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "state"
        named[name] = np.abs(leaf) if np.iscomplexobj(leaf) else np.asarray(leaf)
    return {name: leaf.reshape(len(leaf), -1) for name, leaf in named.items()}
