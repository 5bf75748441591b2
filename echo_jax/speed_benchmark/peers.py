"""The same training job done by echo_jax and by its peers, each in a process of its own.

python scripts/peers.py numpy      # a worker: commands on its input, a line of JSON for each

The job is part 4 of the tutorial: an LSTM of 50 units, 100 tokens, windows of 5, batches of 5,
stateful, 4 updates of Adam a sequence. A worker first trains on a few sequences, so that nothing
is left to compile, starts anew from initial weights, says hello, and then answers

    start     new weights, nothing trained
    train N   the seconds that N further sequences took, their drawing included
    score     the accuracy on fresh sequences
    rest      the loss of each batch of one sequence whose batches are all the same, learning
              nothing: they differ exactly where the state is carried from batch to batch

It ends when its input does. Who starts it decides on which cores it runs (see `pinned`).
"""

import abc
import contextlib
import dataclasses
import functools
import importlib
import importlib.metadata
import importlib.util
import json
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TextIO

import numpy as np

from echo_jax import machine
from echo_jax.config import (
    PARTS,
    NetworkConfig,
    RunConfig,
    TaskConfig,
    TrainingConfig,
)

JOB = dataclasses.replace(PARTS["context"], evaluation_sequences=100)
"""What every peer trains, and how many fresh sequences it is scored on."""

SMALL_JOB = RunConfig(
    TaskConfig(length=10, vocab_size=8, window=3, lag=1, batch_size=2),
    NetworkConfig(hidden_size=6),
    TrainingConfig(sequences=100),
    evaluation_sequences=20,
)
"""The job of `--fast`: the same program, over in a moment."""

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7
"""Of Adam, in every peer (Keras's defaults; the epsilon of optax and PyTorch is another)."""

CHUNK = 100
"""Sequences in one call of a compiled program, where a peer has such a thing."""

MANY_SEEDS = 64
"""Runs side by side where many seeds are measured."""

ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "TF_NUM_INTRAOP_THREADS",
        "TF_NUM_INTEROP_THREADS",
    ),
    "1",
)
"""The environment that keeps the libraries of a process on one core to one thread."""


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Within it this process has one core (None: all of its own), and so has whatever it starts.

    A process inherits its cores, so they are settled before it imports numpy or anything else.
    """
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, allowed if core is None else {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


class Learner(abc.ABC):
    """A network and its training. It starts anew, and trains on further sequences."""

    chunk = 1
    """It trains on a multiple of so many sequences."""

    def __init__(self, config: RunConfig) -> None:
        """Build whatever `start` and `train` need; called once."""
        self.config = config

    @abc.abstractmethod
    def start(self) -> None:
        """Forget all training; new weights, moments zero."""

    @abc.abstractmethod
    def train(self, sequences: int) -> None:
        """Train on so many further sequences, each new; return when it is done."""


class ScoredLearner(Learner):
    """A learner that can be asked what it has learned, and how it treats its state."""

    @abc.abstractmethod
    def accuracy(self) -> float:
        """The share of right answers on sequences that were never trained on."""

    @abc.abstractmethod
    def losses_at_rest(self, tokens: np.ndarray) -> list[float]:
        """The loss of each batch of a sequence int32 `[L]`, the weights left as they are."""


class EchoJax(ScoredLearner):
    """The product: `training.run_chunk`, which draws its own data, under `jit`."""

    chunk = CHUNK

    def __init__(self, config: RunConfig) -> None:
        """Wrap the three pure functions of a run in `jit`."""
        super().__init__(config)
        import jax

        from echo_jax.core import evaluation, training
        from echo_jax.core.network import build_network

        network = build_network(config)
        run_chunk = functools.partial(training.run_chunk, network, size=self.chunk)
        self._init = jax.jit(functools.partial(training.init, config))
        self._run_chunk = jax.jit(run_chunk, donate_argnums=1)
        self._evaluate = jax.jit(functools.partial(evaluation.evaluate, config))
        self._train_on = jax.jit(functools.partial(training.train_on, network))

    def start(self) -> None:
        """See `Learner`."""
        self.state = self._init(self.config.traced)

    def train(self, sequences: int) -> None:
        """See `Learner`. The losses are fetched after every chunk, as `train.py` does."""
        for _ in range(sequences // self.chunk):
            self.state, metrics = self._run_chunk(self.config.traced, self.state, count=self.chunk)
            np.asarray(metrics.loss)

    def accuracy(self) -> float:
        """See `ScoredLearner`."""
        return float(self._evaluate(self.config.traced, self.state.params).accuracy)

    def losses_at_rest(self, tokens: np.ndarray) -> list[float]:
        """See `ScoredLearner`: a training with the learning rate 0."""
        settings = self.config.traced._replace(learning_rate=0.0)
        _, metrics = self._train_on(settings, self._init(settings), tokens[None])
        return np.ravel(metrics.loss).tolist()


class EchoJaxSeeds(Learner):
    """64 seeds at once through `seeds.run_chunks`, on all the cores there are."""

    chunk = CHUNK

    def __init__(self, config: RunConfig) -> None:
        """One CPU device a core, and the functions of a run mapped over seeds."""
        import jax

        from echo_jax.core import many_seeds

        machine.use_cpu_devices(None)
        super().__init__(config)
        how = many_seeds.default_seed_map()
        devices = many_seeds.devices_for(MANY_SEEDS, how)
        runs = [dataclasses.replace(config, seed=seed) for seed in range(MANY_SEEDS)]
        self.settings = many_seeds.pad(many_seeds.stack_traced(runs), len(devices))
        mapped = many_seeds.run_chunks(config, self.chunk, devices, how)
        self._init_runs = jax.jit(many_seeds.init_runs(config, devices, how))
        self._run_chunks = jax.jit(mapped, donate_argnums=1)

    def start(self) -> None:
        """See `Learner`."""
        self.state = self._init_runs(self.settings)

    def train(self, sequences: int) -> None:
        """See `Learner`: so many sequences for each of the seeds."""
        for _ in range(sequences // self.chunk):
            self.state, metrics = self._run_chunks(self.settings, self.state, self.chunk)
            np.asarray(metrics.loss)


class Rows(NamedTuple):
    """Sequences cut as the tutorial cuts them.

    windows  int `[N, K, B, W]`
    targets  int `[N, K, B]`
    """

    windows: np.ndarray
    targets: np.ndarray


def cut(sequences: np.ndarray, task: TaskConfig) -> Rows:
    """The rows of sequences `[N, L]`: windows that end at t, targets x(t - lag)."""
    times = np.asarray(task.row_times).reshape(-1, task.batch_size)
    windows = sequences[:, times[..., None] - np.arange(task.window)[::-1]]
    return Rows(windows, sequences[:, times - task.lag])


class RowLearner(ScoredLearner):
    """A learner that is given rows: its data is drawn by numpy, from the same distribution.

    What a peer has to provide is `start`, `fit` and `ask`.
    """

    def __init__(self, config: RunConfig) -> None:
        """Start the stream of training data."""
        super().__init__(config)
        self._data = np.random.default_rng(config.seed)

    @abc.abstractmethod
    def fit(self, rows: Rows) -> Any:
        """One update for each batch; the state is zero at the start of each sequence."""

    @abc.abstractmethod
    def ask(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """Loss `[N, K]` in nats and most likely tokens `[N, K, B]`; nothing is learned."""

    def train(self, sequences: int) -> None:
        """See `Learner`."""
        self.fit(self._draw(self._data, sequences))

    def accuracy(self) -> float:
        """See `ScoredLearner`."""
        held_out = np.random.default_rng([self.config.seed, 1])
        rows = self._draw(held_out, self.config.evaluation_sequences)
        return float(np.mean(self.ask(rows)[1] == rows.targets))

    def losses_at_rest(self, tokens: np.ndarray) -> list[float]:
        """See `ScoredLearner`."""
        return self.ask(cut(tokens[None], self.config.task))[0].ravel().tolist()

    def _draw(self, data: np.random.Generator, sequences: int) -> Rows:
        task = self.config.task
        tokens = data.integers(0, task.vocab_size, (sequences, task.length), dtype=np.int32)
        return cut(tokens, task)


class Weights(NamedTuple):
    """The weights of the network, or their gradients or moments, float32.

    kernel `[V, 4H]`, recurrent `[H, 4H]` and bias `[4H]` with the gates i f g o side by side,
    readout `[H, V]` and readout_bias `[V]`.
    """

    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray
    readout: np.ndarray
    readout_bias: np.ndarray


class Step(NamedTuple):
    """What one step of the LSTM leaves for its gradient; token `[B]`, the others `[B, H]`."""

    token: np.ndarray
    c_before: np.ndarray
    h_before: np.ndarray
    i: np.ndarray
    f: np.ndarray
    g: np.ndarray
    o: np.ndarray
    tanh_c: np.ndarray


class State(NamedTuple):
    """The state of the LSTM: c and h, float32 `[B, H]`."""

    c: np.ndarray
    h: np.ndarray


class NumpyLSTM(RowLearner):
    """The definition in NumPy: forward, backward through time, Adam as optax writes it."""

    def start(self) -> None:
        """See `Learner`; the weights start as those of Keras do."""
        self.weights = initial_weights(self.config)
        self.mean = Weights(*map(np.zeros_like, self.weights))
        self.square = Weights(*map(np.zeros_like, self.weights))
        self.updates = 0

    def fit(self, rows: Rows) -> np.ndarray:
        """See `RowLearner`; returns the loss of every update, `[N, K]`."""
        return np.array([self._fit_sequence(*sequence) for sequence in zip(*rows, strict=True)])

    def ask(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """See `RowLearner`."""
        loss, said = np.zeros(rows.targets.shape[:2]), np.zeros_like(rows.targets)
        for n, windows in enumerate(rows.windows):
            state = self._zero_state()
            for k, window in enumerate(windows):
                state, _ = unroll(self.weights, state, window)
                p = probabilities(self.weights, state.h)
                loss[n, k] = cross_entropy(p, rows.targets[n, k])
                said[n, k] = np.argmax(p, axis=-1)
        return loss, said

    def _fit_sequence(self, windows: np.ndarray, targets: np.ndarray) -> list[float]:
        state, losses = self._zero_state(), []
        for window, target in zip(windows, targets, strict=True):
            loss, state, gradients = backpropagate(self.weights, state, window, target)
            self._adam(gradients)
            losses.append(loss)
        return losses

    def _adam(self, gradients: Weights) -> None:
        """One update of every weight, in place.

        m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  w = w - rate m' / (sqrt(v') + epsilon),
        where m' = m / (1 - b1^t) and v' = v / (1 - b2^t).
        """
        self.updates += 1
        rate = self.config.training.learning_rate
        for w, m, v, g in zip(self.weights, self.mean, self.square, gradients, strict=True):
            m[:] = BETA1 * m + (1 - BETA1) * g
            v[:] = BETA2 * v + (1 - BETA2) * g**2
            m_unbiased = m / (1 - BETA1**self.updates)
            v_unbiased = v / (1 - BETA2**self.updates)
            w[:] = w - rate * m_unbiased / (np.sqrt(v_unbiased) + EPSILON)

    def _zero_state(self) -> State:
        shape = (self.config.task.batch_size, self.config.network.hidden_size)
        return State(np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def initial_weights(config: RunConfig) -> Weights:
    """Keras's: glorot-uniform kernels, an orthogonal recurrent one, ones in the forget bias."""
    random = np.random.default_rng([config.seed, 2])
    v, h = config.task.vocab_size, config.network.hidden_size

    def glorot_uniform(rows: int, columns: int) -> np.ndarray:
        limit = np.sqrt(6 / (rows + columns))
        return random.uniform(-limit, limit, (rows, columns)).astype(np.float32)

    orthogonal = np.linalg.qr(random.normal(size=(4 * h, h)))[0].T.astype(np.float32)
    bias = np.repeat(np.array([0, 1, 0, 0], np.float32), h)
    readout = glorot_uniform(h, v)
    return Weights(glorot_uniform(v, 4 * h), orthogonal, bias, readout, np.zeros(v, np.float32))


def unroll(w: Weights, state: State, window: np.ndarray) -> tuple[State, list[Step]]:
    """The LSTM over the steps of a window `[B, W]`: the last state, and every step.

    i, f, g, o = split(x W + b + h U),  c' = s(f) c + s(i) tanh(g),  h' = s(o) tanh(c'), where
    x is one-hot, so that x W is a row of W.
    """
    (c, h), steps = state, []
    for token in window.T:
        i, f, g, o = np.split(w.kernel[token] + w.bias + h @ w.recurrent, 4, axis=-1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        new_c = f * c + i * g
        steps.append(Step(token, c, h, i, f, g, o, np.tanh(new_c)))
        c, h = new_c, o * steps[-1].tanh_c
    return State(c, h), steps


def sigmoid(a: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-a))."""
    return 1 / (1 + np.exp(-a))


def probabilities(w: Weights, h: np.ndarray) -> np.ndarray:
    """The softmax of the readout of h `[B, H]`: `[B, V]`."""
    logits = h @ w.readout + w.readout_bias
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def cross_entropy(p: np.ndarray, target: np.ndarray) -> float:
    """The mean over B rows of -ln p(target), in nats."""
    return float(-np.mean(np.log(p[np.arange(len(target)), target])))


def backpropagate(
    w: Weights, state: State, window: np.ndarray, target: np.ndarray
) -> tuple[float, State, Weights]:
    """Loss, last state and gradients of one batch; no gradient enters the state it starts from.

    Args:
      w: the weights.
      state: before the first step, `[B, H]`.
      window: tokens, int `[B, W]`.
      target: tokens, int `[B]`.
    """
    last, steps = unroll(w, state, window)
    p = probabilities(w, last.h)
    d_logits = (p - np.eye(p.shape[-1], dtype=np.float32)[target]) / len(target)
    gradients = Weights(*map(np.zeros_like, w))
    gradients.readout[:] = last.h.T @ d_logits
    gradients.readout_bias[:] = d_logits.sum(axis=0)
    dh, dc = d_logits @ w.readout.T, np.zeros_like(last.c)
    for step in reversed(steps):
        dh, dc = step_back(w, step, dh, dc, gradients)
    return cross_entropy(p, target), last, gradients


def step_back(
    w: Weights, step: Step, dh: np.ndarray, dc: np.ndarray, gradients: Weights
) -> tuple[np.ndarray, np.ndarray]:
    """From the gradients of a step's h and c to those of the step before; adds to `gradients`."""
    token, c, h, i, f, g, o, tanh_c = step
    dc = dc + dh * o * (1 - tanh_c**2)
    gates = (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2))
    da = np.concatenate([*gates, dh * tanh_c * o * (1 - o)], axis=-1)
    np.add.at(gradients.kernel, token, da)
    gradients.recurrent[:] += h.T @ da
    gradients.bias[:] += da.sum(axis=0)
    return da @ w.recurrent.T, dc * f


class Linen(RowLearner):
    """Flax as its documentation shows it, `nn.RNN` over a stock cell, one-hot inputs, optax.

    With one difference: the updates of a chunk are scanned inside one `jit`, so that it is the
    update which is measured, and not the 100 us that Python needs to call a compiled one.
    """

    chunk = CHUNK
    cell = "OptimizedLSTMCell"

    def __init__(self, config: RunConfig) -> None:
        """Build the module; compile when first used."""
        super().__init__(config)
        import jax
        import optax

        self._model = linen_model(self.cell, config)
        self._adam = optax.adam(config.training.learning_rate, BETA1, BETA2, EPSILON)
        self._run = jax.jit(functools.partial(linen_run, config, True), donate_argnums=0)
        self._ask = jax.jit(functools.partial(linen_run, config, False))

    def start(self) -> None:
        """See `Learner`."""
        import jax
        from flax.training.train_state import TrainState

        task = self.config.task
        inputs = np.zeros((task.batch_size, task.window, task.vocab_size), np.float32)
        carry = linen_zero_carry(self.config)
        params = self._model.init(jax.random.key(self.config.seed), carry, inputs)["params"]
        self.state = TrainState.create(apply_fn=self._model.apply, params=params, tx=self._adam)

    def fit(self, rows: Rows) -> None:
        """See `RowLearner`."""
        for first in range(0, len(rows.targets), self.chunk):
            chunk = Rows(*(part[first : first + self.chunk] for part in rows))
            self.state, (loss, _) = self._run(self.state, chunk)
            np.asarray(loss)

    def ask(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """See `RowLearner`."""
        _, (loss, said) = self._ask(self.state, rows)
        return np.asarray(loss), np.asarray(said)


class LinenPlain(Linen):
    """The same with the other stock cell, which makes one product a gate."""

    cell = "LSTMCell"


def linen_model(cell: str, config: RunConfig) -> Any:
    """The module: of a carry and one-hot inputs `[B, W, V]`, to the carry and logits `[B, V]`."""
    from flax import linen as nn

    class Echo(nn.Module):
        @nn.compact
        def __call__(self, carry: Any, inputs: Any) -> tuple[Any, Any]:
            lstm = nn.RNN(getattr(nn, cell)(config.network.hidden_size), return_carry=True)
            carry, outputs = lstm(inputs, initial_carry=carry)
            return carry, nn.Dense(config.task.vocab_size)(outputs[:, -1])

    return Echo()


def linen_zero_carry(config: RunConfig) -> tuple[Any, Any]:
    """The zero c and h of the stock cells, each `[B, H]`."""
    import jax.numpy as jnp

    zeros = jnp.zeros((config.task.batch_size, config.network.hidden_size))
    return zeros, zeros


def linen_run(config: RunConfig, learn: bool, state: Any, rows: Rows) -> tuple[Any, Any]:
    """The state after all rows, and losses `[N, K]` and most likely tokens `[N, K, B]`."""
    import jax
    import optax

    def update(memory: tuple[Any, Any], batch: Rows) -> tuple[Any, Any]:
        state, carry = memory

        def loss_fn(params: Any) -> tuple[Any, Any]:
            inputs = jax.nn.one_hot(batch.windows, config.task.vocab_size)
            new_carry, logits = state.apply_fn({"params": params}, carry, inputs)
            loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets)
            return loss.mean(), (new_carry, logits.argmax(axis=-1))

        (loss, (carry, said)), gradients = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
        state = state.apply_gradients(grads=gradients) if learn else state
        return (state, carry), (loss, said)

    def sequence(state: Any, batches: Rows) -> tuple[Any, Any]:
        (state, _), answers = jax.lax.scan(update, (state, linen_zero_carry(config)), batches)
        return state, answers

    return jax.lax.scan(sequence, state, rows)


class Keras(RowLearner):
    """Keras as the tutorial writes it: one `fit` a sequence, then the state is reset."""

    def __init__(self, config: RunConfig) -> None:
        """Build the model, and keep its variables for `start`."""
        super().__init__(config)
        self._keras: Any = importlib.import_module("keras")
        self._keras.utils.set_random_seed(config.seed)
        self._eye = np.eye(config.task.vocab_size, dtype=np.float32)
        self.model = self._build(config.training.learning_rate)
        self.model.optimizer.build(self.model.trainable_variables)
        self._variables = [*self.model.variables, *self.model.optimizer.variables]
        self._initial = [self._keras.ops.convert_to_numpy(v) for v in self._variables]

    def start(self) -> None:
        """See `Learner`. The model is kept, so that nothing is compiled again."""
        for variable, value in zip(self._variables, self._initial, strict=True):
            variable.assign(value)

    def fit(self, rows: Rows) -> None:
        """See `RowLearner`."""
        for windows, targets in zip(*rows, strict=True):
            inputs, outputs = self._encode(windows, targets)
            batch = self.config.task.batch_size
            self.model.fit(inputs, outputs, batch_size=batch, epochs=1, verbose=0, shuffle=False)
            self.model.layers[0].reset_state()

    def ask(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """See `RowLearner`."""
        said = []
        for windows, targets in zip(*rows, strict=True):
            inputs, _ = self._encode(windows, targets)
            said.append(self.model.predict(inputs, len(targets[0]), verbose=0).argmax(axis=-1))
            self.model.layers[0].reset_state()
        shape = rows.targets.shape
        return np.full(shape[:2], np.nan), np.array(said).reshape(shape)

    def losses_at_rest(self, tokens: np.ndarray) -> list[float]:
        """See `ScoredLearner`: `train_on_batch` with the learning rate 0, on a model of its own."""
        model = self._build(0.0)
        rows = cut(tokens[None], self.config.task)
        batches = (self._encode(*batch) for batch in zip(rows.windows[0], rows.targets[0]))  # noqa: B905
        return [float(np.ravel(model.train_on_batch(*batch))[0]) for batch in batches]

    def _build(self, learning_rate: float) -> Any:
        """The tutorial's model, compiled."""
        keras, task = self._keras, self.config.task
        shape = (task.batch_size, task.window, task.vocab_size)
        layers = [
            keras.Input(batch_shape=shape),
            keras.layers.LSTM(self.config.network.hidden_size, stateful=True),
            keras.layers.Dense(task.vocab_size, activation="softmax"),
        ]
        model = keras.Sequential(layers)
        adam = keras.optimizers.Adam(learning_rate, BETA1, BETA2, EPSILON)
        model.compile(loss="categorical_crossentropy", optimizer=adam, metrics=["accuracy"])
        return model

    def _encode(self, windows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One-hot, all rows below each other: `[rows, W, V]` and `[rows, V]`."""
        window = self.config.task.window
        return self._eye[windows.reshape(-1, window)], self._eye[targets.ravel()]


class Torch(RowLearner):
    """PyTorch: `nn.LSTM` and `nn.Linear`, a Python loop over the updates, the state detached."""

    def __init__(self, config: RunConfig) -> None:
        """One thread, as one core."""
        super().__init__(config)
        self._torch: Any = importlib.import_module("torch")
        self._torch.set_num_threads(1)

    def start(self) -> None:
        """See `Learner`."""
        torch, vocab, hidden = (
            self._torch,
            self.config.task.vocab_size,
            self.config.network.hidden_size,
        )
        torch.manual_seed(self.config.seed)
        self.lstm = torch.nn.LSTM(vocab, hidden, batch_first=True)
        self.readout = torch.nn.Linear(hidden, vocab)
        parameters = [*self.lstm.parameters(), *self.readout.parameters()]
        rate = self.config.training.learning_rate
        self.adam = torch.optim.Adam(parameters, rate, (BETA1, BETA2), EPSILON)

    def fit(self, rows: Rows) -> None:
        """See `RowLearner`."""
        for loss, _ in self._answers(rows):
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()

    def ask(self, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
        """See `RowLearner`."""
        with self._torch.no_grad():
            answers = [(float(loss), said.numpy()) for loss, said in self._answers(rows)]
        losses, said = zip(*answers, strict=True)
        shape = rows.targets.shape
        return np.array(losses).reshape(shape[:2]), np.array(said).reshape(shape)

    def _answers(self, rows: Rows) -> Iterator[tuple[Any, Any]]:
        """The loss and the most likely tokens of one batch after the other."""
        functional = self._torch.nn.functional
        for windows, targets in zip(*map(self._tensors, rows), strict=True):
            state = None
            for window, target in zip(windows, targets, strict=True):
                one_hot = functional.one_hot(window, self.config.task.vocab_size).float()
                outputs, state = self.lstm(one_hot, state)
                state = tuple(part.detach() for part in state)
                logits = self.readout(outputs[:, -1])
                yield functional.cross_entropy(logits, target), logits.argmax(dim=-1)

    def _tensors(self, tokens: np.ndarray) -> Any:
        return self._torch.from_numpy(tokens.astype(np.int64))


@dataclasses.dataclass(frozen=True)
class Peer:
    """A row of the table."""

    label: str
    """What the table calls it."""
    learner: Callable[[RunConfig], Learner]
    """Its class."""
    packages: tuple[str, ...]
    """What it needs installed; their versions are reported."""
    remark: str = ""
    """What a reader has to know to judge the row."""
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Environment variables of its process."""

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


IN_ONE_JIT = "100 sequences in one jit"
AS_TUTORIAL = "one fit a sequence, as the tutorial"
PEERS: dict[str, Peer] = {
    "echo_jax": Peer("echo_jax", EchoJax, ("jax", "flax"), IN_ONE_JIT),
    "linen": Peer("linen OptimizedLSTMCell", Linen, ("jax", "flax", "optax"), IN_ONE_JIT),
    "linen-lstmcell": Peer("linen LSTMCell", LinenPlain, ("jax", "flax", "optax"), IN_ONE_JIT),
    "numpy": Peer("NumPy", NumpyLSTM, ("numpy",)),
    "pytorch": Peer("PyTorch", Torch, ("torch",), "a Python loop over updates"),
    "keras-jax": Peer(
        "Keras on JAX", Keras, ("keras", "jax"), AS_TUTORIAL, {"KERAS_BACKEND": "jax"}
    ),
    "keras-tensorflow": Peer(
        "Keras on TensorFlow",
        Keras,
        ("keras", "tensorflow"),
        AS_TUTORIAL,
        {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
    ),
}
"""Who is compared, by the name on the command line."""

SEEDS_PEER = Peer(f"{MANY_SEEDS} seeds on all cores", EchoJaxSeeds, ("jax", "flax"))


def find(name: str) -> Peer:
    """The peer of this name; `seeds` is the one that is no row of the table."""
    return SEEDS_PEER if name == "seeds" else PEERS[name]


def main() -> None:
    """Serve as the worker that the command line names, with `--fast` on the small job."""
    serve(find(sys.argv[1]), SMALL_JOB if "--fast" in sys.argv else JOB)


def serve(peer: Peer, config: RunConfig) -> None:
    """Warm up, say hello, answer commands until the input ends."""
    commands, replies = listen(), private_stdout()
    learner = peer.learner(config)
    hello = {
        "chunk": learner.chunk,
        "seconds_per_sequence": warm_up(learner),
        "versions": {name: version(name) for name in peer.packages},
    }
    print(json.dumps(hello), file=replies, flush=True)
    while True:
        print(json.dumps(answer(learner, commands.get())), file=replies, flush=True)


def warm_up(learner: Learner) -> float:
    """Train twice from a new start, which compiles all there is; the seconds a sequence took."""
    count = max(learner.chunk, 5)
    learner.start()
    learner.train(count)
    learner.start()
    taken = seconds(learner, count)
    learner.start()
    return taken / count


def listen() -> "queue.SimpleQueue[list[str]]":
    """A queue of commands, each its words. When the input ends so does this process, at once."""
    commands: queue.SimpleQueue[list[str]] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            commands.put(line.split())
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    return commands


def private_stdout() -> TextIO:
    """The standard output for replies alone; what libraries print goes to standard error."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return replies


def answer(learner: Learner, command: list[str]) -> dict[str, Any]:
    """Do what a command says; see the head of this file."""
    match command:
        case ["start"]:
            learner.start()
            return {}
        case ["train", count]:
            return {"seconds": seconds(learner, int(count))}
        case ["score"] if isinstance(learner, ScoredLearner):
            return {"accuracy": learner.accuracy()}
        case ["rest"] if isinstance(learner, ScoredLearner):
            task = learner.config.task
            tokens = np.arange(task.length, dtype=np.int32) % task.batch_size
            return {"losses": learner.losses_at_rest(tokens)}
    return {"error": f"no command: {' '.join(command)}"}


def seconds(learner: Learner, sequences: int) -> float:
    """How long it trains on so many further sequences, a multiple of its chunk."""
    begin = time.perf_counter()
    learner.train(sequences)
    return time.perf_counter() - begin


def version(package: str) -> str:
    """The version of an importable package, whatever its distribution is called."""
    distributions = importlib.metadata.packages_distributions().get(package, [package])
    return importlib.metadata.version(distributions[0])


if __name__ == "__main__":
    main()
