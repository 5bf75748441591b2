"""A grid of your own: every option takes several values, and all combinations are run.

python scripts/sweep.py --lag 0 1 2 5 10 --hidden 20 50 100 --seeds 8
python scripts/sweep.py --layout streams --window 25 --lag 1 5 --bptt-batches 1 --out mine
"""

import dataclasses
import datetime
import itertools
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import tyro

from echo_jax import atomic_files, machine
from echo_jax.commands import command_line, flags
from echo_jax.commands.study import complete, plan
from echo_jax.config import (
    PARTS,
    NetworkConfig,
    Part,
    RunConfig,
    TaskConfig,
    TrainingConfig,
    changed,
)
from echo_jax.exceptions import ConfigError
from echo_jax.report import text_tables
from echo_jax.studies import study_pages
from echo_jax.studies.catalogue import Cell, Chart, Study, grid

LABELS = {"hidden_size": "hidden", "batch_size": "batch"}
"""What fields are called in a table, where not by their own names."""

NAME = "sweep"
"""What the rows and the figure of a sweep are called."""

MAPS = 9
"""At most so many maps in a figure."""

SWITCH = Literal["yes", "no"]


def axes() -> Iterator[tuple[str, Any, Any]]:
    """A field of a command for each field of a configuration: the values after each flag."""
    for kind in (TaskConfig, NetworkConfig, TrainingConfig):
        help_of = flags.help_of(kind)
        for field in dataclasses.fields(kind):
            hint = "(default: that of the part)"
            argument = tyro.conf.arg(help=help_of[field.name], help_behavior_hint=hint)
            values: Any = tuple[tuple[value_type(field.type), ...], ...]  # type: ignore[misc]
            repeated = tyro.conf.UseAppendAction[Annotated[values, argument]]
            yield field.name, repeated, dataclasses.field(default=())


def value_type(annotation: Any) -> Any:
    """What one value of a field is on the command line."""
    if annotation is bool:
        return SWITCH
    given = [kind for kind in get_args(annotation) if kind is not type(None)]
    return annotation if get_origin(annotation) is Literal or not given else given[0]


if TYPE_CHECKING:
    Axes = Any
else:
    Axes = dataclasses.make_dataclass("Axes", axes(), frozen=True)


@dataclasses.dataclass(frozen=True)
class SweepCommand:
    """Train every combination of some options, evaluate, and show what was learned.

    Each option takes several values (--lag 1 2, or --lag 1 --lag 2), switches yes and no. What is
    there already in the folder is not run again.
    """

    part: Part = "context"
    """Base configuration that the other options change: current (part 2 of the tutorial),
    no-context (part 3) or context (part 4)."""
    axes: Annotated[Axes, command_line.FLAT] = dataclasses.field(default_factory=Axes)
    seeds: int = 8
    """Seeds of every combination."""
    seed: int = 0
    """The first of them."""
    evaluation_sequences: int = RunConfig.evaluation_sequences
    """Fresh sequences for the accuracy and loss of each seed."""
    until_learned: bool = False
    """Stop training a combination when all its seeds have reached 99%."""
    out: Path | None = None
    """Folder of the rows, the figure and the page, by default a new one under runs/; a sweep goes
    on where it was stopped."""

    @property
    def values(self) -> dict[str, Sequence[Any]]:
        """The values of each field that has some, switches as True and False."""
        given = {field: groups for field, groups in vars(self.axes).items() if groups}
        return {
            field: [{"yes": True, "no": False}.get(v, v) for v in itertools.chain(*groups)]
            for field, groups in given.items()
        }

    @property
    def study(self) -> Study:
        """The grid as a study; ConfigError where a combination is none."""
        values = self.values
        for flag, typed in sorted(command_line.given_flags().items()):
            if () in getattr(self.axes, flag.removeprefix("--").replace("-", "_"), ()):
                raise ConfigError(f"{typed} has no value: give one or several after it")
        for field, each in values.items():
            if twice := [value for value in each if each.count(value) > 1]:
                raise ConfigError(f"{field} {twice[0]} is given twice: give each value once")
        fixed = {field: each[0] for field, each in values.items() if len(each) == 1}
        varied = {field: each for field, each in values.items() if len(each) > 1}
        if not varied:
            varied = {"lag": [fixed.pop("lag", PARTS[self.part].task.lag)]}
        common = {
            "seeds": self.seeds,
            "seed": self.seed,
            "evaluation_sequences": self.evaluation_sequences,
        }
        cells = grid(
            PARTS[self.part], fixed | common, varied, LABELS, until_learned=self.until_learned
        )
        return Study(question_of(varied), tuple(cells), chart=chart_of(varied))


def question_of(varied: dict[str, Sequence[Any]]) -> str:
    """What a grid asks."""
    named = (f"{name_of(field)} {', '.join(map(str, each))}" for field, each in varied.items())
    return f"What is learned with {'; '.join(named)}?"


def chart_of(varied: dict[str, Sequence[Any]]) -> Chart:
    """A map over two axes of numbers, lines over one, and dots for everything else."""
    numbers = [
        field
        for field, each in varied.items()
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in each)
    ]
    others = [name_of(field) for field in varied if field not in numbers[:2]]
    lines = [name_of(field) for field in varied if field not in numbers[:1]]
    if len(numbers) > 1 and count(varied, numbers[:2]) <= MAPS:
        x, up = map(name_of, numbers[:2])
        return Chart("heat", x=x, up=up, series=",".join(others))
    if numbers and count(varied, numbers[:1]) <= 6:
        return Chart("lines", x=name_of(numbers[0]), series=",".join(lines))
    return Chart()


def count(varied: dict[str, Sequence[Any]], but: Sequence[str]) -> int:
    """Combinations of all fields but some."""
    return len(list(itertools.product(*(v for field, v in varied.items() if field not in but))))


def name_of(field: str) -> str:
    """What a field is called in tables."""
    return LABELS.get(field, field.replace("_", " "))


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(SweepCommand)
    with command_line.refusals():
        now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        out = command.out or Path("runs") / f"{now}-sweep"
        try:
            run(command.study, out)
        except KeyboardInterrupt:
            again = f"{command_line.program('sweep')} {shlex.join(sys.argv[1:])}"
            again += f" --out {out}" * (command.out is None)
            print(f"\nStopped; to go on: {again}", file=sys.stderr)
            sys.exit(130)


def run(study: Study, out: Path) -> None:
    """Run what is missing, print the table, make the page."""
    for cell in study.cells:
        machine.check_memory(cell.config.seeds * cell.config.least_bytes)
    study_pages.claim(out, "a sweep")
    with atomic_files.locked(out):
        waiting = study_pages.missing(out, NAME, study)
        check_networks(waiting)
        print(plan({NAME: waiting}), flush=True)
        complete(out, NAME, waiting)
        command = f"{command_line.INSTALLED} sweep {shlex.join(sys.argv[1:])}"
        made = study_pages.sections(out, {NAME: study}, command)
        print(text_tables.section_text(made[0]))
        rows = study_pages.shown(out, {NAME: study})
        study_pages.write(out, study_pages.page_of("A sweep", rows, made, command))
    print(f"Page: {out / study_pages.PAGE}")


def check_networks(cells: Sequence[Cell]) -> None:
    """Refuse a cell that cannot be used before any is trained."""
    if not cells:
        return
    from echo_jax.core import network

    for config in {changed(cell.config, seeds=1, seed=0, sequences=1) for cell in cells}:
        network.build_network(config)
