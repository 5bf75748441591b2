"""The command line: dataclasses to flags, parts as base configurations, errors to one sentence."""

import contextlib
import dataclasses
import difflib
import errno
import io
import os
import re
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import tyro

from echo_jax.commands import flags
from echo_jax.config import PARTS
from echo_jax.exceptions import ConfigError

FLAT = tyro.conf.arg(name="")
"""Marks a field that holds a configuration: its flags get no prefix."""

INSTALLED = "echo-jax"
"""The program that an installation provides, as pages and cards name it."""

ALIASES = {"--batch": "--batch-size", "--hidden": "--hidden-size"}

REMOVED = ("--coordinator", "--processes", "--process")
"""Flags of training that was divided among processes."""

_WORDINGS = (
    (r"invalid choice '?(.*?)'? for argument '(--\S+)'\. Expected one of \('(.*?)',? ?\)\.",
     r"\2 \1 is unknown: use one of \3"),
    (r"Missing value for argument '(--\S+)'.*", r"\1 has no value: give one after it"),
    (r"Missing from .*?: [A-Z]+ (.*?)\.? \(required\)", r"\1 is not given: name it, or see --help"),
    (r"Error parsing (--\S+): (.*)", r"\1 \2"),
    (r"Error parsing [\w.-]+: (.*)", r"\1"),
)  # fmt: skip
"""Messages of tyro, and the sentences that they become."""


def parse(command: Any, arguments: Sequence[str] | None = None) -> Any:
    """Parse a command line into a command dataclass; a bad one ends in one sentence and exit 2.

    Args:
      command: a frozen dataclass in a module of the command's name. If it has the fields `part` and
        `run` (a `RunConfig`), the part that the command line names gives the defaults of the run.
      arguments: the command line after the program's name; None for that of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack a character
            stream.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    typed, asks_for_help = given_flags(given), bool({"-h", "--help"} & set(given))
    printed = _stream(framed=asks_for_help)
    width = shutil.get_terminal_size().columns if asks_for_help else 100_000
    try:
        with _captured(printed, width):
            return _parsed(command, [_canonical(argument) for argument in given])
    except SystemExit as stop:
        printed.seek(0)
        if stop.code:
            fail(_as_typed(_sentence(printed.read(), flags.names(command)), typed))
        print(_wrapped(printed.read()), end="")
        raise
    except ConfigError as error:
        fail(_as_typed(str(error), typed))
    except BrokenPipeError:
        _hang_up()


def program(command: str) -> str:
    """The words that start a command in the way that this process was started.

    python scripts/train.py -> python scripts/predict.py
    python -m echo_jax train -> python -m echo_jax predict
    echo-jax train -> echo-jax predict
    """
    started, python = Path(sys.argv[0]), sys.orig_argv[0]
    if started.name == "__main__.py":
        return shlex.join([python, "-m", "echo_jax", command])
    if started.suffix == ".py":
        return shlex.join([python, str(started.with_name(f"{command}.py"))])
    return f"{INSTALLED} {command}"


def given_flags(arguments: Sequence[str] | None = None) -> dict[str, str]:
    """The flags of a command line: by their names, without a `no-`, how they were typed."""
    given = sys.argv[1:] if arguments is None else arguments
    typed = [argument.partition("=")[0] for argument in given if argument.startswith("--")]
    return {re.sub("^--no-", "--", _canonical(flag)): flag for flag in typed}


def fail(sentence: str) -> NoReturn:
    """Print one sentence to standard error and exit with status 2."""
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def leave(status: int = 0) -> NoReturn:
    """End the process without waiting for its threads, after flushing what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it any more
            stream.flush()
    os._exit(status)


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn the errors that a user can correct into one sentence and exit status 2."""
    try:
        yield
    except ConfigError as error:
        fail(str(error))
    except BrokenPipeError:
        _hang_up()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _drop_output()
        fail("the standard output cannot be written (No space left on device): send it elsewhere")
    except Exception as error:
        if not re.search("RESOURCE_EXHAUSTED|Out of memory", str(error)):
            raise
        fail("the run needs more memory than there is: use smaller sizes or fewer seeds")


def _parsed(command: Any, given: list[str]) -> Any:
    """The command that tyro makes of canonical arguments."""
    defaults = {}
    if {"part", "run"} <= {field.name for field in dataclasses.fields(command)}:
        part = _part_of(given)
        defaults["default"] = command(part=part, run=PARTS[part])
    return tyro.cli(
        command,
        prog=program(command.__module__.rpartition(".")[2]),
        args=given,
        **defaults,
        config=(tyro.conf.OmitArgPrefixes,),
        registry=flags.REGISTRY,
    )


def _wrapped(printed: str) -> str:
    """Help with the lines that tyro leaves longer than the terminal, usage and prose, broken."""
    width = shutil.get_terminal_size().columns
    lines = re.sub(r"\n{3,}", "\n\n", printed).split("\n")
    return "\n".join(
        textwrap.fill(line, width, break_on_hyphens=False) if len(line) > width else line
        for line in lines
    )


def _part_of(arguments: list[str]) -> Any:
    """The part that the arguments name; any other word is left for the parser to refuse."""
    named = re.findall(r"(?:^|\n)--part[=\n](.*)", "\n".join(arguments))
    return named[-1] if named and named[-1] in PARTS else "context"


def _canonical(argument: str) -> str:
    """An argument whose flag, if it has one, is spelled with dashes and is no alias."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    flag = flag.replace("_", "-")
    return ALIASES.get(flag, flag) + equals + value


def _as_typed(sentence: str, typed: dict[str, str]) -> str:
    """A sentence with each flag as the user wrote it."""
    return re.sub(r"--[\w-]+", lambda flag: typed.get(flag[0], flag[0]), sentence)


def _stream(framed: bool) -> IO[str]:
    """A stream to print to; tyro draws frames where its encoding has their characters."""
    if framed:
        return io.TextIOWrapper(io.BytesIO(), encoding=sys.stdout.encoding)
    return io.StringIO()


@contextlib.contextmanager
def _captured(printed: IO[str], width: int) -> Iterator[None]:
    """Catch what is printed, for a terminal of a width in columns."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(width)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _sentence(box: str, known: list[str]) -> str:
    """The message of tyro (a title, then text between two rules) as one sentence."""
    between_rules = re.split(r"\n\s*-{3,}\s*\n", box)[1:2] or [box]
    message = " ".join(between_rules[0].split()).replace("', '", ", ")
    unrecognized = re.fullmatch(r"Unrecognized options: ([^,=\s]*).*", message)
    if unrecognized:
        return _unknown_option(unrecognized[1], known)
    for pattern, wording in _WORDINGS:
        if match := re.fullmatch(pattern, message):
            return match.expand(wording)
    return message


def _unknown_option(option: str, known: list[str]) -> str:
    if option in REMOVED:
        return (
            f"{option} is gone: one process uses all devices that it sees; for more machines "
            "start a run on each with another --seed"
        )
    if option in ("True", "False"):
        return f"{option} is no value of a switch: use --name or --no-name alone"
    if not option.startswith("-"):
        return f"{option} is not an option: see --help for all of them"
    close = difflib.get_close_matches(option, known, n=1, cutoff=0.7)
    guess = f"use {close[0]}, or see" if close else "see"
    return f"{option} is not an option: {guess} --help for all of them"


def _hang_up() -> NoReturn:
    """End without a message: the reader of the output is gone, as after `head`."""
    _drop_output()
    sys.exit(1)


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
