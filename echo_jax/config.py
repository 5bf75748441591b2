"""What a run is: frozen dataclasses, checked on construction. The only home of a default.

Command-line flags, their help and their defaults are generated from these fields. Nothing here
knows jax, so a wrong value is refused before jax is imported.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from echo_jax.exceptions import ConfigError

Layout = Literal["windows", "prefixes", "streams"]
Missing = Literal["masked", "token"]
Framing = Literal["classes", "values"]
Encoding = Literal["one-hot", "embedding"]
Optimizer = Literal["adam", "keras-adam"]
Part = Literal["current", "no-context", "context"]
TargetPlace = Literal[
    "window", "replayed", "state", "skipped", "early", "zeroed", "delayed", "future"
]

CELL_NAMES = (
    "lstm",
    "gru",
    "optimized-lstm",
    "simple",
    "mlp",
    "lstm-chrono",
    "identity-rnn",
    "mingru",
    "lru",
)
"""The cells found by name; `cells.CELLS` holds their classes."""


LARGEST = 2**31 - 1
"""No size is above it: jax counts in 32 bits."""

CONTROL = "[\0-\x1f\x7f-\x9f]"
"""What no name and no value may have: a terminal might obey it."""

SMALLEST_FLOAT, LARGEST_FLOAT = 2.0**-126, 2.0**128 - 2.0**104
"""The normal numbers above 0 in 32 bits; beyond them is 0, or infinity."""


ADDED_LATER = {
    "missing", "framing", "encoding", "embedding_dim", "tied", "delay_line", "bptt_batches",
}  # fmt: skip
"""Fields that a configuration written before they were there lacks: it means their default."""


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """The echo task: which integers the network sees, and which one it must say.

    Letters: vocabulary size V, sequence length L, window W, lag n, batch size B.
    """

    length: int = 25
    """Integers in a sequence, L."""
    vocab_size: int = 100
    """Different integers, V: they are drawn uniformly from 0 .. V-1."""
    window: int = 5
    """Time steps the network sees at once, W (in streams: the steps between two updates)."""
    lag: int = 1
    """How many steps back the target lies, n; a negative lag asks for a future value."""
    batch_size: int = 5
    """Rows in a batch, B (in streams: sequences side by side). Short form: --batch."""
    layout: Layout = "windows"
    """windows: rows whose window is full; prefixes: also rows whose window reaches before the
    sequence, whose values are missing; streams: whole sequences side by side, a target at every
    step."""
    missing: Missing = "masked"
    """What stands for a missing value of prefixes: masked, the state is held on that step; token,
    the network sees an extra token V."""
    framing: Framing = "classes"
    """classes: one of V, right or wrong, cross-entropy; values: a number in [0, 1] in and out,
    token / (V-1), near or far, squared error; the nearest token is the answer."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless a sequence gives at least one batch."""
        _check_whole("length", self.length, minimum=1)
        _check_whole("vocab size", self.vocab_size, minimum=2)
        _check_whole("window", self.window, minimum=1)
        _check_whole("lag", self.lag)
        _check_whole("batch size", self.batch_size, minimum=1)
        _check_choice("layout", self.layout, get_args(Layout))
        _check_choice("missing", self.missing, get_args(Missing))
        _check_choice("framing", self.framing, get_args(Framing))
        if self.missing == "token" and self.layout != "prefixes":
            raise ConfigError(
                f"missing token changes nothing in {self.layout}, where no value is missing: "
                "use it with --layout prefixes"
            )
        _check_reach(self)
        if self.layout != "streams" and not self.row_times:
            raise ConfigError(_too_few_rows(self))

    @property
    def target_times(self) -> range:
        """The times t at which a row is viable: its window is full and x(t-n) exists."""
        return range(max(self.full_window_from, self.lag), self.length + min(self.lag, 0))

    @property
    def full_window_from(self) -> int:
        """The first time at which a window counts as full: masked steps fill that of a prefix."""
        return self.window - 1 if self.layout == "windows" else 0

    @property
    def row_times(self) -> range:
        """The times at which the rows of a sequence end: the last floor(viable/B)*B viable ones.

        L 25, W 1, n 0, B 1:  0 .. 24    25 rows
        L 25, W 1, n 1, B 6:  1 .. 24    24 rows
        L 25, W 5, n 1, B 5:  5 .. 24    20 rows, the first window is x(1..5)
        """
        viable = self.target_times
        return viable[len(viable) % self.batch_size :]

    @property
    def batches_apart(self) -> int:
        """Steps from a row to the one that continues it: B, in streams the W of a chunk."""
        return self.window if self.layout == "streams" else self.batch_size

    @property
    def updates_per_sequence(self) -> int:
        """Batches that one sequence gives, K: rows / B, or in streams the chunks of W steps."""
        if self.layout == "streams":
            return -(-self.length // self.window)
        return len(self.row_times) // self.batch_size


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The recurrent network: a cell scanned over time, and a linear readout of its output."""

    cell: str = "lstm"
    """lstm, gru, optimized-lstm, simple, mlp (no memory but a delay line), lstm-chrono (its units
    start out holding for 2 to 64 steps), identity-rnn (rectified, starts as the identity), mingru,
    lru (both linear in their state), or package.module:Class of any linen RNNCellBase."""
    hidden_size: int = 50
    """Units of the cell, H. Short form: --hidden."""
    stateful: bool = True
    """Row b of a batch starts from the state that row b of the batch before left (the Keras
    rule); otherwise every batch starts from zero. Always zero at the start of a sequence."""
    encoding: Encoding = "one-hot"
    """How the cell is given a token: as a one-hot vector, or as a learned embedding of it."""
    embedding_dim: int = 64
    """Size of the embedding of a token; only with --encoding embedding."""
    tied: bool = False
    """The readout compares its output with the embeddings themselves, and has no weights for every
    token of its own; only with --encoding embedding."""
    delay_line: int | None = None
    """Values that the cell mlp is handed at a time: the current one and those right before it. By
    default as many as the window holds."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a cell that has no such name, a size below 1, or a vain option."""
        _check_cell_name(self.cell)
        _check_whole("hidden size", self.hidden_size, minimum=1)
        _check_flag("stateful", self.stateful)
        _check_choice("encoding", self.encoding, get_args(Encoding))
        _check_whole("embedding dim", self.embedding_dim, minimum=1)
        _check_flag("tied", self.tied)
        if self.encoding != "embedding":
            if self.tied:
                raise ConfigError("tied True has no embedding to tie to: use --encoding embedding")
            if self.embedding_dim != NetworkConfig.embedding_dim:
                raise ConfigError(
                    f"embedding dim {self.embedding_dim} is of no embedding: use --encoding "
                    "embedding, or leave it out"
                )
        if self.delay_line is not None:
            _check_whole("delay line", self.delay_line, minimum=1)
            if self.cell != "mlp":
                raise ConfigError(
                    f"delay line {self.delay_line} is not for cell {self.cell}: use --cell mlp"
                )


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained: one optimizer step for every batch of every sequence."""

    sequences: int = 2000
    """Sequences to train on, N; each is new and seen once (in streams: groups of B)."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    optimizer: Optimizer = "adam"
    """adam: as in optax, epsilon 1e-7; keras-adam: epsilon added before the bias correction."""
    bptt_batches: int = 1
    """Batches that the gradient of an update passes back through, k (truncated backpropagation
    through time): the k-1 batches before the own one are run again, with the weights of now, from
    the state that stood before them. 1: it is cut at the border of the batch, as in Keras."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a count below 1 or a step size that is not finite and positive."""
        _check_whole("sequences", self.sequences, minimum=1)
        _check_choice("optimizer", self.optimizer, get_args(Optimizer))
        _check_whole("bptt batches", self.bptt_batches, minimum=1)
        rate = self.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, int | float):
            raise ConfigError(
                f"learning rate {_shown(rate)} is not a number: use one such as 0.001"
            )
        if not SMALLEST_FLOAT <= rate <= LARGEST_FLOAT:
            raise ConfigError(
                f"learning rate {_shown(rate)} is not finite and above 0 in 32 bits: "
                "use one such as 0.001"
            )


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the integers come from: drawn at random, or cut from a column of the user's own."""

    csv: str | None = None
    """A CSV file to train on instead of random integers; its first line names the columns."""
    column: str | None = None
    """The column of it; needs no name where there is just one."""
    held_out: float = 0.2
    """The share of the column, at its end, that is kept for the evaluation and never trained on."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a share that leaves nothing, or a column of no file."""
        for name in ("csv", "column"):
            value = getattr(self, name)
            if not (value is None or isinstance(value, str)):
                raise ConfigError(f"{name} {_shown(value)} is not a name: use a string")
            if value and re.search(CONTROL, value):
                raise ConfigError(
                    f"{name} {_shown(value)} has control characters: use a plain name"
                )
        if self.csv is None and self.column is not None:
            raise ConfigError(f"column {self.column} is of no file: name it with --csv FILE")
        share = self.held_out
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
            raise ConfigError(
                f"held out {_shown(share)} is not a share between 0 and 1: use one such as 0.2"
            )


class TracedParameters(NamedTuple):
    """What a compiled run takes as data, so that changing it compiles nothing anew."""

    seed: Any
    lag: Any
    learning_rate: Any
    stateful: Any


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that a run is a function of."""

    task: TaskConfig = dataclasses.field(default_factory=TaskConfig)
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    seed: int = 0
    """Seed of the initial weights, of the training data and of the evaluation data."""
    seeds: int = 1
    """Runs side by side, S: with the seeds seed .. seed+S-1, each with data of its own."""
    evaluation_sequences: int = 1000
    """Fresh sequences for the final accuracy and loss, none of them trained on."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a seed that is no 31-bit integer, or nothing to evaluate on."""
        _check_whole("seeds", self.seeds, minimum=1)
        _check_whole("seed", self.seed, minimum=0, maximum=LARGEST - self.seeds + 1)
        _check_whole("evaluation sequences", self.evaluation_sequences, minimum=1)
        if self.training.bptt_batches > 1 and not self.network.stateful:
            raise ConfigError(
                f"bptt batches {self.training.bptt_batches} need a state that is carried from "
                "batch to batch: use --stateful, or --bptt-batches 1"
            )
        if self.task.framing == "values" and self.network.encoding == "embedding":
            raise ConfigError(
                "encoding embedding has no tokens to embed in framing values: use --encoding "
                "one-hot"
            )
        if self.task.framing == "values" and self.data.csv is not None:
            raise ConfigError(
                f"framing values is of integers, and {self.data.csv} has values of any kind: use "
                "--framing classes"
            )

    @property
    def traced(self) -> TracedParameters:
        """The fields that are data to a compiled run, of the first seed."""
        return TracedParameters(
            self.seed, self.task.lag, self.training.learning_rate, self.network.stateful
        )

    @property
    def shapes(self) -> "RunConfig":
        """The same shapes with neutral settings: runs that agree in it share one program.

        The lag is data: it moves the rows, but only how many there are is a shape.
        """
        return RunConfig(
            _least_lag(self.task),
            dataclasses.replace(self.network, stateful=True),
            dataclasses.replace(self.training, learning_rate=TrainingConfig.learning_rate),
            evaluation_sequences=self.evaluation_sequences,
        )

    @property
    def least_bytes(self) -> int:
        """Memory that a run takes at the very least, beside its state.

        One sequence as batches, the logits of one batch, what its inputs are made into, and the
        sequences of the evaluation with the answers to them.
        """
        task, network = self.task, self.network
        fed = task.batch_size * task.window
        made = network.embedding_dim if network.encoding == "embedding" else 0
        if network.cell == "mlp":
            made = max(made, network.hidden_size * (network.delay_line or task.window))
        streams = task.layout == "streams"
        rows = task.updates_per_sequence * task.batch_size
        read = task.batch_size * (task.window if streams else 1)
        sequence = task.length * (task.batch_size if streams else 1)
        answers = rows * (task.window if streams else 1)
        return 4 * (
            rows * task.window
            + read * task.vocab_size
            + fed * made
            + self.evaluation_sequences * (sequence + 3 * answers)
        )

    @property
    def knowable(self) -> float:
        """The share of the targets that the network is given at all, in a window or a state.

        No network is right more often, but by chance. It may well be less: a state can forget.
        """
        task, network = self.task, self.network
        if task.lag < 0 or self.target_place == "delayed":
            return 0.0
        if task.layout == "streams":
            places = [t % task.window for t in task.target_times]
            known = [network.stateful or place >= task.lag for place in places]
        else:
            carried = task.batch_size if network.stateful else len(task.row_times)
            known = [
                any(
                    0 <= task.lag - steps < task.window
                    for steps in range(0, min(row, task.lag) + 1, carried)
                )
                for row in range(len(task.row_times))
            ]
        return sum(known) / len(known)

    @property
    def target_place(self) -> TargetPlace:
        """Where the network could find the target: this decides what it can learn at all.

        window   among the W steps of the row itself: the gradient reaches it
        replayed in a batch before, which the update runs again: the gradient reaches it there
        state    only in what an earlier row left in the carried state, row r - B, r - 2B, ...:
                 the information may be there, but the gradient is cut at the border of the batch
        skipped  in neither: the rows that a row continues saw other values
        early    in neither: it was over before the rows began
        zeroed   in neither: every batch starts from a zero state
        delayed  in neither, or in one that the delay line of the cell mlp is too short to reach
        future   not drawn yet (a negative lag)
        """
        task, back = self.task, self.batches_back
        if task.lag < 0:
            return "future"
        if self.network.cell == "mlp":
            # Its line goes on from row to row: r - B is followed by r, whatever the times of both.
            further = back * (task.window - task.batches_apart) if self._state_holds(back) else 0
            if task.lag + further >= (self.network.delay_line or task.window):
                return "delayed"
        if task.lag < task.window:  # in streams: for the steps late enough in their chunk
            return "window"
        return self._place_in_the_state(back)

    @property
    def batches_back(self) -> int:
        """How many batches before its own the target is looked for, 0 where the window holds it.

        The rows of s batches before end s * B steps earlier (in streams the chunks s * W), so they
        hold x(t-n) if s * B <= n < s * B + W. This is the first s that is large enough; it must
        not be too large, and some row must be that late.
        """
        return max(-(-(self.task.lag - self.task.window + 1) // self.task.batches_apart), 0)

    def _place_in_the_state(self, back: int) -> TargetPlace:
        if not self.network.stateful:
            return "zeroed"
        if not self._state_holds(back):
            return "skipped"
        if back >= self.task.updates_per_sequence:
            return "early"
        return "replayed" if back < self.training.bptt_batches else "state"

    def _state_holds(self, back: int) -> bool:
        """Whether rows so many batches before, whose state is carried, are not too early for it."""
        return self.network.stateful and back * self.task.batches_apart <= self.task.lag


_Config = TypeVar("_Config", TaskConfig, NetworkConfig, TrainingConfig, DataConfig, RunConfig)


def changed(config: RunConfig, **fields: Any) -> RunConfig:
    """The configuration with some fields changed, in whichever part of it they are.

        changed(PARTS["context"], lag=3, hidden_size=20, seeds=8)

    ConfigError for values that break a rule, KeyError for a field that there is none of.
    """
    parts: dict[str, Any] = {}
    for name, value in fields.items():
        section = SECTION[name]
        parts.setdefault(section or "run", {})[name] = value
    whole = parts.pop("run", {})
    nested = {
        section: dataclasses.replace(getattr(config, section), **own)
        for section, own in parts.items()
    }
    return dataclasses.replace(config, **nested, **whole)


def to_dict(config: RunConfig) -> dict[str, Any]:
    """The configuration as nested plain values, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(values: Mapping[str, Any]) -> RunConfig:
    """The inverse of `to_dict`; ConfigError for a field that is unknown, missing or invalid."""
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"configuration {_shown(values)} is not a table of fields: use one that to_dict wrote"
        )
    built = {name: _build(kind, name, values.get(name)) for name, kind in _SECTIONS.items()}
    return _build(RunConfig, "configuration", {**values, **built})


def _build(kind: type[_Config], name: str, values: object) -> _Config:
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"{name} {_shown(values)} is not a table of fields: use one that to_dict wrote"
        )
    expected = {field.name for field in dataclasses.fields(kind)}
    for field in sorted((expected ^ set(values)) - (ADDED_LATER & expected), key=str):
        state = "missing" if field in expected else "unknown"
        known = ", ".join(sorted(expected))
        raise ConfigError(f"{name} field {_shown(field)} is {state}: the fields are {known}")
    return kind(**values)


def _shown(value: object) -> str:
    """A value on one line, its end left off where it is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # too many digits for a decimal number, or too deep
        text = f"a {type(value).__name__} without end"
    return text if len(text) <= 60 else text[:60] + "..."


def _check_whole(name: str, value: object, minimum: int = -LARGEST, maximum: int = LARGEST) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(
            f"{name} {_shown(value)} is not a whole number: use one such as {max(minimum, 1)}"
        )
    if value < minimum:
        raise ConfigError(f"{name} {_shown(value)} is below {minimum}: use {minimum} or more")
    if value > maximum:
        raise ConfigError(f"{name} {_shown(value)} is above {maximum}: use {maximum} or less")


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} {_shown(value)} is neither True nor False: use one of them")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in choices:
        raise ConfigError(f"{name} {_shown(value)} is unknown: use one of {', '.join(choices)}")


def _check_cell_name(name: object) -> None:
    if isinstance(name, str) and name in CELL_NAMES:
        return
    if not (isinstance(name, str) and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name)):
        raise ConfigError(
            f"cell {_shown(name)} is unknown: use one of {', '.join(CELL_NAMES)}, "
            "or package.module:Class for a cell of your own"
        )


def _least_lag(task: TaskConfig) -> TaskConfig:
    """The task with the smallest lag, 0 or above, that gives as many batches.

    With lag n from 0 on a sequence has L - max(full_window_from, n) viable rows.
    """
    neutral = dataclasses.replace(task, lag=0)
    if neutral.updates_per_sequence == task.updates_per_sequence:
        return neutral
    too_many = (task.updates_per_sequence + 1) * task.batch_size
    return dataclasses.replace(task, lag=task.length - too_many + 1)


def _check_reach(task: TaskConfig) -> None:
    """Raise ConfigError where the window or the lag is longer than the sequence."""
    length = task.length
    if task.window > length:
        raise ConfigError(
            f"window {task.window} is longer than the sequence of {length}: "
            f"use a window of at most {length} or a length of at least {task.window}"
        )
    if abs(task.lag) >= length:
        raise ConfigError(
            f"lag {task.lag} reaches outside a sequence of {length}: "
            f"use a lag from {1 - length} to {length - 1} or a length of at least "
            f"{abs(task.lag) + 1}"
        )


def _too_few_rows(task: TaskConfig) -> str:
    """The sentence for fewer viable rows than a batch needs; each number in it works alone."""
    viable, batch, times = len(task.target_times), task.batch_size, task.target_times
    last_start = times.stop - batch  # the latest first row that leaves a whole batch
    fixes = [f"a length of at least {task.length + times.start - last_start}"]
    if viable > 0:
        fixes.insert(0, f"a batch size of at most {viable}")
    if max(task.lag, 0) <= last_start < task.full_window_from:
        fixes.append(f"a window of at most {last_start + 1}")
    if task.full_window_from <= last_start < task.lag:
        fixes.append(f"a lag of at most {last_start}")
    return (
        f"length {task.length} gives {viable} row{'s' * (viable != 1)} "
        f"(window {task.window}, lag {task.lag}), fewer than batch size {batch}: "
        f"use {', '.join(fixes[:-1])}{' or ' * (len(fixes) > 1)}{fixes[-1]}"
    )


_SECTIONS = {
    "task": TaskConfig,
    "network": NetworkConfig,
    "training": TrainingConfig,
    "data": DataConfig,
}
SECTION: Mapping[str, str | None] = {
    field.name: section
    for section, kind in (*_SECTIONS.items(), (None, RunConfig))
    for field in dataclasses.fields(kind)
    if field.name not in _SECTIONS
}
"""Which part of a configuration a field is in; None for those of `RunConfig` itself."""


PARTS: Mapping[Part, RunConfig] = {
    "current": RunConfig(
        TaskConfig(window=1, lag=0, batch_size=1),
        NetworkConfig(hidden_size=15, stateful=False),
        TrainingConfig(sequences=500),
    ),
    "no-context": RunConfig(TaskConfig(window=1, lag=1, batch_size=6)),
    "context": RunConfig(),
}
"""The tutorial's networks: part 2 (echo the current value), part 3 (lag 1, one step at a time)
and part 4 (lag 1, windows of 5)."""
