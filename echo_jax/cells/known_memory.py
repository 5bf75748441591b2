"""Cells to compare a measured cell with: their memory is known, or they are not trained.

cell                    state               known answer
ShiftRegister           `[B, slots, F]`     recalls lags 0 .. slots-1 exactly, and nothing older
PresentInput            `[B, H]`            recalls lag 0 only; all other lags are at their baseline
AttentionCache          `[B, slots, d]`     can learn the lags 0 .. slots, and nothing older
FrozenDeltaNet          `[B, V, K]`         a matrix state that is written by untrained weights
FrozenLinearAttention   `[B, K, V]`         another such matrix state
FirstWeights            that of the LSTM    training changes how it is read, not what it holds

The other cells are registers, reservoirs, and tables for the questions by key. The heads, the
readout and the block around any of these cells are always trained.
"""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import Carry, Cell, CellParams, ProjectedCell, at_least
from echo_jax.cells.matrix_state.delta_net import DeltaNetCell
from echo_jax.cells.matrix_state.gated_linear_attention import GLACell
from echo_jax.cells.registry import build
from echo_jax.exceptions import ConfigError


def pushed(register: chex.Array, newest: chex.Array) -> chex.Array:
    """Return `register`, `[B, slots, n]`, with `newest`, `[B, n]`, added and its oldest dropped."""
    return jnp.concatenate([newest[:, None], register[:, :-1]], axis=1)


@dataclasses.dataclass(frozen=True)
class ShiftRegister(Cell):
    """A register of the last inputs, newest first, without parameters.

        x            a     b     c     d
        slots 3     a00   ba0   cba   dcb

    Slot n holds the input of lag n, so a register of d + 1 slots recalls the lags up to d and no
    others. The gradient of the output with respect to any older input is exactly zero.

    The state is the register, float32 `[B, slots, F]`. The output is the register after the step,
    flattened: `[B, slots F]`.

    Attributes:
      slots: the number of inputs held, including the present one.
    """

    slots: int

    def __post_init__(self) -> None:
        at_least(1, self, "slots")

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> chex.Array:
        return jnp.zeros((batch_size, self.slots, input_size))

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        state = pushed(state, x)
        return state, state.reshape(len(x), -1)


def evenly_placed(count: int, numbers: int) -> chex.Array:
    """Return `count` points, `[count, numbers]`, each of which linear heads can tell from the rest.

    `numbers` is 1, for points on a line from -1 to 1, or 2, for points on the unit circle.
    """
    if numbers == 1:
        return jnp.linspace(-1.0, 1.0, count)[:, None]
    angles = 2 * jnp.pi * jnp.arange(count) / count
    return jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)


@dataclasses.dataclass(frozen=True)
class ProjectedRegister(Cell):
    """A register of the last inputs that holds only a few numbers per input, newest first.

        float32   p_t = x_t W
        int8      p_t = round(64 x_t W), cut to -128 .. 127

    The state is p_t, p_(t-1) ... p_(t - slots + 1), `[B, slots, numbers]`. The output is the state
    as float32, flattened.

    Parameters: W `[F, numbers]`. For float32 it starts standard normal. For int8 it is
    `evenly_placed` and never trained: in jax no gradient passes an array of integers, and a
    straight-through gradient would need the numbers before rounding in the state.

    Attributes:
      slots: the number of inputs held, including the present one.
      numbers: how many numbers are held per input; for int8, 1 or 2.
      dtype: float32 or int8.
    """

    slots: int = 100
    numbers: int = 1
    dtype: str = "float32"
    sized_by: ClassVar[tuple[str, ...]] = ("slots",)

    def __post_init__(self) -> None:
        at_least(1, self, "slots", "numbers")
        if self.dtype != "float32" and (self.dtype, self.numbers) not in (("int8", 1), ("int8", 2)):
            given = f"dtype {self.dtype} with numbers {self.numbers}"
            fix = "use float32, or int8 with 1 or 2 numbers"
            raise ConfigError(None, given, "does not exist as a register", fix)

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        if self.dtype == "int8":
            return {"W": evenly_placed(input_size, self.numbers)}
        return {"W": jax.random.normal(key, (input_size, self.numbers))}

    def prepare(self, params: CellParams) -> CellParams:
        return jax.lax.stop_gradient(params) if self.dtype == "int8" else params

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> chex.Array:
        return jnp.zeros((batch_size, self.slots, self.numbers), self.dtype)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        newest = x @ params["W"]
        if self.dtype == "int8":
            newest = jnp.round(64 * newest).astype(jnp.int8)  # XLA saturates
        state = pushed(state, newest)
        return state, state.reshape(len(x), -1).astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class OrthogonalReservoir(Cell):
    """A linear reservoir with a random orthogonal matrix U (White, Lee & Sompolinsky 2004).

        s_t = scale s_(t-1) U + x_t W

    The output is the state s, `[B, H]`. Neither parameter is trained: U `[H, H]` is orthogonal, and
    W `[F, H]` is standard normal.

    Attributes:
      features: H, the number of units, which is also the number of outputs.
      scale: the factor of U, whose singular values are all 1.
      dtype: the type of the state, float32 or bfloat16; a step is computed in float32.
    """

    features: int
    scale: float = 0.95
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.dtype not in ("float32", "bfloat16"):
            fix = "use float32 or bfloat16"
            raise ConfigError("dtype", self.dtype, "is not a type of this state", fix)

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        recurrent, inputs = jax.random.split(key)
        u = jax.nn.initializers.orthogonal()(recurrent, (self.features, self.features))
        return {"U": u, "W": jax.random.normal(inputs, (input_size, self.features))}

    def prepare(self, params: CellParams) -> CellParams:
        return jax.lax.stop_gradient(params)

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> chex.Array:
        return jnp.zeros((batch_size, self.features), self.dtype)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        state = self.scale * state.astype(jnp.float32) @ params["U"] + x @ params["W"]
        return state.astype(self.dtype), state.astype(self.dtype).astype(jnp.float32)


@dataclasses.dataclass(frozen=True)
class RingReservoir(OrthogonalReservoir):
    """A ring of H linear units: each unit hands its number, times `scale`, to the next unit.

    The input is added to the first unit. This is the simple cycle reservoir of Rodan & Tino 2011
    without tanh, and with `evenly_placed` input weights. For H steps the ring acts as a register of
    one number per token. The attributes are the same as in `OrthogonalReservoir`.
    """

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        units = jnp.eye(self.features)
        # Rolled along columns, as states are rows: s U moves number n to n + 1.
        return {"U": jnp.roll(units, 1, axis=1), "W": evenly_placed(input_size, 1) * units[0]}


@dataclasses.dataclass(frozen=True)
class PresentInput(ProjectedCell):
    """The present input, s_t = x_t W: all that a network without recurrence knows.

    A card by lag asks for the lags from 1 on. Without a block, this cell recalls 0 bits of these
    lags. In a block it recalls 12 bits, because the convolution sees three earlier tokens. The
    output is the state, `[B, H]`. The only parameter is W `[F, H]`, LeCun-normal.

    Attributes:
      features: H, the number of outputs.
    """

    features: int

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        return {"W": jax.nn.initializers.lecun_normal()(key, (input_size, self.features))}

    def project(self, params: CellParams, x: chex.Array) -> chex.Array:
        return x @ params["W"]

    def recur(self, params: CellParams, state: Carry, terms: chex.Array) -> tuple[Carry, Carry]:
        return terms, terms


@dataclasses.dataclass(frozen=True)
class ValueList(Cell):
    """A list of the values that were shown in the questions by key, without the keys.

    The state counts how often each value was shown, uint8 `[B, values]`. Inputs are the one-hot
    tokens of the questions: keys, equally many values, and the filler. The output is one-hot: the
    most frequent value, or the first of equally frequent values. There are no
    parameters. `memory.by_key.key_rows_and_bits` computes the accuracy of these answers by
    `accuracy_of_list`. In a block the cell is of no use, because the cells of a block see no
    tokens.
    """

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> chex.Array:
        return jnp.zeros((batch_size, input_size // 2), jnp.uint8)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        values = state.shape[1]
        value = jnp.argmax(x, axis=1) - values  # no index for a key or the filler
        state = state + jax.nn.one_hot(value, values, dtype=jnp.uint8)
        return state, jax.nn.one_hot(jnp.argmax(state, axis=1), values)


@dataclasses.dataclass(frozen=True)
class RecallTable(Cell):
    """A table with the value of each key, written by hand for the questions by key.

        token     k3  v1  k0  v7  k3  k0
        output    -   1   -   7   1   7

    All answers are right. Inputs are the same as in `ValueList`. The state holds the value of each
    key, or -1 if the key has no value, and the last key: 65 bytes for 64 keys. The output is the
    one-hot value of the last key, or zeros if the key has no value. There are no parameters.
    """

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        # Values are 0 to 127 at most. The filler 128 wraps round to -128, which is no key.
        number = jnp.int8 if input_size <= 256 else jnp.int32
        values = jnp.full((batch_size, input_size // 2), -1, number)
        return {"values": values, "key": jnp.zeros(batch_size, number)}

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        values = state["values"]
        keys = values.shape[1]
        token = jnp.argmax(x, axis=1)
        is_value = (token >= keys) & (token < 2 * keys)
        key = jnp.where(is_value, state["key"], token.astype(values.dtype))
        here = jax.nn.one_hot(key, keys, dtype=bool)
        new = (token - keys).astype(values.dtype)
        values = jnp.where(here & is_value[:, None], new[:, None], values)
        found = jnp.max(jnp.where(here, values, -1), axis=1)
        return {"values": values, "key": key}, jax.nn.one_hot(found, keys)


class CacheParams(NamedTuple):
    """The parameters of `AttentionCache`.

    W_c  `[F, d]`, makes the d numbers of an input that the cache holds
    W_q  `[F, d]`, makes the query
    W_v  `[d, H]`, makes the output from the mean of the held numbers
    b    `[slots + 1]`, the bias of the input that is n = 0 .. slots steps back
    """

    W_c: chex.Array
    W_q: chex.Array
    W_v: chex.Array
    b: chex.Array


class CacheTerms(NamedTuple):
    """The terms of an input, both `[..., d]`.

    c  the numbers that the cache holds
    q  the query, divided by sqrt(d)
    """

    c: chex.Array
    q: chex.Array


@dataclasses.dataclass(frozen=True)
class AttentionCache(ProjectedCell):
    """One head of softmax attention over a cache of the last inputs.

        c_t = x_t W_c
        s_n = (x_t W_q) . c_(t-n) / sqrt(d) + b_n                  n = 0 .. slots
        y_t = (sum over n of softmax(s)_n c_(t-n)) W_v

    The cache holds d numbers per input, which are both its key and its value. Attention with a
    window is from Beltagy et al. 2020 ("Longformer", section 3.1). The bias for each n is from
    Raffel et al. 2020 ("T5", section 2.1), who share a bias among several distances.

    The state is c of the last inputs, newest first, float32 `[B, slots, d]`, and nothing else. The
    state is zero at the start, and a place whose d numbers are all zero counts as empty and gets no
    attention; the present input always gets some attention. The gradient of an output with respect
    to inputs more than `slots` steps back is exactly zero. For a given number of bytes, `slots` is
    searched and d is as given, by default 4: 25 slots have 400 bytes. With d = 8 or 16 the slots
    would be too few for the tokens of many keys.

    Initially W_c, W_q and W_v are glorot-uniform, and b is zero.

    Attributes:
      features: H, the number of outputs.
      slots: how many inputs are held besides the present input.
      size: d, how many numbers are held per input.
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
        """Return the next state, and the mean of c with the attention as weights, `[B, d]`."""
        seen = jnp.concatenate([terms.c[:, None], state], axis=1)
        # One place must be open: a softmax over -inf alone is NaN.
        filled = jnp.any(seen != 0, axis=-1).at[:, 0].set(True)
        scores = jnp.einsum("bnd,bd->bn", seen, terms.q) + params.b
        attention = jax.nn.softmax(jnp.where(filled, scores, -jnp.inf), axis=-1)
        return seen[:, :-1], jnp.einsum("bn,bnd->bd", attention, seen)

    def read_out(self, params: CacheParams, read: chex.Array, terms: CacheTerms) -> chex.Array:
        return read @ params.W_v


@dataclasses.dataclass(frozen=True)
class FrozenDeltaNet(DeltaNetCell):
    """DeltaNet in which only the parameters after the memory are trained: the gain and W_o.

    Keys, values, queries and beta stay random functions of the input, so the matrix state is
    untrained. The attributes are the same as in `DeltaNetCell`.
    """

    def prepare(self, params: CellParams) -> CellParams:
        return jax.lax.stop_gradient(params)._replace(gain=params.gain, W_o=params.W_o)


@dataclasses.dataclass(frozen=True)
class FrozenLinearAttention(GLACell):
    """GLA in which only the parameters after the memory are trained: W_r, b_r and W_O.

    The attributes are the same as in `GLACell`.
    """

    def prepare(self, params: CellParams) -> CellParams:
        fixed = jax.lax.stop_gradient(params)
        return fixed._replace(W_r=params.W_r, b_r=params.b_r, W_O=params.W_O)


@dataclasses.dataclass(frozen=True)
class FirstWeights(Cell):
    """The LSTM, with a carry that is always computed with the initial weights of the LSTM.

    carry' = step(first, carry, x)[0]       output = step(trained, carry, x)[1]

    The parameters are `first`, the initial weights, and `trained`, the weights that training
    changes. The gradient goes through the carry.

    Attributes:
      features: H, the number of units.
    """

    features: int

    @property
    def lstm(self) -> Cell:
        return build("lstm", {"features": self.features})

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        weights = self.lstm.init(key, input_size)
        return {"first": weights, "trained": weights}

    def prepare(self, params: CellParams) -> CellParams:
        # the gradient goes through the carry, and stops at the weights that make it
        return {**params, "first": jax.lax.stop_gradient(params["first"])}

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        return self.lstm.initial_state(params["first"], batch_size, input_size)

    def step(self, params: CellParams, state: Carry, x: chex.Array) -> tuple[Carry, chex.Array]:
        carry, _ = self.lstm.step(params["first"], state, x)
        return carry, self.lstm.step(params["trained"], state, x)[1]
