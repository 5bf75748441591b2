"""Cells by name: the built-in classes, a user's own, and objects that a Python call hands over."""

from types import ModuleType
from typing import Any

from echo_jax.cell_table import CELLS
from echo_jax.cells import user_cell
from echo_jax.cells.adapters.adapt import BlockOf, adapt, construct, options_of
from echo_jax.cells.interface import Cell
from echo_jax.config import BLOCK, PARTS, NetworkConfig, is_built_in
from echo_jax.exceptions import ConfigError, reason

GIVEN: dict[str, Cell] = {}
"""Cells that no name can be imported as: objects of this process, see `cell_object`."""


def cell_class(name: str) -> Any:
    """The class of a built-in name, or what a user's name stands for; ConfigError if nothing."""
    NetworkConfig(cell=name)  # checks the form of the name
    if name in GIVEN:
        return GIVEN[name]
    if name.startswith(BLOCK):
        return BlockOf(cell_class(name.removeprefix(BLOCK)))
    return CELLS[name].load() if name in CELLS else user_cell.import_cell(name)


def built_in_name(written: Any) -> str | None:
    """The name of a built-in class; None for any other thing."""
    homes = {cell.home.partition(":")[2]: name for name, cell in CELLS.items()}
    name = homes.get(getattr(written, "__name__", ""))
    return name if name and CELLS[name].load() is written else None


def source_digest(name: str) -> str | None:
    """The SHA-256 of the file of a user's cell, alone or in a block; None for a built-in cell."""
    if is_built_in(name):
        return None
    found = cell_class(name if name in GIVEN else name.removeprefix(BLOCK))
    written = found if isinstance(found, type | ModuleType) else adapt(found).source
    return user_cell.source_digest(written)


def check_source(name: str, expected: str | None) -> None:
    """Raise ConfigError where a user's cell has another text in this process than expected."""
    if expected is not None and source_digest(name) != expected:
        raise ConfigError(
            "cell",
            name,
            "has another text on this worker than where the command was started",
            "install the same there, or start the worker anew",
        )


def build_cell(config: NetworkConfig, window: int) -> Cell:
    """The cell of a configuration, with H features; ConfigError if it cannot be built.

    The delay line of the cell mlp is as long as the window, unless the configuration sets it.
    """
    found = cell_class(config.cell)
    if isinstance(found, Cell):
        return found
    args = {"features": config.hidden_size} if options_of(found) else {}
    if not args and config.hidden_size not in {x.network.hidden_size for x in PARTS.values()}:
        raise ConfigError(
            "hidden_size",
            config.hidden_size,
            f"has no effect on cell {config.cell!r}, whose functions have a size of their own",
            "leave it out",
        )
    if config.cell == "mlp":
        args["delay_line"] = config.delay_line or window
    try:
        return construct(found, args)
    except BaseException as error:  # user code may raise anything
        raise ConfigError(
            "cell",
            config.cell,
            f"cannot be built with features={config.hidden_size} ({reason(error)})",
            "give it a field `features` and a default for every other one",
        ) from error
