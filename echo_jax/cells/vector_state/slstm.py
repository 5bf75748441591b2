"""The sLSTM of Beck et al. 2024, "xLSTM: extended long short-term memory"."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import ProjectedCell, divides
from echo_jax.cells.linear_layers import SHUT


class SLSTMParams(NamedTuple):
    """The parameters of `SLSTMCell`; the gates i, f, z and o stand side by side in this order.

    W  the input weights, `[F, 4H]`
    R  the recurrent weights of each head, `[heads, H / heads, 4 H / heads]`
    b  the biases, `[4H]`
    """

    W: chex.Array
    R: chex.Array
    b: chex.Array


class SLSTMState(NamedTuple):
    """The state of `SLSTMCell`, each part float32 `[B, H]`.

    c  the cell state
    n  the normaliser, the sum of the weights of the past in c
    m  the stabiliser, the logarithm by which c and n are scaled
    h  the output
    """

    c: chex.Array
    n: chex.Array
    m: chex.Array
    h: chex.Array


@dataclasses.dataclass(frozen=True)
class SLSTMCell(ProjectedCell):
    """The sLSTM, an LSTM with an exponential input gate (Beck et al. 2024, section 2.2).

        i~, f~, z~, o~ = x W + h R + b
        log f = log sigmoid(f~)
        p  = log f + m, or -1e30 where n = 0: nothing is held yet
        m' = max(p, i~)
        i  = exp(i~ - m')
        f  = exp(p - m')
        c' = f c + i tanh(z~)
        n' = f n + i
        h' = sigmoid(o~) c' / n'

    c / n is a mean of the past tanh(z~). The weights in this mean are exp(i~), and fade by
    sigmoid(f~) per step. m keeps the exponentials i and f at most 1, and one of the two is 1, so
    that n is 1 or more from the first step on. The state is `SLSTMState`, zeros at the start; the
    output is h. The gates depend on h, so there is no form parallel over time.

    Initial parameters are as in the authors' code (github.com/NX-AI/xlstm). W is normal of variance
    2 / 5F, and R is zero. b is zero except b_f, which falls from 5 to -7 over the D units of a
    head: unit j = 0 .. D - 1 has 5 - 12 (j / (D - 1))^0.3, as in the first block of the authors; in
    their last block, the exponent is 1.6.

    Differences: the forget gate is always a sigmoid, where the paper allows an exponential too. The
    convolution, whose output only i~ and f~ see in the authors' block, and the norm after h are
    left out.

    Attributes:
      features: H, the number of units.
      heads: the number of blocks on the diagonal of each recurrent matrix, which must divide H.
    """

    features: int
    heads: int = 1

    def __post_init__(self) -> None:
        divides(self, "heads", self.features, "units")

    def init(self, key: chex.PRNGKey, input_size: int) -> SLSTMParams:
        size = self.features // self.heads
        small = jax.nn.initializers.normal(math.sqrt(2 / (5 * input_size)))
        # Few units hold at the start: f is above 1/2 in 5% of them.
        b_f = 5 - 12 * jnp.linspace(0, 1, size) ** 0.3
        b = jnp.zeros((4, self.heads, size)).at[1].set(b_f)
        mixing = jnp.zeros((self.heads, size, 4 * size))
        return SLSTMParams(small(key, (input_size, b.size)), mixing, b.reshape(-1))

    def initial_state(self, params: SLSTMParams, batch_size: int, input_size: int) -> SLSTMState:
        return SLSTMState(*[jnp.zeros((batch_size, self.features))] * 4)

    def project(self, params: SLSTMParams, x: chex.Array) -> chex.Array:
        return x @ params.W + params.b

    def recur(
        self, params: SLSTMParams, state: SLSTMState, terms: chex.Array
    ) -> tuple[SLSTMState, chex.Array]:
        i, f, z, o = jnp.split(terms + self._mix(params, state.h), 4, axis=-1)
        # With the past m = 0, i would be about exp(i~), and n = 0 for i~ below -88. A bound of 1e-6
        # on n was tried: answers were almost zero for i~ below -14.
        past = jnp.where(state.n == 0, SHUT, jax.nn.log_sigmoid(f) + state.m)
        m = jnp.maximum(past, i)
        i = jnp.exp(i - m)
        f = jnp.exp(past - m)
        c = f * state.c + i * jnp.tanh(z)
        n = f * state.n + i
        h = jax.nn.sigmoid(o) * c / n
        return SLSTMState(c, n, m, h), h

    def _mix(self, params: SLSTMParams, h: chex.Array) -> chex.Array:
        """Return the product h R, `[B, 4H]`, with the gates of all heads side by side."""
        size = self.features // self.heads
        product = jnp.einsum("bnd,nde->bne", h.reshape(-1, self.heads, size), params.R)
        # R has the four gates side by side in each head, W in all heads together.
        gates = product.reshape(-1, self.heads, 4, size)
        return jnp.moveaxis(gates, 2, 1).reshape(len(h), -1)
