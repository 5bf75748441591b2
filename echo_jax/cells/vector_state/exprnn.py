"""An RNN whose recurrent matrix is orthogonal: it is the exponential of a skew-symmetric matrix."""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.interface import ProjectedCell, above_zero


class ExpRNNParams(NamedTuple):
    """The parameters of `ExpRNNCell`.

    A  the entries of the skew-symmetric matrix above its diagonal, row by row, divided by
       `recurrent_rate`, `[H (H - 1) / 2]`
    T  the input weights, `[F, H]`
    b  the biases of the modReLU, `[H]`
    """

    A: chex.Array
    T: chex.Array
    b: chex.Array


class PreparedExpRNN(NamedTuple):
    """The parameters of `ExpRNNCell` as `step` takes them.

    T  the input weights, `[F, H]`
    B  the orthogonal recurrent matrix exp(A), `[H, H]`
    b  the biases of the modReLU, `[H]`
    """

    T: chex.Array
    B: chex.Array
    b: chex.Array


# 2^8 bring a 1-norm of 128 to 1/2, where the first term left out is 0.5^13 / 13! = 2e-14.
SQUARINGS = 8  # of `exponential`, at most
DEGREE = 12  # of its series


# For GPUs, where products have 10 bits of mantissa by default, and squaring doubles an error.
@jax.default_matmul_precision("highest")
def exponential(matrix: chex.Array) -> chex.Array:
    """Return the exponential of a square `matrix`, by its series and by scaling and squaring.

    The matrix is halved until its 1-norm is at most 1/2, at most 8 times; the first 13 terms of the
    series are then exact to 2e-14, also for a norm of 128. `jax.scipy.linalg.expm` solves a linear
    system, for which jax 0.10 can wait for ever on several devices of a CPU.
    """
    # exp(A) = exp(A / 2^n)^(2^n) for every n, so the choice of n has no gradient.
    norm = jax.lax.stop_gradient(jnp.abs(matrix).sum(axis=0).max())
    halvings = jnp.clip(jnp.ceil(jnp.log2(jnp.maximum(2 * norm, 1))), 0, SQUARINGS)
    scaled = matrix / 2**halvings
    one = jnp.eye(len(matrix), dtype=matrix.dtype)
    result = one
    # Horner's rule, 1 + X / 1 (1 + X / 2 (1 + ...)): one product a term, the smallest added first.
    for n in range(DEGREE, 0, -1):
        result = one + scaled @ result / n
    # Always 8 products, some unused: jax has no reverse-mode gradient of a loop with a traced end.
    # The unused ones must be finite for `where`, and are: exp of a skew matrix is orthogonal.
    for n in range(SQUARINGS):
        result = jnp.where(n < halvings, result @ result, result)
    return result


def modrelu(z: chex.Array, b: chex.Array) -> chex.Array:
    """Return sign(z) relu(|z| + b), for real z `[..., H]` and b `[H]` (Arjovsky et al. 2016)."""
    return jnp.sign(z) * jax.nn.relu(jnp.abs(z) + b)


@dataclasses.dataclass(frozen=True)
class ExpRNNCell(ProjectedCell):
    """The expRNN (Lezcano-Casado & Martinez-Rubio 2019, "Cheap orthogonal constraints", section 4).

        h' = modrelu(h exp(A) + x T, b)                 A = -A^T
        modrelu(z, b) = sign(z) relu(|z| + b)

    exp(A) is orthogonal, so multiplying by exp(A) keeps the norm of h and of the gradient.
    `prepare` computes exp(A). State and output are h, float32 `[B, H]`, zeros at the start.

    Initial parameters are as in the authors' code (github.com/lezcano/expRNN) for their copying
    task. For each pair of units, A has one angle, uniform in [-pi, pi] (Henaff et al. 2016), by
    which exp(A) rotates the pair; the rest of A is zero, so an odd last unit is not rotated. T is
    normal of variance 2 / F, and b is uniform in [-0.01, 0.01].

    Differences: A is stored as its upper triangle, which is all that the authors' square matrix
    uses. The authors train A with a tenth of the learning rate of the other parameters; here the
    tenth is a factor of A.

    Attributes:
      features: H, the number of units.
      recurrent_rate: the factor of the learning rate for A. Adam's steps do not depend on the scale
        of a gradient, so A is stored divided by this factor.
    """

    features: int
    recurrent_rate: float = 0.1
    prepared_once: ClassVar[bool] = True

    def __post_init__(self) -> None:
        above_zero(self, "recurrent_rate")

    def init(self, key: chex.PRNGKey, input_size: int) -> ExpRNNParams:
        angles, weights, biases = jax.random.split(key, 3)
        normal = jax.nn.initializers.normal(math.sqrt(2 / input_size))
        return ExpRNNParams(
            self._initial_upper_triangle(angles),
            normal(weights, (input_size, self.features)),
            jax.random.uniform(biases, (self.features,), minval=-0.01, maxval=0.01),
        )

    def prepare(self, params: ExpRNNParams) -> PreparedExpRNN:
        upper = jnp.zeros((self.features,) * 2, params.A.dtype)
        upper = upper.at[np.triu_indices(self.features, 1)].set(self.recurrent_rate * params.A)
        return PreparedExpRNN(params.T, exponential(upper - upper.T), params.b)

    def project(self, params: PreparedExpRNN, x: chex.Array) -> chex.Array:
        return x @ params.T

    def recur(
        self, params: PreparedExpRNN, state: chex.Array, terms: chex.Array
    ) -> tuple[chex.Array, chex.Array]:
        # a GPU would round B to 10 bits by default, and the norm would drift
        rotated = jnp.matmul(state, params.B, precision=jax.lax.Precision.HIGHEST)
        h = modrelu(rotated + terms, params.b)
        return h, h

    def _initial_upper_triangle(self, key: chex.PRNGKey) -> chex.Array:
        """Return the initial parameter A: angles at (0, 1), (2, 3) ..., and zeros elsewhere.

        All are entries above the diagonal, divided by `recurrent_rate`, `[H (H - 1) / 2]`.
        """
        pairs = self.features // 2
        angles = jax.random.uniform(key, (pairs,), minval=-math.pi, maxval=math.pi)
        row, column = np.triu_indices(self.features, 1)
        paired = np.flatnonzero((row % 2 == 0) & (column == row + 1))
        return jnp.zeros(len(row)).at[paired].set(angles / self.recurrent_rate)
