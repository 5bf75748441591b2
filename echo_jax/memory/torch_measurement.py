"""Measure layers of PyTorch: PyTorch trains and runs the layers, and JAX computes the rest.

measurement.init, train_updates  TorchMeasurement.init, train_updates: equal data and numbers
LagMeasurement                   TorchLagMeasurement: states from PyTorch; heads by JAX
KeyMeasurement                   TorchKeyMeasurement: logits from PyTorch; levels, counts by JAX

Between calls, parameters are arrays: the state dict of the layer, which JAX sorts by name, and the
state dict of the linear layer that reads it. Networks run on the CPU, within `InTorch.settings`.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import torch
from torch.nn.functional import cross_entropy

from echo_jax.cells.adapters.torch_adapter import (
    array,
    batch_axes,
    module_of,
    own_tensors,
    parameters,
    tensor,
)
from echo_jax.cells.interface import Cell
from echo_jax.cells.torch_check import check_layer
from echo_jax.cells.user_cell_check import Candidate
from echo_jax.exceptions import ConfigError
from echo_jax.learner.loss import correct
from echo_jax.learner.network import Params
from echo_jax.learner.random_tokens import Purpose, purpose_key
from echo_jax.learner.update import ADAM, TrainState
from echo_jax.memory.by_key.key_measurement import KeyMeasurement
from echo_jax.memory.by_lag.lag_measurement import LagMeasurement, earlier_tokens
from echo_jax.memory.measurement import Losses, Measurement, MeasurementPrograms, RunInputs, Sets
from echo_jax.memory.protocol import QuestionName


class TorchNetwork(torch.nn.Module):
    """A layer, fed one-hot tokens, and the linear layer that reads its state or its outputs."""

    def __init__(self, measurement: Any, seed: int) -> None:
        """Build the network of `measurement` with the initial weights of `seed`.

        PyTorch draws the weights of the layer, and JAX draws the weights of the linear layer.
        """
        super().__init__()
        params = measurement.init_params(purpose_key(seed, Purpose.WEIGHTS))
        cell, self.tokens = measurement.network.cell, measurement.network.input_size
        (self.reader,) = params.keys() - {"cell"}
        reads = params[self.reader]
        self.add_module(self.reader, parameters({x: reads[x] for x in ("kernel", "bias")}))
        self.cell = module_of(cell, params["cell"], self.tokens, seed)
        self.axes = batch_axes(self.cell, self.tokens)

    def arrays(self) -> Params:
        """Return the parameters and buffers as arrays, in a dictionary for each of the layers."""
        parts = {part: dict(x.state_dict()) for part, x in self.named_children()}
        return jax.tree.map(array, parts)

    def forward(self, tokens: torch.Tensor, state: Any = None) -> Any:
        """Return the outputs `[B, T, H]` for `tokens` int64 `[B, T]`, and the next state.

        `state` is the state before the tokens; None starts a sequence.
        """
        return self.cell(torch.nn.functional.one_hot(tokens, self.tokens).float(), state)

    def read(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of the linear layer for `x`, states or outputs `[..., D]`."""
        of = self.get_submodule(self.reader)
        return x @ of["kernel"] + of["bias"]

    def own(self, state: Any) -> list[torch.Tensor]:
        """Return views of the tensors of `state` that the layer counts as state, `[B, ...]`."""
        each = zip(own_tensors(self.cell, state), self.axes, strict=True)
        return [x.movedim(axis, 0) for x, axis in each]


def flat(own: list[torch.Tensor]) -> torch.Tensor:
    """Return the numbers of the tensors `own`, `[B, ...]`, side by side, float32 `[B, D]`.

    A complex number becomes two, as in `flat_state`.
    """
    reals = [x for z in own for x in ((z.real, z.imag) if z.is_complex() else (z,))]
    return torch.cat([x.flatten(1).float() for x in reals], 1)


def bytes_of(own: list[torch.Tensor]) -> chex.Array:
    """Return the bytes of one row of the tensors `own`, `[B, ...]`."""
    return jnp.int32(sum(x[0].nbytes for x in own))


def calls(
    network: TorchNetwork, streams: Any, steps: int | list[int]
) -> Iterator[tuple[torch.Tensor, list[torch.Tensor]]]:
    """Yield the outputs of each call of `network`, `[B, n, H]`, and the tensors of the next state.

    The `streams` `[B, T]` are cut into calls of n steps: `steps` is n, or a list with the n of each
    call. The next call sees changes made to the yielded tensors.
    """
    state = None
    for tokens in tensor(streams).long().split(steps, 1):
        outputs, state = network(tokens, state)
        yield outputs, network.own(state)


class TorchMeasurement(Measurement):
    """A measurement whose network PyTorch trains."""

    platform = "cpu"

    def torch_loss(
        self, network: TorchNetwork, key: chex.PRNGKey, done: chex.Numeric
    ) -> torch.Tensor:
        """Return the loss of `network` on the batch of `key`, as `loss` does in JAX.

        `done` is the share of updates made.
        """

    def check(self, name: str) -> None:
        """Raise ConfigError, about the layer called `name`, unless the layer can be trained."""
        Candidate(self.network.cell, name).attempt(self.try_update)

    def programs(self, name: str) -> MeasurementPrograms:
        """Return the functions of the measurement; only the draw of data sets is compiled.

        The other functions raise ConfigError, which calls the layer `name`, if the layer fails.
        """
        attempt = Candidate(self.network.cell, name).attempt

        def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *given: attempt(lambda: function(*given))

        init, block = guarded(self.init), guarded(self.train_updates)
        scores = map(guarded, (self.score, self.scan_accuracy, self.at_once))
        return MeasurementPrograms(self, 0, init, block, jax.jit(self.draw_sets), *scores)

    def init(self, run: RunInputs) -> TrainState:
        """Return the training state of `run` before the first update."""
        network = TorchNetwork(self, int(run.seed))
        adam = torch.optim.Adam(
            network.parameters(), betas=(ADAM["b1"], ADAM["b2"]), eps=ADAM["eps"], fused=True
        )
        return TrainState(0, network.arrays(), (network, adam))

    def train_updates(self, run: RunInputs, progress: TrainState) -> tuple[TrainState, Losses]:
        """Make the next `updates_at_once` updates of `run`; return the new state and the losses.

        `progress` is the state before the updates. `measurement.train_updates` makes such updates
        in JAX.
        """
        step, _, (network, adam) = progress
        network.train()
        key = purpose_key(run.seed, Purpose.DATA)
        losses = []
        for i in range(step, step + self.protocol.updates_at_once):
            # In float32, as JAX divides, so that the ramp rises at the same update.
            done = np.float32(i) / np.float32(run.updates)
            of_update = jax.random.fold_in(key, i)
            loss = self.torch_loss(network, of_update, done)
            adam.zero_grad()
            loss.backward()
            clip(network, self.protocol.largest_norm)
            adam.param_groups[0]["lr"] = float(run.rate) * (1 + math.cos(math.pi * done)) / 2
            adam.step()
            losses.append(loss.item())
        step += self.protocol.updates_at_once
        state = TrainState(step, network.arrays(), (network, adam))
        associated = self.associated(state.params, run.seed)
        return state, Losses(np.array(losses), associated)

    def try_update(self) -> None:
        """Compute the loss and gradient of one batch; a user's layer may raise any exception."""
        network = TorchNetwork(self, 0).train()
        self.torch_loss(network, purpose_key(0, Purpose.DATA), np.float32(1)).backward()

    def trained(self, params: Params) -> TorchNetwork:
        """Return the network with the trained `params`, in the mode in which it is scored."""
        network = TorchNetwork(self, 0)
        each = [(f"{part}.{name}", x) for part in params for name, x in params[part].items()]
        network.load_state_dict({name: tensor(x) for name, x in each})
        return network.eval()


def clip(network: TorchNetwork, largest_norm: float) -> None:
    """Scale the gradient of `network` to the norm `largest_norm` if its norm is larger.

    `optax.clip_by_global_norm` scales a gradient in this way too.
    """
    gradients = [x.grad for x in network.parameters() if x.grad is not None]
    # Not clip_grad_norm_, which adds 1e-6 to the norm and so scales by another factor than optax.
    norm = torch.nn.utils.get_total_norm(gradients)
    if norm >= largest_norm:
        for gradient in gradients:
            gradient.mul_(largest_norm / norm)


class TorchLagMeasurement(TorchMeasurement, LagMeasurement):
    """The measurement by lag of a layer in PyTorch."""

    # All but the layer is computed by JAX, compiled once for a measurement, which is its own key.
    draw = jax.jit(LagMeasurement.draw, static_argnums=0)
    init_params = jax.jit(LagMeasurement.init_params, static_argnums=0)
    answers = jax.jit(LagMeasurement.answers, static_argnums=0)
    nats = jax.jit(LagMeasurement.nats, static_argnums=0)
    after = jax.jit(LagMeasurement.after, static_argnums=0)

    def torch_loss(
        self, network: TorchNetwork, key: chex.PRNGKey, done: chex.Numeric
    ) -> torch.Tensor:
        """Return the loss of `network` on the batch of `key`, as `LagMeasurement.loss` does.

        `done`, the share of updates made, is ignored.
        """
        del done
        streams = np.asarray(self.draw(key))
        states = self.states_in_chunks(network, streams)
        variance, mean = torch.var_mean(states, (0, 1), correction=0)
        logits = network.read((states - mean) / (variance + self.protocol.smallest_variance).sqrt())
        targets = tensor(earlier_tokens(self.protocol, streams)).long()
        return cross_entropy(logits.view(-1, self.protocol.symbols), targets.flatten())

    def states_in_chunks(self, network: TorchNetwork, streams: np.ndarray) -> torch.Tensor:
        """Return the flat states after the asked steps of `streams`, float32 `[B, A, D]`.

        `network` is called once up to each asked step, as in training.
        """
        first, between = self.protocol.asked[0] + 1, self.protocol.asked_every
        chunks = [first, *[between] * (self.protocol.asked_steps - 1)]
        return torch.stack([flat(own) for _, own in calls(network, streams, chunks)], 1)

    @torch.no_grad()
    def states(self, params: Params, streams: chex.Array) -> chex.Array:
        """Return the flat states of `params` after the asked steps of `streams`, `[B, A, D]`."""
        return jnp.asarray(array(self.states_in_chunks(self.trained(params), streams)))

    @torch.no_grad()
    def states_by_steps(
        self, params: Params, sets: Sequence[chex.Array]
    ) -> tuple[list[chex.Array], chex.Array]:
        """Return the flat states of each of `sets`, `[B, A, D]`, and the bytes of one state.

        The layer with `params` is called for single steps, as in `LagMeasurement`.
        """
        kept = []
        for step, (_, own) in enumerate(calls(self.trained(params), jnp.concatenate(sets), 1)):
            if step in self.protocol.asked:
                kept.append(array(flat(own)))
        states = jnp.split(jnp.stack(kept, 1), np.cumsum([*map(len, sets[:-1])]))
        return states, bytes_of(own)


class TorchKeyMeasurement(TorchMeasurement, KeyMeasurement):
    """The measurement by key of a layer in PyTorch."""

    init_params = jax.jit(KeyMeasurement.init_params, static_argnums=0)
    draw = jax.jit(KeyMeasurement.draw, static_argnums=0)
    ramp = jax.jit(KeyMeasurement.ramp, static_argnums=0)

    def torch_loss(
        self, network: TorchNetwork, key: chex.PRNGKey, done: chex.Numeric
    ) -> torch.Tensor:
        """Return the loss of `network` on the batch of `key`, as `KeyMeasurement.loss` does.

        `done` is the share of updates made.
        """
        rows = self.draw(key, self.ramp(done))
        logits = network.read(network(tensor(rows.tokens).long())[0])
        scored = tensor(rows.scored)
        return cross_entropy(logits[scored], tensor(rows.targets).long()[scored])

    @torch.no_grad()
    def logits(self, params: Params, tokens: chex.Array) -> chex.Array:
        """Return the logits of `params` at each step of `tokens` `[B, T]`: `[B, T, answers]`."""
        network = self.trained(params)
        return jnp.asarray(array(network.read(network(tensor(tokens).long())[0])))

    @torch.no_grad()
    def by_steps(
        self, params: Params, streams: chex.Array, read: Callable[[chex.Array], chex.Array]
    ) -> tuple[chex.Array, chex.Array]:
        """Return `read(logits)` at each step of `streams` `[B, T]`, and the bytes of a state.

        The layer with `params` is called for single steps, as in `KeyMeasurement`.
        """
        network = self.trained(params)
        found, carried = [], jnp.int32(0)
        for outputs, own in calls(network, streams, 1):
            logits = jnp.asarray(array(network.read(outputs[:, 0])))
            found.append(jax.vmap(read)(logits))
            carried = bytes_of(own)
        return jnp.stack(found, axis=1), carried

    def scan_accuracy(self, params: Params, sets: Sets) -> chex.Array:
        """Return the accuracy of `params` on the validation data of `sets`, by calls on whole rows.

        The layer is trained by such calls.
        """
        rows = sets.validation
        each = [self.logits(params, x) for x in rows.tokens]
        is_right = correct(jnp.stack(each), rows.targets) & rows.scored
        return jnp.sum(is_right) / jnp.sum(rows.scored)


class InTorch:
    """How PyTorch makes the runs of its layers; `train_and_score.InJax` has the same members."""

    measurements: Mapping[QuestionName, Any] = {
        x.question.name: x for x in (TorchLagMeasurement, TorchKeyMeasurement)
    }
    check = staticmethod(check_layer)

    @contextlib.contextmanager
    def settings(self, cluster: str | None) -> Iterator[None]:
        """Give PyTorch one thread for each operation, in a context; this fixes the order of sums.

        Raises ConfigError if a `cluster` is given, as no layer is sent to workers.
        """
        if cluster:
            raise ConfigError("cluster", cluster, "cannot train layers of PyTorch", "leave it out")
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def arrays(self, cell: Cell, about: Any) -> Params:
        """Return arrays of the shapes that a file of weights must have, with any numbers.

        The file has the weights of the network around the layer `cell`, and `about` is what the
        file states of its run.
        """
        return TorchNetwork(self.measurements[about.question](cell, about.protocol), 0).arrays()

    @torch.no_grad()
    def states(self, cell: Cell, about: Any, params: Params, streams: np.ndarray) -> Any:
        """Return the flat states of `cell` after each token of `streams`, float32 `[S, T, D]`.

        `params` are its trained parameters, and `about` is what their file states.
        """
        network = self.measurements[about.question](cell, about.protocol).trained(params)
        return np.stack([array(flat(own)) for _, own in calls(network, streams, 1)], axis=1)
