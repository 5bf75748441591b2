"""A trained network in use: loaded from its run folder, fed values, answers out.

    network = load("runs/part4")
    network.predict([1, 36, 0, 36, 21, 2])    # -> [None, None, None, None, 36, 21]

or one integer at a time, with the state in the caller's hands:

    state = network.start()
    state, answer = network.step(state, 1)    # answer.exists, answer.token, answer.logits
"""

import dataclasses
import functools
import itertools
import types
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import jax
import numpy as np

from echo_jax import atomic_files, machine, tensor_files
from echo_jax.cells import registry
from echo_jax.config import GENERATOR, RunConfig, to_dict
from echo_jax.core import many_seeds, online
from echo_jax.core.network import Params, build_network
from echo_jax.core.online import Answer, EchoState
from echo_jax.exceptions import ConfigError, StorageError, shown
from echo_jax.runs import checkpoint, run_folder, vocabulary
from echo_jax.runs.run_folder import RunSpec
from echo_jax.runs.vocabulary import UNSEEN, Unknown, Vocabulary

if TYPE_CHECKING:
    from echo_jax.report.notebook_figure import NotebookFigure

BLOCK = 64
"""Tokens that are fed at once where they are too few for a whole piece."""

STATE = "state"
"""Kind of the file of a state."""


@functools.cache
def programs(config: RunConfig) -> types.SimpleNamespace:
    """The compiled functions of `online` that all networks of a configuration share."""
    network = build_network(config)
    functions = (online.step, online.feed, online.follows)
    step, feed, follows = (functools.partial(function, config, network) for function in functions)
    return types.SimpleNamespace(
        step=jax.jit(step),
        feed=jax.jit(feed),
        follows=jax.jit(follows, static_argnames="windows"),
    )


@dataclasses.dataclass(frozen=True, repr=False)
class Trained:
    """One network of a run: its configuration, its weights, and the values it knows."""

    config: RunConfig
    params: Params
    vocabulary: Vocabulary
    sequences: int
    """Sequences that it was trained on so far."""

    def __repr__(self) -> str:
        """One line: the cell, the task, the values, and how long it was trained."""
        task, network = self.config.task, self.config.network
        state = "stateful" if network.stateful else "stateless"
        return (
            f"{state} {network.cell} of {network.hidden_size} units, lag {task.lag}, "
            f"{task.layout} of {task.window}, batch size {task.batch_size}; "
            f"{self.vocabulary}; trained on {self.sequences:,} sequences"
        )

    def start(self) -> EchoState:
        """The state before the first token."""
        return online.start(self.config, build_network(self.config), self.params)

    def step(self, state: EchoState, token: Any) -> tuple[EchoState, Answer]:
        """One token in, int `0 .. V-1`; the next state and the `Answer` out. Pure and compiled."""
        self._check(token)
        return programs(self.config).step(self.params, state, token)

    def feed(
        self, state: EchoState, tokens: np.ndarray, logits: bool = False
    ) -> tuple[EchoState, Answer]:
        """The next tokens, int32 `[N]`: whole pieces at once, then blocks, the rest one by one.

        Returns the state after them, and the N `Answer`s as numpy arrays; their logits are `[N, V]`
        if asked for, and otherwise `[N, 0]`, which saves memory.
        """
        self._check(tokens)
        piece, width = online.piece_size(self.config), len(self.vocabulary) if logits else 0
        parts = [Answer(np.zeros(0, bool), np.zeros(0, np.int32), np.zeros((0, width), np.float32))]
        cuts = [0]
        for size in (piece, min(piece, BLOCK), 1):
            cuts += range(cuts[-1] + size, len(tokens) + 1, size)
        for first, end in itertools.pairwise(cuts):
            state, answers = programs(self.config).feed(self.params, state, tokens[first:end])
            answers = jax.tree.map(np.asarray, answers)
            parts.append(answers._replace(logits=answers.logits[:, :width]))
        return state, Answer(*map(np.concatenate, zip(*parts, strict=True)))

    def values(self, state: EchoState, tokens: np.ndarray) -> tuple[EchoState, list[Any]]:
        """The state after the next tokens, int32 `[N]`, and the N values that answer them.

        None where there is no answer yet, and for an UNSEEN token, which is left out.
        """
        state, answer = self.feed(state, tokens[tokens != UNSEEN])
        return state, self._values(tokens, answer)

    def predict(
        self, inputs: Any, *, probabilities: bool = False, unknown: Unknown = "error"
    ) -> Any:
        """The answer of the network after each value.

        Args:
          inputs: one sequence of values, a list or an array `[T]`, or many of them, of any lengths.
            A value is an integer, or of a run on words a string. Each starts from a zero state.
          probabilities: return them instead of the answers; framing `values` has none.
          unknown: for a value that is not in the vocabulary, raise ConfigError, or skip it, as if
            it were not there.

        Returns:
          For each sequence a list of its T answers, None where there is none yet; or its
          probabilities float32 `[T, V]`, NaN where there is none yet. Many sequences give a list.
        """
        if unknown not in get_args(Unknown):
            raise ConfigError("unknown", unknown, "is not known here", "use error or skip")
        if probabilities and self.config.task.framing == "values":
            rule = "is not for a network of framing values, which says one number"
            fix = "ask for answers, or train one with {framing=classes}"
            raise ConfigError("probabilities", probabilities, rule, fix)
        many, sequences = _sequences(inputs)
        words = [list(map(_word, sequence)) for sequence in sequences]
        encode = functools.partial(vocabulary.encode, self.vocabulary, unknown=unknown)
        tokens = list(map(encode, words))
        answers = [self._answer(t[t != UNSEEN], probabilities) for t in tokens]
        read = self._probabilities if probabilities else self._values
        outputs = list(map(read, tokens, answers))
        return outputs if many else outputs[0]

    def states(self, values: Sequence[Any], *, unknown: Unknown = "error") -> "NotebookFigure":
        """A figure of the states over a sequence of values: a column a step, a row a unit.

        Each block is the window of one answer, and of an LSTM the panels are c and h. ConfigError
        for values without an answer, or of more than 400 steps, and for a value that is not in the
        vocabulary, unless `unknown` is "skip".
        """
        from echo_jax.runs import states_figure

        words = list(map(_word, _sequences([values])[1][0]))
        tokens = vocabulary.encode(self.vocabulary, words, unknown=unknown)
        return states_figure.figure_of(self, tokens[tokens != UNSEEN])

    def _values(self, tokens: np.ndarray, answer: Answer) -> list[Any]:
        """The value that answers each token, None where there is none yet, or for an UNSEEN one."""
        values: list[Any] = [None] * len(tokens)
        places = np.flatnonzero(tokens != UNSEEN)[answer.exists]
        for place, token in zip(places.tolist(), answer.token[answer.exists].tolist(), strict=True):
            values[place] = self.vocabulary.value(token)
        return values

    def _probabilities(self, tokens: np.ndarray, answer: Answer) -> np.ndarray:
        """The probabilities of the values after each token `[T, V]`, NaN where there are none."""
        shares = np.full((len(tokens), len(self.vocabulary)), np.nan, np.float32)
        places = np.flatnonzero(tokens != UNSEEN)[answer.exists]
        shares[places] = jax.jit(jax.nn.softmax)(answer.logits[answer.exists])
        return shares

    def save_state(self, state: EchoState, path: str | Path) -> None:
        """Write a state to a file, to go on from later; a file that is there is replaced."""
        tensor_files.write(Path(path), STATE, state, {"network": self.digest})

    def load_state(self, path: str | Path) -> EchoState:
        """The state in a file; ConfigError where it is none, or that of another network."""
        shapes, fix = jax.eval_shape(self.start), "name another file, or none to start from zero"
        state, about = tensor_files.read(Path(path), shapes, fix)
        if about.get("network") != self.digest:
            raise StorageError(None, path, "is the state of another network", fix)
        return jax.device_put(state)

    def follows(self, positions: Sequence[int], windows: int, seed: int = 0) -> np.ndarray:
        """Share of answers that follow a change at each of P positions, `[P]`."""
        key, places = jax.random.key(seed, impl=GENERATOR), np.asarray(positions)
        return np.asarray(programs(self.config).follows(self.params, key, places, windows=windows))

    @functools.cached_property
    def digest(self) -> str:
        """The digest of the configuration and the weights."""
        weights = [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(self.params)]
        return atomic_files.digest_of([to_dict(self.config), *map(atomic_files.digest, weights)])

    def _check(self, tokens: Any) -> None:
        """Raise ConfigError for what is no token; traced values cannot be checked."""
        if isinstance(tokens, jax.core.Tracer):
            return
        array, size = np.asarray(tokens), len(self.vocabulary)
        if array.size and not (array.dtype.kind in "iu" and 0 <= array.min() <= array.max() < size):
            rule = f"is no token, a whole number of 0 to {size - 1}"
            raise ConfigError(None, shown(tokens), rule, "let predict turn values into tokens")

    def _answer(self, tokens: np.ndarray, logits: bool) -> Answer:
        """The `Answer`s to a whole sequence of tokens, see `feed`; its end is padded."""
        piece = online.piece_size(self.config)
        rest = len(tokens) % piece
        state, first = self.feed(self.start(), tokens[: len(tokens) - rest], logits)
        padded = np.zeros(min(1 << rest.bit_length(), piece), np.int32)  # few sizes: few programs
        padded[:rest] = tokens[len(tokens) - rest :]
        _, last = programs(self.config).feed(self.params, state, padded)
        last = jax.tree.map(lambda leaf: np.asarray(leaf)[:rest], last)
        last = last._replace(logits=last.logits[:, : first.logits.shape[1]])
        return Answer(*map(np.concatenate, zip(first, last, strict=True)))


def _warn(sentence: str) -> None:
    """A warning about a run, at the line that loads it."""
    warnings.warn(sentence, stacklevel=3)


def load(
    folder: str | Path,
    seed: int | None = None,
    cell: str | None = None,
    say: Callable[[str], None] = _warn,
) -> Trained:
    """The network in the last checkpoint of a run folder.

    Args:
      folder: of a run, finished or not.
      seed: the seed of the network, where a run has many; None for the first.
      cell: the run's own cell, `package.module:Class`, where it has one; nothing is imported
        because a folder names it.
      say: told in a sentence that the text of the run's own cell has changed since; a warning by
        default.

    Raises:
      ConfigError: there is no such run, seed or checkpoint, or a file of it is damaged.
    """
    path = atomic_files.path_of("folder", folder)
    machine.check_program(("jax_enable_x64", "jax_numpy_rank_promotion"))
    inputs = run_folder.read_inputs(path, with_tokens=False)
    run_folder.check_cell_named(path, inputs, cell)
    config = inputs.config
    state, about = checkpoint.load_state(path, inputs, many_seeds.state_shapes(config))
    first = jax.tree.map(lambda leaf: leaf[0], state.params)
    start = jax.eval_shape(lambda: online.start(config, build_network(config), first))
    piece = online.piece_size(config) * (config.task.window + config.task.vocab_size)
    machine.check_memory(4 * (tensor_files.size_of(start) + piece))
    source = registry.source_digest(config.network.cell)
    if changed := run_folder.changed_cell(path, inputs, source):
        say(
            f"{changed}, so the answers may not be those of the network that was trained: bring "
            "that text back, or train again"
        )
    network_in = functools.partial(network_of, inputs, state.params, about["sequences"])
    return network_of_seed(config, network_in, seed, str(folder))


def network_of_seed(
    config: RunConfig, network_in: Callable[[int], Trained | None], seed: int | None, run: str
) -> Trained:
    """The network of a seed, None for the first, of those in the rows of a run."""
    first, last = config.seed, config.seed + config.seeds - 1
    number = first if seed is None else seed
    if number not in range(first, last + 1):
        raise ConfigError("seed", number, f"is not in {run}", f"use one from {first} to {last}")
    network = network_in(int(number) - first)
    if network is None:
        raise ConfigError("seed", number, f"of {run} failed in training", "use another {seed}")
    return network


def network_of(inputs: RunSpec, params: Params, sequences: int, row: int) -> Trained | None:
    """The network in a row of weights `[S or more, ...]`; None if one of them is non-finite."""
    one = jax.tree.map(lambda leaf: np.array(leaf[row]), params)
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(one)):
        return None
    return Trained(inputs.config, jax.device_put(one), inputs.vocabulary, sequences)


def _sequences(inputs: Any) -> tuple[bool, list[list[Any]]]:
    """True for several sequences, and the inputs as a list of sequences."""
    items = inputs.tolist() if hasattr(inputs, "tolist") else inputs
    if isinstance(items, str | bytes | Mapping | Set) or not isinstance(items, Iterable):
        raise ConfigError("inputs", inputs, "is no sequence of values", "use a list or an array")
    items = [item.tolist() if hasattr(item, "tolist") else item for item in items]
    nested = [isinstance(item, list | tuple) for item in items]
    if not any(nested):
        return False, [items]
    inner = itertools.chain.from_iterable(items) if all(nested) else [items]
    if any(isinstance(value, list | tuple | np.ndarray) for value in inner):
        fix = "use a list or an array [T], or for many a list of lists or an array [N, T]"
        raise ConfigError("inputs", inputs, "is neither values nor sequences of values", fix)
    return True, [list(item) for item in items]


def _word(value: Any) -> str:
    """A value as a word: an integer, a float that is a whole number, or a string."""
    if isinstance(value, str):
        return value
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError("value", value, "is neither a whole number nor a string", "use one")
    if abs(value) >= 10**vocabulary.LONGEST:
        rule = f"has more than {vocabulary.LONGEST} digits"
        raise ConfigError(None, "a value", rule, "use a smaller one")
    return str(value)
