"""Layers whose state is a matrix that the delta rule corrects: DeltaNet and gated DeltaNet.

The state S maps keys to values. A step reads the value that S holds for the key, and moves this
value by a share beta towards the new value. The gated form first multiplies S by a factor alpha.

Both cells have one head. They leave out the short convolutions on q, k and v, which the authors'
code has by default: all memory of a cell is in its state S.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import CellParams
from echo_jax.cells.linear_layers import linear_uniform, rms_norm, unit
from echo_jax.cells.matrix_state import chunks
from echo_jax.cells.matrix_state.key_value_cell import KeyValueCell

EPSILON_UNIT = 1e-6  # added to a sum of squares before its root, as in the authors' code
EPSILON_NORM = 1e-5  # added to a mean of squares


class DeltaTerms(NamedTuple):
    """The terms of an input in the delta rule, S' = alpha S + beta (v - alpha S k) k^T.

    q, k       the query and the key, unit vectors `[..., K]`
    v          the value, `[..., V]`
    beta       how far the value replaces the old value of the key, `[..., 1]`, between 0 and 1
    log_alpha  ln of the decay alpha of S, `[..., 1]`, at most 0; None for no decay
    gate       the factors of the output, `[..., V]`; None for no gate
    """

    q: chex.Array
    k: chex.Array
    v: chex.Array
    beta: chex.Array
    log_alpha: chex.Array | None = None
    gate: chex.Array | None = None


# prevent_cse=False: in a scan XLA cannot merge the two computations of a step anyway.
@functools.partial(jax.checkpoint, prevent_cse=False)
def delta_rule_step(memory: chex.Array, terms: DeltaTerms) -> tuple[chex.Array, chex.Array]:
    """Return the next state S', `[B, V, K]`, and the value o that it gives for the query, `[B, V]`.

    S' = alpha S + beta (v - alpha S k) k^T
    o  = S' q

    `memory` is the state S, and `terms` are arrays `[B, n]`. The gradient computes a step again, so
    a scan stores only S of each step. On two CPU cores this takes 22% to 43% less memory and no
    more time (B 16, K V 100 and 2,500, T 96 to 3,000).
    """
    if terms.log_alpha is not None:
        memory = jnp.exp(terms.log_alpha)[..., None] * memory
    # The memory has decayed already: a key is asked in alpha S, as in the paper.
    error = terms.v - jnp.einsum("bvk,bk->bv", memory, terms.k)
    # No einsum for the outer product: with one, evaluation on two CPU devices waited for ever (jax
    # 0.10). It may return when a run on two devices ends with it.
    memory = memory + (terms.beta * error)[..., None] * terms.k[:, None]
    return memory, jnp.einsum("bvk,bk->bv", memory, terms.q)


class DeltaNetParams(NamedTuple):
    """The parameters of `DeltaNetCell`.

    W_q, W_k, W_v  `[F, K]`, `[F, K]` and `[F, V]`, make the query, the key and the value
    W_beta         `[F, 1]`, makes beta
    gain           `[V]`, the gains of the norm before the output
    W_o            `[V, H]`, makes the output
    """

    W_q: chex.Array
    W_k: chex.Array
    W_v: chex.Array
    W_beta: chex.Array
    gain: chex.Array
    W_o: chex.Array


@dataclasses.dataclass(frozen=True)
class DeltaNetCell(KeyValueCell):
    """DeltaNet (Yang et al. 2024b, "Parallelizing linear transformers with the delta rule").

        q, k = unit(silu(x W_q)), unit(silu(x W_k))
        v    = silu(x W_v)
        beta = sigmoid(x W_beta)
        S'   = S + beta (v - S k) k^T
        y    = (gain * rms_norm(S' q)) W_o

    The recurrence is from section 2.2 of the paper. The other equations are from section 3.4, and
    from the layer `fla/layers/delta_net.py` of the repository fla-org/flash-linear-attention, with
    its defaults. unit(x) = x / sqrt(sum x^2 + 1e-6), rms_norm(x) = x / sqrt(mean x^2 + 1e-5).

    Differences from that layer: one head; no short convolution; q is not divided by sqrt(K), which
    rms_norm would undo.

    The state is S, float32 `[B, V, K]`, zero at the start. Initially, weights W are uniform within
    1 / sqrt(rows) of 0, and the gain is 1.

    Attributes:
      features: H, the number of outputs.
      key_size: K, the numbers of a key; None for H.
      value_size: V, the numbers of a value; None for H.
    """

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        """Return `DeltaNetParams`, drawn as the class says."""
        q, k, v, beta, o = jax.random.split(key, 5)
        return DeltaNetParams(
            W_q=linear_uniform(q, (input_size, self.keys), input_size),
            W_k=linear_uniform(k, (input_size, self.keys), input_size),
            W_v=linear_uniform(v, (input_size, self.values), input_size),
            W_beta=linear_uniform(beta, (input_size, 1), input_size),
            gain=jnp.ones(self.values),
            W_o=linear_uniform(o, (self.values, self.features), self.values),
        )

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> chex.Array:
        return jnp.zeros((batch_size, self.values, self.keys))

    def project(self, params: CellParams, x: chex.Array) -> DeltaTerms:
        return DeltaTerms(
            q=unit(jax.nn.silu(x @ params.W_q), EPSILON_UNIT),
            k=unit(jax.nn.silu(x @ params.W_k), EPSILON_UNIT),
            v=jax.nn.silu(x @ params.W_v),
            beta=jax.nn.sigmoid(x @ params.W_beta),
        )

    def recur(
        self, params: CellParams, state: chex.Array, terms: DeltaTerms
    ) -> tuple[chex.Array, chex.Array]:
        return delta_rule_step(state, terms)

    def recur_chunk(
        self, params: CellParams, state: chex.Array, terms: DeltaTerms, present: chex.Array
    ) -> tuple[chex.Array, chex.Array]:
        """Return S after a chunk, `[B, V, K]`, and its o, `[B, C, V]`, from S before the chunk.

        With c_t = alpha_1 ... alpha_t, step t adds u_t k_t^T:

            u_t = beta_t (v_t - c_t S k_t - sum over i < t of (c_t / c_i) (k_i . k_t) u_i)
            o_t = c_t S q_t + sum over i <= t of (c_t / c_i) (k_i . q_t) u_i

        All u_t solve a triangular system (Yang et al. 2024b, section 3.2; with decay, Yang et al.
        2025, section 3.3). An absent step has beta = 0 and alpha = 1.
        """
        q, k, v, beta, log_alpha, _ = terms
        beta = jnp.where(present, beta, 0)
        log_alpha = 0 * beta if log_alpha is None else jnp.where(present, log_alpha, 0)
        since_start = jnp.exp(jnp.cumsum(log_alpha, axis=-2))
        decays = chunks.decay_between(log_alpha)[..., 0]
        keys_before = jnp.swapaxes(k, 1, 2)
        start = jnp.swapaxes(state, 1, 2)
        inverse = chunks.unit_inverse(jnp.tril(beta * decays * (k @ keys_before), -1))
        u = inverse @ (beta * (v - (since_start * k) @ start))
        read = (since_start * q) @ start + (decays * (q @ keys_before)) @ u
        added = jnp.swapaxes(u, 1, 2) @ (jnp.exp(chunks.after(log_alpha)) * k)
        return since_start[:, -1:] * state + added, read

    def read_out(self, params: CellParams, read: chex.Array, terms: DeltaTerms) -> chex.Array:
        normalised = params.gain * rms_norm(read, EPSILON_NORM)
        return (normalised if terms.gate is None else terms.gate * normalised) @ params.W_o


class GatedDeltaNetParams(NamedTuple):
    """The parameters of `GatedDeltaNetCell`.

    W_q, W_k, W_v   `[F, K]`, `[F, K]` and `[F, V]`, make the query, the key and the value
    W_beta          `[F, 1]`, makes beta
    W_alpha         `[F, 1]`, makes alpha
    A_log, dt_bias  `[1]`, ln of the rate and the bias of the step size in alpha
    W_g             `[F, V]`, makes the gate of the output
    gain            `[V]`, the gains of the norm before the output
    W_o             `[V, H]`, makes the output
    """

    W_q: chex.Array
    W_k: chex.Array
    W_v: chex.Array
    W_beta: chex.Array
    W_alpha: chex.Array
    A_log: chex.Array
    dt_bias: chex.Array
    W_g: chex.Array
    gain: chex.Array
    W_o: chex.Array


@dataclasses.dataclass(frozen=True)
class GatedDeltaNetCell(DeltaNetCell):
    """Gated DeltaNet (Yang et al. 2025, "Gated Delta Networks: improving Mamba2 with delta rule").

        q, k  = unit(silu(x W_q)), unit(silu(x W_k))
        v     = silu(x W_v)
        beta  = sigmoid(x W_beta)
        alpha = exp(-exp(A_log) softplus(x W_alpha + dt_bias))
        S'    = alpha S + beta (v - alpha S k) k^T
        y     = (silu(x W_g) * gain * rms_norm(S' q)) W_o

    The recurrence is equation 10 of the paper. The other equations are from section 3.4, and from
    the layer `fla/layers/gated_deltanet.py` of the repository fla-org/flash-linear-attention, with
    its defaults; the layer of the repository NVlabs/GatedDeltaNet differs in a bias of beta.
    `DeltaNetCell` defines unit and rms_norm, and its differences from the layer hold here too.

    The state is S, float32 `[B, V, K]`, zero at the start. Initially, weights W are uniform within
    1 / sqrt(rows) of 0, the gain is 1, exp(A_log) is uniform between 0 and 16, and
    softplus(dt_bias) is log-uniform between 0.001 and 0.1. The one head draws one number of each
    kind. So for a zero input alpha is between 0.2 and 1 at the start, and depends on the seed.

    Attributes:
      features: H, the number of outputs.
      key_size: K, the numbers of a key; None for 3 H / 4, rounded down.
      value_size: V, the numbers of a value; None for 2 K.
    """

    @property
    def keys(self) -> int:
        """K, the numbers of a key: `key_size`, or 3 H / 4 rounded down but at least 1."""
        return max(1, 3 * self.features // 4) if self.key_size is None else self.key_size

    @property
    def values(self) -> int:
        """V, the numbers of a value: `value_size`, or 2 K."""
        return 2 * self.keys if self.value_size is None else self.value_size

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        """Return `GatedDeltaNetParams`, drawn as the class says."""
        key, alpha, decay, dt, g = jax.random.split(key, 5)
        # A rate of 0 would have the logarithm -inf and a zero gradient: alpha would stay 1.
        tiny = jnp.finfo(jnp.float32).tiny
        step = jnp.exp(jax.random.uniform(dt, (1,), minval=math.log(1e-3), maxval=math.log(0.1)))
        return GatedDeltaNetParams(
            **super().init(key, input_size)._asdict(),
            W_alpha=linear_uniform(alpha, (input_size, 1), input_size),
            A_log=jnp.log(jax.random.uniform(decay, (1,), minval=tiny, maxval=16)),
            dt_bias=jnp.log(jnp.expm1(step)),
            W_g=linear_uniform(g, (input_size, self.values), input_size),
        )

    def project(self, params: CellParams, x: chex.Array) -> DeltaTerms:
        terms = super().project(params, x)
        dt = jax.nn.softplus(x @ params.W_alpha + params.dt_bias)
        gate = jax.nn.silu(x @ params.W_g)
        return terms._replace(log_alpha=-jnp.exp(params.A_log) * dt, gate=gate)
