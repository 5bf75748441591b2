"""The recurrent cells of Beck et al. 2024, "xLSTM: extended long short-term memory"."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.projected_cell import ProjectedCell
from echo_jax.exceptions import ConfigError


class SLSTMParams(NamedTuple):
    """The weights of the gates i, f, z and o, side by side in this order.

    W  input weights, `[F, 4H]`
    R  recurrent weights, `[heads, H / heads, 4 H / heads]`
    b  biases, `[4H]`
    """

    W: chex.Array
    R: chex.Array
    b: chex.Array


class SLSTMState(NamedTuple):
    """Cell state c, normaliser n, stabiliser m and output h, each float32 `[B, H]`."""

    c: chex.Array
    n: chex.Array
    m: chex.Array
    h: chex.Array


@dataclasses.dataclass(frozen=True)
class SLSTMCell(ProjectedCell):
    """The sLSTM, an LSTM with an exponential input gate (Beck et al. 2024, section 2.2).

        i~, f~, z~, o~ = x W + h R + b
        log f = log sigmoid(f~)
        m' = max(log f + m, i~)
        i  = exp(i~ - m')
        f  = exp(log f + m - m')
        c' = f c + i tanh(z~)
        n' = f n + i
        h' = sigmoid(o~) c' / max(n', 1e-6)

    c / n is a mean of the past tanh(z~) with the weights exp(i~), which fade by sigmoid(f~) a step;
    m keeps the exponentials at most 1. The state is `SLSTMState`, zeros at the start; the output is
    h. Gates depend on h, so there is no form parallel over time.

    Parameters as the authors' code (github.com/NX-AI/xlstm) starts them: W normal of variance
    2 / 5F; R zeros; b zeros but for b_f, which falls from 5 to -7 over the D units of a head, unit
    j = 0 .. D - 1 having 5 - 12 (j / (D - 1))^0.3, as in the first of their blocks.

    Differences: the forget gate is always a sigmoid, where the paper allows an exponential too;
    max(n', 1e-6) and m = 0 at the start stand for the branch on n = 0 in the authors' code; the
    convolution before the gates and the norm after h belong to their block and are left out.

    Attributes:
      features: H, the units.
      heads: the blocks on the diagonal of each recurrent matrix; they divide H.
    """

    features: int
    heads: int = 1

    def __post_init__(self) -> None:
        """Raise ConfigError unless the heads share the units evenly."""
        if self.heads < 1 or self.features % self.heads:
            raise ConfigError(
                f"heads {self.heads} is no divisor of the {self.features} units: use one, such as 1"
            )

    def init(self, key: chex.PRNGKey, input_size: int) -> SLSTMParams:
        """Small normal input weights, no recurrence, and forget gates from open to shut."""
        size = self.features // self.heads
        small = jax.nn.initializers.normal(math.sqrt(2 / (5 * input_size)))
        b_f = 5 - 12 * jnp.linspace(0, 1, size) ** 0.3
        b = jnp.zeros((4, self.heads, size)).at[1].set(b_f)
        mixing = jnp.zeros((self.heads, size, 4 * size))
        return SLSTMParams(small(key, (input_size, b.size)), mixing, b.reshape(-1))

    def initial_state(self, params: SLSTMParams, batch_size: int, input_size: int) -> SLSTMState:
        """Zeros."""
        del params, input_size
        return SLSTMState(*[jnp.zeros((batch_size, self.features))] * 4)

    def input_size(self, params: SLSTMParams) -> int:
        """F, the features of an input."""
        return len(params.W)

    def project(self, params: SLSTMParams, x: chex.Array) -> chex.Array:
        """The sums x W + b, `[..., 4H]`."""
        return x @ params.W + params.b

    def recur(
        self, params: SLSTMParams, state: SLSTMState, terms: chex.Array
    ) -> tuple[SLSTMState, chex.Array]:
        """The next state, and h'."""
        i, f, z, o = jnp.split(terms + self._mix(params, state.h), 4, axis=-1)
        log_f = jax.nn.log_sigmoid(f)
        m = jnp.maximum(log_f + state.m, i)
        i, f = jnp.exp(i - m), jnp.exp(log_f + state.m - m)
        c = f * state.c + i * jnp.tanh(z)
        n = f * state.n + i
        h = jax.nn.sigmoid(o) * c / jnp.maximum(n, 1e-6)
        return SLSTMState(c, n, m, h), h

    def _mix(self, params: SLSTMParams, h: chex.Array) -> chex.Array:
        """The product h R of each head, gates side by side, `[B, 4H]`."""
        batch, size = len(h), self.features // self.heads
        product = jnp.einsum("bnd,nde->bne", h.reshape(batch, self.heads, size), params.R)
        gates = product.reshape(batch, self.heads, 4, size)
        return jnp.moveaxis(gates, 2, 1).reshape(batch, -1)
