"""The GRU and the tanh RNN of Flax, with loops over long windows whose gradients are by hand.

Both loops take U, the product of the state in a step, out of the gradient of the loop, as
`lstm_loop` does: the gradient by the sums of every step is a recursion whose factors are known
after the forward pass, and dU is one product over steps and rows.
"""

import dataclasses
from typing import Any, ClassVar

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.cells.adapters.linen_adapter import LinenCell
from echo_jax.cells.interface import Cell, CellParams
from echo_jax.cells.scan import UNROLLED, Mask, hold, is_tokens


@dataclasses.dataclass(frozen=True)
class FlaxRNN(Cell):
    """A cell of Flax of one state h, `[B, H]`, which is its output; over time its own `loop`."""

    features: int
    has_scan: ClassVar[bool] = True
    flax_class: ClassVar[Any]  # of `flax.linen`

    @property
    def flax_cell(self) -> LinenCell:
        """The cell of Flax, adapted."""
        return LinenCell(self.flax_class(self.features))

    def init(self, key: chex.PRNGKey, input_size: int) -> CellParams:
        return self.flax_cell.init(key, input_size)

    def initial_state(self, params: CellParams, batch_size: int, input_size: int) -> chex.Array:
        return jnp.zeros((batch_size, self.features))

    def step(self, params: CellParams, state: chex.Array, x: chex.Array) -> Any:
        return self.flax_cell.step(params, state, x)

    def scan(
        self, params: CellParams, state: chex.Array, xs: chex.Array, mask: Mask = None
    ) -> tuple[chex.Array, chex.Array]:
        """Steps one after the other over a short window, else `loop`."""
        if len(xs) > UNROLLED:
            hs = self.loop(params, state, xs, mask)
            return hs[-1], hs
        inputs = jax.nn.one_hot(xs, self.kernels(params)[0].shape[0]) if is_tokens(xs) else xs
        return super().scan(params, state, inputs, mask)

    def kernels(self, params: CellParams) -> tuple[chex.Array, chex.Array, chex.Array]:
        """The kernels W `[F, n H]` and U `[H, n H]` of the n sums of a step, and b, `[n H]`."""
        raise NotImplementedError

    def project(self, params: CellParams, xs: chex.Array) -> chex.Array:
        """The sums x W + b of all steps, `[W, B, n H]`; for tokens a gather of rows of W."""
        kernel, _, bias = self.kernels(params)
        return (kernel[xs] if is_tokens(xs) else xs @ kernel) + bias

    def loop(self, params: CellParams, state: chex.Array, xs: chex.Array, mask: Mask) -> chex.Array:
        """All h' of a long window, `[W, B, H]`."""
        raise NotImplementedError


class SimpleCell(FlaxRNN):
    """The tanh RNN (Elman 1990): h' = tanh(x W + b + h U)."""

    flax_class = nn.SimpleCell

    def kernels(self, params: CellParams) -> tuple[chex.Array, chex.Array, chex.Array]:
        return params["i"]["kernel"], params["h"]["kernel"], params["i"]["bias"]

    def loop(self, params: CellParams, state: chex.Array, xs: chex.Array, mask: Mask) -> chex.Array:
        return tanh_loop(self.kernels(params)[1], state, self.project(params, xs), mask)


class GRUCell(FlaxRNN):
    """The GRU (Cho et al. 2014).

        r = sigmoid(x W_r + b_r + h U_r)
        z = sigmoid(x W_z + b_z + h U_z)
        n = tanh(x W_n + b_n + r (h U_n + c))
        h' = (1 - z) n + z h

    The reset gate r is applied after the product by U_n, as in cuDNN.
    """

    flax_class = nn.GRUCell

    def kernels(self, params: CellParams) -> tuple[chex.Array, chex.Array, chex.Array]:
        """Those of r, z and n side by side; c apart."""

        def gates(part: str, name: str) -> chex.Array:
            return jnp.concatenate([params[part + gate][name] for gate in "rzn"], axis=-1)

        return gates("i", "kernel"), gates("h", "kernel"), gates("i", "bias")

    def loop(self, params: CellParams, state: chex.Array, xs: chex.Array, mask: Mask) -> chex.Array:
        bias = params["hn"]["bias"]
        return gru_loop(self.kernels(params)[1], bias, state, self.project(params, xs), mask)


@jax.custom_vjp
def tanh_loop(
    recurrent_kernel: chex.Array, h: chex.Array, projected: chex.Array, mask: Mask
) -> chex.Array:
    """All h' = tanh(x W + b + h U), `[W, B, H]`, from the projected x W + b.

    With dh' the gradient by the state after a step, through all that follows,

        dz = dh' (1 - h'^2)         dh = dz U^T
    """

    def step(h: chex.Array, inputs: tuple) -> tuple[chex.Array, chex.Array]:
        """h', twice; an absent row keeps h."""
        x, present = inputs
        new_h = jnp.tanh(x + h @ recurrent_kernel)
        new_h = new_h if mask is None else hold(present, h, new_h)
        return new_h, new_h

    return jax.lax.scan(step, h, (projected, mask))[1]


def _tanh_loop_forward(
    recurrent_kernel: chex.Array, h: chex.Array, projected: chex.Array, mask: Mask
) -> tuple[chex.Array, Any]:
    hs = tanh_loop(recurrent_kernel, h, projected, mask)
    return hs, (recurrent_kernel, h, hs, mask)


def _tanh_loop_backward(saved: Any, outputs: chex.Array) -> tuple[Any, ...]:
    recurrent_kernel, first, hs, mask = saved
    transposed = recurrent_kernel.T
    z_by_h = 1 - hs**2 if mask is None else jnp.where(mask[..., None], 1 - hs**2, 0.0)

    def step_back(after: chex.Array, step: tuple) -> tuple[chex.Array, chex.Array]:
        """From the gradient by h' of a step, its output apart, to dh and dz."""
        output, z_by_h, present = step
        dh = after + output
        dz = dh * z_by_h
        before = dz @ transposed
        return (before if mask is None else hold(present, dh, before)), dz

    zero = jnp.zeros_like(first)
    h, projected = jax.lax.scan(step_back, zero, (outputs, z_by_h, mask), reverse=True)
    return _by_kernel(first, hs, projected), h, projected, None


tanh_loop.defvjp(_tanh_loop_forward, _tanh_loop_backward)


@jax.custom_vjp
def gru_loop(
    recurrent_kernel: chex.Array,
    bias: chex.Array,
    h: chex.Array,
    projected: chex.Array,
    mask: Mask,
) -> chex.Array:
    """All h' of the GRU, `[W, B, H]`, from U `[H, 3H]`, c `[H]` and the projected x W + b.

    With dh' the gradient by the state after a step, through all that follows, and p the sums of
    the products by U, c included,

        dn   = dh' (1 - z) (1 - n^2)            before the tanh
        dp_r = dn p_n r (1 - r)
        dp_z = dh' (h - n) z (1 - z)
        dp_n = dn r
        dh   = dh' z + (dp_r, dp_z, dp_n) U^T
    """
    return _gru_loop_forward(recurrent_kernel, bias, h, projected, mask)[0]


def _gru_loop_forward(
    recurrent_kernel: chex.Array,
    bias: chex.Array,
    h: chex.Array,
    projected: chex.Array,
    mask: Mask,
) -> tuple[chex.Array, Any]:
    size = h.shape[-1]

    def step(h: chex.Array, inputs: tuple) -> tuple[chex.Array, tuple[chex.Array, chex.Array]]:
        """h', then h' with r, z, n and h U_n + c; an absent row keeps h."""
        x, present = inputs
        product = h @ recurrent_kernel
        gates = nn.sigmoid(x[:, : 2 * size] + product[:, : 2 * size])
        r, z = jnp.split(gates, 2, axis=-1)
        own = product[:, 2 * size :] + bias
        n = jnp.tanh(x[:, 2 * size :] + r * own)
        new_h = (1 - z) * n + z * h
        new_h = new_h if mask is None else hold(present, h, new_h)
        return new_h, (new_h, jnp.concatenate([gates, n, own], axis=-1))

    hs, gates = jax.lax.scan(step, h, (projected, mask))[1]
    return hs, (recurrent_kernel, h, hs, gates, mask)


def _gru_loop_backward(saved: Any, outputs: chex.Array) -> tuple[Any, ...]:
    recurrent_kernel, first, hs, gates, mask = saved
    r, z, n, own = jnp.split(gates, 4, axis=-1)
    before = _before(first, hs)
    n_by_h = (1 - z) * (1 - n**2)
    factors = [n_by_h * own * r * (1 - r), (before - n) * z * (1 - z), n_by_h * r]
    product_by_h = jnp.concatenate(factors, axis=-1)
    if mask is not None:
        present = mask[..., None]
        product_by_h *= present
        n_by_h *= present
        z = jnp.where(present, z, 1)
    transposed = recurrent_kernel.T

    def step_back(after: chex.Array, step: tuple) -> tuple[chex.Array, Any]:
        """From the gradient by h' of a step, its output apart, to dh; then dh' and all dp."""
        output, product_by_h, z = step
        dh = after + output
        product = jnp.concatenate([dh, dh, dh], axis=-1) * product_by_h
        return dh * z + product @ transposed, (dh, product)

    zero = jnp.zeros_like(first)
    h, (dh, product) = jax.lax.scan(step_back, zero, (outputs, product_by_h, z), reverse=True)
    size = first.shape[-1]
    projected = jnp.concatenate([product[..., : 2 * size], dh * n_by_h], axis=-1)
    bias = product[..., 2 * size :].sum((0, 1))
    return _by_kernel(first, hs, product), bias, h, projected, None


gru_loop.defvjp(_gru_loop_forward, _gru_loop_backward)


def _before(first: chex.Array, hs: chex.Array) -> chex.Array:
    """The states before all steps, `[W, B, H]`."""
    return jnp.concatenate([first[None], hs[:-1]])


def _by_kernel(first: chex.Array, hs: chex.Array, product: chex.Array) -> chex.Array:
    """The gradient by U of the gradients by all products h U."""
    return jnp.einsum("wbh,wbg->hg", _before(first, hs), product)
