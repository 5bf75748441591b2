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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import tyro

from echo_jax.commands import flags
from echo_jax.config import PARTS, flags_of
from echo_jax.exceptions import ConfigError, SchedulerLostError, TooLongError, printable
from echo_jax.host.interrupts import Interrupts, StoppedError

FLAT = tyro.conf.arg(name="")  # the flags of a configuration that is a field get no prefix
INSTALLED = "echo-jax"  # the program, as pages and cards name it

NUMBERED = {"2": "current", "3": "no-context", "4": "context"}
"""The numbers that the parts have in the tutorial, and their names here."""

_WORDINGS = (
    (r"invalid choice '?(.*?)'? for argument '(--\S+)'\. Expected one of \('(.*?)',? ?\)\.",
     r"\2 \1 is unknown: use one of \3"),
    (r"Missing value for argument '(--\S+)'.*", r"\1 has no value: give one after it"),
    (r"Missing from .*?: [A-Z]+ (.*?)\.? \(required\)", r"\1 is not given: name it, or see --help"),
    (r"Error parsing (--\S+): (.*)", r"\1 \2"),
    (r"Error parsing [\w.-]+: (.*)", r"\1"),
)  # fmt: skip
"""Messages of tyro, and the sentences that they become."""

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


def excluded(command: Any, flag: str, beside: Collection[str]) -> str | None:
    """The first flag given beside this one that does not go with it; None if there is none.

    Also None where this one is not given.
    """
    given = [
        field.name.replace("_", "-")
        for field in dataclasses.fields(command)
        if getattr(command, field.name) != field.default
    ]
    others = [name for name in given if name not in {flag, "compilation-cache", *beside}]
    return others[0] if flag in given and others else None


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
    typed = given_flags(given)
    given = _named_parts([_canonical(argument) for argument in given])
    printed: IO[str] = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(refusals(typed))
        _check_given_once(command, given)
        width = max(40, shutil.get_terminal_size().columns)
        asks_for_help = {"-h", "--help"} & set(given)
        if asks_for_help:  # tyro draws frames where the encoding has their parts
            printed = io.TextIOWrapper(io.BytesIO(), encoding=sys.stdout.encoding)
        stack.enter_context(_columns(width if asks_for_help else 100_000))
        try:
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                return tyro.cli(
                    command,
                    prog=program(command.__module__.rpartition(".")[2]),
                    args=given,
                    **_defaults(command, given),
                    config=(tyro.conf.OmitArgPrefixes,),
                    registry=flags.REGISTRY,
                )
        except SystemExit as stop:
            printed.seek(0)
            if stop.code:
                known = flags.names(command)
                fail(_as_typed(_sentence(printed.read(), known, given), typed))
            for line in re.sub(r"\n{3,}", "\n\n", printed.read()).splitlines():
                folded = textwrap.fill(line, width, break_on_hyphens=False)
                print(folded if len(line) > width else line)
            raise


def _check_given_once(command: Any, given: Sequence[str]) -> None:
    words = [word.partition("=")[0] for word in given]
    for flag in flags.names(command, once=True):
        same = [word for word in words if re.sub("^--no-", "--", word) == flag]
        if len(same) > 1:
            raise ConfigError(f"{same[-1]} is given more than once: give it once")


def program(command: str) -> str:
    """The words that start a command as this process was started: script, module or program."""
    started, python = Path(sys.argv[0]), sys.orig_argv[0]
    if started.name == "__main__.py":
        return shlex.join([python, "-m", "echo_jax", command])
    if started.suffix == ".py":
        return shlex.join([python, str(started.with_name(f"{command}.py"))])
    return f"{INSTALLED} {command}"


def quoted(*words: object) -> str:
    """Words as a shell reads them, none of which a terminal obeys."""

    def quote(word: str) -> str:
        """One word."""
        if word.isprintable():
            return shlex.quote(word)
        escaped = printable(re.sub(r"([\\'])", r"\\\1", word))
        return f"$'{escaped}'"

    return " ".join(quote(str(word)) for word in words)


def given_flags(arguments: Sequence[str] | None = None) -> dict[str, str]:
    """The flags of a command line: by their names, without a `no-`, how they were typed."""
    given = sys.argv[1:] if arguments is None else arguments
    typed = [argument.partition("=")[0] for argument in given if argument.startswith("--")]
    return {re.sub("^--no-", "--", _canonical(flag)): flag for flag in typed}


def check_alone(flag: str, *beside: str) -> None:
    """Raise ConfigError for a flag beside one with which it has no effect."""
    for other in sorted(given_flags().keys() - {flag, *beside}):
        raise ConfigError(f"{other} has no effect with {flag}: leave it out")


def fail(sentence: str) -> NoReturn:
    """Print one sentence to standard error and exit with status 2."""
    print(f"error: {printable(sentence)}", file=sys.stderr)
    sys.exit(2)


def say_for_paper(paths: Iterable[Path]) -> None:
    """Print the files for a paper that were written."""
    for path in paths:
        print(f"For a paper: {printable(str(path))}")


def open_figure(path: Path) -> None:
    """Open a figure in the user's browser, or say that there is no display."""
    import webbrowser

    has_display = {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
    if (sys.platform == "linux" and not has_display) or not webbrowser.open(
        path.resolve().as_uri()  # a browser of the terminal shows no picture
    ):
        name = printable(str(path))
        print(f"{name} cannot be opened, as there is no display: copy it to a machine that has one",
              file=sys.stderr)  # fmt: skip


def leave(status: int = 0) -> NoReturn:
    """End the process without waiting for its threads, after flushing what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed, or nobody reads it any more
            stream.flush()
    os._exit(status)


@contextlib.contextmanager
def drawing_last(again: str) -> Iterator[None]:
    """Within it a figure is made of what is stored already; if that fails, `again` makes it."""
    try:
        yield
    except ConfigError as error:
        print(f"{printable(str(error))}; then {again} makes it", file=sys.stderr)


@contextlib.contextmanager
def refusals(typed: Mapping[str, str] | None = None) -> Iterator[None]:
    """Turn the errors that a user can correct into one sentence and exit status 2.

    The sentence names the flags that were typed as they were typed, see `given_flags`.
    """
    try:
        yield
    except TooLongError as error:  # its compilation goes on in a thread
        print(f"error: {printable(_as_typed(str(error), typed or {}))}", file=sys.stderr)
        leave(2)
    except ConfigError as error:
        fail(_as_typed(str(error), typed or {}))
    except Exception as error:
        if isinstance(error, OSError) and (error.errno in (errno.ENOSPC, errno.EPIPE)):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):  # the reader of the output ended, as after `head`
            sys.exit(1)
        for pattern, sentence in _FAILURES.items():
            if re.search(pattern, str(error)):
                fail(sentence.format(str(error).splitlines()[0].rstrip(".")))
        raise


def this_command(name: str) -> str:
    """The command line of this process, to be pasted into a shell."""
    return f"{program(name)} {quoted(*sys.argv[1:])}"


def again_with(name: str, changes: Mapping[str, Any], *dropped: str) -> str:
    """The command line of this process with other values of some fields, without some flags."""
    left_out = {*dropped, *flags_of(dict.fromkeys(changes, True))}
    words, leave_out = [], False
    for word in sys.argv[1:]:
        if word.startswith("--"):
            flag = re.sub("^--no-", "--", _canonical(word).partition("=")[0])
            leave_out = flag in left_out
        if not leave_out:  # neither a flag nor its value
            words.append(word)
    return f"{program(name)} {quoted(*words, *flags_of(changes))}"


@contextlib.contextmanager
def stoppable(again: str) -> Iterator[Interrupts]:
    """Within it, a signal ends the program after the chunk that trains; it is said how to go on."""
    notice = "Stopping after the chunk that trains; a second Ctrl-C stops at once."
    with Interrupts(notice=notice) as interrupts:
        try:
            yield interrupts
        except StoppedError:
            print(f"\nStopped; to go on: {again}", file=sys.stderr)
            sys.exit(interrupts.exit_status)
        except SchedulerLostError as error:
            raise SchedulerLostError(f"{error}; to go on: {again}") from error


def _defaults(command: Any, given: list[str]) -> dict[str, Any]:
    """The defaults of a command with a part: those of the part that its arguments name."""
    if not {"part", "run"} <= {field.name for field in dataclasses.fields(command)}:
        return {}
    named = re.findall(r"(?:^|\n)--part[=\n](.*)", "\n".join(given))
    part: Any = named[-1] if named and named[-1] in PARTS else "context"  # tyro refuses other words
    return {"default": command(part=part, run=PARTS[part])}


@contextlib.contextmanager
def _columns(width: int) -> Iterator[None]:
    """Within it the terminal is said to have so many columns."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(width)
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _canonical(argument: str) -> str:
    """An argument whose flag, if it has one, is spelled with dashes and is no alias."""
    if not argument.startswith("--"):
        return argument
    flag, equals, value = argument.partition("=")
    flag = flag.replace("_", "-")
    aliases = {"--batch": "--batch-size", "--hidden": "--hidden-size"}
    return aliases.get(flag, flag) + equals + value


def _named_parts(given: Sequence[str]) -> list[str]:
    """The arguments with the name of a part where its number was given."""
    found = []
    for before, word in zip(["", *given], given, strict=False):
        flag, equals, number = word.rpartition("=")
        of_a_part = (flag or before) == "--part"
        found.append(flag + equals + NUMBERED.get(number, number) if of_a_part else word)
    return found


def _as_typed(sentence: str, typed: Mapping[str, str]) -> str:
    """A sentence with each flag as the user wrote it, also where it is a field in words.

    with --hidden typed: hidden size 0 is below 1 -> --hidden 0 is below 1
    """
    for flag in typed:
        words = re.escape(flag.removeprefix("--").replace("-", " "))
        field = rf"^{words} (True )?|(?<![\w-]){words} (?=-?\d)"  # the first, or before a number
        sentence = re.sub(field, flag.replace("\\", r"\\") + " ", sentence)
    spelled = {flag: each for flag, each in typed.items() if not each.startswith("--no-")}
    return re.sub(r"--[\w-]+", lambda flag: spelled.get(flag[0], flag[0]), sentence)


def _sentence(box: str, known: list[str], given: list[str]) -> str:
    """The message of tyro (a title, then text between two rules) as one sentence."""
    between_rules = re.split(r"\n\s*-{3,}\s*\n", box)[1:2] or [box]
    message = " ".join(between_rules[0].split()).replace("', '", ", ")
    for pattern, wording in _WORDINGS:
        if match := re.fullmatch(pattern, message):
            return match.expand(wording)
    unrecognized = re.fullmatch(r"Unrecognized options: ([^,=\s]*).*", message)
    if not unrecognized:
        return message
    option = unrecognized[1]
    before = given[given.index(option) - 1] if option in given else ""
    if option.lower() in ("true", "false", "yes", "no") and before.startswith("--"):
        name = re.sub("^--(no-)?", "", before)
        return f"{option} is no value of {before}, a switch: use --{name} or --no-{name} alone"
    return unknown_option(option, known)


def unknown_option(option: str, known: Sequence[str]) -> str:
    """The sentence about an option that is none of those known."""
    if option in ("--coordinator", "--processes", "--process"):
        return (
            f"{option} is gone: one process uses all devices that it sees; --cluster uses many "
            "machines"
        )
    ours, hint = flags.ELSEWHERE.get(option.replace("_", "-"), ("", ""))
    if ours in known:
        return f"{option} is not an option: {hint}"
    if "--curve" in known and Path(option).is_dir():
        return f"{option} stands alone: use --curve {quoted(option)} to show the run in it"
    alike = difflib.get_close_matches(option, known if option.startswith("-") else [], 1, 0.7)
    guess = "".join(f"use {flag}, or " for flag in alike)
    return f"{option} is not an option: {guess}see --help for all of them"
