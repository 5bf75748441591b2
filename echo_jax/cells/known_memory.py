"""Cells whose memory is known exactly: positive and negative controls for every measure of memory.

cell                    carry               known answer
ShiftRegister           `[B, slots, F]`     recalls lags 0 .. slots-1 exactly, and nothing older
Memoryless              `[B, 1]`, zero      recalls lag 0 alone; all else is at its baseline
AttentionCache          `[B, slots, d]`     no recurrence; can learn lags up to slots, no older
FirstWeights            of the LSTM         training changes how it is read, and never what it holds

Those of `anchors` have their names here too.
"""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.anchors import OrthogonalReservoir as OrthogonalReservoir
from echo_jax.cells.anchors import PresentInput as PresentInput
from echo_jax.cells.anchors import ProjectedRegister as ProjectedRegister
from echo_jax.cells.anchors import RecallTable as RecallTable
from echo_jax.cells.anchors import RingReservoir as RingReservoir
from echo_jax.cells.anchors import ValueList as ValueList
from echo_jax.cells.anchors import pushed
from echo_jax.cells.cell_options import at_least
from echo_jax.cells.interface import Cell, CellParams
from echo_jax.cells.projected_cell import ProjectedCell
from echo_jax.cells.registry import build
from echo_jax.cells.scan import Carry


class ShiftRegister(nn.RNNCellBase):
    """The last inputs, newest first; no parameters.

        x            a     b     c     d
        slots 3     a00   ba0   cba   dcb

    Slot n holds the input of lag n, so a register of d + 1 slots tells the lags up to d and no
    others, and the gradient of its output by any older input is exactly zero.

    The carry is the register, float32 `[B, slots, F]`. The output is the register after the step,
    flattened: `[B, slots F]`.

    Attributes:
      slots: the number of inputs held, including the present one.
    """

    slots: int

    def __post_init__(self) -> None:
        at_least(1, self, "slots")
        super().__post_init__()

    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]`; the oldest slot is dropped."""
        register = pushed(carry, inputs)
        return register, register.reshape(len(inputs), -1)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """An empty register for inputs of shape `[B, F]`."""
        return jnp.zeros((*input_shape[:-1], self.slots, input_shape[-1]))


class Memoryless(nn.RNNCellBase):
    """A layer on the present input; its state is always zero.

        y = tanh(x W + b)

    Its accuracy is at chance for every lag but 0, it has 0 bits by lag, and the gradient of its
    output by any older input is zero. The carry is float32 `[B, 1]`.

    Parameters: `kernel` W `[F, H]`, glorot-uniform; `bias` b `[H]`, zeros.
    """

    features: int

    @nn.compact
    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]` to a zero carry and the output `[B, H]`."""
        shape = (inputs.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return jnp.zeros_like(carry), jnp.tanh(inputs @ kernel + bias)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """The zero state for inputs of shape `[B, F]`."""
        return jnp.zeros((*input_shape[:-1], 1))


class CacheParams(NamedTuple):
    """W_c and W_q `[F, d]`, W_v `[d, H]`; b `[slots + 1]`, the bias of the input n steps back."""

    W_c: chex.Array
    W_q: chex.Array
    W_v: chex.Array
    b: chex.Array


class CacheTerms(NamedTuple):
    """The numbers c that the cache holds of an input, and its query q; both `[..., d]`."""

    c: chex.Array
    q: chex.Array


@dataclasses.dataclass(frozen=True)
class AttentionCache(ProjectedCell):
    """One head of softmax attention over a cache of the last inputs: a reference by key.

        c_t = x_t W_c
        s_n = (x_t W_q) . c_(t-n) / sqrt(d) + b_n                  n = 0 .. slots
        y_t = (sum over n of softmax(s)_n c_(t-n)) W_v

    The cache holds d numbers of an input, its key and its value in one. Attention with a window is
    that of Beltagy et al. 2020 ("Longformer", section 3.1), the bias for each n that of Raffel et
    al. 2020 ("T5", section 2.1), who share one among distances.

    The state is c of the last inputs, newest first, float32 `[B, slots, d]`, and nothing else. It
    is zero at the start, and a place whose d numbers are all zero counts as empty and gets no
    attention; the present input always has some. An output has an exactly zero gradient by inputs
    more than `slots` steps back. At a size in bytes d stays 4 and slots are searched: 25 slots have
    400 bytes. With d = 8 or 16 the slots are too few for the tokens of many keys.

    Parameters: W_c, W_q and W_v are glorot-uniform, b is zero.

    Attributes:
      features: H, the outputs.
      slots: the number of inputs held, beside the present one.
      size: d, the numbers held of each.
    """

    features: int
    slots: int = 50
    size: int = 4
    sized_by: ClassVar[tuple[str, ...]] = ("slots",)

    def __post_init__(self) -> None:
        at_least(1, self, "slots", "size")

    def init(self, key: chex.PRNGKey, input_size: int) -> CacheParams:
        glorot = jax.nn.initializers.glorot_uniform()
        c, q, v = jax.random.split(key, 3)
        return CacheParams(
            W_c=glorot(c, (input_size, self.size)),
            W_q=glorot(q, (input_size, self.size)),
            W_v=glorot(v, (self.size, self.features)),
            b=jnp.zeros(self.slots + 1),
        )

    def initial_state(self, params: CacheParams, batch_size: int, input_size: int) -> chex.Array:
        return jnp.zeros((batch_size, self.slots, self.size))

    def project(self, params: CacheParams, x: chex.Array) -> CacheTerms:
        return CacheTerms(x @ params.W_c, x @ params.W_q / math.sqrt(self.size))

    def recur(
        self, params: CacheParams, state: chex.Array, terms: CacheTerms
    ) -> tuple[chex.Array, chex.Array]:
        """The next state, and the mean of c by attention, `[B, d]`."""
        seen = jnp.concatenate([terms.c[:, None], state], axis=1)
        filled = jnp.any(seen != 0, axis=-1).at[:, 0].set(True)
        scores = jnp.einsum("bnd,bd->bn", seen, terms.q) + params.b
        attention = jax.nn.softmax(jnp.where(filled, scores, -jnp.inf), axis=-1)
        return seen[:, :-1], jnp.einsum("bn,bnd->bd", attention, seen)

    def read_out(self, params: CacheParams, read: chex.Array, terms: CacheTerms) -> chex.Array:
        return read @ params.W_v


@dataclasses.dataclass(frozen=True)
class FirstWeights(Cell):
    """The LSTM with a carry that is always made with its first weights.

    carry' = step(first, carry, x)[0]       output = step(trained, carry, x)[1]
    """

    features: int

    @property
    def lstm(self) -> Cell:
        return build("lstm", {"features": self.features})

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        weights = self.lstm.init(key, input_size)
        return {"first": weights, "trained": weights}

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        return self.lstm.initial_state(params["first"], batch_size, input_size)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        # the gradient goes through the carry, and stops at the weights that make it
        carry, _ = self.lstm.step(jax.lax.stop_gradient(params["first"]), state, x)
        return carry, self.lstm.step(params["trained"], state, x)[1]
