"""The LSTM in the Keras layout: its equations, the Flax cell, and then the fast forms of its scan.

literal  `lstm_step` scanned over a window
fast     `lstm_unroll` for a short window, `lstm_loop` for a long one: the backward pass is by hand,
         so each gradient of weights is one product; tests/cells/test_scan.py compares the forms
"""

import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from echo_jax.cells.interface import (
    UNROLLED,
    Mask,
    at_least,
    hold,
    is_tokens,
    scan_over_time,
)
from echo_jax.cells.linear_layers import gradient_by_kernel, gradient_by_state, scan_in_place


class LSTMCarry(NamedTuple):
    """The state of an LSTM, each part float32 `[B, H]`.

    cell    the cell state c
    hidden  the hidden state h, which is the output
    """

    cell: chex.Array
    hidden: chex.Array


def lstm_step(
    recurrent_kernel: chex.Array, carry: LSTMCarry, projected: chex.Array
) -> tuple[LSTMCarry, chex.Array]:
    """Return the next carry and the output of an LSTM step (Hochreiter & Schmidhuber 1997).

        i, f, g, o = split(x W + b + h U)
        c' = sigmoid(f) c + sigmoid(i) tanh(g)
        h' = sigmoid(o) tanh(c')

    `recurrent_kernel` is U, `[H, 4H]`, with the gates i f g o side by side as in Keras. `carry` has
    c and h, and `projected` is x W + b, `[B, 4H]`. The output is h', `[B, H]`. The forget gate f is
    from Gers 2000.
    """
    c, h = carry
    i, f, g, o = jnp.split(projected + h @ recurrent_kernel, 4, axis=-1)
    c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
    h = nn.sigmoid(o) * jnp.tanh(c)
    return LSTMCarry(c, h), h


class LSTMCell(nn.RNNCellBase):
    """The LSTM in the Keras layout, initialised as Keras does.

    The parameters are `kernel`, `[F, 4H]`, initially glorot-uniform; `recurrent_kernel`, `[H, 4H]`,
    initially orthogonal; and `bias`, `[4H]`, initially 1 in the forget block and 0 elsewhere. Each
    matrix is drawn as a whole, and not gate by gate.

    Attributes:
      features: H, the number of units.
    """

    features: int
    num_feature_axes = 1

    @nn.compact
    def __call__(self, carry: LSTMCarry, inputs: chex.Array) -> tuple[LSTMCarry, chex.Array]:
        """Return the next carry and the output `[B, H]` after a step from inputs `[B, F]`."""
        gates = 4 * self.features
        # Fused as in Keras. Flax draws each gate apart: with 100 values and 50 units its glorot
        # limit is 0.200 where this one is 0.141, and its orthogonal blocks are twice as large.
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), (inputs.shape[-1], gates))
        orthogonal = nn.initializers.orthogonal()
        recurrent_kernel = self.param("recurrent_kernel", orthogonal, (self.features, gates))
        bias = self.param("bias", self.initial_bias, (gates,))
        return lstm_step(recurrent_kernel, carry, inputs @ kernel + bias)

    @nn.nowrap
    def initial_bias(self, key: chex.PRNGKey, shape: tuple[int]) -> chex.Array:
        """Return the biases `[4H]`: zeros, with ones in the forget block."""
        gate = jnp.arange(shape[0]) // self.features
        return (gate == 1).astype(jnp.float32)

    def project(self, inputs: chex.Array) -> chex.Array:
        """Return the sums x W + b of all steps, `[..., 4H]`.

        The inputs are `[..., F]`, or tokens `[...]`, which select rows of W.
        """
        # Linen allows one compact method a class: other methods read what `__call__` has declared.
        kernel: chex.Array = self.get_variable("params", "kernel")
        bias: chex.Array = self.get_variable("params", "bias")
        return (kernel[inputs] if is_tokens(inputs) else inputs @ kernel) + bias

    def scan(
        self, carry: LSTMCarry, inputs: chex.Array, mask: Mask
    ) -> tuple[LSTMCarry, chex.Array]:
        """Return the last carry and all outputs `[W, B, H]`.

        A window of at most `UNROLLED` steps is run by `lstm_unroll`, a longer window by
        `lstm_loop`.
        """
        kernel: chex.Array = self.get_variable("params", "recurrent_kernel")
        run = lstm_unroll if len(inputs) <= UNROLLED else lstm_loop
        return run(kernel, carry, self.project(inputs), mask)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> LSTMCarry:
        """Return the zero state for inputs of the shape `input_shape`, `[B, F]`.

        `rng` is not used.
        """
        zeros = jnp.zeros((*input_shape[:-1], self.features))
        return LSTMCarry(zeros, zeros)


class ChronoLSTMCell(LSTMCell):
    """The LSTM with the chrono initialisation of Tallec & Ollivier 2018.

        b_f = log u, u ~ U(1, T - 1)        b_i = -b_f        b_g = b_o = 0

    If the sums of the gates are only the biases, a unit keeps u / (1 + u) of its state in a step
    and lets 1 / (1 + u) in. So its time constant is about 1 + u steps: from 2 to T over the units.
    Everything else is as in `LSTMCell`.

    Attributes:
      features: H, the number of units.
      longest: T, the longest expected dependency in steps, 3 or more.
    """

    longest: int = 64

    def __post_init__(self) -> None:
        at_least(3, self, "longest")
        super().__post_init__()

    @nn.nowrap
    def initial_bias(self, key: chex.PRNGKey, shape: tuple[int]) -> chex.Array:
        """Return the biases `[4H]`: log u in the forget block, -log u in the input block."""
        u = jax.random.uniform(key, (shape[0] // 4,), minval=1.0, maxval=self.longest - 1.0)
        forget = jnp.log(u)
        zeros = jnp.zeros_like(u)
        return jnp.concatenate([-forget, forget, zeros, zeros])


def lstm_scan(
    recurrent_kernel: chex.Array, carry: LSTMCarry, projected: chex.Array, mask: Mask
) -> tuple[tuple[LSTMCarry, chex.Array], chex.Array]:
    """Run `lstm_step` over time, and hold the carry of a row where `mask` is False.

    Args:
      recurrent_kernel: U, `[H, 4H]`.
      carry: the carry before the first step.
      projected: the sums x W + b of all steps, `[W, B, 4H]`.
      mask: bool `[W, B]`, or None if no step is masked.

    Returns:
      The last carry and the outputs `[W, B, H]` as a pair, and h before each step `[W, B, H]`.
    """

    def step(carry: LSTMCarry, x: chex.Array) -> tuple[LSTMCarry, tuple[chex.Array, chex.Array]]:
        new_carry, output = lstm_step(recurrent_kernel, carry, x)
        return new_carry, (output, carry.hidden)

    carry, (outputs, hidden_before) = scan_over_time(step, carry, projected, mask)
    return (carry, outputs), hidden_before


@jax.custom_vjp
def lstm_unroll(
    recurrent_kernel: chex.Array, carry: LSTMCarry, projected: chex.Array, mask: Mask
) -> tuple[LSTMCarry, chex.Array]:
    """Return the last carry and the outputs of `lstm_scan`, with the gradient of U as one product.

    The arguments are the same as in `lstm_scan`. U, the recurrent kernel, enters step t only
    through z_t = p_t + h_(t-1) U, where p_t = x_t W + b is `projected`. Let dz_t be the gradient of
    the loss with respect to z_t, through this step and all later steps. Then

        dU   = sum over t of h_(t-1)^T dz_t         product rule, in every use of U
        dp_t = dz_t                                 p_t is a summand of z_t

    So the gradient of the scan with respect to p, with U held constant, gives all dz at once. The
    sum over steps and rows is one product of `[H, T B]` and `[T B, 4H]`, which saves 12% of an
    update of part 4; `lax.scan` would add up a matrix `[H, 4H]` at every step back. If a step is
    masked, its z_t has no effect, so dz_t is zero.
    """
    return lstm_scan(recurrent_kernel, carry, projected, mask)[0]


def _lstm_unroll_forward(
    recurrent_kernel: chex.Array, carry: LSTMCarry, projected: chex.Array, mask: Mask
) -> tuple[Any, Any]:
    # U is closed over, so that autodiff forms no gradient of it in a step. `pull_back` is a pytree
    # of its residuals, which is why a rule of `custom_vjp` may return it.
    result, pull_back, hidden_before = jax.vjp(
        lambda c, x: lstm_scan(recurrent_kernel, c, x, mask), carry, projected, has_aux=True
    )
    return result, (pull_back, hidden_before)


def _lstm_unroll_backward(saved: Any, gradient: Any) -> tuple[Any, ...]:
    pull_back, hidden_before = saved
    carry, projected = pull_back(gradient)
    # p is a summand of z, so its gradient is dz. One sum over all steps has another order than that
    # of autodiff, and other last bits: within 1e-6 of the largest gradient, by test.
    recurrent_kernel = jnp.einsum("wbh,wbg->hg", hidden_before, projected)
    # None is the gradient of the mask: bool arrays have none.
    return recurrent_kernel, carry, projected, None


lstm_unroll.defvjp(_lstm_unroll_forward, _lstm_unroll_backward)


def lstm_gates(z: chex.Array) -> chex.Array:
    """Return sigmoid(i), sigmoid(f), tanh(g) and sigmoid(o), side by side, `[B, 4H]`.

    `z` is the sums i, f, g and o, side by side. One tanh is enough for all four, because
    sigmoid(x) = (1 + tanh(x/2)) / 2.
    """
    # Rounding is absolute, 1.2e-7: on a CPU a gate is exactly 0 from z = -16 down (sigmoid: 1e-7).
    half = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), z.shape[-1] // 4)
    return half * jnp.tanh(half * z) + (1.0 - half)


def lstm_loop_step(
    recurrent_kernel: chex.Array, carry: LSTMCarry, projected: chex.Array, present: Mask
) -> tuple[LSTMCarry, chex.Array, tuple[chex.Array, chex.Array, chex.Array]]:
    """Return the carry after a step of `lstm_loop`, with what the step back needs.

    The arguments are the same as in `lstm_loop`, for one step; `present` is a row of its `mask`. In
    a row that is not present, the carry is held, and dz has the factor zero.

    Returns:
      The next carry; the factors of dc' and dh' in dz, side by side, `[B, 4H]`; and a tuple of h',
      the factor of dh' in dc', and the forget gate f, each `[B, H]`.
    """
    gates = lstm_gates(projected + carry.hidden @ recurrent_kernel)
    i, f, g, o = jnp.split(gates, 4, axis=-1)
    c = f * carry.cell + i * g
    tanh_c = jnp.tanh(c)
    new_carry = LSTMCarry(c, o * tanh_c)
    # Sigmoid and tanh have slopes s (1 - s) and 1 - t^2, which need the gates and not their sums.
    z_by_state = jnp.concatenate(
        [g * i * (1 - i), carry.cell * f * (1 - f), i * (1 - g**2), tanh_c * o * (1 - o)], axis=-1
    )
    if present is not None:
        new_carry = hold(present, carry, new_carry)
        # The two other factors stay: the step back hands dc' and dh' of an absent row on by `hold`.
        z_by_state *= present[:, None]
    return new_carry, z_by_state, (new_carry.hidden, o * (1 - tanh_c**2), f)


@jax.custom_vjp
def lstm_loop(
    recurrent_kernel: chex.Array, carry: LSTMCarry, projected: chex.Array, mask: Mask
) -> tuple[LSTMCarry, chex.Array]:
    """Return the last carry and the outputs of a long window, with the gradient by hand.

    The arguments are the same as in `lstm_scan`. Let i, f, g and o be the gates after sigmoid and
    tanh, so that c' = f c + i g and h' = o tanh(c'). Let dc' and dh' be the gradients of the loss
    with respect to the state after a step, through everything that follows, the output of the step
    included. Going back one step, with elementwise products,

        dc'  += dh' o (1 - tanh(c')^2)
        dz    = (dc' g i (1 - i),  dc' c f (1 - f),  dc' i (1 - g^2),  dh' tanh(c') o (1 - o))
        dc    = dc' f
        dh    = dz U^T

    The step forward computes the factors of dc' and dh', and stores the factors instead of the
    gates. The factors in dz replace the projected inputs in their array, and later dz replaces the
    factors, so one array `[W, B, 4H]` is enough. What is left of a step back is two sums, the
    products with the factors, and the product with U^T. As in `lstm_unroll`, dU is one product over
    steps and rows. An absent step has dz = 0, and hands dc' and dh' on.
    """

    def step(carry: LSTMCarry, inputs: tuple) -> tuple[LSTMCarry, chex.Array]:
        new_carry, *_ = lstm_loop_step(recurrent_kernel, carry, *inputs)
        return new_carry, new_carry.hidden

    # This runs where nobody asks for a gradient, as in evaluation: no factor is stored.
    return jax.lax.scan(step, carry, (projected, mask))


def _lstm_loop_forward(
    recurrent_kernel: chex.Array, carry: LSTMCarry, projected: chex.Array, mask: Mask
) -> tuple[Any, Any]:
    step = functools.partial(lstm_loop_step, recurrent_kernel)
    last, z_by_state, (hs, *factors) = scan_in_place(step, carry, projected, mask)
    return (last, hs), (recurrent_kernel, carry.hidden, hs, z_by_state, factors, mask)


def _lstm_loop_backward(saved: Any, gradient: Any) -> tuple[Any, ...]:
    recurrent_kernel, first, hs, z_by_state, factors, mask = saved
    last, outputs = gradient

    def step_back(after: LSTMCarry, z_by_state: chex.Array, inputs: tuple) -> tuple[Any, ...]:
        """Return dc and dh before a step, and its dz, from dc' and dh' after the step."""
        output, (c_by_h, f), present = inputs
        dh = after.hidden + output
        dc = after.cell + dh * c_by_h
        # i, f and g act through c' alone. o acts through h' alone, so its factor is of dh'; what h'
        # owes to c' is in dc by `c_by_h`.
        dz = jnp.concatenate([dc, dc, dc, dh], axis=-1) * z_by_state
        carry = LSTMCarry(dc * f, gradient_by_state(recurrent_kernel, dz))
        if present is not None:
            # dh, not `after.hidden`: an absent step puts out the held h, which may have a gradient.
            carry = hold(present, LSTMCarry(after.cell, dh), carry)
        return carry, dz, None

    inputs = (outputs, factors, mask)
    carry, dz, _ = scan_in_place(step_back, last, z_by_state, inputs, reverse=True)
    return gradient_by_kernel(first, hs, dz), carry, dz, None


lstm_loop.defvjp(_lstm_loop_forward, _lstm_loop_backward)
