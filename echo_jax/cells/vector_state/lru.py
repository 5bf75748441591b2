"""The linear recurrent unit: a layer whose complex state is a linear recurrence.

    s_t = lambda s_(t-1) + gamma B x_t

No matrix product depends on the state, so the inputs are projected before the scan and the states
are read out after it. The scan keeps one step per iteration: in unrolled steps XLA recomputes the
earlier steps for each later one (50 states, 1,020 steps: the gradient takes 5.2 ms, with 8 steps
per iteration 17.4 ms).
"""

import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.scan import Mask, in_parallel, is_tokens, scan_over_time
from echo_jax.cells.vector_state.linear_recurrence import diagonal_parallel
from echo_jax.exceptions import ConfigError


class LRUCarry(NamedTuple):
    """The real and imaginary parts of the state s of an LRU, each float32 `[B, N]`."""

    real: chex.Array
    imaginary: chex.Array


def lru_step(decay: LRUCarry, carry: LRUCarry, driven: chex.Array) -> tuple[LRUCarry, LRUCarry]:
    """One step of s' = lambda s + u in real numbers: s', twice.

    The parts of lambda are `[N]`, of s `[B, N]`; of u = gamma B x side by side, `[B, 2N]`.
    """
    real, imaginary = jnp.split(driven, 2, axis=-1)
    state = LRUCarry(
        decay.real * carry.real - decay.imaginary * carry.imaginary + real,
        decay.imaginary * carry.real + decay.real * carry.imaginary + imaginary,
    )
    return state, state


def lru_parallel(
    decay: LRUCarry, carry: LRUCarry, driven: chex.Array, mask: Mask
) -> tuple[LRUCarry, LRUCarry]:
    """The last state and all states `[T, B, N]`, in complex numbers, by an associative scan."""
    start, factor = (jax.lax.complex(*parts) for parts in (carry, decay))
    added = jax.lax.complex(*jnp.split(driven, 2, axis=-1))
    states = diagonal_parallel(start, jnp.broadcast_to(factor, added.shape), added, mask)
    all_states = LRUCarry(states.real, states.imag)
    return jax.tree.map(lambda leaf: leaf[-1], all_states), all_states


class LRUCell(nn.RNNCellBase):
    """A layer of linear recurrent units (Orvieto et al. 2023, "Resurrecting recurrent networks").

        lambda = exp(-exp(nu) + i exp(theta))
        s' = lambda s + exp(gamma) B x        N complex numbers
        y  = gelu(Re(C s') + D x)             H real numbers

    At the start |lambda|^2 is uniform between r_min^2 and r_max^2, the phase of lambda is uniform
    between 0 and max_phase, and exp(gamma) = sqrt(1 - |lambda|^2), so that white noise gives every
    state the same variance (sections 3.3 and 3.4 of the paper). Two things differ from the paper,
    where the nonlinearity is a separate layer, and D is diagonal, as x and y have the same size.

    Parameters, all real: `nu` and `theta` `[N]`, the values above divided by `recurrent_rate`;
    `gamma` `[N]`; `input_kernel` `[F, 2N]`, Re B beside Im B, normal of variance 1 / 2F;
    `output_kernel` `[2N, H]`, Re C above -Im C, normal of variance 1 / N; `skip_kernel` D `[F, H]`,
    normal of variance 1 / F.

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
    num_feature_axes = 1

    def __post_init__(self) -> None:
        """Raise ConfigError for bounds outside the unit circle and for a phase or rate <= 0."""
        if not 0 <= self.r_min <= self.r_max <= 1 or self.r_min == 1:
            raise ConfigError(
                f"r_min {self.r_min:g} and r_max {self.r_max:g} are no ring inside the unit "
                "circle: use 0 <= r_min <= r_max <= 1, r_min below 1"
            )
        for name in ("max_phase", "recurrent_rate"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} {getattr(self, name):g} is not above 0: use more")
        super().__post_init__()

    @property
    def states(self) -> int:
        """N, the number of complex states."""
        return self.features if self.state_size is None else self.state_size

    @nn.compact
    def __call__(self, carry: LRUCarry, inputs: chex.Array) -> tuple[LRUCarry, chex.Array]:
        """One step from float32 inputs `[B, F]`, usually one-hot, to the next carry and output."""
        n, input_size = self.states, inputs.shape[-1]
        nu = self.param("nu", self._initial_nu, (n,))
        self.param("theta", self._initial_theta, (n,))
        loss = 2 * jnp.exp(self.recurrent_rate * nu)  # -ln |lambda|^2
        self.param("gamma", lambda _: 0.5 * jnp.log(-jnp.expm1(-loss)))
        normal = nn.initializers.normal
        self.param("input_kernel", normal((2 * input_size) ** -0.5), (input_size, 2 * n))
        self.param("output_kernel", normal(n**-0.5), (2 * n, self.features))
        self.param("skip_kernel", normal(input_size**-0.5), (input_size, self.features))
        driven, skipped = self._split(self.project(inputs))
        carry, state = lru_step(self._decay(), carry, driven)
        return carry, self._read_out(state, skipped)

    def project(self, inputs: chex.Array) -> chex.Array:
        """The input's terms in state and output: gamma B x beside D x, `[..., 2N + H]`."""
        gain = jnp.tile(jnp.exp(self.get_variable("params", "gamma")), 2)
        driving: chex.Array = self.get_variable("params", "input_kernel") * gain
        skipping: chex.Array = self.get_variable("params", "skip_kernel")
        kernel = jnp.concatenate([driving, skipping], axis=-1)
        return kernel[inputs] if is_tokens(inputs) else inputs @ kernel

    def scan(self, carry: LRUCarry, inputs: chex.Array, mask: Mask) -> tuple[LRUCarry, chex.Array]:
        """All states, one by one or in parallel, then all outputs at once."""
        decay, (driven, skipped) = self._decay(), self._split(self.project(inputs))
        if in_parallel():
            carry, states = lru_parallel(decay, carry, driven, mask)
        else:
            carry, states = scan_over_time(
                lambda s, u: lru_step(decay, s, u), carry, driven, mask, unroll=1
            )
        return carry, self._read_out(states, skipped)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> LRUCarry:
        """The zero state for inputs of shape `[B, F]`."""
        del rng
        zeros = jnp.zeros((*input_shape[:-1], self.states))
        return LRUCarry(zeros, zeros)

    def _decay(self) -> LRUCarry:
        nu = self.recurrent_rate * self.get_variable("params", "nu")
        radius = jnp.exp(-jnp.exp(nu))
        phase = jnp.exp(self.recurrent_rate * self.get_variable("params", "theta"))
        return LRUCarry(radius * jnp.cos(phase), radius * jnp.sin(phase))

    def _split(self, projected: chex.Array) -> tuple[chex.Array, chex.Array]:
        return projected[..., : 2 * self.states], projected[..., 2 * self.states :]

    def _read_out(self, states: LRUCarry, skipped: chex.Array) -> chex.Array:
        above, below = jnp.split(self.get_variable("params", "output_kernel"), 2)
        return nn.gelu(states.real @ above + states.imaginary @ below + skipped)

    def _initial_nu(self, key: chex.PRNGKey, shape: tuple[int]) -> chex.Array:
        # nu from a uniform |lambda|^2; 1 - |lambda|^2 stays accurate where |lambda| is near 1.
        share = jax.random.uniform(key, shape, minval=1e-6, maxval=1 - 1e-6)
        lost = 1 - self.r_max**2 + (self.r_max**2 - self.r_min**2) * share
        return jnp.log(-0.5 * jnp.log1p(-lost)) / self.recurrent_rate

    def _initial_theta(self, key: chex.PRNGKey, shape: tuple[int]) -> chex.Array:
        phase = self.max_phase * jax.random.uniform(key, shape, minval=1e-6)
        return jnp.log(phase) / self.recurrent_rate
