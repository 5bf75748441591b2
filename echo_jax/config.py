"""The configuration of a run: frozen dataclasses, checked on construction.

It is the only home of a default: command-line flags and their help are generated from these
fields. Nothing here imports jax, so a wrong value is refused before jax is loaded.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from echo_jax.exceptions import ConfigError, shown

Layout = Literal["windows", "prefixes", "streams"]
Missing = Literal["masked", "token"]
Framing = Literal["classes", "values"]
Encoding = Literal["one-hot", "embedding"]
Optimizer = Literal["adam", "keras-adam"]
Part = Literal["current", "no-context", "context"]

CELL_NAMES = (
    "lstm", "gru", "optimized-lstm", "simple", "mlp", "lstm-chrono", "identity-rnn", "mingru",
    "lru",
)  # fmt: skip
"""Names of the built-in cells; `cells.registry.CELLS` holds their classes."""

LARGEST = 2**31 - 1
"""Upper limit of every size: jax indexes with 32 bits."""

CONTROL = "[\0-\x1f\x7f-\x9f]"
"""Regular expression of the control characters, which a terminal might obey."""

SMALLEST_FLOAT, LARGEST_FLOAT = 2.0**-126, 2.0**128 - 2.0**104
"""Smallest and largest positive normal number of float32."""

ADDED_LATER = {
    "missing", "framing", "encoding", "embedding_dim", "tied", "delay_line", "bptt_batches",
}  # fmt: skip
"""Fields missing in the configurations of early run folders, where they mean their default."""


@dataclasses.dataclass(frozen=True)
class TaskConfig:
    """The echo task: which integers the network sees, and which one it must output.

    Letters: vocabulary size V, sequence length L, window W, lag n, batch size B.
    """

    length: int = 25
    """Integers per sequence (L)."""
    vocab_size: int = 100
    """Number of different integers (V), drawn uniformly from 0 .. V-1."""
    window: int = 5
    """Time steps that the network sees at once (W); in streams: steps between two updates."""
    lag: int = 1
    """How many steps back the target lies (n); a negative lag asks for a future value."""
    batch_size: int = 5
    """Rows in a batch (B); in streams: sequences side by side. Alias: --batch."""
    layout: Layout = "windows"
    """windows: only rows whose window is full; prefixes: also rows whose window begins before the
    sequence, where values are missing; streams: whole sequences side by side, a target at every
    step."""
    missing: Missing = "masked"
    """How prefixes represent a missing value. masked: the state is held for that step; token: the
    network sees an extra token V."""
    framing: Framing = "classes"
    """classes: predict one of V classes, with cross-entropy; values: read and predict the number
    token / (V-1) in [0, 1], with squared error, and answer with the nearest token."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless a sequence gives at least one batch."""
        _check_whole("length", self.length, minimum=1)
        _check_whole("vocab size", self.vocab_size, minimum=2)
        _check_whole("window", self.window, minimum=1)
        _check_whole("lag", self.lag)
        _check_whole("batch size", self.batch_size, minimum=1)
        _check_choice("layout", self.layout, Layout)
        _check_choice("missing", self.missing, Missing)
        _check_choice("framing", self.framing, Framing)
        if self.missing == "token" and self.layout != "prefixes":
            raise ConfigError(
                f"missing token has no effect with layout {self.layout}, where no value is "
                "missing: use --layout prefixes"
            )
        _check_reach(self)
        if self.layout != "streams" and not self.row_times:
            raise ConfigError(_too_few_rows(self))

    @property
    def target_times(self) -> range:
        """The times t with a full window and a target x(t-n)."""
        return range(max(self.full_window_from, self.lag), self.length + min(self.lag, 0))

    @property
    def full_window_from(self) -> int:
        """The first time with a full window; the windows of prefixes count as full from 0 on."""
        return self.window - 1 if self.layout == "windows" else 0

    @property
    def row_times(self) -> range:
        """The times at which the rows of a sequence end: the target times, cut to whole batches.

        The first ones are dropped.

        L 25, W 1, n 0, B 1:  0 .. 24    25 rows
        L 25, W 1, n 1, B 6:  1 .. 24    24 rows
        L 25, W 5, n 1, B 5:  5 .. 24    20 rows, the first window is x(1..5)
        """
        times = self.target_times
        return times[len(times) % self.batch_size :]

    @property
    def batches_apart(self) -> int:
        """Time steps from a row to the row that continues it: B, or in streams W."""
        return self.window if self.layout == "streams" else self.batch_size

    @property
    def updates_per_sequence(self) -> int:
        """Batches per sequence (K): rows / B, or in streams the chunks of W steps."""
        if self.layout == "streams":
            return -(-self.length // self.window)
        return len(self.row_times) // self.batch_size


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The recurrent network: a cell scanned over time, and a linear readout of its output."""

    cell: str = "lstm"
    """lstm, gru, optimized-lstm, simple, mlp (a delay line and no other memory), lstm-chrono
    (biases set to remember for 2 to 64 steps), identity-rnn (ReLU, starts as the identity),
    mingru, lru (both linear in their state), or package.module:Class, any Linen RNNCellBase."""
    hidden_size: int = 50
    """Hidden units of the cell (H). Alias: --hidden."""
    stateful: bool = True
    """Row b of a batch starts from the state that row b of the previous batch left, as in Keras;
    otherwise every batch starts from zero. A sequence always starts from zero."""
    encoding: Encoding = "one-hot"
    """Input of the cell: the one-hot vector of the token, or a learned embedding."""
    embedding_dim: int = 64
    """Size of the embedding of a token; only with --encoding embedding."""
    tied: bool = False
    """Score each token by the inner product with its embedding, instead of readout weights of its
    own; only with --encoding embedding."""
    delay_line: int | None = None
    """Values that the cell mlp sees at a time: the current one and those just before it. Default:
    the size of the window."""

    def __post_init__(self) -> None:
        """Raise ConfigError for an unknown cell, a size below 1, or an option without effect."""
        _check_cell_name(self.cell)
        _check_whole("hidden size", self.hidden_size, minimum=1)
        _check_flag("stateful", self.stateful)
        _check_choice("encoding", self.encoding, Encoding)
        _check_whole("embedding dim", self.embedding_dim, minimum=1)
        _check_flag("tied", self.tied)
        if self.encoding != "embedding" and self.tied:
            raise ConfigError("tied True needs an embedding: use --encoding embedding")
        if self.encoding != "embedding" and self.embedding_dim != NetworkConfig.embedding_dim:
            raise ConfigError(
                f"embedding dim {self.embedding_dim} needs an embedding: use --encoding embedding, "
                "or leave it out"
            )
        if self.delay_line is not None:
            _check_whole("delay line", self.delay_line, minimum=1)
            if self.cell != "mlp":
                raise ConfigError(
                    f"delay line {self.delay_line} is not for cell {self.cell}: use --cell mlp"
                )


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The training: one optimizer step for every batch of every sequence."""

    sequences: int = 2000
    """Training sequences (N), each new and used once; in streams: groups of B sequences."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    optimizer: Optimizer = "adam"
    """adam: as in optax, epsilon 1e-7; keras-adam: epsilon added before the bias correction."""
    bptt_batches: int = 1
    """Batches that a gradient passes back through (k, truncated backpropagation through time): an
    update runs the k-1 previous batches again, with the current weights, from the state before
    them. 1: the gradient stops at the border of the batch, as in Keras."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a count below 1 or a step size that is not finite and positive."""
        _check_whole("sequences", self.sequences, minimum=1)
        _check_choice("optimizer", self.optimizer, Optimizer)
        _check_whole("bptt batches", self.bptt_batches, minimum=1)
        rate = self.learning_rate
        if not _is_number(rate):
            raise ConfigError(f"learning rate {shown(rate)} is not a number: use one such as 0.001")
        if not SMALLEST_FLOAT <= rate <= LARGEST_FLOAT:
            raise ConfigError(
                f"learning rate {shown(rate)} is not finite and above 0 in 32 bits: "
                "use one such as 0.001"
            )


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the integers come from: drawn at random, or read from a column of a CSV file."""

    csv: str | None = None
    """CSV file to train on instead of random integers; its first line names the columns."""
    column: str | None = None
    """Column of the CSV file; needed only where there are several."""
    held_out: float = 0.2
    """Share of the column, at its end, that is kept for evaluation and never trained on."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a share that leaves nothing, or a column without a file."""
        _check_name("csv", self.csv)
        _check_name("column", self.column)
        if self.csv is None and self.column is not None:
            raise ConfigError(f"column {self.column} has no file: name it with --csv FILE")
        if not (_is_number(self.held_out) and 0 < self.held_out < 1):
            raise ConfigError(
                f"held out {shown(self.held_out)} is not a share between 0 and 1: "
                "use one such as 0.2"
            )


class TracedParameters(NamedTuple):
    """The parameters of a run that may be traced: changing one does not recompile."""

    seed: Any
    lag: Any
    learning_rate: Any
    stateful: Any


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Everything that determines a run."""

    task: TaskConfig = dataclasses.field(default_factory=TaskConfig)
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    training: TrainingConfig = dataclasses.field(default_factory=TrainingConfig)
    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    seed: int = 0
    """Seed of the initial weights, the training data and the evaluation data."""
    seeds: int = 1
    """Number of seeds (S): independent runs with the seeds seed .. seed+S-1."""
    evaluation_sequences: int = 1000
    """Fresh sequences for the final accuracy and loss; no run trains on them."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a seed above 31 bits, or options that exclude each other."""
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
                "encoding embedding embeds tokens, and framing values has none: "
                "use --encoding one-hot"
            )
        if self.task.framing == "values" and self.data.csv is not None:
            raise ConfigError(
                f"framing values is for integers, and the values of {self.data.csv} may be any "
                "text: use --framing classes"
            )

    @property
    def traced(self) -> TracedParameters:
        """The traced parameters of the first seed."""
        return TracedParameters(
            self.seed, self.task.lag, self.training.learning_rate, self.network.stateful
        )

    @property
    def shapes(self) -> "RunConfig":
        """The configuration with its traced parameters and seeds set to fixed values.

        Runs that agree in it share one compiled program. The lag is traced, but the number of rows
        depends on it: it becomes the smallest lag with as many batches.
        """
        return RunConfig(
            _smallest_lag(self.task),
            dataclasses.replace(self.network, stateful=True),
            dataclasses.replace(self.training, learning_rate=TrainingConfig.learning_rate),
            evaluation_sequences=self.evaluation_sequences,
        )

    @property
    def least_bytes(self) -> int:
        """A lower bound of the memory of a run, without its training state.

        It counts one sequence as batches, the logits of one batch, the embedded or delayed inputs
        of one batch, and the evaluation sequences with the answers to them.
        """
        task, network = self.task, self.network
        inputs = network.embedding_dim if network.encoding == "embedding" else 0
        if network.cell == "mlp":
            inputs = max(inputs, network.hidden_size * (network.delay_line or task.window))
        streams = task.layout == "streams"
        rows = task.updates_per_sequence * task.batch_size
        logits = task.batch_size * (task.window if streams else 1) * task.vocab_size
        sequence = task.length * (task.batch_size if streams else 1)
        answers = rows * (task.window if streams else 1)
        return 4 * (
            rows * task.window
            + logits
            + task.batch_size * task.window * inputs
            + self.evaluation_sequences * (sequence + 3 * answers)
        )


_Config = TypeVar("_Config", TaskConfig, NetworkConfig, TrainingConfig, DataConfig, RunConfig)


def changed(config: RunConfig, **fields: Any) -> RunConfig:
    """The configuration with other values of some fields, in whichever section they are.

        changed(PARTS["context"], lag=3, hidden_size=20, seeds=8)

    Raises:
      ConfigError: a value breaks a rule.
      KeyError: there is no such field.
    """
    sections: dict[str | None, dict[str, Any]] = {}
    for name, value in fields.items():
        sections.setdefault(SECTION[name], {})[name] = value
    whole = sections.pop(None, {})
    for section, values in sections.items():
        whole[str(section)] = dataclasses.replace(getattr(config, str(section)), **values)
    return dataclasses.replace(config, **whole)


def to_dict(config: RunConfig) -> dict[str, Any]:
    """The configuration as nested plain values, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(values: Mapping[str, Any]) -> RunConfig:
    """The inverse of `to_dict`; ConfigError for a field that is unknown, missing or invalid."""
    if not isinstance(values, Mapping):
        raise ConfigError(_not_a_table("configuration", values))
    sections = {name: _build(kind, name, values.get(name)) for name, kind in _SECTIONS.items()}
    return _build(RunConfig, "configuration", {**values, **sections})


def _build(kind: type[_Config], name: str, values: object) -> _Config:
    if not isinstance(values, Mapping):
        raise ConfigError(_not_a_table(name, values))
    expected = {field.name for field in dataclasses.fields(kind)}
    for field in sorted((expected ^ set(values)) - (ADDED_LATER & expected), key=str):
        state = "missing" if field in expected else "unknown"
        known = ", ".join(sorted(expected))
        raise ConfigError(f"{name} field {shown(field)} is {state}: the fields are {known}")
    return kind(**values)


def _not_a_table(name: str, values: object) -> str:
    return f"{name} {shown(values)} is not a table of fields: use one that to_dict wrote"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_whole(name: str, value: object, minimum: int = -LARGEST, maximum: int = LARGEST) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(
            f"{name} {shown(value)} is not a whole number: use one such as {max(minimum, 1)}"
        )
    if value < minimum:
        raise ConfigError(f"{name} {value} is below {minimum}: use {minimum} or more")
    if value > maximum:
        raise ConfigError(f"{name} {shown(value)} is above {maximum}: use {maximum} or less")


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{name} {shown(value)} is neither True nor False: use one of them")


def _check_choice(name: str, value: object, choices: Any) -> None:
    if not isinstance(value, str) or value not in get_args(choices):
        known = ", ".join(get_args(choices))
        raise ConfigError(f"{name} {shown(value)} is unknown: use one of {known}")


def _check_name(name: str, value: object) -> None:
    if not (value is None or isinstance(value, str)):
        raise ConfigError(f"{name} {shown(value)} is not a name: use a string")
    if value and re.search(CONTROL, value):
        raise ConfigError(f"{name} {shown(value)} has control characters: use a plain name")


def _check_cell_name(name: object) -> None:
    is_class = isinstance(name, str) and re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name)
    if not (is_class or (isinstance(name, str) and name in CELL_NAMES)):
        raise ConfigError(
            f"cell {shown(name)} is unknown: use one of {', '.join(CELL_NAMES)}, "
            "or package.module:Class for a cell of your own"
        )


def _smallest_lag(task: TaskConfig) -> TaskConfig:
    """The task with the smallest lag, 0 or above, that gives as many batches.

    With lag n >= 0 a sequence has L - max(full_window_from, n) target times.
    """
    neutral = dataclasses.replace(task, lag=0)
    if neutral.updates_per_sequence == task.updates_per_sequence:
        return neutral
    too_many = (task.updates_per_sequence + 1) * task.batch_size
    return dataclasses.replace(task, lag=task.length - too_many + 1)


def _check_reach(task: TaskConfig) -> None:
    """Raise ConfigError where the window or the lag is longer than the sequence."""
    length, lag = task.length, abs(task.lag)
    if task.window > length:
        raise ConfigError(
            f"window {task.window} is longer than the sequence of {length}: "
            f"use a window of at most {length} or a length of at least {task.window}"
        )
    if lag >= length:
        raise ConfigError(
            f"lag {task.lag} reaches outside a sequence of {length}: "
            f"use a lag from {1 - length} to {length - 1} or a length of at least {lag + 1}"
        )


def _too_few_rows(task: TaskConfig) -> str:
    """The message for fewer rows than a batch needs; each number that it offers works alone."""
    times, batch = task.target_times, task.batch_size
    last_start = times.stop - batch  # the latest first row that leaves a whole batch
    fixes = [f"a length of at least {task.length + times.start - last_start}"]
    if times:
        fixes.insert(0, f"a batch size of at most {len(times)}")
    if max(task.lag, 0) <= last_start < task.full_window_from:
        fixes.append(f"a window of at most {last_start + 1}")
    if task.full_window_from <= last_start < task.lag:
        fixes.append(f"a lag of at most {last_start}")
    return (
        f"length {task.length} gives {len(times)} row{'s' * (len(times) != 1)} "
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
"""The section of a configuration that a field is in; None for the fields of `RunConfig` itself."""

PARTS: Mapping[Part, RunConfig] = {
    "current": RunConfig(
        TaskConfig(window=1, lag=0, batch_size=1),
        NetworkConfig(hidden_size=15, stateful=False),
        TrainingConfig(sequences=500),
    ),
    "no-context": RunConfig(TaskConfig(window=1, lag=1, batch_size=6)),
    "context": RunConfig(),
}
"""The networks of the tutorial: part 2 (echo the current value), part 3 (lag 1, one step at a
time) and part 4 (lag 1, windows of 5)."""
