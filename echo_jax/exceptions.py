"""Errors that a user sees as one sentence."""


class ConfigError(ValueError):
    """A value that breaks a rule. Its message is one sentence: the value, the rule, the fix."""


class StorageError(ConfigError):
    """A file or folder that cannot be written, or cannot be believed."""
