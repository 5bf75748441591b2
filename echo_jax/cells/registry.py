"""Find built-in cells and a user's cells by name, and read the text of their options.

`user_cell` is imported in functions: a built-in cell has no file to find and no line to name.
"""

import ast
import contextlib
from collections.abc import Mapping
from typing import Any

from echo_jax.cell_names import CELLS
from echo_jax.cells.adapt import BlockOf, construct, options_of, size_of
from echo_jax.cells.interface import Cell
from echo_jax.config import (
    BLOCK_PREFIX,
    PARTS,
    NetworkConfig,
    is_built_in,
    is_handed_over,
)
from echo_jax.exceptions import ConfigError, EchoError, reason

USUAL_SIZES = {part.network.hidden_size for part in PARTS.values()}
"""The hidden sizes that may come from a part of the tutorial instead of the user."""

FEATURES = NetworkConfig.hidden_size
"""The units of a cell that requires their number, if no argument gives it."""


def cell_class(name: str) -> Any:
    """Return the class of the built-in cell `name`, or what the name of a user's cell stands for.

    A user's cell may be a class, a module, a function or a cell object. The name of a block stands
    for a `BlockOf`. Raises ConfigError if the name stands for nothing.
    """
    NetworkConfig(cell=name)  # checks the form of the name
    if is_handed_over(name):
        rule = "is an object of an earlier call, which a configuration does not contain"
        raise ConfigError("cell", name, rule, "pass the object again as {cell}")
    if name.startswith(BLOCK_PREFIX):
        return BlockOf(cell_class(name.removeprefix(BLOCK_PREFIX)))
    if name in CELLS:
        return CELLS[name].load()
    from echo_jax.cells import user_cell

    return user_cell.import_cell(name)


def built_in_name(written: Any) -> str | None:
    """Return the name of the built-in cell whose class is `written`, or None for anything else."""
    homes = {cell.home.partition(":")[2]: name for name, cell in CELLS.items()}
    # By the name of the class first, so that at most one module of cells is imported.
    name = homes.get(getattr(written, "__name__", ""))
    return name if name and CELLS[name].load() is written else None


def source_digest(name: str, cell: Cell) -> str | None:
    """Return the SHA-256 of the file that defines `cell`, whose name is `name`.

    For a block, it is the file of the cell in the block. The result is None for a built-in cell,
    and for a cell without a source text.
    """
    if is_built_in(name):
        return None
    from echo_jax.cells import user_cell

    return user_cell.source_digest(cell.source)


def check_source(name: str, cell: Cell, expected: str | None) -> None:
    """Raise ConfigError if `expected` is neither None nor the `source_digest` in this process.

    `expected` is the digest where the command was started; `name` and `cell` are those of
    `source_digest`.
    """
    if expected is not None and source_digest(name, cell) != expected:
        rule = "has another source text on this worker than where the command was started"
        raise ConfigError("cell", name, rule, "update the file there, or restart the worker")


def build(name: str, args: Mapping[str, Any], found: Any = None) -> Cell:
    """Return the cell `name`, made with keyword arguments `args`.

    If the number of units is required and not among `args`, it is `FEATURES`. `found` is the result
    of `cell_class(name)`; None to call it here. Raises ConfigError if the cell cannot be found or
    built; for a user's cell, the message names the line.
    """
    found = cell_class(name) if found is None else found
    options = options_of(found)
    size = size_of(found)
    if size and options[size]:
        args = {size: FEATURES, **args}
    _check_args(name, args, options, size)
    try:
        return construct(found, args)
    except (EchoError, KeyboardInterrupt):
        raise
    except BaseException as error:  # user code may raise anything
        rule = f"cannot be built ({line_of(name, found, '__init__', error)}{reason(error)})"
        raise ConfigError("cell", name, rule, "change its options, or fix its code") from error


def build_cell(config: NetworkConfig, window: int) -> Cell:
    """Return the cell of `config`, with `hidden_size` units; raise ConfigError if that fails.

    The delay line of the cell mlp is as long as `window`, unless the configuration sets its length.
    Before this call, `cell_object.stated` must have replaced `state_bytes` by options.
    """
    found = cell_class(config.cell)
    if isinstance(found, Cell):
        return found
    size = size_of(found)
    args: dict[str, Any] = {size: config.hidden_size} if size else {}
    if not args and config.hidden_size not in USUAL_SIZES:
        rule = f"has no effect on cell {config.cell!r}, which has no option for its size"
        raise ConfigError("hidden_size", config.hidden_size, rule, "leave it out")
    if config.cell == "mlp":
        args["delay_line"] = config.delay_line or window
    if config.cell_args:
        args |= options_in(config.cell_args)
    return build(config.cell, args, found)


def line_of(name: str, written: Any, function: str, error: BaseException | None) -> str:
    """Return `FILE:LINE: ` in the file of the user's cell `name`, or "" for a built-in cell.

    `written`, `function` and `error` are the arguments of `user_cell.location`.
    """
    if is_built_in(name):
        return ""
    from echo_jax.cells import user_cell

    return f"{user_cell.location(written, function, error)}: "


def _check_args(
    name: str, args: Mapping[str, Any], options: Mapping[str, bool], size: str | None
) -> None:
    for unknown in (x for x in args if x not in options):
        fix = (
            f"use one of {', '.join(options)}" if options else "leave it out, as the cell has none"
        )
        more = "" if is_built_in(name) else ", or define this field"
        raise ConfigError("cell", name, f"has no field {unknown}", fix + more)
    if missing := [x for x, required in options.items() if required and x not in args]:
        example = ", ".join(f"{x}=1" for x in missing)
        rule = f"has no value for {', '.join(missing)}"
        fix = f"define a default, or give a value among the options of the cell, as in {example}"
        raise ConfigError("cell", name, rule, fix)
    units = args.get(size or "", FEATURES)  # a tuple of sizes is the cell's own affair
    many = getattr(units, "shape", ()) != ()
    if isinstance(units, str | float | bool) or many or (isinstance(units, int) and units < 1):
        fix = f"use a whole number of at least 1, such as {FEATURES}"
        raise ConfigError("cell", name, f"cannot have {size}={units!r}", fix)


NOT_PARSED = (SyntaxError, ValueError, TypeError, RecursionError, MemoryError)  # raised by `ast`


def options_in(text: str) -> dict[str, Any]:
    """Return the options that `text` states, by name.

        features=64,rate=0.9,gated=True,shape=(2, 3),kind=full
        {"features": 64, "rate": 0.9, "gated": True, "shape": (2, 3), "kind": "full"}

    A value is a Python literal; a bare word is a string. Raises ConfigError if the text has another
    form.
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
    """Return a text from which `options_in` reads `args`, or None if there is no such text."""
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
        rule = "is not a Python literal, such as 0.9, True or (2, 3), nor a single word"
        fix = "write a literal, or put text in quotes"
        raise ConfigError("cell_args", ast.unparse(keyword), rule, fix) from error
