"""Cells whose cards would be worth nothing, as plain functions; wrong lines end in `# wrong`."""

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
