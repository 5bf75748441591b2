"""The studies: each a question about the echo task, and the grid that answers it. No jax here.

To add a study, add an entry to `STUDIES`: a name, a question, its grid points. Its published answer
is a paragraph of docs/results/answers.md.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from echo_jax.cell_names import name_shown
from echo_jax.config import BLOCK_PREFIX, PARTS, changed
from echo_jax.echo.studies.grid_point import Axes, GridPoint, Label, axis, grid
from echo_jax.exceptions import ConfigError

SCORES = ("accuracy", "chance", "recalled bits", "reached 99%", "sequences to 99%")
"""The columns that suit nearly every study."""

TUTORIAL_SEQUENCES = {2: 500, 4: 2000}  # in training, of the parts 2 and 4 of the tutorial
LONGER = 5  # times as many sequences as in the tutorial
MAX_UPDATES = 8000  # of a grid point of `lags` and `length`: as many as part 4 of the tutorial has
VOCABULARY_SEQUENCES = 4000  # of a grid point of `vocabulary`; each is one update of 20 rows
ADVISED_SEEDS = 10  # of `advice`: the least p (Holm) of its 8 comparisons is then 0.016
TIMED_SEQUENCES = 800  # where only the time is measured: two chunks, the second is timed


@dataclasses.dataclass(frozen=True)
class Chart:
    """The kind of a study's figure, and its axes.

    dots    the score y of every grid point, with its interval; points that differ only in the
            labels `series` share a row
    lines   the score y over the label x, a line for each combination of the labels `series`
    curves  the accuracy by position, or a measure by place, a line for each grid point and score
    """

    kind: Literal["dots", "lines", "curves"] = "dots"
    y: str = "accuracy"  # a score, see `result_rows.scores`; of curves several, separated by commas
    x: str = ""  # the label on the horizontal axis, or the name of the places
    series: str = ""  # labels, separated by commas
    name: Callable[[Mapping[str, Any]], str] | None = None  # of a line, by its labels
    log_x: bool = False
    raised: bool = False  # lines are drawn above one another, as some are equal
    leave_out: Callable[[Mapping[str, Any]], bool] = lambda _: False  # labels that are not drawn


@dataclasses.dataclass(frozen=True)
class Study:
    """A question, the grid points that answer it, and how the answer is presented."""

    question: str
    points: tuple[GridPoint, ...]
    columns: tuple[str, ...] = SCORES  # after the labels, names of `study_tables.COLUMNS`
    chart: Chart = Chart()
    pairs: tuple[tuple[str, str], ...] = ()  # names of points compared seed by seed, 2nd with 1st
    compared: tuple[str, ...] = ("accuracy",)  # the scores in which they are compared


CURRENT, NO_CONTEXT, CONTEXT = (
    changed(PARTS[part], seeds=16) for part in ("current", "no-context", "context")
)
STATELESS = changed(CONTEXT, stateful=False)
EIGHT_SEEDS = changed(STATELESS, seeds=8)
STREAMS = changed(CONTEXT, layout="streams", sequences=4000)


def _mistake() -> Iterable[GridPoint]:
    def point(batch: int, back: Label, **fields: Any) -> GridPoint:
        config = changed(NO_CONTEXT, batch_size=batch, **fields)
        return GridPoint({"batch": batch, "batches back": back}, config, ("probe",))

    yield point(6, 1)
    yield point(6, "all", bptt_batches=4)
    for back in (1, 2, 4):
        yield point(1, back, bptt_batches=back)
    yield point(1, "all", bptt_batches=24)
    yield point(1, "1, 5 times as long", sequences=10_000)
    yield point(1, "untrained", sequences=1, learning_rate=1e-30)


def _line_of_mistake(at: Mapping[str, Any]) -> str:
    batches = f"batches of {at['batch']}"
    if (at["batch"], at["batches back"]) == (6, 1):
        return f"part 3 ({batches})"
    if at["batches back"] == "untrained":
        return f"{batches}, untrained"
    if isinstance(at["batches back"], str) and at["batches back"] != "all":
        return f"{batches}, 5 times as long"
    if at["batches back"] == 1:
        return batches
    return f"{batches}, gradient through {at['batches back']} batches"


TANH_200 = {"cell": "simple", "hidden_size": 200, "learning_rate": 0.0003}
AT = (1, 20, 50, 100, 200, 500, 1000, 2000)  # sequences at which `keeping` looks at a network
FEWER = (1, 100, 500, 2000)
FIRST_WEIGHTS = "echo_jax.cells.known_memory:FirstWeights"
KEEPING: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "LSTM": ({}, (*AT, 8000)),
    "LSTM, frozen": ({"frozen": True}, (*FEWER, 8000)),
    "LSTM, asked for the current value": ({"lag": 0}, (*FEWER, 8000)),
    "tanh RNN of 200 units": (TANH_200, (*AT, 4000, 8000, 16_000)),
    "tanh RNN of 200 units, frozen": (TANH_200 | {"frozen": True}, (*FEWER, 8000, 16_000)),
    "LSTM, state made by its first weights": ({"cell": FIRST_WEIGHTS}, (500, 2000, 8000)),
    "LSTM, asked for the next value": ({"lag": -1}, (2000, 8000)),
    "LSTM, lag 2": ({"lag": 2}, (2000,)),
    "LSTM, lag 3": ({"lag": 3}, (2000,)),
    "tanh RNN": ({"cell": "simple"}, (2000,)),
    "tanh RNN, frozen": ({"cell": "simple", "frozen": True}, (2000,)),
    "tanh RNN, 10 values": ({"cell": "simple", "vocab_size": 10}, (2000, 8000)),
    "LSTM of 200 units": (TANH_200 | {"cell": "lstm"}, (2000,)),
    "LSTM, rate 0.0001": ({"learning_rate": 0.0001}, (2000, 8000)),
    "GRU": ({"cell": "gru"}, (2000,)),
    "GRU of 200 units": (TANH_200 | {"cell": "gru"}, (2000, 8000)),
    "LRU": ({"cell": "lru"}, (2000,)),
    "LSTM in a block": ({"cell": "block:lstm"}, (2000, 8000)),
}
"""The networks of `keeping`, by name: the fields that differ from part 3 with batches of 1, and
the numbers of training sequences. The gradient is cut after each value."""


def _keeping() -> Iterable[GridPoint]:
    for network, (fields, at) in KEEPING.items():
        for sequences in at:
            config = changed(NO_CONTEXT, batch_size=1, seeds=8, sequences=sequences, **fields)
            labels: dict[str, Label] = {"network": network, "sequences": sequences}
            yield GridPoint(labels, config, ("probe", "newest"))


def _state() -> Iterable[GridPoint]:
    for window, lag, batch in ((5, 1, 5), (5, 5, 5), (2, 1, 5), (2, 2, 5), (2, 1, 1), (2, 2, 1)):
        fields = {"window": window, "lag": lag, "batch": batch}
        base = changed(CONTEXT, window=window, lag=lag, batch_size=batch)
        zero = changed(base, stateful=False)
        yield GridPoint(fields | {"state": "zero"}, zero, ("other_state",))
        yield GridPoint(fields | {"state": "carried"}, base, ("other_state", "probe"))


STATE = tuple(_state())
MISSING = {
    "extra token": {"layout": "prefixes", "missing": "token"},
    "masked": {"layout": "prefixes"},
    "rows removed": {},
}
CONTEXTS = {"window of 5": {}, "all so far": {"layout": "prefixes", "window": 25}}
FRAMINGS = {"classes": {}, "values in [0, 1]": {"framing": "values"}}


def _lags() -> Iterable[GridPoint]:
    axes = {
        "window": axis("window", 5, 10, 21),
        "hidden": axis("hidden_size", 20, 50, 100),
        "lag": axis("lag", *range(21)),
    }
    for point in grid(EIGHT_SEEDS, axes, until_learned=True):
        sequences = MAX_UPDATES // point.config.task.updates_per_sequence
        config = changed(point.config, sequences=sequences)
        yield dataclasses.replace(point, config=config)


def _streams() -> Iterable[GridPoint]:
    longer = {"window": 25, "sequences": LONGER * STREAMS.training.sequences}
    for lag in (1, 2, 3, 5, 7, 10, 15, 20):
        kinds: dict[str, dict] = {"chunks of 5": {}, "whole sequences": {"window": 25}}
        if lag in (1, 5, 10):
            kinds["chunks of 5, gradient through all"] = {"bptt_batches": 5}
            kinds["whole sequences, 5 times as many"] = longer
        for trained_on, fields in kinds.items():
            config = changed(STREAMS, seeds=8, lag=lag, **fields)
            yield GridPoint({"trained on": trained_on, "lag": lag}, config)


def _mlp() -> Iterable[GridPoint]:
    mlp = {"cell": "mlp", "hidden_size": 58}
    windows: dict[str, dict] = {"LSTM": {}, "MLP": mlp}
    stream = windows | {
        "MLP": mlp | {"hidden_size": 175, "delay_line": 1},
        "MLP with a delay line of 5": mlp | {"delay_line": 5},
    }
    for base, sees, networks, lags in (
        (STATELESS, {"windows of 5": {}}, windows, (1, 4, 5)),
        (STREAMS, {"one value at a time": {"window": 25}}, stream, (1, 5)),
    ):
        for lag in lags:
            yield from grid(base, {"sees": sees, "network": networks, "lag": axis("lag", lag)})


INPUTS: dict[str, dict[str, Any]] = {
    "one-hot": {},
    "embedding of 64": {"encoding": "embedding"},
    "embedding of 64, tied": {"encoding": "embedding", "tied": True},
}


def _vocabulary() -> Iterable[GridPoint]:
    base = changed(EIGHT_SEEDS, hidden_size=128, batch_size=20, learning_rate=3e-3)
    base = changed(base, sequences=VOCABULARY_SEQUENCES)
    for values in (2, 10, 100, 1000):
        axes: Axes = {"values": axis("vocab_size", values), "input": INPUTS}
        yield from grid(base, axes)
    time_alone = {"seeds": 2, "sequences": TIMED_SEQUENCES}
    for values, sequences in ((10_000, 6000), (50_000, 8000)):
        large = changed(base, vocab_size=values, evaluation_sequences=50)
        for name, fields in INPUTS.items():
            tied = "tied" in fields
            config = changed(large, **fields, **({"sequences": sequences} if tied else time_alone))
            label = name if tied else f"{name}, time alone"
            yield GridPoint({"values": values, "input": label}, config, until_learned=tied)


def _length() -> Iterable[GridPoint]:
    for length in (5, 6, 8, 10, 25, 50, 100, 250, 1000):
        viable = length - 4  # windows of 5, lag 1
        batch = min(5, viable)
        config = changed(CONTEXT, length=length, batch_size=batch, seeds=8)
        labels = {"length": length, "viable rows": viable, "batch": batch}
        labels["rows used"] = len(config.task.row_times)
        config = changed(config, sequences=MAX_UPDATES // config.task.updates_per_sequence)
        yield GridPoint(labels, config)


def _size() -> Iterable[GridPoint]:
    sizes = {2: (1, 2, 3, 4, 6, 8, 10, 12, 15), 4: (2, 5, 8, 10, 15, 20, 30, 40, 50)}
    counts = {2: (100, 150, 200, 300, 400), 4: (500, 1000, 1250, 1500, 1750)}
    longer = {2: (2, 3, 4, 6, 8), 4: (8, 15, 20, 30)}
    for part, whole in TUTORIAL_SEQUENCES.items():
        sized = [(hidden, whole) for hidden in sizes[part]]
        sized += [(sizes[part][-1], sequences) for sequences in counts[part]]
        sized += [(hidden, LONGER * whole) for hidden in longer[part]]
        for hidden, sequences in sized:
            labels = {"part": part, "hidden": hidden, "sequences": sequences}
            base = {2: CURRENT, 4: CONTEXT}[part]
            config = changed(base, hidden_size=hidden, sequences=sequences, seeds=8)
            yield GridPoint(labels, config)


MISSED: Mapping[str, tuple[dict[str, Any], tuple[dict[str, Any], ...]]] = {
    "lag 3": ({"lag": 3}, ({"stateful": False}, {"sequences": 6000})),
    "lag 3 with a GRU": ({"lag": 3, "cell": "gru"}, ({"stateful": False},)),
    "lag 5": ({"lag": 5}, ({"window": 6, "stateful": False}, {"bptt_batches": 2})),
    "lag 9 in a window of 10": (
        {"lag": 9, "window": 10, "stateful": False}, ({"learning_rate": 0.003},)
    ),
    "a learning rate of 0.0001": ({"learning_rate": 0.0001}, ({"learning_rate": 0.001},)),
    "a learning rate of 0.03": ({"learning_rate": 0.03}, ({"learning_rate": 0.001},)),
}  # fmt: skip
"""Runs that miss their goal, by name: their changes of part 4, and the changes that may help."""


def _advice() -> Iterable[GridPoint]:
    for run, (fields, cures) in MISSED.items():
        for change in ({}, *cures):
            words = [f"{name.replace('_', ' ')} {value}" for name, value in change.items()]
            config = changed(CONTEXT, seeds=ADVISED_SEEDS, **(fields | change))
            yield GridPoint({"run": run, "change": ", ".join(words) or "none"}, config)


ADVICE = tuple(_advice())

COMPARED_CELLS = (
    "lstm", "gru", "simple", "lstm-chrono", "identity-rnn", "mingru", "lru", "minlstm", "rg-lru",
    "slstm", "delta-net", "gated-delta-net", "mlstm", "mamba2", "exprnn", "rwkv7", "lmu", "gla",
    "s5",
)  # fmt: skip
"""The cells that have published rows; add a new cell together with its rows."""


def _cells() -> Iterable[GridPoint]:
    for prefix, used in (("", "alone"), (BLOCK_PREFIX, "in a block")):
        for cell in COMPARED_CELLS:
            config = changed(CONTEXT, seeds=8, cell=f"{prefix}{cell}")
            yield GridPoint({"cell": name_shown(cell), "used": used}, config)


STUDIES: dict[str, Study] = {
    "parts": Study(
        "Do the tutorial's parts come out as it says?",
        (
            GridPoint({"part": "2, the current value"}, CURRENT),
            GridPoint({"part": "3, lag 1, one step at a time"}, NO_CONTEXT),
            GridPoint({"part": "4, lag 1, windows of 5"}, CONTEXT),
        ),
        ("accuracy", "chance", "order-blind", *SCORES[2:]),
    ),
    "mistake": Study(
        "Why did part 3 fail?",
        tuple(_mistake()),
        ("accuracy", "chance", "can be known", "late rows", "recalled bits", "sequences"),
        Chart(
            "curves",
            "probe before",
            "steps back",
            name=_line_of_mistake,
            leave_out=lambda at: (at["batch"], at["batches back"]) in ((1, 4), (6, "all")),
        ),
    ),
    "keeping": Study(
        "What does training learn if the gradient is cut after each value?",
        tuple(_keeping()),
        (
            "accuracy",
            "can be known",
            "recalled bits",
            "in the state before",
            "in the state after",
            "variance of the state",
            "by the newest value",
        ),
        Chart(
            "lines",
            "probe before 1",
            "sequences",
            "network",
            log_x=True,
            raised=True,
            leave_out=lambda at: at["network"] not in tuple(KEEPING)[:5],
        ),
        pairs=tuple(
            (f"network {network}, frozen, sequences 2000", f"network {network}, sequences 2000")
            for network in ("LSTM", "tanh RNN", "tanh RNN of 200 units")
        ),
        compared=("recalled_bits",),
    ),
    "state": Study(
        "Does the carried state help?",
        STATE,
        (*SCORES[:2], "can be known", "recalled bits", "sequences to 99%", "state swapped"),
        Chart(series="state", name=lambda labels: f"state {labels['state']}"),
        pairs=tuple(
            (zero.name, carried.name) for zero, carried in zip(STATE[::2], STATE[1::2], strict=True)
        ),
        compared=("accuracy", "sequences_to_99"),
    ),
    "masking": Study(
        "What to do with missing values?",
        grid(
            changed(STATELESS, batch_size=2),  # keeps every row of each layout but one
            {"lag": axis("lag", 1, 3), "missing values": MISSING},
            measures=("rows_apart",),
        ),
        (*SCORES[:3], "missing", "nothing missing", "sequences to 99%"),
        Chart(series="missing values"),
        pairs=tuple(
            (f"lag {lag}, missing values masked", f"lag {lag}, missing values extra token")
            for lag in (1, 3)
        ),
        compared=("rows_apart missing", "rows_apart full"),
    ),
    "prefix": Study(
        "Does it help to see the whole sequence so far?",
        grid(changed(EIGHT_SEEDS, batch_size=4), {"lag": axis("lag", 1, 5), "context": CONTEXTS}),
        chart=Chart("curves", "accuracy_by_position", "position", "lag,context"),
    ),
    "lags": Study(
        "Can each lag be learned using the same structure?",
        tuple(_lags()),
        (*SCORES, "updates to 99%", "rows to 99%", "seconds"),
        Chart("lines", x="lag", series="window", leave_out=lambda at: at["hidden"] != 50),
    ),
    "streams": Study(
        "Can a whole lagged sequence be echoed, a target at every step?",
        tuple(_streams()),
        ("accuracy", "chance", "recalled bits", "sequences to 99%", "updates", "seconds"),
        Chart("lines", "recalled_bits", "lag", "trained on"),
    ),
    "mlp": Study(
        "What does an LSTM do that an MLP on the window cannot?",
        tuple(_mlp()),
        (*SCORES, "parameters"),
        Chart(series="network"),
        pairs=(
            ("sees windows of 5, network MLP, lag 1", "sees windows of 5, network LSTM, lag 1"),
            ("sees windows of 5, network MLP, lag 5", "sees windows of 5, network LSTM, lag 5"),
            (
                "sees one value at a time, network MLP with a delay line of 5, lag 5",
                "sees one value at a time, network LSTM, lag 5",
            ),
        ),
    ),
    "vocabulary": Study(
        "What if the number of values is two, or extremely large?",
        tuple(_vocabulary()),
        (*SCORES, "seeds", "parameters", "MiB", "\u00b5s an update"),
        Chart(
            "lines",
            "recalled_bits",
            "values",
            "input",
            log_x=True,
            leave_out=lambda at: "time alone" in at["input"],
        ),
    ),
    "length": Study(
        "Which lengths of a sequence work?",
        tuple(_length()),
        ("sequences", *SCORES),
        Chart("lines", "accuracy", "length", log_x=True),
    ),
    "size": Study(
        "How small may the layer be, and how few the sequences?",
        tuple(_size()),
        chart=Chart(
            "lines",
            x="hidden",
            series="part,sequences",
            name=lambda at: f"part {at['part']}, {at['sequences']:,} sequences",
            log_x=True,
            leave_out=lambda at: at["sequences"] < TUTORIAL_SEQUENCES[at["part"]],
        ),
    ),
    "framing": Study(
        "Why classes, and not a regression on values in [0, 1]?",
        grid(CURRENT, {"part": {2: {}}, "framing": FRAMINGS})
        + grid(CONTEXT, {"part": {4: {}}, "framing": FRAMINGS}),
        (*SCORES[:3], "distance", "by chance", "sequences to 99%"),
        Chart(series="framing"),
        pairs=tuple(
            (f"part {part}, framing classes", f"part {part}, framing values in [0, 1]")
            for part in (2, 4)
        ),
        compared=("accuracy", "distance"),
    ),
    "explain": Study(
        "Which input does the answer follow?",
        grid(STATELESS, {"lag": axis("lag", 1, 3)}, measures=("follows",)),
        chart=Chart("curves", "follows trained,follows untrained", "steps back", "lag"),
    ),
    "future": Study(
        "Can the next, future random number be foretold?",
        grid(STATELESS, {"lag": axis("lag", -1, 1)}, measures=("fed_back",)),
        ("accuracy", "chance", "recalled bits", "loss", "answers that repeat"),
        Chart("curves", "fed_back distinct", "answers fed back, in blocks of 25", "lag"),
    ),
    "advice": Study(
        "What helps a run that missed its goal?",
        ADVICE,
        (*SCORES[:2], "can be known", "recalled bits", "sequences to 99%"),
        pairs=tuple(
            (f"run {run}, change none", point.name)
            for run in MISSED
            for point in ADVICE
            if point.labels["run"] == run and point.labels["change"] != "none"
        ),
    ),
    "cells": Study(
        "An LSTM, or something newer?",
        tuple(_cells()),
        (*SCORES[:2], *SCORES[3:], "parameters"),
        Chart(series="used", y="accuracy"),
    ),
}
"""All studies by name, in the order of the page."""


def check_name(name: str) -> None:
    """Raise ConfigError unless `name` is the name of a study."""
    if not (isinstance(name, str) and name in STUDIES):
        close = difflib.get_close_matches(str(name), STUDIES, n=1)
        names = close[0] if close else f"one of {', '.join(STUDIES)}"
        raise ConfigError(None, f"study {name!r}", "is unknown", f"use {names}")
