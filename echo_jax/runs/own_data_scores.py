"""What is measured after training on the user's own values, and not on random integers."""

import functools

import jax
import numpy as np

from echo_jax.config import RunConfig
from echo_jax.core import token_by_token
from echo_jax.core.data import Corpus, Purpose, purpose_key
from echo_jax.core.network import Network, Params
from echo_jax.core.target_place import knowable_share
from echo_jax.host.run_programs import Programs
from echo_jax.runs.result import OwnScores


def measure(
    config: RunConfig, corpus: Corpus, values: list[str], programs: Programs, params: Params
) -> OwnScores:
    """The scores of the trained weights `[S or more, ...]` that `OwnScores` lists."""
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
    """The share of last answers that follow a change of the value asked for, by seed.

    In up to 200 sequences of training tokens without an order, few at a time where they are long.
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
