"""The questions of layers in PyTorch, which trains and runs them; all else is that of JAX.

learning.init, train_updates     TorchQuestion.init, train_updates     the same data and numbers
ByLag                            TorchByLag      states from PyTorch; heads, recalibration by JAX
ByKey                            TorchByKey      logits from PyTorch; schedules and counts by JAX

Parameters are arrays between calls: the state dict of the layer, which JAX sorts by name, and the
layer that reads it. On the CPU, `in_this_process`.
"""

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn.functional import cross_entropy

from echo_jax.cells.adapters.torch_adapter import array, in_torch, tensor
from echo_jax.cells.interface import Cell
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.core.loss import correct
from echo_jax.core.network import Params
from echo_jax.core.training import ADAM, TrainState
from echo_jax.exceptions import ConfigError
from echo_jax.memory.by_key import ByKey, KeySets, Pairs
from echo_jax.memory.by_lag import ByLag, earlier_tokens
from echo_jax.memory.learning import Level, Metrics, RunInputs, TrainedSoFar, next_batches
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.scoring import Rounding, rounded


@contextlib.contextmanager
def in_this_process(cluster: str | None) -> Iterator[None]:
    """Within it PyTorch has one thread an operation, which fixes the order of sums.

    ConfigError for a cluster, to which no layer is sent.
    """
    if cluster:
        raise ConfigError("cluster", cluster, "trains no layers of PyTorch", "leave it out")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Network(torch.nn.Module):
    """A layer, fed one-hot tokens, and the linear layer that reads its state or its outputs."""

    def __init__(self, question: Any, params: Params, seed: int) -> None:
        """A network with the linear layer of `params`, and a layer with the weights of a seed."""
        super().__init__()
        self.tokens = question.network.input_size
        self.reader = question.reader
        self.cell = in_torch(question.network.cell, params["cell"], self.tokens, seed)
        self.kernel, self.bias = (
            torch.nn.Parameter(tensor(params[self.reader][name])) for name in ("kernel", "bias")
        )

    def arrays(self) -> Params:
        """The parameters and buffers as arrays."""
        cell = {name: array(x) for name, x in self.cell.state_dict().items()}
        return {"cell": cell, self.reader: {"kernel": array(self.kernel), "bias": array(self.bias)}}

    def forward(self, tokens: torch.Tensor, state: Any = None) -> Any:
        """Tokens int64 `[B, T]` to outputs `[B, T, H]` and the next state."""
        return self.cell(torch.nn.functional.one_hot(tokens, self.tokens).float(), state)

    def read(self, x: torch.Tensor) -> torch.Tensor:
        """The answers of the linear layer on states or outputs `[..., D]`."""
        return x @ self.kernel + self.bias

    def flat_state(self, state: Any) -> torch.Tensor:
        """As `by_lag.flat_state`: the numbers of a state, float32 `[B, D]`."""
        own = self.cell.own(state)
        reals = [x for z in own for x in ((z.real, z.imag) if z.is_complex() else (z,))]
        return torch.cat([x.flatten(1).float() for x in reals], 1)


def at_steps(network: Network, tokens: torch.Tensor) -> Iterator[tuple[torch.Tensor, Any]]:
    """The outputs `[B, H]` and the state after each step, one step a call, of B streams."""
    state = None
    for now in tokens.split(1, 1):
        outputs, state = network(now, state)
        yield outputs[:, 0], state


def bytes_of(network: Network, state: Any) -> int:
    """The bytes of the state of one row."""
    return sum(x[0].nbytes for x in network.cell.own(state))


class TorchQuestion:
    """Training of the network of a question in PyTorch."""

    protocol: Protocol
    reader: str
    """The name of the linear layer among the parameters."""

    def __init__(self, *of: Any) -> None:
        """The question of these arguments, with its batches drawn by a compiled function."""
        super().__init__(*of)
        question: Any = self
        self.init_params = jax.jit(super().init_params)  # type: ignore[misc]
        self.batches = jax.jit(functools.partial(next_batches, question))

    def init(self, run: RunInputs) -> TrainedSoFar:
        """The state before the first update."""
        network = self.fresh(run.seed)
        adam = torch.optim.Adam(
            network.parameters(), betas=(ADAM["b1"], ADAM["b2"]), eps=ADAM["eps"], fused=True
        )
        state = TrainState(0, network.arrays(), (network, adam))
        return TrainedSoFar(state, Level(jnp.int32(2), jnp.float32(0)))

    def train_updates(self, run: RunInputs, progress: TrainedSoFar) -> tuple[TrainedSoFar, Metrics]:
        """The next `updates_at_once`, as `learning.train_updates`."""
        question: Any = self
        (step, _, (network, adam)), level = progress
        network.train()
        batches = jax.device_get(self.batches(purpose_key(run.seed, Purpose.DATA), step))
        losses = []
        for i in range(self.protocol.updates_at_once):
            batch = jax.tree.map(lambda x, i=i: x[i], batches)
            done = np.float32(step + i) / np.float32(run.updates)
            loss, level = question.torch_loss(network, batch, level, run, done)
            adam.zero_grad()
            loss.backward()
            clip(network, self.protocol.largest_norm)
            adam.param_groups[0]["lr"] = float(run.rate) * (1 + math.cos(math.pi * done)) / 2
            adam.step()
            losses.append(loss.item())
        step += self.protocol.updates_at_once
        state = TrainState(step, network.arrays(), (network, adam))
        associated = question.associated(state.params, run.seed)
        return TrainedSoFar(state, level), Metrics(np.array(losses), associated)

    def fresh(self, seed: chex.Numeric) -> Network:
        """The network before training: the layer as PyTorch starts it, all around it as JAX."""
        params = self.init_params(purpose_key(seed, Purpose.WEIGHTS))
        return Network(self, params, int(seed))

    def trained(self, params: Params) -> Network:
        """The network of trained parameters, as it is scored."""
        network = self.fresh(0)
        cell = {f"cell.{name}": x for name, x in params["cell"].items()}
        every = {name: tensor(x) for name, x in (cell | params[self.reader]).items()}
        network.load_state_dict(every)
        return network.eval()


def clip(network: Network, largest_norm: float) -> None:
    """Scale the gradient down where its norm is larger, as `optax.clip_by_global_norm`."""
    gradients = [x.grad for x in network.parameters() if x.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm >= largest_norm:
        for gradient in gradients:
            gradient.mul_(largest_norm / norm)


class TorchByLag(TorchQuestion, ByLag):
    """By lag, of a layer in PyTorch."""

    reader = "heads"

    def __init__(self, cell: Cell, protocol: Protocol) -> None:
        """Compile what JAX makes of states."""
        super().__init__(cell, protocol)
        self.answers = jax.jit(super().answers)  # type: ignore[method-assign]
        self.nats = jax.jit(super().nats)  # type: ignore[method-assign]
        # The tensors that count are a list, which is the whole state of a bare cell.
        self.rounded = jax.jit(jax.vmap(functools.partial(rounded, Cell()), (0, None)))

    def torch_loss(
        self, network: Network, streams: np.ndarray, level: Level, run: RunInputs, done: float
    ) -> tuple[torch.Tensor, Level]:
        """As `ByLag.loss`."""
        del run, done
        states = self.states_in_chunks(network, streams)
        variance, mean = torch.var_mean(states, (0, 1), correction=0)
        logits = network.read((states - mean) / (variance + self.protocol.smallest_variance).sqrt())
        targets = tensor(earlier_tokens(self.protocol, streams)).long()
        return cross_entropy(logits.view(-1, self.protocol.symbols), targets.flatten()), level

    def states_in_chunks(self, network: Network, streams: np.ndarray) -> torch.Tensor:
        """As `ByLag.states`, in which it is trained: the state is read after each call."""
        first, between = self.protocol.asked[0] + 1, self.protocol.asked_every
        chunks = [first, *[between] * (self.protocol.asked_steps - 1)]
        state, found = None, []
        for tokens in tensor(streams).long().split(chunks, 1):
            _, state = network(tokens, state)
            found.append(network.flat_state(state))
        return torch.stack(found, 1)

    @torch.no_grad()
    def states(self, params: Params, streams: chex.Array) -> chex.Array:
        """As `ByLag.states`."""
        return jnp.asarray(array(self.states_in_chunks(self.trained(params), streams)))

    @torch.no_grad()
    def states_by_steps(
        self, params: Params, sets: Sequence[chex.Array], rounding: Rounding | None = None
    ) -> tuple[list[chex.Array], chex.Array]:
        """As `ByLag.states_by_steps`."""
        network = self.trained(params)
        kept = []
        tokens = torch.cat([tensor(x).long() for x in sets])
        for step, (_, state) in enumerate(at_steps(network, tokens)):
            if rounding:
                self.round(network.cell.own(state), rounding)
            if step in self.protocol.asked:
                kept.append(array(network.flat_state(state)))
        states = jnp.split(jnp.stack(kept, 1), np.cumsum([*map(len, sets[:-1])]))
        return states, jnp.int32(bytes_of(network, state))

    def round(self, own: list[torch.Tensor], rounding: Rounding) -> None:
        """Round the tensors of a state, in place; as `scoring.rounded`."""
        for x, found in zip(own, self.rounded(list(map(array, own)), rounding), strict=True):
            x.copy_(tensor(found))


class TorchByKey(TorchQuestion, ByKey):
    """By key, of a layer in PyTorch."""

    reader = "readout"

    def __init__(self, cell: Cell, protocol: Protocol, most: int) -> None:
        """Compile what JAX makes of batches and logits."""
        super().__init__(cell, protocol, most)
        self.asked = jax.jit(super().asked)  # type: ignore[method-assign]
        self.pairs_shown = jax.jit(super().pairs_shown)  # type: ignore[method-assign]
        self.next_level = jax.jit(super().next_level)  # type: ignore[method-assign]

    def torch_loss(
        self, network: Network, batch: Pairs, level: Level, run: RunInputs, done: float
    ) -> tuple[torch.Tensor, Level]:
        """As `ByKey.loss`."""
        pairs = self.pairs_shown(level, run, done)
        asked = self.asked(batch, pairs)
        logits = network.read(network(tensor(asked.tokens).long())[0])
        level = self.next_level(level, run, pairs, asked, array(logits))
        scored = tensor(asked.scored)
        return cross_entropy(logits[scored], tensor(asked.targets).long()[scored]), level

    @torch.no_grad()
    def logits(self, params: Params, tokens: chex.Array) -> chex.Array:
        """As `ByKey.logits`."""
        network = self.trained(params)
        return jnp.asarray(array(network.read(network(tensor(tokens).long())[0])))

    @torch.no_grad()
    def answers_by_steps(
        self, params: Params, streams: chex.Array
    ) -> tuple[chex.Array, chex.Array]:
        """As `ByKey.answers_by_steps`."""
        network = self.trained(params)
        found, carried = [], 0
        for outputs, state in at_steps(network, tensor(streams).long()):
            found.append(network.read(outputs).argmax(-1))
            carried = bytes_of(network, state)
        return jnp.asarray(array(torch.stack(found, 1)), jnp.int32), jnp.int32(carried)

    def scan_accuracy(self, params: Params, sets: KeySets) -> chex.Array:
        """As `ByKey.scan_accuracy`."""
        asked = sets.validation
        each = [self.logits(params, x) for x in asked.tokens]
        is_right = correct(jnp.stack(each), asked.targets) & asked.scored
        return jnp.sum(is_right) / jnp.sum(asked.scored)
