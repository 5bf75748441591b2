"""Recurrent cells: the LSTM step as its equations, the Flax cell around it, cells by name.

Any `flax.linen.RNNCellBase` works in the network. It owns its input projection and is fed one-hot
vectors (or embeddings). A cell may also have the two methods of `recurrence.HoistedCell`; then the
input of all steps is projected before the scan, by a row gather, and only the recurrent part stays
inside.
"""

import importlib
import os
import sys
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
from flax import linen as nn

from echo_jax.config import ConfigError, NetworkConfig
from echo_jax.linear_cells import LRUCell, MinGRUCell
from echo_jax.recurrence import Carry, is_tokens, scan_over_time


class LSTMCarry(NamedTuple):
    """The state of an LSTM: cell state c and output h, each float32 `[B, H]`."""

    cell: chex.Array
    hidden: chex.Array


def lstm_step(
    recurrent_kernel: chex.Array, carry: LSTMCarry, projected: chex.Array
) -> tuple[LSTMCarry, chex.Array]:
    """One step of the LSTM (Hochreiter & Schmidhuber 1997, with the forget gate of Gers 2000).

        i, f, g, o = split(x W + b + h U)
        c' = sigmoid(f) c + sigmoid(i) tanh(g)
        h' = sigmoid(o) tanh(c')

    Args:
      recurrent_kernel: U `[H, 4H]`, the gates i f g o side by side as in Keras.
      carry: c and h, each `[B, H]`.
      projected: x W + b, `[B, 4H]`.

    Returns:
      The next carry, and its h as the output `[B, H]`.
    """
    c, h = carry
    i, f, g, o = jnp.split(projected + h @ recurrent_kernel, 4, axis=-1)
    c = nn.sigmoid(f) * c + nn.sigmoid(i) * jnp.tanh(g)
    h = nn.sigmoid(o) * jnp.tanh(c)
    return LSTMCarry(c, h), h


def lstm_scan(
    recurrent_kernel: chex.Array,
    carry: LSTMCarry,
    projected: chex.Array,
    mask: chex.Array | None,
) -> tuple[tuple[LSTMCarry, chex.Array], chex.Array]:
    """`lstm_step` over time: the definition that `lstm_unroll` is an equal of.

    Returns:
      The last carry and the outputs `[W, B, H]`, and apart from them h before each step,
      `[W, B, H]`.
    """

    def step(carry: LSTMCarry, x: chex.Array) -> tuple[LSTMCarry, tuple[chex.Array, chex.Array]]:
        new_carry, output = lstm_step(recurrent_kernel, carry, x)
        return new_carry, (output, carry.hidden)

    carry, (outputs, hidden_before) = scan_over_time(step, carry, projected, mask)
    return (carry, outputs), hidden_before


@jax.custom_vjp
def lstm_unroll(
    recurrent_kernel: chex.Array,
    carry: LSTMCarry,
    projected: chex.Array,
    mask: chex.Array | None,
) -> tuple[LSTMCarry, chex.Array]:
    """`lstm_scan` with the gradient of its weights as one product.

    Step t sees z_t = projected_t + h_(t-1) U, so dz_t is the gradient of projected_t, and that of
    U is the sum of h_(t-1)^T dz_t over the steps: one product over all steps and rows, where the
    gradient of a scan adds up one a step. The same number; 12% of an update of part 4.
    """
    return lstm_scan(recurrent_kernel, carry, projected, mask)[0]


def _lstm_unroll_forward(
    recurrent_kernel: chex.Array,
    carry: LSTMCarry,
    projected: chex.Array,
    mask: chex.Array | None,
) -> tuple[Any, Any]:
    def run(carry: LSTMCarry, projected: chex.Array) -> tuple[Any, chex.Array]:
        return lstm_scan(recurrent_kernel, carry, projected, mask)

    result, pull_back, hidden_before = jax.vjp(run, carry, projected, has_aux=True)
    return result, (pull_back, hidden_before)


def _lstm_unroll_backward(saved: Any, gradient: Any) -> tuple[Any, ...]:
    pull_back, hidden_before = saved
    carry, projected = pull_back(gradient)
    recurrent_kernel = jnp.einsum("wbh,wbg->hg", hidden_before, projected)
    return recurrent_kernel, carry, projected, None


lstm_unroll.defvjp(_lstm_unroll_forward, _lstm_unroll_backward)


def unit_forget_bias(key: chex.PRNGKey, shape: tuple[int], dtype: Any = jnp.float32) -> chex.Array:
    """Zeros with ones in the forget block, the second quarter: `[4H]`, as in Keras."""
    del key
    gate = jnp.arange(shape[0]) // (shape[0] // 4)
    return (gate == 1).astype(dtype)


class LSTMCell(nn.RNNCellBase):
    """The LSTM in the Keras layout, initialised as Keras does.

    Parameters: `kernel` `[V, 4H]` glorot-uniform, `recurrent_kernel` `[H, 4H]` orthogonal, both
    over their fused shape, and `bias` `[4H]`, zeros with ones in the forget block.

    Attributes:
      features: H, the units.
    """

    features: int

    @nn.compact
    def __call__(self, carry: LSTMCarry, inputs: chex.Array) -> tuple[LSTMCarry, chex.Array]:
        """One step from float32 inputs `[B, V]`, usually one-hot, to the next carry and output."""
        gates = 4 * self.features
        kernel = self.param("kernel", nn.initializers.glorot_uniform(), (inputs.shape[-1], gates))
        recurrent_kernel = self.param(
            "recurrent_kernel", nn.initializers.orthogonal(), (self.features, gates)
        )
        bias = self.param("bias", self.initial_bias, (gates,))
        return lstm_step(recurrent_kernel, carry, inputs @ kernel + bias)

    @nn.nowrap
    def initial_bias(self, key: chex.PRNGKey, shape: tuple[int]) -> chex.Array:
        """`[4H]`, the gates i f g o side by side."""
        return unit_forget_bias(key, shape)

    def project(self, inputs: chex.Array) -> chex.Array:
        """The input's share of the gates, `[..., 4H]`: a one-hot product is a row of the kernel."""
        kernel: chex.Array = self.get_variable("params", "kernel")
        bias: chex.Array = self.get_variable("params", "bias")
        return (kernel[inputs] if is_tokens(inputs) else inputs @ kernel) + bias

    def unroll(
        self, carry: LSTMCarry, projected: chex.Array, mask: chex.Array | None
    ) -> tuple[LSTMCarry, chex.Array]:
        """`lstm_unroll` with the cell's own recurrent kernel."""
        kernel: chex.Array = self.get_variable("params", "recurrent_kernel")
        return lstm_unroll(kernel, carry, projected, mask)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> LSTMCarry:
        """The zero state for inputs of this shape, `[B, V]`."""
        del rng
        zeros = jnp.zeros((*input_shape[:-1], self.features))
        return LSTMCarry(zeros, zeros)

    @property
    def num_feature_axes(self) -> int:
        """The axes of an input that are features, not batch."""
        return 1


class ChronoLSTMCell(LSTMCell):
    """The LSTM with the chrono initialisation of Tallec & Ollivier 2018.

        b_f = log u, u ~ U(1, T - 1)        b_i = -b_f        b_g = b_o = 0

    A unit whose gates see their biases alone keeps u / (1 + u) of its state a step and lets in
    1 / (1 + u), so it holds for about 1 + u steps: over the units these times go from 2 to T.
    Everything else is as in `LSTMCell`.

    Attributes:
      longest: T, the longest dependency that is expected, in steps, 3 or more.
    """

    longest: int = 64

    def __post_init__(self) -> None:
        """Raise ConfigError for a range of times that is empty."""
        if self.longest < 3:
            raise ConfigError(f"longest {self.longest} is below 3 steps: use 3 or more")
        super().__post_init__()

    @nn.nowrap
    def initial_bias(self, key: chex.PRNGKey, shape: tuple[int]) -> chex.Array:
        """`[4H]`: the times of the units in the forget block, their negative in the input block."""
        u = jax.random.uniform(key, (shape[0] // 4,), minval=1.0, maxval=self.longest - 1.0)
        forget = jnp.log(u)
        zeros = jnp.zeros_like(forget)
        return jnp.concatenate([-forget, forget, zeros, zeros])


class IdentityRNNCell(nn.RNNCellBase):
    """The rectified recurrent network that starts as the identity (Le, Jaitly & Hinton 2015).

        h' = relu(x W + h U + b)

    Parameters: `kernel` W `[F, H]` normal with standard deviation 0.001, `recurrent_kernel` U
    `[H, H]`, the identity, and `bias` b `[H]`, zeros. So at the start a state that is not negative
    stays what it is, but for what the input adds. The carry is h, float32 `[B, H]`.

    Attributes:
      features: H, the units.
    """

    features: int

    @nn.compact
    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]`, usually one-hot, to h' twice."""
        units = self.features
        kernel = self.param("kernel", nn.initializers.normal(1e-3), (inputs.shape[-1], units))
        recurrent_kernel = self.param("recurrent_kernel", lambda _: jnp.eye(units))
        bias = self.param("bias", nn.initializers.zeros, (units,))
        h = nn.relu(inputs @ kernel + carry @ recurrent_kernel + bias)
        return h, h

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """The zero state for inputs of this shape, `[B, F]`."""
        del rng
        return jnp.zeros((*input_shape[:-1], self.features))

    @property
    def num_feature_axes(self) -> int:
        """The axes of an input that are features, not batch."""
        return 1


class DelayLineMLP(nn.RNNCellBase):
    """One hidden layer of rectified units on the last D inputs: no memory but a delay line.

        y_t = relu(x_t W_0 + x_(t-1) W_1 + ... + x_(t-D+1) W_(D-1) + b)

    On a window of D steps from a zero carry its last output is that of a multilayer perceptron on
    the window. The carry is the line, in its transposed form: what the inputs so far add to the D-1
    outputs to come, float32 `[B, D-1, H]`.

    Parameters: `kernel` `[D, F, H]` glorot-uniform over `[D F, H]`, and `bias` `[H]`, zeros.

    Attributes:
      features: H, the units.
      delay_line: D, inputs that an output depends on.
    """

    features: int
    delay_line: int = 1

    @nn.compact
    def __call__(self, carry: chex.Array, inputs: chex.Array) -> tuple[chex.Array, chex.Array]:
        """One step from float32 inputs `[B, F]`, usually one-hot, to the next carry and output."""
        shape = (self.delay_line, inputs.shape[-1], self.features)

        def glorot(key: chex.PRNGKey) -> chex.Array:
            flat = (shape[0] * shape[1], shape[2])
            return nn.initializers.glorot_uniform()(key, flat).reshape(shape)

        kernel = self.param("kernel", glorot)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return self.step(carry, jnp.einsum("bf,dfh->bdh", inputs, kernel).at[:, 0].add(bias))

    def step(self, line: chex.Array, projected: chex.Array) -> tuple[chex.Array, chex.Array]:
        """Take the sum for this output off the line and add this input's share to the others."""
        waiting = jnp.concatenate([line, jnp.zeros_like(projected[:, :1])], axis=1) + projected
        return waiting[:, 1:], nn.relu(waiting[:, 0])

    def project(self, inputs: chex.Array) -> chex.Array:
        """The input's share of this output and of the D-1 to come, `[..., D, H]`, bias included."""
        kernel: chex.Array = self.get_variable("params", "kernel")
        bias: chex.Array = self.get_variable("params", "bias")
        shares = (
            jnp.moveaxis(kernel[:, inputs], 0, -2)
            if is_tokens(inputs)
            else jnp.einsum("...f,dfh->...dh", inputs, kernel)
        )
        return shares.at[..., 0, :].add(bias)

    def unroll(
        self, carry: chex.Array, projected: chex.Array, mask: chex.Array | None
    ) -> tuple[chex.Array, chex.Array]:
        """All steps, by `scan_over_time`."""
        return scan_over_time(self.step, carry, projected, mask)

    @nn.nowrap
    def initialize_carry(self, rng: chex.PRNGKey, input_shape: tuple[int, ...]) -> chex.Array:
        """An empty line for inputs of this shape, `[B, F]`."""
        del rng
        return jnp.zeros((*input_shape[:-1], self.delay_line - 1, self.features))

    @property
    def num_feature_axes(self) -> int:
        """The axes of an input that are features, not batch."""
        return 1


CELLS: dict[str, type[nn.RNNCellBase]] = {
    "lstm": LSTMCell,
    "gru": nn.GRUCell,
    "optimized-lstm": nn.OptimizedLSTMCell,
    "simple": nn.SimpleCell,
    "mlp": DelayLineMLP,
    "lstm-chrono": ChronoLSTMCell,
    "identity-rnn": IdentityRNNCell,
    "mingru": MinGRUCell,
    "lru": LRUCell,
}
"""The classes behind `config.CELL_NAMES`."""


def build_cell(config: NetworkConfig, window: int) -> nn.RNNCellBase:
    """The cell that a configuration names, with H features; ConfigError where there is none.

    The cell mlp has a delay line as long as the window, unless the configuration says otherwise.
    """
    if config.cell == "mlp":
        return DelayLineMLP(config.hidden_size, config.delay_line or window)
    cell_class = CELLS[config.cell] if config.cell in CELLS else import_cell(config.cell)
    try:
        return cell_class(features=config.hidden_size)  # type: ignore[call-arg]
    except TypeError as error:
        raise ConfigError(
            f"cell {config.cell!r} cannot be built with features={config.hidden_size} ({error}): "
            "give it a field `features` and a default for every other one"
        ) from error


def check_cell(cell: nn.RNNCellBase, name: str, input_size: int) -> None:
    """Raise ConfigError unless a step of the cell can be scanned. Traces it, compiles nothing.

    A scanned cell keeps all it learns in the collection `params` and all it remembers in its
    carry, which keeps its shapes and types; its output is `[B, features]`.
    """
    inputs = jax.ShapeDtypeStruct((2, input_size), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    try:
        carry = jax.eval_shape(lambda key: cell.initialize_carry(key, inputs.shape), key)
        step, variables = jax.eval_shape(cell.init_with_output, key, carry, inputs)
    except Exception as error:  # whatever a user's cell raises
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(
            f"cell {name!r} fails in a step ({type(error).__name__}: {reason}): "
            "mend it, or try another cell"
        ) from error
    if not (isinstance(step, tuple) and len(step) == 2):
        raise ConfigError(
            f"cell {name!r} returns {_shapes(step)} from a step: return two, the carry and the "
            "output"
        )
    extra = sorted(set(variables) - {"params"})
    if extra:
        raise ConfigError(
            f"cell {name!r} keeps variables in {', '.join(extra)}: move what it learns to `params` "
            "and what it remembers to its carry"
        )
    _check_step(name, carry, *step)


def _check_step(name: str, carry: Carry, new_carry: Carry, output: Any) -> None:
    """Raise ConfigError for a step from one carry to another that no scan can take."""
    if _shapes(new_carry) != _shapes(carry):
        raise ConfigError(
            f"cell {name!r} turns its carry {_shapes(carry)} into {_shapes(new_carry)}: "
            "return a carry of the same tree, shapes and types as initialize_carry"
        )
    if any(leaf.shape[:1] != (2,) for leaf in jax.tree.leaves(carry)):
        raise ConfigError(
            f"cell {name!r} has a carry {_shapes(carry)} for a batch of 2: "
            "give every array of it the batch axis first"
        )
    if not isinstance(output, jax.ShapeDtypeStruct):
        raise ConfigError(
            f"cell {name!r} returns an output {_shapes(output)}: return one array, "
            "[batch, features], and keep the rest in the carry"
        )
    if output.ndim != 2 or output.shape[0] != 2:
        raise ConfigError(
            f"cell {name!r} returns an output of shape {output.shape} for a batch of 2: "
            "return [batch, features]"
        )
    if not jnp.issubdtype(output.dtype, jnp.floating):
        raise ConfigError(
            f"cell {name!r} returns an output of type {output.dtype}, which has no gradient: "
            "return real floating-point numbers"
        )


def import_cell(name: str) -> type[nn.RNNCellBase]:
    """The class that `package.module:Class` names, also in the current folder."""
    module_name, class_name = name.split(":")
    here = os.getcwd()  # a script's own folder is on the path, the user's is not
    sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except (Exception, SystemExit) as error:  # whatever the user's module raises
        raise ConfigError(
            f"cell {name!r} cannot be imported ({type(error).__name__}: {error}): "
            f"{_mend_import(error, module_name)}"
        ) from error
    finally:
        sys.path.remove(here)
    if not (isinstance(found, type) and issubclass(found, nn.RNNCellBase)):
        raise ConfigError(f"cell {name!r} is no flax.linen.RNNCellBase: derive it from that class")
    return found


def _mend_import(error: BaseException, module: str) -> str:
    """What helps against an error of an import."""
    if isinstance(error, SystemExit):
        return 'put what it runs as a program below `if __name__ == "__main__":`'
    not_there = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
    if not_there or isinstance(error, AttributeError):
        return "name a module that Python finds, also in the current folder, and a class in it"
    return "mend the module, or install what it needs"


def _shapes(tree: Carry) -> str:
    return str(jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", tree))
