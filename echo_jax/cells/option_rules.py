"""Rules that options of several cells share."""

from typing import Any

from echo_jax.exceptions import ConfigError


def at_least(least: int, cell: Any, *names: str) -> None:
    """Raise ConfigError where one of these options is below the least value; None passes."""
    for name in names:
        value = getattr(cell, name)
        if value is not None and value < least:
            raise ConfigError(None, f"{name} {value}", f"is below {least}", f"use {least} or more")


def above_zero(cell: Any, *names: str) -> None:
    """Raise ConfigError where one of these options is not above 0."""
    for name in names:
        if not getattr(cell, name) > 0:
            raise ConfigError(None, f"{name} {getattr(cell, name):g}", "is not above 0", "use more")


def divides(cell: Any, name: str, whole: int, parts: str) -> None:
    """Raise ConfigError unless this option is a count that divides so many parts."""
    count = getattr(cell, name)
    if count < 1 or whole % count:
        rule = f"is no divisor of the {whole} {parts}"
        raise ConfigError(None, f"{name} {count}", rule, "use one, such as 1")
