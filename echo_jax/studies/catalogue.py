"""The studies: each a question about the echo task, and the grid that answers it. No jax here.

To add a study, add an entry to `STUDIES`: a name, a question, its grid points. Its published answer
is a paragraph of docs/studies.md.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from echo_jax.cell_table import CELLS
from echo_jax.config import BLOCK, PARTS, changed
from echo_jax.studies.grid_point import Axes, GridPoint, Label, axis, grid

FAST_SEEDS, FAST_SEQUENCES = 4, 2000
"""The most seeds and the most training sequences of a grid point with --fast."""

SCORES = ("accuracy", "chance", "recalled bits", "reached 99%", "sequences to 99%")
"""Columns that suit nearly every study."""

TUTORIAL_SEQUENCES = {2: 500, 4: 2000}
"""Training sequences of the parts 2 and 4 of the tutorial."""

LONGER = 5  # times as many sequences as in the tutorial
MAX_UPDATES = 8000  # of a grid point of `lags` and `length`: as many as part 4 of the tutorial has
VOCABULARY_SEQUENCES = 4000  # of a grid point of `vocabulary`; each is one update of 20 rows
ADVISED_SEEDS = 10  # of `advice`: the least p (Holm) of its 8 comparisons is then 0.016
TIMED_SEQUENCES = 800  # where only the time is measured: two chunks, the second is timed


@dataclasses.dataclass(frozen=True)
class Chart:
    """The kind of the figure of a study, and its axes.

    dots    y of every grid point, median and interval; those that differ in `series` in one row
    lines   y over the label x, a line for each combination of the labels `series`
    heat    y over the labels x and `up`, a map for each combination of the labels `series`
    curves  over places, the accuracy by position or what a measure finds, a line per grid point
    strips  the same for one or several scores, a row of fields for each
    """

    kind: Literal["dots", "lines", "heat", "curves", "strips"] = "dots"
    y: str = "accuracy"  # a score, as in `scores.scores`; for strips several, separated by commas
    x: str = ""  # the label on the horizontal axis, or the name of the places
    series: str = ""  # labels, separated by commas
    name: Callable[[Mapping[str, Any]], str] | None = None  # of a line, by its labels
    up: str = ""  # the label on the vertical axis of a map
    log_x: bool = False
    asked: int | None = None  # of strips, the place that the network is asked for
    leave_out: Callable[[Mapping[str, Any]], bool] = lambda _: False  # labels that are not drawn


@dataclasses.dataclass(frozen=True)
class Study:
    """A question, the grid points that answer it, and how the answer is presented.

    pairs     names of grid points that are compared seed by seed, the second with the first
    compared  the scores in which they are compared
    """

    question: str
    points: tuple[GridPoint, ...]
    columns: tuple[str, ...] = SCORES  # after the labels, names of `study_tables.COLUMNS`
    chart: Chart = Chart()
    pairs: tuple[tuple[str, str], ...] = ()
    compared: tuple[str, ...] = ("accuracy",)
    notes: tuple[str, ...] = ()  # paragraphs that explain the tables and the figure


def fast(study: Study) -> Study:
    """The same study with fewer seeds, fewer grid points and at most FAST_SEQUENCES sequences."""
    points = []
    for point in study.points:
        if point.in_fast:
            seeds = min(point.config.seeds, FAST_SEEDS)
            sequences = min(point.config.training.sequences, FAST_SEQUENCES)
            config = changed(point.config, seeds=seeds, sequences=sequences)
            points.append(dataclasses.replace(point, config=config))
    names = {point.name for point in points}
    pairs = tuple(pair for pair in study.pairs if names.issuperset(pair))
    note = (
        "Made with --fast: fewer seeds, a smaller grid and at most 2,000 sequences. It is a first "
        "look and supports no claim."
    )
    notes = (note, *study.notes)
    return dataclasses.replace(study, points=tuple(points), pairs=pairs, notes=notes)


CURRENT, NO_CONTEXT, CONTEXT = (
    changed(PARTS[part], seeds=16) for part in ("current", "no-context", "context")
)
STATELESS = changed(CONTEXT, stateful=False)
EIGHT_SEEDS = changed(STATELESS, seeds=8)
STREAMS = changed(CONTEXT, layout="streams", sequences=4000)

STATELESS_NOTE = (
    "Every batch starts from a zero state (stateless), also where the tutorial carries the state."
)


def _mistake() -> Iterable[GridPoint]:
    def point(batch: int, back: Label, in_fast: bool = True, **fields: Any) -> GridPoint:
        config = changed(NO_CONTEXT, batch_size=batch, **fields)
        return GridPoint({"batch": batch, "batches back": back}, config, ("probe",), False, in_fast)

    yield point(6, 1)
    yield point(6, "all", bptt_batches=4)
    for back in (1, 2, 4):
        yield point(1, back, bptt_batches=back)
    yield point(1, "all", bptt_batches=24)
    yield point(1, "1, 5 times as long", in_fast=False, sequences=10_000)
    yield point(1, "untrained", sequences=1, learning_rate=1e-30)


def _line_of_mistake(at: Mapping[str, Any]) -> str:
    """A line of the figure: what differs from part 3, in words."""
    batches = f"batches of {at['batch']}"
    if (at["batch"], at["batches back"]) == (6, 1):
        return f"part 3 ({batches})"
    if at["batches back"] == "untrained":
        return f"{batches}, untrained"
    if isinstance(at["batches back"], str) and at["batches back"] != "all":
        return f"{batches}, 5 times as long"
    through = f", gradient through {at['batches back']} batches"
    return batches + through * (at["batches back"] != 1)


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
        in_fast = point.labels["lag"] in (0, 1, 4, 5, 20) and point.labels["hidden"] != 100
        yield dataclasses.replace(point, config=config, in_fast=in_fast)


def _streams() -> Iterable[GridPoint]:
    longer = {"window": 25, "sequences": LONGER * STREAMS.training.sequences}
    for lag in (1, 2, 3, 5, 7, 10, 15, 20):
        some = lag in (1, 5, 10)
        kinds = [("chunks of 5", some, {}), ("whole sequences", some, {"window": 25})]
        if some:
            kinds.append(("chunks of 5, gradient through all", lag == 5, {"bptt_batches": 5}))
            kinds.append(("whole sequences, 5 times as many", False, longer))
        for trained_on, in_fast, fields in kinds:
            config = changed(STREAMS, seeds=8, lag=lag, **fields)
            yield GridPoint({"trained on": trained_on, "lag": lag}, config, in_fast=in_fast)


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
        yield from grid(base, axes, in_fast=values != 10)
    time_alone = {"seeds": 2, "sequences": TIMED_SEQUENCES}
    for values, sequences in ((10_000, 6000), (50_000, 8000)):
        large = changed(base, vocab_size=values, evaluation_sequences=50)
        for name, fields in INPUTS.items():
            tied = "tied" in fields
            config = changed(large, **fields, **({"sequences": sequences} if tied else time_alone))
            label = name if tied else f"{name}, time alone"
            yield GridPoint({"values": values, "input": label}, config, (), tied, in_fast=False)


def _length() -> Iterable[GridPoint]:
    for length in (5, 6, 8, 10, 25, 50, 100, 250, 1000):
        viable = length - 4  # windows of 5, lag 1
        batch = min(5, viable)
        config = changed(CONTEXT, length=length, batch_size=batch, seeds=8)
        labels = {"length": length, "viable rows": viable, "batch": batch}
        labels["rows used"] = len(config.task.row_times)
        config = changed(config, sequences=MAX_UPDATES // config.task.updates_per_sequence)
        yield GridPoint(labels, config, in_fast=length in (5, 6, 25, 1000))


def _size() -> Iterable[GridPoint]:
    sizes = {2: (1, 2, 3, 4, 6, 8, 10, 12, 15), 4: (2, 5, 8, 10, 15, 20, 30, 40, 50)}
    counts = {2: (100, 150, 200, 300, 400), 4: (500, 1000, 1250, 1500, 1750)}
    longer = {2: (2, 3, 4, 6, 8), 4: (8, 15, 20, 30)}
    for part, whole in TUTORIAL_SEQUENCES.items():
        most, middle = sizes[part][-1], counts[part][2]
        sized = [(hidden, whole, hidden in sizes[part][::3]) for hidden in sizes[part]]
        sized += [(most, sequences, sequences == middle) for sequences in counts[part]]
        sized += [(hidden, LONGER * whole, False) for hidden in longer[part]]
        for hidden, sequences, in_fast in sized:
            labels = {"part": part, "hidden": hidden, "sequences": sequences}
            base = {2: CURRENT, 4: CONTEXT}[part]
            config = changed(base, hidden_size=hidden, sequences=sequences, seeds=8)
            yield GridPoint(labels, config, in_fast=in_fast)


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
"""Runs that miss their goal, by what they change of part 4, and the changes that may help each."""


def _advice() -> Iterable[GridPoint]:
    for run, (fields, cures) in MISSED.items():
        for change in ({}, *cures):
            words = [f"{name.replace('_', ' ')} {value}" for name, value in change.items()]
            config = changed(CONTEXT, seeds=ADVISED_SEEDS, **(fields | change))
            in_fast = run == "lag 3" and config.training.sequences <= FAST_SEQUENCES
            yield GridPoint(
                {"run": run, "change": ", ".join(words) or "none"}, config, in_fast=in_fast
            )


ADVICE = tuple(_advice())

COMPARED_CELLS = tuple(name for name in CELLS if name not in ("optimized-lstm", "mlp"))
"""All built-in cells but a second form of the LSTM, and the MLP, which has a study of its own."""


def _cells() -> Iterable[GridPoint]:
    for prefix, used in (("", "alone"), (BLOCK, "in a block")):
        for cell in COMPARED_CELLS:
            config = changed(CONTEXT, seeds=8, cell=f"{prefix}{cell}")
            in_fast = cell in ("lstm", "gru", "minlstm") and used == "alone"
            yield GridPoint({"cell": cell, "used": used}, config, in_fast=in_fast)


STUDIES: dict[str, Study] = {
    "parts": Study(
        "Do the tutorial's parts come out as it says?",
        (
            GridPoint({"part": "2, the current value"}, CURRENT),
            GridPoint({"part": "3, lag 1, one step at a time"}, NO_CONTEXT),
            GridPoint({"part": "4, lag 1, windows of 5"}, CONTEXT),
        ),
        ("accuracy", "chance", "order-blind", *SCORES[2:]),
        notes=(
            "Part 1 of the tutorial encodes a sequence one-hot and decodes it again. Nothing is "
            "learned there, and every sequence comes back unchanged (echo-jax show prints "
            "it).",
        ),
    ),
    "mistake": Study(
        "Why did part 3 fail?",
        tuple(_mistake()),
        ("accuracy", "chance", "can be known", "late rows", "recalled bits", "sequences"),
        Chart(
            "strips",
            "probe before",
            "steps back",
            name=_line_of_mistake,
            asked=1,
            leave_out=lambda at: (at["batch"], at["batches back"]) in ((1, 4), (6, "all")),
        ),
        notes=(
            "Batches back: k, the number of batches through which the gradient of an update "
            "passes. Each update runs the last k batches again, with the current weights and from "
            "the state before them, so the number of updates stays the same. Untrained: the "
            "initial weights, after one sequence with a learning rate of 1e-30.",
            "Late rows: accuracy of the network on the rows on which the probe is tested, those "
            "with 8 values before them in their sequence.",
            "Can be known: the share of the targets that the network has been given. The first "
            "row of a sequence asks for a value from before the rows began, so a network can only "
            "guess it: with batches of 1 no network reaches 99%.",
            "The figure: how often a linear probe, fitted to the states from which rows start, "
            "finds the value so many steps before the row's end, on rows with 8 values before "
            "them. It measures what can be read out linearly: the network need not use it, and "
            "what the probe does not find may be there in another form.",
        ),
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
        notes=(
            "Can be known: the share of the targets that the network has been given, in the "
            "window or in a state. State swapped: accuracy of the same network when a state that "
            "was carried in training is zeroed, or the reverse.",
            "With batches of 5, row r continues from the state of row r - 5; with batches of 1, "
            "from that of row r - 1. Window 5 and lag 5 had 2,000 sequences like all others.",
        ),
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
        notes=(
            STATELESS_NOTE,
            "The first windows of a sequence begin before it, so their first values are missing. "
            "Extra token: the network sees a token V in their place. Masked: the state is kept "
            "unchanged on those steps. Rows removed: training leaves such rows out. The columns "
            "missing and nothing missing give the accuracy on rows with missing values and on all "
            "others; a network trained with rows removed is tested on masked ones.",
        ),
    ),
    "prefix": Study(
        "Does it help to see the whole sequence so far?",
        grid(changed(EIGHT_SEEDS, batch_size=4), {"lag": axis("lag", 1, 5), "context": CONTEXTS}),
        chart=Chart("curves", "accuracy_by_position", "position", "lag,context"),
        notes=(
            STATELESS_NOTE,
            "All so far: the row that ends at time t sees x(0) to x(t), padded on the left to 25 "
            "steps with masked steps. The figure shows the accuracy by position t, where the "
            "prefix has t + 1 values.",
        ),
    ),
    "lags": Study(
        "Can each lag be learned using the same structure?",
        tuple(_lags()),
        (*SCORES, "updates to 99%", "rows to 99%", "seconds"),
        Chart("heat", x="lag", series="window", up="hidden"),
        notes=(
            STATELESS_NOTE,
            f"Every grid point has at most {MAX_UPDATES:,} updates, as many as part 4 of the "
            "tutorial, and stops when all its seeds have reached 99%. The number of rows in a "
            "sequence depends on window and lag, so updates and rows are counted too. Seconds: "
            "training time of all seeds. The map shows the accuracy at the end of training.",
        ),
    ),
    "streams": Study(
        "Can a whole lagged sequence be echoed, a target at every step?",
        tuple(_streams()),
        ("accuracy", "chance", "recalled bits", "sequences to 99%", "updates", "seconds"),
        Chart("lines", "recalled_bits", "lag", "trained on"),
        notes=(
            "Five sequences side by side, 4,000 such groups unless stated otherwise. In chunks, "
            "the state is carried from chunk to chunk and the gradient is cut between them.",
        ),
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
        notes=(
            STATELESS_NOTE,
            "The MLP has one hidden layer of rectified linear units, takes all its inputs at once "
            "and has about as many parameters as the LSTM. One value at a time: whole sequences, "
            "with a target at every step.",
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
        notes=(
            STATELESS_NOTE,
            "Windows of 5, lag 1, 128 units, batches of 20 rows, a learning rate of 0.003, up to "
            f"{VOCABULARY_SEQUENCES:,} sequences. The networks that learn 10,000 and 50,000 values "
            "have at most 6,000 and 8,000 and stop when all seeds have reached 99%. Time alone: "
            f"{TIMED_SEQUENCES} sequences of 2 seeds, to measure the time of an update.",
            "MiB: all arrays that training the seeds of the grid point holds at once, by the "
            "compiler's analysis. \u00b5s an update: wall time of training divided by the updates "
            "of all seeds, on all cores.",
            "An embedding is a learned vector of 64 numbers for each value. Tied: the answer is "
            "the value whose embedding agrees best with the output of the network, so input and "
            "output share what they learn about a value.",
        ),
    ),
    "length": Study(
        "Which lengths of a sequence work?",
        tuple(_length()),
        ("sequences", *SCORES),
        Chart("lines", "accuracy", "length", log_x=True),
        notes=(
            "Windows of 5, lag 1. A row is viable when its window is full and its target exists; "
            "B = min(5, viable rows); the last floor(viable / B) B viable rows are used. There are "
            f"as many sequences as give {MAX_UPDATES:,} updates. 99% is the mean over 20 "
            "sequences, which are many updates where sequences are long.",
        ),
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
        notes=(
            "Learned: a median of at least 99% on fresh sequences. The figure shows the layer "
            f"sizes, with the tutorial's number of sequences and with {LONGER} times as many.",
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
        notes=(
            "Values: the network is given token / 99, predicts one number, and is trained on the "
            "squared error; its answer is the nearest integer. Accuracy counts exact matches. "
            "Distance is the mean of |answer - target|; the column by chance gives that of the "
            "best constant answer.",
        ),
    ),
    "explain": Study(
        "Which input does the answer follow?",
        grid(STATELESS, {"lag": axis("lag", 1, 3)}, measures=("follows",)),
        chart=Chart("strips", "follows trained,follows untrained", "steps back", "lag"),
        notes=(
            STATELESS_NOTE,
            "Each input is changed in turn, in 500 random sequences per seed: how often the answer "
            "becomes the new value and was another one before. Trained: after training. Untrained: "
            "with the initial weights.",
        ),
    ),
    "future": Study(
        "Can the next, future random number be foretold?",
        grid(STATELESS, {"lag": axis("lag", -1, 1)}, measures=("fed_back",)),
        ("accuracy", "chance", "recalled bits", "loss", "answers that repeat"),
        Chart("curves", "fed_back distinct", "answers fed back, in blocks of 25", "lag"),
        notes=(
            STATELESS_NOTE,
            "Lag -1 asks for the next value, which has not been drawn yet. Equivalent to chance "
            "means: the mean accuracy is within 0.2 points of 1/V by two one-sided t-tests at 5%. "
            "The margin was fixed before anything was run.",
            "Fed back: the network is given 25 random integers, and then each of its answers as "
            "the next input, 200 times. The figure shows the number of different values among 25 "
            "answers in a row; 25 random integers have 22. Answers that repeat: the share of 100 "
            "starts whose last 50 answers have a period of at most 25.",
        ),
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
        notes=(
            "After a run that missed, echo-jax train names one or two of these changes. Each run "
            "is part 4 of the tutorial (windows of 5, lag 1, batches of 5, 50 units, 2,000 "
            "sequences, the state carried) with what its name says. Change: the fields of the "
            "configuration that differ from it.",
        ),
    ),
    "cells": Study(
        "An LSTM, or something newer?",
        tuple(_cells()),
        (*SCORES[:2], *SCORES[3:], "parameters"),
        Chart(series="used", y="accuracy"),
        notes=(
            "Part 4 of the tutorial as it is: windows of 5, lag 1, batches of 5, 2,000 sequences, "
            "the state carried, where it is noise. Every cell has its own defaults and 50 units; "
            "alone it is what the LSTM is in the tutorial, and in a block it stands in a small "
            "network of width 32 with a short convolution, a residual stream and a perceptron, as "
            "the newer cells are used by their authors. The learning rate is that of the tutorial "
            "for all: a cell that misses may need another one.",
            "This asks what is learned within the tutorial's window. How far back a cell remembers "
            "is what the memory card measures, and what a step of it costs is in docs/cells.md.",
        ),
    ),
}
"""All studies, in the order of the page."""
