"""`echo_jax.train`: a training run as a Python call, and the finished run that it returns."""

import dataclasses
import difflib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

import jax

from echo_jax import atomic_files, environment
from echo_jax.cells.cell_object import in_config
from echo_jax.cells.registry import GIVEN
from echo_jax.commands import flags
from echo_jax.commands.train import TrainCommand
from echo_jax.config import PARTS, RunConfig, changed, chosen
from echo_jax.core.network import Params
from echo_jax.exceptions import ConfigError
from echo_jax.host.interrupts import Interrupts
from echo_jax.host.stopwatch import Stopwatch
from echo_jax.notebook.training_options import KINDS, TrainOptions
from echo_jax.report.charts import NotebookFigure
from echo_jax.report.markdown import escaped, fenced
from echo_jax.report.styles import drawing
from echo_jax.runs import advice, curve_figure, explanation, run_report
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.predictor import Trained, network_of
from echo_jax.runs.prepared_run import new_inputs, new_run
from echo_jax.runs.result import Finished, Result
from echo_jax.runs.run_folder import RunSpec
from echo_jax.runs.states_figure import any_values
from echo_jax.runs.train_run import train_run

OTHERWISE_HERE = {
    "cell": "A built-in cell, module:NAME or FILE.py; or as in echo_jax.card a class, an instance, "
    "a module or an object with the functions of a cell. With out, one that a name can import.",
    "args": "Options of the cell, which is then a class or its name: dict(features=64).",
    "out": "Folder of the run, which must be new or empty; without one, nothing is written.",
    "checkpoint_every": "Sequences between two checkpoints of a run with a folder; by default as "
    "many as take about ten seconds.",
}
"""Help of arguments that do something else than the flags of the command."""


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Run:
    """A finished training run: its scores, its curve, why it ended so, and its networks.

    config   what was run
    result   the scores beside their baselines, as in `result.json`
    history  loss and accuracy of every training sequence, `history.curves()`
    folder   where the run is stored; None for one that wrote nothing
    """

    config: RunConfig
    result: Result
    history: History
    folder: Path | None
    _inputs: RunSpec
    _params: Params

    def curve(self) -> NotebookFigure:
        """Loss and accuracy over training beside their baselines, as in `curve.png`."""
        with drawing():
            return curve_figure.figure_of(Finished(self.config, self.history, self.result))

    def explain(self) -> str:
        """Say where the target is, if it can be learned, and what helps, or what to ask next."""
        why = explanation.explain(self.config, self.result, "argument")
        return "\n".join([why, *self._next_runs()])

    def report(self) -> str:
        """The scores in full, as the command prints them; and what helps, or what to ask next."""
        scores = run_report.full_report(self.config, self.result, "argument")
        return "\n".join([scores.lstrip(), *self._next_runs()])

    def _next_runs(self) -> list[str]:
        """A line for each run that is advised, which ends with its call."""

        def call(changes: dict[str, Any]) -> str:
            """The call of this run with other values of some fields."""
            fields = chosen(changed(self.config, **changes)).items()
            return f"echo_jax.train({', '.join(f'{name}={value!r}' for name, value in fields)})"

        return advice.after_run(self.config, self.result, call)

    def network(self, seed: int | None = None) -> Trained:
        """The network of a seed, None for the first; ConfigError if it failed or is not there."""
        return network_of(self._inputs, self._params, self.history.sequences, seed, "this run")

    def predict(self, values: Any, *, seed: int | None = None, **options: Any) -> Any:
        """The answers of the network of a seed, see `echo_jax.runs.predictor.Trained.predict`.

        predict([1, 36, 0, 36, 21, 2])  ->  [None, None, None, None, 36, 21]
        """
        return self.network(seed).predict(values, **options)

    def states(self, values: Any = None, *, seed: int | None = None) -> NotebookFigure:
        """The states over a sequence, see `echo_jax.runs.predictor.Trained.states`.

        By default the sequence is one at random, always the same.
        """
        network = self.network(seed)
        return network.states(any_values(network) if values is None else values)

    def __repr__(self) -> str:
        """The run, and its scores beside the baselines."""
        scores = run_report.scores(self.config, self.result)
        return f"{run_report.describe(self.config)}\n{scores}"

    def _repr_markdown_(self) -> str:
        """The run, the scores beside their baselines, and why it ended so."""
        what = escaped(run_report.describe(self.config))
        scores = fenced(run_report.scores(self.config, self.result), "text")
        why = map(escaped, self.explain().splitlines())
        return "\n\n".join([f"**{what}**", scores, *why])


def train(**options: Unpack[TrainOptions]) -> Run:
    """Train a network on the echo task, evaluate it on fresh sequences, and explain the outcome.

        echo_jax.train(lag=1, window=5, seeds=8)
        echo_jax.train(part="no-context")                        # the beginner's mistake
        echo_jax.train(lag=3, stateful=False, out="runs/lag3")   # a run folder, for `load`

    The keyword arguments are the flags of the command `echo-jax train`; they have the same
    defaults, and the run has the same bits. Without `out` nothing is written. No signal handler is
    installed: an interrupt raises KeyboardInterrupt, and any thread may call.

    Returns:
      The finished run, which shows itself in a notebook.

    Raises:
      ConfigError: an argument is unknown or breaks a rule; in one sentence, as the command says it.
    """
    environment.check_settings()
    command = _command(options)
    inputs = new_inputs(command.run)
    inputs = inputs._replace(seed_map=command.seed_map, compute=command.compute)
    environment.use_cpu_devices(None)  # a later call may have more seeds
    with new_run(inputs, command.out, command.devices) as prepared:
        run = prepared._replace(checkpoint_every=command.checkpoint_every)
        finished = train_run(run, Interrupts(), Stopwatch(), lambda _: None)
        if run.folder:
            curve_figure.draw(run.folder, finished)
    config, history, result, params = finished
    return Run(config, result, history, command.out, inputs, jax.device_get(params))


def _command(options: Mapping[str, Any]) -> TrainCommand:
    """The command with these flags; ConfigError for one that a call does not have."""
    for name in options.keys() - KINDS.keys():
        raise _unknown(name)
    names = {field.name for field in dataclasses.fields(TrainCommand)}
    own = {name: value for name, value in options.items() if name in names}
    out, base = own.pop("out", None), TrainCommand(**own)
    fields = {name: value for name, value in options.items() if name not in (*names, "args")}
    cell = options.get("cell", PARTS[base.part].network.cell)
    fields |= in_config(cell, options.get("args"), options.get("hidden_size"))
    run = changed(PARTS[base.part], **fields)
    folder = None if out is None else atomic_files.path_of("out", out)
    if folder and run.network.cell in GIVEN:
        fix = "write it in a file as a class or functions and name that, or give no {out}"
        raise ConfigError("cell", cell, "is nothing that a later process can import", fix)
    return dataclasses.replace(base, out=folder, run=run)


def _unknown(name: str) -> ConfigError:
    """The error of an argument that a call does not have."""
    near = difflib.get_close_matches(name, KINDS, 1, 0.7)
    nearest = "".join(f"use {argument}, or " for argument in near)
    fix = flags.OTHER_NAMES.get(name) or f"{nearest}see help(echo_jax.train) for all of them"
    return ConfigError(None, name, "is not an argument", fix)


def _signature() -> inspect.Signature:
    """The keyword arguments with the defaults of part 4, for help and completion."""
    command, section = TrainCommand(), PARTS[TrainCommand.part]
    values = {"args": None, **vars(command), **vars(section)}
    for fields in (section.task, section.network, section.training, section.data):
        values |= vars(fields)
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [
        inspect.Parameter(name, kind, default=values[name], annotation=annotation)
        for name, annotation in KINDS.items()
    ]
    return inspect.Signature(parameters, return_annotation=Run)


def _arguments() -> str:
    """A line for each keyword argument: the help of its flag."""
    run = PARTS[TrainCommand.part]
    helps: dict[str, str] = {}
    for section in (TrainCommand, RunConfig, *map(type, vars(run).values())):
        if dataclasses.is_dataclass(section):
            helps |= flags.help_of(section, "argument")
    helps |= OTHERWISE_HERE
    return "\n".join(f"  {name}: {helps[name]}" for name in KINDS)


train.__dict__["__signature__"] = _signature()
train.__doc__ = f"{inspect.getdoc(train)}\n\nKeyword arguments:\n{_arguments()}"
