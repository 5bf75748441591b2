"""What a cell is compared with: its equations in NumPy and float64, its own steps, and limits.

`cell` is a `Cell`, `equations` a function `(params, state, x) -> (state, y)` of NumPy arrays.
Weights and states are moved away from their initial values, so that no term is zero.
"""

import functools

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from echo_jax.cells.interface import ProjectedCell
from echo_jax.cells.matrix_state import chunks

FEATURES, BATCH = 5, 3
KEY = jax.random.key(0)
TOKENS = np.random.default_rng(0).integers(0, FEATURES, (7, BATCH))
VECTORS = np.random.default_rng(1).normal(size=(7, BATCH, FEATURES))
MASK = np.random.default_rng(2).random((7, BATCH)) > 0.3


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def silu(z):
    return z * sigmoid(z)


def gelu(z):
    """In the approximation of jax."""
    return z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))


@functools.cache
def initial(cell, features=FEATURES):
    """Initial parameters as NumPy arrays that cannot be written to, of one program."""
    return jax.tree.map(np.asarray, jax.jit(cell.init, static_argnums=1)(KEY, features))


def started(cell, scale=0.1):
    """Parameters and a state, with Gaussian noise added, and integers left alone."""
    rng = np.random.default_rng(3)

    def start(key):
        params = cell.init(key, FEATURES)
        return params, cell.initial_state(cell.prepare(params), BATCH, FEATURES)

    def moved(leaf):
        noise = scale * rng.normal(size=leaf.shape)
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        return jax.device_put((np.asarray(leaf) + noise).astype(leaf.dtype))

    return jax.tree.map(moved, jax.jit(start)(KEY))


def in_parallel(patch, parallel=True):
    """Cells run in parallel over time, and matrix states in chunks of 3 steps; or neither."""
    patch.setattr(ProjectedCell, "in_parallel", parallel)
    patch.setattr(chunks, "WIDE", 0 if parallel else 10**9)
    patch.setattr(chunks, "CHUNK", 3)  # of 7 steps: two chunks, and one that is filled up


def check_equations(cell, equations, scale=0.1, atol=2e-5):
    """Steps, `scan` and parallel form, masked or not, of vectors and of tokens, are the equations.

    All are compiled as one program.
    """
    params, start = jax.tree.map(np.float32, started(cell, scale))
    vectors, tokens = jnp.asarray(VECTORS, jnp.float32), jnp.asarray(TOKENS)

    @jax.jit
    def run(params, start):
        params = cell.prepare(params)
        found = {"steps": jax.lax.scan(lambda s, x: cell.step(params, s, x), start, vectors)}
        for form in ("", " in parallel") if cell.has_scan else ("",):
            with pytest.MonkeyPatch.context() as patch:
                in_parallel(patch, parallel=bool(form))
                found["scan" + form] = cell.scan(params, start, vectors)
                found["masked scan" + form] = cell.scan(params, start, vectors, MASK)
                if cell.has_scan:
                    found["masked scan of tokens" + form] = cell.scan(params, start, tokens, MASK)
        return found

    params64 = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    for form, (last, ys) in run(params, start).items():
        xs = np.eye(FEATURES)[TOKENS] if "tokens" in form else VECTORS
        mask = MASK if "masked" in form else np.ones_like(MASK)
        state, expected = _loop(equations, params64, start, xs, mask)
        np.testing.assert_allclose(np.asarray(ys)[mask], expected[mask], atol=atol, err_msg=form)
        for a, b in zip(jax.tree.leaves(last), jax.tree.leaves(state), strict=True):
            np.testing.assert_allclose(a, b, atol=atol, err_msg=form)


def _loop(equations, params, state, xs, mask):
    """The last state and all outputs of a loop over the equations; masked steps hold the state."""
    state = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), state)
    ys = []
    for x, seen in zip(xs, mask, strict=True):
        new, y = equations(params, state, x)
        new = jax.tree.unflatten(jax.tree.structure(state), jax.tree.leaves(new))
        state = jax.tree.map(
            lambda a, b, seen=seen: np.where(seen.reshape(-1, *[1] * (a.ndim - 1)), b, a),
            state, new,
        )  # fmt: skip
        ys.append(y)
    return state, np.stack(ys)


def check_gradients(cell, atol=1e-6):
    """The gradients of `scan` by weights, state and inputs are finite differences, in float64."""
    with jax.enable_x64(True):
        params, state = jax.tree.map(jnp.asarray, started(cell))
        params, state = jax.tree.map(lambda leaf: leaf.astype(jnp.float64), (params, state))
        xs = jnp.asarray(VECTORS[:4])

        @jax.jit
        def outputs(params, state, xs):
            return cell.scan(cell.prepare(params), state, xs)

        jax.test_util.check_grads(
            outputs, (params, state, xs), 1, modes=["rev"], atol=atol, rtol=1e-5
        )


def check_long_run(cell, steps=10_000):
    """State and outputs stay finite over 10,000 random tokens, at the initial weights."""
    tokens = jnp.asarray(np.random.default_rng(4).integers(0, FEATURES, (steps, 1)))
    inputs = tokens if cell.has_scan else jax.nn.one_hot(tokens, FEATURES)

    @jax.jit
    def finite(key, inputs):
        params = cell.prepare(cell.init(key, FEATURES))
        state, ys = cell.scan(params, cell.initial_state(params, 1, FEATURES), inputs)
        return jax.tree.map(lambda leaf: jnp.isfinite(leaf).all(), (state, ys))

    assert all(jax.tree.leaves(finite(jax.random.key(0), inputs)))
