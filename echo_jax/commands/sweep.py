"""A grid of your own: every option takes several values, and all combinations are run.

echo-jax sweep --lag 0 1 2 5 10 --hidden 20 50 100 --seeds 8
echo-jax sweep --layout streams --window 25 --lag 1 5 --bptt-batches 1 --out mine
"""

import dataclasses
import functools
import itertools
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import tyro

from echo_jax import environment
from echo_jax.commands import command_line, flags
from echo_jax.commands.grid_runs import Folder, GridOptions, run_studies
from echo_jax.config import (
    PARTS,
    DataConfig,
    NetworkConfig,
    Part,
    RunConfig,
    TaskConfig,
    TrainingConfig,
    changed,
    flags_of,
    flat,
)
from echo_jax.exceptions import ConfigError
from echo_jax.host.interrupts import Interrupts
from echo_jax.report.styles import SERIES
from echo_jax.runs import run_folder
from echo_jax.studies import seed_parts
from echo_jax.studies.catalogue import SCORES, Chart, Study
from echo_jax.studies.grid_point import grid

NAME = "sweep"  # of the rows and the figure

SWITCH = {"yes": True, "no": False}
"""The words for the values of a switch."""

NO = {
    flags_of({name: False})[0]: (flags_of({name: True})[0], "no")
    for name, value in flat(RunConfig()).items()
    if isinstance(value, bool)
}
"""Another spelling of a switch that is off: --no-stateful is --stateful no."""

OWN_SCORES = (
    "accuracy", "majority", "persistence", "k-gram", "recalled bits", "reached 99%",
    "sequences to 99%",
)  # fmt: skip
"""Columns of a sweep on own values."""


def axes() -> Iterator[tuple[str, Any, Any]]:
    """A field of a command for each field of a configuration: the values after each flag."""
    for kind in (TaskConfig, NetworkConfig, TrainingConfig):
        for field in dataclasses.fields(kind):
            value: Any = field.type
            shown = None
            if value is bool:
                value, shown = Literal[*SWITCH], "{yes,no} ..."
            elif get_origin(value) is not Literal and get_args(value):
                value = get_args(value)[0]  # None is what is left out
            hint = "(default: that of the part)"
            help_text = flags.help_of(kind)[field.name]
            argument = tyro.conf.arg(
                help=help_text, help_behavior_hint=hint, metavar=shown,
                aliases=flags.aliases(field.name),
            )  # fmt: skip
            values: Any = tuple[tuple[value, ...], ...]
            repeated = tyro.conf.UseAppendAction[Annotated[values, argument]]
            yield field.name, repeated, dataclasses.field(default=())


if TYPE_CHECKING:
    Axes = Any
else:
    Axes = dataclasses.make_dataclass("Axes", axes(), frozen=True)


@dataclasses.dataclass(frozen=True)
class SweepCommand(GridOptions):
    """Train every combination of some options, evaluate, and show what was learned.

    Each option takes several values (--lag 1 2, or --lag 1 --lag 2), switches yes and no. Each
    value of the last option in the table is compared with the first of them, the other options
    being equal: in pairs of seeds, p adjusted for all comparisons (Holm). Grid points whose results
    are in the folder already are not run again.
    """

    SPELLINGS = NO

    part: Part = "context"
    """Base configuration that the other options change: current (part 2 of the tutorial),
    no-context (part 3) or context (part 4)."""
    axes: Annotated[Axes, command_line.FLAT] = dataclasses.field(default_factory=Axes)
    data: Annotated[DataConfig, command_line.FLAT] = dataclasses.field(default_factory=DataConfig)
    seeds: int = 8
    """Seeds of every combination."""
    seed: int = 0
    """The first of these seeds."""
    evaluation_sequences: int = RunConfig.evaluation_sequences
    """Fresh sequences for the accuracy and loss of each seed."""
    until_learned: bool = False
    """Stop training a combination when all its seeds have reached 99%."""
    out: Path | None = None
    """Folder of the rows, the figure and the page, by default a new one under runs/; a sweep
    that was stopped goes on there."""

    @property
    def values(self) -> dict[str, list[Any]]:
        """The values of each field that was given, switches as True and False."""
        given = {field: groups for field, groups in vars(self.axes).items() if groups}
        return {
            field: list(dict.fromkeys(SWITCH.get(word, word) for word in itertools.chain(*groups)))
            for field, groups in given.items()
        }

    @property
    def study(self) -> Study:
        """The grid as a study; ConfigError for an invalid combination."""
        values = self.values
        for field, groups in vars(self.axes).items():
            if () in groups:
                flag = command_line.flag_of(field)
                raise ConfigError(None, flag, "has no value", "give one or several after it")
        fixed = {field: given[0] for field, given in values.items() if len(given) == 1}
        varied = {field: given for field, given in values.items() if len(given) > 1}
        if not varied:
            varied = {"lag": [fixed.pop("lag", PARTS[self.part].task.lag)]}
        for field in ("seeds", "seed", "evaluation_sequences"):
            fixed[field] = getattr(self, field)
        fixed |= vars(self.data)
        axes = {
            name_of(field): {label(value): {**fixed, field: value} for value in given}
            for field, given in varied.items()
        }
        points = grid(PARTS[self.part], axes, until_learned=self.until_learned)
        named = [f"{name} {', '.join(map(str, labels))}" for name, labels in axes.items()]
        source = "" if self.data.file is None else f" of {self.data.file}"
        question = f"What is learned{source} with {'; '.join(named)}?"
        size, names = len(list(axes.values())[-1]), [point.name for point in points]
        pairs = tuple((names[i - i % size], names[i]) for i in range(len(names)) if i % size)
        columns = SCORES if self.data.file is None else OWN_SCORES
        return Study(question, points, columns, chart_of(varied), pairs)


def chart_of(varied: Mapping[str, Sequence[Any]]) -> Chart:
    """Up to 6 lines over the first field of numbers that leaves so few, or dots."""
    for field, values in varied.items():
        others = [other for other in varied if other != field]
        numeric = all(type(value) in (int, float) for value in values)
        if numeric and math.prod(len(varied[other]) for other in others) <= len(SERIES):
            return Chart("lines", x=name_of(field), series=",".join(map(name_of, others)))
    return Chart()


def name_of(field: str) -> str:
    """The name of a field in tables."""
    return flags.ALIASES.get(field, field.replace("_", " "))


def label(value: Any) -> Any:
    """A value in tables: switches as yes and no."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(SweepCommand)
    out = command.out or run_folder.named_after_time("-sweep")
    again = command_line.this_command("sweep")
    again += f" --out {out}" * (command.out is None)
    with command_line.stoppable(again) as interrupts:
        run(command, out, interrupts)


def run(command: SweepCommand, out: Path, interrupts: Interrupts) -> None:
    """Check every grid point, and run what is missing."""
    study = checked(command.study)
    again = f"{command_line.INSTALLED} sweep {command_line.quoted(*sys.argv[1:])}"
    folder = Folder(out, "a sweep", "A sweep", {NAME: study}, lambda _: again, again)
    run_studies(folder, [NAME], command, interrupts)


def checked(study: Study) -> Study:
    """The study with the user's own values, and the digests of the files of the user's cells.

    ConfigError for a file that cannot be read, or a network that is too large or cannot be built.
    """
    from echo_jax.cells import registry
    from echo_jax.core.network import build_network

    for point in study.points:
        environment.check_memory(seed_parts.at_once(point) * point.config.least_bytes)
    environment.use_cpu_devices(None)  # before a user's file uses jax
    points = study.points
    if points[0].config.data.file is not None:
        from echo_jax.runs import own_data

        own = own_data.read_inputs(points[0].config)
        points = tuple(point.on(own_data.on_values(own, point.config)) for point in points)
    for config in {changed(point.config, seeds=1, seed=0, sequences=1) for point in points}:
        build_network(config)
    source = functools.cache(registry.source_digest)
    with_source = (
        dataclasses.replace(point, cell_source=source(point.config.network.cell))
        for point in points
    )
    return dataclasses.replace(study, points=tuple(with_source))
