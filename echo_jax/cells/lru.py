"""Cells whose state is a linear recurrence, a weighted sum of itself and of what the input brings.

    minGRU   h_t = (1 - z_t) h_(t-1) + z_t h~_t       real; the weights depend on the input alone
    LRU      s_t = lambda s_(t-1) + gamma B x_t       complex; the weights are the same at all steps

Neither has a product with its state inside the scan: both project before it (`HoistedCell`), and
the LRU reads its states out after it. What is left in a step is elementwise, and one step at a time
is the fastest: where steps are unrolled, XLA computes the first ones again for each later one (an
LRU of 50 states over 1,020 steps: the gradient takes 5.2 ms, with 8 steps made one 17.4).
"""

import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.scan import is_tokens, scan_over_time
from echo_jax.exceptions import ConfigError


class LRUCarry(NamedTuple):
    """The complex state s of an LRU as its parts, each float32 `[B, N]`."""

    real: chex.Array
    imaginary: chex.Array


def lru_step(decay: LRUCarry, carry: LRUCarry, driven: chex.Array) -> tuple[LRUCarry, LRUCarry]:
    """One step of the recurrence in real numbers, s' = lambda s + u.

    Args:
      decay: lambda, its parts `[N]`.
      carry: s, its parts `[B, N]`.
      driven: u = gamma B x, its parts side by side, `[B, 2N]`.

    Returns:
      s', twice.
    """
    real, imaginary = jnp.split(driven, 2, axis=-1)
    state = LRUCarry(
        decay.real * carry.real - decay.imaginary * carry.imaginary + real,
        decay.imaginary * carry.real + decay.real * carry.imaginary + imaginary,
    )
    return state, state


class LRUCell(nn.RNNCellBase):
    """One layer of linear recurrent units (Orvieto et al. 2023, "Resurrecting recurrent networks").

        lambda = exp(-exp(nu) + i exp(theta))
        s' = lambda s + exp(gamma) B x        N complex numbers
        y  = gelu(Re(C s') + D x)             H real ones

    At the start |lambda|^2 is uniform from r_min^2 to r_max^2, the phase of lambda uniform from 0
    to max_phase, and exp(gamma) = sqrt(1 - |lambda|^2), so that white noise drives every state to
    the same variance (the paper's sections 3.3 and 3.4; there the nonlinearity is a layer of its
    own, and D diagonal, x being as wide as y).

    Parameters, all real: `nu` and `theta` `[N]`, those above divided by `recurrent_rate`; `gamma`
    `[N]`; `input_kernel` `[F, 2N]`, Re B beside Im B, normal of variance 1 / 2F; `output_kernel`
    `[2N, H]`, Re C above -Im C, normal of variance 1 / N; `skip_kernel` `[F, H]`, D, normal of
    variance 1 / F.

    Attributes:
      features: H, the outputs.
      state_size: N; None for as many as outputs.
      r_min, r_max: the ring that lambda starts in, 0 <= r_min <= r_max <= 1, r_min below 1.
      max_phase: the largest phase of it, in radians.
      recurrent_rate: nu and theta move at this share of the learning rate under Adam, whose steps
        are as long whatever the scale of a parameter. After n steps a change d of the phase has
        turned the state by n d; the paper too trains lambda at a lower rate.
    """

    features: int
    state_size: int | None = None
    r_min: float = 0.9
    r_max: float = 0.999
    max_phase: float = 2 * math.pi
    recurrent_rate: float = 0.1

    def __post_init__(self) -> None:
        """Raise ConfigError for a ring beyond the unit circle, or empty, and rates below zero."""
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
        """N, the complex numbers of the state."""
        return self.features if self.state_size is None else self.state_size

    @nn.compact
    def __call__(self, carry: LRUCarry, inputs: chex.Array) -> tuple[LRUCarry, chex.Array]:
        """One step from float32 inputs `[B, F]`, usually one-hot, to the next carry and output."""
        n, inputs_wide = self.states, inputs.shape[-1]
        nu = self.param("nu", self._ring, (n,))
        self.param("theta", self._phases, (n,))
        loss = 2 * jnp.exp(self.recurrent_rate * nu)  # -ln |lambda|^2
        self.param("gamma", lambda _: 0.5 * jnp.log(-jnp.expm1(-loss)))
        normal = nn.initializers.normal
        self.param("input_kernel", normal((2 * inputs_wide) ** -0.5), (inputs_wide, 2 * n))
        self.param("output_kernel", normal(n**-0.5), (2 * n, self.features))
        self.param("skip_kernel", normal(inputs_wide**-0.5), (inputs_wide, self.features))
        driven, skipped = self._split(self.project(inputs))
        carry, state = lru_step(self._decay(), carry, driven)
        return carry, self._read_out(state, skipped)

    def project(self, inputs: chex.Array) -> chex.Array:
        """What the input adds to state and output: gamma B x beside D x, `[..., 2N + H]`."""
        gain = jnp.tile(jnp.exp(self.get_variable("params", "gamma")), 2)
        driving: chex.Array = self.get_variable("params", "input_kernel") * gain
        skipping: chex.Array = self.get_variable("params", "skip_kernel")
        kernel = jnp.concatenate([driving, skipping], axis=-1)
        return kernel[inputs] if is_tokens(inputs) else inputs @ kernel

    def unroll(
        self, carry: LRUCarry, projected: chex.Array, mask: chex.Array | None
    ) -> tuple[LRUCarry, chex.Array]:
        """All states by `scan_over_time`, then all outputs at once."""
        decay = self._decay()
        driven, skipped = self._split(projected)
        carry, states = scan_over_time(
            lambda s, u: lru_step(decay, s, u), carry, driven, mask, unroll=1
        )
        return carry, self._read_out(states, skipped)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> LRUCarry:
        """The zero state for inputs of this shape, `[B, F]`."""
        del rng
        zeros = jnp.zeros((*input_shape[:-1], self.states))
        return LRUCarry(zeros, zeros)

    @property
    def num_feature_axes(self) -> int:
        """The axes of an input that are features, not batch."""
        return 1

    def _decay(self) -> LRUCarry:
        nu = self.recurrent_rate * self.get_variable("params", "nu")
        radius = jnp.exp(-jnp.exp(nu))
        phase = jnp.exp(self.recurrent_rate * self.get_variable("params", "theta"))
        return LRUCarry(radius * jnp.cos(phase), radius * jnp.sin(phase))

    def _split(self, projected: chex.Array) -> tuple[chex.Array, chex.Array]:
        return projected[..., : 2 * self.states], projected[..., 2 * self.states :]

    def _read_out(self, states: LRUCarry, skipped: chex.Array) -> chex.Array:
        kernel: chex.Array = self.get_variable("params", "output_kernel")
        above, below = jnp.split(kernel, 2)
        return nn.gelu(states.real @ above + states.imaginary @ below + skipped)

    def _ring(self, key: chex.PRNGKey, shape: tuple[int]) -> chex.Array:
        # 1 - |lambda|^2 keeps its digits where |lambda| is near 1.
        share = jax.random.uniform(key, shape, minval=1e-6, maxval=1 - 1e-6)
        lost = 1 - self.r_max**2 + (self.r_max**2 - self.r_min**2) * share
        return jnp.log(-0.5 * jnp.log1p(-lost)) / self.recurrent_rate

    def _phases(self, key: chex.PRNGKey, shape: tuple[int]) -> chex.Array:
        phase = self.max_phase * jax.random.uniform(key, shape, minval=1e-6)
        return jnp.log(phase) / self.recurrent_rate
