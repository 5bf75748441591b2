"""Where a row starts: `start` before the first batch, `feed` from batch to batch. Pure.

The state between batches, the carry of the cell, is handed on or zeroed. With batches of B = 2 the
rows of a sequence continue each other like this:

    batch 0    rows 0 1
                    | |
    batch 1    rows 2 3      row 2 continues row 0, not row 1
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import Carry
from echo_jax.config import RunConfig
from echo_jax.echo.data import Rows
from echo_jax.echo.network import Network, Params, unroll


class Fed(NamedTuple):
    """One batch of rows that a network was fed.

    before   the carry that each row started from, `[B, ...]`
    outputs  float32 `[W, B, features]`, of the cell after each step
    """

    before: Carry
    outputs: chex.Array


def start(config: RunConfig, network: Network, params: Params) -> Carry:
    """The carry before the first batch of a sequence, for B rows."""
    return network.initial_state(params, config.task.batch_size)


def feed(
    network: Network, stateful: chex.Numeric, params: Params, carry: Carry, rows: Rows
) -> tuple[Carry, Fed]:
    """The carry after the next batch of rows, given the one that the batch before it left.

    Stateful (the Keras rule): row b continues row b of the batch before, so with batch size B row
    r of a sequence continues row r - B, *not* row r - 1. Otherwise every batch starts from zero, or
    from what else is the initial state of the cell.
    """
    before = carried(network, stateful, params, carry, len(rows.inputs))
    after, outputs = unroll(network, params, before, *rows)
    return after, Fed(before, outputs)


def carried(
    network: Network, stateful: chex.Numeric, params: Params, carry: Carry, batch_size: int
) -> Carry:
    """The carry handed in where a run is stateful, else the initial one."""
    zero = network.initial_state(params, batch_size)
    # `stateful` may be traced: one program serves stateful and stateless runs.
    return jax.tree.map(lambda old, new: jnp.where(stateful, old, new), carry, zero)
