"""Weights and states drawn by NumPy, which compiles nothing for a new shape."""

import jax
import numpy as np

from echo_jax.cells.cell_object import cell_of
from echo_jax.config import changed
from echo_jax.echo.run.predictor import TrainedNetwork
from echo_jax.echo.training import build_learner, build_network
from echo_jax.learner.network import init_params
from echo_jax.storage.vocabulary import Vocabulary


def network_of(config, compute="fast"):
    """The network of a configuration, around the cell that it names."""
    return build_network(config, cell_of(config), compute)


def learner_of(config):
    """The learner of a configuration, around the cell that it names."""
    return build_learner(config, cell_of(config))


def drawn(shapes, seed, deviation=1.0):
    """A tree of arrays of these shapes, every number different."""
    leaves, tree = jax.tree.flatten(shapes)
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(0, deviation, leaf.shape).astype(leaf.dtype) for leaf in leaves]
    return tree.unflatten(map(jax.device_put, arrays))


def drawn_params(network):
    """Weights of a network, large enough that every input and state matters."""
    return drawn(jax.eval_shape(lambda: init_params(network, jax.random.key(0))), 1, 0.7)


def drawn_network(config, words=None, **fields):
    """A network as if trained, with drawn weights, whose values are words, or else integers."""
    config = changed(config, **fields)
    network = network_of(config)
    values = Vocabulary(tuple(words or map(str, range(config.task.vocab_size))))
    return TrainedNetwork(config, network, drawn_params(network), values, 4, 0)
