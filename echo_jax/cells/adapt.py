"""Make a `Cell` of a cell of any library: Linen, NNX, Equinox, PyTorch, or plain functions.

The adapters are in `cells.adapters`. NNX, Equinox and PyTorch are imported only for their cells.
"""

import contextlib
import dataclasses
import functools
import inspect
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from flax import linen as nn

from echo_jax.cells.adapters.functions_cell import FunctionsCell
from echo_jax.cells.adapters.linen_cell import LinenCell
from echo_jax.cells.interface import Cell
from echo_jax.exceptions import ConfigError, reason

REQUIRED = ("init", "initial_state", "step")
"""The functions that a cell of plain functions must have."""

KINDS = (
    "a class derived from flax.linen.RNNCellBase, flax.nnx.Module or equinox.Module, or a module "
    "or class with the functions init, initial_state and step, or a function that takes the input "
    "size and returns a torch.nn.Module"
)
"""The kinds of objects that a cell may be."""

INSTALLED_BY = {
    "nnx": "echo_jax",
    "equinox": "echo_jax[equinox]",
    "torch": "echo_jax[torch]",
}
"""What pip installs for the cells of each library."""

SIZES = ("features", "hidden_features", "hidden_size")
"""The names that the option for the number of units may have."""


@dataclasses.dataclass(frozen=True)
class BlockOf:
    """What the name block:NAME stands for, before `construct` makes a `block.Block` of it.

    Attributes:
      inner: the class or the functions of the cell in the block.
    """

    inner: Any
    own: ClassVar[tuple[str, ...]] = ("width", "layers", "parameters")
    """The options of the block; all other options are for the cell in the block."""


def is_cell(found: Any) -> bool:
    """Return True if `construct` can make a cell from `found`."""
    return _is_a(found, (Cell, nn.RNNCellBase)) or bool(library_of(found)) or _has_functions(found)


def construct(found: Any, args: Mapping[str, Any]) -> Cell:
    """Return the cell that a class or functions, `found`, make with keyword arguments `args`.

    Plain functions take no arguments. For a `BlockOf`, the result is a block around the cell.
    """
    if isinstance(found, BlockOf):
        from echo_jax.cells.block import Block

        own = {name: value for name, value in args.items() if name in BlockOf.own}
        rest = {name: value for name, value in args.items() if name not in BlockOf.own}
        return Block(construct(found.inner, rest), **own)
    library = library_of(found)
    if library:
        # Sorted and hashable: options in another order make an equal cell and cache key.
        given = tuple(sorted((name, _hashable(value)) for name, value in args.items()))
        return _adapter_of(library)(found, given)
    if isinstance(found, type) and (_is_a(found, (Cell, nn.RNNCellBase)) or _has_self(found)):
        return adapt(found(**args))
    return adapt(found)


def _adapter_of(library: str) -> Any:
    """Return the class that adapts cells of `library`; raise ConfigError if its import fails."""
    adapter: Any
    try:
        if library == "nnx":
            from echo_jax.cells.adapters.nnx_cell import NNXCell

            adapter = NNXCell
        elif library == "equinox":
            from echo_jax.cells.adapters.equinox_cell import EquinoxCell

            adapter = EquinoxCell
        else:
            from echo_jax.cells.adapters.torch_adapter import TorchCell

            adapter = TorchCell
    except ImportError as error:  # not raised by the user's file, which `build` would blame
        rule = f"cannot be adapted ({reason(error)})"
        fix = f"run pip install '{INSTALLED_BY[library]}'"
        raise ConfigError(None, f"a cell of {library}", rule, fix) from error
    return adapter


def adapt(cell: Any) -> Cell:
    """Return `cell` as a `Cell`.

    `cell` is a `Cell`, a cell of Flax Linen, or a module or an object with the functions of a cell.
    Raises ConfigError for any other object, and for a cell of NNX, Equinox or PyTorch that is
    already built: these are built anew for each seed, so `construct` takes the class or function
    that builds them.
    """
    if isinstance(cell, Cell):
        return cell
    if isinstance(cell, nn.RNNCellBase):
        return LinenCell(cell)
    if _has_functions(cell):
        return FunctionsCell(cell)
    words = f"{' '.join(repr(cell).split()):.60}"
    if library_of(type(cell)):
        name = type(cell).__name__
        of_torch = library_of(type(cell)) == "torch"
        builder = "a function make(input_size)" if of_torch else f"its class, {name}"
        fix = f"use {builder}, from which a new cell is built for each seed"
        raise ConfigError(None, words, "is already built", fix)
    raise ConfigError(None, words, "is not a cell", f"use {KINDS}")


def options_of(found: Any) -> dict[str, bool]:
    """Return the options of a cell by name, each with True if the option has no default.

    `found` is the class or the functions of the cell. For cells of NNX, Equinox and PyTorch, the
    options are the arguments after the input size, except `rngs` and `key`, which the adapter
    gives. Plain functions have no options. Raises ConfigError if the arguments cannot be read from
    the signature.
    """
    if isinstance(found, BlockOf):
        return options_of(found.inner) | dict.fromkeys(BlockOf.own, False)
    missing = dataclasses.MISSING
    if library_of(found):
        made_by = found if inspect.isfunction(found) else functools.partial(found.__init__, found)
        if not (parameters := [*inspect.signature(made_by).parameters.values()]):
            rule = "takes no arguments"
            raise ConfigError("cell", found.__name__, rule, "let it take the input size")
        first, *taken = parameters
        if first.kind is first.VAR_POSITIONAL and library_of(found) == "torch":
            rule = "takes options that its signature does not name"
            raise ConfigError("cell", found.__name__, rule, "use a function make(input_size)")
        # The adapter gives `rngs` and `key`, from the seed of a run.
        named = [x for x in taken if x.kind is not x.VAR_KEYWORD and x.name not in ("rngs", "key")]
        return {x.name: x.default is x.empty for x in named}
    if not dataclasses.is_dataclass(found):
        return {}
    fields = [x for x in dataclasses.fields(found) if x.init and x.name not in ("parent", "name")]
    return {x.name: x.default is missing and x.default_factory is missing for x in fields}


def size_of(found: Any) -> str | None:
    """Return the name of the option of `found` that sets the number of units, or None."""
    return next((name for name in SIZES if name in options_of(found)), None)


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list | tuple) else value


def _is_a(found: Any, classes: tuple[type, ...]) -> bool:
    return isinstance(found, type) and issubclass(found, classes)


def library_of(found: Any) -> str | None:
    """Return the library of the class or function `found`: nnx, equinox, torch, or None for others.

    A class belongs to the library from whose `Module` it is derived. A function belongs to torch if
    its file imports torch, or if it returns a torch module for an input size.
    """
    if inspect.isfunction(found):
        return "torch" if _makes_torch(found) else None
    classes = found.__mro__ if isinstance(found, type) else ()
    homes = [base.__module__ for base in classes if base.__name__ == "Module"]
    for package in ("flax.nnx", "equinox", "torch"):
        # With the dot: torch_geometric is another package than torch.
        if any(f"{home}.".startswith(f"{package}.") for home in homes):
            return package.removeprefix("flax.")
    return None


@functools.lru_cache(maxsize=64)
def _makes_torch(found: Any) -> bool:
    """Return True if the function `found` makes a torch module for an input size.

    A function whose file imports torch is taken for one without a call, as a layer may be large;
    `torch_check` refuses it if it makes anything else. Any other function is called.
    """
    names = (str(getattr(x, "__name__", "")) for x in found.__globals__.values())
    if any(name.partition(".")[0] == "torch" for name in names):
        return True
    torch = sys.modules.get("torch")
    try:
        # The function draws weights. The fork leaves the generator of the program as it was.
        with torch.random.fork_rng(devices=[]) if torch else contextlib.nullcontext():
            return library_of(type(found(16))) == "torch"
    except KeyboardInterrupt:
        raise
    except BaseException:  # user code may raise anything
        return False


def _has_functions(found: Any) -> bool:
    return all(callable(getattr(found, name, None)) for name in REQUIRED)


def _has_self(found: type) -> bool:
    """Return True if the function `step` of the class `found` is a method of its instances."""
    return [*inspect.signature(found.step).parameters][:1] == ["self"]  # type: ignore[attr-defined]
