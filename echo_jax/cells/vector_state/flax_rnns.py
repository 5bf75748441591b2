"""Define the GRU and the tanh RNN of Flax, with loops over long windows and gradients by hand.

Both loops compute the gradient with respect to U, which multiplies the state, after the loop, as
`lstm_loop` does: dU is one product over steps and rows. In the loop, only the gradients with
respect to the sums of each step are computed, with factors that are known after the forward pass.

The identity RNN is the tanh RNN with rectified units whose recurrent matrix starts as the identity.
"""

import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.adapters.linen_cell import LinenCell
from echo_jax.cells.interface import UNROLLED, Cell, CellParams, Mask, hold, is_tokens
from echo_jax.cells.linear_layers import (
    gradient_by_kernel,
    gradient_by_state,
    linen_key,
    scan_in_place,
)


@dataclasses.dataclass(frozen=True)
class FlaxRNN(Cell):
    """A cell of Flax whose state h, `[B, H]`, is its output.

    `loop` runs windows of more than `UNROLLED` steps.

    Attributes:
      features: H, the number of units.
    """

    features: int
    has_scan: ClassVar[bool] = True
    flax_class: ClassVar[Any]  # of `flax.linen`

    @property
    def flax_cell(self) -> LinenCell:
        """The cell of Flax as a `Cell`."""
        return LinenCell(self.flax_class(self.features))

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        return self.flax_cell.init(key, input_size)

    def step(self, params: CellParams, state: chex.Array, x: chex.Array) -> Any:
        return self.flax_cell.step(params, state, x)

    def scan(
        self, params: CellParams, state: chex.Array, xs: chex.Array, mask: Mask = None
    ) -> tuple[chex.Array, chex.Array]:
        """Return the last state and the outputs `[W, B, H]`, as `Cell.scan` does.

        A window of at most `UNROLLED` steps is run step by step, a longer window by `loop`.
        """
        if len(xs) > UNROLLED:
            # h is state and output, so the last output is the last state, of absent rows too.
            hs = self.loop(params, state, xs, mask)
            return hs[-1], hs
        # The step is that of Flax, which takes vectors: short windows keep its bits.
        inputs = jax.nn.one_hot(xs, self.kernels(params)[0].shape[0]) if is_tokens(xs) else xs
        return super().scan(params, state, inputs, mask)

    def kernels(self, params: CellParams) -> tuple[chex.Array, chex.Array, chex.Array]:
        """Return W `[F, n H]`, U `[H, n H]` and b `[n H]`, the parameters of a step's n sums.

        n is 1 for the tanh RNN, and 3 for the GRU.
        """
        raise NotImplementedError

    def project(self, params: CellParams, xs: chex.Array) -> chex.Array:
        """Return the sums x W + b of all steps, `[W, B, n H]`.

        The inputs `xs` are `[W, B, F]`, or tokens `[W, B]`, which select rows of W.
        """
        kernel, _, bias = self.kernels(params)
        return (kernel[xs] if is_tokens(xs) else xs @ kernel) + bias

    def loop(self, params: CellParams, state: chex.Array, xs: chex.Array, mask: Mask) -> chex.Array:
        """Return the states h' after all steps of a long window, `[W, B, H]`.

        The arguments are the same as in `scan`.
        """
        raise NotImplementedError


class SimpleCell(FlaxRNN):
    """The tanh RNN (Elman 1990): h' = tanh(x W + b + h U).

    Attributes:
      features: H, the number of units.
    """

    flax_class = nn.SimpleCell

    def kernels(self, params: CellParams) -> tuple[chex.Array, chex.Array, chex.Array]:
        # In Flax only the layer of the input has a bias, as one is enough in a sum.
        return params["i"]["kernel"], params["h"]["kernel"], params["i"]["bias"]

    def loop(self, params: CellParams, state: chex.Array, xs: chex.Array, mask: Mask) -> chex.Array:
        return tanh_loop(self.kernels(params)[1], state, self.project(params, xs), mask)


class GRUCell(FlaxRNN):
    """The GRU (Cho et al. 2014).

        r = sigmoid(x W_r + b_r + h U_r)
        z = sigmoid(x W_z + b_z + h U_z)
        n = tanh(x W_n + b_n + r (h U_n + c))
        h' = (1 - z) n + z h

    The reset gate r is applied after the product with U_n, as in cuDNN. State and output are h,
    float32 `[B, H]`.

    Attributes:
      features: H, the number of units.
    """

    flax_class = nn.GRUCell

    def kernels(self, params: CellParams) -> tuple[chex.Array, chex.Array, chex.Array]:
        """Return W, U and b, with the parts of r, z and n side by side; c is not among them."""

        def gates(part: str, name: str) -> chex.Array:
            """Return the arrays `name`, kernel or bias, of r, z and n, side by side.

            `part` is i for the layers of the input, or h for the layers of the state.
            """
            # Keras orders the gates z r h, with a recurrent bias for each. Flax has one for n
            # alone, as r multiplies it: c.
            return jnp.concatenate([params[part + gate][name] for gate in "rzn"], axis=-1)

        return gates("i", "kernel"), gates("h", "kernel"), gates("i", "bias")

    def loop(self, params: CellParams, state: chex.Array, xs: chex.Array, mask: Mask) -> chex.Array:
        bias = params["hn"]["bias"]
        return gru_loop(self.kernels(params)[1], bias, state, self.project(params, xs), mask)


@jax.custom_vjp
def tanh_loop(
    recurrent_kernel: chex.Array, h: chex.Array, projected: chex.Array, mask: Mask
) -> chex.Array:
    """Return the states h' = tanh(z) after all steps, `[W, B, H]`, for z = x W + b + h U.

    In the gradient, dh' and dz are the gradients of the loss with respect to the state after a step
    and to z, through everything that follows:

        dz = dh' (1 - h'^2)         dh = dz U^T

    Args:
      recurrent_kernel: U, `[H, H]`.
      h: the state before the first step, `[B, H]`.
      projected: x W + b of all steps, `[W, B, H]`.
      mask: bool `[W, B]`, False where h is held; None if no step is absent.
    """

    def step(h: chex.Array, x: chex.Array, present: Mask) -> tuple[chex.Array, chex.Array, None]:
        """Return h', as the next state and as the output; an absent row keeps h."""
        new_h = jnp.tanh(x + h @ recurrent_kernel)
        new_h = new_h if present is None else hold(present, h, new_h)
        return new_h, new_h, None

    return scan_in_place(step, h, projected, mask)[1]


def _tanh_loop_forward(
    recurrent_kernel: chex.Array, h: chex.Array, projected: chex.Array, mask: Mask
) -> tuple[chex.Array, Any]:
    hs = tanh_loop(recurrent_kernel, h, projected, mask)
    return hs, (recurrent_kernel, h, hs, mask)


def _tanh_loop_backward(saved: Any, outputs: chex.Array) -> tuple[Any, ...]:
    recurrent_kernel, first, hs, mask = saved

    def step_back(after: chex.Array, output: chex.Array, inputs: tuple) -> tuple[Any, ...]:
        """Return dh and dz of a step, from its gradients through later steps and its output."""
        h, present = inputs
        dh = after + output
        # h is h' here, the state after the step: the slope of tanh is 1 - tanh^2.
        dz = dh * (1 - h**2)
        before = gradient_by_state(recurrent_kernel, dz)
        if present is not None:
            # An absent row has the state of the step before, so its gradient goes on as it is.
            before, dz = hold(present, (dh, jnp.zeros_like(dz)), (before, dz))
        return before, dz, None

    zero = jnp.zeros_like(first)
    # Zero, as the last state is the last output and has its gradient there. dz takes the place of
    # the gradients of the outputs, of which each is read once.
    h, dz, _ = scan_in_place(step_back, zero, outputs, (hs, mask), reverse=True)
    return gradient_by_kernel(first, hs, dz), h, dz, None


tanh_loop.defvjp(_tanh_loop_forward, _tanh_loop_backward)


def gru_loop_step(
    recurrent_kernel: chex.Array,
    bias: chex.Array,
    h: chex.Array,
    projected: chex.Array,
    present: Mask,
) -> tuple[chex.Array, chex.Array, tuple[chex.Array, chex.Array, chex.Array]]:
    """Return the state after a step of `gru_loop`, with what the step back needs.

    The arguments are the same as in `gru_loop`, for one step; `present` is a row of its `mask`. In
    a row that is not present, h is held, the factor of dh' in dh is 1, and the other factors are 0.

    Returns:
      The state h', `[B, H]`; the factors of dh' in dp_r, dp_z and dp_n, side by side, `[B, 3H]`;
      and a tuple of h', the factor of dh' in dn, and the factor of dh' in dh, each `[B, H]`.
    """
    size = h.shape[-1]
    product = h @ recurrent_kernel
    gates = nn.sigmoid(projected[:, : 2 * size] + product[:, : 2 * size])
    r, z = jnp.split(gates, 2, axis=-1)
    own = product[:, 2 * size :] + bias
    n = jnp.tanh(projected[:, 2 * size :] + r * own)
    new_h = (1 - z) * n + z * h
    # The factor of dh' in dn, from which dp_r and dp_n follow.
    n_by_h = (1 - z) * (1 - n**2)
    product_by_h = jnp.concatenate(
        [n_by_h * own * r * (1 - r), (h - n) * z * (1 - z), n_by_h * r], axis=-1
    )
    if present is not None:
        new_h = hold(present, h, new_h)
        # With z = 1 and zeros for the rest a step back gives dh = dh': unlike that of `lstm_loop`
        # it needs no mask.
        z = hold(present, jnp.ones_like(z), z)
        product_by_h *= present[:, None]
        n_by_h *= present[:, None]
    return new_h, product_by_h, (new_h, n_by_h, z)


@jax.custom_vjp
def gru_loop(
    recurrent_kernel: chex.Array,
    bias: chex.Array,
    h: chex.Array,
    projected: chex.Array,
    mask: Mask,
) -> chex.Array:
    """Return the states h' of the GRU after all steps, `[W, B, H]`.

    In the gradient, dh' is the gradient of the loss with respect to the state after a step, through
    everything that follows, and p = h U, with c added to p_n:

        dn   = dh' (1 - z) (1 - n^2)            with respect to the sum before the tanh
        dp_r = dn p_n r (1 - r)
        dp_z = dh' (h - n) z (1 - z)
        dp_n = dn r
        dh   = dh' z + (dp_r, dp_z, dp_n) U^T

    Args:
      recurrent_kernel: U, `[H, 3H]`, with the parts of r, z and n side by side.
      bias: c, `[H]`.
      h: the state before the first step, `[B, H]`.
      projected: x W + b of all steps, `[W, B, 3H]`.
      mask: bool `[W, B]`, False where h is held; None if no step is absent.
    """

    def step(h: chex.Array, inputs: tuple) -> tuple[chex.Array, chex.Array]:
        new_h, *_ = gru_loop_step(recurrent_kernel, bias, h, *inputs)
        return new_h, new_h

    return jax.lax.scan(step, h, (projected, mask))[1]


def _gru_loop_forward(
    recurrent_kernel: chex.Array,
    bias: chex.Array,
    h: chex.Array,
    projected: chex.Array,
    mask: Mask,
) -> tuple[chex.Array, Any]:
    step = functools.partial(gru_loop_step, recurrent_kernel, bias)
    _, product_by_h, (hs, *factors) = scan_in_place(step, h, projected, mask)
    return hs, (recurrent_kernel, h, hs, product_by_h, factors)


def _gru_loop_backward(saved: Any, outputs: chex.Array) -> tuple[Any, ...]:
    recurrent_kernel, first, hs, product_by_h, factors = saved

    def step_back(after: chex.Array, product_by_h: chex.Array, inputs: tuple) -> tuple[Any, ...]:
        """Return dh, dp and dn of a step, from its gradients through later steps and its output."""
        output, (n_by_h, z) = inputs
        dh = after + output
        product = jnp.concatenate([dh, dh, dh], axis=-1) * product_by_h
        return dh * z + gradient_by_state(recurrent_kernel, product), product, dh * n_by_h

    zero = jnp.zeros_like(first)
    h, product, dn = scan_in_place(step_back, zero, product_by_h, (outputs, factors), reverse=True)
    size = first.shape[-1]
    # r and z add x W and h U, so both have one gradient. n does not: r scales h U_n + c and leaves
    # x W_n alone, whose gradient is dn itself.
    projected = jnp.concatenate([product[..., : 2 * size], dn], axis=-1)
    bias = product[..., 2 * size :].sum((0, 1))
    return gradient_by_kernel(first, hs, product), bias, h, projected, None


gru_loop.defvjp(_gru_loop_forward, _gru_loop_backward)


class IdentityRNNParams(NamedTuple):
    """The parameters of `IdentityRNNCell`.

    W  the input weights, `[F, H]`
    U  the recurrent weights, `[H, H]`
    b  the biases, `[H]`
    """

    W: chex.Array
    U: chex.Array
    b: chex.Array


@dataclasses.dataclass(frozen=True)
class IdentityRNNCell(Cell):
    """A rectified RNN with an identity initial recurrent matrix (Le, Jaitly & Hinton 2015).

        h' = relu(x W + h U + b)

    State and output are h, float32 `[B, H]`, zeros at the start. Initially, W is normal with
    standard deviation 0.001, U is the identity, and b is zero. So before training, a non-negative
    state stays constant except for what the input adds.

    Attributes:
      features: H, the number of units.
    """

    features: int

    def init(self, key: chex.PRNGKey, input_size: int) -> IdentityRNNParams:
        h = self.features
        small = jax.nn.initializers.normal(1e-3)
        weights = small(linen_key(key, 1), (input_size, h))
        return IdentityRNNParams(weights, jnp.eye(h), jnp.zeros(h))

    def step(
        self, params: IdentityRNNParams, state: chex.Array, x: chex.Array
    ) -> tuple[chex.Array, chex.Array]:
        h = jax.nn.relu(x @ params.W + state @ params.U + params.b)
        return h, h
