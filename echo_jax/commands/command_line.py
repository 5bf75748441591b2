"""The command line: dataclasses to flags, parts as base configurations, errors to one sentence."""

import contextlib
import dataclasses
import difflib
import errno
import io
import os
import pathlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import tyro

from echo_jax.config import PARTS
from echo_jax.exceptions import ConfigError

FLAT = tyro.conf.arg(name="")
"""For the field of a command that holds the configuration: its flags stand at the top."""

SHORT_FORMS = {"--batch": "--batch-size", "--hidden": "--hidden-size"}

_REWORDED = (
    (r"Error parsing (--\S+): invalid literal for int\(\).*?: '?(.*?)'?$",
     r"\1 \2 is not a whole number: use one such as \1 1"),
    (r"Error parsing (--\S+): no type matching .* from \['(.*?)'\]\..*invalid literal for int.*",
     r"\1 \2 is not a whole number: use one such as \1 1"),
    (r"Error parsing (--\S+): Exceeds the limit .* digits.*",
     r"\1 has more digits than any size: use one such as \1 1"),
    (r"Error parsing (--\S+): could not convert string to float: '?(.*?)'?$",
     r"\1 \2 is not a number: use one such as \1 0.001"),
    (r"invalid choice '?(.*?)'? for argument '(--\S+)'\. Expected one of \('(.*?)',?\)\.",
     r"\2 \1 is unknown: use one of \3"),
    (r"invalid choice '?(.*?)'? for argument '(--\S+)'\. Expected one of \('(.*?)'\) ?\.",
     r"\2 \1 is unknown: use one of \3"),
    (r"Error parsing (--\S+): Could not find valid parse for arguments: \['?(.*?)'?\]",
     r"\1 \2 is not what it takes: see --help for its values"),
    (r"Missing value for argument '(--\S+)'.*", r"\1 has no value: give one after it"),
    (r"Missing from \S+: \S+ (.*?)\.? \(required\)",
     r"\1 is not given: name it, or see --help"),
    (r"Error parsing [\w.-]+: (.*)", r"\1"),
)  # fmt: skip


def parse(command: Any, arguments: Sequence[str] | None = None) -> Any:
    """Parse a command line into a command dataclass; a bad one ends in one sentence and exit 2.

    Args:
      command: a frozen dataclass. If it has the fields `part` and `run` (a `RunConfig`), the part
        that the command line names gives the defaults of the run.
      arguments: the command line after the program's name; None for that of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack a character
            stream.reconfigure(errors="backslashreplace")
    given = list(sys.argv[1:] if arguments is None else arguments)
    given = [re.sub(r"^--\w+(?==|$)", _long_form, argument) for argument in given]
    defaults = {}
    if {"part", "run"} <= {field.name for field in dataclasses.fields(command)}:
        part = _part_of(given)
        defaults["default"] = command(part=part, run=PARTS[part])
    asks_for_help = bool({"-h", "--help"} & set(given))
    printed = io.StringIO()
    try:
        with contextlib.nullcontext() if asks_for_help else _captured(printed):
            return tyro.cli(
                command,
                prog=pathlib.Path(sys.argv[0]).name,
                args=given,
                **defaults,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if stop.code:
            fail(_sentence(printed.getvalue(), _flags(command)))
        raise
    except ConfigError as error:
        fail(str(error))
    except BrokenPipeError:
        _hang_up()


def given_flags(arguments: Sequence[str] | None = None) -> set[str]:
    """The flags that a command line names, each in its long form and without a `no-`."""
    given = sys.argv[1:] if arguments is None else arguments
    flags = {re.split("=", argument)[0] for argument in given if argument.startswith("--")}
    flags = {flag.replace("_", "-") for flag in flags}  # tyro takes either
    return {re.sub("^--no-", "--", SHORT_FORMS.get(flag, flag)) for flag in flags}


@contextlib.contextmanager
def _captured(printed: io.StringIO) -> Iterator[None]:
    """Catch what tyro prints: where stdout is no terminal, that is plain text without a frame.

    For a terminal as wide as can be: it breaks a line also behind the comma of a number.
    """
    width = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100000"
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            yield
    finally:
        del os.environ["COLUMNS"]
        if width is not None:
            os.environ["COLUMNS"] = width


def fail(sentence: str) -> NoReturn:
    """Print one sentence to standard error and exit with status 2."""
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


def leave(status: int = 0) -> NoReturn:
    """End the process at once, whatever its threads do, with all that was printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it any more
            stream.flush()
    os._exit(status)


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Within it what a user can mend ends the program with a sentence, status 2, no traceback."""
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


def _hang_up() -> NoReturn:
    """End quietly: whoever read our output has gone, as `head` does."""
    _drop_output()
    sys.exit(1)


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _long_form(match: re.Match[str]) -> str:
    return SHORT_FORMS.get(match[0], match[0])


def _part_of(arguments: list[str]) -> Any:
    """The part that the arguments name; any other word is left for the parser to refuse."""
    named = re.findall(r"(?:^|\n)--part[=\n](.*)", "\n".join(arguments))
    return named[-1] if named and named[-1] in PARTS else "context"


def _flags(command: Any) -> list[str]:
    """Every flag of a command dataclass, nested fields included."""
    flags: list[str] = []
    for field in dataclasses.fields(command):
        kind = getattr(field.type, "__origin__", field.type)
        if dataclasses.is_dataclass(kind):
            flags += _flags(kind)
        else:
            name = field.name.replace("_", "-")
            flags += [f"--{name}", f"--no-{name}"] if kind is bool else [f"--{name}"]
    return flags


def _sentence(box: str, flags: list[str]) -> str:
    """What tyro says, a title and then a message between two rules, as one sentence."""
    between_rules = re.split(r"\n\s*-{3,}\s*\n", box)[1:2] or [box]
    message = " ".join(between_rules[0].split()).replace("', '", ", ")
    unrecognized = re.fullmatch(r"Unrecognized options: ([^,=\s]*).*", message)
    if unrecognized:
        return _unknown_option(unrecognized[1], flags)
    for pattern, wording in _REWORDED:
        if match := re.fullmatch(pattern, message):
            return match.expand(wording)
    return message


def _unknown_option(option: str, flags: list[str]) -> str:
    if option in ("True", "False"):
        return f"{option} is no value of a switch: use --name or --no-name alone"
    if not option.startswith("-"):
        return f"{option} is not an option: see --help for all of them"
    close = difflib.get_close_matches(option, flags, n=1, cutoff=0.7)
    guess = f"use {close[0]}, or see" if close else "see"
    return f"{option} is not an option: {guess} --help for all of them"
