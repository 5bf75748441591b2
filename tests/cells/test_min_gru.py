import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.min_gru import MinGRUCell

TOKENS = np.random.default_rng(0).integers(0, 5, (6, 3))


def test_it_is_a_loop_over_its_equations():
    rng = np.random.default_rng(1)
    params = {"kernel": rng.normal(size=(5, 8)), "bias": rng.normal(size=8)}
    h = rng.normal(size=(3, 4))
    variables, carry = jax.tree.map(
        lambda leaf: jnp.asarray(leaf, jnp.float32), ({"params": params}, h)
    )
    found = jax.lax.scan(
        lambda carry, x: MinGRUCell(4).apply(variables, carry, x), carry, jax.nn.one_hot(TOKENS, 5)
    )
    for t, tokens in enumerate(TOKENS):
        z = 1 / (1 + np.exp(-(params["kernel"][tokens, :4] + params["bias"][:4])))
        candidate = params["kernel"][tokens, 4:] + params["bias"][4:]
        h = (1 - z) * h + z * candidate
        np.testing.assert_allclose(found[1][t], h, atol=2e-6)
    np.testing.assert_allclose(found[0], h, atol=2e-6)
