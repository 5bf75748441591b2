"""Cells that are honest and awkward to check, as plain functions: all are to be accepted."""

import jax
import jax.numpy as jnp
import numpy as np

UNITS = 4


def vectors(xs, size):
    """One-hot vectors of tokens; vectors as they are."""
    return jax.nn.one_hot(xs, size) if jnp.issubdtype(xs.dtype, jnp.integer) else xs


def diagonal(state, a, b, mask):
    """All states of s' = a s + b, `[T, B, N]`, by an associative scan."""
    if mask is not None:
        present = mask.reshape(*mask.shape, *[1] * (a.ndim - 2))
        a, b = jnp.where(present, a, 1), jnp.where(present, b, 0)

    def then(first, second):
        return first[0] * second[0], second[0] * first[1] + second[1]

    a, b = jax.lax.associative_scan(then, (a, b))
    return a * state + b


class GainAboveOne:
    """A linear state that grows by 3% in a step, a thousand times in 256."""

    @staticmethod
    def init(key, input_size):
        return {"kernel": jax.random.normal(key, (input_size, UNITS)), "gain": 1.03}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS))

    @staticmethod
    def step(params, state, x):
        state = params["gain"] * state + x @ params["kernel"]
        return state, state

    @staticmethod
    def scan(params, state, xs, mask=None):
        b = vectors(xs, len(params["kernel"])) @ params["kernel"]
        states = diagonal(state, jnp.full(b.shape, params["gain"]), b, mask)
        return states[-1], states


class Overflows(GainAboveOne):
    """A gain with which the state is infinite after 128 steps."""

    @staticmethod
    def init(key, input_size):
        return GainAboveOne.init(key, input_size) | {"gain": 2.0}


class LogSpaceGates:
    """The log-space minGRU (Feng et al. 2024, appendix B.3), with gates that close by exp(-20)."""

    @staticmethod
    def init(key, input_size):
        keys = jax.random.split(key)
        return {
            "gate": 10 * jax.random.normal(keys[0], (input_size, UNITS)),
            "candidate": jax.random.normal(keys[1], (input_size, UNITS)),
        }

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.full((batch_size, UNITS), 0.5)

    @staticmethod
    def positive(candidate):
        return jnp.where(candidate >= 0, candidate + 0.5, jax.nn.sigmoid(candidate))

    @staticmethod
    def step(params, state, x):
        z = jax.nn.sigmoid(x @ params["gate"])
        state = (1 - z) * state + z * LogSpaceGates.positive(x @ params["candidate"])
        return state, state

    @staticmethod
    def scan(params, state, xs, mask=None):
        xs = vectors(xs, len(params["gate"]))
        gate, candidate = xs @ params["gate"], xs @ params["candidate"]
        kept, taken = -jax.nn.softplus(gate), -jax.nn.softplus(-gate)
        added = taken + jnp.log(LogSpaceGates.positive(candidate))
        if mask is not None:
            kept = jnp.where(mask[..., None], kept, 0)
            added = jnp.where(mask[..., None], added, -jnp.inf)
        sums = jnp.cumsum(kept, axis=0)
        first = jnp.logaddexp(jnp.log(state), jax.lax.cumlogsumexp(added - sums, axis=0))
        states = jnp.exp(sums + first)
        return states[-1], states


class Chunkwise:
    """Linear attention with a decay, its scan in chunks of eight steps with a shorter rest."""

    @staticmethod
    def init(key, input_size):
        keys = jax.random.split(key, 3)
        shape = (input_size, UNITS)
        return {n: jax.random.normal(k, shape) for n, k in zip("qkv", keys, strict=True)}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS, UNITS))

    @staticmethod
    def step(params, state, x):
        q, k, v = (x @ params[n] for n in "qkv")
        state = 0.95 * state + k[:, :, None] * v[:, None]
        return state, jnp.einsum("bi,bij->bj", q, state)

    @staticmethod
    def scan(params, state, xs, mask=None):
        xs = vectors(xs, len(params["q"]))
        there = jnp.ones(xs.shape[:2]) if mask is None else mask.astype(jnp.float32)
        outputs = []
        for begin in range(0, len(xs), 8):
            at = there[begin : begin + 8]
            q, k, v = (xs[begin : begin + 8] @ params[n] for n in "qkv")
            sums = jnp.cumsum(at * jnp.log(0.95), axis=0)
            causal = jnp.tril(jnp.ones((len(at), len(at))))[..., None]
            decay = causal * at * jnp.exp(jnp.minimum(sums[:, None] - sums, 0))
            scores = decay * jnp.einsum("tbi,sbi->tsb", q, k)
            kept = jnp.exp(sums)[..., None] * jnp.einsum("tbi,bij->tbj", q, state)
            outputs.append(jnp.einsum("tsb,sbj->tbj", scores, v) + kept)
            state = jnp.exp(sums[-1])[:, None, None] * state
            state += jnp.einsum("sb,sbi,sbj->bij", decay[-1], k, v)
        return state, jnp.concatenate(outputs)


class NestedState:
    """A state of dictionaries, tuples and nothing, with a flag in it."""

    @staticmethod
    def init(key, input_size):
        return [jax.random.normal(key, (input_size, UNITS)), {"bias": jnp.zeros(UNITS)}, ()]

    @staticmethod
    def initial_state(params, batch_size, input_size):
        seen = jnp.zeros((batch_size, 1), bool)
        return {"h": (jnp.zeros((batch_size, UNITS)), ()), "seen": seen, "none": None}

    @staticmethod
    def step(params, state, x):
        h = jnp.where(state["seen"], 0.9, 0.5) * state["h"][0] + jnp.tanh(x @ params[0])
        seen = state["seen"] | (x[:, :1] > 0)
        return {"h": (h, ()), "seen": seen, "none": None}, h + params[1]["bias"]


class DecayByTime:
    """A running mean: the decay depends on the time, an integer that is part of the state."""

    @staticmethod
    def init(key, input_size):
        return jax.random.normal(key, (input_size, UNITS))

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS)), jnp.zeros(batch_size, jnp.int32)

    @staticmethod
    def step(params, state, x):
        h, time = state
        share = 1 / (1 + time[:, None].astype(jnp.float32))
        h = (1 - share) * h + share * jnp.tanh(x @ params)
        return (h, time + 1), h

    @staticmethod
    def scan(params, state, xs, mask=None):
        h, time = state
        there = jnp.ones(xs.shape[:2], int) if mask is None else mask.astype(int)
        times = time + jnp.cumsum(there, axis=0)
        added = there[..., None] * jnp.tanh(vectors(xs, len(params)) @ params)
        sums = time[:, None] * h + jnp.cumsum(added, axis=0)
        means = sums / times[..., None]
        return (means[-1], times[-1]), means


class PackedBits:
    """The last 16 inputs as the bits of one integer, read by a table."""

    @staticmethod
    def init(key, input_size):
        return jax.random.normal(key, (16, UNITS))

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 1), jnp.int32)

    @staticmethod
    def step(params, state, x):
        state = (2 * state + (x[:, :1] > 0.5).astype(jnp.int32)) % 2**16
        bits = (state >> jnp.arange(16)) % 2
        return state, bits.astype(jnp.float32) @ params


class Chaotic:
    """A random tanh network of gain 3, whose scan adds its sums in another order."""

    units = 32

    @staticmethod
    def init(key, input_size):
        n, keys = Chaotic.units, jax.random.split(key)
        recurrent = 3 * n**-0.5 * jax.random.normal(keys[0], (n, n))
        return {"recurrent": recurrent, "kernel": jax.random.normal(keys[1], (input_size, n))}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, Chaotic.units))

    @staticmethod
    def step(params, state, x):
        state = jnp.tanh(state @ params["recurrent"] + x @ params["kernel"])
        return state, state

    @staticmethod
    def scan(params, state, xs, mask=None):
        both = jnp.concatenate([params["kernel"], params["recurrent"]])[::-1]

        def step(h, at):
            new = jnp.tanh(jnp.concatenate([at[0], h], axis=-1)[:, ::-1] @ both)
            new = new if mask is None else jnp.where(at[1][:, None], new, h)
            return new, new

        return jax.lax.scan(step, state, (vectors(xs, len(params["kernel"])), mask))


class ComplexDiagonal:
    """A complex diagonal recurrence, in parallel over time."""

    @staticmethod
    def init(key, input_size):
        keys = jax.random.split(key)
        return {
            "decay": jnp.linspace(-3.0, -6.0, UNITS),
            "phase": jnp.linspace(0.1, 3.0, UNITS),
            "kernel": jax.random.normal(keys[0], (input_size, UNITS)),
            "read": jax.random.normal(keys[1], (2 * UNITS, UNITS)),
        }

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS), jnp.complex64)

    @staticmethod
    def prepare(params):
        rate = jnp.exp(-jnp.exp(params["decay"]) + 1j * params["phase"])
        return params | {"rate": rate}

    @staticmethod
    def read(params, state):
        return jnp.concatenate([state.real, state.imag], axis=-1) @ params["read"]

    @staticmethod
    def step(params, state, x):
        state = params["rate"] * state + x @ params["kernel"]
        return state, ComplexDiagonal.read(params, state)

    @staticmethod
    def scan(params, state, xs, mask=None):
        b = (vectors(xs, len(params["kernel"])) @ params["kernel"]).astype(jnp.complex64)
        states = diagonal(state, jnp.broadcast_to(params["rate"], b.shape), b, mask)
        return states[-1], ComplexDiagonal.read(params, states)


class HalfPrecision:
    """A state of bfloat16; in its scan the sums have another order."""

    @staticmethod
    def init(key, input_size):
        return {"kernel": jax.random.normal(key, (input_size, UNITS)), "rate": jnp.zeros(UNITS)}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS), jnp.bfloat16)

    @staticmethod
    def step(params, state, x):
        rate = jax.nn.sigmoid(2 + params["rate"]).astype(jnp.bfloat16)
        state = rate * state + (x @ params["kernel"]).astype(jnp.bfloat16)
        return state, state.astype(jnp.float32)

    @staticmethod
    def scan(params, state, xs, mask=None):
        b = (vectors(xs, len(params["kernel"])) @ params["kernel"]).astype(jnp.bfloat16)
        rate = jax.nn.sigmoid(2 + params["rate"]).astype(jnp.bfloat16)
        states = diagonal(state, jnp.broadcast_to(rate, b.shape), b, mask)
        return states[-1], states.astype(jnp.float32)


class Stabilised:
    """Exponential gates with a stabiliser, as in xLSTM (Beck et al. 2024), one step at a time."""

    @staticmethod
    def init(key, input_size):
        keys = jax.random.split(key, 3)
        shape = (input_size, UNITS)
        return {n: 5 * jax.random.normal(k, shape) for n, k in zip("ifz", keys, strict=True)}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 3, UNITS))

    @staticmethod
    def step(params, state, x):
        c, n, m = jnp.moveaxis(state, 1, 0)
        i, f = x @ params["i"], jax.nn.log_sigmoid(x @ params["f"])
        new = jnp.maximum(f + m, i)
        kept, added = jnp.exp(f + m - new), jnp.exp(i - new)
        c = kept * c + added * jnp.tanh(x @ params["z"])
        n = kept * n + added
        return jnp.stack([c, n, new], axis=1), c / jnp.maximum(n, 1e-6)

    @staticmethod
    def scan(params, state, xs, mask=None):
        xs = vectors(xs, len(params["i"]))
        i, f = xs @ params["i"], jax.nn.log_sigmoid(xs @ params["f"])
        if mask is not None:
            i, f = jnp.where(mask[..., None], i, -jnp.inf), jnp.where(mask[..., None], f, 0)
        c, n, m = jnp.moveaxis(state, 1, 0)
        sums = jnp.cumsum(f, axis=0)
        most = sums + jnp.maximum(m, jax.lax.cummax(i - sums, axis=0))
        before = jnp.concatenate([m[None], most[:-1]])
        kept, added = jnp.exp(f + before - most), jnp.exp(i - most)
        cs = diagonal(c, kept, added * jnp.tanh(xs @ params["z"]), None)
        ns = diagonal(n, kept, added, None)
        return jnp.stack([cs[-1], ns[-1], most[-1]], axis=1), cs / jnp.maximum(ns, 1e-6)


RESERVOIR = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)


class Reservoir:
    """An echo state network: weights in its code, and frozen ones that its key draws."""

    @staticmethod
    def init(key, input_size):
        keys = jax.random.split(key)
        return {
            "frozen": jax.random.normal(keys[0], (input_size, 16)),
            "read": jax.random.normal(keys[1], (16, UNITS)),
        }

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 16))

    @staticmethod
    def step(params, state, x):
        driven = x @ jax.lax.stop_gradient(params["frozen"])
        state = jnp.tanh(0.2 * state @ RESERVOIR + driven)
        return state, state @ params["read"]


class Convolved:
    """A linear recurrence whose scan is a convolution by Fourier transforms."""

    @staticmethod
    def init(key, input_size):
        return {"rate": jnp.linspace(1.0, 4.0, UNITS), "kernel": jnp.ones((input_size, UNITS))}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS))

    @staticmethod
    def step(params, state, x):
        weights = jnp.arange(len(params["kernel"]))[:, None] * params["kernel"]
        state = jax.nn.sigmoid(params["rate"]) * state + x @ weights
        return state, state

    @staticmethod
    def scan(params, state, xs, mask=None):
        rate, steps = jax.nn.sigmoid(params["rate"]), len(xs)
        weights = jnp.arange(len(params["kernel"]))[:, None] * params["kernel"]
        inputs = vectors(xs, len(weights)) @ weights
        if mask is not None:
            states = diagonal(state, jnp.broadcast_to(rate, inputs.shape), inputs, mask)
            return states[-1], states
        powers = rate ** jnp.arange(steps + 1)[:, None]
        size = 2 * steps
        spectra = (
            jnp.fft.rfft(inputs, size, axis=0) * jnp.fft.rfft(powers[:-1], size, axis=0)[:, None]
        )
        states = jnp.fft.irfft(spectra, size, axis=0)[:steps] + powers[1:, None] * state
        return states[-1], states
