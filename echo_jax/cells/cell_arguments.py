"""A cell built from keyword arguments, as they stand after --cell-args."""

import ast
from typing import Any

from echo_jax.cells import registry, user_cell
from echo_jax.cells.adapters.adapt import construct, options_of, size_of
from echo_jax.cells.interface import Cell
from echo_jax.config import NetworkConfig, is_built_in
from echo_jax.exceptions import ConfigError, reason

FEATURES = NetworkConfig.hidden_size
"""The features of a cell that requires this field, when no argument gives it."""

NOT_PARSED = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)  # raised by `ast`


def parse(text: str) -> dict[str, Any]:
    """Keyword arguments from a text; ConfigError for any other text.

        features=64,rate=0.9,gated=True,shape=(2, 3),kind=full
        {"features": 64, "rate": 0.9, "gated": True, "shape": (2, 3), "kind": "full"}

    A value is a Python literal; a bare word is a string.
    """
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except NOT_PARSED:
        call = None
    match call:
        case ast.Call(ast.Name(), args=[], keywords=found):
            args = {keyword.arg: keyword for keyword in found}
            if None not in args and len(args) == len(found):  # no **, and none twice
                return {str(name): _value(keyword) for name, keyword in args.items()}
    raise ConfigError(
        "cell_args",
        text,
        "is not of the form name=value,name=value",
        "write it as in {cell_args=features=64,rate=0.9}",
    )


def _value(keyword: ast.keyword) -> Any:
    """The value of a keyword argument."""
    try:
        value = keyword.value
        return value.id if isinstance(value, ast.Name) else ast.literal_eval(value)
    except NOT_PARSED as error:
        raise ConfigError(
            "cell_args",
            ast.unparse(keyword),
            "is neither a number, a word, True, False nor None",
            "put anything else between quotes",
        ) from error


def build(name: str, args: dict[str, Any]) -> Cell:
    """The cell of a built-in name or of a user's, from keyword arguments.

    A required number of units that is not among them is set to `FEATURES`. ConfigError if the cell
    cannot be found or built; for a user's cell the message names the line.
    """
    return build_from(registry.cell_class(name), name, args)


def build_from(found: Any, name: str, args: dict[str, Any]) -> Cell:
    """`build` of a class or of functions at hand; the name is that of messages."""
    options, size = options_of(found), size_of(found)
    required = [option for option, needed in options.items() if needed]
    if size and options[size]:
        args = {size: FEATURES} | args
    _check_args(name, args, list(options), required)
    try:
        return construct(found, args)
    except ConfigError:
        raise
    except BaseException as error:  # user code may raise anything
        own = not is_built_in(name)
        where = f"{user_cell.location(found, '__init__', error)}: " if own else ""
        raise ConfigError(
            "cell",
            name,
            f"cannot be built ({where}{reason(error)})",
            "give it other options, or mend it",
        ) from error


def _check_args(name: str, args: dict[str, Any], fields: list[str], required: list[str]) -> None:
    """Raise ConfigError for an unknown or missing field and for a size that is no count."""
    for unknown in (x for x in args if x not in fields):
        known = f"use one of {', '.join(fields)}" if fields else "leave it out, as it has none"
        raise ConfigError("cell", name, f"has no field {unknown}", known)
    if missing := [x for x in required if x not in args]:
        example = ", ".join(f"{x}=1" for x in missing)
        rule = f"has no value for {', '.join(missing)}"
        raise ConfigError("cell", name, rule, f"give it among its options, as {example}")
    features = args.get("features", FEATURES)  # a tuple of sizes is the cell's own affair
    if isinstance(features, str | float | bool) or (isinstance(features, int) and features < 1):
        raise ConfigError(
            "cell",
            name,
            f"cannot have features={features!r}",
            f"use a whole number from 1 on, such as {FEATURES}",
        )
