"""Use a trained network: load it from its run folder, feed it values, and get answers.

    network = load("runs/part4")
    network.predict([1, 36, 0, 36, 21, 2])    # -> [None, None, None, None, 36, 21]

One integer at a time, the caller holds the state:

    state = network.start()
    state, answer = network.step(state, 1)    # answer.exists, answer.token, answer.logits
"""

import dataclasses
import functools
import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from echo_jax import machine
from echo_jax.cells import registry
from echo_jax.cells.cell_object import cell_of
from echo_jax.config import RunConfig, check_call, check_named, checked, is_built_in
from echo_jax.echo import token_by_token, training
from echo_jax.echo.run import checkpoint, run_folder
from echo_jax.echo.run.run_folder import RunSpec
from echo_jax.echo.token_by_token import Answer, EchoState
from echo_jax.exceptions import ConfigError, printable, shown
from echo_jax.jax_settings import GENERATOR
from echo_jax.learner.network import Network, Params
from echo_jax.storage import atomic_files, tensor_files, vocabulary
from echo_jax.storage.vocabulary import UNSEEN, Unknown, Vocabulary

if TYPE_CHECKING:
    from echo_jax.probing.probe_result import ProbeResult
    from echo_jax.report.charts import NotebookFigure

GROUP = 16
"""The number of tokens that are fed at once if there are too few for a whole piece."""


@dataclasses.dataclass(frozen=True)
class _Keyed:
    """A network that equals every network with an equal `cell`.

    `cell` is None for a built-in cell, and the id of the object for a user's cell.
    """

    cell: int | None
    network: Network = dataclasses.field(compare=False)


@functools.lru_cache(maxsize=64)
def _compiled(function: Callable[..., Any], config: RunConfig, keyed: _Keyed) -> Any:
    # Weights are an argument, so networks of one configuration share their programs.
    return jax.jit(functools.partial(function, config, keyed.network))


@dataclasses.dataclass(frozen=True, repr=False)
class TrainedNetwork:
    """The trained network of one seed of a run, with what it needs to answer.

    config      the configuration of the run
    network     the modules of the network
    params      the trained weights of the seed
    vocabulary  the values that the tokens stand for
    seed        the seed of the network
    """

    config: RunConfig
    network: Network
    params: Params
    vocabulary: Vocabulary
    sequences: int
    """The number of sequences that the network was trained on."""
    seed: int
    tokens: np.ndarray | None = None
    """The user's data as tokens, int32 `[M]`, or None if there are none or they were not read."""

    def __repr__(self) -> str:
        """Return one line: the cell, the task, the values, and how long the network was trained."""
        task = self.config.task
        network = self.config.network
        state = "stateful" if network.stateful else "stateless"
        return (
            f"{state} {network.cell} of {network.hidden_size} units, lag {task.lag}, "
            f"{task.layout} of {task.window}, batch size {task.batch_size}; "
            f"{self.vocabulary}; trained on {self.sequences:,} sequences"
        )

    def compiled(self, function: Callable[..., Any]) -> Any:
        """Return `function`, compiled for its first arguments: the configuration and the network.

        Networks with one configuration and one cell share the compiled program.
        """
        cell = None if is_built_in(self.config.network.cell) else id(self.network.cell)
        return _compiled(function, self.config, _Keyed(cell, self.network))

    def start(self) -> EchoState:
        """Return the state before the first token."""
        return token_by_token.start(self.config, self.network, self.params)

    def step(self, state: EchoState, token: Any) -> tuple[EchoState, Answer]:
        """Return the state after one `token`, an integer in 0 .. V-1, and the `Answer`.

        The method is pure: `state` is not changed.

        Raises:
          ConfigError: the token is not an integer in 0 .. V-1.
        """
        self._check(token, axes=0)
        return self.compiled(token_by_token.step)(self.params, state, token)

    def values(self, state: EchoState, tokens: np.ndarray) -> tuple[EchoState, list[Any]]:
        """Return the state after the next `tokens`, int32 `[N]`, and the N values that answer them.

        A value is None before the first answer, and for an UNSEEN token, which is not fed.

        Raises:
          ConfigError: a token is neither UNSEEN nor in 0 .. V-1.
        """
        tokens = np.asarray(tokens).ravel()
        values: list[Any] = [None] * len(tokens)
        for after, places, answers in self._fed(state, tokens):
            state = after
            for place, token in zip(places, answers.token.tolist(), strict=True):
                values[place] = self.vocabulary.value(token)
        return state, values

    def lacking(self, state: EchoState) -> int:
        """Return how many values to feed after `state` for a first answer; 0 after an answer."""
        return max(0, self.config.task.target_times.start + 1 - int(state.seen))

    def generate(
        self, state: EchoState, tokens: np.ndarray, count: int
    ) -> tuple[EchoState, list[Any]]:
        """Feed `tokens`, int32 `[N]`, and then each answer; return the state and `count` answers.

        `state` is the state before the tokens. The last answer is not fed, so the returned state is
        the state before it. UNSEEN tokens are left out.

        Raises:
          ConfigError: the lag is not -1, a token is no token, `count` is below 1, or there are too
            few tokens for a first answer.
        """
        checked("count", int, count)
        if (lag := self.config.task.lag) != -1:
            rule = f"needs a network that predicts the next value, and this one has lag {lag}"
            raise ConfigError("generate", count, rule, "train a network with {lag=-1}")
        given = np.asarray(tokens)
        fed = given[given != UNSEEN]
        self._check(fed, axes=1)
        values = list[Any]()
        missing = max(self.lacking(state), 1) - len(fed)
        if missing > 0:
            fix = f"give {missing} more"
            raise ConfigError("generate", count, "has too few values for a first answer", fix)
        state, _ = self.values(state, fed[:-1])
        token = fed[-1]
        for _ in range(count):
            state, answer = self.step(state, token)
            token = answer.token
            values.append(self.vocabulary.value(int(token)))
        return state, values

    def _probabilities(self, state: EchoState, tokens: np.ndarray) -> np.ndarray:
        shares = np.full((len(tokens), len(self.vocabulary)), np.nan, np.float32)
        for _, places, answers in self._fed(state, tokens):
            shares[places] = jax.nn.softmax(answers.logits)
        return shares

    def _fed(
        self, state: EchoState, tokens: np.ndarray
    ) -> Iterator[tuple[EchoState, list[int], Answer]]:
        """Yield, for each piece of `tokens`, the next state, the places with answers, and answers.

        A place is an index into `tokens`, int32 `[N]`; UNSEEN tokens are not fed. Whole pieces are
        fed at once, then groups, and then the remaining tokens one by one.
        """
        fed = np.flatnonzero(tokens != UNSEEN)
        piece = token_by_token.piece_size(self.config)
        cuts = [0]
        self._check(tokens[fed], axes=1)
        feed = self.compiled(token_by_token.feed)
        # Three sizes, so three programs at most are compiled for sequences of any length.
        for size in (piece, min(piece, GROUP), 1):
            cuts += range(cuts[-1] + size, len(fed) + 1, size)
        for first, end in itertools.pairwise(cuts):
            places = fed[first:end]
            state, answer = feed(self.params, state, tokens[places])
            exists = np.asarray(answer.exists)
            there = jax.tree.map(lambda leaf, rows=exists: np.asarray(leaf)[rows], answer)
            yield state, places[exists].tolist(), there

    def predict(
        self, inputs: Any, *, probabilities: bool = False, unknown: Unknown = "error"
    ) -> Any:
        """Return the answer of the network after each value.

        Args:
          inputs: one sequence of values, a list or an array `[T]`, or several sequences of any
            lengths. A value is an integer, or a string for a run on words. Each sequence starts
            from a zero state.
          probabilities: return probabilities instead of answers; not for framing `values`.
          unknown: what is done with a value that is not in the vocabulary: `error` raises
            ConfigError, and `skip` goes on as if the value did not occur.

        Returns:
          For one sequence, the list of its T answers, None where there is no answer yet; or the
          probabilities, float32 `[T, V]`, NaN where there is no answer yet. For several sequences,
          a list that has such a list or array for each sequence.

        Raises:
          ConfigError: a value is not in the vocabulary, or an argument breaks a rule.
        """
        check_call(TrainedNetwork.predict, locals())
        if probabilities and self.config.task.framing == "values":
            rule = "is not available with {framing=values}, where an answer is one number"
            fix = "leave it out, or train a network with {framing=classes}"
            raise ConfigError("probabilities", probabilities, rule, fix)
        many, sequences = _sequences(inputs)
        every = [self._tokens(sequence, unknown) for sequence in sequences]
        start = self.start()
        answer = self._probabilities if probabilities else lambda *fed: self.values(*fed)[1]
        group = min(GROUP, token_by_token.piece_size(self.config))
        answers = []
        for tokens in every:
            lacking = int(-np.count_nonzero(tokens != UNSEEN) % group)  # a group is faster
            answers.append(answer(start, np.pad(tokens, (0, lacking)))[: len(tokens)])
        return answers if many else answers[0]

    def states(
        self, values: Sequence[Any] | None = None, *, unknown: Unknown = "error"
    ) -> "NotebookFigure":
        """Return a figure of the states over `values`: a column for a step, a row for a unit.

        Each block is the window of one answer; for an LSTM the panels are c and h. `values` are one
        sequence; by default they are random, but equal in each call. `unknown` is as in `predict`.

        Raises:
          ConfigError: the values are not one sequence, have no answer, or take over 400 steps.
        """
        from echo_jax.echo.run import predictor_states

        check_call(TrainedNetwork.states, locals())
        given = predictor_states.any_values(self) if values is None else values
        many, sequences = _sequences(given)
        if many:
            raise ConfigError("values", shown(values), "are several sequences", "give one sequence")
        tokens = self._tokens(sequences[0], unknown)
        return predictor_states.figure_of(self, tokens[tokens != UNSEEN])

    def memory(self, lags: int | None = None) -> "ProbeResult":
        """Return the bits that the state tells about the value at each lag, up to `lags`.

        The result also has the bits before training. By default `lags` is 2 max(W, n + 1), for the
        window W and the lag n of the task. `predictor_states.memory_of` says how the bits are
        measured.

        Raises:
          ConfigError: `lags` breaks a rule, or there are too few own values to measure.
        """
        from echo_jax.echo.run import predictor_states

        check_call(TrainedNetwork.memory, locals())
        return predictor_states.memory_of(self, lags)

    def _tokens(self, sequence: Sequence[Any], unknown: Unknown) -> np.ndarray:
        return vocabulary.encode(self.vocabulary, list(map(_word, sequence)), unknown=unknown)

    def follows(self, positions: Sequence[int], windows: int) -> np.ndarray:
        """Return the share of last answers that follow a change at a position, float32 `[P]`.

        Each of the P `positions` is a number of steps back, and `windows` is the number of random
        sequences, as in `token_by_token.follows`.
        """
        key = jax.random.key(0, impl=GENERATOR)
        follows = functools.partial(
            token_by_token.follows, self.config, self.network, windows=windows
        )
        return np.asarray(jax.jit(follows)(self.params, key, np.asarray(positions)))

    def _check(self, tokens: Any, axes: int) -> None:
        if isinstance(tokens, jax.core.Tracer):  # which cannot be checked
            return
        array = np.asarray(tokens)
        size = len(self.vocabulary)
        if array.ndim != axes or (
            array.size and not (array.dtype.kind in "iu" and 0 <= array.min() <= array.max() < size)
        ):
            tokens_are = "an array of tokens, whole numbers" if axes else "a token, a whole number"
            rule = f"is not {tokens_are} from 0 to {size - 1}"
            raise ConfigError(None, shown(tokens), rule, "use predict, which takes values")


_warn = functools.partial(warnings.warn, stacklevel=2)  # at the line that calls `load`


def load(
    folder: str | Path,
    seed: int | None = None,
    cell: str | None = None,
    say: Callable[[str], None] = _warn,
) -> TrainedNetwork:
    """Return the network in the last checkpoint of a run folder.

    Args:
      folder: the folder of a run, finished or not.
      seed: the seed of the network; None for the first seed of the run.
      cell: the user's cell of the run, as module:NAME or FILE.py; a cell that only the folder names
        is not imported.
      say: a function that gets a sentence if the text of the user's cell has changed since the run;
        by default the sentence is a warning.

    Raises:
      ConfigError: an argument breaks a rule, the seed failed or does not exist, or the run has a
        user's cell that `cell` does not name.
      StorageError: there is no such run or no checkpoint, or one of its files is damaged.
    """
    path = atomic_files.path_of("folder", folder)
    check_call(load, locals())
    machine.check_settings(("jax_enable_x64", "jax_numpy_rank_promotion"))
    inputs = checkpoint.read_inputs(path, to_train=False)
    check_named(path, inputs.config.network.cell, cell)
    config = inputs.config
    learner = training.build_learner(config, cell_of(config))
    network = learner.network
    saved = checkpoint.read_state(path, inputs, training.state_shapes(config, learner))
    params = saved.state.params
    first = jax.tree.map(lambda leaf: leaf[0], params)
    start = jax.eval_shape(lambda: token_by_token.start(config, network, first))
    piece = token_by_token.piece_size(config) * (config.task.window + config.task.vocab_size)
    fix = "load it on a machine with more memory"
    machine.check_memory(4 * (tensor_files.size_of(start) + piece), fix)
    source = registry.source_digest(config.network.cell, network.cell)
    if changed := run_folder.changed_cell(path, inputs, source):
        answers = "so the answers may differ from those of the network that was trained"
        say(printable(f"{changed}, {answers}: restore that text, or train again"))
    return network_of(inputs, network, params, saved.history.sequences, seed, str(folder))


def network_of(
    inputs: RunSpec, network: Network, params: Params, sequences: int, seed: int | None, run: str
) -> TrainedNetwork:
    """Return the network of `seed`, None for the first, with its weights in `params`.

    `params` has the weights of all seeds, `[S or more, ...]`, of a run with `inputs` that was
    trained on `sequences` sequences. `run` is the name of the run in errors. Raises ConfigError if
    the run has no such seed, or if a weight is non-finite.
    """
    check_call(network_of, {"seed": seed})
    first = inputs.config.seed
    last = first + inputs.config.seeds - 1
    number = first if seed is None else seed
    if number not in range(first, last + 1):
        fix = f"use one from {first} to {last}" if last > first else f"use {first}"
        raise ConfigError("seed", number, f"is not a seed of {run}", fix)
    # A copy: a view would keep the weights of all seeds in memory.
    weights = jax.tree.map(lambda leaf: np.array(leaf[int(number) - first]), params)
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(weights)):
        raise ConfigError("seed", number, f"of {run} failed in training", "use another {seed}")
    # Once here, and not again with each token.
    placed = jax.device_put(weights)
    words = inputs.vocabulary
    return TrainedNetwork(
        inputs.config, network, placed, words, sequences, int(number), inputs.tokens
    )


def _sequences(inputs: Any) -> tuple[bool, list[list[Any]]]:
    """Return whether `inputs` are several sequences, and `inputs` as a list of sequences.

    Raises ConfigError unless the inputs are one sequence of values or several sequences.
    """
    items = inputs.tolist() if hasattr(inputs, "tolist") else inputs
    if isinstance(items, str | bytes | Mapping | Set) or not isinstance(items, Iterable):
        raise ConfigError("inputs", inputs, "is not a sequence", "use a list or an array")
    items = [item.tolist() if hasattr(item, "tolist") else item for item in items]
    nested = [isinstance(item, list | tuple) for item in items]
    if not any(nested):
        return False, [items]
    if not all(nested):
        fix = "use a list or an array [T], or for several sequences a list of lists or [N, T]"
        raise ConfigError("inputs", inputs, "mixes values and sequences of values", fix)
    return True, [list(item) for item in items]


def _word(value: Any) -> str:
    """Return `value` as a word: a string, or a whole number of any type, such as 3 or 3.0.

    Raises ConfigError for any other value, and for a number of too many digits.
    """
    if isinstance(value, str):
        return value
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        rule = "is not a whole number or a string"
        raise ConfigError("value", value, rule, "use whole numbers or strings")
    # Looked at before it is written: beyond 4,300 digits Python raises ValueError.
    if abs(value) >= 10**vocabulary.LONGEST:
        rule = f"has more than {vocabulary.LONGEST} digits"
        raise ConfigError(None, "a value", rule, "use a shorter number")
    return str(value)
