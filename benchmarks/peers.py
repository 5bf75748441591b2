"""The peers of the race: echo_jax, Flax, Keras and PyTorch; NumPy's has a file of its own."""

import functools
import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from flax.training.train_state import TrainState
from learner import Learner, Rows
from numpy_lstm import BETA1, BETA2, EPSILON, NumpyLSTM
from surroundings import torch_device

from echo_jax.cells.cell_object import cell_of
from echo_jax.config import RunConfig
from echo_jax.echo.compiled_programs import compile_programs
from echo_jax.echo.many_seeds import DevicePlan, default_seed_map
from echo_jax.echo.training import build_learner
from echo_jax.jax_settings import GENERATOR


class EchoJax(Learner):
    """The programs of the command `train`, which draw their own data."""

    chunk = 100

    def __init__(self, config: RunConfig) -> None:
        """Compile the programs."""
        super().__init__(config)
        plan, self._task = DevicePlan(default_seed_map(), device_limit=1), config.task
        learner = build_learner(config, cell_of(config))
        self._programs = compile_programs(config, learner, self.chunk, plan)
        self._dynamic = self._programs.dynamic(config)

    def start(self) -> None:
        self.state = self._programs.init(self._dynamic)

    def train(self, sequences: int) -> None:
        """Fetch the losses chunk by chunk."""
        work = self._dynamic, self.state, range(sequences), self._task
        for chunk in self._programs.train(*work):
            self.state = chunk.state

    def accuracy(self) -> float:
        return float(self._programs.score(self._dynamic, self.state.params).accuracy[0])


class Linen(Learner):
    """Flax as its documentation shows it: `nn.RNN` over a stock cell, one-hot inputs, optax.

    The updates of a chunk are scanned inside one `jit`: calling a compiled update from Python
    would take 100 us more.
    """

    chunk = 100

    def __init__(self, config: RunConfig, cell: str = "OptimizedLSTMCell") -> None:
        """Build the module; `cell` is a class of `flax.linen`."""
        super().__init__(config)

        class Echo(nn.Module):
            """From a carry and one-hot inputs `[B, W, V]` to the carry and logits `[B, V]`."""

            @nn.compact
            def __call__(self, carry: Any, inputs: Any) -> tuple[Any, Any]:
                lstm = nn.RNN(getattr(nn, cell)(config.network.hidden_size), return_carry=True)
                carry, outputs = lstm(inputs, initial_carry=carry)
                return carry, nn.Dense(config.task.vocab_size)(outputs[:, -1])

        self._adam = optax.adam(config.training.learning_rate, BETA1, BETA2, EPSILON)
        self._model = Echo()
        self._zero = (jnp.zeros((config.task.batch_size, config.network.hidden_size)),) * 2
        self._scan = jax.jit(self._scan_sequences, static_argnums=0, donate_argnums=1)

    def start(self) -> None:
        task, key = self.config.task, jax.random.key(self.config.seed, impl=GENERATOR)
        inputs = np.zeros((task.batch_size, task.window, task.vocab_size), np.float32)
        params = self._model.init(key, self._zero, inputs)["params"]
        self.state = TrainState.create(apply_fn=self._model.apply, params=params, tx=self._adam)

    def run(self, rows: Rows, learn: bool) -> tuple[np.ndarray, np.ndarray]:
        chunks = []
        for first in range(0, len(rows.targets), self.chunk):
            chunk = Rows(*(part[first : first + self.chunk] for part in rows))
            self.state, outputs = self._scan(learn, self.state, chunk)
            chunks.append([np.asarray(part) for part in outputs])
        losses, answers = zip(*chunks, strict=True)
        return np.concatenate(losses), np.concatenate(answers)

    def _scan_sequences(self, learn: bool, state: Any, rows: Rows) -> tuple[Any, Any]:
        """The state after all rows, and losses `[N, K]` and most likely tokens `[N, K, B]`."""

        def sequence(state: Any, batches: Rows) -> tuple[Any, Any]:
            """All updates, or answers, of one sequence."""
            step = functools.partial(self._update, learn)
            (state, _), outputs = jax.lax.scan(step, (state, self._zero), batches)
            return state, outputs

        return jax.lax.scan(sequence, state, rows)

    def _update(self, learn: bool, memory: tuple[Any, Any], batch: Rows) -> tuple[Any, Any]:
        state, carry = memory

        def loss_fn(params: Any) -> tuple[Any, Any]:
            """The mean loss, with the new carry and the answers."""
            inputs = jax.nn.one_hot(batch.windows, self.config.task.vocab_size)
            new_carry, logits = state.apply_fn({"params": params}, carry, inputs)
            loss = optax.softmax_cross_entropy_with_integer_labels(logits, batch.targets)
            return loss.mean(), (new_carry, logits.argmax(axis=-1))

        gradient_of = jax.value_and_grad(loss_fn, has_aux=True)
        (loss, (carry, answers)), gradient = gradient_of(state.params)
        return (state.apply_gradients(grads=gradient) if learn else state, carry), (loss, answers)


class Keras(Learner):
    """Keras as the tutorial uses it: one `fit` a sequence, then the state is reset."""

    def __init__(self, config: RunConfig) -> None:
        """Build the model, and keep the initial values of its variables for `start`."""
        super().__init__(config)
        keras: Any = importlib.import_module("keras")
        keras.utils.set_random_seed(config.seed)
        task = config.task
        self._eye = np.eye(task.vocab_size, dtype=np.float32)
        self.model = keras.Sequential([
            keras.Input(batch_shape=(task.batch_size, task.window, task.vocab_size)),
            keras.layers.LSTM(config.network.hidden_size, stateful=True),
            keras.layers.Dense(task.vocab_size, activation="softmax"),
        ])  # fmt: skip
        adam = keras.optimizers.Adam(config.training.learning_rate, BETA1, BETA2, EPSILON)
        loss = "categorical_crossentropy"
        self.model.compile(loss=loss, optimizer=adam, metrics=["accuracy"])
        adam.build(self.model.trainable_variables)
        self._variables = [*self.model.variables, *adam.variables]
        self._initial = [keras.ops.convert_to_numpy(v) for v in self._variables]

    def start(self) -> None:
        """The model is kept, so nothing is compiled again."""
        for variable, value in zip(self._variables, self._initial, strict=True):
            variable.assign(value)

    def run(self, rows: Rows, learn: bool) -> tuple[np.ndarray, np.ndarray]:
        """There are no losses (NaN), and no answers where it learns (0)."""
        answers, batch = np.zeros_like(rows.targets), self.config.task.batch_size
        for number, sequence in enumerate(zip(*rows, strict=True)):
            inputs, targets = self._encode(*sequence)
            if learn:
                self.model.fit(inputs, targets, batch, epochs=1, verbose=0, shuffle=False)
            else:
                tokens = self.model.predict(inputs, batch, verbose=0).argmax(axis=-1)
                answers[number] = tokens.reshape(answers[number].shape)
            self.model.layers[0].reset_state()
        return np.full(answers.shape[:2], np.nan), answers

    def _encode(self, windows: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All rows of a sequence one-hot: `[rows, W, V]` and `[rows, V]`."""
        window = self.config.task.window
        return self._eye[windows.reshape(-1, window)], self._eye[targets.ravel()]


class Torch(Learner):
    """PyTorch: `nn.LSTM` and `nn.Linear`, a Python loop over the updates, the state detached."""

    def __init__(self, config: RunConfig) -> None:
        """Use the device of jax, and one thread on a CPU."""
        super().__init__(config)
        self._torch: Any = importlib.import_module("torch")
        self._device = torch_device(self._torch)

    def start(self) -> None:
        nn, vocab_size = self._torch.nn, self.config.task.vocab_size
        self._torch.manual_seed(self.config.seed)
        self.lstm = nn.LSTM(vocab_size, self.config.network.hidden_size, batch_first=True)
        self.lstm.to(self._device)
        self.readout = nn.Linear(self.config.network.hidden_size, vocab_size).to(self._device)
        parameters = [*self.lstm.parameters(), *self.readout.parameters()]
        rate = self.config.training.learning_rate
        self.adam = self._torch.optim.Adam(parameters, rate, (BETA1, BETA2), EPSILON)

    def run_batch(
        self, state: Any, window: np.ndarray, target: np.ndarray, learn: bool
    ) -> tuple[Any, float, np.ndarray]:
        functional = self._torch.nn.functional
        tokens, targets = (
            self._torch.from_numpy(x.astype(np.int64)).to(self._device) for x in (window, target)
        )
        with self._torch.set_grad_enabled(learn):
            one_hot = functional.one_hot(tokens, self.config.task.vocab_size).float()
            outputs, state = self.lstm(one_hot, state)
            logits = self.readout(outputs[:, -1])
            loss = functional.cross_entropy(logits, targets)
        if learn:
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
        return (
            tuple(part.detach() for part in state),
            loss.item(),
            logits.argmax(dim=-1).cpu().numpy(),
        )


class Peer(NamedTuple):
    """A row of the table, and the environment of its process."""

    label: str
    learner: Callable[[RunConfig], Learner]
    remark: str = ""
    environment: Mapping[str, str] | None = None


IN_ONE_JIT = "100 sequences in one jit"
AS_TUTORIAL = "one fit a sequence, as the tutorial"
STATELESS = f"**ignores stateful**: every batch from zero; {AS_TUTORIAL}"
ON_TENSORFLOW = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}

PEERS: dict[str, Peer] = {
    "echo_jax": Peer("echo_jax", EchoJax, IN_ONE_JIT),
    "linen": Peer("linen OptimizedLSTMCell", Linen, IN_ONE_JIT),
    "linen-lstmcell": Peer("linen LSTMCell", functools.partial(Linen, cell="LSTMCell"), IN_ONE_JIT),
    "numpy": Peer("NumPy", NumpyLSTM),
    "pytorch": Peer("PyTorch", Torch, "a Python loop over updates"),
    "keras-jax": Peer("Keras on JAX", Keras, STATELESS, {"KERAS_BACKEND": "jax"}),
    "keras-tensorflow": Peer("Keras on TensorFlow", Keras, AS_TUTORIAL, ON_TENSORFLOW),
}
"""By the names of the command line, in the order of the table."""
