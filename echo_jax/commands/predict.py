"""Use a trained network: on numbers, on a column of a CSV file, on a stream of integers.

echo-jax predict runs/part4 1 36 0 36 21 2               # numbers in, numbers out
echo-jax predict runs/part4 --csv my.csv --column n      # a column of a CSV file
seq 0 99 | echo-jax predict runs/part4 --stream          # answers as the numbers come
echo-jax predict runs/part4 --explain                    # which input do they follow?
echo-jax predict runs/part4 --beyond 100000              # and does it last?
"""

import contextlib
import dataclasses
import itertools
import math
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
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

    from echo_jax.core.online import EchoState
    from echo_jax.runs.csv_input import TokenReader
    from echo_jax.runs.predictor import Trained

NOTHING = "-"
"""Printed where there is no answer: the window is not full yet, or the value was skipped."""

AT_ONCE = 2**16
"""Bytes read at once from a stream."""


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
    """Which network of a run of many seeds; by default the first."""
    unknown: Literal["error", "skip"] = "error"
    """For a value that the network was not trained on: end with an error, or skip it."""
    cell: str | None = None
    """The cell of the run, package.module:Class, if it is one of your own."""
    compilation_cache: bool = False
    """Keep compiled programs in your cache folder, so that the next run starts sooner."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless there is exactly one thing to do."""
        inputs = [bool(self.values), self.csv is not None, self.stream]
        tests = [self.explain, self.beyond is not None]
        if sum(inputs + tests) != 1:
            found = "several" if sum(inputs + tests) else "none"
            raise ConfigError(
                f"{found} of values, --csv FILE, --stream, --explain and --beyond N given: "
                "use exactly one"
            )
        if self.column is not None and self.csv is None:
            raise ConfigError(f"--column {self.column} has no file: name it with --csv FILE")
        if any(tests) and self.state is not None:
            raise ConfigError("--state has no effect with --explain and --beyond: leave it out")
        for name in ("windows", "beyond"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= LARGEST:
                raise ConfigError(f"--{name} {value} is out of range: use 1 to {LARGEST}")


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(PredictCommand)
    with command_line.refusals():
        check_state_folder(command.state)
        tokens = read_tokens(command)  # bad values are refused before jax is imported
        network, *others = load(command)
        notice(command, network)
        if command.explain:
            explain(command, network)
        elif command.beyond:
            beyond(command.beyond, [network, *others])
        elif command.stream:
            stream(command, network)
        else:
            predict(command, network, tokens)


def check_state_folder(state: Path | None) -> None:
    """Raise ConfigError where the last state could not be saved."""
    if state is not None and not state.parent.is_dir():
        raise ConfigError(
            f"--state {state} would be in {state.parent}, which is not a folder: create it, or use "
            "another place"
        )


def read_tokens(command: PredictCommand) -> "np.ndarray":
    """The values of the command line or of the CSV file as tokens, int32 `[N]`."""
    from echo_jax.runs import csv_input, run_folder, vocabulary

    words, lines = list(command.values), None
    if command.csv is not None:
        _, words, lines = csv_input.read_column(command.csv, command.column)
    inputs = run_folder.read_inputs(command.folder, with_tokens=False)
    return vocabulary.encode(inputs.vocabulary, words, lines, command.unknown)


def load(command: PredictCommand) -> list["Trained"]:
    """The network that is asked for; with --beyond and no --seed those of all seeds."""
    from echo_jax.runs import predictor

    machine.use_cpu_devices(1)
    if command.compilation_cache:
        compilation_cache.use_compilation_cache()
    if command.beyond and command.seed is None:
        return predictor.load_all(command.folder, command.cell)
    return [predictor.load(command.folder, command.seed, command.cell)]


def notice(command: PredictCommand, network: "Trained") -> None:
    """Print to standard error that the training goes on, or that there are other networks."""
    config = network.config
    if network.sequences < config.training.sequences:
        print(
            f"trained on {network.sequences:,} of {config.training.sequences:,} sequences so far",
            file=sys.stderr,
        )
    if command.seed is None and config.seeds > 1 and not command.beyond:
        print(
            f"one of {config.seeds} networks, of seed {config.seed}: --seed names another",
            file=sys.stderr,
        )


class Session:
    """A network and its current state: tokens in, answers as words out."""

    def __init__(self, network: "Trained", state: "EchoState") -> None:
        """Start in a state."""
        self.state = state
        self._network = network
        values = map(network.vocabulary.value, range(len(network.vocabulary)))
        self._words = [*map(str, values), NOTHING]  # index -1 is no answer

    def answers(self, tokens: "np.ndarray") -> list[str]:
        """A word for each token, int32 `[N]`; the state moves on by them."""
        import numpy as np

        from echo_jax.runs.vocabulary import UNSEEN

        known = tokens != UNSEEN
        state, answers = self._network.feed(self.state, tokens[known])
        said = np.full(len(tokens), -1)
        said[known] = np.where(answers.exists, answers.token, -1)
        self.state = state
        return [self._words[token] for token in said.tolist()]


@contextlib.contextmanager
def session(path: Path | None, network: "Trained") -> Iterator[Session]:
    """A session from the state in a file, if it exists; its last state is saved to that file.

    Ctrl-C ends it and saves the state too; an error does not.
    """
    goes_on = path is not None and os.path.lexists(path)
    running = Session(network, network.load_state(path) if path and goes_on else network.start())
    interrupted = False
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield running
    except KeyboardInterrupt:
        interrupted = True
    signal.signal(signal.SIGINT, before)
    if path is not None:
        network.save_state(running.state, path)
    if interrupted:
        command_line.leave(128 + signal.SIGINT)  # jax may be in the middle of a computation


def predict(command: PredictCommand, network: "Trained", tokens: "np.ndarray") -> None:
    """Print the answers to values: of the command line on one line, of a file one a line."""
    with session(command.state, network) as running:
        separator = " " if command.csv is None else "\n"
        print(*running.answers(tokens), sep=separator, flush=True)


def stream(command: PredictCommand, network: "Trained") -> None:
    """Answer the values of the standard input as they come, until they end.

    While more input is waiting, whole blocks are answered; otherwise everything is, at once.
    """
    import numpy as np

    from echo_jax.core.online import block_size
    from echo_jax.runs.csv_input import TokenReader

    block, waiting = block_size(network.config), np.zeros(0, np.int32)
    with session(command.state, network) as running:
        for tokens, more in arriving(TokenReader(network.vocabulary, command.unknown)):
            waiting = np.concatenate([waiting, tokens])
            now = len(waiting) - len(waiting) % block if more else len(waiting)
            sys.stdout.write("".join(f"{word}\n" for word in running.answers(waiting[:now])))
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
        while data := os.read(source, AT_ONCE):
            yield reader.feed(data), bool(select.select([source], [], [], 0)[0])
        yield reader.finish(), False
    except InputError as error:
        yield error.tokens, False
        raise


def explain(command: PredictCommand, network: "Trained") -> None:
    """Print how often the answer follows each input."""
    task = network.config.task
    positions = range(min(task.length, max(task.window, task.lag + 1) + 3))
    shares = network.follows(positions, command.windows)
    print(follows_report(shares.tolist(), command.windows, network.config), flush=True)


def follows_report(shares: Sequence[float], windows: int, config: RunConfig) -> str:
    """The share of answers that follow each input, by its steps back: a bar for each position."""
    task = config.task
    lines = [
        f"Which input does the answer follow? In {windows:,} random sequences, each input is "
        "changed in turn;\nhow often the answer then becomes the new value (by chance "
        f"{1 / task.vocab_size:.1%}):"
    ]
    for steps, share in enumerate(shares):
        bar = "█" * round(40 * share)
        mark = f"  <- lag {task.lag}, what it was trained for" if steps == task.lag else ""
        lines.append(f"  {steps:3} back  {share:6.1%}  {bar}{mark}".rstrip())
    if task.lag < 0:
        lines.append(f"  The lag it was trained for, {task.lag}, lies ahead: no input is right.")
    return "\n".join(lines)


def beyond(length: int, networks: list["Trained"]) -> None:
    """Print how the accuracy of the networks of one run holds along a long stream of integers."""
    import numpy as np

    edges = [0, networks[0].config.task.length]
    while edges[-1] < length:
        edges.append(edges[-1] * 10)
    edges = [*edges[:-1], length] if edges[-1] > length else edges
    accuracy = np.array([network.accuracy_along(edges) for network in networks])
    print(accuracy_report(edges, accuracy, networks[0].config), flush=True)


def accuracy_report(edges: Sequence[int], accuracy: "np.ndarray", config: RunConfig) -> str:
    """The accuracy along a stream, stretch by stretch, beside its baseline.

    Args:
      edges: the borders of the E stretches, `[E + 1]`.
      accuracy: of each network, `[S, E]`, fewer than the run has where some failed; NaN where a
        stretch ends before the first answer.
      config: of the run.
    """
    from echo_jax.statistics import summary_of

    seeds, networks = "1 seed, no interval", len(accuracy)
    headings, rows = ["integers", "accuracy"], []
    for (first, end), shares in zip(itertools.pairwise(edges), accuracy.T, strict=True):
        if math.isnan(shares[0]):
            continue
        median, interval = summary_of(shares)
        row = [f"{first:,} to {end:,}", f"{median:.2%}"]
        if interval:
            failed = f" of {config.seeds}, the others failed" * (networks < config.seeds)
            seeds = f"median of {networks} seeds{failed}, {interval.coverage:.1%} interval"
            row.append(f"{interval.low:.2%} to {interval.high:.2%}")
        rows.append([*row, f"{1 / config.task.vocab_size:.2%}"])
    headings += ["interval"] * (networks > 1) + ["chance baseline"]
    return (
        f"One stream of {edges[-1]:,} random integers; trained on {config.task.length} at a time "
        f"({seeds}):\n{table([headings, *rows])}"
    )
