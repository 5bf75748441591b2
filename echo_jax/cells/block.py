"""A common small block around any cell, itself a cell.

x    = x_in W_in                      the input of the block
u    = silu(conv(RMSNorm(x)))         in each layer
x    = x + cell(u) W + b
x    = x + gelu(RMSNorm(x) W1) W2
y    = RMSNorm(x)                     after the last layer
"""

import bisect
import dataclasses
from typing import Any, ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import (
    Carry,
    Cell,
    Mask,
    at_least,
    is_tokens,
    scan_over_time,
)
from echo_jax.cells.linear_layers import rms_norm
from echo_jax.cells.trained_numbers import trained_arrays, trained_numbers
from echo_jax.exceptions import ConfigError

CONVOLVED = 4
"""The number of inputs that the convolution of a layer sees."""

MOST_LAYERS = 1000

WIDTH = 32  # of the common block
WIDEST = 4096  # that is tried


class LayerParams(NamedTuple):
    """The parameters of a layer of width D around a cell with H outputs, whose inputs are `[B, D]`.

    norm       `[D]`, the gains of the RMSNorm before the convolution
    conv       `[4, D]`, a filter for each of the D channels, for the newest input first
    conv_bias  `[D]`, the biases of the convolution
    cell       the parameters of the cell
    W, b       `[H, D]` and `[D]`, the linear layer from the outputs of the cell
    mlp_norm   `[D]`, the gains of the RMSNorm before the MLP
    W1, W2     `[D, 2D]` and `[2D, D]`, the two linear layers of the MLP
    """

    norm: chex.Array
    conv: chex.Array
    conv_bias: chex.Array
    cell: Any
    W: chex.Array
    b: chex.Array
    mlp_norm: chex.Array
    W1: chex.Array
    W2: chex.Array


class BlockParams(NamedTuple):
    """The parameters of a block of width D for inputs of F features.

    W_in    `[F, D]`, the input weights
    layers  the parameters of each layer
    norm    `[D]`, the gains of the last RMSNorm
    """

    W_in: chex.Array
    layers: tuple[LayerParams, ...]
    norm: chex.Array


class LayerState(NamedTuple):
    """The state of a layer.

    conv  the last three inputs of the convolution, newest first, `[B, 3, D]`
    cell  the state of the cell
    """

    conv: chex.Array
    cell: Carry


@dataclasses.dataclass(frozen=True)
class Block(Cell):
    """A block of pre-norm residual layers, each with a short convolution, a cell and an MLP.

    The convolution is causal and depthwise, of four inputs, as in Mamba (Gu & Dao 2023) and gated
    DeltaNet (Yang et al. 2025); RMSNorm is that of Zhang & Sennrich 2019. Kernels start
    LeCun-normal, filters uniform between -1/2 and 1/2 (as `torch.nn.Conv1d`), biases at zero, gains
    at 1. RMSNorm has an epsilon of 1e-6, and gelu is the tanh approximation.

    The state holds the last inputs of every convolution and the state of every cell, so streaming
    equals training.

    The block is the same for all cells; docs/cells.md says what the authors of each cell do
    instead. The cells of all layers start like the first layer of their authors. In the authors'
    code, mu and w0 of RWKV-7 and the forget biases of the sLSTM depend on the layer, W_down of the
    mLSTM is divided by the number of layers, and RWKV-7 adds the values of its first layer to the
    values of later layers.

    Attributes:
      cell: the cell of every layer; each layer has separate weights.
      width: D, the number of features of the residual stream and of the outputs.
      layers: the number of layers.
      parameters: the number of trained numbers in the cells and the block, without W_in; it decides
        `width`, and the nearest width must come within 1%. None: `width` is as given.
    """

    cell: Cell
    width: int = WIDTH
    layers: int = 1
    parameters: int | None = None
    has_scan: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("framework", "names", "prepared_once"):
            # The dataclass is frozen, and these are no fields of it.
            object.__setattr__(self, name, getattr(self.cell, name))
        at_least(1, self, "width", "layers")
        if self.layers > MOST_LAYERS:  # a stranger's run or card may state any number
            rule = f"is above {MOST_LAYERS:,}"
            raise ConfigError(None, f"layers {self.layers}", rule, f"use {MOST_LAYERS} or fewer")
        if self.parameters is not None:
            at_least(1, self, "parameters")
            object.__setattr__(self, "width", self._width_for(self.parameters))

    def _width_for(self, parameters: int) -> int:
        """Return the width with which the number of trained numbers is nearest to `parameters`.

        Raises ConfigError if this number is not within 1% of `parameters`, or if the user gave
        another width.
        """
        # Asked once, at the default width: which arrays are trained does not depend on sizes.
        trained = trained_arrays(Block(self.cell, layers=self.layers), 1)

        def count(width: int) -> int:
            # For inputs of one feature W_in is a row of `width` numbers, which do not count.
            return trained_numbers(Block(self.cell, width, self.layers), 1, trained) - width

        # The first width with enough numbers: the nearest is this one or the one before.
        above = bisect.bisect_left(range(1, WIDEST), parameters, key=count) + 1
        width = min(range(max(1, above - 1), above + 1), key=lambda n: abs(count(n) - parameters))
        if abs((found := count(width)) - parameters) > 0.01 * parameters:
            rule = f"is not within 1% of any width's parameters: width {width} has {found:,}"
            raise ConfigError(None, f"parameters {parameters}", rule, f"use {found}")
        if self.width not in (WIDTH, width):
            rule = f"needs width {width}, but width {self.width} is given"
            raise ConfigError(None, f"parameters {parameters}", rule, "leave width out")
        return width

    @property
    def source(self) -> Any:
        return self.cell.source

    @property
    def options(self) -> Any:
        return self.cell.options

    @property
    def key_value_sizes(self) -> tuple[int, int] | None:
        return self.cell.key_value_sizes

    def bytes_apart(self, input_size: int) -> int:
        """Return the bytes of the convolutions' last inputs, and the `bytes_apart` of all cells."""
        last_inputs = 4 * (CONVOLVED - 1) * self.width
        return self.layers * (last_inputs + self.cell.bytes_apart(self.width))

    def init(self, key: chex.PRNGKey, input_size: int) -> BlockParams:
        key, *keys = jax.random.split(key, 1 + self.layers)
        w_in = jax.nn.initializers.lecun_normal()(key, (input_size, self.width))
        layers = tuple(self._init_layer(each) for each in keys)
        return BlockParams(w_in, layers, jnp.ones(self.width))

    def _init_layer(self, key: chex.PRNGKey) -> LayerParams:
        d = self.width
        lecun = jax.nn.initializers.lecun_normal()
        for_cell, for_conv, *keys = jax.random.split(key, 5)
        cell = self.cell.init(for_cell, d)
        # As PyTorch does: within 1 / sqrt(inputs), and a depthwise filter has one input a step.
        bound = CONVOLVED**-0.5
        return LayerParams(
            norm=jnp.ones(d),
            conv=jax.random.uniform(for_conv, (CONVOLVED, d), minval=-bound, maxval=bound),
            conv_bias=jnp.zeros(d),
            cell=cell,
            W=lecun(keys[0], (self.cell.output_size(cell, d), d)),
            b=jnp.zeros(d),
            mlp_norm=jnp.ones(d),
            W1=lecun(keys[1], (d, 2 * d)),
            W2=lecun(keys[2], (2 * d, d)),
        )

    def initial_state(
        self, params: BlockParams, batch_size: int, input_size: int
    ) -> tuple[LayerState, ...]:
        """Return, for each layer, zeros as last inputs and the initial state of the cell."""
        zeros = jnp.zeros((batch_size, CONVOLVED - 1, self.width))
        states = (self.cell.initial_state(x.cell, batch_size, self.width) for x in params.layers)
        return tuple(LayerState(zeros, state) for state in states)

    def output_size(self, params: BlockParams, input_size: int) -> int:
        return self.width

    def prepare(self, params: BlockParams) -> BlockParams:
        layers = (x._replace(cell=self.cell.prepare(x.cell)) for x in params.layers)
        return params._replace(layers=tuple(layers))

    def step(
        self, params: BlockParams, state: tuple[LayerState, ...], x: chex.Array
    ) -> tuple[tuple[LayerState, ...], chex.Array]:
        """Return the next state, and the outputs `[B, D]`, after a step from inputs x, `[B, F]`."""
        x = x @ params.W_in
        states = []
        for layer, before in zip(params.layers, state, strict=True):
            conv, convolved = convolve(layer, before.conv, normed(x, layer.norm))
            cell, y = self.cell.step(layer.cell, before.cell, jax.nn.silu(convolved))
            x = residual(layer, x, y)
            states.append(LayerState(conv, cell))
        return tuple(states), normed(x, params.norm)

    def scan(
        self,
        params: BlockParams,
        state: tuple[LayerState, ...],
        xs: chex.Array,
        mask: Mask = None,
    ) -> tuple[tuple[LayerState, ...], chex.Array]:
        """Return the last state and all outputs `[T, B, D]`, as `Cell.scan` does.

        The inputs `xs` are `[T, B, F]`, or tokens `[T, B]`. All steps of a layer are made before
        the steps of the next layer.
        """
        x = params.W_in[xs] if is_tokens(xs) else xs @ params.W_in
        states = []
        for layer, before in zip(params.layers, state, strict=True):
            conv, convolved = convolve_all(layer, before.conv, normed(x, layer.norm), mask)
            cell, y = self.cell.scan(layer.cell, before.cell, jax.nn.silu(convolved), mask)
            x = residual(layer, x, y)
            states.append(LayerState(conv, cell))
        return tuple(states), normed(x, params.norm)


def normed(x: chex.Array, gains: chex.Array) -> chex.Array:
    """Return the RMSNorm of the vectors x, `[..., D]`, times the gains `[D]`."""
    return rms_norm(x, 1e-6) * gains


def residual(layer: LayerParams, x: chex.Array, y: chex.Array) -> chex.Array:
    """Return the stream x, `[..., D]`, after the cell and the MLP of `layer` are added to it.

    `y` is the output of the cell, `[..., H]`.
    """
    x = x + y @ layer.W + layer.b
    return x + jax.nn.gelu(normed(x, layer.mlp_norm) @ layer.W1) @ layer.W2


def convolve(layer: LayerParams, past: chex.Array, x: chex.Array) -> tuple[chex.Array, chex.Array]:
    """Return the last three inputs after a step, `[B, 3, D]`, and the step's convolution, `[B, D]`.

    `layer` has the filters and biases. `past` is the last three inputs before the step, newest
    first, `[B, 3, D]`, and `x` is the input of the step, `[B, D]`.
    """
    seen = jnp.concatenate([x[:, None], past], axis=1)
    return seen[:, :-1], jnp.sum(seen * layer.conv, axis=1) + layer.conv_bias


def convolve_all(
    layer: LayerParams, past: chex.Array, xs: chex.Array, mask: Mask
) -> tuple[chex.Array, chex.Array]:
    """Return the last three inputs `[B, 3, D]`, and the convolution at all steps `[T, B, D]`.

    `layer` has the filters and biases. `past` is the three inputs before `xs`, newest first, and
    `xs` are the inputs, `[T, B, D]`. With a mask, steps are made one by one, and a step where
    `mask` is False leaves the last inputs as they are.
    """
    if mask is not None:
        # An absent step does not shift the past of its row, so no one shift fits all rows.
        return scan_over_time(lambda past, x: convolve(layer, past, x), past, xs, mask)
    before = CONVOLVED - 1
    seen = jnp.concatenate([jnp.flip(past.swapaxes(0, 1), 0), xs])  # oldest first
    # `seen` begins three inputs before the first: from 3 - n on it is x of n steps back.
    shifted = (seen[before - n :][: len(xs)] * layer.conv[n] for n in range(CONVOLVED))
    newest_first = jnp.flip(seen[-before:], 0).swapaxes(0, 1)
    return newest_first, sum(shifted) + layer.conv_bias
