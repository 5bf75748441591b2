"""Check a PyTorch layer by running a few steps; a refusal names a line of the layer's file."""

from typing import Any

import jax
import torch

from echo_jax.cells.adapters.torch_adapter import (
    TorchCell,
    batch_axes,
    own_tensors,
    seeded,
    started,
    type_of,
)
from echo_jax.cells.block import Block
from echo_jax.cells.interface import Cell
from echo_jax.cells.user_cell_check import WIDE, Candidate

ROWS = 3  # of the sequences that are tried
STEPS = 6  # of each
CLOSE = 1e-4  # largest difference of a sequence from its steps


def check_layer(cell: Cell, name: str, input_size: int) -> None:
    """Raise ConfigError unless a card can measure `cell`, a PyTorch layer alone or in a block.

    `name` is the name of the cell in messages, and `input_size` the number of features of an input.
    """
    inner = cell.cell if isinstance(cell, Block) else cell
    size = cell.width if isinstance(cell, Block) else input_size
    assert isinstance(inner, TorchCell)
    candidate = Candidate(inner, name)
    with seeded(0), torch.no_grad():
        layer = candidate.attempt(lambda: inner.built(size), rule="fails ({}): fix its code")
        if not isinstance(layer, torch.nn.Module):
            candidate.refuse(
                f"makes an object of type {type(layer).__name__}: return a torch.nn.Module"
            )
        candidate.attempt(lambda: _check(candidate, layer, size))


def _check(candidate: Candidate, layer: Any, size: int) -> None:
    inputs = torch.eye(size)[torch.arange(ROWS * STEPS).view(ROWS, STEPS) * 5 % size]
    _check_parts(candidate, layer)
    started(layer, 1, size)  # which may draw weights too
    first = {name: x.clone() for name, x in layer.state_dict().items()}
    _check_answer(candidate, layer, size, layer(inputs, None))
    _check_seed(candidate, layer, first, candidate.cell.made(size)[0])  # type: ignore[attr-defined]
    _check_steps(candidate, layer, inputs)


def _check_parts(candidate: Candidate, layer: Any) -> None:
    for part in layer.modules():
        if isinstance(part, torch.nn.modules.batchnorm._NormBase):
            candidate.refuse(
                f"has a {type(part).__name__}, which mixes the rows or the steps of a batch: use "
                "LayerNorm or RMSNorm"
            )
    for name, x in layer.named_parameters():
        if x.dtype != torch.float32:
            candidate.refuse(f"has the parameter {name} of type {type_of(x)}: make it float32")


def _check_answer(candidate: Candidate, layer: Any, input_size: int, answer: Any) -> None:
    pair = isinstance(answer, tuple) and len(answer) == 2
    outputs: Any = answer[0] if pair else None
    tensor = isinstance(outputs, torch.Tensor) and outputs.is_floating_point()
    fits = tensor and [*outputs.shape[:-1]] == [ROWS, STEPS] and outputs.numel()
    if not fits or type_of(outputs) in WIDE:
        candidate.refuse(
            f"returns {described(answer)} for inputs {[ROWS, STEPS, input_size]}: return a pair of "
            f"outputs, float32{[ROWS, STEPS, 'H']} as with batch_first=True, and a state"
        )
    own = own_tensors(layer, answer[1])
    if not own:
        candidate.refuse(
            "returns no tensor that counts as its state: return all that it remembers, and let "
            "own_state, if defined, return at least one tensor of it"
        )
    memory = {place(x) for x in jax.tree.leaves(answer[1])}
    if not all(place(x) in memory - {None} and type_of(x) not in WIDE for x in own):
        candidate.refuse(
            "has a state that is not made of tensors of at most 32 bits: let its method "
            "own_state(state) return the tensors that count, or parts of them"
        )
    candidate.attempt(
        lambda: batch_axes(layer, input_size),
        rule="has a tensor in its state without an axis of rows ({}): give every tensor that axis "
        "(was the layer made with batch_first=True?)",
    )
    first = own_tensors(layer, started(layer, ROWS, input_size)[1])
    if [x.shape for x in first] != [x.shape for x in own]:
        candidate.refuse(
            "has a state whose shapes change from step to step: keep the shapes of the state"
        )


def _check_seed(candidate: Candidate, layer: Any, first: dict[str, Any], again: Any) -> None:
    kept = {place(x) for x in layer.parameters() if x.numel()}
    if again is layer or any(place(x) in kept for x in again.parameters()):
        candidate.refuse(
            "is made with parameters of an earlier call, so all seeds would share them: build a "
            "new layer at each call"
        )
    if not all(x.isfinite().all() for x in first.values()):
        candidate.refuse("has initial weights that are not finite: fix how it draws them")
    other = again.state_dict()
    if first.keys() != other.keys() or not all(torch.equal(first[x], other[x]) for x in first):
        candidate.refuse(
            "has different initial weights if it is built twice with one seed: draw them only "
            "with PyTorch's random numbers"
        )


def described(x: Any) -> str:
    """Return the types and shapes in x as words, as in "a tuple of float32[3, 6, 4] and NoneType".

    x is a tensor, any other object, or a tuple of them.
    """
    if isinstance(x, tuple) and x:
        return f"a tuple of {' and '.join(map(described, x))}"
    return f"{type_of(x)}{[*x.shape]}" if isinstance(x, torch.Tensor) else type(x).__name__


def place(x: Any) -> int | None:
    """Return the address of the memory of the tensor x, which its views share.

    The result is None if x is not a tensor.
    """
    return x.untyped_storage().data_ptr() if isinstance(x, torch.Tensor) else None


def _check_steps(candidate: Candidate, layer: Any, inputs: torch.Tensor) -> None:
    """Raise ConfigError unless single steps of a layer give the outputs of the whole batch.

    The layer is also refused if its outputs are not finite, or if they change with PyTorch's
    generator or from call to call. `inputs` are `[ROWS, STEPS, features]`.
    """
    layer.train()  # as Dropout is off in the other mode

    def drawn_by(seed: int) -> torch.Tensor:
        """Return the outputs of the layer, with PyTorch's generator seeded by `seed`."""
        with seeded(seed):
            outputs: torch.Tensor = layer(inputs, None)[0]
            return outputs.clone()

    first, second, other = map(drawn_by, (1, 1, 2))
    if not first.isfinite().all():
        candidate.refuse("returns outputs that are not finite: fix its step")
    if not torch.equal(first, second):
        candidate.refuse(
            "gives different outputs for the same inputs: keep all that it remembers in its state, "
            "and draw no random numbers"
        )
    if not torch.equal(first, other):
        candidate.refuse("draws random numbers in training, as Dropout does: remove that part")
    layer.eval()
    whole, _ = layer(inputs, None)
    stepped = torch.empty_like(whole)
    states = [None] * ROWS
    for t in range(STEPS):  # the rows take turns: memory outside the state would be another's
        for i, x in enumerate(inputs[:, t, None, None]):
            answer, states[i] = layer(x, states[i])
            stepped[i, t] = answer[0, 0]
    away = float((stepped - whole).abs().max())
    if not away <= CLOSE:
        candidate.refuse(
            f"gives a batch outputs that differ from single steps, by up to {away:.2g}: let it see "
            "no later input and no other row, and return all that it remembers in its state"
        )
