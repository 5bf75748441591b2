"""The differences between two computations of the same numbers that rounding explains.

Sums in another order change numbers a little, and a chaotic cell makes a little into anything. So
steps are run once more with weights and states that are changed by a millionth: what they answer to
that is a measure of what rounding may do.
"""

import math
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.scan import Carry

CHANGE = 1e-6
"""The largest share by which weights and states are changed, if their types are that fine."""

LEAST, MOST = 1e-6, 1e18
"""The least difference that counts, and the largest number that is compared: the products of larger
ones overflow."""

Trace = tuple[Carry, Any]
"""The states after each part, leaves `[P, B, ...]`, and the outputs `[P, T, B, H]`."""

Series = list[np.ndarray]
"""The outputs, then the leaves of the states, each `[time, case, number]`."""


def scattered(number: int, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers in [0, 1) without a pattern, float32: the fractional parts of a large sine."""
    place = np.arange(math.prod(shape), dtype=np.float64)
    drawn = np.mod(43758.5453 * np.sin(12.9898 * place + 78.233 * number), 1)
    return drawn.reshape(shape).astype(np.float32)


def changed(tree: Any, change: chex.Numeric, phase: chex.Numeric) -> Any:
    """A tree with each floating-point number changed by a share between -change and change."""

    def shake(leaf: chex.Array) -> chex.Array:
        """The leaf, changed; integers stay."""
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            return leaf
        shares = jnp.cos(2.3 * jnp.arange(leaf.size) + 1.7 * phase).reshape(leaf.shape)
        return leaf * (1 + change * shares).astype(leaf.real.dtype)

    return jax.tree.map(shake, tree)


def in_time(trace: Trace, anew: bool = False) -> Series:
    """A trace as series; where the parts start anew they are cases beside each other."""

    def arranged(x: np.ndarray) -> np.ndarray:
        """An array `[P, T, B, ...]` as `[steps, cases, numbers]`."""
        parts, steps, rows, size = *x.shape[:3], math.prod(x.shape[3:])
        if anew:
            return np.swapaxes(x, 0, 1).reshape(steps, parts * rows, size)
        return x.reshape(parts * steps, rows, size)

    states, ys = trace
    return [arranged(ys), *(arranged(leaf[:, None]) for leaf in jax.tree.leaves(states))]


def allowed(floor: float, wanted: np.ndarray, *answers: np.ndarray) -> np.ndarray:
    """The difference from wanted numbers that is allowed, by time and unit: `[time, number]`.

    It is ten times the largest of the answers' differences so far, the unit's own or, relative to
    the largest numbers, that of any unit: what is chaotic spreads. It is at least `floor` times the
    largest number of the unit so far, but for integers.
    """

    def largest(x: np.ndarray) -> np.ndarray:
        numbers = np.max(np.abs(np.where(np.abs(wanted) <= MOST, x, 0)), axis=1, initial=0)
        return np.maximum.accumulate(np.nan_to_num(numbers, nan=np.inf), axis=0)

    exact = not jnp.issubdtype(wanted.dtype, jnp.inexact)
    wanted, *others = (x.astype(np.complex128) for x in (wanted, *answers))
    with np.errstate(all="ignore"):
        size, answer = largest(wanted), np.max([largest(x - wanted) for x in others], axis=0)
        of_all, sizes = (np.max(x, axis=1, initial=0, keepdims=True) for x in (answer, size))
        answer = np.maximum(answer, of_all / np.maximum(sizes, LEAST) * size)
        return np.maximum(10 * answer, 0 if exact else np.maximum(floor * size, LEAST))


def difference(wanted: Series, found: Series, allowed: Series) -> str:
    """The first place where numbers differ by more than is allowed, as a phrase; "" if none do.

    Nothing is asked of what is not finite, or above `MOST`.
    """
    for number, (one, other, most) in enumerate(zip(wanted, found, allowed, strict=True)):
        x, y = one.astype(np.complex128), other.astype(np.complex128)
        with np.errstate(all="ignore"):
            far = (np.abs(x) <= MOST) & ~(np.abs(y - x) <= most[:, None])
        if far.any():
            place = tuple(np.argwhere(far)[0])
            what = f"the output at step {place[0] + 1}" if number == 0 else "a number of the state"
            return f"{what} is {y[place]:.4g}, not {x[place]:.4g}".replace("+0j", "")
    return ""
