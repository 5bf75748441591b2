"""The mLSTM of Beck et al. 2024, "xLSTM: extended long short-term memory"."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.linear_layers import SHUT
from echo_jax.cells.matrix_state.key_value_cell import KeyValueCell


class MLSTMParams(NamedTuple):
    """The parameters of `MLSTMCell`.

    W_q, W_k, W_v  `[F, K]`, `[F, K]` and `[F, V]`, make the query, the key and the value
    W_o            `[F, V]`, makes the output gate
    w_i, w_f       `[F, 1]`, make the input gate and the forget gate
    b_q ... b_f    the biases of these weights, `[K]`, `[K]`, `[V]`, `[V]`, `[1]` and `[1]`
    W_down         `[V, H]`, makes the output; it has no bias
    """

    W_q: chex.Array
    W_k: chex.Array
    W_v: chex.Array
    W_o: chex.Array
    w_i: chex.Array
    w_f: chex.Array
    b_q: chex.Array
    b_k: chex.Array
    b_v: chex.Array
    b_o: chex.Array
    b_i: chex.Array
    b_f: chex.Array
    W_down: chex.Array


class MLSTMTerms(NamedTuple):
    """The terms of an input.

    q, k   the query and the key, `[..., K]`
    v      the value, `[..., V]`
    o      the output gate, between 0 and 1, `[..., V]`
    i      i~, the logarithm of the input gate before it is stabilised, `[..., 1]`
    log_f  the logarithm of the forget gate, at most 0, `[..., 1]`
    """

    q: chex.Array
    k: chex.Array
    v: chex.Array
    o: chex.Array
    i: chex.Array
    log_f: chex.Array


class MLSTMState(NamedTuple):
    """The state of `MLSTMCell`, float32.

    C  the memory, `[B, V, K]`
    n  the normaliser, the weighted sum of the past keys, `[B, K]`
    m  the stabiliser, the logarithm by which C and n are scaled, `[B, 1]`
    """

    C: chex.Array
    n: chex.Array
    m: chex.Array


def normalised(found: chex.Array, weight: chex.Array, m: chex.Array) -> chex.Array:
    """Return C q / max(|n q|, exp(-m)), `[..., V]`.

    `found` is C q, `[..., V]`; `weight` is n q, and `m` is the stabiliser, both `[..., 1]`. In this
    function, m is cut to the range from -40 to 40. Beyond these bounds, the quotient or n q is
    almost zero, and the gradient, which divides by the square of the denominator, would be NaN in
    float32.
    """
    return found / jnp.maximum(jnp.abs(weight), jnp.exp(-jnp.clip(m, -40, 40)))


@dataclasses.dataclass(frozen=True)
class MLSTMCell(KeyValueCell):
    """The mLSTM, whose memory is a matrix (Beck et al. 2024, section 2.3).

        q, v = x W_q + b_q, x W_v + b_v
        k    = x W_k / sqrt(K) + b_k
        i~, f~ = x w_i + b_i, x w_f + b_f
        log f = log sigmoid(f~)
        m' = max(log f + m, i~)
        i  = exp(i~ - m')
        f  = exp(log f + m - m')
        C' = f C + i v k^T
        n' = f n + i k
        h~ = C' q / max(|n' q|, exp(-m'))
        y  = (sigmoid(x W_o + b_o) h~) W_down

    C q is the weighted sum of the past values v, and n q is the sum of their weights exp(i~) (k q).
    The weights fade by sigmoid(f~) per step; m keeps the exponentials i and f at most 1. The state
    is `MLSTMState`, zeros at the start. The gates see only the input, so steps can be computed in
    chunks.

    Initial parameters are as in the authors' code (github.com/NX-AI/xlstm). W_q, W_k, W_v and W_o
    are normal of variance 2 / 5F, W_down is normal of variance 4 / H, and w_i and w_f are zero. b_i
    is normal of variance 0.01, b_f is 3, so that sigmoid(b_f) = 0.95, and the other biases are
    zero.

    Differences: one head; the forget gate is always a sigmoid, where the paper allows an
    exponential too. W_down belongs to the paper's block, and stands here so that V can differ from
    H; the convolution, the norm of h~ and the skip connection of the block are left out. The gates
    see x, as in the paper; in the authors' code, i~ and f~ see q, k and v, and o is a silu.

    Attributes:
      features: H, the number of outputs.
      key_size: K, the numbers of a query and of a key; None for H.
      value_size: V, the numbers of a value; None for H.
    """

    def init(self, key: chex.PRNGKey, input_size: int) -> MLSTMParams:
        small = jax.nn.initializers.normal(math.sqrt(2 / (5 * input_size)))
        down = jax.nn.initializers.normal(2 / math.sqrt(self.features))
        keys = self.keys
        values = self.values
        q, k, v, o, i, d = jax.random.split(key, 6)
        return MLSTMParams(
            W_q=small(q, (input_size, keys)),
            W_k=small(k, (input_size, keys)),
            W_v=small(v, (input_size, values)),
            W_o=small(o, (input_size, values)),
            w_i=jnp.zeros((input_size, 1)),
            w_f=jnp.zeros((input_size, 1)),
            b_q=jnp.zeros(keys),
            b_k=jnp.zeros(keys),
            b_v=jnp.zeros(values),
            b_o=jnp.zeros(values),
            b_i=0.1 * jax.random.normal(i, (1,)),
            b_f=jnp.full(1, 3.0),
            W_down=down(d, (values, self.features)),
        )

    def initial_state(self, params: MLSTMParams, batch_size: int, input_size: int) -> MLSTMState:
        shapes = (self.values, self.keys), (self.keys,), (1,)
        return MLSTMState(*[jnp.zeros((batch_size, *shape)) for shape in shapes])

    def project(self, params: MLSTMParams, x: chex.Array) -> MLSTMTerms:
        scale = 1 / math.sqrt(self.keys)
        return MLSTMTerms(
            q=x @ params.W_q + params.b_q,
            k=scale * (x @ params.W_k) + params.b_k,
            v=x @ params.W_v + params.b_v,
            o=jax.nn.sigmoid(x @ params.W_o + params.b_o),
            i=x @ params.w_i + params.b_i,
            log_f=jax.nn.log_sigmoid(x @ params.w_f + params.b_f),
        )

    def recur(
        self, params: MLSTMParams, state: MLSTMState, terms: MLSTMTerms
    ) -> tuple[MLSTMState, chex.Array]:
        q, k, v, _, i, log_f = terms
        m = jnp.maximum(log_f + state.m, i)
        i = jnp.exp(i - m)
        f = jnp.exp(log_f + state.m - m)
        memory = f[..., None] * state.C + i[..., None] * v[:, :, None] * k[:, None]
        n = f * state.n + i * k
        found = jnp.einsum("bvk,bk->bv", memory, q)
        weight = jnp.sum(n * q, axis=-1, keepdims=True)
        return MLSTMState(memory, n, m), normalised(found, weight, m)

    def recur_chunk(
        self, params: MLSTMParams, state: MLSTMState, terms: MLSTMTerms, present: chex.Array
    ) -> tuple[MLSTMState, chex.Array]:
        """Return the state after a chunk, and its h~, `[B, C, V]`, from the state before the chunk.

        With F_t = log f_1 + ... + log f_t, and a_s = i~_s - F_s, from C and m before the chunk:

            M_t = max(m, a_1, ..., a_t)
            m_t = F_t + M_t
            C_t = exp(m - M_t) C + sum over s <= t of exp(a_s - M_t) v_s k_s^T

        n_t is computed as one more row of C_t, for a value of 1. An absent step has log f = 0 and
        i~ = SHUT. This is the parallel form of the paper (appendix A.3), as in `chunkwise_simple`
        of the authors' code.
        """
        q, k, v, _, i, log_f = terms
        faded = jnp.cumsum(jnp.where(present, log_f, 0), axis=1)  # F
        a = jnp.where(present, i, SHUT) - faded
        m = state.m[:, None]
        most = jnp.maximum(m, jax.lax.cummax(a, axis=1))  # M
        past = jnp.tri(a.shape[1], dtype=bool)
        # Masked before exp: the a of a later step may be above M by more than 88, where exp is inf.
        weights = jnp.exp(jnp.where(past, jnp.swapaxes(a, 1, 2) - most, -jnp.inf))
        values = jnp.concatenate([v, jnp.ones_like(i)], axis=-1)
        memory = jnp.concatenate([state.C, state.n[:, None]], axis=1)
        found = (weights * (q @ jnp.swapaxes(k, 1, 2))) @ values
        found += jnp.exp(m - most) * (q @ jnp.swapaxes(memory, 1, 2))
        read = normalised(found[..., :-1], found[..., -1:], faded + most)
        last = most[:, -1:]
        added = jnp.swapaxes(jnp.exp(a - last) * values, 1, 2) @ k
        memory = jnp.exp(m - last) * memory + added
        return MLSTMState(memory[:, :-1], memory[:, -1], (faded + most)[:, -1]), read

    def read_out(self, params: MLSTMParams, read: chex.Array, terms: MLSTMTerms) -> chex.Array:
        return (terms.o * read) @ params.W_down
