"""Cells of four libraries are one cell: a GRU with the same weights has the same numbers."""

import chex
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from echo_jax.cells.adapt import adapt, construct

F, H = 5, 4


class GRUFunctions:
    """The GRU of Flax as plain functions; its weights lie side by side, gates r z n."""

    @staticmethod
    def init(key, input_size):
        keys = jax.random.split(key)
        shapes = (input_size, 3 * H), (H, 3 * H)
        w, u = (0.3 * jax.random.normal(k, s) for k, s in zip(keys, shapes, strict=True))
        return {"w": w, "u": u, "b": jnp.zeros(3 * H), "c": jnp.zeros(H)}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, H))

    @staticmethod
    def step(params, h, x):
        x_r, x_z, x_n = jnp.split(x @ params["w"] + params["b"], 3, axis=-1)
        h_r, h_z, h_n = jnp.split(h @ params["u"], 3, axis=-1)
        r, z = jax.nn.sigmoid(x_r + h_r), jax.nn.sigmoid(x_z + h_z)
        n = jnp.tanh(x_n + r * (h_n + params["c"]))
        h = (1 - z) * n + z * h
        return h, h


def linen_weights(p):
    gates = {"r": 0, "z": 1, "n": 2}
    part = {name: slice(i * H, (i + 1) * H) for name, i in gates.items()}
    inputs = {f"i{g}": {"kernel": p["w"][:, s], "bias": p["b"][s]} for g, s in part.items()}
    recurrent = {f"h{g}": {"kernel": p["u"][:, s]} for g, s in part.items()}
    recurrent["hn"]["bias"] = p["c"]
    return inputs | recurrent


def nnx_weights(p):
    return {
        "dense_i": {"kernel": p["w"], "bias": p["b"]},
        "dense_h": {"kernel": p["u"]},
    }


def equinox_weights(p):
    return {".weight_ih": p["w"].T, ".weight_hh": p["u"].T, ".bias": p["b"], ".bias_n": p["c"]}


CELLS = {
    "linen": (construct(nn.GRUCell, {"features": H}), linen_weights),
    "nnx": (construct(nnx.GRUCell, {"features": H}), nnx_weights),
    "equinox": (construct(eqx.nn.GRUCell, {"features": H}), equinox_weights),
}


def run(cell, params, xs):
    state = cell.initial_state(params, xs.shape[1], F)
    state, ys = cell.scan(cell.prepare(params), state, xs)
    return jnp.sum(ys**2), (state, ys)


@pytest.mark.parametrize("name", CELLS)
def test_the_gru_of_each_library_has_the_numbers_and_gradients_of_the_functions(name):
    cell, weights_of = CELLS[name]
    functions = adapt(GRUFunctions)
    params = functions.init(jax.random.key(1), F)
    xs = jax.random.normal(jax.random.key(2), (7, 3, F))
    theirs = weights_of(params)
    drawn = cell.init(jax.random.key(0), F)
    assert jax.tree.map(jnp.shape, drawn) == jax.tree.map(jnp.shape, theirs)
    value_and_gradient = jax.jit(jax.value_and_grad(run, 1, has_aux=True), static_argnums=0)
    (loss, found), gradient = value_and_gradient(cell, theirs, xs)
    (expected_loss, expected), expected_gradient = value_and_gradient(functions, params, xs)
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
    chex.assert_trees_all_close(found, expected, atol=1e-6)
    chex.assert_trees_all_close(gradient, weights_of(expected_gradient), atol=2e-5)
