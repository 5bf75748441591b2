"""The cell to be measured: built from its name and arguments, checked, identified in a card."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from echo_jax.cells import cell_arguments, door, registry, user_cell
from echo_jax.cells.adapters.adapt import size_of
from echo_jax.cells.cell_object import of_object
from echo_jax.cells.interface import Cell
from echo_jax.cells.state_size import sized
from echo_jax.config import BLOCK, is_built_in
from echo_jax.exceptions import ConfigError, shown
from echo_jax.memory_benchmark import tasks
from echo_jax.memory_benchmark.protocol import PRICED, Protocol


class ChosenCell(NamedTuple):
    """A cell, its name, the arguments given, and all that a card states, as JSON values.

    `named_by` are those that its card is named by: the bytes asked for, in place of the option that
    was found for them.
    """

    name: str
    given: dict[str, Any]
    args: dict[str, Any]
    cell: Cell
    named_by: dict[str, Any]

    @property
    def title(self) -> str:
        """The name with all arguments."""
        return ", ".join([self.name, *(f"{name} {value}" for name, value in self.args.items())])

    def card_name(self, chosen: Protocol, seed: int) -> str:
        """A name for its card, such as MyCell-rate-0.9-quick."""
        block = "block-" if self.name.startswith(BLOCK) else ""
        words = [
            block + Path(self.name.rpartition(":")[2]).stem,
            *(f"{name}-{x}" for name, x in self.named_by.items()),
        ]
        words += [f"seed-{seed}"] * (seed != 0)
        return re.sub(r"[^\w.-]+", "-", "-".join([*words, chosen.name]))

    def identity(self) -> dict[str, Any]:
        """The field `cell` of a card, with the SHA-256 of the file of a user's class."""
        source = None if is_built_in(self.name) else user_cell.source_digest(self.cell.source)
        return {"cell": self.name, "args": self.args, "source": source}

    def check(self, chosen: Protocol) -> list[str]:
        """Raise ConfigError for a cell that cannot be trained; built-in ones without arguments can.

        The cell is traced on the tokens of all ladders and of the network whose cost is measured.
        Returns remarks, of which there are none.
        """
        sizes = tasks.input_sizes(chosen)
        if "price" in chosen.rows:
            priced = PRICED[chosen.track]
            sizes.append(tasks.alphabet(priced.task, priced.vocab_size))
        if not is_built_in(self.name) or self.given:
            for size in sorted({*sizes}):
                door.check_shapes(self.cell, self.name, size)
        return []


def choose(name: str, arguments: str | Mapping[str, Any] = "") -> ChosenCell:
    """The cell of a name and of its arguments; ConfigError if it cannot be built.

    The arguments are a mapping, or a text `name=value,name=value`.
    """
    found = registry.cell_class(name)
    given = cell_arguments.parse(arguments) if isinstance(arguments, str) else dict(arguments)
    return stated(name, given, registry.build(name, given, found), size_of(found))


def chosen_object(found: Any, args: Mapping[str, Any] | None) -> ChosenCell:
    """The cell of an object that a Python call hands over, see `cell_object.of_object`."""
    return stated(*of_object(found, args))


def choose_sized(
    name: str, arguments: str | Mapping[str, Any], target: int | None, chosen: Protocol
) -> tuple[ChosenCell, str]:
    """`choose`, with the options that give the cell a state of so many bytes; None leaves them.

    Returns a remark too, empty where the state is within 10% of the target.
    """
    if target is None:
        return choose(name, arguments), ""
    given = cell_arguments.parse(arguments) if isinstance(arguments, str) else dict(arguments)
    found = sized(name, given, target, max(tasks.input_sizes(chosen)))
    cell = choose(name, found.args)._replace(named_by={**given, "state-bytes": target})
    near = f"no size gives {target:,} bytes within 10%, the largest below has {found.bytes:,}"
    return cell, "" if found.fits else near


def stated(name: str, given: dict[str, Any], cell: Cell, size: str | None) -> ChosenCell:
    """A cell with the arguments given and its `size`, the option that is the number of units.

    ConfigError for arguments that a card cannot state.
    """
    units = getattr(cell.options, size or "features", None)
    args = given | ({} if units is None else {size or "features": units})
    return ChosenCell(name, given, json_values(args), cell, given)


def json_values(args: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a cell as a card states them; ConfigError for those that it cannot state."""
    try:
        return json.loads(json.dumps(dict(args), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"cell args {shown(dict(args))} cannot be kept in a card ({error}): use numbers, "
            "words, True, False, None, and lists of them, or set them in a class of your own"
        ) from error
