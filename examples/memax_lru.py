"""A layer of memax as a cell: `echo-jax card --cell block:examples/memax_lru.py`.

It was run with memax 0.1.1, Equinox 0.13.8 and jax 0.10.2: `pip install 'memax[equinox]==0.1.1'`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from memax.equinox.semigroups.lru import LRU

UNITS = 32


def build(key, input_size):
    """Return a linear layer and the layer of memax, both of UNITS numbers."""
    keys = jax.random.split(key)
    return eqx.nn.Linear(input_size, UNITS, key=keys[0]), LRU(UNITS, UNITS, key=keys[1])


def init(key, input_size):
    """Return the arrays of both layers, which are the parameters."""
    return jax.tree.leaves(eqx.filter(build(key, input_size), eqx.is_array))


def model(params):
    """Return both layers with these parameters; `build` gives their shapes and the rest."""
    shapes = eqx.filter_eval_shape(lambda: build(jax.random.key(0), params[0].shape[1]))
    arrays, rest = eqx.partition(shapes, lambda leaf: hasattr(leaf, "shape"))
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), params), rest)


def initial_state(params, batch_size, input_size):  # noqa: ARG001
    """Return the carry of memax for each row."""
    start = model(params)[1].initialize_carry()
    return jax.tree.map(lambda leaf: jnp.repeat(leaf[None], batch_size, axis=0), start)


def step(params, state, x):
    """Return the carry and the output `[B, UNITS]` after one step: the inputs x `[B, F]`."""
    linear, layer = model(params)

    def of_a_row(state, x):
        states, ys = layer(state, (linear(x)[None], jnp.zeros(1, bool)))
        return layer.latest_recurrent_state(states), ys[0]

    return jax.vmap(of_a_row)(state, x)
