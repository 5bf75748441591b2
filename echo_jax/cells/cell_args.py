"""The options of a cell: as a text after --cell-args, and the rules that those of several share."""

import ast
import contextlib
from collections.abc import Mapping
from typing import Any

from echo_jax.exceptions import ConfigError

NOT_PARSED = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)  # raised by `ast`


def options_in(text: str) -> dict[str, Any]:
    """The options in a text; ConfigError for any other text.

        features=64,rate=0.9,gated=True,shape=(2, 3),kind=full
        {"features": 64, "rate": 0.9, "gated": True, "shape": (2, 3), "kind": "full"}

    A value is a Python literal; a bare word is a string.
    """
    try:
        # As arguments of a call: Python's grammar knows which commas are in brackets or quotes.
        call = ast.parse(f"f({text})", mode="eval").body
    except NOT_PARSED:
        call = None
    match call:
        case ast.Call(ast.Name(), args=[], keywords=found):
            args = {keyword.arg: keyword for keyword in found}
            if None not in args and len(args) == len(found):  # no **, and none twice
                return {str(name): _value(keyword) for name, keyword in args.items()}
    fix = "write it as in {cell_args=features=64,rate=0.9}"
    raise ConfigError("cell_args", text, "is not of the form name=value,name=value", fix)


def text_of(args: Mapping[str, Any]) -> str | None:
    """The text of which `options_in` gives these options; None for options that no text states."""
    text = ",".join(f"{name}={value!r}" for name, value in args.items())
    with contextlib.suppress(ConfigError, ValueError):  # arrays have no truth
        if options_in(text) == args:
            return text
    return None


def _value(keyword: ast.keyword) -> Any:
    try:
        value = keyword.value
        return value.id if isinstance(value, ast.Name) else ast.literal_eval(value)
    except NOT_PARSED as error:
        rule = "is neither a number, a word, True, False nor None"
        fix = "put anything else between quotes"
        raise ConfigError("cell_args", ast.unparse(keyword), rule, fix) from error


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
