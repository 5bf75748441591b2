"""The network: tokens, input projection, a scan of the cell over time, logits.

The carry is handed in and out. `enter_batch` is the one place where it is zeroed and where the
gradient is cut.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells import Carry, HoistedCell, build_cell, check_cell, scan_over_time
from echo_jax.config import RunConfig
from echo_jax.task import Batch, one_hot_encode

Params = dict[str, Any]
"""`{"cell": the cell's parameters, "readout": {"kernel": [H, V], "bias": [V]}}`."""


class Network(NamedTuple):
    """The modules of a network; its parameters and its carry live outside."""

    cell: nn.RNNCellBase
    readout: nn.Dense
    vocab_size: int


def build_network(config: RunConfig) -> Network:
    """The network a configuration asks for; ConfigError where its cell cannot be used."""
    cell = build_cell(config.network)
    check_cell(cell, config.network.cell, config.task.vocab_size)
    readout = nn.Dense(config.task.vocab_size, kernel_init=nn.initializers.glorot_uniform())
    return Network(cell, readout, config.task.vocab_size)


def init_params(network: Network, key: chex.PRNGKey) -> Params:
    """Initial parameters, float32; the readout glorot-uniform with a zero bias, as in Keras."""
    cell_key, readout_key = jax.random.split(key)
    inputs = jnp.zeros((1, network.vocab_size))
    carry = zero_carry(network, batch_size=1)
    (_, output), cell = network.cell.init_with_output(cell_key, carry, inputs)
    readout = network.readout.init(readout_key, output)
    return {"cell": cell.get("params", {}), "readout": readout["params"]}


def zero_carry(network: Network, batch_size: int) -> Carry:
    """The carry at the start of a sequence: the cell's `initialize_carry` for B rows."""
    return network.cell.initialize_carry(jax.random.key(0), (batch_size, network.vocab_size))


def enter_batch(carry: Carry, zero: Carry, stateful: chex.Numeric) -> Carry:
    """The carry a batch starts from, given the carry that the batch before it left.

    Stateful (the Keras rule): row b continues row b of the batch before, so with batch size B row
    r of a sequence continues row r - B, *not* row r - 1. Otherwise every batch starts from zero.
    Either way no gradient passes: what an earlier batch put into the state is never judged by the
    loss of a later one.
    """
    kept = jax.tree.map(lambda old, new: jnp.where(stateful, old, new), carry, zero)
    return jax.lax.stop_gradient(kept)


def apply(network: Network, params: Params, carry: Carry, batch: Batch) -> tuple[Carry, chex.Array]:
    """The network on one batch of rows.

    Args:
      network: the modules.
      params: their parameters.
      carry: the state before the first step, B rows.
      batch: inputs `[B, W]` and mask; T of its targets says how many steps are read out.

    Returns:
      The carry after the last step, and the logits of the last T steps, float32 `[B, T, V]`.
    """
    chex.assert_rank([batch.inputs, batch.targets], 2)
    carry, outputs = unroll(network, params, carry, batch.inputs, batch.mask)
    read = outputs[-batch.targets.shape[-1] :]
    logits = network.readout.apply({"params": params["readout"]}, read)
    return carry, jnp.swapaxes(jnp.asarray(logits), 0, 1)


def unroll(
    network: Network, params: Params, carry: Carry, tokens: chex.Array, mask: chex.Array | None
) -> tuple[Carry, chex.Array]:
    """Scan the cell over time: tokens int32 `[B, W]` to outputs `[W, B, features]`.

    Where `mask` (bool `[B, W]`) is False the carry is held bit for bit, and the output of that
    step means nothing.
    """
    cell, variables = network.cell, {"params": params["cell"]}
    by_time = None if mask is None else mask.T
    if isinstance(cell, HoistedCell):
        projected = cell.apply(variables, tokens.T, method="project")
        return cell.apply(variables, carry, projected, by_time, method="unroll")
    inputs = one_hot_encode(tokens.T, network.vocab_size)
    return scan_over_time(lambda c, x: cell.apply(variables, c, x), carry, inputs, by_time)
