"""The time mixing of RWKV-7: a matrix state whose columns decay, and which is corrected by key.

Only the recurrence waits for the state. All other parts are computed for all steps at once: the
products with an input and with the input before it, the token shift and the outputs.
"""

import dataclasses
import functools
import itertools
import math
from typing import ClassVar, NamedTuple

import chex
import jax
import jax.numpy as jnp
from jax.nn.initializers import orthogonal

from echo_jax.cells.interface import Cell, Mask, at_least, divides, is_tokens, scan_over_time
from echo_jax.cells.linear_layers import unit
from echo_jax.cells.matrix_state import chunks

# As in the authors' code, whose heads have 64 numbers; `RWKV7Cell` says what it does to small ones.
EPSILON_NORM = 64e-5  # added to the variance of a head's output
EPSILON_UNIT = 1e-12  # added to the squared length of a removal key


class RWKV7Params(NamedTuple):
    """The parameters of `RWKV7Cell`, with C = heads N channels and the low ranks R and G.

    mu_r ... mu_g    `[F]`, the shares of the previous input in r, k, v, w, a and the gate
    W_r, W_k, W_v    `[F, C]`, make r, p and v
    w0, w1, w2       `[C]`, `[F, R]` and `[R, C]`, make the decay w
    a0, a1, a2       `[C]`, `[F, R]` and `[R, C]`, make the learning rate a
    g1, g2           `[F, G]` and `[G, C]`, make the gate
    xi, alpha        `[C]`, make the removal key and the replacement key from p
    rho              `[C]`, the weights of the inner product of r and k
    gain, bias       `[C]`, the gains and biases of the norm
    W_o              `[C, H]`, makes the output
    """

    mu_r: chex.Array
    mu_k: chex.Array
    mu_v: chex.Array
    mu_w: chex.Array
    mu_a: chex.Array
    mu_g: chex.Array
    W_r: chex.Array
    W_k: chex.Array
    W_v: chex.Array
    w0: chex.Array
    w1: chex.Array
    w2: chex.Array
    a0: chex.Array
    a1: chex.Array
    a2: chex.Array
    g1: chex.Array
    g2: chex.Array
    xi: chex.Array
    alpha: chex.Array
    rho: chex.Array
    gain: chex.Array
    bias: chex.Array
    W_o: chex.Array


class RWKV7State(NamedTuple):
    """The state of `RWKV7Cell`.

    x  the last input, `[B, F]`
    S  a matrix for each head, `[B, heads, N, N]`, with the numbers of a value as rows and the
       numbers of a key as columns
    """

    x: chex.Array
    S: chex.Array


class RWKV7Terms(NamedTuple):
    """The terms of an input, each `[..., heads, N]` except the gate.

    r      the query, which the paper calls receptance
    w      the decay, between 0.545 and 1
    k      the replacement key
    v      the value
    kappa  the removal key, a unit vector in each head
    a      the in-context learning rate, between 0 and 1
    gate   the factors of the output, `[..., C]`
    """

    r: chex.Array
    w: chex.Array
    k: chex.Array
    v: chex.Array
    kappa: chex.Array
    a: chex.Array
    gate: chex.Array


@dataclasses.dataclass(frozen=True)
class RWKV7Cell(Cell):
    """The time mixing of RWKV-7 (Peng et al. 2025, "RWKV-7 Goose", section 4.1).

        x_i   = x + mu_i (x_before - x)                 i one of r, k, v, w, a, g
        r, v  = x_r W_r, x_v W_v
        p     = x_k W_k                                  the key before it is split in two
        w     = exp(-exp(-1/2) sigmoid(w0 + tanh(x_w w1) w2))                  decay
        a     = sigmoid(a0 + x_a a1 a2)                  in-context learning rate
        gate  = sigmoid(x_g g1) g2
        kappa = unit(p xi)                               removal key
        k     = p (1 + (a - 1) alpha)                    replacement key
        S'    = S diag(w) - (S kappa) (a kappa)^T + v k^T
        y     = (gate (norm(S' r) + (r . rho k) v)) W_o

    unit and the inner product act on each head, norm is a layer norm of each head with gain and
    bias, and products of vectors are elementwise. The names are from the paper, except the names w0
    to g2 of its low-rank terms, which are from `RWKV-v7/train_temp/src/model.py` of the repository
    BlinkDL/RWKV-LM. The initial values are those of the first layer in that file, as of 2026.

    Differences from that code: the input has F features, and the C = heads N channels may differ
    from F and H; no residual of the first layer's value; unit(p) is p / sqrt(sum p^2 + 1e-12), for
    a finite slope at zero; w0 has the learning rate of the rest, not twice that.

    The state is `RWKV7State`, float32, zero at the start; its x is for the token shift. mu_i is
    1 - (n / F)^e for feature n, with e 0.2 for r and g, 0.7 for k and v, 0.9 for w and a. W_r and
    W_v are orthogonal, W_k is orthogonal times 0.1, and W_o is zero, so the first output is zero.
    w1, a1 and g1 are zero, w2, a2 and g2 orthogonal times 0.1, or times 0.1 sqrt(R / C) where their
    rank R is above C: 0.2 for R = 32 and C = 8. w0 rises from -5.5 to 0.5 and a0 from -0.39 to 0.01
    over the channels, plus 2.5 and 0.3 times z |z| with z from -1 to 1 in each head; xi falls from
    0.76 to 0.66, alpha is 1.02, rho -0.04, the gain 1, the bias 0.

    norm adds 64e-5 to the variance, as in that code, where heads have 64 numbers. In a small
    `Block` this is the larger term at the start: with heads of 8, S' r has a variance of 2e-5 to
    7e-5, so that the mean square after the norm is 0.03 to 0.09 instead of 1, until r, k and v
    grow.

    Attributes:
      features: H, the number of outputs.
      heads: the number of heads.
      head_size: N, the numbers of a key and of a value in a head; None for H / heads.
      rank: R, the rank of the terms w1 w2 and a1 a2; None for the multiple of 32, at least 32, that
        is nearest to 2.5 sqrt(C).
      gate_rank: G, the rank of the term g1 g2; None for the multiple of 32, at least 32, that is
        nearest to 5 sqrt(C).
    """

    features: int
    heads: int = 1
    head_size: int | None = None
    rank: int | None = None
    gate_rank: int | None = None
    has_scan: ClassVar[bool] = True

    def __post_init__(self) -> None:
        at_least(1, self, "heads", "head_size", "rank", "gate_rank")
        if self.head_size is None:
            divides(self, "heads", self.features, "features")

    @property
    def channels(self) -> int:
        """C, the number of channels: the numbers of all heads together."""
        return self.heads * (self.head_size or self.features // self.heads)

    @property
    def key_value_sizes(self) -> tuple[int, int]:
        size = self.channels // self.heads
        return size, size

    def init(self, key: chex.PRNGKey, input_size: int) -> RWKV7Params:
        size = self.channels
        keys = iter(jax.random.split(key, 6))
        rank = self.rank or _suggested_rank(2.5, size)
        gate_rank = self.gate_rank or _suggested_rank(5, size)
        ramp = jnp.linspace(-0.5, 0.5, size)
        z = jnp.tile(jnp.linspace(-1, 1, size // self.heads), self.heads)
        zigzag = z * jnp.abs(z)
        feature = jnp.arange(input_size) / input_size
        return RWKV7Params(
            mu_r=1 - feature**0.2,
            mu_k=1 - feature**0.7,
            mu_v=1 - feature**0.7,
            mu_w=1 - feature**0.9,
            mu_a=1 - feature**0.9,
            mu_g=1 - feature**0.2,
            W_r=orthogonal()(next(keys), (input_size, size)),
            W_k=orthogonal(0.1)(next(keys), (input_size, size)),
            W_v=orthogonal()(next(keys), (input_size, size)),
            w0=-2.5 + 6 * ramp + 2.5 * zigzag,
            w1=jnp.zeros((input_size, rank)),
            w2=_low_rank(next(keys), rank, size),
            a0=-0.19 + 0.4 * ramp + 0.3 * zigzag,
            a1=jnp.zeros((input_size, rank)),
            a2=_low_rank(next(keys), rank, size),
            g1=jnp.zeros((input_size, gate_rank)),
            g2=_low_rank(next(keys), gate_rank, size),
            xi=0.71 - 0.1 * ramp,
            alpha=jnp.full(size, 1.02),
            rho=jnp.full(size, -0.04),
            gain=jnp.ones(size),
            bias=jnp.zeros(size),
            # So the first update changes W_o alone: the gradients of all others pass through it.
            W_o=jnp.zeros((size, self.features)),
        )

    def initial_state(self, params: RWKV7Params, batch_size: int, input_size: int) -> RWKV7State:
        size = self.channels // self.heads
        x = jnp.zeros((batch_size, input_size))
        return RWKV7State(x, jnp.zeros((batch_size, self.heads, size, size)))

    def step(
        self, params: RWKV7Params, state: RWKV7State, x: chex.Array
    ) -> tuple[RWKV7State, chex.Array]:
        now, before = _kernels(params)
        terms = self._terms(params, x @ now + state.x @ before)
        matrix, read = recur(state.S, terms)
        return RWKV7State(x, matrix), self._read_out(params, read, terms)

    def scan(
        self, params: RWKV7Params, state: RWKV7State, xs: chex.Array, mask: Mask = None
    ) -> tuple[RWKV7State, chex.Array]:
        """Return the last state and the outputs `[T, B, H]`, as `Cell.scan` does.

        If `xs` are tokens, their products are rows of the kernels.
        """
        kernels = _kernels(params)
        now, before = (kernel[xs] if is_tokens(xs) else xs @ kernel for kernel in kernels)
        # The products are shifted and not the inputs, so that tokens need no vectors here.
        _, shifted = token_shift(state.x @ kernels[1], before, mask)
        # No associative scan: a step multiplies S by diag(w) - kappa (a kappa)^T, and products of
        # such matrices are full, and cost N^3 each.
        if chunks.runs_in_chunks(math.prod(self.key_value_sizes)):

            def advance(
                matrix: chex.Array, products: chex.Array, present: chex.Array
            ) -> tuple[chex.Array, chex.Array]:
                terms = self._terms(params, products)
                matrix, read = recur_chunk(matrix, terms, present)
                return matrix, self._read_out(params, read, terms)

            matrix, y = chunks.scan_over_chunks(advance, state.S, now + shifted, mask)
        else:
            terms = self._terms(params, now + shifted)
            matrix, read = scan_over_time(recur, state.S, terms, mask, unroll=1)
            y = self._read_out(params, read, terms)
        vectors = (
            jax.nn.one_hot(xs, state.x.shape[-1], dtype=state.x.dtype) if is_tokens(xs) else xs
        )
        # The state is the last input and not its product: `step` and `scan` go on from one another.
        last, _ = token_shift(state.x, vectors, mask)
        return RWKV7State(last, matrix), y

    def _terms(self, params: RWKV7Params, products: chex.Array) -> RWKV7Terms:
        """Return the terms of inputs, from their `products` with the kernels, `[..., n]`.

        The token shift is already in the products.
        """
        r, p, v, w, a, g = _split(params, products)
        decay = jax.nn.sigmoid(params.w0 + jnp.tanh(w) @ params.w2)
        a = jax.nn.sigmoid(params.a0 + a @ params.a2)
        k = p * (1 + (a - 1) * params.alpha)
        by_head = functools.partial(_by_head, self.heads)
        return RWKV7Terms(
            r=by_head(r),
            # By the constant of the paper a decay is above exp(-0.607) = 0.545, whatever the input.
            w=by_head(jnp.exp(-math.exp(-0.5) * decay)),
            k=by_head(k),
            v=by_head(v),
            kappa=unit(by_head(p * params.xi), EPSILON_UNIT),
            a=by_head(a),
            gate=jax.nn.sigmoid(g) @ params.g2,
        )

    def _read_out(self, params: RWKV7Params, read: chex.Array, terms: RWKV7Terms) -> chex.Array:
        """Return the outputs `[..., H]`, from `read`, which is S' r, `[..., heads, N]`."""
        gain, bias, rho = (
            _by_head(self.heads, leaf) for leaf in (params.gain, params.bias, params.rho)
        )
        bonus = jnp.sum(terms.r * rho * terms.k, axis=-1, keepdims=True) * terms.v
        mixed = gain * layer_norm(read) + bias + bonus
        return (terms.gate * mixed.reshape(terms.gate.shape)) @ params.W_o


def recur(matrix: chex.Array, terms: RWKV7Terms) -> tuple[chex.Array, chex.Array]:
    """Return S' `[B, heads, N, N]`, and S' r `[B, heads, N]`, after a step from S, `matrix`.

    Inside, rows and heads share an axis. With two axes, XLA computes the step again for each sum
    over v in the gradient, which takes nine times as long on a CPU (B 16, one head of 50).
    """
    size = matrix.shape[-1]
    r, w, k, v, kappa, a = (term.reshape(-1, size) for term in terms[:6])
    before = matrix.reshape(-1, size, size)
    removed = jnp.einsum("bvk,bk->bv", before, kappa)
    after = (
        # No einsum for outer products, as in `delta_net.delta_rule_step`: with them evaluation on
        # two CPU devices waited for ever (jax 0.10).
        before * w[:, None] - removed[..., None] * (a * kappa)[:, None] + v[..., None] * k[:, None]
    )
    read = jnp.einsum("bvk,bk->bv", after, r)
    return after.reshape(matrix.shape), read.reshape(terms.r.shape)


def recur_chunk(
    matrix: chex.Array, terms: RWKV7Terms, present: chex.Array
) -> tuple[chex.Array, chex.Array]:
    """Return S and S r of a chunk of C steps, `[B, C, heads, N]`, from S before it.

    Step t adds v_t k_t^T and removes u_t (a_t kappa_t)^T, where u_t is the matrix before step t
    times kappa_t. With c_t = w_1 ... w_t, and S the matrix before the chunk:

        u_t = S (c_{t-1} kappa_t) + sum over i < t of
              ((k_i c_{t-1} / c_i) . kappa_t) v_i - ((a_i kappa_i c_{t-1} / c_i) . kappa_t) u_i

    All u_t solve a triangular system, as in `dplr_chunkwise` of flash-linear-attention. Where
    `present`, bool `[B, C, 1]`, is False, S is held. A decay is above exp(-0.607), so c is above
    6e-5 after 16 steps, and decays may be divided, here relative to the middle of a chunk.
    """
    present = present[:, None]  # heads before steps: the products are batched over B and heads
    r, w, k, v, kappa, a = (jnp.swapaxes(term, 1, 2) for term in terms[:6])
    log_w = jnp.where(present, jnp.log(w), 0)
    log_c = jnp.cumsum(log_w, axis=-2)
    # Results do not depend on the middle, so its gradient, which is zero, need not be computed.
    middle = jax.lax.stop_gradient(log_c[..., -1:, :] / 2)
    until = jnp.exp(log_c - middle)
    since = jnp.exp(middle - log_c)
    r = until * r
    kappa_then = jnp.exp(log_c - log_w - middle) * kappa
    k = jnp.swapaxes(jnp.where(present, since * k, 0), -1, -2)
    removed = jnp.swapaxes(jnp.where(present, since * a * kappa, 0), -1, -2)
    # S^T: the gradients of decays are then sums over the last axis, which are faster on a CPU.
    start = jnp.swapaxes(jnp.exp(middle), -1, -2) * jnp.swapaxes(matrix, -1, -2)
    inverse = chunks.unit_inverse(jnp.tril(kappa_then @ removed, -1))
    u = inverse @ (kappa_then @ start + jnp.tril(kappa_then @ k, -1) @ v)
    read = r @ start + jnp.tril(r @ k) @ v - jnp.tril(r @ removed) @ u
    last = jnp.swapaxes(until[..., -1:, :], -1, -2) * (start + k @ v - removed @ u)
    return jnp.swapaxes(last, -1, -2), jnp.swapaxes(read, 1, 2)


def token_shift(start: chex.Array, xs: chex.Array, mask: Mask) -> tuple[chex.Array, chex.Array]:
    """Return the last x that is present, and for each step the last present x before the step.

        xs        a  b  c  d
        mask      1  0  1  1
        shifted   s  a  a  c        from the start s

    `start` is the x before the first step, `[B, n]`; `xs` and the shifted xs are `[T, B, n]`. An x
    is absent where `mask` is False.
    """
    if mask is None:
        return xs[-1], jnp.concatenate([start[None], xs[:-1]])
    return scan_over_time(lambda last, x: (x, last), start, xs, mask)


def _kernels(params: RWKV7Params) -> tuple[chex.Array, chex.Array]:
    """Return two kernels, (1 - mu) W for x, and mu W for x_before, each `[F, n]`.

    The sum of the two products is (x + mu (x_before - x)) W. Each kernel has the six W side by
    side, in the order of `_inner`.
    """
    pairs = [(mu[:, None], weight) for mu, weight in zip(params[:6], _inner(params), strict=True)]
    now = jnp.concatenate([(1 - mu) * weight for mu, weight in pairs], axis=1)
    return now, jnp.concatenate([mu * weight for mu, weight in pairs], axis=1)


def _inner(params: RWKV7Params) -> tuple[chex.Array, ...]:
    """Return the six weights that multiply an input, in the order of the six mu."""
    return params.W_r, params.W_k, params.W_v, params.w1, params.a1, params.g1


def _split(params: RWKV7Params, products: chex.Array) -> list[chex.Array]:
    """Return the six products, which stand side by side in `products`, as a list."""
    sizes = (weight.shape[1] for weight in _inner(params)[:-1])
    return jnp.split(products, list(itertools.accumulate(sizes)), axis=-1)


def _by_head(heads: int, x: chex.Array) -> chex.Array:
    """Return x, `[..., C]`, as `[..., heads, N]`."""
    return x.reshape(*x.shape[:-1], heads, -1)


def layer_norm(x: chex.Array) -> chex.Array:
    """Return the vectors x of the last axis, scaled to mean 0 and variance 1.

    `EPSILON_NORM` is added to the variance, so a vector of small variance stays small.
    """
    x = x - jnp.mean(x, axis=-1, keepdims=True)
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + EPSILON_NORM)


def _suggested_rank(factor: float, channels: int) -> int:
    """Return the rank that the authors suggest for a number of `channels`.

    It is the multiple of 32, at least 32, that is nearest to `factor` sqrt(channels).
    """
    return max(32, 32 * round(factor * math.sqrt(channels) / 32))


def _low_rank(key: chex.PRNGKey, rank: int, channels: int) -> chex.Array:
    """Return initial weights for the second factor of a low-rank term, `[rank, channels]`."""
    return orthogonal(0.1 * math.sqrt(max(1, rank / channels)))(key, (rank, channels))
