"""The Legendre memory unit: a linear memory of the last theta steps, and a tanh RNN on it."""

import dataclasses
import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.cells.interface import ProjectedCell, at_least


class LMUParams(NamedTuple):
    """The parameters of `LMUCell`, with D memories of Q numbers.

    e_x, e_h, e_m  `[F, D]`, `[H, D]` and `[D Q, D]`, make the inputs u of the memories
    W_x, W_h, W_m  `[F, H]`, `[H, H]` and `[D Q, H]`, make the hidden state
    """

    e_x: chex.Array
    e_h: chex.Array
    e_m: chex.Array
    W_x: chex.Array
    W_h: chex.Array
    W_m: chex.Array


class LMUTerms(NamedTuple):
    """The terms of an input x.

    u  what x adds to the inputs of the memories, `[..., D]`
    h  what x adds to the hidden state before the tanh, `[..., H]`
    """

    u: chex.Array
    h: chex.Array


class LMUState(NamedTuple):
    """The state of `LMUCell`, float32.

    h  the hidden state, `[B, H]`
    m  the memories, `[B, D, Q]`
    """

    h: chex.Array
    m: chex.Array


@functools.lru_cache
def legendre_memory(order: int, theta: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrices of a discrete step, m' = A m + B u, for Q = `order`.

    A is float64 `[Q, Q]`, and B is float64 `[Q]`. They discretise the continuous memory
    theta dm/dt = a m + b u:

        a_ij = (2 i + 1) (-1 if i < j else (-1)^(i - j + 1))
        b_i  = (2 i + 1) (-1)^i

    m holds the last `theta` steps of u: u(t - s) is about the sum of P_i(2 s / theta - 1) m_i,
    where P_i are the Legendre polynomials. The discretisation is a zero-order hold, which keeps u
    constant during a step: the exponential of `[[a, b], [0, 0]] / theta` is `[[A, B], [0, 1]]`.
    """
    # Imported here: jax and flax import no SciPy, and it takes 0.2 s.
    from scipy.linalg import expm

    # In float64: in float32 the exponential is off by 1e-6 for Q = 50 and by 2e-5 for Q = 256
    # (theta 64), and every step repeats the error.
    i, j = np.indices((order, order))
    # u is one more number of the state, with derivative 0: so it is held for a step.
    system = np.zeros((order + 1, order + 1))
    system[:-1, :-1] = (2 * i + 1) * np.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    system[:-1, -1] = (2 * i[:, 0] + 1) * (-1.0) ** i[:, 0]
    held = expm(system / theta)
    return held[:-1, :-1], held[:-1, -1]


@dataclasses.dataclass(frozen=True)
class LMUCell(ProjectedCell):
    """The Legendre memory unit (Voelker, Kajic & Eliasmith 2019, section 2).

        u  = x e_x + h e_h + m e_m              D numbers
        m' = A m + B u                          D memories of Q numbers
        h' = tanh(x W_x + h W_h + m' W_m)

    A and B are constants from `legendre_memory`, with which m holds the last theta steps of u as Q
    Legendre coefficients. The state is `LMUState`, zeros at the start; the output is h. u depends
    on h, so there is no form parallel over time.

    Initial parameters are as in the authors' code (github.com/nengo/keras-lmu, formerly abr/lmu, at
    the release of the paper). e_x and e_h are uniform of variance 1 / rows (LeCun), and e_m is
    zero. Each W is normal, truncated, of variance 2 / (rows + columns) (Glorot). There are no
    biases.

    Differences: the paper has one memory. More memories, with which tokens need not share one
    number u, are in later releases of the authors' code.

    Attributes:
      features: H, the number of units of the hidden state.
      order: Q, the numbers of a memory; None for H. Delays of theta steps need Q about theta for
        inputs that change at every step, and a smaller Q for smooth inputs.
      theta: the number of steps that a memory spans, 1 or more.
      memories: D, the number of memories; each remembers one number u.
    """

    features: int
    order: int | None = None
    theta: float = 64.0
    memories: int = 1

    def __post_init__(self) -> None:
        at_least(1, self, "order", "memories", "theta")

    @property
    def numbers(self) -> int:
        """Q, the numbers of a memory."""
        return self.features if self.order is None else self.order

    def init(self, key: chex.PRNGKey, input_size: int) -> LMUParams:
        lecun = jax.nn.initializers.lecun_uniform()
        glorot = jax.nn.initializers.glorot_normal()
        h = self.features
        d = self.memories
        dq = d * self.numbers
        keys = jax.random.split(key, 5)
        return LMUParams(
            e_x=lecun(keys[0], (input_size, d)),
            e_h=lecun(keys[1], (h, d)),
            e_m=jnp.zeros((dq, d)),
            W_x=glorot(keys[2], (input_size, h)),
            W_h=glorot(keys[3], (h, h)),
            W_m=glorot(keys[4], (dq, h)),
        )

    def initial_state(self, params: LMUParams, batch_size: int, input_size: int) -> LMUState:
        memory = jnp.zeros((batch_size, self.memories, self.numbers))
        return LMUState(jnp.zeros((batch_size, self.features)), memory)

    def project(self, params: LMUParams, x: chex.Array) -> LMUTerms:
        return LMUTerms(x @ params.e_x, x @ params.W_x)

    def recur(
        self, params: LMUParams, state: LMUState, terms: LMUTerms
    ) -> tuple[LMUState, chex.Array]:
        u = terms.u + state.h @ params.e_h + _flat(state.m) @ params.e_m
        m = self.remember(state.m, u)
        h = jnp.tanh(terms.h + state.h @ params.W_h + _flat(m) @ params.W_m)
        return LMUState(h, m), h

    def remember(self, m: chex.Array, u: chex.Array) -> chex.Array:
        """Return the next memories A m + B u, `[B, D, Q]`, from m of the same shape and u `[B, D]`.

        The product has full precision. By default, a GPU would round A to 10 bits, and m would then
        hold the inputs of another delay.
        """
        a, b = (jnp.asarray(x, m.dtype) for x in legendre_memory(self.numbers, self.theta))
        return jnp.matmul(m, a.T, precision=jax.lax.Precision.HIGHEST) + u[..., None] * b


def _flat(m: chex.Array) -> chex.Array:
    """Return the memories m, `[B, D, Q]`, as `[B, D Q]`."""
    return m.reshape(len(m), -1)
