"""Loop over chunks of training, each of which is one call of a compiled program."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax


class TrainedChunk(NamedTuple):
    """The outcome of one chunk in `train_chunks`."""

    done: int  # units of training made so far, such as sequences
    size: int  # those of this chunk
    state: Any  # valid until the next chunk starts, which reuses its memory
    metrics: Any  # numpy leaves


def train_chunks(
    run_chunk: Callable[[Any, int], tuple[Any, Any]],
    state: Any,
    units: range,
    size: int,
    every: int | None = None,
) -> Iterator[TrainedChunk]:
    """Train on a range of `units`, such as sequences, and yield a `TrainedChunk` for each chunk.

    Training starts from `state`. `run_chunk` maps a state and a number of units to the next state
    and the metrics. A chunk has at most `size` units, and no chunk goes past a multiple of `every`
    units; None sets no such limit.
    """
    done = units.start
    while done < units.stop:
        border = (done // every + 1) * every if every else units.stop
        count = min(size, border - done, units.stop - done)
        state, metrics = run_chunk(state, count)
        done += count
        # jax returns before it has computed. Reading the metrics waits for the chunk, so that the
        # caller's clock is right.
        yield TrainedChunk(done, count, state, jax.device_get(metrics))
