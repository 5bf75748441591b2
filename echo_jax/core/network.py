"""The network: tokens, input projection, a scan of the cell over time, logits.

The carry is handed in and out. `enter_batch` is the one place where it is zeroed and where the
gradient is cut.
"""

from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.registry import build_cell, check_cell
from echo_jax.cells.scan import Carry, HoistedCell, scan_over_time
from echo_jax.config import RunConfig
from echo_jax.core.data import Batch, one_hot_encode

Params = dict[str, Any]
"""`{"cell": the cell's parameters, "readout": {"kernel": [H, V], "bias": [V]}}`; of a network with
an embedding also `"embedding": [tokens, D]`, and where it is tied the readout has D outputs."""


class Network(NamedTuple):
    """The modules of a network; its parameters and its carry live outside.

    cell        whatever is scanned over time
    readout     V outputs; D where the embedding is tied, one of framing `values`
    input_size  features that the cell is fed: V, or D, or 1
    tokens      that may be fed: V, one more where a missing value is one
    config      of encoding and framing
    """

    cell: nn.RNNCellBase
    readout: nn.Dense
    input_size: int
    tokens: int
    config: RunConfig


def build_network(config: RunConfig) -> Network:
    """The network a configuration asks for; ConfigError where its cell cannot be used."""
    task, options = config.task, config.network
    tokens = task.vocab_size + (task.missing == "token")
    embedded, of_values = options.encoding == "embedding", task.framing == "values"
    input_size = options.embedding_dim if embedded else (1 if of_values else tokens)
    outputs = options.embedding_dim if options.tied else (1 if of_values else task.vocab_size)
    cell = build_cell(options, task.window)
    check_cell(cell, options.cell, input_size)
    readout = nn.Dense(outputs, kernel_init=nn.initializers.glorot_uniform())
    return Network(cell, readout, input_size, tokens, config)


def around(cell: nn.RNNCellBase, tokens: int, classes: int) -> Network:
    """A network of any cell, fed one-hot tokens, with a readout of so many classes."""
    readout = nn.Dense(classes, kernel_init=nn.initializers.glorot_uniform())
    return Network(cell, readout, tokens, tokens, RunConfig())


def init_params(network: Network, key: chex.PRNGKey) -> Params:
    """Initial parameters, float32; the readout glorot-uniform with a zero bias, as in Keras.

    Embeddings are drawn with unit variance; tied ones with 1/D, so that the logits have about one.
    """
    cell_key, readout_key = jax.random.split(key)
    inputs = jnp.zeros((1, network.input_size))
    carry = zero_carry(network, batch_size=1)
    (_, output), cell = network.cell.init_with_output(cell_key, carry, inputs)
    readout = network.readout.init(readout_key, output)
    params = {"cell": cell.get("params", {}), "readout": readout["params"]}
    options = network.config.network
    if options.encoding == "embedding":
        shape = (network.tokens, options.embedding_dim)
        scale = options.embedding_dim**-0.5 if options.tied else 1.0
        params["embedding"] = scale * jax.random.normal(jax.random.fold_in(key, 2), shape)
    return params


def zero_carry(network: Network, batch_size: int) -> Carry:
    """The carry at the start of a sequence: the cell's `initialize_carry` for B rows."""
    return network.cell.initialize_carry(jax.random.key(0), (batch_size, network.input_size))


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
    return carry, jnp.swapaxes(read_out(network, params, read), 0, 1)


def read_out(network: Network, params: Params, outputs: chex.Array) -> chex.Array:
    """The logits of a cell's outputs: float32 `[..., features]` to `[..., V]`.

    classes         readout
    ... tied        readout E^T, for the embeddings E of the V values (Press & Wolf 2017)
    values          -(readout - v / (V-1))^2 for each v: the nearest value has the largest
    """
    task = network.config.task
    read = jnp.asarray(network.readout.apply({"params": params["readout"]}, outputs))
    if task.framing == "values":
        return -((read - scaled(jnp.arange(task.vocab_size), task.vocab_size)) ** 2)
    return read @ params["embedding"][: task.vocab_size].T if network.config.network.tied else read


def encode(network: Network, params: Params, tokens: chex.Array) -> chex.Array:
    """What the cell is fed for int32 tokens `[...]`.

    float32 `[..., 1]` of values, `[..., D]` of embeddings; for one-hot vectors the tokens
    themselves, where the cell can do with them (`HoistedCell`), and otherwise `[..., V]`.
    """
    if network.config.task.framing == "values":
        return scaled(tokens, network.config.task.vocab_size)[..., None]
    if network.config.network.encoding == "embedding":
        return params["embedding"][tokens]
    if isinstance(network.cell, HoistedCell):
        return tokens
    return one_hot_encode(tokens, network.tokens)


def scaled(tokens: chex.Array, vocab_size: int) -> chex.Array:
    """Tokens 0 .. V-1 as numbers from 0 to 1, of framing `values`."""
    return tokens.astype(jnp.float32) / (vocab_size - 1)


def unroll(
    network: Network, params: Params, carry: Carry, tokens: chex.Array, mask: chex.Array | None
) -> tuple[Carry, chex.Array]:
    """Scan the cell over time: tokens int32 `[B, W]` to outputs `[W, B, features]`.

    Where `mask` (bool `[B, W]`) is False the carry is held bit for bit, and the output of that
    step means nothing.
    """
    by_time = None if mask is None else mask.T
    return unroll_inputs(network, params, carry, encode(network, params, tokens.T), by_time)


def unroll_inputs(
    network: Network, params: Params, carry: Carry, inputs: chex.Array, mask: chex.Array | None
) -> tuple[Carry, chex.Array]:
    """Scan the cell over what it is fed: `[W, B, ...]`, see `encode`, to `[W, B, features]`."""
    cell, variables = network.cell, {"params": params["cell"]}
    if isinstance(cell, HoistedCell):
        projected = cell.apply(variables, inputs, method="project")
        return cell.apply(variables, carry, projected, mask, method="unroll")
    return scan_over_time(lambda c, x: cell.apply(variables, c, x), carry, inputs, mask)
