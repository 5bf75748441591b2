"""The layer of Mamba-2: a matrix state that decays as a whole, by a factor that the input sets."""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.linear_layers import linear_uniform, rms_norm
from echo_jax.cells.matrix_state.key_value_cell import OuterProductCell, OuterProductTerms


class Mamba2Params(NamedTuple):
    """The parameters of `Mamba2Cell`.

    W_z            `[F, P]`, makes the gate of the output
    W_x            `[F, P]`, makes the value x
    W_B, W_C       `[F, N]`, make the key B and the query C
    W_dt, dt_bias  `[F, 1]` and `[1]`, make the step size dt
    A_log          `[1]`, ln of the rate of the decay
    D              `[1]`, the factor of x in the output
    gain           `[P]`, the gains of the norm before the output
    W_o            `[P, H]`, makes the output
    """

    W_z: chex.Array
    W_x: chex.Array
    W_B: chex.Array
    W_C: chex.Array
    W_dt: chex.Array
    dt_bias: chex.Array
    A_log: chex.Array
    D: chex.Array
    gain: chex.Array
    W_o: chex.Array


class Mamba2Terms(NamedTuple):
    """The terms of an input.

    outer    the terms of the recurrence, with key B, query C and value dt x
    skipped  D x, which is added to the output of the recurrence, `[..., P]`
    gate     silu(z), the factors of that sum, `[..., P]`
    """

    outer: OuterProductTerms
    skipped: chex.Array
    gate: chex.Array


@dataclasses.dataclass(frozen=True)
class Mamba2Cell(OuterProductCell):
    """The Mamba-2 layer with one head (Dao & Gu 2024, "Transformers are SSMs", sections 2 and 7).

        z  = u W_z                                  u is the input
        x, B, C = silu(u W_x), silu(u W_B), silu(u W_C)
        dt = softplus(u W_dt + dt_bias)
        S' = exp(-exp(A_log) dt) S + B (dt x)^T
        o  = S'^T C + D x
        y  = (gain * rms_norm(o * silu(z))) W_o

    rms_norm(x) = x / sqrt(mean x^2 + 1e-5), after the gate, as in the authors' code
    (state-spaces/mamba, `mamba_ssm/modules/mamba2.py`). The state is S, float32 `[B, N, P]`, zero
    at the start.

    Initial parameters are as in that code: W uniform within 1 / sqrt(rows) of 0, exp(A_log) uniform
    in [1, 16], softplus(dt_bias) log-uniform in [0.001, 0.1], D and gain 1. The one head draws one
    number of each kind, so the state fades to 1/e in less than a step with one seed, and in up to
    1,000 steps with another seed.

    Differences from that code: no convolution before the silu of x, B and C; one head; N and P are
    H by default. A layer of that code has N = 128 and heads of 64 numbers, and all its heads
    together are twice as wide as its input.

    The weights fit inputs of mean square 1, which in that code come from a norm before the layer.
    Here inputs are smaller. In `Block`, the silu of a convolution has a mean square of 0.06 to 0.11
    at the start, and one-hot vectors have a mean square of 1 / F. Without a block, the cell learns
    slowly from one-hot vectors.

    Attributes:
      features: H, the number of outputs.
      key_size: N, the numbers of B and C; None for H.
      value_size: P, the numbers that S maps to; None for H.
    """

    # Both sizes are H unless they are set, so that `features` alone makes a square state.
    sized_with: ClassVar[tuple[str, ...]] = ()

    def init(self, key: chex.PRNGKey, input_size: int) -> Mamba2Params:
        f = input_size
        p = self.values
        n = self.keys
        keys = iter(jax.random.split(key, 8))
        low = math.log(0.001)
        high = math.log(0.1)
        dt = jnp.exp(jax.random.uniform(next(keys), (1,), minval=low, maxval=high))
        return Mamba2Params(
            W_z=linear_uniform(next(keys), (f, p), f),
            W_x=linear_uniform(next(keys), (f, p), f),
            W_B=linear_uniform(next(keys), (f, n), f),
            W_C=linear_uniform(next(keys), (f, n), f),
            W_dt=linear_uniform(next(keys), (f, 1), f),
            dt_bias=jnp.log(jnp.expm1(dt)),
            A_log=jnp.log(jax.random.uniform(next(keys), (1,), minval=1, maxval=16)),
            D=jnp.ones(1),
            gain=jnp.ones(p),
            W_o=linear_uniform(next(keys), (p, self.features), p),
        )

    def project(self, params: Mamba2Params, x: chex.Array) -> Mamba2Terms:
        """Return the terms of the inputs x, `[..., F]`, which the equations call u."""
        silu = jax.nn.silu
        u = x
        x = silu(u @ params.W_x)
        dt = jax.nn.softplus(u @ params.W_dt + params.dt_bias)
        log_a = -jnp.exp(params.A_log) * dt
        outer = OuterProductTerms(log_a, k=silu(u @ params.W_B), v=dt * x, q=silu(u @ params.W_C))
        return Mamba2Terms(outer, skipped=params.D * x, gate=silu(u @ params.W_z))

    def read_out(self, params: Mamba2Params, read: chex.Array, terms: Mamba2Terms) -> chex.Array:
        """Return the outputs `[..., H]` from `read`, which is S'^T C, `[..., P]`.

        D x is added, the sum is multiplied by the gate, and the product is normed.
        """
        # The gate comes before the norm; in gated DeltaNet it comes after, as in its authors' code.
        o = (read + terms.skipped) * terms.gate
        return (params.gain * rms_norm(o, 1e-5)) @ params.W_o
