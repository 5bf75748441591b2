"""Adapt a PyTorch layer as a `Cell`: JAX sees only shapes; weights and steps are PyTorch's.

    y, state = layer(x, state)    x float32 [B, T, F], state None at first, y [B, T, H]

`torch_check` refuses layers of any other form.
"""

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import torch

from echo_jax.cells.adapters.built_cell import BuiltCell
from echo_jax.cells.block import CONVOLVED, Block
from echo_jax.cells.interface import Carry, CellParams

_DRAWING = threading.RLock()  # PyTorch draws weights from one generator of the process


@dataclasses.dataclass(frozen=True)
class TorchCell(BuiltCell):
    """A layer that a function or a class makes for an input size, called like a batch-first GRU.

    If the layer has a method `own_state(state)`, only the tensors that the method returns count as
    its state; otherwise all tensors of the state count. `bytes_apart` returns the bytes of the
    other tensors, such as the last inputs of a convolution.
    """

    framework: ClassVar[str | None] = "torch"

    def built(self, input_size: int) -> Any:
        """Return a new module for inputs of `input_size` features.

        The module draws from PyTorch's generator in its present state.
        """
        return self.cell_class(input_size, **dict(self.given))

    def made(self, input_size: int, seed: int = 0, count: int = 1) -> list[Any]:
        """Return `count` new layers for inputs of `input_size` features, drawn with `seed`.

        Each layer is called once, because a layer may draw weights at its first call.
        """
        with seeded(seed):
            layers = [self.built(input_size) for _ in range(count)]
            for layer in layers:
                started(layer, 1, input_size)
            return layers

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        """Return zeros with the names and shapes of the parameters; `made` draws the weights."""
        return {k: jnp.zeros(shape) for k, shape in shapes_of(self, input_size).parameters.items()}

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> Carry:
        """Return an array of zeros, `[B, n]`, for each tensor that counts as state.

        n is the number of values that the tensor holds for one row.
        """
        own = shapes_of(self, input_size).state
        return [jnp.zeros((batch_size, numbers), kind) for numbers, kind in own]

    def output_size(self, params: CellParams, input_size: int) -> int:
        return shapes_of(self, input_size).outputs

    def bytes_apart(self, input_size: int) -> int:
        """Return how many bytes of a row's state `own_state` leaves out."""
        return shapes_of(self, input_size).bytes_apart


class Shapes(NamedTuple):
    """The shapes of a layer that was built; the layer itself is not kept, as it may change.

    parameters   the shape of each trained parameter, by name
    state        how many numbers of a row each tensor that counts has, and the type of the numbers
    outputs      the number of features of an output
    bytes_apart  the bytes of the tensors of a row's state that do not count
    """

    parameters: Mapping[str, tuple[int, ...]]
    state: Sequence[tuple[int, str]]  # numbers of a row, and their type, of each tensor that counts
    outputs: int
    bytes_apart: int


@functools.lru_cache(maxsize=64)
def shapes_of(cell: TorchCell, input_size: int) -> Shapes:
    """Return the shapes of the layer `cell` for inputs of `input_size` features.

    The shapes are kept, because building the layer may take long.
    """
    (layer,) = cell.made(input_size)
    outputs, state = started(layer, 1, input_size)
    own = own_tensors(layer, state)
    every = sum(x.nbytes for x in jax.tree.leaves(state) if isinstance(x, torch.Tensor))
    return Shapes(
        {name: tuple(x.shape) for name, x in layer.named_parameters() if x.requires_grad},
        [(x.numel(), type_of(x)) for x in own],
        outputs.shape[-1],
        every - sum(x.nbytes for x in own),
    )


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let PyTorch draw with `seed` in this context, which only one thread at a time can enter.

    After the context, PyTorch's generator continues as if nothing had been drawn.
    """
    # No devices: by default the generators of all GPUs are stored and put back too.
    with _DRAWING, torch.random.fork_rng(devices=[]):
        # Not `torch.manual_seed`, which seeds the GPUs as well: the fork would not put those back.
        torch.default_generator.manual_seed(seed)
        yield


def type_of(x: torch.Tensor) -> str:
    """Return the name that JAX gives to the type of the numbers in x, such as float32."""
    return str(x.dtype).removeprefix("torch.")


@torch.no_grad()
def started(layer: Any, rows: int, input_size: int) -> Any:
    """Return what `layer` returns for one step: the outputs `[rows, 1, H]` and the state.

    The inputs of the step are zeros, `[rows, 1, input_size]`.
    """
    return layer(torch.zeros(rows, 1, input_size), None)


def own_tensors(layer: Any, state: Any) -> list[torch.Tensor]:
    """Return the tensors of `state` that count: the result of the layer's `own_state`, or all."""
    return jax.tree.leaves(layer.own_state(state) if hasattr(layer, "own_state") else state)


def batch_axes(layer: Any, input_size: int) -> list[int]:
    """Return the index of the batch axis of each tensor of the state that counts.

    `layer` gets inputs of `input_size` features. Raises ValueError if a tensor has no batch axis.
    """
    two, three = (own_tensors(layer, started(layer, n, input_size)[1]) for n in (2, 3))
    sizes = [[*zip(a.shape, b.shape, strict=True)] for a, b in zip(two, three, strict=True)]
    # Batches of 2 and of 3 differ in one axis alone, that of the rows.
    return [of.index((2, 3)) for of in sizes]


class TorchBlock(torch.nn.Module):
    """The equations of `cells.block.Block` in PyTorch, around PyTorch layers."""

    def __init__(self, block: Block, params: CellParams, seed: int) -> None:
        """Make the module of `block`, whose cell is a `TorchCell`.

        `params` are the initial weights of the block, and `seed` draws the weights of the cells.
        """
        super().__init__()
        made = block.cell.made(block.width, seed, block.layers)  # type: ignore[attr-defined]
        self.cells = torch.nn.ModuleList(made)
        each = [{k: x for k, x in of._asdict().items() if k != "cell"} for of in params.layers]
        self.layers = torch.nn.ModuleList(map(parameters, each))
        self.ends = parameters({"W_in": params.W_in, "norm": params.norm})

    def forward(self, x: torch.Tensor, state: Any) -> Any:
        """Return the outputs `[B, T, D]`, and the state of each layer.

        The state of a layer is a pair: the last inputs of its convolution, `[B, 3, D]`, and the
        state of its cell. The inputs x are `[B, T, F]`. `state` is the second result of an earlier
        call, or None.
        """
        x = x @ self.ends["W_in"]
        nothing = x.new_zeros(len(x), CONVOLVED - 1, x.shape[-1])
        before = state or [(nothing, None)] * len(self.cells)
        after = []
        for cell, p, (past, inner) in zip(self.cells, self.layers, before, strict=True):
            seen = torch.cat([past, normed(x, p["norm"])], 1)
            y, next_inner = cell(torch.nn.functional.silu(convolved(p, seen)), inner)
            x = x + y @ p["W"] + p["b"]
            up = torch.nn.functional.gelu(normed(x, p["mlp_norm"]) @ p["W1"], approximate="tanh")
            x = x + up @ p["W2"]
            after.append((seen[:, 1 - CONVOLVED :], next_inner))
        return normed(x, self.ends["norm"]), after

    def own_state(self, state: Any) -> list[list[torch.Tensor]]:
        """Return, for each layer, the tensors of the cell's state that count."""
        return [own_tensors(cell, own) for cell, (_, own) in zip(self.cells, state, strict=True)]


def module_of(cell: Any, params: CellParams, input_size: int, seed: int) -> Any:
    """Return the module of `cell`, a PyTorch layer or a block around one.

    `input_size` is the number of features of an input. `seed` draws the weights of the layer, and
    `params` are the parameters of the block, which a layer alone does not use.
    """
    if isinstance(cell, Block):
        return TorchBlock(cell, params, seed)
    return cell.made(input_size, seed)[0]


def parameters(arrays: Mapping[str, Any]) -> torch.nn.ParameterDict:
    """Return `arrays`, by name, as parameters of a PyTorch module."""
    return torch.nn.ParameterDict({name: tensor(x) for name, x in arrays.items()})


def tensor(array: Any) -> torch.Tensor:
    """Return a copy of `array`, of NumPy or JAX, as a tensor."""
    return torch.from_numpy(np.array(array))


def array(x: torch.Tensor) -> np.ndarray:
    """Return a copy of the tensor x as a NumPy array; bfloat16 becomes float32."""
    found: np.ndarray = (x.float() if x.dtype == torch.bfloat16 else x).detach().numpy().copy()
    return found


def normed(x: torch.Tensor, gains: torch.Tensor) -> torch.Tensor:
    """Return the RMSNorm of the vectors x, `[..., D]`, times the gains `[D]`."""
    return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * gains


def convolved(p: torch.nn.ParameterDict, seen: torch.Tensor) -> torch.Tensor:
    """Return the convolution, `[B, T, D]`, at the last T steps of `seen`.

    `seen` is `[B, 3 + T, D]`, oldest first. `p` has the filters `conv` and the biases `conv_bias`.
    """
    steps = seen.shape[1] - (CONVOLVED - 1)
    # `seen` is oldest first, and the rows of the filter newest first, as in `Block`.
    newest_last = zip(p["conv"].flip(0), range(CONVOLVED), strict=True)
    return sum(seen[:, n : n + steps] * row for row, n in newest_last) + p["conv_bias"]
