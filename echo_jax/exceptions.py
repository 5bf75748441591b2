"""Errors that a command prints as one sentence."""


class ConfigError(ValueError):
    """A value breaks a rule. The message is one sentence: the value, the rule, the fix."""


class StorageError(ConfigError):
    """A file or folder is missing, damaged or in use, or cannot be written."""
