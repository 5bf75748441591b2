"""Both questions for one cell, written from docs/protocol.md alone: the tanh RNN with 100 units.

Nothing of echo_jax is imported, and the random numbers are others. Rows of the default
configurations, as JSON lines, for some seeds:

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
M, PAIRS, RECALLS = 64, (2, 3, 4, 6, 8, 10, 12, 16, 20, 24), 256


def linear(rng, inputs, outputs):
    """LeCun-normal: a normal truncated at two deviations, of variance 1 / inputs after that."""
    x = rng.normal(size=(inputs, outputs))
    while (far := np.abs(x) > 2).any():
        x[far] = rng.normal(size=far.sum())
    return x / (0.87962566 * np.sqrt(inputs)), np.zeros(outputs)


def initial(rng, tokens, outputs):
    """The tanh RNN and a linear layer of its state, float32."""
    W, b = linear(rng, tokens, UNITS)
    U, triangle = np.linalg.qr(rng.normal(size=(UNITS, UNITS)))
    A, a = linear(rng, UNITS, outputs)
    params = {"W": W, "U": U * np.sign(np.diag(triangle)), "b": b, "A": A, "a": a}
    return {name: jnp.asarray(x, jnp.float32) for name, x in params.items()}


def states(params, tokens):
    """The states h' = tanh(W x + b + U h) after each token: `[B, T]` to `[B, T, H]`."""

    def step(h, x):
        h = jnp.tanh(x + h @ params["U"])
        return h, h

    inputs = params["W"][tokens.T] + params["b"]
    return jax.lax.scan(step, jnp.zeros(inputs.shape[1:]), inputs)[1].swapaxes(0, 1)


def nats(logits, targets):
    """The cross-entropy of each target."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0]


@functools.partial(jax.jit, static_argnums=0)
def train(loss, params, batches):
    """Adam on a clipped gradient, a batch an update, with a rate that falls by a cosine."""

    def update(carry, x):
        p, m, v = carry
        i, batch = x
        g = jax.grad(loss)(p, *batch)
        norm = jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in g.values()))
        g = {name: leaf / jnp.maximum(norm, 1) for name, leaf in g.items()}
        m = {name: 0.9 * m[name] + 0.1 * g[name] for name in g}
        v = {name: 0.999 * v[name] + 0.001 * g[name] ** 2 for name in g}
        rate = RATE * (1 + jnp.cos(jnp.pi * i / UPDATES)) / 2

        def moved(name):
            corrected = jnp.sqrt(v[name] / (1 - 0.999 ** (i + 1)))
            return p[name] - rate * m[name] / (1 - 0.9 ** (i + 1)) / (corrected + 1e-7)

        return ({name: moved(name) for name in p}, m, v), None

    zeros = jax.tree.map(jnp.zeros_like, params)
    times = jnp.arange(UPDATES, dtype=jnp.float32)
    return jax.lax.scan(update, (params, zeros, zeros), (times, batches))[0][0]


def final_rng(seed, params):
    """Random numbers that depend on the trained weights."""
    digest = hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in params.values())).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32)])


def lag_logits(params, streams, reference):
    """The logits of all lags at the asked steps, `[B, A, N, V]`; the states standardised."""
    h, of = (states(params, x)[:, ASKED] for x in (streams, reference))
    h = (h - of.mean((0, 1))) / jnp.sqrt(of.var((0, 1)) + 1e-12)
    return (h @ params["A"] + params["a"]).reshape(*h.shape[:2], LAGS, V)


def earlier(streams):
    """The tokens 1 .. N steps before each asked step, `[B, A, N]`."""
    return streams[:, ASKED[:, None] - np.arange(1, LAGS + 1)]


def lag_loss(params, streams):
    """The mean cross-entropy of all lags."""
    return nats(lag_logits(params, streams, streams), earlier(streams)).mean()


def recalibrated(z, targets, b, examples):
    """The mean cross-entropy of each lag after a factor and a share of errors."""
    right = jnp.exp(-nats(b[:, None] * z, targets))
    return -jnp.log((1 - 1 / examples) * right + 1 / (examples * V)).mean((0, 1))


def by_lag(seed):
    """The row of a seed by lag."""
    rng = np.random.default_rng([seed, 0])
    params = initial(rng, V, LAGS * V)
    draw = functools.partial(rng.integers, V, dtype=np.int32)
    calibration, validation = (draw(size=(STREAMS, 93)) for _ in range(2))
    params = train(lag_loss, params, (draw(size=(UPDATES, ROWS, 93)),))
    final = final_rng(seed, params).integers(V, size=(STREAMS, 93), dtype=np.int32)
    z, wanted = lag_logits(params, calibration, calibration), earlier(calibration)
    slope = jax.jit(jax.grad(lambda b: nats(b[:, None] * z, wanted).mean((0, 1)).sum()))
    low, high = jnp.zeros(LAGS), jnp.full(LAGS, 100.0)
    for _ in range(30):
        b = (low + high) / 2
        above = slope(b) > 0
        low, high = jnp.where(above, low, b), jnp.where(above, b, high)

    def score(streams):
        z, wanted = lag_logits(params, streams, calibration), earlier(streams)
        fitted = recalibrated(z, wanted, b, STREAMS * len(ASKED))
        both = {"nats": nats(z, wanted).mean((0, 1)), "recalibrated": fitted}
        return {name: [float(f"{x:.6g}") for x in of] for name, of in both.items()}

    of = {"question": "by lag", "seed": seed, "rate": RATE, "updates": UPDATES}
    return {**of, "validation": score(validation), "final": score(final)}


def sequences(rng, numbers):
    """Tokens, targets and where these are, `[n, 3 Kmax]`, for n numbers of pairs."""
    tokens, targets = np.zeros((2, len(numbers), 3 * PAIRS[-1]), np.int32)
    for row, k in enumerate(numbers):
        keys, values, order = rng.permutation(M)[:k], rng.integers(M, size=k), rng.permutation(k)
        tokens[row, : 2 * k : 2], tokens[row, 1 : 2 * k : 2] = keys, M + values
        tokens[row, 2 * k : 3 * k], targets[row, 2 * k : 3 * k] = keys[order], values[order]
    time, numbers = np.arange(3 * PAIRS[-1]), np.array(numbers)[:, None]
    return tokens, targets, (time >= 2 * numbers) & (time < 3 * numbers)


def key_loss(params, tokens, targets, scored):
    """The mean cross-entropy of all questions of a batch."""
    logits = states(params, tokens) @ params["A"] + params["a"]
    return (nats(logits, targets) * scored).sum() / scored.sum()


def by_key(seed):
    """The row of a seed by key, with the ramp."""
    rng = np.random.default_rng([seed, 1])
    params = initial(rng, 2 * M, M)
    ramp = 2 + np.floor((PAIRS[-1] - 2) * np.minimum(np.arange(UPDATES) / UPDATES / 0.6, 1))
    numbers = [k if row < ROWS // 2 else rng.integers(1, k) for k in ramp.astype(int)
               for row in range(ROWS)]  # fmt: skip
    batches = [x.reshape(UPDATES, ROWS, -1) for x in sequences(rng, numbers)]
    asked = np.repeat(PAIRS, RECALLS)
    validation = sequences(rng, asked)
    params = train(key_loss, params, batches)

    def right(data):
        tokens, targets, scored = data
        answers = (states(params, tokens) @ params["A"] + params["a"]).argmax(-1)
        return np.sum((answers == targets) & scored, 1).reshape(-1, RECALLS).sum(1).tolist()

    of = {"question": "by key", "seed": seed, "rate": RATE, "schedule": "ramp", "updates": UPDATES}
    final = right(sequences(final_rng(seed, params), asked))
    counts = {"pairs": PAIRS, "asked": [RECALLS * k for k in PAIRS]}
    return {**of, "level": PAIRS[-1], **counts, "validation": right(validation), "final": final}


if __name__ == "__main__":
    for chosen in map(int, sys.argv[1:]):
        for question in (by_lag, by_key):
            print(json.dumps(question(chosen)), flush=True)
