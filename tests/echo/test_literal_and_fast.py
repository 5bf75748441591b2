"""The fast form of the network equals the literal form, which is the definition.

test_training compares Adam, and tests/cells/test_scan.py the scans of the cells.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from drawn import drawn_params, network_of

from echo_jax.config import NetworkConfig, RunConfig, TaskConfig
from echo_jax.echo import data, training
from echo_jax.learner import loss, network

TASKS = {
    "windows": TaskConfig(12, 9, window=5, lag=1, batch_size=4),
    "prefixes": TaskConfig(12, 9, window=12, lag=1, batch_size=2, layout="prefixes"),
    "streams": TaskConfig(12, 9, window=4, lag=2, batch_size=3, layout="streams"),
}
NETWORKS = {
    "lstm": NetworkConfig(hidden_size=6),
    "mlp": NetworkConfig(cell="mlp", hidden_size=6),
    "lru": NetworkConfig(cell="lru", hidden_size=6),
    "tied": NetworkConfig(hidden_size=6, encoding="embedding", embedding_dim=5, tied=True),
}
CASES = [("windows", name, jnp.float32) for name in ("mlp", "lru", "tied")]
CASES += [(task, "lstm", jnp.float64) for task in TASKS]


def loss_and_gradients(config, compute, dtype):
    """Of one batch, the weights and the carry drawn so that every number differs."""
    net = network_of(config, compute)
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), drawn_params(net))
    shape = (12,) if config.task.layout != "streams" else (3, 12)
    tokens = np.random.default_rng(1).integers(0, 9, shape)
    carry = jax.tree.map(
        lambda leaf: 0.3 * np.sin(1 + np.arange(leaf.size)).reshape(leaf.shape).astype(dtype),
        jax.eval_shape(lambda: net.initial_state(params, config.task.batch_size)),
    )

    def loss_of(params, carry):
        batches = data.sequence_batches(jnp.asarray(tokens), config.task, 1)
        batch = jax.tree.map(lambda x: x[-1], batches)
        _, outputs = network.unroll(net, params, carry, *batch.rows)
        logits = training.target_logits(net, params, outputs, batch.targets)
        return jnp.mean(loss.cross_entropy(logits, batch.targets))

    return jax.jit(jax.value_and_grad(loss_of, argnums=(0, 1)))(params, carry)


@pytest.mark.parametrize(("task", "options", "dtype"), CASES)
def test_loss_and_gradients_agree(task, options, dtype):
    """Within a tolerance that is a share of the largest number of each array."""
    config = RunConfig(TASKS[task], NETWORKS[options])
    with jax.enable_x64(dtype == jnp.float64):
        fast, literal = (
            loss_and_gradients(config, compute, dtype) for compute in ("fast", "literal")
        )
    assert jax.tree.leaves(fast)[0].dtype == dtype
    tolerance = {jnp.float32: 1e-6, jnp.float64: 1e-12}[dtype]
    leaves = (map(np.asarray, jax.tree.leaves(tree)) for tree in (fast, literal))
    for a, b in zip(*leaves, strict=True):
        assert np.max(np.abs(a - b), initial=0) <= tolerance * np.max(np.abs(b), initial=0)
