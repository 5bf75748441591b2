"""The one host loop: a compiled step runs chunk by chunk, and the host looks up in between."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Chunk(NamedTuple):
    """The state of the loop after a chunk.

    done    units of work finished so far: sequences, or updates
    size    units of this chunk
    state   after the chunk; valid until the next chunk starts, which may reuse its memory
    output  whatever else the step returned
    """

    done: int
    size: int
    state: Any
    output: Any


def chunks(
    step: Callable[[Any, int], tuple[Any, Any]],
    state: Any,
    work: range,
    size: int,
    next_border: Callable[[int], int] | None = None,
) -> Iterator[Chunk]:
    """Run `step(state, count) -> (state, output)` over a range of work, a chunk at a time.

    A chunk has at most `size` units, and crosses no border: `next_border` maps the units done to
    the next one, such as a checkpoint.
    """
    done = work.start
    while done < work.stop:
        border = next_border(done) if next_border else work.stop
        count = min(size, border - done, work.stop - done)
        state, output = step(state, count)
        done += count
        yield Chunk(done, count, state, output)
