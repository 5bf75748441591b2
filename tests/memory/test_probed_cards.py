"""Heads that are fitted afterwards find what the heads found that were trained with the cell."""

import functools

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

import echo_jax
from echo_jax.cells import registry
from echo_jax.memory import learning
from echo_jax.memory.by_lag import ByLag, LagSets, draw_streams
from echo_jax.memory.protocol import STANDARD

PROTOCOL = msgspec.structs.replace(STANDARD, lags=16, symbols=8)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["block:lru", "lstm"])
def test_a_probe_finds_the_bits_of_the_heads_of_the_same_run(cell):
    question = ByLag(registry.build(cell, {}), PROTOCOL)
    run = learning.RunInputs(np.int32(0), np.float32(0.01), np.int32(300))
    state = jax.jit(functools.partial(learning.init, question))(run)
    train = jax.jit(functools.partial(learning.train_updates, question))
    for _ in range(300 // PROTOCOL.updates_at_once):
        state, _ = train(run, state)
    params = state.train.params
    tokens = draw_streams(PROTOCOL, jax.random.key(9), 2048)
    sets = LagSets(tokens[1536:1792], tokens[1536:1792], tokens[1792:])
    nats = jax.jit(question.score)(params, sets).final
    own = np.maximum(np.log2(PROTOCOL.symbols) - np.asarray(nats) / np.log(2), 0).sum()
    states = np.zeros((*tokens.shape, question.numbers), np.float32)
    states[:, list(PROTOCOL.asked)] = jax.jit(question.states)(params, jnp.asarray(tokens))
    found = echo_jax.probe(states, tokens, PROTOCOL.lags, at=PROTOCOL.asked, scored=256)
    assert own > 5
    assert found.total > 0.97 * own
