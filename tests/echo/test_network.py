import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import drawn, drawn_params, network_of

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


@pytest.mark.parametrize("tied", [True, False])
def test_the_readout_starts_as_in_keras_and_embeddings_with_unit_variance_of_a_logit(tied):
    options = NetworkConfig("mlp", 50, encoding="embedding", embedding_dim=40, tied=tied)
    network = network_of(RunConfig(network=options))
    params = jax.jit(lambda key: n.init_params(network, key))(jax.random.key(0))
    params = jax.tree.map(np.asarray, params)
    assert np.var(params["embedding"]) == pytest.approx(1 / 40 if tied else 1, rel=0.1)
    limit = np.sqrt(6 / (50 + (40 if tied else 100)))
    assert 0.99 * limit < np.max(np.abs(params["readout"]["kernel"])) <= limit
    assert not np.any(params["readout"]["bias"])


EMBEDDED_TOKENS = np.array([[12, 12, 4, 1], [9, 2, 6, 5]])  # 12 stands for a missing value


@pytest.mark.parametrize(("cell", "tied"), [("lstm", False), ("gru", True)])
def test_a_cell_is_fed_the_rows_of_the_embedding_and_tied_logits_are_products_with_them(cell, tied):
    task = TaskConfig(12, 12, 3, 1, 2, "prefixes", missing="token")
    options = NetworkConfig(cell, 6, encoding="embedding", embedding_dim=5, tied=tied)
    network, params = network_and_params(RunConfig(task, options))
    carry = drawn(jax.eval_shape(lambda: network.initial_state(params, 2)), 0)

    @jax.jit
    def run(params, carry):
        carry, outputs = n.unroll(network, params, carry, EMBEDDED_TOKENS, None)
        return carry, training.target_logits(network, params, outputs, EMBEDDED_TOKENS[:, :2])

    found_carry, logits = run(params, carry)
    step, outputs = jax.jit(network.cell.step), []
    readout, embedding = jax.tree.map(np.asarray, (params["readout"], params["embedding"]))
    for tokens in EMBEDDED_TOKENS.T:
        carry, output = step(params["cell"], carry, embedding[tokens])
        outputs.append(np.asarray(output))
    chex.assert_trees_all_close(found_carry, carry, atol=1e-6)
    for b, step in np.ndindex(2, 2):
        expected = outputs[step + 2][b] @ readout["kernel"] + readout["bias"]
        expected = embedding[:12] @ expected if tied else expected
        np.testing.assert_allclose(logits[b, step], expected, atol=2e-6)


@pytest.mark.parametrize("vocab_size", [2, 999])
def test_the_answer_of_values_is_the_nearest_integer_to_what_is_read(vocab_size):
    task = TaskConfig(vocab_size=vocab_size, framing="values")
    config = RunConfig(task, NetworkConfig(hidden_size=1))
    network = network_of(config)
    params = {"readout": {"kernel": np.float32([[2.0]]), "bias": np.float32([0.5])}}
    tokens = np.arange(vocab_size)
    fed = jax.jit(lambda tokens: n.encode(network, params, tokens))(tokens)
    np.testing.assert_allclose(fed, (tokens / (vocab_size - 1))[:, None], rtol=1e-6)
    cell = jax.eval_shape(lambda: n.init_params(network, jax.random.key(1)))["cell"]
    assert cell["kernel"].shape == (1, 4)
    read = np.random.default_rng(0).uniform(-0.5, 1.5, 2000).astype(np.float32)
    scaled = read * (vocab_size - 1.0)
    read, scaled = (x[np.abs(scaled % 1 - 0.5) > 1e-2] for x in (read, scaled))  # no ties
    logits = jax.jit(lambda x: n.read_out(network, params, x))((read - 0.5)[:, None] / 2)
    nearest = np.clip(np.rint(scaled), 0, vocab_size - 1)
    np.testing.assert_array_equal(np.argmax(logits, axis=-1), nearest)
    errors = (read[:, None] - tokens / (vocab_size - 1)) ** 2
    np.testing.assert_allclose(logits, -errors, atol=2e-6)


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
    config = small(cell="test_network:StartsAtOne", stateful=False)
    network, params = network_and_params(config)
    assert np.all(jax.jit(lambda: network.initial_state(params, 2))() == np.ones((2, 6)))

    @jax.jit
    def third_batch(tokens):
        rows = logits_in_order(config, network, params, tokens)
        batch = jax.tree.map(lambda leaf: leaf[2], sequence_batches(tokens, config.task, 1))
        _, outputs = n.unroll(network, params, jnp.ones((2, 6)), *batch.rows)
        return rows[4:6], n.read_out(network, params, outputs[-1])

    chex.assert_trees_all_close(*third_batch(np.arange(12)), atol=1e-6)
