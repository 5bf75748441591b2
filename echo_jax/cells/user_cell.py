"""A cell for a card: found by name, built from keyword arguments, and where its code stands.

name, text = "mine:MyCell", "features=64,rate=0.9"
cell = build(name, parse_args(text))
"""

import ast
import dataclasses
import difflib
import inspect
import os
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any

from flax import linen as nn

from echo_jax.cells.registry import CELLS, import_cell
from echo_jax.config import NetworkConfig
from echo_jax.exceptions import ConfigError

FEATURES = NetworkConfig.hidden_size
"""Features of a cell that has such a field, without a default, and is given none."""

NOT_THE_USERS = tuple(
    os.path.realpath(folder)
    for folder in (
        sysconfig.get_path("stdlib"),
        sysconfig.get_path("purelib"),
        sysconfig.get_path("platlib"),
        os.path.dirname(__file__),
    )
)
"""Folders of code that is not the user's own."""


def parse_args(text: str) -> dict[str, Any]:
    """Keyword arguments from what stands after --cell-args.

        features=64,rate=0.9,gated=True,shape=(2, 3),kind=full
        {"features": 64, "rate": 0.9, "gated": True, "shape": (2, 3), "kind": "full"}

    A value is a Python literal, or a bare word that means itself. ConfigError for anything else.
    """
    try:
        call = ast.parse(f"f({text})", mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ConfigError(_not_arguments(text)) from error
    if not isinstance(call, ast.Call) or call.args or not isinstance(call.func, ast.Name):
        raise ConfigError(_not_arguments(text))
    args: dict[str, Any] = {}
    for keyword in call.keywords:
        if keyword.arg is None:
            raise ConfigError(_not_arguments(text))
        if keyword.arg in args:
            raise ConfigError(f"cell args {text!r} give {keyword.arg} twice: give it once")
        args[keyword.arg] = _value(keyword.arg, keyword.value)
    return args


def build(name: str, args: dict[str, Any]) -> nn.RNNCellBase:
    """The cell of a built-in name or a `package.module:Class`, from keyword arguments.

    A field `features` that is not among them and has no default is `FEATURES`. ConfigError, with
    the line of the user's own file where there is one, for a cell that cannot be found or built.
    """
    cell_class = _find(name)
    fields = _fields(cell_class)
    for arg in args:
        if arg not in fields:
            raise ConfigError(_unknown(name, arg, list(fields)))
    if "features" in fields and _is_required(fields["features"]):
        args = {"features": FEATURES} | args
    if "features" in args:
        _check_features(name, args["features"])
    missing = [x for x, field in fields.items() if x not in args and _is_required(field)]
    if missing:
        raise ConfigError(
            f"cell {name!r} has no value for {', '.join(missing)}: give it as in --cell-args "
            f"{','.join(f'{x}=1' for x in missing)}"
        )
    try:
        return cell_class(**args)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:  # whatever a user's class raises
        where = "" if name in CELLS else f"{location(cell_class, error=error)}: "
        raise ConfigError(
            f"{where}cell {name!r} cannot be built ({reason(error)}): give it other fields with "
            "--cell-args, or mend it"
        ) from error


def location(cell_class: type, method: str = "__call__", error: BaseException | None = None) -> str:
    """FILE:LINE in the user's own code: of an error, or else of a method of the class.

    Of an error it is the deepest frame that is neither Python's, nor an installed package's, nor
    ours. A method that the class inherits from such code has none: then it is the class.
    """
    home = _file_of(cell_class)
    frames = traceback.extract_tb(error.__traceback__) if error else []
    for frame in reversed(frames):
        if frame.lineno and (is_the_users(frame.filename) or frame.filename == home):
            return f"{shown(frame.filename)}:{frame.lineno}"
    function = inspect.unwrap(getattr(cell_class, method, cell_class))
    for found in (function, cell_class):
        try:
            lines, first = inspect.getsourcelines(found)
        except (OSError, TypeError):
            continue
        if _file_of(found) == home:
            starts = [i for i, x in enumerate(lines) if x.lstrip().startswith(("def ", "class "))]
            return f"{shown(home)}:{max(first, 1) + (starts[0] if starts else 0)}"
    return shown(home)


def is_the_users(file: str) -> bool:
    """Whether a file of code is the user's own; the script that runs is not."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    if file == script or file.startswith("<"):  # <string>, <frozen importlib._bootstrap>
        return False
    return not any(Path(os.path.realpath(file)).is_relative_to(x) for x in NOT_THE_USERS)


def shown(file: str) -> str:
    """A path, from the current folder where it lies below it."""
    here = Path.cwd()
    return str(Path(file).relative_to(here)) if Path(file).is_relative_to(here) else file


def reason(error: BaseException) -> str:
    """What an error says, on one line, its end left off where it is long."""
    said = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {said[:200]}{'...' * (len(said) > 200)}" if said else name


def _find(name: str) -> type[nn.RNNCellBase]:
    if name in CELLS:
        return CELLS[name]
    NetworkConfig(cell=name)  # refuses what is no name
    try:
        return import_cell(name)
    except ConfigError as error:
        where = _where_import_failed(error.__cause__) or _where_it_stands(name)
        if where is None:
            raise
        raise ConfigError(f"{where}: {error}") from error.__cause__


def _where_it_stands(name: str) -> str | None:
    """The line of a class in the user's own file, if it was found and is there."""
    module, _, called = name.partition(":")
    found = getattr(sys.modules.get(module), called, None)
    if isinstance(found, type) and is_the_users(_file_of(found)):
        return location(found, method="")
    return None


def _where_import_failed(error: BaseException | None) -> str | None:
    """The line of the user's own file that could not be read or run, if there is any."""
    if isinstance(error, SyntaxError) and error.filename and is_the_users(error.filename):
        return f"{shown(error.filename)}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__) if error else []):
        if is_the_users(frame.filename):
            return f"{shown(frame.filename)}:{frame.lineno}"
    return None


def _fields(cell_class: type[nn.RNNCellBase]) -> dict[str, dataclasses.Field]:
    """The fields of a cell that a caller gives, those that Flax adds to any module left out."""
    return {
        field.name: field
        for field in dataclasses.fields(cell_class)
        if field.init and field.name not in ("parent", "name")
    }


def _is_required(field: dataclasses.Field) -> bool:
    missing = dataclasses.MISSING
    return field.default is missing and field.default_factory is missing


def _unknown(name: str, arg: str, fields: list[str]) -> str:
    near = difflib.get_close_matches(arg, fields, n=2, cutoff=0.6)
    guess = f"use {' or '.join(near)}; " if near else ""
    there_are = f"its fields are {', '.join(fields)}" if fields else "it has no fields at all"
    return f"cell {name!r} has no field {arg}: {guess}{there_are}"


def _check_features(name: str, features: Any) -> None:
    """Raise ConfigError for a size that no layer can have; a tuple of sizes is the cell's own."""
    if isinstance(features, str | float | bool) or (isinstance(features, int) and features < 1):
        raise ConfigError(
            f"cell {name!r} cannot have features={features!r}: use a whole number from 1 on, such "
            f"as {FEATURES}"
        )


def _value(arg: str, node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        return node.id
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise ConfigError(
            f"cell args {arg}={ast.unparse(node)} is neither a number, a word, True, False nor "
            "None: put anything else between quotes"
        ) from error


def _not_arguments(text: str) -> str:
    return (
        f"cell args {text!r} are not of the form name=value,name=value: write them as in "
        "features=64,rate=0.9"
    )


def _file_of(code: Any) -> str:
    try:
        return inspect.getsourcefile(code) or "<unknown>"
    except TypeError:  # a class of no file, as in a notebook
        return "<unknown>"
