"""Use a trained network: on numbers, on a column of a CSV file, on a stream of integers.

echo-jax predict runs/part4 1 36 0 36 21 2               # numbers in, numbers out
seq 0 99 | echo-jax predict runs/part4 --stream          # answers as the numbers come
echo-jax predict runs/part4 --beyond 100000              # and does it last?
"""

import contextlib
import dataclasses
import functools
import itertools
import math
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from echo_jax import machine
from echo_jax.commands import command_line
from echo_jax.config import LARGEST, RunConfig
from echo_jax.exceptions import ConfigError
from echo_jax.host import compilation_cache
from echo_jax.report.text_tables import table

if TYPE_CHECKING:  # what is slow to import waits until the command line was found valid
    import numpy as np

    from echo_jax.runs.csv_input import TokenReader
    from echo_jax.runs.predictor import Trained


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
    beyond: int | None = None
    """Feed so many random integers as one stream and show how the accuracy holds beyond the length
    of training; for every network of the run, unless --seed names one."""
    windows: int = 1000
    """With --explain: random sequences for each position."""
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
        tests = [self.explain, self.beyond is not None]
        asked = sum([bool(self.values), self.csv is not None, self.stream, *tests])
        if asked != 1:
            found = "several" if asked else "none"
            raise ConfigError(
                f"{found} of values, --csv FILE, --stream, --explain and --beyond N given: "
                "use exactly one"
            )
        if self.column is not None and self.csv is None:
            raise ConfigError(f"--column {self.column} has no file: name it with --csv FILE")
        self._check_effects(any(tests))
        if self.state is not None and not self.state.parent.is_dir():
            raise ConfigError(
                f"--state {self.state} would be in {self.state.parent}, which is not a folder: "
                "create it, or use another place"
            )
        if self.state is not None and not os.access(self.state.parent, os.W_OK):
            raise ConfigError(f"--state {self.state} cannot be written: use another place")
        for name in ("windows", "beyond"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= LARGEST:
                raise ConfigError(f"--{name} {value} is out of range: use 1 to {LARGEST}")

    def _check_effects(self, tests: bool) -> None:
        beside = {} if self.explain else {"windows": "without --explain"}
        if tests:
            beside |= dict.fromkeys(("state", "unknown"), "with --explain and --beyond")
        for name, other in beside.items():
            if getattr(self, name) != getattr(type(self), name):
                raise ConfigError(f"--{name} has no effect {other}: leave it out")


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(PredictCommand)
    with command_line.refusals():  # bad values are refused before jax is imported
        from echo_jax.runs import csv_input, run_folder, vocabulary

        words, lines = list(command.values), None
        if command.csv is not None:
            _, words, lines = csv_input.read_column(command.csv, command.column)
        inputs = run_folder.read_inputs(command.folder, with_tokens=False)
        tokens = vocabulary.encode(inputs.vocabulary, words, lines, command.unknown)
        run_folder.check_cell_named(command.folder, inputs, command.cell)
        networks = load(command, inputs.config)
        if command.explain:
            print(follows_report(networks[0], command.windows), flush=True)
        elif command.beyond:
            print(accuracy_report(networks, command.beyond), flush=True)
        elif command.stream:
            answer_stream(command, networks[0])
        else:  # the answers to the command line on one line, those to a file one a line
            with session(command.state, networks[0]) as answers:
                print(*answers(tokens), sep=" " if command.csv is None else "\n", flush=True)


def load(command: PredictCommand, config: RunConfig) -> list["Trained"]:
    """The network that is asked for; with --beyond and no --seed those of all seeds.

    Prints to standard error that the training goes on, or that there are other networks.
    """
    from echo_jax.runs import predictor

    machine.use_cpu_devices(1)
    compilation_cache.use_compilation_cache(command.compilation_cache)
    say = functools.partial(print, file=sys.stderr)
    if command.beyond and command.seed is None:
        networks = predictor.load_all(command.folder, command.cell, say)
    else:
        networks = [predictor.load(command.folder, command.seed, command.cell, say)]
    config, done = networks[0].config, networks[0].sequences
    wanted = config.training.sequences
    if done < wanted:
        print(f"trained on {done:,} of {wanted:,} sequences so far", file=sys.stderr)
    if command.seed is None and config.seeds > 1 and not command.beyond:
        print(
            f"one of {config.seeds} networks, of seed {config.seed}: --seed names another",
            file=sys.stderr,
        )
    return networks


@contextlib.contextmanager
def session(path: Path | None, network: "Trained") -> Iterator[Callable[["np.ndarray"], list[str]]]:
    """A function from tokens, int32 `[N]`, to a word for each; the state moves on by them.

    It is first that in the file, if the file exists, and saved there at the end. Ctrl-C ends the
    session and saves the state too; an error does not.
    """
    import numpy as np

    from echo_jax.runs.vocabulary import UNSEEN

    exists = path is not None and os.path.lexists(path)
    state = network.load_state(path) if path and exists else network.start()
    words = [str(network.vocabulary.value(token)) for token in range(len(network.vocabulary))]
    words.append("-")  # index -1 is no answer: the window is not full yet, the value was skipped

    def answers(tokens: "np.ndarray") -> list[str]:
        """The words that answer some tokens, UNSEEN ones included; moves the state on."""
        nonlocal state
        known, said = tokens != UNSEEN, np.full(len(tokens), -1)
        after, found = network.feed(state, tokens[known])
        said[known] = np.where(found.exists, found.token, -1)
        state = after
        return [words[token] for token in said.tolist()]

    interrupted = False
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield answers
    except KeyboardInterrupt:
        interrupted = True
    signal.signal(signal.SIGINT, before)
    if path is not None:
        network.save_state(state, path)
    if interrupted:
        command_line.leave(128 + signal.SIGINT)  # jax may be in the middle of a computation


def answer_stream(command: PredictCommand, network: "Trained") -> None:
    """Answer the values of the standard input as they come, until they end.

    While more input is waiting, whole blocks are answered; otherwise everything is, at once.
    """
    import numpy as np

    from echo_jax.core.online import block_size
    from echo_jax.runs.csv_input import TokenReader

    block, waiting = block_size(network.config), np.zeros(0, np.int32)
    with session(command.state, network) as answers:
        for tokens, more in arriving(TokenReader(network.vocabulary, command.unknown)):
            waiting = np.concatenate([waiting, tokens])
            now = len(waiting) - len(waiting) % block if more else len(waiting)
            sys.stdout.write("".join(f"{word}\n" for word in answers(waiting[:now])))
            sys.stdout.flush()
            waiting = waiting[now:]


def arriving(reader: "TokenReader") -> Iterator[tuple["np.ndarray", bool]]:
    """The tokens of the standard input, int32 `[N]`, and whether more input is waiting already.

    Before the error of a word that is refused, the tokens before it are yielded.
    """
    from echo_jax.runs.csv_input import InputError

    if sys.stdin is None:
        raise ConfigError("--stream has no standard input: send numbers to it, as with a pipe")
    source = sys.stdin.fileno()
    try:
        while data := os.read(source, 2**16):
            yield reader.feed(data), bool(select.select([source], [], [], 0)[0])
        yield reader.finish(), False
    except InputError as error:
        yield error.tokens, False
        raise
    except OSError as error:
        raise ConfigError(
            f"the standard input cannot be read ({error.strerror}): send numbers to it, as with a "
            "pipe"
        ) from error


def follows_report(network: "Trained", windows: int) -> str:
    """The share of answers that follow each input, by its steps back: a bar for each position."""
    task = network.config.task
    positions = range(min(task.length, max(task.window, task.lag + 1) + 3))
    lines = [
        f"Which input does the answer follow? In {windows:,} random sequences, each input is "
        "changed in turn;\nhow often the answer then becomes the new value (by chance "
        f"{1 / task.vocab_size:.1%}):"
    ]
    for steps, share in enumerate(network.follows(positions, windows).tolist()):
        mark = f"  <- lag {task.lag}, what it was trained for" if steps == task.lag else ""
        lines.append(f"  {steps:3} back  {share:6.1%}  {'█' * round(40 * share)}{mark}".rstrip())
    if task.lag < 0:
        lines.append(f"  The lag it was trained for, {task.lag}, lies ahead: no input is right.")
    return "\n".join(lines)


def accuracy_report(networks: list["Trained"], length: int) -> str:
    """The accuracy of the networks of one run along a stream of random integers.

    It is given for stretches, each ten times as long as all before it, beside its baseline.
    """
    import numpy as np

    from echo_jax.statistics import summary_of

    config = networks[0].config
    edges = [0, config.task.length]
    while edges[-1] < length:
        edges.append(edges[-1] * 10)
    edges[-1] = length
    accuracy = np.array([network.accuracy_along(edges) for network in networks])
    seeds = "1 seed, no interval"
    rows = [["integers", "accuracy", *["interval"] * (len(networks) > 1), "chance baseline"]]
    for (first, end), shares in zip(itertools.pairwise(edges), accuracy.T, strict=True):
        if math.isnan(shares[0]):  # the stretch ends before the first answer
            continue
        median, interval = summary_of(shares)
        row = [f"{first:,} to {end:,}", f"{median:.2%}"]
        if interval:
            failed = f" of {config.seeds}, the others failed" * (len(networks) < config.seeds)
            seeds = f"median of {len(networks)} seeds{failed}, {interval.coverage:.1%} interval"
            row.append(f"{interval.low:.2%} to {interval.high:.2%}")
        rows.append([*row, f"{1 / config.task.vocab_size:.2%}"])
    return (
        f"One stream of {edges[-1]:,} random integers; trained on {config.task.length} at a time "
        f"({seeds}):\n{table(rows)}"
    )
