"""The command line: dataclasses to flags, parts as base configurations, errors to one sentence."""

import contextlib
import dataclasses
import errno
import io
import itertools
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import tyro

from echo_jax.commands import tyro_rules
from echo_jax.config import PARTS, RunConfig, changed, chosen, flags_of
from echo_jax.engine.process import Interrupts, StoppedError
from echo_jax.exceptions import EchoError, SchedulerLostError, printable, spell

FLAT = tyro.conf.arg(name="")  # the flags of a configuration that is a field get no prefix
INSTALLED = "echo-jax"  # as pages and cards name the installed program

_FAILURES = {
    "RESOURCE_EXHAUSTED|Out of memory":
        "the run needs more memory than there is: use smaller sizes or fewer seeds",
    "JAX flag|for environment|jax.default_device|Unable to initialize backend":
        "jax cannot start ({}): correct or unset the JAX_ variable that says so",
    rf"^\[Errno {errno.ENOSPC}\]":
        "the standard output cannot be written (No space left on device): send it elsewhere",
    rf"^\[Errno {errno.ENOENT}\][^:]*$":  # as os.getcwd raises it, without a name
        "the current folder is not there any more: change to another one",
}  # fmt: skip
"""Errors by their messages, and the sentences that they become."""


def parse(command: Any, arguments: Sequence[str] | None = None) -> Any:
    """Parse a command line, by default that of the process, into a command dataclass.

    Its module has the name of the command, and its `SPELLINGS` are the words that others stand for.
    ConfigError for an unknown flag or a broken rule; what else tyro cannot parse ends the process
    with its own message and status 2.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack a character
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else arguments
    spellings = getattr(command, "SPELLINGS", {})
    given = [part for word in words for part in spellings.get(word, (word,))]
    start = invocation(command.__module__.rpartition(".")[2])
    # Before tyro, which says it in a box of several lines (1.0.17).
    tyro_rules.refuse_unknown(given, command, start)
    try:
        return tyro.cli(
            command,
            prog=start,
            args=given,
            **_defaults(command, given),
            config=tyro_rules.CONFIG,
            registry=tyro_rules.REGISTRY,
        )
    except tyro_rules.BrokenRuleError as broken:
        (error,) = broken.args
        raise error from None


def invocation(command: str) -> str:
    """The words that start a command as this process was started: script, module or program."""
    script = Path(sys.argv[0])
    # As it was typed: sys.executable is a whole path.
    python = sys.orig_argv[0]
    if script.name == "__main__.py":
        return shlex.join([python, "-m", "echo_jax", command])
    if script.suffix == ".py":
        return shlex.join([python, str(script.with_name(f"{command}.py"))])
    return f"{INSTALLED} {command}"


def quoted(*words: object) -> str:
    """Words as a shell reads them, none of which a terminal obeys."""
    return printable(shlex.join(map(str, words)))


def flag_of(field: str) -> str:
    """The flag of a field."""
    return spell(f"{{{field}}}", "flag")


def fail(sentence: str) -> NoReturn:
    """Print one sentence to standard error and exit with status 2."""
    print(f"error: {printable(sentence)}", file=sys.stderr)
    sys.exit(2)


@contextlib.contextmanager
def drawing_last(again: str) -> Iterator[None]:
    """Within it a figure is made of what is stored already; if that fails, `again` makes it."""
    try:
        yield
    except EchoError as error:
        raise error.then(f"then {again} makes it") from error


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn the errors that a user can correct into one sentence and exit status 2."""
    try:
        yield
    except EchoError as error:
        fail(error.spelled("flag"))
    except Exception as error:
        if isinstance(error, OSError) and (error.errno in (errno.ENOSPC, errno.EPIPE)):
            # What is left in the buffer would fail once more when Python flushes it at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader of the output ended, as after `head`
            sys.exit(1)
        # jax has one class for most of its errors, so they are told apart by their messages.
        for pattern, sentence in _FAILURES.items():
            if re.search(pattern, str(error)):
                fail(sentence.format(str(error).splitlines()[0].rstrip(".")))
        raise


def training(config: RunConfig, changes: dict[str, Any]) -> str:
    """The command line that trains a configuration with other values of some fields."""
    fields = chosen(changed(config, **changes)) | changes
    return f"{invocation('train')} {quoted(*flags_of(fields))}"


def this_command(name: str) -> str:
    """The command line of this process, to be pasted into a shell."""
    return f"{invocation(name)} {quoted(*sys.argv[1:])}"


@contextlib.contextmanager
def stoppable(again: str) -> Iterator[Interrupts]:
    """Within it, a signal ends the program where nothing is lost; it is said how to go on."""
    notice = "Stopping where nothing is lost; a second Ctrl-C stops at once."
    with Interrupts(notice=notice) as interrupts:
        try:
            yield interrupts
        except StoppedError as stopped:
            print(f"\n{printable(str(stopped))}; to go on: {again}", file=sys.stderr)
            sys.exit(interrupts.exit_status)
        except SchedulerLostError as error:
            raise error.then(f"to go on: {again}") from error


def _defaults(command: Any, given: Sequence[str]) -> dict[str, Any]:
    """The defaults of a command with a part: those of the part that its arguments name."""
    if not {"part", "run"} <= {field.name for field in dataclasses.fields(command)}:
        return {}
    # tyro takes the defaults before it parses the words, so the part is looked up in them here.
    named = ""
    for word, after in itertools.pairwise([*given, ""]):
        if word == "--part":
            named = after
        elif word.startswith("--part="):
            named = word.removeprefix("--part=")
    part: Any = named if named in PARTS else "context"  # tyro refuses other words
    return {"default": command(part=part, run=PARTS[part])}
