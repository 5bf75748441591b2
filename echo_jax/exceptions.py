"""Errors that a command prints as one sentence, and how a value is shown in it."""


class ConfigError(ValueError):
    """A value breaks a rule. The message is one sentence: the value, the rule, the fix."""


class CellRefusedError(ConfigError):
    """A cell breaks a rule of `cells.check.cell_check`."""


class StorageError(ConfigError):
    """A file or folder is missing, damaged or in use, or cannot be written."""


class SchedulerLostError(StorageError):
    """The scheduler of a cluster is gone; what was finished is kept."""


class DivergedError(ConfigError):
    """The loss of every seed of a run became non-finite."""


class TooLongError(ConfigError):
    """A compilation that passed its time limit; it goes on in a thread until the process ends."""


def shown(value: object) -> str:
    """A value for a message: on one line, cut after 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


def printable(text: str) -> str:
    """A text with an escape for all that moves a cursor or turns the direction of writing."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def reason(error: BaseException) -> str:
    """The type and message of an error on one line, at most 200 characters of the message."""
    message = printable(" ".join(str(error).split()))
    name = type(error).__name__
    return f"{name}: {message[:200]}{'...' * (len(message) > 200)}" if message else name
