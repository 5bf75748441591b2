"""Cells by name: the built-in classes, and a user's own, see `user_cell`."""

from types import ModuleType
from typing import Any

from echo_jax.cell_table import CELLS
from echo_jax.cells import user_cell
from echo_jax.cells.adapters.adapt import BlockOf, adapt, construct, options_of
from echo_jax.cells.interface import Cell
from echo_jax.config import BLOCK, PARTS, NetworkConfig, is_built_in
from echo_jax.exceptions import ConfigError, reason


def cell_class(name: str) -> Any:
    """The class of a built-in name, or what a user's name stands for; ConfigError if nothing."""
    NetworkConfig(cell=name)  # checks the form of the name
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
    found = cell_class(name.removeprefix(BLOCK))
    written = found if isinstance(found, type | ModuleType) else adapt(found).source
    return user_cell.source_digest(written)


def check_source(name: str, expected: str | None) -> None:
    """Raise ConfigError where a user's cell has another text in this process than expected."""
    if expected is not None and source_digest(name) != expected:
        raise ConfigError(
            f"cell {name!r} has another text on this worker than where the command was started: "
            "install the same there, or start the worker anew"
        )


def build_cell(config: NetworkConfig, window: int) -> Cell:
    """The cell of a configuration, with H features; ConfigError if it cannot be built.

    The delay line of the cell mlp is as long as the window, unless the configuration sets it.
    """
    found = cell_class(config.cell)
    sized = {"features": config.hidden_size} if options_of(found) else {}
    if config.cell == "mlp":
        sized["delay_line"] = config.delay_line or window
    defaults = {part.network.hidden_size for part in PARTS.values()}
    if not sized and config.hidden_size not in defaults:
        raise ConfigError(
            f"hidden size {config.hidden_size} has no effect on cell {config.cell!r}, whose "
            "functions have a size of their own: leave it out"
        )
    try:
        return construct(found, sized)
    except BaseException as error:  # user code may raise anything
        raise ConfigError(
            f"cell {config.cell!r} cannot be built with features={config.hidden_size} "
            f"({reason(error)}): give it a field `features` and a default for every other "
            "one"
        ) from error
