"""Train on the echo task, one seed or many, evaluate on fresh sequences, explain the outcome.

echo-jax train --lag 1 --window 5 --seeds 16     # the same, with an interval
echo-jax train --part no-context                 # part 3: stays at chance, and why
echo-jax train --resume runs/part4               # go on where a run was stopped
"""

import contextlib
import dataclasses
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from echo_jax import atomic_files, machine
from echo_jax.commands import command_line
from echo_jax.config import PARTS, Part, RunConfig, as_flags, changed, check_values
from echo_jax.exceptions import ConfigError, DivergedError, StorageError
from echo_jax.host import compilation_cache
from echo_jax.host.interrupts import Interrupts, StoppedError
from echo_jax.host.process_start import STARTED
from echo_jax.host.stopwatch import Stopwatch
from echo_jax.report.styles import Format
from echo_jax.runs import run_folder
from echo_jax.runs.run_folder import RunSpec

if TYPE_CHECKING:
    from echo_jax.runs.prepared_run import PreparedRun


@dataclasses.dataclass(frozen=True)
class TrainCommand:
    """Train a network to say the integer it saw some steps ago, and see whether it learned to.

    `--lag 1 --window 5` is part 4 of the tutorial, and the default.
    """

    part: Part = "context"
    """Base configuration that the other options change: current (part 2 of the tutorial),
    no-context (part 3) or context (part 4)."""
    out: Path | None = None
    """Folder of the run, which must be new or empty; by default one under runs/."""
    resume: Path | None = None
    """Go on with the run in this folder from its last checkpoint; with a larger --sequences N, up
    to N. The result has the bits of a run that was never stopped."""
    checkpoint_every: int | None = None
    """Sequences between two checkpoints; by default as many as take about ten seconds. Ctrl-C
    and the end of training write one too."""
    devices: int | None = None
    """Use at most so many devices; by default all, on a CPU one a core. Never more than seeds,
    and on a CPU with {seed_map=vmap} one."""
    seed_map: Literal["map", "vmap"] | None = None
    """How a device runs its seeds: map, one after the other (the default on a CPU: each seed is
    bit for bit what it is alone), or vmap, all at once (the default elsewhere)."""
    compute: Literal["literal", "fast"] = "fast"
    """The form of the network and of Adam: literal is the definition (one-hot vectors, a plain
    scan, optax), fast is equal within rounding and faster."""
    compilation_cache: bool = True
    """Keep compiled programs in your cache folder, so that the next run of the same shapes starts
    sooner."""
    open: bool = False
    """Open the figure of the run when it is there."""
    format: Format = "png"
    """The format of the figure of the run: curve.png, curve.svg or curve.pdf."""
    run: Annotated[RunConfig, command_line.FLAT] = PARTS["context"]

    def __post_init__(self) -> None:
        """Raise ConfigError for a value of another type or range than that of its field."""
        check_values(self)


def main() -> None:
    """Parse the command line, train, and end the process at once."""
    command = command_line.parse(TrainCommand)
    interrupts = Interrupts()
    with (
        interrupts,
        command_line.refusals(),
        contextlib.suppress(StoppedError),
        claimed(command) as (folder, inputs),
    ):
        run(command, folder, inputs, interrupts)
    command_line.leave(interrupts.exit_status)  # freeing the compiled programs takes 0.4 s


@contextlib.contextmanager
def claimed(command: TrainCommand) -> Iterator[tuple[Path, RunSpec]]:
    """The folder of the run, locked against every other process, and what the run is made of.

    A run that is resumed has what is in its folder, and a larger --sequences if one is given.
    """
    if command.resume is None:
        inputs = new_inputs(command)
        with run_folder.claimed_folder(command.out) as folder:
            yield folder, inputs
        return
    with atomic_files.locked(command.resume):
        given = command_line.given_fields()
        may_stand = "resume sequences cell checkpoint_every devices compilation_cache open format"
        for field in given:
            if field not in may_stand.split():
                raise ConfigError(
                    None, command_line.flag_of(field), "cannot be changed in a run that is resumed",
                    "leave it out, or start a new run without {resume}",
                )  # fmt: skip
        inputs = run_folder.read_inputs(command.resume)
        cell = command.run.network.cell if "cell" in given else None
        run_folder.check_cell_named(command.resume, inputs, cell)
        if "sequences" in given:
            sequences = command.run.training.sequences
            inputs = inputs._replace(config=changed(inputs.config, sequences=sequences))
        yield command.resume, inputs


def new_inputs(command: TrainCommand) -> RunSpec:
    """The inputs of a run that is not resumed."""
    from echo_jax.runs import csv_input

    inputs = csv_input.new_inputs(command.run)
    return inputs._replace(seed_map=command.seed_map, compute=command.compute)


def begin(
    command: TrainCommand, folder: Path | None, inputs: RunSpec, cache: bool = True
) -> "PreparedRun":
    """Import jax, and check the run against its folder, if it has one.

    `cache` says whether jax may be told to keep compiled programs, which changes all of a process.
    """
    from echo_jax.runs import prepared_run

    machine.use_cpu_devices(min(command.devices or machine.cores(), inputs.config.seeds))
    if cache:  # of a process that is ours
        compilation_cache.use_compilation_cache(command.compilation_cache)
    note = run_folder.other_bits(folder) if folder and command.resume else None
    begun = prepared_run.prepare(
        folder,
        inputs,
        resume=command.resume is not None,
        device_limit=command.devices,
        checkpoint_every=command.checkpoint_every,
    )
    if note:
        print(note, file=sys.stderr)
    return begun


def run(command: TrainCommand, folder: Path, inputs: RunSpec, interrupts: Interrupts) -> None:
    """Train and draw a run; a stop says how to go on."""
    from echo_jax.runs import curve_figure, run_report
    from echo_jax.runs.advice import smaller_step
    from echo_jax.runs.train_run import train_run

    begun = begin(command, folder, inputs)
    watch, say = Stopwatch(), interrupts.say
    watch.seconds["import"] = time.perf_counter() - STARTED
    again, quoted = again_with(command, inputs.config), command_line.quoted(folder)
    resume = f"{command_line.program('train')} --resume {quoted}"
    try:
        finished = train_run(begun, interrupts, watch, say)
        curves = curve_figure.curves_of(begun.config, finished.result, finished.history)
    except StoppedError as stopped:
        print(f"{stopped}; to go on: {resume}", file=sys.stderr)
        raise
    except DivergedError as error:
        if "learning rate" in str(error):
            smaller = again(smaller_step(inputs.config))
            raise error.then(f"to try again: {smaller}") from error
        raise
    except StorageError as error:
        raise error.then(f"then {resume} goes on from the last checkpoint") from error
    draw = f"{command_line.program('show')} --curve {quoted}"
    with command_line.drawing_last(
        draw + f" --format {command.format}" * (command.format != "png")
    ):
        path = run_report.conclude(curves, folder, say, again, command.format)
        if command.open:
            command_line.open_figure(path)


def again_with(command: TrainCommand, config: RunConfig) -> Callable[[Mapping[str, Any]], str]:
    """The command line of a new run with other values of some fields."""
    if command.resume is None:
        return lambda changes: command_line.again_with("train", changes, "out")
    program = command_line.program("train")
    return lambda changes: f"{program} {shlex.join(as_flags(changed(config, **changes)))}"
