"""Turn dataclasses into flags, parts into base configurations, and errors into one sentence.

The commands use these functions; `parse` reads a command line.
"""

import contextlib
import dataclasses
import errno
import functools
import io
import itertools
import os
import re
import shlex
import sys
import types
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin

import tyro
from tyro import constructors

from echo_jax.config import (
    PARTS,
    SHORT_NAMES,
    RunConfig,
    changed,
    chosen,
    flags_of,
    help_of,
    unknown,
)
from echo_jax.engine.process import Interrupts, StoppedError
from echo_jax.exceptions import ConfigError, EchoError, SchedulerLostError, printable, spell

# Without these the flags of a field that is a dataclass are --run.task.lag and the like.
CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)
REGISTRY = constructors.ConstructorRegistry()
"""The rules for types at the end of this module, as `tyro.cli` takes them."""

FLAT = tyro.conf.arg(name="")  # the flags of a configuration that is a field get no prefix
INSTALLED = "echo-jax"  # as pages and cards name the installed program

_FAILURES = {
    "RESOURCE_EXHAUSTED|Out of memory":
        "the run needs more memory than there is: use smaller sizes or fewer seeds",
    "JAX flag|for environment|jax.default_device|Unable to initialize backend":
        "jax cannot start ({}): correct or unset the JAX_ variable that it names",
    rf"^\[Errno {errno.ENOSPC}\]":
        "the standard output cannot be written (No space left on device): send it elsewhere",
    rf"^\[Errno {errno.ENOENT}\][^:]*$":  # as os.getcwd raises it, without a name
        "the current folder no longer exists: change to another one",
}  # fmt: skip
"""The sentences that replace the messages of errors, by a pattern in the message.

{} stands for the first line of the message.
"""


def parse(command: Any, arguments: Sequence[str] | None = None) -> Any:
    """Return the instance of the dataclass `command` that a command line describes.

    `arguments` are the words of the command line, by default the words after the command of this
    process. The module of the dataclass has the name of the command. The attribute `SPELLINGS` of
    the dataclass, if any, maps other spellings of a word to words. Raises ConfigError for a word
    that cannot be parsed, an unknown flag or a broken rule.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack a character
            stream.reconfigure(errors="backslashreplace")
    words = sys.argv[1:] if arguments is None else arguments
    spellings = getattr(command, "SPELLINGS", {})
    given = [part for word in words for part in spellings.get(word, (word,))]
    start = invocation(command.__module__.rpartition(".")[2])
    # Before tyro, which says it in a box of several lines (1.0.17).
    refuse_unknown(given, command, start)
    with _one_sentence(f"{start} --help"):
        return tyro.cli(
            command,
            prog=start,
            args=given,
            **_defaults(command, given),
            config=CONFIG,
            registry=REGISTRY,
        )


_REFUSED_BY_TYRO = {
    r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)":
        r"\1 \2 is not a whole number: use a number such as 1",
    r"Error parsing (\S+): could not convert string to float: (.*)":
        r"\1 \2 is not a number: use a number such as 0.001",
    r"invalid choice (.*) for argument '(.*)'\. Expected one of \((.*)\)\.":
        r"\2 \1 is unknown: use one of \3",
    r"Missing value for argument '(.*)'\..*": r"\1 has no value: see HELP",
    r"Missing from .*?: (.*?)\.? \(required\).*": r"A value is missing (\1): see HELP",
    r"Expected one of \{(.*)\}\.": r"The subcommand is missing: use one of \1",
    r"Unrecognized options: (.*)": r"\1 is not understood: see HELP",
    r"Error parsing (\S+): (.*)": r"\1 is refused (\2): see HELP",
    "(.*)": r"\1: see HELP",
}  # fmt: skip
"""The sentences for what tyro 1.0.17 prints in a box, by a pattern; the last is for other words."""


@contextlib.contextmanager
def _one_sentence(where: str) -> Iterator[None]:
    """Raise ConfigError for what tyro refuses in this context, in place of a box and exit status 2.

    `where` is the command line that prints the help.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except BrokenRuleError as broken:
        (error,) = broken.args
        raise error from None
    except SystemExit as ended:
        if ended.code != 2:
            raise
        raise ConfigError(_unboxed(said.getvalue(), where)) from None
    print(said.getvalue(), end="", file=sys.stderr)  # such as a warning


def _unboxed(box: str, where: str) -> str:
    """Return the sentence for the first part of a box that tyro printed; `where` prints the help.

    The first part ends at a rule across the box. A long value is cut.
    """
    inside = [line.strip("│ ") for line in box.splitlines() if line.startswith("│")]
    lines = inside or box.splitlines()  # another version may draw no box
    said = " ".join(itertools.takewhile(lambda line: not line.startswith("──"), lines))
    said = said if len(said) <= 300 else f"{said[:300]}..."
    tried = ((re.fullmatch(pattern, said), words) for pattern, words in _REFUSED_BY_TYRO.items())
    sentence = next(match.expand(words) for match, words in tried if match)
    return sentence.replace("HELP", where)


def invocation(command: str) -> str:
    """Return the words that start `command` in the way in which this process was started.

    An example is "python -m echo_jax train" or "echo-jax train".
    """
    script = Path(sys.argv[0])
    # As it was typed: sys.executable is a whole path.
    python = sys.orig_argv[0]
    if script.name == "__main__.py":
        return shlex.join([python, "-m", "echo_jax", command])
    if script.suffix == ".py":
        return shlex.join([python, str(script.with_name(f"{command}.py"))])
    return f"{INSTALLED} {command}"


def quoted(*words: object) -> str:
    """Return `words` quoted for a shell, without characters that a terminal obeys."""
    return printable(shlex.join(map(str, words)))


def flag_of(field: str) -> str:
    """Return the flag of a field: --batch-size for batch_size."""
    return spell(f"{{{field}}}", "flag")


def fail(sentence: str) -> NoReturn:
    """Print one sentence to standard error and exit with status 2."""
    print(f"error: {printable(sentence)}", file=sys.stderr)
    sys.exit(2)


@contextlib.contextmanager
def drawing_last(again: str) -> Iterator[None]:
    """Add the command `again`, which draws the figure, to an error of this context."""
    try:
        yield
    except EchoError as error:
        raise error.then(f"then {again} makes the figure") from error


@contextlib.contextmanager
def refusals() -> Iterator[None]:
    """Turn errors of this context that a user can correct into one sentence and exit status 2.

    If the reader of the output has ended, the process ends with status 1 and without a sentence.
    Any other error is raised.
    """
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
    """Return the command line that trains `config` with the fields in `changes` changed."""
    fields = chosen(changed(config, **changes)) | changes
    return f"{invocation('train')} {quoted(*flags_of(fields))}"


def this_command(name: str) -> str:
    """Return the command line of this process, to paste into a shell; `name` is its command."""
    return f"{invocation(name)} {quoted(*sys.argv[1:])}"


@contextlib.contextmanager
def stoppable(again: str) -> Iterator[Interrupts]:
    """Yield `Interrupts`, which end the program after a signal as soon as nothing is lost.

    The program then prints the command line `again`, which continues its work. The error for a lost
    scheduler states this command line too.
    """
    notice = "Stopping as soon as nothing is lost; a second Ctrl-C stops at once."
    with Interrupts(notice=notice) as interrupts:
        try:
            yield interrupts
        except StoppedError as stopped:
            print(f"\n{printable(str(stopped))}; to go on: {again}", file=sys.stderr)
            sys.exit(interrupts.exit_status)
        except SchedulerLostError as error:
            raise error.then(f"to go on: {again}") from error


def _defaults(command: Any, given: Sequence[str]) -> dict[str, Any]:
    """Return the argument `default` of `tyro.cli` for a command with parts, or else {}.

    The default is the command with the part that the words `given` name, or else with part
    `context`.
    """
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


class BrokenRuleError(Exception):
    """An exception that carries a ConfigError past tyro, which puts a ValueError into a box."""


def field_of(flag: str) -> str:
    """Return the field that `flag` sets: stateful for --no-stateful, batch_size for --batch=5."""
    name = re.sub("^--(no-)?", "", flag.partition("=")[0].replace("_", "-")).replace("-", "_")
    return next((field for field, alias in SHORT_NAMES.items() if alias == name), name)


def check_given(allowed: Collection[str], rule: str, fix: str) -> None:
    """Raise ConfigError with `rule` and `fix` if a flag of this process sets no `allowed` field."""
    # By the words: a parsed command does not tell a default from the same value that was given.
    for word in itertools.takewhile("--".__ne__, sys.argv[1:]):
        if word.startswith("--") and field_of(word) not in allowed:
            raise ConfigError(None, flag_of(field_of(word)), rule, fix)


def aliases(field: str) -> list[str] | None:
    """Return the shorter flags of a field in a list, as tyro takes them, or None."""
    return [f"--{SHORT_NAMES[field]}"] if field in SHORT_NAMES else None


def fields_of(command: Any) -> Iterator[str]:
    """Yield the names of the fields for which a command has flags.

    The fields of a field that is itself a dataclass are included.
    """
    for field in dataclasses.fields(command):
        annotation: Any = field.type
        base = get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation
        if dataclasses.is_dataclass(base):
            yield from fields_of(base)
        else:
            yield field.name.rstrip("_")


def subcommands(command: Any) -> Sequence[Any]:
    """Return the dataclasses of the subcommands of a command, or () if it has none."""
    kinds = get_args(dataclasses.fields(command)[0].type)
    return kinds if all(map(dataclasses.is_dataclass, kinds)) else ()


def refuse_unknown(words: Sequence[str], command: Any, start: str) -> None:
    """Raise ConfigError if one of the words is a flag that the command lacks.

    `start` is the words that start the command; the error names `start --help`.
    """
    where = f"{start} --help"
    for kind in subcommands(command):
        if words and words[0] == kind.__name__.lower():
            command = kind
            where = f"{start} {words[0]} --help"
    known = ["help", *fields_of(command)]
    short = [alias for field, alias in SHORT_NAMES.items() if field in known]
    for word in itertools.takewhile("--".__ne__, words):
        flag = word.partition("=")[0]
        field = field_of(word)
        if flag.startswith("--") and field not in known and not flag.startswith("--tyro-"):
            raise unknown(flag, field, known + short, where)


@REGISTRY.struct_rule
def _dataclass(info: constructors.StructTypeInfo) -> constructors.StructConstructorSpec | None:
    """Return the rule for a dataclass, or None for another type.

    The rule of tyro would break lines of help where the docstring of a field has its line ends.
    """
    kind: Any = info.type
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return None
    # Seen with tyro 1.0.17; this rule can go when tyro joins the lines of a field's docstring.
    specs = []
    for field in dataclasses.fields(kind):
        default = _default_of(field, info)
        annotation: Any = field.type
        base, *marks = get_args(annotation) if hasattr(annotation, "__metadata__") else [annotation]
        if isinstance(base, types.UnionType):  # for X | Y tyro 1.0.17 imports typeguard, 0.1 s
            base = Union[get_args(base)]  # noqa: UP007 - a Union, which it knows itself
        if tyro.conf.UseAppendAction not in marks:  # those are "(repeatable)"
            hint = tyro.conf.arg(help_behavior_hint=_hint(default), aliases=aliases(field.name))
            annotation = Annotated[base, hint, *marks]
        # Docstrings are parsed for --help alone, which takes 0.1 s. Sections have none, and tyro
        # would ask for theirs at once.
        section = dataclasses.is_dataclass(base)
        text = None if section else functools.partial(_help_of_field, kind, field.name)
        specs.append(constructors.StructFieldSpec(field.name, annotation, default, text))

    @functools.wraps(kind, updated=())
    def instantiate(**values: Any) -> Any:
        """Return an instance with these values, or raise BrokenRuleError, which tyro passes on."""
        # tyro 1.0.17 prints a ValueError, which a ConfigError is, in a box and exits.
        try:
            return kind(**values)
        except ConfigError as error:
            raise BrokenRuleError(error) from None

    return constructors.StructConstructorSpec(instantiate=instantiate, fields=tuple(specs))


def _help_of_field(kind: type, field: str) -> str | None:
    return help_of(kind).get(field)


def _default_of(field: Any, info: constructors.StructTypeInfo) -> Any:
    if dataclasses.is_dataclass(info.default):
        return getattr(info.default, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return tyro.MISSING if field.default is dataclasses.MISSING else field.default


def _hint(default: Any) -> str | Callable[[str], str]:
    """Return the default as --help shows it, or "" for None and for an empty value."""
    if default is None or default in ((), ""):
        return ""
    if isinstance(default, bool):
        return "(default: on)" if default else "(default: off)"
    return lambda text: f"(default: {text})"


@REGISTRY.primitive_rule
def _optional(
    info: constructors.PrimitiveTypeInfo,
) -> constructors.PrimitiveConstructorSpec[Any] | None:
    """Return the rule for a value that may be None, or None for another type.

    The value None stands for a flag that is left out.
    """
    # tyro 1.0.17 takes the word None and shows {None}|INT; this rule can go when it does not.
    kinds = set(get_args(info.type)) - {types.NoneType}
    if get_origin(info.type) not in (types.UnionType, Union) or len(kinds) != 1:
        return None
    of_kind = constructors.PrimitiveTypeInfo.make(kinds.pop(), info.markers)
    spec = constructors.ConstructorRegistry.get_primitive_spec(of_kind)
    assert isinstance(spec, constructors.PrimitiveConstructorSpec)
    return dataclasses.replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: [] if value is None else spec.str_from_instance(value),
    )
