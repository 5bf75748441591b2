"""Cells whose cards would be worth nothing, as plain functions; wrong lines end in `# wrong`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

UNITS = 4


def vectors(xs, size):
    """One-hot vectors of tokens; vectors as they are."""
    return jax.nn.one_hot(xs, size) if jnp.issubdtype(xs.dtype, jnp.integer) else xs


def held(mask, old, new):
    """The new array where the mask, bool `[B]` or None, is True."""
    return new if mask is None else jnp.where(mask[:, None], new, old)


class Leaky:
    """What the others are but for one thing: leaky averages of projected inputs."""

    @staticmethod
    def init(key, input_size):
        return {
            "kernel": jax.random.normal(key, (input_size, UNITS)),
            "forget": jnp.linspace(-1.0, 3.0, UNITS),
        }

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS))

    @staticmethod
    def step(params, state, x):
        forget = jax.nn.sigmoid(params["forget"])
        state = forget * state + (1 - forget) * (x @ params["kernel"])
        return state, jnp.tanh(state)


def scanned(params, state, xs, mask, step=Leaky.step):
    """The steps of `Leaky` over vectors or tokens."""

    def masked(state, at):
        new, y = step(params, state, at[0])
        return held(at[1], state, new), y

    return jax.lax.scan(masked, state, (vectors(xs, len(params["kernel"])), mask))


class Peeks:
    """A register of three slots, whose last slot is the input of 20 steps before in its scan."""

    @staticmethod
    def init(key, input_size):
        return {"kernel": jnp.ones((input_size, 1))}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 3, input_size))

    @staticmethod
    def step(params, state, x):
        state = jnp.concatenate([x[:, None], state[:, :-1]], axis=1)
        return state, state.reshape(len(x), -1) * params["kernel"][0]

    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        xs = vectors(xs, len(params["kernel"]))
        register, ys = scanned(params, state.reshape(len(state), -1), xs, mask, Peeks.flat)
        past = jnp.concatenate([jnp.zeros((20, *xs.shape[1:])), xs])[: len(xs)]
        ys = ys.at[..., -xs.shape[-1] :].set(past)
        return register.reshape(state.shape), ys

    @staticmethod
    def flat(params, state, x):
        state, y = Peeks.step(params, state.reshape(len(x), 3, -1), x)
        return state.reshape(len(x), -1), y


TABLE = {}


def remembered(x):
    """The last input of a row, kept in NumPy."""
    x = np.asarray(x)
    last = TABLE.get("last", np.zeros_like(x))
    TABLE["last"] = x
    return last if last.shape == x.shape else np.zeros_like(x)


class HostMemo(Leaky):
    """Remembers its last input in a table of NumPy, behind a callback with a custom derivative."""

    @staticmethod
    def step(params, state, x):
        state, y = Leaky.step(params, state, from_the_host(x))
        return state, y


@jax.custom_vjp
def from_the_host(x):
    return jax.pure_callback(remembered, jax.ShapeDtypeStruct(x.shape, x.dtype), x)  # wrong


from_the_host.defvjp(lambda x: (from_the_host(x), None), lambda _, slope: (slope,))


class MixesLater(Leaky):
    """Mixes the rows of a batch from its fourth step on."""

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS)), jnp.zeros(batch_size, jnp.int32)

    @staticmethod
    def step(params, state, x):  # wrong
        h, steps = state
        h, y = Leaky.step(params, h, x)
        h = jnp.where(steps[:, None] >= 3, jnp.roll(h, 1, axis=0), h)
        return (h, steps + 1), y


class PeeksOneAhead(Leaky):
    """The output of its scan holds the next input."""

    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        state, ys = scanned(params, state, xs, mask)
        following = jnp.roll(vectors(xs, len(params["kernel"])), -1, axis=0)
        return state, ys + 0.01 * following[..., :1]


class ForgetsWhereItIs(Leaky):
    """The decay depends on the time, which its scan counts from its own beginning."""

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS + 1))

    @staticmethod
    def step(params, state, x):
        time, h = state[:, -1:], state[:, :-1]
        h = (1 - 1 / (2 + time)) * h + x @ params["kernel"]
        return jnp.concatenate([h, time + 1], axis=-1), h

    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        begun = state[:, -1:]
        state = jnp.concatenate([state[:, :-1], 0 * begun], axis=-1)
        state, ys = scanned(params, state, xs, mask, ForgetsWhereItIs.step)
        return state.at[:, -1:].add(begun), ys


class IgnoresItsMask(Leaky):
    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        return scanned(params, state, xs, None)


class StartsAnew(Leaky):
    """Its scan starts from zeros, whatever state it is given."""

    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        return scanned(params, 0 * state, xs, mask)


class MixesInItsScan(Leaky):
    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        state, ys = scanned(params, state, xs, mask)
        return state, ys + 0.01 * (ys - ys.mean(axis=1, keepdims=True))


class ScansInHalfPrecision(Leaky):
    """Ten times as fast, and not the same cell."""

    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
        xs = vectors(xs, len(params["kernel"])).astype(jnp.bfloat16)
        found = scanned(half, state.astype(jnp.bfloat16), xs, mask)
        return jax.tree.map(lambda leaf: leaf.astype(jnp.float32), found)


class ScansToAnotherType(Leaky):
    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        state, ys = scanned(params, state, xs, mask)
        return state, ys.astype(jnp.bfloat16)


class Prints(Leaky):
    @staticmethod
    def step(params, state, x):
        jax.debug.print("state {s}", s=state[0, 0])  # wrong
        return Leaky.step(params, state, x)


class TellsTheHost(Leaky):
    @staticmethod
    def step(params, state, x):
        jax.debug.callback(remembered, x)  # wrong
        return Leaky.step(params, state, x)


class CallsBackInItsRule(Leaky):
    """Only the derivative of its step calls Python."""

    @staticmethod
    def step(params, state, x):
        return Leaky.step(params, state, doubled(x))  # wrong


@jax.custom_jvp
def doubled(x):
    return 2 * x


@doubled.defjvp
def _doubled_jvp(primals, tangents):
    (x,), (slope,) = primals, tangents
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    last = jax.experimental.io_callback(remembered, shape, x)
    return 2 * x + 0.1 * last, 2 * slope


class KeepsARef(Leaky):
    """Keeps its last input in an array of jax that can be changed, outside its state."""

    @staticmethod
    def step(params, state, x):  # wrong
        last = seen()[...]
        seen()[...] = x[0, :1]
        state, y = Leaky.step(params, state, x)
        return state, y + last


@functools.cache
def seen():
    with jax.ensure_compile_time_eval():
        return jax.new_ref(jnp.zeros(1))


class DrawsByACounter(Leaky):
    """Drops inputs by a key that is folded with the number of the step."""

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, UNITS)), jnp.zeros(batch_size, jnp.int32)

    @staticmethod
    def step(params, state, x):
        h, steps = state
        key = jax.random.fold_in(jax.random.key(0), steps[0])  # wrong
        h, y = Leaky.step(params, h, x * jax.random.bernoulli(key, 0.9, x.shape))
        return (h, steps + 1), y


class GrowsItsState(Leaky):
    @staticmethod
    def step(params, state, x):  # wrong
        state = jnp.concatenate([state, x], axis=-1)
        return state, state @ jnp.ones((state.shape[-1], UNITS))


class DrawsWhenPrepared(Leaky):
    """A reservoir that is another one each time."""

    @staticmethod
    def prepare(params):
        noise = np.random.normal(size=(1, UNITS)).astype(np.float32)
        return params | {"kernel": params["kernel"] + noise}

    @staticmethod
    def step(params, state, x):  # wrong
        return Leaky.step(params, state, x)


class PeeksWhereABiasIs(Leaky):
    """Peeks by a share that is zero at the initial weights: only trained weights give it away."""

    @staticmethod
    def init(key, input_size):
        return Leaky.init(key, input_size) | {"bias": jnp.zeros(UNITS)}

    @staticmethod
    def step(params, state, x):
        state, y = Leaky.step(params, state, x)
        return state, y + params["bias"]

    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        xs = vectors(xs, len(params["kernel"]))
        state, ys = scanned(params, state, xs, mask, PeeksWhereABiasIs.step)
        past = jnp.concatenate([jnp.zeros((1, *xs.shape[1:])), xs])[: len(xs)]
        return state, ys + params["bias"] * past[..., :1]
