"""The configuration of a run: frozen dataclasses, checked on construction.

Command-line flags, their help and their defaults are generated from these fields; only `sweep`
changes a default, the number of seeds. This module does not import jax, so a wrong value is refused
before jax is loaded.
"""

import dataclasses
import difflib
import functools
import inspect
import itertools
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Sized
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args, get_origin

from echo_jax.cell_names import CELLS
from echo_jax.exceptions import ConfigError, Spelling, shown, spell

Framing = Literal["classes", "values"]
Part = Literal["current", "no-context", "context"]

SHORT_NAMES = {"batch_size": "batch", "hidden_size": "hidden"}
"""Shorter names of fields, used in flags and tables."""

BLOCK_PREFIX = "block:"
"""The prefix of a cell's name that puts a small network around it, `cells.block.Block`."""

OBJECT_PREFIX = "object:"
"""The prefix of the name of a cell that was handed to a call as an object and that no import finds.
"""

OWN_CELL = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*|[\w./-]*[A-Za-z_]\w*\.py(:[A-Za-z_]\w*)?"
"""The pattern of the name of a user's cell."""

PACKAGED_CELL = r"echo_jax\.cells\.[a-z][\w.]*:[A-Z]\w*"
"""The pattern of the name of a class of this package, such as one of `cells.known_memory`."""


def is_built_in(cell: str) -> bool:
    """Return True if `cell` is the name of a built-in cell or of a block around a built-in cell."""
    return cell.removeprefix(BLOCK_PREFIX) in CELLS


def check_named(place: Path, needed: str, cell: str | None) -> None:
    """Raise ConfigError unless the caller allows the cell that a file names to be imported.

    A stranger may have written the file, and importing a cell runs its code. So every reader of a
    file that names a cell calls this function first.

    Args:
      place: the path of the file.
      needed: the name of the cell in the file.
      cell: the name that the caller gave, which must equal `needed`. It may be None for a cell of
        this package, or for a cell that was handed to a call as an object.
    """
    NetworkConfig(cell=needed)  # checks the form of the name
    ours = is_built_in(needed) or is_handed_over(needed)
    ours |= bool(re.fullmatch(f"({BLOCK_PREFIX})?{PACKAGED_CELL}", needed))
    if not ours and cell != needed:
        rule = f"needs the cell {needed}, which is imported only if you name it"
        raise ConfigError(None, place, rule, f"add {{cell={needed}}}")
    if cell is not None and cell != needed:
        raise ConfigError("cell", cell, f"is not {needed}, the cell of {place}", "leave it out")


def is_handed_over(cell: str) -> bool:
    """Return True if `cell` names a cell that was handed to a call as an object."""
    return cell.removeprefix(BLOCK_PREFIX).startswith(OBJECT_PREFIX)


LONGEST = 1000  # characters of the name of a cell, as a match takes the square of their number
LARGEST = 2**31 - 1  # of every size: jax indexes with 32 bits
CONTROL = "[\0-\x1f\x7f-\x9f]"  # control characters, which a terminal might obey


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
    """Rows in a batch (B); in streams: sequences side by side."""
    layout: Literal["windows", "prefixes", "streams"] = "windows"
    """windows: only rows whose window is full; prefixes: also rows whose window begins before the
    sequence, where values are missing; streams: whole sequences side by side, with a target at
    every step."""
    missing: Literal["masked", "token"] = "masked"
    """How prefixes represent a missing value. masked: the state is held for that step; token: the
    network sees an extra token V."""
    framing: Framing = "classes"
    """classes: predict one of V classes, with cross-entropy; values: read and predict the number
    token / (V-1) in [0, 1], with squared error, and answer with the nearest token."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless each value is valid, and a sequence has room for a batch."""
        check_values(self)
        length = self.length
        lag = self.lag
        if self.missing == "token" and self.layout != "prefixes":
            rule = f"has no effect with {{layout={self.layout}}}, where no value is missing"
            raise ConfigError("missing", self.missing, rule, "use {layout=prefixes}")
        if self.window > length:
            fix = f"use a {{window}} of at most {length} or a {{length}} of at least {self.window}"
            rule = f"is longer than the sequence of {length}"
            raise ConfigError("window", self.window, rule, fix)
        if abs(lag) >= length:
            fix = f"use a {{lag}} from {1 - length} to {length - 1} or a longer {{length}}"
            raise ConfigError("lag", lag, f"reaches outside a sequence of {length}", fix)
        if not (self.in_streams or self.row_times):
            raise _too_few_rows(self)

    @property
    def in_streams(self) -> bool:
        """True if the layout is streams: whole sequences side by side, with one row for each."""
        return self.layout == "streams"

    @property
    def input_tokens(self) -> int:
        """The number of different tokens among the inputs: V, or V + 1 with a token for missing."""
        return self.vocab_size + (self.missing == "token")

    @property
    def targets_per_row(self) -> int:
        """The number of targets of a row (T): W in streams, otherwise 1, at the last step."""
        return self.window if self.in_streams else 1

    @property
    def target_times(self) -> range:
        """The times t at which the window is full and the target x(t-n) exists.

        In prefixes and streams, every window counts as full.
        """
        full = self.window - 1 if self.layout == "windows" else 0
        return range(max(full, self.lag), self.length + min(self.lag, 0))

    @property
    def row_times(self) -> range:
        """The times at which the rows of a sequence end: the target times, cut to whole batches.

        The earliest target times are dropped. In streams, where a row is a whole sequence, this
        property has no meaning.

        L 25, W 1, n 0, B 1:  0 .. 24    25 rows
        L 25, W 1, n 1, B 6:  1 .. 24    24 rows
        L 25, W 5, n 1, B 5:  5 .. 24    20 rows, the first window is x(1..5)
        """
        times = self.target_times
        return times[len(times) % self.batch_size :]

    @property
    def scored_times(self) -> range:
        """The times whose targets are scored: `target_times` in streams, otherwise `row_times`."""
        return self.target_times if self.in_streams else self.row_times

    @property
    def batches_apart(self) -> int:
        """The number of time steps from a row to the row that continues it: B, or in streams W."""
        return self.window if self.in_streams else self.batch_size

    @property
    def updates_per_sequence(self) -> int:
        """The number of batches per sequence (K): rows / B, or in streams L / W, rounded up."""
        if self.in_streams:
            return -(-self.length // self.window)
        return len(self.row_times) // self.batch_size

    @property
    def updates_with_targets(self) -> list[int]:
        """The indices of the updates with a target; in streams, an update may have no target."""
        if self.in_streams:
            return sorted({time // self.window for time in self.target_times})
        return list(range(self.updates_per_sequence))


@dataclasses.dataclass(frozen=True)
class NetworkConfig:
    """The recurrent network: a cell scanned over time, and a linear readout of its output."""

    cell: str = "lstm"
    """A built-in cell (echo-jax cards list names them), block:CELL for a small network around
    one, or a cell of your own: module:NAME or FILE.py."""
    hidden_size: int = 50
    """Hidden units of the cell (H)."""
    stateful: bool = True
    """Row b of a batch starts from the state that row b of the previous batch left, as with
    stateful=True in Keras, where the default is False. Without this, every batch starts from a
    zero state. A sequence always starts from a zero state."""
    encoding: Literal["one-hot", "embedding"] = "one-hot"
    """Input of the cell: the one-hot vector of the token, or a learned embedding."""
    embedding_dim: int = 64
    """Size of the embedding of a token; only with {encoding=embedding}."""
    tied: bool = False
    """Score each token by the inner product with its embedding instead of by separate readout
    weights; only with {encoding=embedding}."""
    delay_line: int | None = None
    """Number of values that the cell mlp sees at a time: the current one and the ones just before
    it. Default: the size of the window."""
    cell_args: str | None = None
    """Options of the cell, such as layers=2,width=64; the number of its units is {hidden_size}."""
    state_bytes: int | None = None
    """Find the options that give the cell a state of this many bytes, within 10%, as echo-jax card
    does; the run records the {hidden_size} and {cell_args} that were found."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless the cell has a valid name and each option has an effect."""
        check_values(self)
        pattern = f"({BLOCK_PREFIX})?({'|'.join(CELLS)}|(?!{BLOCK_PREFIX})({OWN_CELL}))"
        name = self.cell if isinstance(self.cell, str) else ""
        if len(name) > LONGEST or not re.fullmatch(pattern, name):
            raise ConfigError("cell", self.cell, *_no_cell(self.cell))
        if self.encoding != "embedding":
            fix = "use {encoding=embedding}, or leave it out"
            for field in ("tied", "embedding_dim"):
                if getattr(self, field) != getattr(NetworkConfig, field):
                    raise ConfigError(field, getattr(self, field), "needs an embedding", fix)
        if self.delay_line is not None and self.cell != "mlp":
            rule = f"is not for the cell {self.cell}"
            raise ConfigError("delay_line", self.delay_line, rule, "use {cell=mlp}")


OPTAX = "optax"
HAS_ITS_OWN_RATE = (
    "has no effect on a transformation of optax, which has its own rate",
    "leave it out, or use {optimizer=adam}",
)


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """The training: one optimizer step for every batch of every sequence."""

    sequences: int = 2000
    """Number of training sequences (N); in streams, the number of groups of B sequences. Random
    sequences are used only once; sequences of a file are cut out at random places."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    optimizer: Literal["adam", "keras-adam"] = "adam"
    """adam: as in optax, with epsilon 1e-7; keras-adam: as in Keras, which adds epsilon before the
    bias correction."""
    bptt_batches: int = 1
    """Batches that a gradient passes back through (k, truncated backpropagation through time): an
    update runs the k-1 previous batches again, with the current weights, from the state before
    them. 1: the gradient stops at the border of the batch, as in Keras."""
    frozen: bool = False
    """Keep the initial weights of the cell, as in a reservoir: train only the readout, and the
    embedding if there is one."""

    @property
    def of_optax(self) -> bool:
        """True if a call was given a transformation of optax, which no flag or row can state."""
        return isinstance(self.optimizer, str) and self.optimizer == OPTAX

    def __post_init__(self) -> None:
        """Raise ConfigError unless each value is valid and the optimizer can use every field."""
        check_values(self, ["optimizer"] if self.of_optax else [])
        rate = self.learning_rate
        if self.of_optax and rate != TrainingConfig.learning_rate:
            raise ConfigError("learning_rate", rate, *HAS_ITS_OWN_RATE)
        if self.of_optax and self.frozen:
            rule = "cannot be guaranteed by a transformation of optax, which may change any weight"
            raise ConfigError("frozen", True, rule, "use {optimizer=adam}")
        if not 2.0**-126 <= rate <= 2.0**128 - 2.0**104:  # the normal numbers of float32
            rule = "is not a positive, finite and normal 32-bit number"
            raise ConfigError("learning_rate", rate, rule, "use a rate such as 0.001")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Where the integers come from: drawn at random, or read from a CSV or a text file."""

    csv: str | None = None
    """CSV file to train on instead of random integers; its first line names the columns."""
    column: str | None = None
    """Column of the CSV file; needed only if there are several."""
    held_out: float = 0.2
    """Share of the values, at their end, that is kept for evaluation and never trained on."""
    text: str | None = None
    """Text file (UTF-8) to train on instead of random integers: its characters are the values, and
    every run of spaces, tabs and line ends is one space."""

    @property
    def file(self) -> str | None:
        """The CSV or text file of the user's own values, or None for random integers."""
        return self.text if self.csv is None else self.csv

    def __str__(self) -> str:
        """Return the place of the user's values: "column n of my.csv" or "text my.txt"."""
        return f"column {self.column} of {self.csv}" if self.text is None else f"text {self.text}"

    def __post_init__(self) -> None:
        """Raise ConfigError unless the values are valid together.

        At most one file is named, a column needs a CSV file, and the share that is kept for
        evaluation is above 0 and below 1. Only values of a file can be kept.
        """
        check_values(self)
        if self.csv is not None and self.text is not None:
            raise ConfigError("text", self.text, "cannot be used with {csv}", "leave one out")
        if self.csv is None and self.column is not None:
            raise ConfigError("column", self.column, "needs a file", "name it with {csv=FILE}")
        if not 0 < self.held_out < 1:
            rule = "is not a share between 0 and 1"
            raise ConfigError("held_out", self.held_out, rule, "use a share such as 0.2")
        if self.file is None and self.held_out != DataConfig.held_out:
            fix = "name it with {csv=FILE} or {text=FILE}, or leave {held_out} out"
            raise ConfigError("held_out", self.held_out, "needs a file", fix)


class DynamicParams(NamedTuple):
    """The parameters of a run that jax traces, so that another value needs no new compilation.

    Each is one value, or an array with a value for each seed.

    seed           the seed of the run
    lag            n, how many steps back the target lies
    learning_rate  the step size of Adam
    stateful       True if a batch starts from the state that the previous batch left
    """

    seed: Any
    lag: Any
    learning_rate: Any
    stateful: Any


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """The configuration of a run: its task, network, training, data and seeds."""

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
        """Raise ConfigError unless each value is valid and the sections can be combined.

        The last seed must fit into 31 bits.
        """
        check_values(self)
        _check_whole("seed", self.seed, LARGEST - self.seeds + 1)
        if self.training.bptt_batches > 1 and not self.network.stateful:
            rule = "needs a state that is carried from batch to batch"
            fix = "use {stateful=True}, or {bptt_batches=1}"
            raise ConfigError("bptt_batches", self.training.bptt_batches, rule, fix)
        if self.task.framing == "values" and self.network.encoding == "embedding":
            rule = "embeds tokens, but {framing=values} feeds numbers"
            raise ConfigError("encoding", "embedding", rule, "use {encoding=one-hot}")
        if self.task.framing == "values" and self.data.file is not None:
            rule = f"is for integers, but the values of {self.data.file} may be any text"
            raise ConfigError("framing", "values", rule, "use {framing=classes}")

    @property
    def input_size(self) -> int:
        """The number of features of an input of the cell.

        It is the number of tokens for one-hot vectors, the size of the embedding, or 1 if the
        network reads numbers.
        """
        if self.network.encoding == "embedding":
            return self.network.embedding_dim
        return 1 if self.task.framing == "values" else self.task.input_tokens

    @property
    def values_in_line(self) -> int | None:
        """The number of values that the cell mlp sees at a time, or None for any other cell."""
        return (self.network.delay_line or self.task.window) if self.network.cell == "mlp" else None

    @property
    def carries_state(self) -> bool:
        """True if a batch starts from the state that the batch before it left; False for mlp."""
        return self.network.stateful and not self.values_in_line

    @property
    def dynamic(self) -> DynamicParams:
        """The parameters of the run with the first seed that jax traces."""
        return DynamicParams(
            self.seed, self.task.lag, self.training.learning_rate, self.network.stateful
        )

    @property
    def static_config(self) -> "RunConfig":
        """The configuration with its dynamic parameters, seeds and data set to fixed values.

        Runs with equal static configurations and equally many seeds share one compiled program. The
        lag is traced, but the number of rows depends on the lag. So the lag is replaced by 0, or by
        the smallest lag with an equal number of batches.
        """
        task = self.task
        neutral = dataclasses.replace(task, lag=0)
        if neutral.updates_per_sequence != task.updates_per_sequence:
            # with a lag n >= 0 a sequence has L - max(W-1, n) target times, in prefixes L - n
            too_many = (task.updates_per_sequence + 1) * task.batch_size
            neutral = dataclasses.replace(task, lag=task.length - too_many + 1)
        # seeds are an axis and values of a file an argument of the program: both are left out
        return RunConfig(
            neutral,
            dataclasses.replace(self.network, stateful=True),
            dataclasses.replace(self.training, learning_rate=TrainingConfig.learning_rate),
            evaluation_sequences=self.evaluation_sequences,
        )

    @property
    def least_bytes(self) -> int:
        """A lower bound of the memory of a run in bytes, without its training state.

        The bound counts the rows of one sequence, the logits of one batch, and the evaluation
        sequences with the answers to them, at 4 bytes per number.
        """
        task = self.task
        rows = task.updates_per_sequence * task.batch_size
        logits = task.batch_size * task.targets_per_row * task.vocab_size
        sequence = task.length * (task.batch_size if task.in_streams else 1)
        answers = rows * task.targets_per_row
        return 4 * (
            rows * task.window + logits + self.evaluation_sequences * (sequence + 3 * answers)
        )


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How a run is computed and kept; it changes no number beyond rounding."""

    checkpoint_every: int | None = None
    """Number of sequences between two checkpoints; by default a checkpoint is written about every
    ten seconds. Interrupting the command and the end of training also write a checkpoint."""
    devices: int | None = None
    """The most devices to use; by default all of them, where each core of a CPU is a device. No
    more devices are used than there are seeds, and only one with {seed_map=vmap} on a CPU."""
    seed_map: Literal["map", "vmap"] | None = None
    """How a device runs its seeds: map, one after the other (the default on a CPU, where each seed
    is bit-identical to a run of it alone), or vmap, all at once (the default on other devices)."""
    compute: Literal["literal", "fast"] = "fast"
    """The form of the network and of Adam: literal is the definition (one-hot vectors, a plain
    scan, optax); fast is faster and equal within rounding."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless each value has the type and range of its field."""
        check_values(self)


def changed(config: RunConfig, **fields: Any) -> RunConfig:
    """Return `config` with the values in `fields`, whose names may be of fields in any section.

        changed(PARTS["context"], lag=3, hidden_size=20, seeds=8)

    Raises:
      ConfigError: if a value breaks a rule.
      KeyError: if a field does not exist.
    """
    sections: dict[str | None, dict[str, Any]] = {}
    for name, value in fields.items():
        sections.setdefault(SECTION[name], {})[name] = value
    whole = sections.pop(None, {})
    for section, values in sections.items():
        whole[str(section)] = dataclasses.replace(getattr(config, str(section)), **values)
    return dataclasses.replace(config, **whole)


def flags_of(fields: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line that set `fields`, which maps names to values.

    {"lag": 3, "stateful": False}  ->  --lag 3 --no-stateful
    """
    words: list[str] = []
    for name, value in fields.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            words += [f"--{flag}", str(value)]
    return words


def flat(config: RunConfig) -> dict[str, Any]:
    """Return the value of every field of `config` by its name, without sections."""
    return {
        name: getattr(getattr(config, section) if section else config, name)
        for name, section in SECTION.items()
    }


def chosen(config: RunConfig) -> dict[str, Any]:
    """Return the fields of `config`, by name, whose values differ from the default values.

    The default values are those of part 4 of the tutorial, `PARTS["context"]`.

    The vocabulary size is left out if the values come from a file, which determines that size.
    """
    default = flat(PARTS["context"])
    fields = {name: value for name, value in flat(config).items() if value != default[name]}
    if config.data.file:
        fields.pop("vocab_size", None)  # the number of values in the file
    return fields


def to_dict(config: RunConfig) -> dict[str, Any]:
    """Return `config` as nested plain values, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(values: Mapping[str, Any]) -> RunConfig:
    """Return the configuration with these `values`, which are of the form that `to_dict` returns.

    Raises ConfigError if a field is unknown, missing or invalid.
    """
    return _build(RunConfig, "configuration", values)


def _build(kind: Any, name: str, values: Any) -> Any:
    if not isinstance(values, Mapping):
        rule = "is not a table of fields"
        raise ConfigError(None, f"{name} {shown(values)}", rule, "use a table that to_dict wrote")
    if kind is RunConfig:
        sections = {name: _build(of, name, values.get(name)) for name, of in _SECTIONS.items()}
        values = {**values, **sections}
    expected = {field.name for field in dataclasses.fields(kind)}
    for field in sorted(expected ^ set(values), key=str):
        what = f"{name} field {shown(field)}"
        if field in expected:
            raise ConfigError(None, what, "is missing", "restore it")
        fix = f"the fields are {', '.join(sorted(expected))}"
        raise ConfigError(None, what, "is unknown", fix)
    return kind(**values)


def check_values(config: Any, unchecked: Collection[str] = ()) -> None:
    """Raise ConfigError if a value of the dataclass `config` breaks a rule of its type or range.

    Fields named in `unchecked` are skipped. `checked` says what is checked; its result replaces the
    value in `config` itself.
    """
    for field in dataclasses.fields(config):
        if field.name not in unchecked:
            value = checked(field.name, field.type, getattr(config, field.name))
            object.__setattr__(config, field.name, value)  # the class is frozen


def check_call(call: Callable[..., Any], given: Mapping[str, Any]) -> None:
    """Raise ConfigError if an argument breaks a rule of its type in the signature of `call`.

    `given` holds the values of the arguments by name. `checked` says what is checked; arguments of
    the type Any are skipped.
    """
    for name, parameter in inspect.signature(call).parameters.items():
        if name in given and parameter.annotation is not Any:  # which may raise as it is looked at
            checked(name, parameter.annotation, given[name])


def checked(name: str, annotation: Any, value: Any) -> Any:
    """Return `value` in plain form; raise ConfigError if it breaks a rule of its type or range.

    `name` is the field or argument that has the value, and `annotation` is its type. Checked are
    numbers (whole numbers also for their range), booleans, literals, optional names, sequences and
    classes of echo_jax; a value of any other type is returned unchecked. A path becomes its text if
    a string is wanted, and a scalar array becomes a number or a boolean of Python.
    """
    kinds = get_args(annotation)
    optional = type(None) in kinds
    kind: Any = kinds[0] if optional and len(kinds) == 2 else annotation  # no path: `path_of` is
    value = _plain(kind, value)
    if optional and value is None:
        return None
    if kind is int:
        _check_whole(name, value)
    elif broken := _broken_rule(kind, optional, value) or _other_object(kind, value):
        raise ConfigError(name, value, *broken)
    return value


def _plain(kind: Any, value: Any) -> Any:
    """Return `value` in plain form for a field of the type `kind`.

    A path becomes text if `kind` is str, a member of an enumeration or of another subclass of str
    becomes its text, and a scalar array becomes a number.
    """
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, str):
        return str.__str__(value)  # JSON takes no subclass
    return value.item() if getattr(value, "shape", None) == () else value


def _broken_rule(kind: Any, optional: bool, value: object) -> tuple[str, str] | None:
    """Return the rule that `value` breaks and the fix, or None if it breaks no rule.

    `kind` is the type of the field; `optional` is True if the field may also be None. Only floats,
    booleans, literals and optional strings are checked here.
    """
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if kind is float and (isinstance(value, bool) or not isinstance(value, int | float)):
        return "is not a number", "use a number such as 0.001"
    if kind is bool and not isinstance(value, bool):
        return "is neither True nor False", "use True or False"
    if choices and not (isinstance(value, str) and value in choices):
        return "is unknown", f"use one of {', '.join(choices)}"
    if optional and kind is str:  # a name, where the user gives one
        if not isinstance(value, str):
            return "is not a name", "use a string"
        if re.search(CONTROL, value):
            return "has control characters", "use a plain name"
    return None


def _other_object(kind: Any, value: object) -> tuple[str, str] | None:
    """Return the rule that `value` breaks and the fix, or None if it breaks no rule.

    `kind` is the type of the field. Only sequences and classes of echo_jax are checked here.
    """
    ours = isinstance(kind, type) and kind.__module__.startswith("echo_jax.")
    if ours and not isinstance(value, kind):
        return f"is not of type {kind.__name__}", f"use a {kind.__module__}.{kind.__name__}"
    # Of known length: an iterator may never end.
    counted = isinstance(value, Iterable) and isinstance(value, Sized)
    listed = counted and not isinstance(value, str | bytes | Mapping)
    return ("is not a list", "use a list") if get_origin(kind) is Sequence and not listed else None


def _check_whole(field: str, value: object, maximum: int = LARGEST) -> None:
    minimum = {"vocab_size": 2, "lag": -LARGEST, "seed": 0, "given": 0, "at": 0}.get(field, 1)
    if isinstance(value, bool) or not isinstance(value, int):
        fix = f"use a number such as {max(minimum, 1)}"
        raise ConfigError(field, value, "is not a whole number", fix)
    if value < minimum:
        raise ConfigError(field, value, f"is below {minimum}", f"use {minimum} or more")
    if value > maximum:
        raise ConfigError(field, value, f"is above {maximum}", f"use {maximum} or less")


_TANH_RNN = {"rnn", "rnncell", "tanh", "tanhrnn", "elman", "elmanrnn", "vanilla", "vanillarnn"}
"""Names that other libraries give to the cell `simple`, reduced to letters."""


def _no_cell(cell: object) -> tuple[str, str]:
    """Return why `cell` is not the name of a cell, as the rule that it breaks, and the fix."""
    name = cell if isinstance(cell, str) else ""
    if len(name) > LONGEST:
        return f"is longer than {LONGEST:,} characters", "use a shorter name"
    bare = name.removeprefix(BLOCK_PREFIX)
    block = name.removesuffix(bare)
    file = f"{bare}.py"
    if os.path.isdir(bare):
        return "is a folder", "name a file in it"
    if os.path.isfile(bare):
        return (
            "has a name that Python cannot import",
            "rename it, with letters, digits and _ before .py",
        )
    if re.fullmatch(OWN_CELL, file) and os.path.isfile(file):
        return "is unknown", f"use {block}{file}, which is a file here"
    own = "module:NAME or FILE.py for a cell of your own"
    plain = re.sub(r"[\W_]", "", bare.lower())
    near = difflib.get_close_matches(bare.lower(), CELLS, n=1)
    if near := ["simple"] if plain in _TANH_RNN else near:
        return "is unknown", f"did you mean {block}{near[0]}, or {own}"
    every = f"{', '.join(CELLS)}, or {own}, or {BLOCK_PREFIX}CELL for a block around any of them"
    return "is unknown", f"use one of {every}"


def _too_few_rows(task: TaskConfig) -> ConfigError:
    count = len(task.target_times)
    rows = "1 row" if count == 1 else f"{count} rows"
    rule = (
        f"is more than the {rows} of a sequence (length {task.length}, "
        f"window {task.window}, lag {task.lag})"
    )
    smaller = "{batch_size} or {window}" if count else "{window}"
    fix = f"use a smaller {smaller}, a {{lag}} nearer to 0, or a longer {{length}}"
    return ConfigError("batch_size", task.batch_size, rule, fix)


_SECTIONS: Mapping[str, Any] = {
    field.name: field.type
    for field in dataclasses.fields(RunConfig)
    if dataclasses.is_dataclass(field.type)
}
SECTION: Mapping[str, str | None] = {
    field.name: section
    for section, kind in (*_SECTIONS.items(), (None, RunConfig))
    for field in dataclasses.fields(kind)
    if field.name not in _SECTIONS
}
"""The name of the section that has each field, or None for the fields of `RunConfig` itself."""

PARTS: Mapping[Part, RunConfig] = {
    "current": RunConfig(
        TaskConfig(window=1, lag=0, batch_size=1),
        NetworkConfig(hidden_size=15, stateful=False),
        TrainingConfig(sequences=500),
    ),
    "no-context": RunConfig(TaskConfig(window=1, lag=1, batch_size=6)),
    "context": RunConfig(),
}
"""The configurations of parts of the tutorial, by name.

current     part 2: echo the current value
no-context  part 3: lag 1, with windows of one step
context     part 4: lag 1, with windows of 5 steps
"""


_OTHER_NAMES = {
    "epochs epoch n_epoch n_epochs nb_epoch num_epochs":
        "use {sequences=N}, as there is no set of sequences to repeat",
    "units neurons n_units n_neurons hidden_units num_units": "use {hidden_size}",
    "timesteps time_steps n_timesteps lookback look_back window_size":
        "use {window} for the steps of a row, and {length} for the steps of a sequence",
    "n_batch batchsize n_batch_size minibatch mini_batch": "use {batch_size}",
    "lr learn_rate step_size": "use {learning_rate}",
    "n_features features num_classes n_classes input_dim vocab vocabulary": "use {vocab_size}",
    "out_index n_lag delay shift": "use {lag}",
    "stateless": "use {stateful=False}",
    "return_sequences": "use {layout=streams} for a target at every step",
    "validation_split": "use {held_out} for the share that is kept for evaluation",
    "model layer rnn": "use {cell}",
    "verbose verbosity":
        "leave it out, as the progress of {sequences} is shown; progress=False hides it in Python",
    "report compare export_tasks import cells":
        "use echo-jax cards, whose --help lists its subcommands",
    "cluster": "use it with sweep, study or card, which train many runs",
    "shuffle": "leave it out, as the state is carried from one batch of {sequences} to the next",
}  # fmt: skip
OTHER_NAMES = {name: fix for names, fix in _OTHER_NAMES.items() for name in names.split()}
"""The names of options in Keras and elsewhere, and what to use here instead."""


def unknown(given: str, field: str, known: Collection[str], where: str) -> ConfigError:
    """Return the error for `given`, a flag or an argument that does not exist.

    The message names an option to use instead if `OTHER_NAMES` has the field, or if an option has a
    similar name.

    Args:
      given: the flag or argument as it was given, such as --epochs.
      field: the name of the field that it would set.
      known: the names of all fields that can be set, and their shorter names.
      where: the command or call that lists the options.
    """
    kind = "option" if given.startswith("-") else "argument"
    fix = OTHER_NAMES.get(field)
    if fix is None or not {*re.findall(r"\{(\w+)", fix)} <= {*known}:
        near = difflib.get_close_matches(field, known, 1, 0.7)
        nearest = f"use {{{near[0]}}}, or " if near else ""
        fix = f"{nearest}see {where} for all {kind}s"
    return ConfigError(None, given, f"is not an {kind}", fix)


@functools.cache
def help_of(kind: type, spelling: Spelling = "flag") -> dict[str, str]:
    """Return the docstrings below the fields of the class `kind`, by field, each on one line.

    The fields of base dataclasses are included. Fields in braces, such as {lag=3}, are spelled as
    flags or as arguments, as `spelling` says.
    """
    import docstring_parser

    bases = [base for base in reversed(kind.__mro__) if dataclasses.is_dataclass(base)] or [kind]
    parsed = [docstring_parser.parse_from_object(base).params for base in bases]
    parameters = itertools.chain.from_iterable(parsed)
    return {
        field.arg_name: spell(" ".join((field.description or "").split()), spelling)
        for field in parameters
    }
