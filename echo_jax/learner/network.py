"""The network: one-hot vectors, a scan of a recurrent cell over time, logits; its state. Pure.

    tokens [B, W] ─► one-hot [W, B, V] ─► lax.scan of the cell, carry in and out ─► logits [B, T, V]

`compute` chooses between two forms with equal results, up to rounding:

literal  the definition: stored one-hot vectors, and a plain `lax.scan` over the cell's steps
fast     a one-hot product is a row gather, which leaves out 500,000 of the 775,000 multiplications
         of matrices that a batch of part 4 takes before the gradient. The input projection of all
         steps is one product before the scan (`Cell.scan`). Up to 8 steps of the LSTM, the GRU, the
         tanh RNN, the cell mlp and cells that do not define a scan are unrolled. Longer loops of
         the LSTM, the GRU and the tanh RNN have their gradient by hand

tests/echo/test_literal_and_fast.py compares the two forms.
"""

import functools
from typing import Any, Literal, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn
from jax.nn import one_hot

from echo_jax.cells.interface import Carry, Cell, CellParams, scan_over_time
from echo_jax.config import Framing

Compute = Literal["literal", "fast"]

# Keras starts a Dense layer so; Linen starts it LeCun-normal by default.
GLOROT = nn.initializers.glorot_uniform()

Params = dict[str, Any]
"""`{"cell": the cell's parameters, "readout": {"kernel": [features, V], "bias": [V]}}`, for a cell
with `features` outputs. In framing `values` the readout has 1 output, not V. A network with an
embedding also has `"embedding": [tokens, D]`; if it is tied, the readout has D outputs."""


class Network(NamedTuple):
    """The modules of a network. Functions of this module take parameters and carry as arguments.

    cell        the recurrent cell
    readout     dense layer with V outputs; D where the embedding is tied, 1 in framing `values`
    input_size  number of features that a step of the cell is fed: `tokens` for one-hot vectors, D
                for an embedding, 1 in framing `values`
    tokens      number of different input tokens: V, or V + 1 if a missing value is a token
    classes     number of different output tokens: V
    encoding    one-hot or embedding
    tied        True if the logits are products of the readout with the embeddings
    framing     classes or values
    compute     literal or fast
    """

    cell: Cell
    readout: nn.Dense
    input_size: int
    tokens: int
    classes: int
    encoding: Literal["one-hot", "embedding"] = "one-hot"
    tied: bool = False
    framing: Framing = "classes"
    compute: Compute = "fast"

    def initial_state(self, params: Params, batch_size: int) -> Carry:
        """Return the cell's state before a sequence, for `batch_size` rows; usually zero."""
        return self.cell.initial_state(params["cell"], batch_size, self.input_size)


def around(cell: Cell, tokens: int, classes: int) -> Network:
    """Return a network around `cell`, with one-hot inputs of size `tokens` and `classes` logits."""
    readout = nn.Dense(classes, kernel_init=GLOROT)
    return Network(cell, readout, tokens, tokens, classes)


def init_params(network: Network, key: chex.PRNGKey) -> Params:
    """Return the initial parameters of `network`, float32, drawn with `key`.

    The kernel of the readout is Glorot-uniform, and its bias is 0, as in Keras. Embeddings are
    normal with variance 1. Tied embeddings have variance 1/D, so that the variance of the logits is
    about 1.
    """
    cell_key, readout_key = jax.random.split(key)
    params = {"cell": network.cell.init(cell_key, network.input_size)}
    output = jnp.zeros((1, network.cell.output_size(params["cell"], network.input_size)))
    params["readout"] = network.readout.init(readout_key, output)["params"]
    if network.encoding == "embedding":
        shape = (network.tokens, network.input_size)
        scale = network.input_size**-0.5 if network.tied else 1.0
        # fold_in(key, n) is key n of a split (partitionable threefry): 0 and 1 are taken above.
        params["embedding"] = scale * jax.random.normal(jax.random.fold_in(key, 2), shape)
    return params


def unroll(
    network: Network,
    params: Params,
    carry: Carry,
    tokens: chex.Array,
    mask: chex.Array | None,
    prepared: CellParams | None = None,
) -> tuple[Carry, chex.Array]:
    """Scan the cell over W steps; return the carry after them and the outputs `[W, B, features]`.

    The cell starts from `carry` and is fed `tokens`, int32 `[B, W]`. Where `mask` (bool `[B, W]`)
    is False, the carry is held bit for bit, and the output of the step is meaningless. `prepared`
    is the result of `cell.prepare`, which is called here if it is None.
    """
    # Time comes first from here to the outputs, as `lax.scan` walks along the first axis.
    mask = None if mask is None else mask.T
    inputs = encode(network, params, tokens.T)
    if prepared is None:
        prepared = network.cell.prepare(params["cell"])
    if network.compute == "literal":
        step = functools.partial(network.cell.step, prepared)
        return scan_over_time(step, carry, inputs, mask, unroll=1)
    if not network.cell.has_scan:
        # Unbound on purpose: a `scan` without `has_scan` was never compared with the steps.
        return Cell.scan(network.cell, prepared, carry, inputs, mask)
    return network.cell.scan(prepared, carry, inputs, mask)


def encode(network: Network, params: Params, tokens: chex.Array) -> chex.Array:
    """Return the inputs of the cell for `tokens`, int32 `[...]`.

    one-hot    vectors, float32 `[..., network.tokens]`. For a cell that `has_scan`, the fast form
               returns the tokens instead, as such a cell gathers rows of its kernel
    embedding  the products of the one-hot vectors with the embedding matrix, float32 `[..., D]`,
               for which the fast form gathers rows of the matrix
    values     the tokens, `scaled` to [0, 1], float32 `[..., 1]`, in framing `values`
    """
    literal = network.compute == "literal"
    if network.framing == "values":
        return scaled(tokens, network.classes)[..., None]
    if network.encoding == "embedding":
        table = params["embedding"]
        # Equal bit for bit on a CPU: the product adds zeros to one row.
        return one_hot(tokens, network.tokens) @ table if literal else table[tokens]
    if literal or not network.cell.has_scan:
        return one_hot(tokens, network.tokens)
    return tokens


def read_out(network: Network, params: Params, outputs: chex.Array) -> chex.Array:
    """Return the logits, float32 `[..., V]`, for the cell's `outputs`, float32 `[..., features]`.

    In the table, readout is the output of the dense layer.

    classes, not tied  readout
    classes, tied      readout E^T, for the embeddings E of the V values (Press & Wolf 2017)
    values             -(readout - v / (V-1))^2 for each value v, so that the value nearest to the
                       readout has the largest logit
    """
    read = jnp.asarray(network.readout.apply({"params": params["readout"]}, outputs))
    if network.framing == "values":
        return -((read - scaled(jnp.arange(network.classes), network.classes)) ** 2)
    return read @ params["embedding"][: network.classes].T if network.tied else read


def scaled(tokens: chex.Array, vocab_size: int) -> chex.Array:
    """Return `tokens`, in 0 .. V-1, divided by V-1: float32 in [0, 1], for framing `values`."""
    return tokens.astype(jnp.float32) / (vocab_size - 1)
