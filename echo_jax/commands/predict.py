"""Use a trained network: on numbers, on a column of a CSV file, on a stream of integers.

echo-jax predict runs/part4 1 36 0 36 21 2               # numbers in, numbers out
seq 0 99 | echo-jax predict runs/part4 --stream          # answers as the numbers come
echo-jax predict runs/part4 --explain                    # which input does the answer follow?
"""

import dataclasses
import functools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from echo_jax import machine
from echo_jax.commands import command_line
from echo_jax.exceptions import ConfigError
from echo_jax.host import compilation_cache, process_start

if TYPE_CHECKING:  # what is slow to import waits until the command line was found valid
    import numpy as np

    from echo_jax.runs.predictor import Trained

WINDOWS = 1000  # random sequences in which an input is changed


@dataclasses.dataclass(frozen=True)
class PredictCommand:
    """Use a trained network: what does it say after each of these values?

    One answer for each value, `-` where there is none (yet).
    """

    folder: Positional[Path]
    """Folder of the run."""
    values: Positional[tuple[str, ...]] = ()
    """The values, in order; the answers are printed on one line."""
    csv: Path | None = None
    """Read the values from this CSV file, whose first line names the columns; one answer a line."""
    column: str | None = None
    """Column of the CSV file; needed only where there are several."""
    stream: bool = False
    """Read the values from the standard input as they come, without end; one answer a line."""
    explain: bool = False
    """Show which input the answer follows: change each one in turn, in random sequences."""
    state: Path | None = None
    """Go on from the state in this file, if it exists, and save the last state to it, also when
    Ctrl-C ends the input."""
    seed: int | None = None
    """The seed of the network, of a run of many seeds; by default the first."""
    unknown: Literal["error", "skip"] = "error"
    """For a value that the network was not trained on: end with an error, or skip it."""
    cell: str | None = None
    """The cell of the run, package.module:Class, if it is one of your own."""
    compilation_cache: bool = True
    """Keep compiled programs in your cache folder, so that the next run of the same shapes starts
    sooner."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless there is exactly one thing to do, which can be done."""
        asked = sum([bool(self.values), self.csv is not None, self.stream, self.explain])
        if asked != 1:
            raise ConfigError(
                None, "several" if asked else "none",
                "of values, {csv=FILE}, {stream} and {explain} given",
                "use exactly one",
            )  # fmt: skip
        if self.column is not None and self.csv is None:
            raise ConfigError("column", self.column, "has no file", "name it with {csv=FILE}")
        if self.explain and self.state:
            raise ConfigError("state", self.state, "has no effect with {explain}", "leave it out")
        place = self.state and self.state.parent
        if place and not (place.is_dir() and os.access(place, os.W_OK)):
            rule = f"would be in {place}, which is no folder that can be written to"
            raise ConfigError("state", self.state, rule, "create it, or use another place")


def main() -> None:
    """Run the command of the command line."""
    run(command_line.parse(PredictCommand))


def run(command: PredictCommand) -> None:
    """Print what the network says; bad values are refused before it is loaded."""
    from echo_jax.runs import csv_input, run_folder, vocabulary

    words, lines = list(command.values), None
    if command.csv is not None:
        _, words, lines = csv_input.read_column(command.csv, command.column)
    inputs = run_folder.read_inputs(command.folder, with_tokens=False)
    encode = functools.partial(vocabulary.encode, inputs.vocabulary, unknown=command.unknown)
    tokens = encode(words, place=lambda i: f"in line {lines[i - 1]}") if lines else encode(words)
    run_folder.check_cell_named(command.folder, inputs, command.cell)
    network = load(command)
    if command.explain:
        print(follows_report(network), flush=True)
    else:
        answer(command, network, tokens_of_input(encode) if command.stream else [tokens])


def load(command: PredictCommand) -> "Trained":
    """The network that is asked for.

    Prints to standard error that the training goes on, or that there are other networks.
    """
    from echo_jax.runs import predictor

    machine.use_cpu_devices(1)
    compilation_cache.use_compilation_cache(command.compilation_cache)
    say = functools.partial(print, file=sys.stderr)
    network = predictor.load(command.folder, command.seed, command.cell, say)
    config, done = network.config, network.sequences
    wanted = config.training.sequences
    if done < wanted:
        say(f"trained on {done:,} of {wanted:,} sequences so far")
    if command.seed is None and config.seeds > 1:
        say(f"one of {config.seeds} networks, of seed {config.seed}: --seed names another")
    return network


def follows_report(network: "Trained") -> str:
    """The share of answers that follow each input, by its steps back: a bar for each position."""
    task = network.config.task
    positions = range(min(task.length, max(task.window, task.lag + 1) + 3))
    lines = [
        f"Which input does the answer follow? In {WINDOWS:,} random sequences, each input is "
        "changed in turn;\nhow often the answer then becomes the new value (by chance "
        f"{1 / task.vocab_size:.1%}):"
    ]
    for steps, share in enumerate(network.follows(positions, WINDOWS).tolist()):
        mark = f"  <- lag {task.lag}, what it was trained for" if steps == task.lag else ""
        lines.append(f"  {steps:3} back  {share:6.1%}  {'█' * round(40 * share)}{mark}".rstrip())
    if task.lag < 0:
        lines.append(f"  The lag it was trained for, {task.lag}, lies ahead: no input is right.")
    return "\n".join(lines)


def answer(command: PredictCommand, network: "Trained", blocks: Iterable["np.ndarray"]) -> None:
    """Print the answers to blocks of tokens, one a line; those to the command line on one line.

    The state goes on from that in the file, if it exists, and is saved there at the end. Ctrl-C
    ends a stream and saves the state too; an error does not.
    """
    from echo_jax import tensor_files

    path, interrupted = command.state, False
    exists = path is not None and os.path.lexists(path)
    state = network.load_state(path) if path and exists else network.start()
    if path:
        tensor_files.named(state)  # refuses what could not be saved
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for tokens in blocks:
            state, values = network.values(state, tokens)
            words = ("-" if value is None else value for value in values)
            print(*words, sep=" " if command.values else "\n", flush=True)
    except KeyboardInterrupt:
        interrupted = True
    signal.signal(signal.SIGINT, before)
    if path is not None:
        network.save_state(state, path)
    if interrupted:
        process_start.leave(128 + signal.SIGINT)  # jax may be in the middle of a computation


def tokens_of_input(encode: Callable[..., "np.ndarray"]) -> Iterator["np.ndarray"]:
    """The tokens of the standard input as they come, int32 `[N]`, until it ends."""
    from echo_jax.runs.csv_input import words_of

    if sys.stdin is None:
        raise ConfigError(None, "the standard input", "is closed", "send numbers to it with a pipe")
    read, count = functools.partial(os.read, sys.stdin.fileno(), 2**16), 0
    for words in filter(None, words_of(iter(read, b""))):
        yield encode(words, place=lambda i, before=count: f"at position {before + i}")
        count += len(words)
