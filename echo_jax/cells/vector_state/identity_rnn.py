"""The rectified RNN whose recurrent matrix starts as the identity."""

import dataclasses
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.initial_weights import linen_key
from echo_jax.cells.interface import Cell


class IdentityRNNParams(NamedTuple):
    """Input weights W `[F, H]`, recurrent weights U `[H, H]` and biases b `[H]`."""

    W: chex.Array
    U: chex.Array
    b: chex.Array


@dataclasses.dataclass(frozen=True)
class IdentityRNNCell(Cell):
    """A rectified RNN with an identity initial recurrent matrix (Le, Jaitly & Hinton 2015).

        h' = relu(x W + h U + b)

    At the start a non-negative state stays constant, except for what the input adds. State and
    output are h, float32 `[B, H]`, zeros at the start. W is normal with standard deviation 0.001,
    U the identity, b zero.
    """

    features: int

    def init(self, key: chex.PRNGKey, input_size: int) -> IdentityRNNParams:
        h = self.features
        small = jax.nn.initializers.normal(1e-3)
        weights = small(linen_key(key, 1), (input_size, h))
        return IdentityRNNParams(weights, jnp.eye(h), jnp.zeros(h))

    def step(
        self, params: IdentityRNNParams, state: chex.Array, x: chex.Array
    ) -> tuple[chex.Array, chex.Array]:
        h = jax.nn.relu(x @ params.W + state @ params.U + params.b)
        return h, h
