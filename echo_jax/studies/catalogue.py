"""The studies: each a question about the echo task, and the grid of configurations that answers it.

To add a study, add an entry to `STUDIES`: a name, a question, its cells. It then has a table, a
figure, a line in the list, a place on the page and, until `answers` has words for it, an answer
that names its best and its worst cell.
"""

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from echo_jax.config import PARTS, RunConfig, changed, to_dict
from echo_jax.exceptions import ConfigError

Label = str | int | float

FAST_SEEDS = 4
"""Seeds of a cell with --fast."""

FAST_NOTE = (
    "Made with --fast: fewer seeds, a smaller grid and at most 2,000 sequences; a first look, and "
    "no claim."
)

FAST_SEQUENCES = 2000
"""Training sequences of a cell with --fast, at most."""

SCORES = ("accuracy", "chance", "recalled bits", "reached 99%", "sequences to 99%")
"""Columns that fit nearly every study."""

LAG_UPDATES = 8000
"""Updates that a cell of `lags` and `length` may take: as many as part 4 of the tutorial."""


TIMED = 800
"""Training sequences of a cell that is run for its time alone: two chunks, the second is timed."""

PATIENCE = 5
"""How many times the tutorial's sequences a small layer of `size` is given."""

VOCABULARY_SEQUENCES = 4000
"""Training sequences of a cell of `vocabulary`, as many updates of 20 rows."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One point of a grid: what tells it apart, and what is run."""

    labels: Mapping[str, Label]
    """Its place in the grid, the first columns of its line in a table: {"window": 5, "lag": 1}."""
    config: RunConfig
    """With all its seeds."""
    measures: tuple[str, ...] = ()
    """What is measured beside the scores, names of `measures.MEASURES`."""
    until_learned: bool = False
    """Stop training when every seed has reached 99%; otherwise train on all sequences."""
    in_fast: bool = True
    """Whether it is part of the smaller grid of --fast."""

    @property
    def name(self) -> str:
        """The labels in words."""
        return ", ".join(f"{name} {value}" for name, value in self.labels.items())

    @property
    def identity(self) -> dict[str, Any]:
        """The fields of its row that are known before it is run, see `rows.IDENTITY`."""
        return {
            "cell": self.name,
            "labels": dict(self.labels),
            "config": to_dict(self.config),
            "measures": list(self.measures),
            "until_learned": self.until_learned,
        }


@dataclasses.dataclass(frozen=True)
class Chart:
    """What the figure of a study draws of its rows.

    dots    y of every cell, median and interval
    lines   y over the label x, a line for each value of the labels `series`
    heat    y over the labels x and `up`, a map for each value of the labels `series`
    curves  over places, the accuracy by position or what a measure finds, a line a cell
    bars    the same of one or several measures side by side
    """

    kind: Literal["dots", "lines", "heat", "curves", "bars"] = "dots"
    y: str = "accuracy"
    """A score, or a measure and what of it, as in "follows trained"; of bars several, by commas."""
    x: str = ""
    """The label across, or how places are called."""
    series: str = ""
    """Labels, by commas."""
    up: str = ""
    log_x: bool = False
    leave_out: tuple[str, ...] = ()
    """Names of cells that are not drawn."""


@dataclasses.dataclass(frozen=True)
class Study:
    """A question, and the cells that answer it."""

    question: str
    cells: tuple[Cell, ...]
    columns: tuple[str, ...] = SCORES
    """Columns of its table after the labels, names of `findings.COLUMNS`."""
    chart: Chart = dataclasses.field(default_factory=Chart)
    pairs: tuple[tuple[str, str], ...] = ()
    """Names of cells that are compared seed by seed, the second with the first."""
    compared: tuple[str, ...] = ("accuracy",)
    """The scores that they are compared in."""
    notes: tuple[str, ...] = ()
    """What a reader needs to know beside the tables."""


def grid(
    base: RunConfig,
    fixed: Mapping[str, Any],
    varied: Mapping[str, Sequence[Any]],
    names: Mapping[str, str],
    **options: Any,
) -> Iterable[Cell]:
    """A cell for every combination of the values of some fields; ConfigError where one is invalid.

    Args:
      base: the other fields.
      fixed: fields with one value.
      varied: values of each other field, the first varies slowest.
      names: what a field is called in the labels, where not by its own name.
      options: the other fields of `Cell`.
    """
    for values in itertools.product(*varied.values()):
        point = dict(zip(varied, values, strict=True))
        named = {names.get(field, field.replace("_", " ")): v for field, v in point.items()}
        cell = Cell({name: _word(value) for name, value in named.items()}, base, **options)
        try:
            yield dataclasses.replace(cell, config=changed(base, **fixed, **point))
        except ConfigError as error:
            raise ConfigError(f"{cell.name}: {error}") from error


def _word(value: Any) -> Label:
    """A value as a label: switches as yes and no."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def program_of(config: RunConfig) -> tuple[RunConfig, int]:
    """What configurations agree in that share their compiled programs: shapes, and seeds."""
    return changed(config.shapes, sequences=1), config.seeds


def fast(study: Study) -> Study:
    """The same study with fewer seeds, fewer cells and no cell longer than FAST_SEQUENCES."""
    cells = []
    for cell in study.cells:
        if cell.in_fast:
            sequences = min(cell.config.training.sequences, FAST_SEQUENCES)
            seeds = min(cell.config.seeds, FAST_SEEDS)
            config = changed(cell.config, seeds=seeds, sequences=sequences)
            cells.append(dataclasses.replace(cell, config=config))
    kept = {cell.name for cell in cells}
    pairs = tuple(pair for pair in study.pairs if kept.issuperset(pair))
    left_out = tuple(name for name in study.chart.leave_out if name in kept)
    return dataclasses.replace(
        study,
        cells=tuple(cells),
        pairs=pairs,
        chart=dataclasses.replace(study.chart, leave_out=left_out),
        notes=(FAST_NOTE, *study.notes),
    )


CURRENT, NO_CONTEXT, CONTEXT = (
    changed(PARTS[part], seeds=16) for part in ("current", "no-context", "context")
)
STATELESS = changed(CONTEXT, stateful=False)
EIGHT = changed(STATELESS, seeds=8)
FROM_ZERO = "Rows start from a zero state (stateless), also where the tutorial carries it."
"""The note of studies that are not about the state."""

STREAMS = changed(CONTEXT, layout="streams", sequences=4000)


def _parts() -> Iterable[Cell]:
    yield Cell({"part": "2, the current value"}, CURRENT)
    yield Cell({"part": "3, lag 1, one step at a time"}, NO_CONTEXT)
    yield Cell({"part": "4, lag 1, windows of 5"}, CONTEXT)


def _mistake() -> Iterable[Cell]:
    for batch, back in ((6, (1, 4)), (1, (1, 2, 4, 24))):
        for k in back:
            config = changed(NO_CONTEXT, batch_size=batch, bptt_batches=k)
            name = "all" if k == config.task.updates_per_sequence else k
            yield Cell({"batch": batch, "batches back": name}, config, ("probe",))
    longer = changed(NO_CONTEXT, batch_size=1, sequences=10_000)
    labels: dict[str, Label] = {"batch": 1, "batches back": "1, 5 times as long"}
    yield Cell(labels, longer, ("probe",), in_fast=False)
    untrained = changed(NO_CONTEXT, batch_size=1, sequences=1, learning_rate=1e-30)
    yield Cell({"batch": 1, "batches back": "untrained"}, untrained, ("probe",))


def _state() -> Iterable[Cell]:
    for window, lag, batch in ((5, 1, 5), (5, 5, 5), (2, 1, 5), (2, 2, 5), (2, 1, 1), (2, 2, 1)):
        for stateful in (False, True):
            state = "carried" if stateful else "zero"
            config = changed(CONTEXT, window=window, lag=lag, batch_size=batch, stateful=stateful)
            yield Cell(
                {"window": window, "lag": lag, "batch": batch, "state": state},
                config,
                ("other_state", *["probe"] * stateful),
            )


def _state_pairs() -> Iterable[tuple[str, str]]:
    names = [cell.name for cell in _state()]
    yield from zip(names[::2], names[1::2], strict=True)


def _masking() -> Iterable[Cell]:
    for lag in (1, 3):
        base = changed(STATELESS, lag=lag, batch_size=2)  # keeps every row of every layout but one
        for name, fields in {
            "extra token": {"layout": "prefixes", "missing": "token"},
            "masked": {"layout": "prefixes"},
            "rows removed": {},
        }.items():
            config = changed(base, **fields)
            yield Cell({"lag": lag, "missing values": name}, config, ("rows_apart",))


def _prefix() -> Iterable[Cell]:
    for lag in (1, 5):
        base = changed(EIGHT, lag=lag, batch_size=4)
        yield Cell({"lag": lag, "context": "window of 5"}, base)
        whole = changed(base, layout="prefixes", window=25)
        yield Cell({"lag": lag, "context": "all so far"}, whole)


def _lags() -> Iterable[Cell]:
    for window in (5, 10, 21):
        for hidden_size in (20, 50, 100):
            for lag in range(21):
                config = changed(EIGHT, window=window, hidden_size=hidden_size, lag=lag)
                sequences = LAG_UPDATES // config.task.updates_per_sequence
                yield Cell(
                    {"window": window, "hidden": hidden_size, "lag": lag},
                    changed(config, sequences=sequences),
                    until_learned=True,
                    in_fast=lag in (0, 1, 4, 5, 20) and hidden_size != 100,
                )


def _streams() -> Iterable[Cell]:
    for lag in (1, 2, 3, 5, 7, 10, 15, 20):
        base = changed(STREAMS, lag=lag, seeds=8)
        some = lag in (1, 5, 10)
        yield Cell({"trained on": "chunks of 5", "lag": lag}, base, in_fast=some)
        whole = changed(base, window=25)
        yield Cell({"trained on": "whole sequences", "lag": lag}, whole, in_fast=some)
        if some:
            through = changed(base, bptt_batches=5)
            name = "chunks of 5, gradient through all"
            yield Cell({"trained on": name, "lag": lag}, through, in_fast=lag == 5)
            longer = changed(whole, sequences=20000)
            name = "whole sequences, 5 times as many"
            yield Cell({"trained on": name, "lag": lag}, longer, in_fast=False)


def _mlp() -> Iterable[Cell]:
    mlp = {"cell": "mlp", "hidden_size": 58}
    for lag in (1, 4, 5):
        base = changed(STATELESS, lag=lag)
        yield Cell({"sees": "windows of 5", "network": "LSTM", "lag": lag}, base)
        yield Cell({"sees": "windows of 5", "network": "MLP", "lag": lag}, changed(base, **mlp))
    for lag in (1, 5):
        base = changed(STREAMS, lag=lag, window=25)
        sees = {"sees": "one value at a time"}
        yield Cell(sees | {"network": "LSTM", "lag": lag}, base)
        alone = changed(base, cell="mlp", hidden_size=175, delay_line=1)
        yield Cell(sees | {"network": "MLP", "lag": lag}, alone)
        line = changed(base, **mlp, delay_line=5)
        yield Cell(sees | {"network": "MLP with a delay line of 5", "lag": lag}, line)


def _vocabulary() -> Iterable[Cell]:
    base = changed(
        EIGHT, hidden_size=128, batch_size=20, learning_rate=3e-3, sequences=VOCABULARY_SEQUENCES
    )
    inputs: dict[str, dict[str, Any]] = {
        "one-hot": {},
        "embedding of 64": {"encoding": "embedding"},
        "embedding of 64, tied": {"encoding": "embedding", "tied": True},
    }
    for values in (2, 10, 100, 1000):
        for name, fields in inputs.items():
            labels: dict[str, Label] = {"values": values, "input": name}
            config = changed(base, vocab_size=values, **fields)
            yield Cell(labels, config, in_fast=values != 10)
    for values, sequences in ((10_000, 6000), (50_000, 8000)):
        large = changed(base, vocab_size=values, evaluation_sequences=50)
        for name, fields in inputs.items():
            if name == "embedding of 64, tied":
                labels = {"values": values, "input": name}
                config = changed(large, **fields, sequences=sequences)
                yield Cell(labels, config, until_learned=True, in_fast=False)
            else:
                labels = {"values": values, "input": f"{name}, time alone"}
                config = changed(large, **fields, seeds=2, sequences=TIMED)
                yield Cell(labels, config, in_fast=False)


def _time_alone() -> tuple[str, ...]:
    return tuple(cell.name for cell in _vocabulary() if "time alone" in cell.name)


def _length() -> Iterable[Cell]:
    for length in (5, 6, 8, 10, 25, 50, 100, 250, 1000):
        viable = length - 4  # windows of 5, lag 1
        batch = min(5, viable)
        config = changed(CONTEXT, length=length, batch_size=batch, seeds=8)
        sequences = LAG_UPDATES // config.task.updates_per_sequence
        labels = {"length": length, "viable rows": viable, "batch": batch}
        labels["rows used"] = len(config.task.row_times)
        yield Cell(labels, changed(config, sequences=sequences), in_fast=length in (5, 6, 25, 1000))


def _size() -> Iterable[Cell]:
    sizes = {2: (1, 2, 3, 4, 6, 8, 10, 12, 15), 4: (2, 5, 8, 10, 15, 20, 30, 40, 50)}
    counts = {2: (100, 150, 200, 300, 400), 4: (500, 1000, 1250, 1500, 1750)}
    patient = {2: (2, 3, 4, 6, 8), 4: (8, 15, 20, 30)}

    def cell(part: int, base: RunConfig, hidden_size: int, sequences: int, in_fast: bool) -> Cell:
        """A part with other units or sequences."""
        labels: dict[str, Label] = {"part": part, "hidden": hidden_size, "sequences": sequences}
        config = changed(base, hidden_size=hidden_size, sequences=sequences, seeds=8)
        return Cell(labels, config, in_fast=in_fast)

    for part, base in ((2, CURRENT), (4, CONTEXT)):
        whole = base.training.sequences
        for hidden_size in sizes[part]:
            yield cell(part, base, hidden_size, whole, hidden_size in sizes[part][::3])
        for sequences in counts[part]:
            yield cell(part, base, sizes[part][-1], sequences, sequences == counts[part][2])
        for hidden_size in patient[part]:
            yield cell(part, base, hidden_size, PATIENCE * whole, False)


def _fewer_sequences() -> tuple[str, ...]:
    tutorial = {2: 500, 4: 2000}
    return tuple(
        cell.name
        for cell in _size()
        if cell.config.training.sequences < tutorial[2 if "part 2" in cell.name else 4]
    )


def _framing() -> Iterable[Cell]:
    for part, base in ((2, CURRENT), (4, CONTEXT)):
        yield Cell({"part": part, "framing": "classes"}, base)
        yield Cell({"part": part, "framing": "values in [0, 1]"}, changed(base, framing="values"))


def _explain() -> Iterable[Cell]:
    for lag in (1, 3):
        yield Cell({"lag": lag}, changed(STATELESS, lag=lag), ("follows",))


def _future() -> Iterable[Cell]:
    for lag in (-1, 1):
        yield Cell({"lag": lag}, changed(STATELESS, lag=lag), ("fed_back",))


STUDIES: dict[str, Study] = {
    "parts": Study(
        "Do the tutorial's parts come out as it says?",
        tuple(_parts()),
        ("accuracy", "chance", "order-blind", *SCORES[2:]),
        notes=(
            "Part 1 of the tutorial encodes a sequence one-hot and decodes it again; nothing is "
            "learned there, and every sequence comes back (python scripts/show.py shows it).",
        ),
    ),
    "mistake": Study(
        "Why did part 3 fail?",
        tuple(_mistake()),
        ("accuracy", "chance", "can be known", "late rows", "recalled bits", "sequences"),
        Chart(
            "curves",
            "probe before",
            "steps back",
            leave_out=("batch 1, batches back 4", "batch 6, batches back all"),
        ),
        notes=(
            "Batches back: how many batches the gradient of an update passes back through, k. Each "
            "update runs the last k batches again, with the weights of now, from the state that "
            "stood before them, so the number of updates stays the same. Untrained: the weights "
            "that training starts from, after one sequence at a step size of nothing.",
            "Late rows: accuracy of the network on the rows that the probe is tried on, those with "
            "8 "
            "values behind them in their sequence.",
            "Can be known: the share of the targets that the network is given at all. The first "
            "row of a sequence is asked for a value that was over before it began, so no network "
            "is right more often than that, but by chance: with batches of 1 none reaches 99%.",
            "The figure: how often a linear readout, fitted on the state that a row is handed, "
            "finds the value so many steps before the row's end, on rows that have 8 values behind "
            "them. It shows what is there linearly, and no more: what it finds the network need "
            "not use, and what it does not find may be there in another form.",
        ),
    ),
    "state": Study(
        "Does the carried state help?",
        tuple(_state()),
        (*SCORES[:2], "can be known", "recalled bits", "sequences to 99%", "state swapped"),
        pairs=tuple(_state_pairs()),
        compared=("accuracy", "sequences_to_99"),
        notes=(
            "Can be known: the share of the targets that the network is given at all, in the "
            "window or "
            "in a state. State swapped: accuracy of the same network when its state is zeroed that "
            "was carried "
            "in training, or the reverse.",
            "Batches of 5 mean that row r continues row r - 5, batches of 1 that it continues row "
            "r - 1. Window 5 and lag 5 had 2,000 sequences like all others.",
        ),
    ),
    "masking": Study(
        "What to do with missing values?",
        tuple(_masking()),
        (*SCORES[:3], "missing", "nothing missing", "sequences to 99%"),
        pairs=(
            ("lag 1, missing values masked", "lag 1, missing values extra token"),
            ("lag 3, missing values masked", "lag 3, missing values extra token"),
        ),
        compared=("rows_apart missing", "rows_apart full"),
        notes=(
            FROM_ZERO,
            "The first windows of a sequence reach before it: their first values are missing. An "
            "extra token V stands for them and the network sees it; or they are masked, and the "
            "state is held on them bit for bit; or such rows are removed from training. The last "
            "two columns part the rows with missing values from those without; a network that was "
            "trained without such rows is asked about masked ones.",
        ),
    ),
    "prefix": Study(
        "Does it help to see the whole sequence so far?",
        tuple(_prefix()),
        chart=Chart("curves", "accuracy_by_position", "position", "lag,context"),
        notes=(
            FROM_ZERO,
            "All so far: the row that ends at time t sees x(0) to x(t), padded on the left to 25 "
            "steps that are masked. The figure shows accuracy by position t, where the prefix "
            "has t + 1 values.",
        ),
    ),
    "lags": Study(
        "Can each lag be learned using the same structure?",
        tuple(_lags()),
        (*SCORES, "updates to 99%", "rows to 99%", "seconds"),
        Chart("heat", x="lag", series="window", up="hidden"),
        notes=(
            FROM_ZERO,
            f"Every cell has at most {LAG_UPDATES:,} updates, as many as part 4 of the tutorial, "
            "and stops when all its seeds have reached 99%. The rows of a sequence depend on "
            "window and lag, so updates and rows are counted too. Seconds: of training, all seeds. "
            "The map "
            "shows the accuracy where training ended.",
        ),
    ),
    "streams": Study(
        "Can a whole lagged sequence be echoed, a target at every step?",
        tuple(_streams()),
        ("accuracy", "chance", "recalled bits", "sequences to 99%", "updates", "seconds"),
        Chart("lines", "recalled_bits", "lag", "trained on"),
        notes=(
            "Five sequences side by side, 4,000 such groups but where it says otherwise; in chunks "
            "the state is carried from chunk to chunk and the gradient cut between them.",
        ),
    ),
    "mlp": Study(
        "What does an LSTM do that an MLP on the window cannot?",
        tuple(_mlp()),
        (*SCORES, "parameters"),
        pairs=(
            ("sees windows of 5, network MLP, lag 1", "sees windows of 5, network LSTM, lag 1"),
            ("sees windows of 5, network MLP, lag 5", "sees windows of 5, network LSTM, lag 5"),
            (
                "sees one value at a time, network MLP with a delay line of 5, lag 5",
                "sees one value at a time, network LSTM, lag 5",
            ),
        ),
        notes=(
            FROM_ZERO,
            "The MLP has one hidden layer of rectified units on its inputs side by side, and "
            "about as many parameters as the LSTM. One value at a time: whole sequences, a target "
            "at every "
            "step.",
        ),
    ),
    "vocabulary": Study(
        "What if the number of values is two, or extremely large?",
        tuple(_vocabulary()),
        (*SCORES, "seeds", "parameters", "MiB", "\u00b5s an update"),
        Chart("lines", "recalled_bits", "values", "input", log_x=True, leave_out=_time_alone()),
        notes=(
            FROM_ZERO,
            "Windows of 5, lag 1, 128 units, batches of 20 rows, a step size of 0.003, up to "
            f"{VOCABULARY_SEQUENCES:,} sequences; the two that learn 10,000 and 50,000 values stop "
            "when all seeds have reached 99%, after at most 6,000 and 8,000. Time alone: 800 "
            "sequences of 2 seeds, to see what an update takes.",
            "MiB: all arrays that training the seeds of the cell holds at once, as the compiler "
            "counts them. \u00b5s an update: wall time of training over the updates of all seeds, "
            "all cores at work.",
            "An embedding is a learned vector of 64 numbers for each value; tied: the answer is "
            "the value whose embedding agrees best with what the network puts out, so that input "
            "and output share what they learn of a value.",
        ),
    ),
    "length": Study(
        "Which lengths of a sequence work?",
        tuple(_length()),
        ("sequences", *SCORES),
        Chart("lines", "accuracy", "length", log_x=True),
        notes=(
            "Windows of 5, lag 1. The row rule: a row is viable when its window is full and its "
            "target exists; B = min(5, viable); the last floor(viable / B) B viable rows are used. "
            f"As many sequences as give {LAG_UPDATES:,} updates. 99% is the mean of 20 sequences, "
            "which "
            "are many updates where they are long.",
        ),
    ),
    "size": Study(
        "How small may the layer be, and how few the sequences?",
        tuple(_size()),
        chart=Chart(
            "lines", x="hidden", series="part,sequences", log_x=True, leave_out=_fewer_sequences()
        ),
        notes=(
            "Learned: a median of at least 99% on fresh sequences. The figure shows the layers, at "
            f"the tutorial's number of sequences and at {PATIENCE} times as many.",
        ),
    ),
    "framing": Study(
        "Why classes, and not a regression on values in [0, 1]?",
        tuple(_framing()),
        (*SCORES[:3], "distance", "by chance", "sequences to 99%"),
        pairs=(
            ("part 2, framing classes", "part 2, framing values in [0, 1]"),
            ("part 4, framing classes", "part 4, framing values in [0, 1]"),
        ),
        compared=("accuracy", "distance"),
        notes=(
            "Values: the network is given token / 99, says one number, and is trained on the "
            "squared error; the nearest integer is its answer. Accuracy is of exact matches; "
            "distance is the mean of |answer - target|, which for the best constant guess is that "
            "in the column beside it.",
        ),
    ),
    "explain": Study(
        "Which input does the answer follow?",
        tuple(_explain()),
        chart=Chart("bars", "follows trained,follows untrained", "steps back", "lag"),
        notes=(
            FROM_ZERO,
            "Each input is changed in turn, in 500 random sequences a seed: how often the answer "
            "becomes the new value and was not before. Trained: after training; untrained: the "
            "weights that it started from.",
        ),
    ),
    "future": Study(
        "Can the next, future random number be foretold?",
        tuple(_future()),
        ("accuracy", "chance", "recalled bits", "loss", "answers that repeat"),
        Chart("curves", "fed_back distinct", "answers fed back, in blocks of 25", "lag"),
        notes=(
            FROM_ZERO,
            "Lag -1 asks for the next value, which has not been drawn yet. Equivalent to chance "
            "means: the mean accuracy lies within 0.2 points of 1/V, by two one-sided t-tests at "
            "5%; the margin was fixed before anything was run.",
            "Fed back: 25 random integers, and then every answer is the next input, 200 times; the "
            "figure shows how many different values are among 25 answers in a row, where 25 random "
            "integers have 22. Answers that repeat: the share of 100 starts whose last 50 answers "
            "have a period of at most 25.",
        ),
    ),
}
"""All studies, in the order of the page."""
