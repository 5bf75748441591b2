"""Use a trained network: on values, on a column of a CSV file, on a text, on a stream.

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

from echo_jax import compilation_cache, machine
from echo_jax.commands import command_line
from echo_jax.config import check_values
from echo_jax.engine import process
from echo_jax.exceptions import ConfigError

if TYPE_CHECKING:  # what is slow to import waits until the command line was found valid
    import numpy as np

    from echo_jax.echo.run.predictor import TrainedNetwork
    from echo_jax.echo.token_by_token import EchoState

WINDOWS = 1000  # random sequences in which an input is changed


@dataclasses.dataclass(frozen=True)
class PredictCommand:
    """Print what a trained network answers after each of these values.

    There is one answer for each value, and `-` where there is no answer yet.
    """

    folder: Positional[Path]
    """Folder of the run."""
    values: Positional[tuple[str, ...]] = ()
    """The values in order, after -- if one of them begins with -. For a run on a text, give single
    characters or a text in quotes. The answers are printed on one line."""
    csv: Path | None = None
    """Read the values from this CSV file, whose first line names the columns, and print one answer
    per line."""
    column: str | None = None
    """Column of the CSV file; needed only if there are several."""
    text: Path | None = None
    """Read the characters of this text file as values, and print one answer per line."""
    stream: bool = False
    """Read values from the standard input as they come, and print one answer per line."""
    generate: int | None = None
    """After the given values, feed each answer back as the next value, this many times, and print
    only these answers; only for a network that predicts the next value (--lag -1)."""
    explain: bool = False
    """Show which input the answer follows: change each input in turn, in random sequences."""
    seed: int | None = None
    """Seed of the network that answers, for a run with several seeds; by default the first."""
    unknown: Literal["error", "skip"] = "error"
    """What to do with a value that the network was not trained on: end with an error, or skip
    it."""
    cell: str | None = None
    """The cell of the run, as module:NAME or FILE.py, if it is your own."""

    def __post_init__(self) -> None:
        """Raise ConfigError unless there is one source of values, and the options fit it."""
        check_values(self)
        given = [self.csv is not None, self.text is not None, self.stream, self.explain]
        asked = sum(given) + bool(self.values)
        if asked != 1:
            rule = "of values, {csv=FILE}, {text=FILE}, {stream} and {explain} were given"
            raise ConfigError(None, "several" if asked else "none", rule, "use exactly one")
        if self.generate and (self.stream or self.explain):
            rule = f"cannot be combined with {{{'stream' if self.stream else 'explain'}}}"
            fix = "give values, {csv=FILE} or {text=FILE} instead"
            raise ConfigError("generate", self.generate, rule, fix)
        if self.column is not None and self.csv is None:
            raise ConfigError("column", self.column, "needs a file", "name it with {csv=FILE}")


def main() -> None:
    """Parse the command line, and print the answers of the network.

    Values that the network cannot read are refused before the network is loaded, except values of
    a stream.
    """
    command = command_line.parse(PredictCommand)
    from echo_jax.echo.run import checkpoint
    from echo_jax.storage import csv_and_text, vocabulary

    words = list(command.values)
    lines = None
    if command.csv is not None:
        _, words, lines = csv_and_text.read_column(command.csv, command.column)
    if command.text is not None:
        words = list(csv_and_text.read_text(command.text))
    inputs = checkpoint.read_inputs(command.folder, to_train=False)
    of_text = command.values and inputs.config.data.text is not None
    if of_text and any(len(word) > 1 for word in words):  # else they are its characters
        words = list(csv_and_text.single_spaced(" ".join(words)))
    encode = functools.partial(vocabulary.encode, inputs.vocabulary, unknown=command.unknown)
    tokens = encode(words, place=lambda i: f"in line {lines[i - 1]}") if lines else encode(words)
    network = load(command)
    if command.explain:
        print(follows_report(network), flush=True)
    else:
        answer(command, network, tokens_of_input(encode) if command.stream else [tokens])


def load(command: PredictCommand) -> "TrainedNetwork":
    """Return the network of `command`.

    A note is printed if the network is not yet fully trained, or if the run has several seeds and
    the command names none.
    """
    from echo_jax.echo.run import predictor

    machine.use_cpu_devices(1)
    compilation_cache.use_compilation_cache()
    say = functools.partial(print, file=sys.stderr)
    network = predictor.load(command.folder, command.seed, command.cell, say)
    config = network.config
    done = network.sequences
    wanted = config.training.sequences
    if done < wanted:
        say(f"the network is trained on {done:,} of {wanted:,} sequences so far")
    if command.seed is None and config.seeds > 1:
        say(f"seed {config.seed} answers, one of {config.seeds} seeds: --seed chooses another")
    return network


def follows_report(network: "TrainedNetwork") -> str:
    """Return a text with a bar for each step back: the share of answers that follow that input.

    An answer follows an input if the answer becomes the new value when the input is changed.
    """
    task = network.config.task
    positions = range(min(task.length, max(task.window, task.lag + 1) + 3))
    lines = [
        f"Which input does the answer follow? In {WINDOWS:,} random sequences, each input is "
        "changed in turn.\nThe bars show how often the answer then becomes the new value (by "
        f"chance {1 / task.vocab_size:.1%}):"
    ]
    for steps, share in enumerate(network.follows(positions, WINDOWS).tolist()):
        mark = f"  <- lag {task.lag}, what it was trained for" if steps == task.lag else ""
        lines.append(f"  {steps:3} back  {share:6.1%}  {'█' * round(40 * share)}{mark}".rstrip())
    if task.lag < 0:
        lines.append(f"  It was trained for lag {task.lag}, a later value, so no input is right.")
    return "\n".join(lines)


def answer(
    command: PredictCommand, network: "TrainedNetwork", blocks: Iterable["np.ndarray"]
) -> None:
    """Print the answers of a network to blocks of tokens, each int32 `[N]`, one answer per line.

    Answers to values of the command line, and generated answers, are printed on one line. If there
    is no answer yet, the reason is printed to standard error. Ctrl-C ends the process.
    """
    state = network.start()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    separator = " " if command.values or command.generate else "\n"
    respond = network.values
    if command.generate:
        respond = functools.partial(network.generate, count=command.generate)
    try:
        for tokens in blocks:
            lacked = network.lacking(state)
            state, values = respond(state, tokens)
            print(*(spelled(value, separator) for value in values), sep=separator, flush=True)
            if lacked and None in values:
                print(why_no_answer(network, state), file=sys.stderr)
    except KeyboardInterrupt:
        process.leave(128 + signal.SIGINT)  # jax may be in the middle of a computation


def spelled(value: int | str | None, separator: str) -> int | str:
    """Return a value as it is printed: "-" for None, in quotes if it contains `separator`.

    `separator` is what stands between two values. A single space is always in quotes.
    """
    if value is None:
        return "-"
    return repr(value) if value == " " or separator in str(value) else value


def why_no_answer(network: "TrainedNetwork", state: "EchoState") -> str:
    """Return a text that says why the first answers are dashes.

    It states how many values an answer needs, and how many are still missing after `state`.
    """
    task = network.config.task
    more = network.lacking(state)
    needed = task.target_times.start + 1
    rest = f", {more} more than were given" if more else ""
    first = f"the first answer needs {needed} values{rest}"
    return f"- is no answer: with window {task.window} and lag {task.lag}, {first}"


def tokens_of_input(encode: Callable[..., "np.ndarray"]) -> Iterator["np.ndarray"]:
    """Yield the tokens of the standard input as they come, int32 `[N]`, until it ends.

    `encode` turns words into tokens. Raises ConfigError if the standard input is closed, or for a
    value without a token, after the tokens before this value were yielded.
    """
    import numpy as np

    from echo_jax.storage.csv_and_text import words_of

    if sys.stdin is None:
        raise ConfigError(None, "the standard input", "is closed", "send values to it by a pipe")
    # sys.stdin would wait for a full buffer, and each value is answered as it comes.
    read = functools.partial(os.read, sys.stdin.fileno(), 2**16)
    count = 0
    for words in filter(None, words_of(iter(read, b""))):
        try:
            tokens = encode(words, place=lambda i, before=count: f"at position {before + i}")
        except ConfigError:
            known = encode(words, unknown="skip")
            yield known[: np.argmin(known)]  # UNSEEN is below every token
            raise
        yield tokens
        count += len(words)
