"""Cells in the block whose initial weights alone are others, for the second study.

The study is in docs/what-a-bit-is-worth.md. An option of a cell is taken where it has one; else the
weights that its `init` draws are changed.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from echo_jax.memory.card.train_and_score import NamedCell, named_cell

BYTES = 400

MANIPULATED = (
    ("lstm-forget-0", "lstm", "lstm-forget-3", "lstm-forget-5", "lstm-chrono"),
    ("lru-r_min-0.5-r_max-0.9", "lru", "lru-r_min-0.99-r_max-0.9999"),
    ("s5-steps-10", "s5", "s5-steps-0.1"),
    ("rg-lru-decays-0.5-0.9", "rg-lru", "rg-lru-decays-0.99-0.9999"),
    ("simple-gain-0.7", "simple-gain-0.9", "simple"),
)
"""The families of the second hypothesis: of each one cell, with the cell as it is published."""


def changed(cell: str, words: dict[str, Any], change: Callable[[Any], Any]) -> NamedCell:
    """A built-in cell in the block that starts from `change` of its initial weights."""
    named = named_cell(f"block:{cell}", {}, BYTES)
    original: Any = named.cell
    inner = original.cell

    class Changed(type(inner)):  # type: ignore[misc]
        """The cell with other initial weights."""

        def init(self, key: jax.Array, input_size: int) -> Any:
            return change(super().init(key, input_size))

    options = {x.name: getattr(inner, x.name) for x in dataclasses.fields(inner)}
    block = dataclasses.replace(original, cell=Changed(**options))
    return named._replace(cell=block, named_by=words | named.named_by)


def with_forget_bias(bias: float) -> NamedCell:
    """The LSTM with a bias of its forget gates, which is 1 as published."""

    def change(params: Any) -> Any:
        units = len(params["bias"]) // 4
        return params | {"bias": params["bias"].at[units : 2 * units].set(bias)}

    return changed("lstm", {"forget": bias}, change)


def with_steps(factor: float) -> NamedCell:
    """S5 whose steps, log-uniform in [0.001, 0.1] as published, are multiplied by a factor."""
    return changed(
        "s5", {"steps": factor}, lambda x: x._replace(log_step=x.log_step + math.log(factor))
    )


def with_decays(low: float, high: float) -> NamedCell:
    """The RG-LRU with decays uniform in [low, high], which is [0.9, 0.999] as published."""

    def change(params: Any) -> Any:
        share = (jnp.exp(-8 * jax.nn.softplus(params.Lambda)) - 0.9) / 0.099
        rate = -jnp.log(low + (high - low) * share) / 8
        return params._replace(Lambda=jnp.log(jnp.expm1(rate)))

    return changed("rg-lru", {"decays": f"{low}-{high}"}, change)


def with_gain(gain: float) -> NamedCell:
    """The tanh RNN whose recurrent matrix is orthogonal times a gain, which is 1 as published."""
    return changed(
        "simple", {"gain": gain}, lambda x: x | {"h": {"kernel": gain * x["h"]["kernel"]}}
    )


def with_options(cell: str, **options: float) -> NamedCell:
    """A built-in cell with options."""
    return named_cell(f"block:{cell}", options, BYTES)


def manipulated() -> list[NamedCell]:
    """The networks of `MANIPULATED`, without the cells as they are published."""
    return [
        *map(with_forget_bias, (0, 3, 5)),
        *(with_options("lru", r_min=x, r_max=y) for x, y in ((0.5, 0.9), (0.99, 0.9999))),
        *map(with_steps, (10, 0.1)),
        *(with_decays(0.5, 0.9), with_decays(0.99, 0.9999)),
        *map(with_gain, (0.7, 0.9)),
    ]


def controls() -> list[NamedCell]:
    """`max_phase` moves bits and leaves radii; `recurrent_rate` moves learning and leaves bits."""
    phases = [with_options("lru", max_phase=phase) for phase in (0.6283, 0.06283)]
    rates = [(cell, rate) for cell in ("lru", "exprnn") for rate in (1.0, 0.01)]
    return [*phases, *(with_options(cell, recurrent_rate=rate) for cell, rate in rates)]
