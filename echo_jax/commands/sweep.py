"""Run a grid of your own: every option takes several values, and all combinations are run.

echo-jax sweep --lag 0 1 2 5 10 --hidden 20 50 100 --seeds 8
echo-jax sweep --layout streams --window 25 --lag 1 5 --bptt-batches 1 --out mine
"""

import dataclasses
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import tyro

from echo_jax import config
from echo_jax.commands import command_line
from echo_jax.commands.study import GridOptions, run_and_print
from echo_jax.echo.run import run_folder
from echo_jax.echo.studies.catalogue import Study
from echo_jax.echo.studies.sweep_call import NAME, sweep_folder, sweep_study

SWITCH = {"yes": True, "no": False}

NO = {
    config.flags_of({name: False})[0]: (config.flags_of({name: True})[0], "no")
    for name, value in config.flat(config.RunConfig()).items()
    if isinstance(value, bool)
}
"""Other spellings of switches that are off: --no-stateful means --stateful no."""


def axes() -> Iterator[tuple[str, Any, Any]]:
    """Yield the name, type and default of a field of the command for each option that can vary.

    These are the options of the task, the network and the training. The value of a field is a tuple
    with a tuple of values for each use of the flag.
    """
    for kind in (config.TaskConfig, config.NetworkConfig, config.TrainingConfig):
        for field in dataclasses.fields(kind):
            value: Any = field.type
            shown = None
            if value is bool:
                value = Literal[*SWITCH]
                shown = "{yes,no} ..."
            elif get_origin(value) is not Literal and get_args(value):
                value = get_args(value)[0]  # None is what is left out
            hint = "(default: as in the part)"
            help_text = command_line.help_of(kind)[field.name]
            argument = tyro.conf.arg(
                help=help_text, help_behavior_hint=hint, metavar=shown,
                aliases=command_line.aliases(field.name),
            )  # fmt: skip
            # A flag takes several values and may be repeated: a tuple of values for each time.
            values: Any = tuple[tuple[value, ...], ...]
            repeated = tyro.conf.UseAppendAction[Annotated[values, argument]]
            yield field.name, repeated, dataclasses.field(default=())


# A class that is made while the module loads is no type for mypy.
if TYPE_CHECKING:
    Axes = Any
else:
    Axes = dataclasses.make_dataclass("Axes", axes(), frozen=True)


@dataclasses.dataclass(frozen=True)
class SweepCommand(GridOptions):
    """Train every combination of the values of some options, and show what was learned.

    Each option takes several values (--lag 1 2, or --lag 1 --lag 2); a switch takes yes and no.
    Each value of the last option in the table is compared with the first value of this option, with
    equal other options, in pairs of seeds; p is adjusted for all comparisons (Holm). Grid points
    whose results are already in the folder are not run again.
    """

    SPELLINGS = NO

    part: config.Part = "context"
    """Base configuration that the other options change: current (part 2 of the tutorial),
    no-context (part 3) or context (part 4)."""
    axes: Annotated[Axes, command_line.FLAT] = dataclasses.field(default_factory=Axes)
    data: Annotated[config.DataConfig, command_line.FLAT] = dataclasses.field(
        default_factory=config.DataConfig
    )
    seeds: int = 8
    """Number of seeds of every combination."""
    seed: int = 0
    """The first seed."""
    evaluation_sequences: int = config.RunConfig.evaluation_sequences
    """Fresh sequences for the accuracy and loss of each seed."""
    until_learned: bool = False
    """Stop training a combination when all its seeds have reached 99%."""
    out: Path | None = None
    """Folder for the rows, the figure and the page, by default a new one under runs/. A sweep
    that was stopped continues there."""

    @property
    def study(self) -> Study:
        """The grid as a study.

        ConfigError is raised if a flag has no value, or if a combination is invalid.
        """
        values = {}
        for field, groups in vars(self.axes).items():
            if groups:
                given = [SWITCH.get(word, word) for word in itertools.chain(*groups)]
                values[field] = list(dict.fromkeys(given)) if all(groups) else []
        fixed = {name: getattr(self, name) for name in ("seeds", "seed", "evaluation_sequences")}
        return sweep_study(values, self.part, self.data, self.until_learned, **fixed)


def main() -> None:
    """Parse the command line, and run and print the grid."""
    command = command_line.parse(SweepCommand)
    out = command.out or run_folder.named_after_time("-sweep")
    go_on = command_line.this_command("sweep")
    if not command.out:
        go_on += f" --out {out}"
    again = f"{command_line.INSTALLED} sweep {command_line.quoted(*sys.argv[1:])}"
    with command_line.stoppable(go_on) as interrupts:
        run_and_print(sweep_folder(out, command.study, again), [NAME], command, interrupts)
