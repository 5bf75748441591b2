import chex
import jax
import numpy as np
import pytest
from drawn import drawn, drawn_params, network_of

from echo_jax.config import NetworkConfig, RunConfig, TaskConfig
from echo_jax.learner import network as n


def network_and_params(config):
    """A network, and weights large enough that every input and state matters."""
    network = network_of(config)
    return network, drawn_params(network)


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
        return carry, n.read_out(network, params, outputs[-2:])

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
        np.testing.assert_allclose(logits[step, b], expected, atol=2e-6)


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
