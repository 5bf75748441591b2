"""Linear recurrent units: the LRU, whose state is complex, and the real-gated RG-LRU of Griffin."""

import dataclasses
import math
from typing import ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import Mask, above_zero, check_number
from echo_jax.cells.linear_layers import linen_key
from echo_jax.cells.vector_state.linear_recurrence import (
    ComplexCell,
    ComplexState,
    ComplexTerms,
    DiagonalCell,
    DiagonalTerms,
    diagonal_parallel,
)
from echo_jax.exceptions import ConfigError


class LRUParams(NamedTuple):
    """The parameters of `LRUCell`, all real, for N complex states.

    nu, theta  `[N]`, make the modulus and the phase of lambda, and are divided by `recurrent_rate`
    gamma      `[N]`, ln of the factors of the inputs
    B          `[F, 2N]`, the input weights, Re B beside Im B
    C          `[2N, H]`, the output weights, Re C above -Im C
    D          `[F, H]`, the weights from the input to the output
    """

    nu: chex.Array
    theta: chex.Array
    gamma: chex.Array
    B: chex.Array
    C: chex.Array
    D: chex.Array


class PreparedLRU(NamedTuple):
    """The parameters of `LRUCell` as `step` takes them.

    kernel  exp(gamma) B beside D, `[F, 2N + H]`
    decay   lambda, in two parts `[N]`
    C       the output weights, `[2N, H]`, Re C above -Im C
    """

    kernel: chex.Array
    decay: ComplexState
    C: chex.Array


@dataclasses.dataclass(frozen=True)
class LRUCell(ComplexCell):
    """A layer of linear recurrent units (Orvieto et al. 2023, "Resurrecting recurrent networks").

        lambda = exp(-exp(nu) + i exp(theta))
        s' = lambda s + exp(gamma) B x        N complex numbers
        y  = gelu(Re(C s') + D x)             H real numbers

    The state is `ComplexState`, zeros at the start. Initially, |lambda|^2 is uniform between
    r_min^2 and r_max^2, and the phase of lambda is uniform between 0 and max_phase. exp(gamma) is
    sqrt(1 - |lambda|^2), so that white noise gives every state the same variance (sections 3.3 and
    3.4 of the paper). B is normal of variance 1 / 2F, C of variance 1 / N, D of variance 1 / F.

    Differences: in the paper, the nonlinearity is a separate layer, and D is diagonal, because x
    and y have equal sizes.

    Attributes:
      features: H, the number of outputs.
      state_size: N, the number of complex states; None for N = H.
      r_min, r_max: the bounds of the initial |lambda|: 0 <= r_min <= r_max <= 1, with r_min below 1
        and r_max above 0.
      max_phase: the upper bound of the initial phase, in radians, above 0.
      recurrent_rate: the factor of the learning rate for nu and theta, above 0. Adam's steps do not
        depend on the scale of a gradient, so the parameters are stored divided by this factor. A
        lower rate is needed (the paper uses one too), because after n steps a change d of the phase
        has turned the state by n d.
    """

    features: int
    state_size: int | None = None
    r_min: float = 0.9
    r_max: float = 0.999
    max_phase: float = 2 * math.pi
    recurrent_rate: float = 0.1

    def __post_init__(self) -> None:
        for name in ("r_min", "r_max"):
            check_number(self, name)
        if not 0 <= self.r_min <= self.r_max <= 1 or self.r_min == 1 or self.r_max == 0:
            given = f"the range from r_min {self.r_min:g} to r_max {self.r_max:g}"
            fix = "use 0 <= r_min <= r_max <= 1, with r_min below 1 and r_max above 0"
            raise ConfigError(None, given, "is not valid for |lambda|", fix)
        above_zero(self, "max_phase", "recurrent_rate")

    def init(self, key: chex.PRNGKey, input_size: int) -> LRUParams:
        n = self.states
        normal = jax.nn.initializers.normal
        # The third key is left out: gamma had it, and draws nothing.
        # nu from a uniform |lambda|^2; 1 - |lambda|^2 stays accurate where |lambda| is near 1.
        # nu is infinite at a share of 0 where r_max is 1, and at a share of 1 where r_min is 0.
        share = jax.random.uniform(linen_key(key, 1), (n,), minval=1e-6, maxval=1 - 1e-6)
        lost = 1 - self.r_max**2 + (self.r_max**2 - self.r_min**2) * share
        nu = jnp.log(-0.5 * jnp.log1p(-lost)) / self.recurrent_rate
        # Off zero, as the logarithm is stored.
        phase = self.max_phase * jax.random.uniform(linen_key(key, 2), (n,), minval=1e-6)
        loss = 2 * jnp.exp(self.recurrent_rate * nu)  # -ln |lambda|^2
        return LRUParams(
            nu=nu,
            theta=jnp.log(phase) / self.recurrent_rate,
            # 1 - exp(-loss) would spoil the fourth digit of exp(gamma) at |lambda| = 0.99999.
            gamma=0.5 * jnp.log(-jnp.expm1(-loss)),
            B=normal((2 * input_size) ** -0.5)(linen_key(key, 4), (input_size, 2 * n)),
            C=normal(n**-0.5)(linen_key(key, 5), (2 * n, self.features)),
            D=normal(input_size**-0.5)(linen_key(key, 6), (input_size, self.features)),
        )

    def prepare(self, params: LRUParams) -> PreparedLRU:
        """Return `PreparedLRU`, with one kernel for both products with the input."""
        radius = jnp.exp(-jnp.exp(self.recurrent_rate * params.nu))
        phase = jnp.exp(self.recurrent_rate * params.theta)
        # Twice, for Re B beside Im B.
        driving = params.B * jnp.tile(jnp.exp(params.gamma), 2)
        return PreparedLRU(
            kernel=jnp.concatenate([driving, params.D], axis=-1),
            decay=ComplexState(radius * jnp.cos(phase), radius * jnp.sin(phase)),
            C=params.C,
        )

    def project(self, params: PreparedLRU, x: chex.Array) -> ComplexTerms:
        return ComplexTerms(*jnp.split(x @ params.kernel, [2 * self.states], axis=-1))

    def recur(
        self, params: PreparedLRU, state: ComplexState, terms: ComplexTerms
    ) -> tuple[ComplexState, ComplexState]:
        """Return s' twice: as the state, and as what `read_out` reads."""
        decay = params.decay
        real, imaginary = jnp.split(terms.driven, 2, axis=-1)
        state = ComplexState(
            decay.real * state.real - decay.imaginary * state.imaginary + real,
            decay.imaginary * state.real + decay.real * state.imaginary + imaginary,
        )
        return state, state

    def parallel(
        self, params: PreparedLRU, state: ComplexState, terms: ComplexTerms, mask: Mask
    ) -> tuple[ComplexState, ComplexState]:
        """Return the last s `[B, N]` and all s `[T, B, N]`, by an associative scan.

        The arguments are the same as in `ProjectedCell.parallel`.
        """
        start = jax.lax.complex(*state)
        factor = jax.lax.complex(*params.decay)
        added = jax.lax.complex(*jnp.split(terms.driven, 2, axis=-1))
        states = diagonal_parallel(start, jnp.broadcast_to(factor, added.shape), added, mask)
        all_states = ComplexState(states.real, states.imag)
        return jax.tree.map(lambda leaf: leaf[-1], all_states), all_states

    def read_out(self, params: PreparedLRU, read: ComplexState, terms: ComplexTerms) -> chex.Array:
        """Return the outputs gelu(Re(C s) + D x), `[..., H]`, from `read`, which is s."""
        real, imaginary = jnp.split(params.C, 2)
        # Re(C s) is a sum here, as C holds -Im C.
        return jax.nn.gelu(read.real @ real + read.imaginary @ imaginary + terms.skipped)


class RGLRUParams(NamedTuple):
    """The parameters of `RGLRUCell`.

    W_u, b_u  `[F, H]` and `[H]`, make u, which the gates and the state see
    W_a, b_a  `[H, H]` and `[H]`, make the recurrence gate
    W_x, b_x  `[H, H]` and `[H]`, make the input gate
    Lambda    `[H]`, makes the decay of each unit
    """

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

    State and output are h, float32 `[B, H]`, zero at the start. Initially, the weights are normal,
    truncated, of variance 1 / rows (LeCun), and the biases are zero. Lambda is such that the decay
    for r = 1, exp(-c softplus(Lambda)), is uniform in [0.9, 0.999].

    Differences from the paper and from google-deepmind/recurrentgemma (`layers.RGLRU`):
      - u is the linear layer of the recurrent block (`linear_x`) without the convolution after it;
        the block's other branch and its output layer are left out.
      - W_a and W_x are full matrices; in the code, they have diagonal blocks, one for each head.
      - The initial decay follows the paper; in the code, exp(-2 softplus(Lambda)) is uniform.
      - The first input is scaled like any other input; in the code, it is not scaled.

    Attributes:
      features: H, the number of units.
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
