"""Gated linear attention: a matrix state whose rows decay by factors that depend on the input."""

import dataclasses
from typing import ClassVar, NamedTuple

import chex
import jax

from echo_jax.cells.interface import at_least
from echo_jax.cells.linear_layers import linear_uniform
from echo_jax.cells.matrix_state.key_value_cell import OuterProductCell, OuterProductTerms


class GLAParams(NamedTuple):
    """The parameters of `GLACell`.

    W_Q, W_K, W_V                `[F, K]`, `[F, K]` and `[F, V]`, make query, key and value
    W_alpha1, W_alpha2, b_alpha  `[F, rank]`, `[rank, K]` and `[K]`, make the decay alpha
    W_r, b_r                     `[F, V]` and `[V]`, make the gate of the output
    W_O                          `[V, H]`, makes the output
    """

    W_Q: chex.Array
    W_K: chex.Array
    W_V: chex.Array
    W_alpha1: chex.Array
    W_alpha2: chex.Array
    b_alpha: chex.Array
    W_r: chex.Array
    b_r: chex.Array
    W_O: chex.Array


class GLATerms(NamedTuple):
    """The terms of an input.

    outer  the terms of the recurrence
    r      the gate of the output, `[..., V]`
    """

    outer: OuterProductTerms
    r: chex.Array


@dataclasses.dataclass(frozen=True)
class GLACell(OuterProductCell):
    """Gated linear attention with one head (Yang et al. 2024a, ICML, sections 4.1 and 4.4).

        q, k, v = x W_Q / sqrt(K), x W_K, x W_V
        alpha = sigmoid(x W_alpha1 W_alpha2 + b_alpha)^(1 / tau)         tau = 16
        S' = diag(alpha) S + k v^T
        r  = swish(x W_r + b_r)
        y  = (r * LayerNorm(S'^T q)) W_O

    The state is S, float32 `[B, K, V]`, zero at the start. LayerNorm has no parameters and adds
    1e-5 to the variance, as in the first code of the authors (berlino/gated_linear_attention,
    `gla.py`). Initial parameters are as in that code. W_Q, W_K, W_alpha1 and W_alpha2 are
    glorot-uniform times 2^-2.5. Other weights, and biases, are uniform within 1 / sqrt(rows) of 0;
    for a bias, the rows are those of its weights. So alpha is about 0.5^(1/16) = 0.96.

    Differences: one head; q is divided by sqrt(K), as in the authors' later code
    (fla-org/flash-linear-attention, `fla/layers/gla.py`). The first code multiplies k by another
    constant instead, and the paper has neither factor. The later code has an RMSNorm with gains in
    place of the LayerNorm, and no b_r.

    Attributes:
      features: H, the number of outputs.
      key_size: K, the numbers of a key; None for H / 2, rounded down.
      value_size: V, the numbers of a value, at least 2; None for H.
      rank: the rank of the weights of the decay, W_alpha1 W_alpha2.
    """

    rank: int = 16
    tau: ClassVar[float] = 16.0

    def __post_init__(self) -> None:
        at_least(1, self, "key_size", "rank")
        # LayerNorm of a single number is zero, whatever the number.
        at_least(2, self, "value_size")

    @property
    def keys(self) -> int:
        """K, the numbers of a key: `key_size`, or H / 2 rounded down but at least 1."""
        return max(1, self.features // 2) if self.key_size is None else self.key_size

    def init(self, key: chex.PRNGKey, input_size: int) -> GLAParams:
        f = input_size
        k = self.keys
        v = self.values
        rank = self.rank
        keys = iter(jax.random.split(key, 9))
        # A factor of 2^-2.5 on the weights is 2^-5 on their variance.
        small = jax.nn.initializers.variance_scaling(2**-5, "fan_avg", "uniform")
        return GLAParams(
            W_Q=small(next(keys), (f, k)),
            W_K=small(next(keys), (f, k)),
            W_V=linear_uniform(next(keys), (f, v), f),
            W_alpha1=small(next(keys), (f, rank)),
            W_alpha2=small(next(keys), (rank, k)),
            b_alpha=linear_uniform(next(keys), (k,), rank),
            W_r=linear_uniform(next(keys), (f, v), f),
            b_r=linear_uniform(next(keys), (v,), f),
            W_O=linear_uniform(next(keys), (v, self.features), v),
        )

    def project(self, params: GLAParams, x: chex.Array) -> GLATerms:
        gate = x @ params.W_alpha1 @ params.W_alpha2 + params.b_alpha
        outer = OuterProductTerms(
            # A logarithm: a power 1 / tau has an infinite slope where the sigmoid rounds to 0.
            log_a=jax.nn.log_sigmoid(gate) / self.tau,
            k=x @ params.W_K,
            v=x @ params.W_V,
            q=x @ params.W_Q * self.keys**-0.5,
        )
        return GLATerms(outer, r=jax.nn.swish(x @ params.W_r + params.b_r))

    def read_out(self, params: GLAParams, read: chex.Array, terms: GLATerms) -> chex.Array:
        return (terms.r * jax.nn.standardize(read, epsilon=1e-5)) @ params.W_O
