"""Read the user's own values for a run, and measure the scores that only such runs have."""

import contextlib
import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from echo_jax.config import DataConfig, RunConfig, TaskConfig, changed
from echo_jax.echo import token_by_token
from echo_jax.echo.compiled_programs import Programs
from echo_jax.echo.data import Corpus
from echo_jax.echo.run.run_folder import TOKENS, VOCABULARY, RunSpec
from echo_jax.echo.run.scoring import OwnScores
from echo_jax.echo.target_place import knowable_share
from echo_jax.exceptions import ConfigError
from echo_jax.learner.network import Network, Params
from echo_jax.learner.random_tokens import Purpose, purpose_key
from echo_jax.storage import atomic_files
from echo_jax.storage.csv_and_text import read_column, read_text
from echo_jax.storage.vocabulary import Vocabulary, encode


def read_inputs(config: RunConfig) -> RunSpec:
    """Read the file that `config` names, and return the inputs of a new run on its values.

    Raises ConfigError if the file cannot be read, or if its values do not suit the run.
    """
    data = config.data
    if data.text is not None:
        words: Sequence[str] = read_text(Path(data.text))
    else:
        name, words, _ = read_column(Path(str(data.csv)), data.column)
        config = changed(config, column=name)
    with _naming(config.data):
        vocabulary = Vocabulary.of_words(words)
        tokens = encode(vocabulary, words)
    return on_values(column_inputs(config, list(vocabulary.values), tokens), config)


def column_inputs(config: RunConfig, values: list[str], tokens: np.ndarray) -> RunSpec:
    """Return the inputs of a run of `config` on `tokens`, int32 `[M]`, which stand for `values`.

    `values` are the different values, in the order of their tokens.
    """
    digests = {
        VOCABULARY: atomic_files.digest_of([values, len(tokens)]),
        TOKENS: atomic_files.digest(tokens.tobytes()),
    }
    return RunSpec(config, values, tokens, digests)


def on_values(own: RunSpec, config: RunConfig) -> RunSpec:
    """Return the inputs of a run of `config` on the values of `own`, the inputs of another run.

    The configuration gets the number of different values, and the column. Raises ConfigError if
    there are too few values for the run, or if `config` states another number of different values.
    """
    data = own.config.data
    size = len(own.values or ())
    asked = config.task.vocab_size
    with _naming(data):
        # The default cannot be told from an option that was left out, so it is taken as one.
        if asked not in (TaskConfig.vocab_size, size):
            rule = f"is not {size}, the number of different values"
            raise ConfigError("vocab_size", asked, rule, "leave {vocab_size} out")
        inputs = own._replace(config=changed(config, vocab_size=size, column=data.column))
        inputs.corpus()  # refuses what is too short
        return inputs


@contextlib.contextmanager
def _naming(data: DataConfig) -> Iterator[None]:
    """Add the file of `data` to a ConfigError that the `with` block raises."""
    try:
        yield
    except ConfigError as error:
        rule = f"{error.rule} ({data})"
        raise ConfigError(error.field, error.value, rule, error.fix) from None


def measure(
    config: RunConfig, corpus: Corpus, values: list[str], programs: Programs, params: Params
) -> OwnScores:
    """Return the scores that only own values have, for the weights `params`, `[S or more, ...]`.

    `programs` are compiled for `config`. `values` are the different values, in the order of the
    tokens of `corpus`. The end of the training part is scored if this part is not shorter than the
    held-out part. `follows` is measured if the network is fed the target of the last answer.
    """
    training = corpus.training
    fitted = None
    if len(training) >= len(corpus.held_out):  # else the program that is compiled does not fit
        end = Corpus(training, training[-len(corpus.held_out) :])
        fitted = programs.score(programs.dynamic(config), params, end)
    known = knowable_share(config)
    follows = None
    if known == 1 or (known and not config.task.in_streams):  # the last target is fed
        follows = follows_its_target(config, programs.network, params, training)
    return OwnScores(corpus, values, fitted, follows)


def follows_its_target(
    config: RunConfig, network: Network, params: Params, training: np.ndarray
) -> np.ndarray:
    """Return the share of last answers that follow a change of the value asked for, `[S]`.

    `params` are the weights of the seeds, `[S or more, ...]`. The share is measured in up to 200
    sequences of tokens that are drawn from `training`, int32 `[M]`, in random order. Long sequences
    are measured few at a time.
    """
    some = max(1, min(200, token_by_token.piece_size(config) // config.task.length))
    keys = jax.random.split(purpose_key(config.seed, Purpose.EVALUATION), 200 // some)
    lag = np.array([config.task.lag])
    pool = np.asarray(training)
    host = jax.device_get(params)
    measure = functools.partial(
        token_by_token.follows, config, network, positions=lag, windows=some
    )
    follows = jax.jit(measure)
    seeds = (jax.tree.map(lambda leaf, s=s: leaf[s], host) for s in range(config.seeds))
    return np.array([np.mean([follows(one, key, pool=pool) for key in keys]) for one in seeds])
