"""Use a trained network: on numbers, on a column of a CSV file, on a stream of integers.

python scripts/predict.py runs/part4 1 36 0 36 21 2               # numbers in, numbers out
python scripts/predict.py runs/part4 --csv my.csv --column n      # a column of a CSV file
seq 0 99 | python scripts/predict.py runs/part4 --stream          # answers as the numbers come
python scripts/predict.py runs/part4 --explain                    # which input do they follow?
python scripts/predict.py runs/part4 --beyond 100000              # and does it last?
"""

import contextlib
import dataclasses
import math
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from echo_jax import machine
from echo_jax.commands import command_line
from echo_jax.config import LARGEST, RunConfig
from echo_jax.exceptions import ConfigError
from echo_jax.report.text_tables import table
from echo_jax.runs import vocabulary

if TYPE_CHECKING:  # all that is slow to import waits until the command line was found valid
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
    """The values, in order; the answers come on one line."""
    csv: Path | None = None
    """Take the values from this CSV file, whose first line names the columns; an answer a line."""
    column: str | None = None
    """The column of it; needs no name where there is just one."""
    stream: bool = False
    """Take the values from the standard input, as they come, without end; an answer a line."""
    explain: bool = False
    """Show which input the answer follows: change each in turn, in random sequences."""
    beyond: int | None = None
    """Feed so many random integers as one stream and show how the accuracy holds, far beyond the
    length that was trained: of every network of the run, where --seed names none."""
    windows: int = 1000
    """With --explain: random sequences for each position."""
    state: Path | None = None
    """Go on from the state in this file, if it is there, and leave the last state in it, also
    where Ctrl-C ends the input."""
    seed: int | None = None
    """Which network of a run of many seeds; by default the first."""
    unknown: Literal["error", "skip"] = "error"
    """What a value does that the network was not trained on: end with an error, or be skipped."""
    cell: str | None = None
    """The cell of the run, package.module:Class, where it is one of your own."""
    compilation_cache: bool = False
    """Keep compiled programs in your cache folder, as train.py does."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless there is exactly one thing to do."""
        ways = [bool(self.values), self.csv is not None, self.stream]
        looks = [self.explain, self.beyond is not None]
        if sum(ways + looks) != 1:
            found = "several are given" if sum(ways + looks) else "none is given"
            raise ConfigError(
                f"{found} of values, --csv FILE, --stream, --explain and --beyond N: "
                "use exactly one"
            )
        if self.column is not None and self.csv is None:
            raise ConfigError(f"--column {self.column} has no file: name it with --csv FILE")
        if any(looks) and self.state is not None:
            raise ConfigError("--state has no use beside --explain and --beyond: leave it out")
        for name in ("windows", "beyond"):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= LARGEST:
                raise ConfigError(f"{name} {value} is not in 1 .. {LARGEST}: use one that is")


def main() -> None:
    """Run the command of the command line."""
    command = command_line.parse(PredictCommand)
    with command_line.refusals():
        check_state_folder(command)
        tokens, lines = read_tokens(command)  # what is bad is refused before anything slow begins
        network, *others = load(command)
        if command.explain or command.beyond:  # a state is not in use: `session` says it else
            notice(command, network)
        if command.explain:
            explain(command, network)
        elif command.beyond:
            beyond(command.beyond, [network, *others])
        elif command.stream:
            stream(command, network)
        else:
            predict(command, network, tokens, lines)


def read_tokens(command: PredictCommand) -> tuple[Any, list[int] | None]:
    """The values of the command line or of the file as tokens, and the lines of the latter."""
    from echo_jax.runs import csv_input, run_folder

    words, lines = list(command.values), None
    if command.csv is not None:
        _, words, lines = csv_input.read_column(command.csv, command.column)
    inputs = run_folder.read_inputs(command.folder, with_tokens=False)
    return vocabulary.encode(inputs.vocabulary, words, lines, command.unknown), lines


def check_state_folder(command: PredictCommand) -> None:
    """Raise ConfigError where the last state could not be left, before there are answers."""
    if command.state is not None and not command.state.parent.is_dir():
        raise ConfigError(
            f"state {command.state} would be in {command.state.parent}, which is no folder: "
            "create it, or use another place"
        )


def load(command: PredictCommand) -> list["Trained"]:
    """The network that is asked for; with --beyond those of all seeds, where none is named."""
    from echo_jax.runs import predictor

    machine.use_cpu_devices(1)
    if command.compilation_cache:
        machine.use_compilation_cache()
    if command.beyond and command.seed is None:
        return predictor.load_all(command.folder, command.cell)
    return [predictor.load(command.folder, command.seed, command.cell)]


def notice(command: PredictCommand, network: "Trained") -> None:
    """Say on the standard error what a user should know about the network."""
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
    """A network with the state that it is in: tokens in, answers in words out."""

    def __init__(self, network: "Trained", state: "EchoState") -> None:
        """Begin in a state."""
        self.state = state
        self._network = network
        values = map(network.vocabulary.value, range(len(network.vocabulary)))
        self._words = [*map(str, values), NOTHING]  # so that the last, -1, is no answer

    def answers(self, tokens: "np.ndarray") -> list[str]:
        """A word for each token, int32 `[N]`; the state has moved on by them."""
        import numpy as np

        from echo_jax.runs.vocabulary import UNSEEN

        known = tokens != UNSEEN
        state, answers = self._network.feed(self.state, tokens[known])
        said = np.full(len(tokens), -1)
        said[known] = np.where(answers.exists, answers.token, -1)
        self.state = state
        return [self._words[token] for token in said.tolist()]


@contextlib.contextmanager
def session(command: PredictCommand, network: "Trained") -> Iterator[Session]:
    """A session from the state in --state, if it is there; its last state is left in that file.

    That is so too where Ctrl-C ends it, but not where an error does.
    """
    path = command.state
    goes_on = path is not None and os.path.lexists(path)
    begun = Session(network, network.load_state(path) if path and goes_on else network.start())
    notice(command, network)
    interrupted = False
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield begun
    except KeyboardInterrupt:
        interrupted = True
    signal.signal(signal.SIGINT, before)
    if path is not None:
        network.save_state(begun.state, path)
    if interrupted:
        os._exit(128 + signal.SIGINT)  # jax may be in the middle of something: leave it there


def predict(
    command: PredictCommand, network: "Trained", tokens: Any, lines: list[int] | None
) -> None:
    """Print the answers to values: of the command line on one line, of a file one a line."""
    with session(command, network) as running:
        print(*running.answers(tokens), sep=" " if lines is None else "\n", flush=True)


def explain(command: PredictCommand, network: "Trained") -> None:
    """Print how often the answer follows each input."""
    task = network.config.task
    positions = range(min(task.length, max(task.window, task.lag + 1) + 3))
    shares = network.follows(positions, command.windows)
    print(follows_report(shares.tolist(), command.windows, network.config), flush=True)


def beyond(length: int, networks: list["Trained"]) -> None:
    """Print how the accuracy of networks of one run holds along a long stream of integers."""
    import numpy as np

    from echo_jax.statistics import median_interval

    config = networks[0].config
    edges = [0, config.task.length]
    while edges[-1] < length:
        edges.append(edges[-1] * 10)
    edges = [*edges[:-1], length] if edges[-1] > length else edges
    found = np.array([network.accuracy_along(edges) for network in networks])
    intervals = [median_interval(stretch) for stretch in found.T] if len(found) > 1 else None
    medians = np.median(found, axis=0)
    print(accuracy_report(edges, medians, intervals, len(found), config), flush=True)


def stream(command: PredictCommand, network: "Trained") -> None:
    """Answer the values of the standard input as they come, until they end.

    What has come is answered at once: in whole blocks while more is waiting, otherwise all of it.
    """
    import numpy as np

    from echo_jax.core.online import block_size
    from echo_jax.runs.csv_input import TokenReader

    block, waiting = block_size(network.config), np.zeros(0, np.int32)
    with session(command, network) as running:
        for tokens, more in arriving(TokenReader(network.vocabulary, command.unknown)):
            waiting = np.concatenate([waiting, tokens])
            now = len(waiting) - len(waiting) % block if more else len(waiting)
            sys.stdout.write("".join(f"{word}\n" for word in running.answers(waiting[:now])))
            sys.stdout.flush()
            waiting = waiting[now:]


def arriving(reader: "TokenReader") -> Iterator[tuple["np.ndarray", bool]]:
    """Tokens as they come in, int32 `[N]`, and whether more are waiting already.

    The tokens before one that is refused come first, then its error.
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


def follows_report(shares: Sequence[float], windows: int, config: RunConfig) -> str:
    """How often the answer follows each input, by its steps back: a bar a position."""
    task = config.task
    lines = [
        "Which input does the answer follow? Each one is changed in turn, in "
        f"{windows:,} random sequences;\nhow often the answer then becomes the new value (by "
        f"chance {1 / task.vocab_size:.1%}):"
    ]
    for steps, share in enumerate(shares):
        bar = "█" * round(40 * share)
        mark = f"  <- lag {task.lag}, what it was trained for" if steps == task.lag else ""
        lines.append(f"  {steps:3} back  {share:6.1%}  {bar}{mark}".rstrip())
    if task.lag < 0:
        lines.append(f"  The lag it was trained for, {task.lag}, lies ahead: no input is right.")
    return "\n".join(lines)


def accuracy_report(
    edges: Sequence[int],
    accuracy: Sequence[float],
    intervals: Sequence[Any] | None,
    networks: int,
    config: RunConfig,
) -> str:
    """How the accuracy holds along a stream, stretch by stretch, beside its floor.

    Args:
      edges: where the stretches begin and end.
      accuracy: of each stretch; where there are seeds their median.
      intervals: of each median; None for one seed.
      networks: how many seeds there are; fewer than the run has where some failed.
      config: of the run.
    """
    seeds = "1 seed, no interval"
    headings = ["integers", "accuracy"]
    if intervals:
        failed = f" of {config.seeds}, the others failed" * (networks < config.seeds)
        seeds = f"median of {networks} seeds{failed}, {intervals[0].coverage:.1%} interval"
        headings.append("interval")
    rows = [[*headings, "chance floor"]]
    for i, share in enumerate(accuracy):
        if math.isnan(share):
            continue  # it is over before the first answer
        row = [f"{edges[i]:,} to {edges[i + 1]:,}", f"{share:.2%}"]
        if intervals:
            row.append(f"{intervals[i].low:.2%} to {intervals[i].high:.2%}")
        rows.append([*row, f"{1 / config.task.vocab_size:.2%}"])
    return (
        f"One stream of {edges[-1]:,} random integers; trained on {config.task.length} at a time "
        f"({seeds}):\n{table(rows)}"
    )
