"""The S5 layer: a diagonal linear state space model in continuous time, discretised once."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.interface import Mask, at_least, divides
from echo_jax.cells.vector_state.linear_recurrence import (
    ComplexCell,
    ComplexState,
    ComplexTerms,
    diagonal_parallel,
)


class S5Params(NamedTuple):
    """The parameters of `S5Cell`, all real, for N complex states.

    W_e, b_e              `[F, H]` and `[H]`, the encoder, which makes u
    Lambda_re, Lambda_im  `[N]`, the parts of the eigenvalues Lambda in continuous time
    B_re, B_im            `[H, N]`, the parts of the input weights B
    C_re, C_im            `[N, H]`, the parts of the output weights C
    D                     `[H]`, the factors of u in the output
    log_step              `[N]`, ln of the step sizes of the discretisation
    W, b                  `[H, H]` and `[H]`, the gate of the output
    """

    W_e: chex.Array
    b_e: chex.Array
    Lambda_re: chex.Array
    Lambda_im: chex.Array
    B_re: chex.Array
    B_im: chex.Array
    C_re: chex.Array
    C_im: chex.Array
    D: chex.Array
    log_step: chex.Array
    W: chex.Array
    b: chex.Array


class S5Discrete(NamedTuple):
    """The parameters of `S5Cell` as `step` takes them.

    params  the parameters
    a       the decay in discrete time, complex64 `[N]`
    B_bar   the input weights in discrete time, complex64 `[H, N]`
    """

    params: S5Params
    a: chex.Array
    B_bar: chex.Array


@dataclasses.dataclass(frozen=True)
class S5Cell(ComplexCell):
    """The S5 layer (Smith et al. 2023, "Simplified state space layers", section 3 and appendix B).

        u  = x W_e + b_e
        a, B_bar = exp(Lambda step), (a - 1) / Lambda B         zero-order hold
        s' = a s + u B_bar                                      N complex numbers
        g  = gelu(2 Re(s' C) + D u)
        y  = g * sigmoid(g W + b)

    The N states stand for 2N states in conjugate pairs, hence the 2 Re. The gated readout is the
    default of the authors' code (lindermanlab/S5, `half_glu1` in `s5/layers.py`), and its gelu is
    the tanh approximation. The state is `ComplexState`, zeros at the start. `prepare` computes a
    and B_bar.

    Initial parameters are as in that code. Lambda has N eigenvalues of HiPPO-N of size 2N, or of
    `blocks` such matrices of size 2N / blocks: the real parts are -1/2, and the imaginary parts are
    negative. step is log-uniform in [0.001, 0.1], and D is standard normal. The parts of B are
    normal of variance 1 / 4N, and the parts of C are normal of variance 1 / 2N. In the code, real B
    and complex C are normal matrices of size 2N, truncated, in the basis of the eigenvectors of
    HiPPO-N. This basis is unitary, so half of the basis, without the conjugates, turns normal
    numbers into normal numbers. W_e and W are normal, truncated, of variance 1 / rows (LeCun), and
    the biases are zero.

    Differences: one layer, without its residual sum and its norm; by default one block, not 8. The
    real parts of Lambda are kept at -1e-4 or below, which the authors recommend for sequences
    without end but do not do by default. All parameters have one learning rate.

    Attributes:
      features: H, the number of outputs.
      state_size: N, the number of complex states; None for H.
      blocks: the number of HiPPO-N matrices on the diagonal of the initial state matrix, which must
        divide N.
    """

    features: int
    state_size: int | None = None
    blocks: int = 1

    def __post_init__(self) -> None:
        at_least(1, self, "state_size")
        divides(self, "blocks", self.states, "states")

    def init(self, key: chex.PRNGKey, input_size: int) -> S5Params:
        h = self.features
        n = self.states
        lecun = jax.nn.initializers.lecun_normal()
        normal = jax.random.normal
        e, b, c, d, step, w = jax.random.split(key, 6)
        b_re, b_im = normal(b, (2, h, n)) / math.sqrt(4 * n)
        c_re, c_im = normal(c, (2, n, h)) / math.sqrt(2 * n)
        low = math.log(0.001)
        high = math.log(0.1)
        return S5Params(
            W_e=lecun(e, (input_size, h)),
            b_e=jnp.zeros(h),
            Lambda_re=jnp.full(n, -0.5),
            Lambda_im=jnp.tile(hippo_frequencies(n // self.blocks), self.blocks),
            B_re=b_re,
            B_im=b_im,
            C_re=c_re,
            C_im=c_im,
            D=normal(d, (h,)),
            log_step=jax.random.uniform(step, (n,), minval=low, maxval=high),
            W=lecun(w, (h, h)),
            b=jnp.zeros(h),
        )

    def prepare(self, params: S5Params) -> S5Discrete:
        p = params
        # The bound also keeps the division below away from Lambda = 0.
        eigenvalues = jax.lax.complex(jnp.minimum(p.Lambda_re, -1e-4), p.Lambda_im)
        exponents = eigenvalues * jnp.exp(p.log_step)
        # exp - 1 would lose more than a digit, as the exponents begin at a size of 5e-4.
        held = jnp.expm1(exponents) / eigenvalues
        return S5Discrete(p, jnp.exp(exponents), held * jax.lax.complex(p.B_re, p.B_im))

    def project(self, params: S5Discrete, x: chex.Array) -> ComplexTerms:
        u = x @ params.params.W_e + params.params.b_e
        return ComplexTerms(u @ params.B_bar, params.params.D * u)

    def recur(
        self, params: S5Discrete, state: ComplexState, terms: ComplexTerms
    ) -> tuple[ComplexState, chex.Array]:
        """Return s' twice: as the next state, and as complex numbers for `read_out`."""
        s = params.a * jax.lax.complex(*state) + terms.driven
        return ComplexState(s.real, s.imag), s

    def parallel(
        self, params: S5Discrete, state: ComplexState, terms: ComplexTerms, mask: Mask
    ) -> tuple[ComplexState, chex.Array]:
        """Return the last state, and all s, complex64 `[T, B, N]`, by an associative scan.

        The arguments are the same as in `ProjectedCell.parallel`.
        """
        a = jnp.broadcast_to(params.a, terms.driven.shape)
        s = diagonal_parallel(jax.lax.complex(*state), a, terms.driven, mask)
        return ComplexState(s[-1].real, s[-1].imag), s

    def read_out(self, params: S5Discrete, read: chex.Array, terms: ComplexTerms) -> chex.Array:
        """Return the outputs g * sigmoid(g W + b), `[..., H]`, for g = gelu(2 Re(s C) + D u).

        `read` is s, complex64 `[..., N]`.
        """
        p = params.params
        # The imaginary part of s C is never read: two of its four real products are enough.
        g = jax.nn.gelu(2 * (read.real @ p.C_re - read.imag @ p.C_im) + terms.skipped)
        return g * jax.nn.sigmoid(g @ p.W + p.b)


def hippo_frequencies(size: int) -> np.ndarray:
    """Return the negative imaginary parts of the eigenvalues of HiPPO-N, ascending.

    The result is float64 `[size]`, for a HiPPO-N of 2 `size` rows. HiPPO-N is the normal part of
    HiPPO-LegS (Gu et al. 2022; Smith et al. 2023, appendix B.1): -1/2 on the diagonal,
    -sqrt((n + 1/2) (k + 1/2)) in row n and column k below the diagonal, and
    sqrt((n + 1/2) (k + 1/2)) above.
    """
    root = np.sqrt(np.arange(2 * size) + 0.5)
    above = np.triu(np.outer(root, root), 1)
    # Without its diagonal HiPPO-N is skew-symmetric, and -i times it Hermitian: eigvalsh gives real
    # numbers, ascending, so that the first half has the negative one of each pair.
    return np.linalg.eigvalsh(-1j * (above - above.T))[:size]
