"""Show what the network is given: integers, one-hot vectors, rows, batches, and their state.

echo-jax show --part no-context             # the rows of part 3, with the tutorial's mistake
echo-jax show --csv my.csv --column n       # the rows of your own numbers
echo-jax show --curve runs/part4            # make curve.png of a run again
echo-jax show --play runs/part4             # make a page that runs the LSTM of a run
echo-jax show --memory runs/part4           # what the state of a run tells about earlier values
"""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Annotated

from echo_jax import compilation_cache, machine
from echo_jax.commands import command_line
from echo_jax.config import PARTS, Part, RunConfig, check_values, is_built_in
from echo_jax.echo.run import explanation
from echo_jax.exceptions import ConfigError, printable
from echo_jax.report.styles import Format
from echo_jax.storage import atomic_files


@dataclasses.dataclass(frozen=True)
class ShowCommand:
    """Show a sequence and the rows that a network is trained on: the tutorial's sanity checks."""

    part: Part = "context"
    """Base configuration that the other options change: current (part 2 of the tutorial),
    no-context (part 3) or context (part 4)."""
    rows: int = 60
    """Rows to print, rounded up to whole batches."""
    curve: Path | None = None
    """Only make the figure and the tables of the run in this folder again: curve.png, metrics.csv,
    result.json and, for several seeds, seeds.csv."""
    format: Format = "png"
    """Format of the figure of --curve: curve.png, curve.svg or curve.pdf."""
    play: Path | None = None
    """Only make play.html in this run folder, a page that runs the trained LSTM. It needs one-hot
    inputs and classes, and at most about 60,000 parameters, as a page has at most 400 kB."""
    memory: Path | None = None
    """Only measure how many bits about earlier values the state of the network in this run folder
    holds; print them, and draw them as memory.png."""
    run: Annotated[RunConfig, command_line.FLAT] = PARTS["context"]

    def __post_init__(self) -> None:
        """Raise ConfigError unless each value is valid and the options can be combined.

        At most one of --curve, --play and --memory may be given, and --format only with --curve.
        """
        check_values(self)
        asked = [name for name in ("curve", "play", "memory") if getattr(self, name) is not None]
        if len(asked) > 1:
            first, second, *_ = asked
            rule = f"cannot be combined with {{{first}}}"
            raise ConfigError(second, getattr(self, second), rule, "use one at a time")
        if self.curve is None and self.format != "png":
            rule = "applies only to the figure of a run"
            raise ConfigError("format", self.format, rule, "name the run with {curve}")


OF_RUNS = {"curve": ["format"], "play": [], "memory": ["cell"]}
"""The options that name a run folder, each with the other options that apply to it."""


def main() -> None:
    """Parse the command line, and print or draw what it asks for."""
    command = command_line.parse(ShowCommand)
    for name, others in OF_RUNS.items():
        if getattr(command, name) is not None:
            rule = f"has no effect with {{{name}}}, which shows a run as it was trained"
            command_line.check_given([name, *others], rule, "leave it out")
    if command.curve:
        from echo_jax.echo.run import checkpoint, result_report

        finished = checkpoint.read_finished(command.curve)
        # The tables are written before the figure, which must not be refused after them.
        atomic_files.check_generated(command.curve / f"curve.{command.format}")
        checkpoint.write_finished(command.curve, finished)
        say = functools.partial(print, flush=True)
        again = functools.partial(command_line.training, finished.config)
        result_report.conclude(finished, command.curve, say, again, command.format)
    elif command.play:
        machine.use_cpu_devices(1)
        from echo_jax.echo.run import play_page

        print(f"Page: {printable(str(play_page.write_for_run(command.play)))}")
    elif command.memory:
        cell = command.run.network.cell
        show_memory(command.memory, None if is_built_in(cell) else cell)
    else:
        show_data(command)


def show_memory(folder: Path, cell: str | None) -> None:
    """Print and draw how many bits about earlier values a state holds, by lag.

    The state is that of the first network of the run in `folder`. `cell` is the name of the user's
    cell of the run, or None for a built-in cell.
    """
    machine.use_cpu_devices(1)
    from echo_jax.echo.run import predictor

    say = functools.partial(print, file=sys.stderr)
    network = predictor.load(folder, cell=cell, say=say)
    path = folder / "memory.png"
    atomic_files.check_generated(path)
    found = network.memory()
    print(found.report(), flush=True)
    atomic_files.write_generated(path, found.figure_file("png"))
    print(f"\nFigure: {printable(str(path))}")


def show_data(command: ShowCommand) -> None:
    """Print a sequence, its rows, and whether the task can be learned.

    If the values come from a file, a view of these values is printed first.
    """
    from echo_jax.echo.run import printed_data
    from echo_jax.echo.run.train_run import new_inputs

    inputs = new_inputs(command.run)
    machine.check_memory(inputs.config.least_bytes)
    machine.use_cpu_devices(1)
    compilation_cache.use_compilation_cache()
    if inputs.tokens is not None:
        print(printed_data.column_view(inputs, inputs.tokens))
    tokens = printed_data.first_sequence(inputs)
    print(printed_data.sequence_view(tokens, inputs))
    print(printed_data.rows_view(tokens, inputs, command.rows))
    print(explanation.explain(inputs.config), flush=True)
