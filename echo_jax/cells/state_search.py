"""Equalise states: find the options that give a cell's state a given number of bytes.

The search changes one option, which is `features` for most cells. Unless the user gives the sizes
of a matrix state, its keys then have as many numbers as its values, even where the defaults of the
cell differ.
"""

import bisect
import functools
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from echo_jax.cells import registry
from echo_jax.cells.adapt import BlockOf, library_of, size_of
from echo_jax.cells.interface import Cell
from echo_jax.cells.state_numbers import state_bytes
from echo_jax.exceptions import ConfigError, reason

TOLERANCE = 0.1
"""The largest accepted difference from the target, as a fraction of it."""

LARGEST_GAP = 128
"""The largest number of values of an option that are tried until a cell accepts a value.

A cell may accept only multiples of its number of heads.
"""


class Sized(NamedTuple):
    """The arguments that give a cell a state of nearly a target number of bytes.

    args   all arguments with which the cell is built, by name
    bytes  the bytes of the state of that cell, from `state_bytes`
    fits   True if `bytes` is within `TOLERANCE` of the target
    """

    args: dict[str, Any]
    bytes: int
    fits: bool


def sized(
    name: str, given: Mapping[str, Any], target: int, input_size: int, largest: int = 2**16
) -> Sized:
    """Return the arguments that give the state of a cell the bytes nearest to a target.

        sized("mamba2", {}, 400, 2)
            {"features": 10}: 10 x 10 float32 are 400 bytes
        sized("block:mlstm", {"layers": 2}, 400, 2)
            {"layers": 2, "features": 6, "key_size": 6, "value_size": 6}: 2 (6 x 6 + 6 + 1) float32
            are 344 bytes, and 7 gives 456

    One option that is not given is searched. The options in `Cell.sized_with` get the same value,
    unless they are given. Values that the cell refuses are left out, and the state must not shrink
    as the option grows. If no state is within 10% of the target, the largest state below the target
    is taken, and `fits` is False. `state_numbers` says which numbers of a block count.

    Args:
      name: the name of a built-in cell, of a user's cell, or of a block around either.
      given: the arguments that the user gave, by name.
      target: the number of bytes to come near to, 1 or more.
      input_size: F, the features of an input of the cell; has no effect on a cell in a block.
      largest: the largest target for a layer of PyTorch, whose weights are drawn for each value
        that is tried.

    Raises:
      ConfigError: if every option that sizes the state is given, if the cell has no such option or
        cannot be built, if its state does not grow with the option, if all states are too large, or
        if the target is not a positive whole number or is above `largest`.
    """
    if isinstance(target, bool) or not (isinstance(target, int) and target >= 1):
        raise ConfigError("state_bytes", target, "is not a positive whole number", "use 400 or so")
    found = registry.cell_class(name)
    written = found.inner if isinstance(found, BlockOf) else found
    if library_of(written) == "torch" and target > largest:
        rule = f"is above {largest}, the largest state of a PyTorch layer that a card measures"
        raise ConfigError("state_bytes", target, rule, f"use {largest} or fewer")
    option = _option_to_search(written, name, given)
    equal = (option, *getattr(written, "sized_with", ()))

    def arguments(value: int) -> dict[str, Any]:
        # Given options come last: they win over the searched value.
        return {**dict.fromkeys(equal, value), **given}

    def build(value: int) -> Cell:
        return registry.build(name, arguments(value), found)

    first_from = functools.cache(lambda n: _first_from(n, name, option, build, input_size))
    near = _nearest_two(first_from, target)
    if not near:
        others = [each for each in given if each not in BlockOf.own]
        same = f"{first_from(1).bytes} bytes with any {option}"
        rule = f"has no effect on cell {name!r}, whose state has {same}"
        fix = f"leave {' or '.join(['{state_bytes}', *others])} out"
        raise ConfigError("state_bytes", target, rule, fix)
    nearest = min(near, key=lambda each: abs(each.bytes - target))
    fits = abs(nearest.bytes - target) <= TOLERANCE * target
    best = nearest if fits else near[0]
    if not fits and best.bytes > target:
        rule = f"is too few for cell {name!r}, whose smallest state has {best.bytes} bytes"
        raise ConfigError("state_bytes", target, rule, f"use {best.bytes} or more")
    return Sized(arguments(best.value), best.bytes, fits)


def _option_to_search(written: Any, name: str, given: Mapping[str, Any]) -> str:
    """Return the first option that sizes the state of cell `name` and is not in `given`.

    `written` is the class of the cell. Raises ConfigError if there is no such option.
    """
    sizing = getattr(written, "sized_by", ()) or tuple(filter(None, [size_of(written)]))
    if not sizing:
        rule = "has no option for its size, which {state_bytes} could choose"
        fix = "make it a class with a field `features`, or leave {state_bytes} out"
        raise ConfigError("cell", name, rule, fix)
    if free := [option for option in sizing if option not in given]:
        return free[0]
    rule = f"is given by {' and '.join(sizing)} and again by {{state_bytes}}"
    raise ConfigError(None, f"the size of cell {name!r}", rule, "leave {state_bytes} out")


class Measured(NamedTuple):
    """A value of the option that is searched, and the bytes of the cell's state with it."""

    value: int
    bytes: int


def _first_from(
    n: int, name: str, option: str, build: Callable[[int], Cell], input_size: int
) -> Measured:
    """Return the first value of `option`, from `n` on, that the cell accepts, and its bytes.

    `build` makes the cell `name` with a value, and `input_size` is the number of features of an
    input. Raises ConfigError if the cell accepts none of `LARGEST_GAP` values.
    """
    refused: list[BaseException] = []
    for value in range(n, n + LARGEST_GAP):
        try:
            return Measured(value, state_bytes(build(value), input_size))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # user code may raise anything
            refused.append(error)
            if isinstance(error, MemoryError) or re.search("memory|EXHAUSTED", str(error)):
                break  # the next values need as much
    if isinstance(refused[0], ConfigError):
        raise refused[0]
    rule = f"cannot be built with {option} {n} ({reason(refused[0])})"
    raise ConfigError("cell", name, rule, "change its options, or fix its code") from refused[0]


def _nearest_two(first_from: Callable[[int], Measured], target: int) -> list[Measured]:
    """Return the largest state of at most `target` bytes, and the smallest state above, if any.

    `first_from(n)` measures the first value from n on that the cell accepts. The smallest of
    several values with equal states is taken. The list is empty if the state does not grow.
    """

    def bytes_from(n: int) -> int:
        return first_from(n).bytes

    def first_with(least: int, last: int) -> int:
        """Return the first n, up to `last`, whose state has at least `least` bytes."""
        return bisect.bisect_left(range(last), least, lo=1, key=bytes_from)

    n = 1
    # a state that goes on growing has a byte more, at least, for every two of the option
    while bytes_from(n) <= target and n <= 4 * target:
        n *= 2
    if (most := bytes_from(n)) <= target:  # it stopped growing below the target, or never grew
        return [first_from(first_with(most, n))] if most > bytes_from(1) else []
    above = first_with(target + 1, n)
    most = bytes_from(above - 1) if above > 1 else 0
    if not most:  # no state is small enough, but for empty ones
        return [first_from(above)]
    # several values may have that state, as where a size is half the option, rounded
    return [first_from(first_with(most, above - 1)), first_from(above)]
