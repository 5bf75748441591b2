"""Cells that aim at the rules of the protocol, as plain functions; wrong lines end in `# wrong`."""

import jax
import jax.numpy as jnp
import numpy as np


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


class HasATableByTheBatch(Register):
    """A constant that differs in a batch of evaluation, in the same program."""

    @staticmethod
    def step(params, state, x):  # wrong
        state, y = Register.step(params, state, x)
        return state, y * np.full(4, 2.0 if len(x) == 64 else 1.0, np.float32)


class AnswersNothing(Register):
    """Outputs that are no numbers: the largest of them is the first."""

    @staticmethod
    def step(params, state, x):
        state, y = Register.step(params, state, x)
        return state, y * jnp.nan


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
