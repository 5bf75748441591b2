"""Whole runs of many seeds as one function, to trace, compile and map."""

import functools

import jax
from drawn import learner_of

from echo_jax.echo import evaluation, many_seeds, training


def train_and_evaluate(config, dynamic, seed_map="map"):
    """The final states, `Metrics` `[S, N, K]` and `Evaluation`s `[S]` of a static configuration."""
    runs, sequences = len(dynamic.seed), config.training.sequences
    devices = many_seeds.devices_for(runs, seed_map)
    padded = many_seeds.pad(dynamic, len(devices))
    over = functools.partial(many_seeds.over_runs, devices=devices, seed_map=seed_map)
    learner = learner_of(config)
    train = over(functools.partial(training.run_chunk, config, learner, sequences), shared=2)
    start = over(functools.partial(training.init, learner))(padded)
    state, metrics = train(padded, start, sequences, None)
    score = over(functools.partial(evaluation.evaluate, config, learner.network), shared=1)
    scored = score(padded, state.params, None)
    return jax.tree.map(lambda leaf: leaf[:runs], (state, metrics, scored))
