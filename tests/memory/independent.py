"""Both questions for one cell, written from docs/protocol.md alone: the tanh RNN with 100 units.

Nothing of echo_jax is imported, and the random numbers are others. Rows of some seeds:

    python tests/memory/independent.py 0 1 2 3 > tests/memory/independent_rows.jsonl
"""

import functools
import hashlib
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np

UNITS, ROWS, UPDATES, RATE = 100, 16, 3000, 0.01
V, LAGS, ASKED, STREAMS = 16, 64, np.arange(64, 96, 4), 512
M, PAIRS, RECALLS, FILLERS = 64, (2, 3, 4, 6, 8, 10, 12, 16, 20, 24), 256, 3
ASSOCIATED, EVERY = 4, 100


def linear(rng, inputs, outputs):
    """LeCun-normal: a normal truncated at two deviations, of variance 1 / inputs after that."""
    x = rng.normal(size=(inputs, outputs))
    while (far := np.abs(x) > 2).any():
        x[far] = rng.normal(size=far.sum())
    return x / (0.87962566 * np.sqrt(inputs)), np.zeros(outputs)


def initial(rng, tokens, outputs):
    """The tanh RNN (W, U, b) and a linear layer of its state (A, a), float32."""
    w, b = linear(rng, tokens, UNITS)
    u, triangle = np.linalg.qr(rng.normal(size=(UNITS, UNITS)))
    kernel, bias = linear(rng, UNITS, outputs)
    params = {"W": w, "U": u * np.sign(np.diag(triangle)), "b": b, "A": kernel, "a": bias}
    return {name: jnp.asarray(x, jnp.float32) for name, x in params.items()}


def states(params, tokens):
    """The states h' = tanh(W x + b + U h) after each token: `[B, T]` to `[B, T, H]`."""
    inputs = params["W"][tokens.T] + params["b"]
    step = lambda h, x: 2 * (jnp.tanh(x + h @ params["U"]),)  # noqa: E731
    return jax.lax.scan(step, jnp.zeros(inputs.shape[1:]), inputs)[1].swapaxes(0, 1)


def nats(logits, targets):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0]


def train(loss, params, batches, check=lambda p: 0):
    """Adam on a clipped gradient, a batch an update, with a rate that falls by a cosine.

    The weights, and what `check` says of them after every 100 updates.
    """

    def update(carry, x):
        (p, m, v), (i, batch) = carry, x
        g = jax.grad(loss)(p, *batch)
        norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in g.values()))
        g = jax.tree.map(lambda g: g / jnp.maximum(norm, 1), g)
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g**2, v, g)
        root = jax.tree.map(lambda v: jnp.sqrt(v / (1 - 0.999 ** (i + 1))) + 1e-7, v)
        rate = RATE * (1 + jnp.cos(jnp.pi * i / UPDATES)) / 2 / (1 - 0.9 ** (i + 1))
        p = jax.tree.map(lambda p, m, r: p - rate * m / r, p, m, root)
        return (p, m, v), jax.lax.cond((i + 1) % EVERY == 0, check, lambda p: 0, p)

    zeros = jax.tree.map(jnp.zeros_like, params)
    data = jnp.arange(UPDATES, dtype=jnp.float32), batches
    (params, *_), checks = jax.lax.scan(update, (params, zeros, zeros), data)
    return params, checks[EVERY - 1 :: EVERY]


def final_rng(seed, params):
    """Random numbers that depend on the trained weights."""
    digest = hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in params.values())).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32)])


def heads(params, streams, reference):
    """The logits of all lags at the asked steps and their targets, by example; standardised."""
    h, of = (states(params, x)[:, ASKED] for x in (streams, reference))
    h = (h - of.mean((0, 1))) / jnp.sqrt(of.var((0, 1)) + 1e-12)
    z = (h @ params["A"] + params["a"]).reshape(-1, LAGS, V)
    return z, streams[:, ASKED[:, None] - np.arange(1, LAGS + 1)].reshape(-1, LAGS)


def lag_loss(params, streams):
    return nats(*heads(params, streams, streams)).mean()


slope = jax.jit(jax.grad(lambda b, z, wanted: nats(b[:, None] * z, wanted).mean(0).sum()))
"""Of the mean cross-entropy of each lag, by the factor b of its logits."""


def lag_score(params, calibration, streams):
    """The nats of each lag on streams, after recalibration."""
    z, wanted = heads(params, calibration, calibration)
    low, high = jnp.zeros(LAGS), jnp.full(LAGS, 100.0)
    for _ in range(30):
        b = (low + high) / 2
        above = slope(b, z, wanted) > 0
        low, high = jnp.where(above, low, b), jnp.where(above, b, high)
    z, wanted = heads(params, streams, calibration)
    right = (1 - 1 / len(z)) * jnp.exp(-nats(b[:, None] * z, wanted)) + 1 / len(z) / V
    return [float(f"{x:.4f}") for x in -jnp.log(right).mean(0)]


def by_lag(seed):
    """The row of a seed by lag."""
    rng = np.random.default_rng([seed, 0])
    params = initial(rng, V, LAGS * V)
    calibration, validation = (rng.integers(V, size=(STREAMS, 93), dtype=np.int32) for _ in "cv")
    batches = (rng.integers(V, size=(UPDATES, ROWS, 93), dtype=np.int32),)
    params, _ = jax.jit(train, static_argnums=0)(lag_loss, params, batches)
    score = functools.partial(lag_score, params, calibration)
    final = final_rng(seed, params).integers(V, size=(STREAMS, 93), dtype=np.int32)
    row = {"question": "by lag", "seed": seed, "rate": RATE, "updates": UPDATES}
    return {**row, "validation": score(validation), "final": score(final)}


def sequences(rng, numbers):
    """Tokens, targets and where these are, `[n, 3 Kmax + 3]`, for n numbers of pairs."""
    tokens, targets = np.zeros((2, len(numbers), 3 * PAIRS[-1] + FILLERS), np.int32)
    scored = np.zeros(tokens.shape, bool)
    for row, k in enumerate(numbers):
        keys, values, order = rng.permutation(M)[:k], rng.integers(M, size=k), rng.permutation(k)
        tokens[row, : 2 * k : 2], tokens[row, 1 : 2 * k : 2] = keys, M + values
        tokens[row, 2 * k : 2 * k + FILLERS] = 2 * M
        asked = slice(2 * k + FILLERS, 3 * k + FILLERS)
        tokens[row, asked], targets[row, asked], scored[row, asked] = keys[order], values[order], 1
    return tokens, targets, scored


def key_loss(params, tokens, targets, scored):
    logits = states(params, tokens) @ params["A"] + params["a"]
    return (nats(logits, targets) * scored).sum() / scored.sum()


def is_right(params, tokens, targets, scored):
    """Where the most likely value is the target, bool `[B, T]`."""
    answers = (states(params, tokens) @ params["A"] + params["a"]).argmax(-1)
    return (answers == targets) & scored


def by_key(seed):
    """The row of a seed by key, with the ramp."""
    rng, most, asked = np.random.default_rng([seed, 1]), PAIRS[-1], np.repeat(PAIRS, RECALLS)
    params = initial(rng, 2 * M + 1, M)
    ramp = 2 + np.floor((most - 2) * np.minimum(np.arange(UPDATES) / UPDATES / 0.6, 1)).astype(int)
    numbers = [k if row < ROWS // 2 else rng.integers(1, k) for k in ramp for row in range(ROWS)]
    batches = [x.reshape(UPDATES, ROWS, -1) for x in sequences(rng, numbers)]
    validation, few = sequences(rng, asked), sequences(rng, [ASSOCIATED] * RECALLS)
    check = lambda p: is_right(p, *few).sum()  # noqa: E731
    params, checks = jax.jit(train, static_argnums=(0, 3))(key_loss, params, batches, check)
    right = lambda *of: is_right(params, *of).reshape(len(PAIRS), -1).sum(1).tolist()  # noqa: E731
    row = {"question": "by key", "seed": seed, "rate": RATE}
    row |= {"updates": UPDATES, "pairs": PAIRS, "asked": [RECALLS * k for k in PAIRS]}
    row |= {"associated": checks.tolist()}
    final = sequences(final_rng(seed, params), asked)
    return {**row, "validation": right(*validation), "final": right(*final)}


if __name__ == "__main__":
    for chosen in map(int, sys.argv[1:]):
        print(json.dumps(by_lag(chosen)), json.dumps(by_key(chosen)), sep="\n", flush=True)
