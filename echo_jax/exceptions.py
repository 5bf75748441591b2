"""Errors that a command prints as one sentence, and functions that show a value in a sentence."""

import re
import shlex
from collections.abc import Sequence
from typing import Literal, Self

Spelling = Literal["flag", "argument"]
"""How messages name fields: as flags of a command, or as arguments of a Python call."""


class EchoError(ValueError):
    """An error that a user can correct: data, from which `spelled` makes one sentence.

        ConfigError("window", 30, "is longer than the sequence of 25",
                    "use {window=25}, or a {length} of at least 30")

        flag      --window 30 is longer than the sequence of 25: use --window 25, or a --length of
                  at least 30
        argument  window=30 is longer than the sequence of 25: use window=25, or a length of at
                  least 30

    An error that is not about one value is a whole sentence: ConfigError("give {csv} a file").

    Args:
      field: the name of the field or argument that has the value; None if the value is shown alone,
        as a path is; or the whole sentence, if no rule is given.
      value: the value that breaks the rule.
      rule: the rule that the value breaks, as the predicate of the sentence.
      fix: what the user can do. In rule and fix, {field} and {field=value} stand for other fields,
        which are spelled as flags or as arguments.
    """

    def __init__(
        self, field: str | None, value: object = None, rule: str = "", fix: str = ""
    ) -> None:
        """Keep the parts of the sentence, so that they are pickled with the error."""
        super().__init__(field, value, rule, fix)
        self.field = field
        self.value = value
        self.rule = rule
        self.fix = fix

    def spelled(self, spelling: Spelling) -> str:
        """Return the error as one sentence, with fields as flags or as arguments, by `spelling`."""
        if not self.rule:
            return printable(spell(str(self.field), spelling))
        text = f"{_subject(self.field, self.value, spelling)} {spell(self.rule, spelling)}"
        return printable(f"{text}: {spell(self.fix, spelling)}")

    def then(self, more: str) -> Self:
        """Return an error of the same class whose sentence ends with the clause `more`."""
        if not self.rule:
            return type(self)(f"{self.field}; {more}")
        return type(self)(self.field, self.value, self.rule, f"{self.fix}; {more}")

    def __str__(self) -> str:
        """Return the sentence as a Python call spells it."""
        return self.spelled("argument")


class ConfigError(EchoError):
    """A value breaks a rule."""


class StorageError(EchoError):
    """A file or folder is missing, damaged or in use, or cannot be written."""


class SchedulerLostError(EchoError):
    """The scheduler of a cluster is gone; what was finished is kept."""


class TasksFailedError(EchoError):
    """Some tasks failed; all other tasks have rows.

    Attributes:
      failures: a sentence for each task that failed.
    """

    failures: Sequence[str] = ()

    @classmethod
    def of(cls, failures: Sequence[str]) -> Self:
        """Return the error for `failures`, which has a sentence for each task that failed.

        The message shows equal sentences once.
        """
        why = "; ".join(dict.fromkeys(failures))
        count = "1 task" if len(failures) == 1 else f"{len(failures)} tasks"
        error = cls(f"{count} failed, and all other tasks have rows: {why}")
        error.failures = failures
        return error


class DivergedError(EchoError):
    """The loss of every seed of a run became non-finite."""


def spell(text: str, spelling: Spelling) -> str:
    """Return `text` with each {field} and {field=value} spelled as `spelling` says.

    use {lag=3} or {stateful=False}  ->  use --lag 3 or --no-stateful
                                     ->  use lag=3 or stateful=False
    """

    def spelled(match: re.Match[str]) -> str:
        """Return the field in `match` as a flag or as an argument, with its value if it has one."""
        field, value = match.groups()
        if value is None:
            return field if spelling == "argument" else f"--{field.replace('_', '-')}"
        return _with_value(field, value if spelling == "flag" else _literal(value), spelling)

    return re.sub(r"\{([a-z]\w*)(?:=([^{}]*))?\}", spelled, text)


def _subject(field: str | None, value: object, spelling: Spelling) -> str:
    if field is None:
        return str(value)
    return _with_value(field, value if spelling == "flag" else shown(value), spelling)


def _with_value(field: str, value: object, spelling: Spelling) -> str:
    """Return `field` with `value`, such as --hidden-size 0, hidden_size=0 or --no-stateful.

    After a flag, a value of more than 60 characters is cut.
    """
    if spelling == "argument":
        return f"{field}={value}"
    flag = field.replace("_", "-")
    if isinstance(value, bool) or value in ("True", "False"):
        return f"--{flag}" if str(value) == "True" else f"--no-{flag}"
    text = str(value)
    return f"--{flag} {shlex.quote(text)}" if len(text) <= 60 else f"--{flag} {text[:60]}..."


def _literal(word: str) -> str:
    """Return `word` in quotes, unless it is a number, a constant or a placeholder such as N."""
    bare = re.fullmatch(r"-?[\d.]+(?:e-?\d+)?|True|False|None|[A-Z]+", word)
    return word if bare else f'"{word}"'


def shown(value: object) -> str:
    """Return the `repr` of a value for use in a message, cut after 60 characters."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        text = f"{type(value).__name__} of too many digits"
    return text if len(text) <= 60 else text[:60] + "..."


def printable(text: str) -> str:
    """Return `text` with unprintable characters escaped, which might control a terminal."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def one_line(text: str) -> str:
    """Return `text` on one line, with each run of white space as one space.

    Unprintable characters are escaped; pages, tables and figures escape the result further.
    """
    return printable(" ".join(text.split()))


def reason(error: BaseException) -> str:
    """Return the type of `error` and its message on one line, cut after 200 characters."""
    name = type(error).__name__
    message = one_line(str(error))
    if len(message) > 200:
        message = f"{message[:200]}..."
    return f"{name}: {message}" if message else name
