"""Whole runs of many seeds as one function, to trace, compile and map."""

import jax
from drawn import learner_of

from echo_jax.echo import many_seeds


def train_and_evaluate(config, dynamic, seed_map="map"):
    """The final states, `Metrics` `[S, N, K]` and `Evaluation`s `[S]` of a static configuration."""
    runs, sequences = len(dynamic.seed), config.training.sequences
    devices = many_seeds.devices_for(runs, seed_map)
    padded = many_seeds.pad(dynamic, len(devices))
    many = many_seeds.for_many_seeds(config, learner_of(config), sequences, devices, seed_map)
    state, metrics = many.run_chunk(padded, many.init(padded), sequences, None)
    scored = many.evaluate(padded, state.params, None)
    return jax.tree.map(lambda leaf: leaf[:runs], (state, metrics, scored))
