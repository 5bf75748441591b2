"""A cell that a Python call hands over as an object: its name and arguments, as a card states them.

class Mine, args features 64      package.module:Mine, features 64
Mine(features=64)                 the same
module plain of functions         plain.py
"""

import dataclasses
import sys
from collections.abc import Container, Mapping
from itertools import accumulate
from types import ModuleType
from typing import Any

from echo_jax.cells import cell_arguments, registry, user_cell
from echo_jax.cells.adapters.adapt import BlockOf, adapt, is_cell, options_of, size_of
from echo_jax.cells.block import Block
from echo_jax.cells.interface import Cell
from echo_jax.config import BLOCK
from echo_jax.exceptions import ConfigError, shown
from echo_jax.memory_benchmark.chosen_cell import ChosenCell, choose, stated


def chosen_object(found: Any, args: Mapping[str, Any] | None) -> ChosenCell:
    """The cell of a class, with keyword arguments, or of an instance, a module or any functions.

    Raises:
      ConfigError: it is no cell or cannot be built, or its arguments cannot be kept in a card.
    """
    if isinstance(found, type | BlockOf | ModuleType):
        return _of_class(found, dict(args or {}))
    if args is not None:
        raise ConfigError(
            f"args {shown(dict(args))} are for a class, and this {type(found).__name__} is built "
            "already: give its class, or leave them out"
        )
    cell = adapt(found)
    size = size_of(BlockOf(cell.source) if isinstance(cell, Block) else cell.source)
    return stated(_name_of(cell), _given(cell), cell, size)


def _of_class(found: Any, args: dict[str, Any]) -> ChosenCell:
    """The cell of a class or a module; a built-in class has its short name."""
    inner, block = (found.inner, BLOCK) if isinstance(found, BlockOf) else (found, "")
    if not is_cell(inner):
        raise ConfigError(f"cell {shown(inner)} {user_cell.what_it_lacks(_name(inner), inner)}")
    name = block + _name(inner)
    if registry.built_in_name(inner):
        return choose(name, args)
    return stated(name, args, cell_arguments.build_from(found, name, args), size_of(found))


def _name_of(cell: Cell) -> str:
    """The name of what an instance is of."""
    return BLOCK + _name_of(cell.cell) if isinstance(cell, Block) else _name(cell.source)


def _name(written: Any) -> str:
    """The name of a class or a function, or the file of a module, as after --cell.

    A class has the shortest package that has it: flax.nnx:GRUCell, not flax.nnx.nn.recurrent.
    """
    if name := registry.built_in_name(written):
        return name
    if isinstance(written, ModuleType):
        file = getattr(written, "__file__", None)
        return file.replace("\\", "/").rpartition("/")[2] if file else written.__name__
    named = written if hasattr(written, "__name__") else type(written)
    places = [
        x for x in accumulate(named.__module__.split("."), "{}.{}".format) if x in sys.modules
    ]
    public = (x for x in places if getattr(sys.modules[x], named.__name__, None) is written)
    return f"{next(public, named.__module__)}:{named.__name__}"


def _given(cell: Cell) -> dict[str, Any]:
    """The options of an instance that differ from their defaults."""
    if isinstance(cell, Block):
        return _given(cell.cell) | _changed(cell, BlockOf.own)
    if hasattr(cell, "given"):  # of NNX and Equinox
        return dict(cell.given)
    options = cell.options
    return _changed(options, options_of(type(options))) if dataclasses.is_dataclass(options) else {}


def _changed(options: Any, names: Container[str]) -> dict[str, Any]:
    """The fields of a dataclass, of these names, that have another value than their default."""
    found = {}
    for field in dataclasses.fields(options):
        value, default = getattr(options, field.name), field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if field.name in names and value is not default and repr(value) != repr(default):
            found[field.name] = value
    return found
