"""Tiny grid points that share one compiled program."""

import msgspec

from echo_jax.config import RunConfig, changed
from echo_jax.echo.studies.grid_point import GridPoint, axis, grid
from echo_jax.echo.studies.result_rows import TIMING

TINY = changed(
    RunConfig(), vocab_size=6, length=8, window=2, batch_size=2, lag=0, hidden_size=4, seeds=2,
    sequences=6, evaluation_sequences=5, learning_rate=0.05,
)  # fmt: skip
CARRIED = {"yes": {"stateful": True}, "no": {"stateful": False}}
POINTS = tuple(grid(TINY, {"lag": axis("lag", 0, 1), "carried": CARRIED}))


def easy(**options):
    """A grid point that is learned within 1,000 sequences."""
    config = changed(TINY, learning_rate=0.1, sequences=2000)
    return GridPoint({"task": "easy"}, config, **options)


def found(row):
    """A row without its timing fields: equal whenever and wherever it is made."""
    return {k: v for k, v in msgspec.to_builtins(row).items() if k not in TIMING}
