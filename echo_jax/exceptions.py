"""Errors that a command prints as one sentence, and how a value is shown in it."""


class ConfigError(ValueError):
    """A value breaks a rule. The message is one sentence: the value, the rule, the fix."""


class StorageError(ConfigError):
    """A file or folder is missing, damaged or in use, or cannot be written."""


class TooLongError(ConfigError):
    """A compilation that passed its time limit; it goes on in a thread until the process ends."""


def shown(value: object) -> str:
    """A value for a message: on one line, cut after 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."
