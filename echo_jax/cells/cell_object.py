"""Build the cell of a run, which its configuration names or a Python call hands over as an object.

object                              name and options in the configuration
Mine, with args={"features": 64}    package.module:Mine, features=64
Mine(features=64)                   package.module:Mine, features=64
plain, a module of functions        plain.py
"""

import contextlib
import dataclasses
import inspect
import re
import sys
from collections.abc import Container, Mapping
from itertools import accumulate
from types import ModuleType
from typing import Any, NamedTuple

from echo_jax.cells import registry, user_cell
from echo_jax.cells.adapt import BlockOf, adapt, is_cell, options_of, size_of
from echo_jax.cells.block import Block
from echo_jax.cells.interface import Cell
from echo_jax.cells.registry import options_in, text_of
from echo_jax.cells.state_search import sized
from echo_jax.cells.user_cell_check import check_shapes
from echo_jax.config import BLOCK_PREFIX, OBJECT_PREFIX, NetworkConfig, RunConfig, is_built_in
from echo_jax.exceptions import ConfigError, shown


class CellObject(NamedTuple):
    """A cell that a call was given.

    name  the name of the class or file of the cell, as after --cell
    args  the options that the caller gave, by name
    cell  the cell itself
    size  the name of the option that sets the number of units, or None
    """

    name: str
    args: dict[str, Any]
    cell: Cell
    size: str | None


def of_object(found: Any, args: Mapping[str, Any] | None) -> CellObject:
    """Return a `CellObject` of `found`, or of what `found` makes with keyword arguments `args`.

    `found` is a class or functions, which make a cell, or an instance, which is a cell. Raises
    ConfigError if `found` is not a cell or cannot be built, or if arguments are given for an
    instance.
    """
    check_args(args)
    if isinstance(found, type | BlockOf | ModuleType) or inspect.isfunction(found):
        return _of_class(found, dict(args or {}))
    if args is not None:
        rule = f"applies only to a class, and this {type(found).__name__} is already built"
        raise ConfigError("args", dict(args), rule, "give its class, or leave {args} out")
    cell = adapt(found)
    return CellObject(_name_of(cell), _given(cell), cell, size_of(cell.source))


def is_in_block(cell: Any) -> bool:
    """Return True if `cell`, a name or an object that a call was given, is in a block."""
    return isinstance(cell, Block | BlockOf) or str(cell).startswith(BLOCK_PREFIX)


def in_block(cell: Any) -> Any:
    """Return `cell`, a name or an object that a call was given, in the common block.

    The result is a name, a `BlockOf` or a `Block`. Raises ConfigError if `cell` is already in a
    block.
    """
    if is_in_block(cell):
        rule = "applies only to a cell that is not yet in a block"
        raise ConfigError("block", True, rule, "leave {block} out")
    if isinstance(cell, str):
        return f"{BLOCK_PREFIX}{cell}"
    by_class = isinstance(cell, type | ModuleType) or inspect.isfunction(cell)
    return BlockOf(cell) if by_class else Block(adapt(cell))


def in_config(
    found: Any, args: Mapping[str, Any] | None = None, hidden_size: int | None = None
) -> tuple[dict[str, Any], Cell | None]:
    """Return the fields of a `NetworkConfig`, by name, for a cell that a call was given.

    The second result is the cell itself if no later process can import it by name, such as a cell
    of a notebook. Otherwise it is None, because the fields alone define the cell.

    Args:
      found: a name, a class, an instance or functions.
      args: keyword arguments of a class or of functions; None if no arguments were given.
      hidden_size: the number of units; None if it was not given.

    Raises:
      ConfigError: if `found` is not a cell, if an argument does not fit the cell, or if
        `hidden_size` is not the number of units of an instance.
    """
    check_args(args)
    if isinstance(found, str):
        if args is None:
            return {"cell": found}, None
        if text := text_of(args):
            return {"cell": found, "cell_args": text}, None
        found = registry.cell_class(found)
    if hidden_size is not None and isinstance(found, type | BlockOf) and size_of(found):
        args = {str(size_of(found)): hidden_size, **(args or {})}
    named = of_object(found, args)
    units = getattr(named.cell.options, named.size, None) if named.size else None
    if hidden_size not in (None, units):
        rule = f"is not the size of cell {named.name!r}"
        raise ConfigError("hidden_size", hidden_size, rule, "leave {hidden_size} out")
    if named.name == "mlp" and not isinstance(found, type):
        named.args.setdefault("delay_line", named.cell.options.delay_line)
    fields = _fields_of(named)
    with contextlib.suppress(ConfigError, ValueError):  # arrays among the options are not compared
        config = NetworkConfig(**fields)
        if "__main__" not in named.name and registry.build_cell(config, 1) == named.cell:
            return fields, None
    block = BLOCK_PREFIX if isinstance(named.cell, Block) else ""
    title = re.sub(r"\W", "_", named.cell.source.__name__)
    return fields | {"cell": f"{block}{OBJECT_PREFIX}{title}", "cell_args": None}, named.cell


def cell_of(config: RunConfig, given: Cell | None = None) -> Cell:
    """Return the cell of a run: `given`, or if it is None the cell that `config` names.

    Raises ConfigError if the cell cannot be built, or if a cell that is not built in fails
    `check_shapes`.
    """
    network = with_cell_stated(config).network
    cell = given or registry.build_cell(network, config.task.window)
    if not is_built_in(network.cell):  # those fit, by test
        check_shapes(cell, network.cell, config.input_size)
    return cell


def with_cell_stated(config: RunConfig) -> RunConfig:
    """Return `config` with the options of its cell as `stated` states them.

    A configuration with neither `cell_args` nor `state_bytes` is returned as it is.
    """
    if config.network.cell_args is None and config.network.state_bytes is None:
        return config
    return dataclasses.replace(config, network=stated(config.network, config.input_size))


def stated(config: NetworkConfig, input_size: int) -> NetworkConfig:
    """Return `config` with the options of its cell in place of `state_bytes`.

    The hidden size is set to the number of units, even if `cell_args` states that number.
    `input_size` is the number of features of an input. Raises ConfigError if the hidden size
    contradicts `cell_args`, or if no state is within 10% of `state_bytes`.
    """
    found = registry.cell_class(config.cell)
    args = options_in(config.cell_args or "")
    size = size_of(found)
    units = config.hidden_size
    target = config.state_bytes
    if size and units not in registry.USUAL_SIZES and args.get(size, units) != units:
        rule = f"contradicts the option {size}={args[size]} of the cell"
        raise ConfigError("hidden_size", units, rule, "leave one of the two out")
    if size and (target is None or units not in registry.USUAL_SIZES):
        args = {size: units} | args
    if config.delay_line is not None:
        args = {"delay_line": config.delay_line} | args
    if target is not None:
        args, found_bytes, fits = sized(config.cell, args, target, input_size)
        if not fits:
            rule = f"is not within 10% of any size that the state of cell {config.cell} can have"
            raise ConfigError("state_bytes", target, rule, f"use {found_bytes}")
    named = CellObject(config.cell, args, registry.build(config.cell, args, found), size)
    return dataclasses.replace(config, state_bytes=None, **_fields_of(named))


def _fields_of(named: CellObject) -> dict[str, Any]:
    """Return, by name, the fields of a `NetworkConfig` that state the cell `named`.

    They are the name, the number of units and the other options.
    """
    args = dict(named.args)
    fields: dict[str, Any] = {"cell": named.name}
    units = getattr(named.cell.options, named.size or "", None)
    if isinstance(units, int):
        fields["hidden_size"] = units
        args.pop(str(named.size), None)
    if named.name == "mlp" and "delay_line" in args:
        fields["delay_line"] = args.pop("delay_line")
    return fields | {"cell_args": text_of(args) or None}


def check_args(args: object) -> None:
    """Raise ConfigError unless `args` is None or a mapping whose keys are strings."""
    if args is not None and not (
        isinstance(args, Mapping) and all(isinstance(x, str) for x in args)
    ):
        raise ConfigError("args", args, "does not map names to values", "use dict(features=64)")


def _of_class(found: Any, args: dict[str, Any]) -> CellObject:
    """Return a `CellObject` of the cell that the class or the functions `found` make with `args`.

    Raises ConfigError if `found` does not make a cell, or if `args` do not fit.
    """
    inner, block = (found.inner, BLOCK_PREFIX) if isinstance(found, BlockOf) else (found, "")
    if not is_cell(inner):
        raise ConfigError("cell", shown(inner), *user_cell.what_it_lacks(_name(inner), inner))
    name = block + _name(inner)
    return CellObject(name, args, registry.build(name, args, found), size_of(found))


def _name_of(cell: Cell) -> str:
    return BLOCK_PREFIX + _name_of(cell.cell) if isinstance(cell, Block) else _name(cell.source)


def _name(written: Any) -> str:
    """Return the name of `written`, a class, a function or a module, as it stands after --cell.

    A built-in class has a short name, and a module has the name of its file. Any other class or
    function is named with the shortest package from which it can be imported: flax.nnx:GRUCell, not
    flax.nnx.nn.recurrent:GRUCell.
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
    """Return the options of a cell, by name, that differ from their defaults.

    For a cell of NNX, Equinox or PyTorch, the result is the options that the caller gave.
    """
    if isinstance(cell, Block):
        return _given(cell.cell) | _changed(cell, BlockOf.own)
    if hasattr(cell, "given"):  # of NNX, Equinox and PyTorch
        return dict(cell.given)
    options = cell.options
    return _changed(options, options_of(type(options))) if dataclasses.is_dataclass(options) else {}


def _changed(options: Any, names: Container[str]) -> dict[str, Any]:
    """Return the fields in `names` of the dataclass `options` that differ from their defaults."""
    named = [field for field in dataclasses.fields(options) if field.name in names]
    values = {field.name: getattr(options, field.name) for field in named}
    return {x.name: values[x.name] for x in named if repr(values[x.name]) != repr(x.default)}
