"""The cell to be measured: built from its name and arguments, with what a card states of it."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import UNSET

from echo_jax.cells import registry, user_cell
from echo_jax.cells.adapters.adapt import size_of
from echo_jax.cells.cell_object import check_args, of_object
from echo_jax.cells.interface import Cell
from echo_jax.cells.state_size import sized
from echo_jax.config import BLOCK_PREFIX, is_built_in
from echo_jax.exceptions import ConfigError, shown
from echo_jax.memory.card import MeasuredCell
from echo_jax.memory.protocol import STANDARD, Protocol


class NamedCell(NamedTuple):
    """A cell, its name, and its arguments as JSON values.

    `named_by` are the arguments that its card is named by: the bytes asked for, in place of the
    option that was found for them. `remarks` are on the size of its state.
    """

    name: str
    args: dict[str, Any]
    cell: Cell
    named_by: dict[str, Any]
    remarks: Sequence[str] = ()

    @property
    def card_name(self) -> str:
        """A name for its card, such as MyCell-rate-0.9."""
        block = "block-" if self.name.startswith(BLOCK_PREFIX) else ""
        own = block + Path(self.name.rpartition(":")[2]).stem
        words = [own, *(f"{name}-{x}" for name, x in self.named_by.items())]
        return re.sub(r"[^\w.-]+", "-", "-".join(words))

    @property
    def measured(self) -> MeasuredCell:
        """The cell as its card and its runs state it."""
        ours = self.name.removeprefix(BLOCK_PREFIX).startswith("echo_jax.")
        packaged = ours or is_built_in(self.name)
        source = None if packaged else user_cell.source_digest(self.cell.source)
        return MeasuredCell(self.name, self.args, source, self.cell.framework or UNSET)


def named_cell(
    cell: Any,
    args: Mapping[str, Any] | None = None,
    target: int | None = None,
    protocol: Protocol = STANDARD,
) -> NamedCell:
    """The cell of a name, or of an object that a call hands over, with its arguments.

    With a target, for a name, its options are found that give it a state of so many bytes, by key,
    and a remark says where none is within 10%. ConfigError if it cannot be built.
    """
    check_args(args)
    if not isinstance(cell, str):
        if target is None:
            return stated(*of_object(cell, args))
        raise ConfigError(
            f"state_bytes {target} needs the name of a cell, and this is an object: give "
            "its options with args, or leave state_bytes out"
        )
    given = dict(args or {})
    found = registry.cell_class(cell)
    if target is None:
        return stated(cell, given, registry.build(cell, given, found), size_of(found))
    of_size = sized(cell, given, target, protocol.tokens)
    named = stated(cell, of_size.args, registry.build(cell, of_size.args, found), size_of(found))
    remark = f"no size gives {target:,} bytes within 10%, the largest below has {of_size.bytes:,}"
    by = {**given, "state-bytes": target}
    return named._replace(named_by=by, remarks=() if of_size.fits else (remark,))


def stated(name: str, given: dict[str, Any], cell: Cell, size: str | None) -> NamedCell:
    """A cell with the arguments given and its `size`, the option that is the number of units.

    ConfigError for arguments that a card cannot state.
    """
    units = getattr(cell.options, size, None) if size else None
    args = given | ({} if units is None else {size: units})
    try:
        args = json.loads(json.dumps(args, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"cell args {shown(args)} cannot be kept in a card ({error}): use numbers, "
            "words, True, False, None, and lists of them, or set them in a class of your own"
        ) from error
    return NamedCell(name, args, cell, given)
