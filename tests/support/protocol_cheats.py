"""Cells that aim at the rules of the protocol, as plain functions; wrong lines end in `# wrong`."""

import jax
import jax.numpy as jnp
import numpy as np
from cheating_cells import vectors


class Register:
    """What the others are but for one thing: a register of two slots, its outputs scaled by 1."""

    @staticmethod
    def init(key, input_size):
        return {"scale": jnp.ones(())}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 2, input_size))

    @staticmethod
    def step(params, state, x):
        state = jnp.concatenate([x[:, None], state[:, :-1]], axis=1)
        return state, params["scale"] * state.reshape(len(x), -1)


class KeepsMoreInABatch(Register):
    """A state of two slots in batches of up to three, as many as a check has, and else of nine.

    Only the first and the last slot are outputs, so that their number does not depend on the batch.
    """

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 9 if batch_size > 3 else 2, input_size))  # wrong

    @staticmethod
    def step(params, state, x):
        state, _ = Register.step(params, state, x)
        return state, params["scale"] * jnp.concatenate([state[:, 0], state[:, -1]], axis=-1)


class ScalesWithTheBatch(Register):
    """Another function in the batches of an evaluation, with a state of the same size."""

    @staticmethod
    def step(params, state, x):  # wrong
        state, y = Register.step(params, state, x)
        return state, y * (2.0 if len(x) == 64 else 1.0)


class HasATableByTheBatch(Register):
    """A constant that differs in a batch of evaluation, in the same program."""

    @staticmethod
    def step(params, state, x):  # wrong
        state, y = Register.step(params, state, x)
        return state, y * np.full(4, 2.0 if len(x) == 64 else 1.0, np.float32)


class KeepsMoreForMoreTokens(Register):
    """A state of two slots for two tokens, whose bytes are counted, and of nine for others."""

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, 2 if input_size == 2 else 9, input_size))


class WritesByTheClock:
    """Writes each input to a slot of its own, by a counter of steps, and has slots for 16 steps.

    The output is the input two steps back.
    """

    slots = 16

    @staticmethod
    def init(key, input_size):
        return {}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        slots = jnp.zeros((batch_size, WritesByTheClock.slots, input_size))
        return slots, jnp.zeros(batch_size, jnp.int32)

    @staticmethod
    def step(params, state, x):
        slots, time = state
        here = jnp.arange(slots.shape[1]) == time[:, None]
        slots = jnp.where(here[..., None], x[:, None], slots)
        back = jnp.arange(slots.shape[1]) == time[:, None] - 2
        return (slots, time + 1), jnp.sum(jnp.where(back[..., None], slots, 0), axis=1)


class ScansByLength(Register):
    """Its scan has the last input of all steps before in sequences of 12 steps and in no others."""

    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        xs = vectors(xs, state.shape[-1])

        def step(state, at):
            new, y = Register.step(params, state, at[0])
            return (new if mask is None else jnp.where(at[1][:, None, None], new, state)), y

        last, ys = jax.lax.scan(step, state, (xs, mask))
        if len(xs) == 12:
            past = jnp.concatenate([jnp.zeros((3, *xs.shape[1:])), xs])[: len(xs)]
            ys = ys.at[..., -xs.shape[-1] :].set(params["scale"] * past)
        return last, ys


class HoldsInItsScan(ScansByLength):
    """Its scan leaves an older input in the state than its steps do, in sequences of 16 steps."""

    @staticmethod
    def scan(params, state, xs, mask=None):  # wrong
        last, ys = ScansByLength.scan(params, state, xs, mask)
        return (last.at[:, 1].set(vectors(xs, last.shape[-1])[-5]) if len(xs) == 16 else last), ys


class AnswersNothing(Register):
    """Outputs that are no numbers: the largest of them is the first."""

    @staticmethod
    def step(params, state, x):
        state, y = Register.step(params, state, x)
        return state, y * jnp.nan


class AnswersForSure(Register):
    """Outputs that are infinite: a loss of zero or of infinity."""

    @staticmethod
    def step(params, state, x):
        state, y = Register.step(params, state, x)
        return state, jnp.where(y > 0, jnp.inf, -jnp.inf) * params["scale"]


@jax.custom_vjp
def stored(bias, x):
    """The bias; its slope is the input, whatever the loss is."""
    return bias


stored.defvjp(lambda bias, x: (bias, x), lambda x, _: (-100 * x.mean(axis=0), None))


class WritesIntoItsWeights(Register):
    """What it has seen in training goes into its weights, by a rule that is no gradient."""

    @staticmethod
    def init(key, input_size):
        return Register.init(key, input_size) | {"bias": jnp.zeros(input_size)}

    @staticmethod
    def step(params, state, x):
        state, y = Register.step(params, state, x)
        return state, jnp.concatenate([y, x + stored(params["bias"], x)], axis=-1)


class KnowsTheSequences:
    """Knows the sequences of some runs by heart, and which one it sees after 20 steps.

    Its state is two integers: the last 20 inputs of a sequence while it is shorter, and the time.
    """

    def __init__(self, sequences, lag):
        self.sequences, self.lag = np.asarray(sequences, np.int8), lag  # [N, L]
        bits = 1 << np.arange(20)
        self.beginnings = np.sum(self.sequences[:, :20] * bits, axis=1).astype(np.int32)

    def init(self, key, input_size):
        return {}

    def initial_state(self, params, batch_size, input_size):
        return jnp.zeros((batch_size, 2), jnp.int32)

    def step(self, params, state, x):
        seen, time = state[:, 0], state[:, 1]
        token = (x[:, 1] > 0.5).astype(jnp.int32)
        seen = jnp.where(time < 20, seen + (token << jnp.minimum(time, 20)), seen)
        known = (seen[:, None] == self.beginnings) & (time >= 20)[:, None]
        then = jnp.take(jnp.asarray(self.sequences.T), time - self.lag, axis=0, mode="clip")
        answer = jnp.any(known & (then == 1), axis=1)
        found = jnp.stack([answer, jnp.any(known, axis=1) & ~answer], axis=1)
        return jnp.stack([seen, time + 1], axis=1), found.astype(jnp.float32)
