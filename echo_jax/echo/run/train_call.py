"""`echo_jax.train`: a training run as a Python call, and the `Run` that it returns."""

import dataclasses
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, get_type_hints

import jax
import optax

from echo_jax import machine
from echo_jax.cells.cell_object import in_config
from echo_jax.config import (
    HAS_ITS_OWN_RATE,
    OPTAX,
    PARTS,
    Framing,
    Part,
    RunConfig,
    TrainOptions,
    changed,
    check_call,
    chosen,
    flat,
    help_of,
    is_handed_over,
    unknown,
)
from echo_jax.echo.run import advice, explanation, result_report
from echo_jax.echo.run.checkpoint import Finished, History
from echo_jax.echo.run.predictor import TrainedNetwork, network_of
from echo_jax.echo.run.result import Result
from echo_jax.echo.run.run_folder import RunSpec
from echo_jax.echo.run.train_run import OnChunk, Running, new_inputs, new_run, train_run
from echo_jax.exceptions import ConfigError
from echo_jax.learner.network import Network, Params
from echo_jax.report.charts import NotebookFigure
from echo_jax.report.styles import drawing
from echo_jax.report.text_tables import escaped, fenced
from echo_jax.storage import atomic_files

if TYPE_CHECKING:
    from echo_jax.probing.probe_result import ProbeResult

PathLike = str | os.PathLike[str]


class Fields(TypedDict, total=False):
    """The fields of a `RunConfig` and of `TrainOptions` as arguments of a call."""

    part: Part
    """The part of the tutorial whose configuration the other arguments change: current (part 2),
    no-context (part 3) or context (part 4)."""
    length: int
    vocab_size: int
    window: int
    lag: int
    batch_size: int
    layout: Literal["windows", "prefixes", "streams"]
    missing: Literal["masked", "token"]
    framing: Framing
    cell: Any
    """A built-in cell, module:NAME or FILE.py; or, as in echo_jax.card, a class, an instance, a
    module or an object with the functions of a cell. With {out}, the cell must be importable by
    name."""
    hidden_size: int
    stateful: bool
    encoding: Literal["one-hot", "embedding"]
    embedding_dim: int
    tied: bool
    delay_line: int | None
    cell_args: str | None
    state_bytes: int | None
    sequences: int
    learning_rate: float
    optimizer: Literal["adam", "keras-adam"] | optax.GradientTransformation
    """adam: as in optax, with epsilon 1e-7; keras-adam: as in Keras, which adds epsilon before the
    bias correction; or a transformation of optax, such as optax.sgd(0.1), whose updates are added
    to the weights. A transformation has its own rate; it cannot be combined with {learning_rate},
    {frozen} or {out}."""
    bptt_batches: int
    frozen: bool
    csv: PathLike | None
    column: str | None
    held_out: float
    text: PathLike | None
    seed: int
    seeds: int
    evaluation_sequences: int
    checkpoint_every: int | None
    devices: int | None
    seed_map: Literal["map", "vmap"] | None
    compute: Literal["literal", "fast"]


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Run:
    """A finished training run: its scores, its curve, why it ended so, and its networks.

    config   the configuration that was run
    result   the scores beside their baselines, as in `result.json`
    history  the log, of which `history.curves()` returns loss and accuracy of every sequence
    folder   the folder in which the run is stored; None if nothing was written
    """

    config: RunConfig
    result: Result
    history: History
    folder: Path | None
    _inputs: RunSpec
    _network: Network
    _params: Params

    def curve(self) -> NotebookFigure:
        """Return the figure of loss and accuracy over training, as in `curve.png`."""
        with drawing():
            return result_report.figure_of(self._finished())

    def _finished(self) -> Finished:
        return Finished(self.config, self.history, self.result)

    def explain(self) -> str:
        """Return text on where the target is, what was learned, and what to run next."""
        why = explanation.explain(self.config, self.result, "argument")
        return "\n".join([why, *self._next_runs()])

    def report(self) -> str:
        """Return the full scores as text, as the command prints them, and what to run next."""
        scores = result_report.full_report(self.config, self.result, "argument")
        return "\n".join([scores.lstrip(), *self._next_runs()])

    def _next_runs(self) -> list[str]:
        def call(changes: dict[str, Any]) -> str:
            """Return the Python call of this run with the fields in `changes`."""
            fields = chosen(changed(self.config, **changes))
            words = {name: repr(value) for name, value in fields.items()}
            if self.config.training.of_optax:
                words["optimizer"] = "..."  # the one that was given
            if is_handed_over(self.config.network.cell):
                words["cell"] = "..."
            return f"echo_jax.train({', '.join(map('='.join, words.items()))})"

        return advice.after_run(self._finished(), call)

    def network(self, seed: int | None = None) -> TrainedNetwork:
        """Return the network of `seed`, or of the first seed if `seed` is None.

        Raises:
          ConfigError: the seed does not exist, or it failed in training.
        """
        network = self._network._replace(compute="fast")
        trained = self.history.sequences
        return network_of(self._inputs, network, self._params, trained, seed, "this run")

    def predict(self, values: Any, *, seed: int | None = None, **options: Any) -> Any:
        """Return the answers of the network of `seed` to `values`; by default of the first seed.

        `TrainedNetwork.predict` explains `values`, the `options` and the answers.

        Raises:
          ConfigError: for the reasons of `network` and of `TrainedNetwork.predict`.
        """
        return self.network(seed).predict(values, **options)

    def states(self, values: Any = None, *, seed: int | None = None) -> NotebookFigure:
        """Return a figure of the states of the network of `seed`, which is fed `values`.

        The values are one sequence; by default they are random, but equal in each call. The default
        seed is the first.

        Raises:
          ConfigError: for the reasons of `network` and of `TrainedNetwork.states`.
        """
        return self.network(seed).states(values)

    def memory(self, lags: int | None = None, *, seed: int | None = None) -> "ProbeResult":
        """Return the bits that the state of the network of `seed` holds about earlier values.

        `echo_jax.probe` explains the result, which also has the bits before training. The network
        is fed streams of random values, or of the user's own values; the last 15% of the streams
        are scored. `lags` is the largest number of steps back, by default 2 max(W, n + 1) for the
        window W and the lag n of the task. The default seed is the first.

        Raises:
          ConfigError: for the reasons of `network` and of `TrainedNetwork.memory`.
        """
        return self.network(seed).memory(lags)

    def __repr__(self) -> str:
        """Return text: a description of the run, and its scores beside the baselines."""
        scores = result_report.scores(self.config, self.result)
        return f"{result_report.describe(self.config)}\n{scores}"

    def _repr_markdown_(self) -> str:
        what = escaped(result_report.describe(self.config))
        scores = fenced(result_report.scores(self.config, self.result), "text")
        why = map(escaped, self.explain().splitlines())
        return "\n\n".join([f"**{what}**", scores, *why])


def train(
    config: RunConfig | None = None,
    *,
    out: PathLike | None = None,
    on_chunk: OnChunk | None = None,
    args: Mapping[str, Any] | None = None,
    progress: bool = True,
    **fields: Unpack[Fields],
) -> Run:
    """Train a network on the echo task, evaluate it on fresh sequences, and explain the outcome.

        echo_jax.train(lag=1, window=5, seeds=8)
        echo_jax.train(part="no-context")                        # the beginner's mistake
        echo_jax.train(lag=3, stateful=False, out="runs/lag3")   # a run folder, for `load`

    The keyword arguments below are the flags of `echo-jax train`, with equal defaults; the run is
    bit-identical to the run of the command. An interrupt raises KeyboardInterrupt. Any thread may
    call `train`.

    Args:
      config: the configuration that the other arguments change; by default that of the part. An
        object that an earlier call was given as cell or optimizer is not in the configuration:
        give the object again.
      out: the folder of the run, which must be new or empty; without it, nothing is written.
      on_chunk: a function that is called after each chunk of at most about 400 updates. It gets the
        number of sequences trained on so far, and the loss and accuracy of each sequence of the
        chunk, float32 `[S, count]`:
        on_chunk=lambda sequence, loss, accuracy: print(sequence, loss.mean())
      args: options of a cell that is a class or a name, such as dict(features=64); for a name,
        `cell_args` of "features=64" does the same.
      progress: show a bar with the time left, in a terminal or a notebook.

    Returns:
      The finished run, which shows itself in a notebook.

    Raises:
      ConfigError: an argument is unknown or breaks a rule, in the words of the command.
      StorageError: `out` cannot be written.
      DivergedError: the loss of every seed became non-finite.
    """
    machine.check_settings()
    check_call(train, locals() | fields)
    if not (on_chunk is None or callable(on_chunk)):
        raise ConfigError("on_chunk", on_chunk, "is not a function", "use one of three arguments")
    for name in fields.keys() - KINDS.keys():
        known = [*KINDS, "out", "args", "progress"]
        raise unknown(name, name, known, "help(echo_jax.train)")
    given: dict[str, Any] = {**fields}
    names = [field.name for field in dataclasses.fields(TrainOptions)]
    how = TrainOptions(**{name: given.pop(name) for name in names if name in given})
    asked = configured(config, args, **given)
    folder = None if out is None else _folder(out, asked.config, given.get("cell"))
    inputs = new_inputs(asked.config)._replace(cell=asked.cell, optimizer=asked.optimizer)
    machine.use_cpu_devices(None)  # a later call may have more seeds
    with new_run(inputs, folder, how) as prepared:
        say = (lambda _: None) if progress else None  # the bar, and no lines
        finished = train_run(prepared, Running(say, on_chunk))
        if prepared.folder:
            result_report.draw(prepared.folder, finished)
    run, history, result, params = finished
    network = prepared.learner.network
    weights = jax.device_get(params)
    return Run(run, result, history, folder, prepared.inputs, network, weights)


def configured(
    config: RunConfig | None = None, args: Mapping[str, Any] | None = None, **fields: Any
) -> RunSpec:
    """Return the inputs of a run from arguments of `train`: a configuration, a cell, an optimizer.

    `fields` and the `args` of the cell change `config`, or the configuration of the part. Cell and
    optimizer are the objects that the configuration only names. The user's data are not read yet.
    Raises ConfigError if a value breaks a rule.
    """
    base = _base(config, fields)
    fields.pop("part", None)
    optimizer = None
    if isinstance(fields.get("optimizer"), optax.GradientTransformation):
        optimizer = fields["optimizer"]
        fields["optimizer"] = OPTAX
        if "learning_rate" in fields:
            raise ConfigError("learning_rate", fields["learning_rate"], *HAS_ITS_OWN_RATE)
    wanted = fields.get("cell", base.network.cell)
    for field in ("cell_args", "state_bytes"):
        if fields.get(field) is not None and not isinstance(wanted, str):
            rule = "needs a {cell} given by its name, but this is an object"
            raise ConfigError(field, fields[field], rule, "give its options with {args}")
    if args is not None and fields.get("cell_args") is not None:
        raise ConfigError("args", args, "cannot be used with {cell_args}", "leave one out")
    named, cell = in_config(wanted, args, fields.get("hidden_size"))
    return RunSpec(changed(base, **fields | named), cell=cell, optimizer=optimizer)


def _base(config: RunConfig | None, fields: Mapping[str, Any]) -> RunConfig:
    part = fields.get("part", "context")
    if config is None:
        return PARTS[part]
    if "part" in fields:
        raise ConfigError("part", part, "cannot be used with {config}", "leave one out")
    return config


def _folder(out: PathLike, config: RunConfig, cell: object) -> Path:
    """Return `out` as a path.

    Raises ConfigError if the cell or the optimizer is an object, which no later process can import.
    """
    rule = "cannot be imported by a later process"
    if is_handed_over(config.network.cell):
        fix = "write it as a class or functions in a file and name the file, or train without {out}"
        raise ConfigError("cell", cell or config.network.cell, rule, fix)
    if config.training.of_optax:
        fix = "use {optimizer=adam} or {optimizer=keras-adam}, or train without {out}"
        raise ConfigError(None, "an optimizer of optax", rule, fix)
    return atomic_files.path_of("out", out)


KINDS = get_type_hints(Fields)
"""The type of each field."""


def _show_fields() -> None:
    """Add the fields to the signature and the docstring of `train`, for help and completion."""
    defaults = {"part": "context", **flat(PARTS["context"]), **vars(TrainOptions())}
    signature = inspect.signature(train)
    *own, _ = signature.parameters.values()
    for name, annotation in KINDS.items():
        keyword = inspect.Parameter.KEYWORD_ONLY
        own += [inspect.Parameter(name, keyword, default=defaults[name], annotation=annotation)]
    train.__dict__["__signature__"] = signature.replace(parameters=own)
    sections = [type(section) for section in vars(PARTS["context"]).values()]
    helps: dict[str, str] = {}  # of flags, and of what stands below a field here
    for kind in (TrainOptions, RunConfig, *filter(dataclasses.is_dataclass, sections), Fields):
        helps |= help_of(kind, "argument")
    lines = "\n".join(f"  {name}: {helps[name]}" for name in KINDS)
    train.__doc__ = f"{inspect.getdoc(train)}\n\nKeyword arguments:\n{lines}"


_show_fields()
