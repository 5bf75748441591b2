import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import drawn_params, network_of

from echo_jax.config import NetworkConfig, RunConfig, TaskConfig
from echo_jax.echo import training
from echo_jax.echo.data import sequence_batches
from echo_jax.echo.training import feed, start
from echo_jax.learner import network as n


def small(layout="windows", cell="lstm", stateful=True, **task):
    fields = {"length": 12, "vocab_size": 12, "window": 3, "lag": 1, "batch_size": 2} | task
    return RunConfig(TaskConfig(layout=layout, **fields), NetworkConfig(cell, 6, stateful))


def network_and_params(config):
    """A network, and weights large enough that every input and state matters."""
    network = network_of(config)
    return network, drawn_params(network)


def logits_in_order(config, network, params, tokens):
    """Logits of all rows of a sequence, `[rows, V]`, and of streams, `[B * L, V]`."""

    def step(carry, batch):
        carry, fed = feed(network, config.network.stateful, params, carry, batch.rows)
        return carry, training.target_logits(network, params, fed.outputs, batch.targets)

    batches = sequence_batches(tokens, config.task, config.task.lag)
    _, logits = jax.lax.scan(step, start(config, network, params), batches)
    return logits.reshape(-1, config.task.vocab_size)


@pytest.mark.parametrize("stateful", [True, False])
@pytest.mark.parametrize(("window", "batch_size"), [(1, 3), (3, 2), (2, 1), (1, 1)])
def test_a_row_depends_exactly_on_its_window_and_on_the_rows_it_continues(
    window, batch_size, stateful
):
    config = small(window=window, batch_size=batch_size, stateful=stateful, lag=0)
    network, params = network_and_params(config)
    tokens = np.random.default_rng(1).permutation(12)
    run = jax.jit(jax.vmap(lambda tokens: logits_in_order(config, network, params, tokens)))
    changed = np.where(np.eye(12, dtype=bool), (tokens + 1) % 12, tokens)
    before, after = (np.asarray(run(each)) for each in (np.tile(tokens, (12, 1)), changed))
    differs = np.any(before != after, axis=-1)
    times = np.asarray(config.task.row_times)
    window_of = (np.arange(12) <= times[:, None]) & (np.arange(12) > times[:, None] - window)
    expected = window_of.copy()
    for row in range(batch_size, len(times) if stateful else 0):
        expected[row] |= expected[row - batch_size]
    np.testing.assert_array_equal(differs.T, expected)


class StartsAtOne(nn.SimpleCell):
    carry_init: nn.initializers.Initializer = nn.initializers.ones_init()


def test_zeroing_means_the_cells_own_initial_carry():
    config = small(cell="test_carried_state:StartsAtOne", stateful=False)
    network, params = network_and_params(config)
    assert np.all(jax.jit(lambda: network.initial_state(params, 2))() == np.ones((2, 6)))

    @jax.jit
    def third_batch(tokens):
        rows = logits_in_order(config, network, params, tokens)
        batch = jax.tree.map(lambda leaf: leaf[2], sequence_batches(tokens, config.task, 1))
        _, outputs = n.unroll(network, params, jnp.ones((2, 6)), *batch.rows)
        return rows[4:6], n.read_out(network, params, outputs[-1])

    chex.assert_trees_all_close(*third_batch(np.arange(12)), atol=1e-6)
