"""The keyword arguments of `echo_jax.train`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, get_type_hints

from echo_jax.config import Framing, Part


class TrainOptions(TypedDict, total=False):
    """The flags of `echo-jax train` that a Python call has, as types alone."""

    part: Part
    out: str | Path | None
    checkpoint_every: int | None
    devices: int | None
    seed_map: Literal["map", "vmap"] | None
    compute: Literal["literal", "fast"]
    length: int
    vocab_size: int
    window: int
    lag: int
    batch_size: int
    layout: Literal["windows", "prefixes", "streams"]
    missing: Literal["masked", "token"]
    framing: Framing
    cell: Any
    args: Mapping[str, Any] | None
    hidden_size: int
    stateful: bool
    encoding: Literal["one-hot", "embedding"]
    embedding_dim: int
    tied: bool
    delay_line: int | None
    sequences: int
    learning_rate: float
    optimizer: Literal["adam", "keras-adam"]
    bptt_batches: int
    frozen: bool
    csv: str | Path | None
    column: str | None
    held_out: float
    text: str | Path | None
    seed: int
    seeds: int
    evaluation_sequences: int


KINDS: Mapping[str, Any] = get_type_hints(TrainOptions)
"""The type of each keyword argument."""
