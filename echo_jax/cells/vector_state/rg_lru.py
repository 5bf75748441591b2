"""The real-gated linear recurrent unit of Griffin: a diagonal recurrence whose decay is gated."""

import dataclasses
from typing import ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.vector_state.linear_recurrence import DiagonalCell, DiagonalTerms


class RGLRUParams(NamedTuple):
    """W_u `[F, H]`, W_a and W_x `[H, H]`; the biases and Lambda `[H]`."""

    W_u: chex.Array
    b_u: chex.Array
    W_a: chex.Array
    b_a: chex.Array
    W_x: chex.Array
    b_x: chex.Array
    Lambda: chex.Array


@dataclasses.dataclass(frozen=True)
class RGLRUCell(DiagonalCell):
    """The RG-LRU (De et al. 2024, "Griffin", section 2.4, equations 1 to 4).

        u = x W_u + b_u                             the paper's x_t
        r = sigmoid(u W_a + b_a)                    recurrence gate
        i = sigmoid(u W_x + b_x)                    input gate
        a = exp(-c softplus(Lambda) r)              c = 8
        h' = a h + sqrt(1 - a^2) (i u)

    State and output are h, float32 `[B, H]`, zero at the start. The weights are normal, truncated,
    of variance 1 / rows (LeCun), the biases zero. Lambda is such that exp(-c softplus(Lambda)), the
    decay where r = 1, is uniform in [0.9, 0.999].

    Differences from the paper and from google-deepmind/recurrentgemma (`layers.RGLRU`):
      - u is the linear layer of the recurrent block (`linear_x`) without the convolution after it;
        the block's other branch and its output layer are left out.
      - W_a and W_x are full matrices; there they have diagonal blocks, one for each head.
      - the initial decay follows the paper; in the code it is a without c whose square is uniform.
      - the first input is scaled like any other; in the code it is not scaled.
    """

    features: int
    c: ClassVar[float] = 8.0

    def init(self, key: chex.PRNGKey, input_size: int) -> RGLRUParams:
        lecun = jax.nn.initializers.lecun_normal()
        h = self.features
        u_key, a_key, x_key, decay_key = jax.random.split(key, 4)
        decay = jax.random.uniform(decay_key, (h,), minval=0.9, maxval=0.999)
        rate = -jnp.log(decay) / self.c  # softplus(Lambda)
        return RGLRUParams(
            W_u=lecun(u_key, (input_size, h)),
            b_u=jnp.zeros(h),
            W_a=lecun(a_key, (h, h)),
            b_a=jnp.zeros(h),
            W_x=lecun(x_key, (h, h)),
            b_x=jnp.zeros(h),
            # The inverse of softplus. expm1, as the smallest rate is 1.3e-4.
            Lambda=jnp.log(jnp.expm1(rate)),
        )

    def project(self, params: RGLRUParams, x: chex.Array) -> DiagonalTerms:
        u = x @ params.W_u + params.b_u
        r = jax.nn.sigmoid(u @ params.W_a + params.b_a)
        i = jax.nn.sigmoid(u @ params.W_x + params.b_x)
        log_a = -self.c * jax.nn.softplus(params.Lambda) * r
        lost = -jnp.expm1(2 * log_a)  # 1 - a^2, accurate where a is near 1
        scale = jnp.sqrt(jnp.maximum(lost, jnp.finfo(lost.dtype).tiny))  # a finite slope at a = 1
        return DiagonalTerms(jnp.exp(log_a), scale * i * u)
