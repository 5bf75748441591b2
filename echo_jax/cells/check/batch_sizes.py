"""Is a cell the same program in batches of any size? By tracing: nothing is compiled or run.

A cell that looks at the size of its batch may keep a larger state in the batches of training than
in the batch of one whose state is counted.
"""

import re
from collections.abc import Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.check.shape_check import Candidate

REFERENCE = 9973
"""Size of the batch that others are compared with: a prime, so that no other number of a program is
a multiple of it."""


def check_programs(candidate: Candidate, sizes: Collection[int]) -> None:
    """Raise ConfigError where the first state or a step is another program in batches of a size.

    Two programs are the same if they differ in multiples of the size of the batch alone. The sizes
    are 2 or more: in a batch of one no array has to be spread over the rows.
    """
    wanted = _programs(candidate, REFERENCE)
    for size in sizes:
        for function, found in _programs(candidate, size).items():
            if not _same(wanted[function], found, size):
                candidate.refuse(
                    f"is another program in batches of {size:,} rows than of {REFERENCE:,}: let "
                    "nothing depend on the size of the batch",
                    function,
                )


def _programs(candidate: Candidate, size: int) -> dict[str, Any]:
    """The traced programs of the first state and of a step, for a batch of some size."""
    cell, key = candidate.cell, jax.random.key(0)
    params = jax.eval_shape(candidate.init, key)
    start = lambda params: candidate.start(params, size)  # noqa: E731
    step = lambda params, *of: cell.step(cell.prepare(params), *of)  # noqa: E731
    x = jax.ShapeDtypeStruct((size, candidate.input_size), jnp.float32)
    state = candidate.attempt(lambda: jax.eval_shape(start, params), "initial_state")
    return {
        "initial_state": candidate.attempt(lambda: jax.make_jaxpr(start)(params), "initial_state"),
        "step": candidate.attempt(lambda: jax.make_jaxpr(step)(params, state, x)),
    }


def _same(wanted: Any, found: Any, size: int) -> bool:
    """True if the programs for `REFERENCE` rows and for some others differ in that number alone."""
    texts = _tokens(wanted), _tokens(found)
    return (
        len(texts[0]) == len(texts[1])
        and all(_same_token(*pair, size) for pair in zip(*texts, strict=True))
        and all(map(_same_rows, wanted.consts, found.consts))
    )


def _tokens(program: Any) -> list[str]:
    """The numbers of a program and what is between them, without addresses and line breaks."""
    return re.findall(r"\d+|\D+", re.sub(r"0x[0-9a-f]+|\s+", "", str(program)))


def _same_token(wanted: str, found: str, size: int) -> bool:
    """True for equal texts, and for multiples of the two sizes by one factor."""
    if wanted == found or not (wanted.isdigit() and found.isdigit()):
        return wanted == found
    factor, rest = divmod(int(wanted), REFERENCE)
    return not rest and factor * size == int(found)


def _same_rows(wanted: Any, found: Any) -> bool:
    """True for equal constants, and for those that have one row as often as the batch has rows."""
    one, other = np.asarray(wanted), np.asarray(found)
    if one.shape == other.shape:
        return np.array_equal(one, other)
    rows = np.concatenate([one, other])
    return bool(np.all(rows == rows[:1]))
