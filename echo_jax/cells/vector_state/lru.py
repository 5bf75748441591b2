"""The linear recurrent unit: a layer whose complex state is a linear recurrence."""

import dataclasses
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.interface import Mask, above_zero
from echo_jax.cells.linear_layers import linen_key
from echo_jax.cells.vector_state.linear_recurrence import (
    ComplexCell,
    ComplexState,
    ComplexTerms,
    diagonal_parallel,
)
from echo_jax.exceptions import ConfigError


class LRUParams(NamedTuple):
    """The parameters, all real, of N complex states.

    nu and theta `[N]` are over `recurrent_rate`; gamma `[N]`. B `[F, 2N]` is Re B beside Im B,
    C `[2N, H]` is Re C above -Im C; D `[F, H]`.
    """

    nu: chex.Array
    theta: chex.Array
    gamma: chex.Array
    B: chex.Array
    C: chex.Array
    D: chex.Array


class PreparedLRU(NamedTuple):
    """exp(gamma) B beside D, `[F, 2N + H]`, lambda in two parts `[N]`, and C."""

    kernel: chex.Array
    decay: ComplexState
    C: chex.Array


@dataclasses.dataclass(frozen=True)
class LRUCell(ComplexCell):
    """A layer of linear recurrent units (Orvieto et al. 2023, "Resurrecting recurrent networks").

        lambda = exp(-exp(nu) + i exp(theta))
        s' = lambda s + exp(gamma) B x        N complex numbers
        y  = gelu(Re(C s') + D x)             H real numbers

    At the start |lambda|^2 is uniform between r_min^2 and r_max^2, the phase of lambda is uniform
    between 0 and max_phase, and exp(gamma) = sqrt(1 - |lambda|^2), so that white noise gives every
    state the same variance (sections 3.3 and 3.4 of the paper). Two things differ from the paper,
    where the nonlinearity is a separate layer, and D is diagonal, as x and y have the same size.

    The state is `ComplexState`, zeros at the start. B is normal of variance 1 / 2F, C of variance
    1 / N, D of variance 1 / F.

    Attributes:
      features: H, the outputs.
      state_size: N, the complex states; None for N = H.
      r_min, r_max: bounds of the initial |lambda|, 0 <= r_min <= r_max <= 1, r_min below 1.
      max_phase: upper bound of the initial phase, in radians.
      recurrent_rate: the factor of the learning rate for nu and theta. Adam's steps do not depend
        on the scale of a gradient, so the parameters are stored divided by this factor. A lower
        rate is needed (the paper uses one too), because after n steps a phase change d has turned
        the state by n d.
    """

    features: int
    state_size: int | None = None
    r_min: float = 0.9
    r_max: float = 0.999
    max_phase: float = 2 * math.pi
    recurrent_rate: float = 0.1

    def __post_init__(self) -> None:
        if not 0 <= self.r_min <= self.r_max <= 1 or self.r_min == 1 or self.r_max == 0:
            ring = f"the ring from r_min {self.r_min:g} to r_max {self.r_max:g}"
            fix = "use 0 <= r_min <= r_max <= 1, r_min below 1 and r_max above 0"
            raise ConfigError(None, ring, "is not inside the unit circle", fix)
        above_zero(self, "max_phase", "recurrent_rate")

    def init(self, key: chex.PRNGKey, input_size: int) -> LRUParams:
        n = self.states
        normal = jax.nn.initializers.normal
        # The third key is left out: gamma had it, and draws nothing.
        nu = self._initial_nu(linen_key(key, 1))
        loss = 2 * jnp.exp(self.recurrent_rate * nu)  # -ln |lambda|^2
        return LRUParams(
            nu=nu,
            theta=self._initial_theta(linen_key(key, 2)),
            # 1 - exp(-loss) would spoil the fourth digit of exp(gamma) at |lambda| = 0.99999.
            gamma=0.5 * jnp.log(-jnp.expm1(-loss)),
            B=normal((2 * input_size) ** -0.5)(linen_key(key, 4), (input_size, 2 * n)),
            C=normal(n**-0.5)(linen_key(key, 5), (2 * n, self.features)),
            D=normal(input_size**-0.5)(linen_key(key, 6), (input_size, self.features)),
        )

    def _initial_nu(self, key: chex.PRNGKey) -> chex.Array:
        # nu from a uniform |lambda|^2; 1 - |lambda|^2 stays accurate where |lambda| is near 1.
        # nu is infinite at a share of 0 where r_max is 1, and at a share of 1 where r_min is 0.
        share = jax.random.uniform(key, (self.states,), minval=1e-6, maxval=1 - 1e-6)
        lost = 1 - self.r_max**2 + (self.r_max**2 - self.r_min**2) * share
        return jnp.log(-0.5 * jnp.log1p(-lost)) / self.recurrent_rate

    def _initial_theta(self, key: chex.PRNGKey) -> chex.Array:
        # Off zero, as the logarithm is stored.
        phase = self.max_phase * jax.random.uniform(key, (self.states,), minval=1e-6)
        return jnp.log(phase) / self.recurrent_rate

    def prepare(self, params: LRUParams) -> PreparedLRU:
        """Return lambda, and one kernel for both products with the input."""
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
        """s', twice, in real numbers."""
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
        """Return the last s, and all, in complex numbers."""
        start = jax.lax.complex(*state)
        factor = jax.lax.complex(*params.decay)
        added = jax.lax.complex(*jnp.split(terms.driven, 2, axis=-1))
        states = diagonal_parallel(start, jnp.broadcast_to(factor, added.shape), added, mask)
        all_states = ComplexState(states.real, states.imag)
        return jax.tree.map(lambda leaf: leaf[-1], all_states), all_states

    def read_out(self, params: PreparedLRU, read: ComplexState, terms: ComplexTerms) -> chex.Array:
        real, imaginary = jnp.split(params.C, 2)
        # Re(C s) is a sum here, as C holds -Im C.
        return jax.nn.gelu(read.real @ real + read.imaginary @ imaginary + terms.skipped)
