"""Train on the echo task, one seed or many, evaluate on fresh sequences, explain the outcome.

echo-jax train --seeds 16                # part 4 of the tutorial, with an interval over 16 seeds
echo-jax train --part no-context         # part 3: stays at chance, and why
echo-jax train --resume runs/part4       # continue a run that was stopped
"""

import contextlib
import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from echo_jax.commands import command_line
from echo_jax.config import PARTS, Part, RunConfig, TrainOptions, check_values
from echo_jax.engine import process
from echo_jax.engine.process import Interrupts, StoppedError
from echo_jax.exceptions import DivergedError, StorageError, printable
from echo_jax.report.styles import Format


@dataclasses.dataclass(frozen=True)
class TrainCommand:
    """Train a network to output the integer that it saw some steps ago, and say if it learned to.

    `--lag 1 --window 5` is part 4 of the tutorial, and the default.
    """

    part: Part = "context"
    """Base configuration that the other options change: current (part 2 of the tutorial),
    no-context (part 3) or context (part 4)."""
    out: Path | None = None
    """Folder of the run, which must be new or empty; by default a new one under runs/."""
    resume: Path | None = None
    """Continue the run in this folder from its last checkpoint; with a larger --sequences N, up to
    N. The result is bit-identical to that of an uninterrupted run."""
    format: Format = "png"
    """Format of the figure of the run: curve.png, curve.svg or curve.pdf."""
    options: Annotated[TrainOptions, command_line.FLAT] = dataclasses.field(
        default_factory=TrainOptions
    )
    run: Annotated[RunConfig, command_line.FLAT] = PARTS["context"]

    def __post_init__(self) -> None:
        """Raise ConfigError unless each value has the type and range of its field."""
        check_values(self)


def main() -> None:
    """Parse the command line, train, and end the process at once."""
    command = command_line.parse(TrainCommand)
    interrupts = Interrupts()
    with interrupts, contextlib.suppress(StoppedError):
        run(command, interrupts)
    process.leave(interrupts.exit_status)


def run(command: TrainCommand, interrupts: Interrupts) -> None:
    """Train a new run, or continue a run, as `command` says; print and draw its outcome.

    `interrupts` notes signals; after a signal, StoppedError is raised.
    """
    # Some of these import jax: flags were parsed before, and --help answers in 0.1 s.
    from echo_jax.compilation_cache import use_compilation_cache
    from echo_jax.echo.run import advice, play_page, result_report, run_folder
    from echo_jax.echo.run.train_run import Running, new_inputs, new_run, resumed_run, train_run

    say = interrupts.say
    if command.resume:
        opening = resumed_run(command.resume, command.options, *changes_of_resumed(command))
    else:
        out = command.out or run_folder.named_after_time()
        opening = new_run(new_inputs(command.run), out, command.options)
    with opening as prepared:
        use_compilation_cache()
        assert prepared.folder, "a run of the command has a folder"
        config = prepared.config
        running = Running(say, interrupts=interrupts)
        running.watch.seconds["import"] = time.perf_counter() - process.STARTED
        if prepared.note:
            print(prepared.note, file=sys.stderr)
        say(result_report.describe(config))
        again = functools.partial(command_line.training, config)
        name = run_folder.as_shown(prepared.folder)
        show = command_line.invocation("show")
        quoted = command_line.quoted(name)
        with going_on(name, lambda: again(advice.smaller_step(config))):
            finished = train_run(prepared, running)
        say(result_report.full_report(config, finished.result))
        say(printable(f"Run folder: {name}"))
        kind = "" if command.format == "png" else f" --format {command.format}"
        with command_line.drawing_last(f"{show} --curve {quoted}{kind}"):
            result_report.conclude(finished, prepared.folder, say, again, command.format)
        if play_page.has_page(config, prepared.inputs.values):
            say(f"To see the network run in a page: {show} --play {quoted}")


def changes_of_resumed(command: TrainCommand) -> tuple[int | None, str | None]:
    """Return the number of sequences and the cell of a resumed run, each None if not given.

    Raises ConfigError if the command line gives another field of the configuration, because the
    folder of the run fixes the other fields.
    """
    command_line.check_given(
        ["resume", "sequences", "cell", "checkpoint_every", "devices", "format"],
        "cannot be changed in a run that is resumed",
        "leave it out, or start a new run without {resume}",
    )
    given = [command_line.field_of(word) for word in sys.argv[1:] if word.startswith("--")]
    sequences = command.run.training.sequences if "sequences" in given else None
    return sequences, command.run.network.cell if "cell" in given else None


@contextlib.contextmanager
def going_on(folder: str, smaller: Callable[[], str]) -> Iterator[None]:
    """Tell the user how to go on after a stop or an error of this context.

    After a stop or a StorageError, the message gets the command that continues the run in `folder`.
    If the loss diverged and a smaller learning rate may help, the message gets the command
    `smaller()`, which trains with that rate.
    """
    resume = f"{command_line.invocation('train')} --resume {command_line.quoted(folder)}"
    try:
        yield
    except StoppedError as stopped:
        print(f"{stopped}; to go on: {resume}", file=sys.stderr)
        raise
    except DivergedError as error:
        if "{learning_rate}" in error.fix:
            raise error.then(f"to try again: {smaller()}") from error
        raise
    except StorageError as error:
        raise error.then(f"then {resume} continues from the last checkpoint") from error
