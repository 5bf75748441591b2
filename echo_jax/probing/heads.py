"""Fit linear heads to given states: a softmax regression for each lag."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.learner.loss import cross_entropy
from echo_jax.learner.recalibration import fitted_factors, recalibrated_nats

PENALTIES = {1e-1: 4, 1e-2: 6, 1e-3: 10, 1e-4: 16, 1e-5: 24}
"""The iterations of L-BFGS for each L2 penalty of the weights, strongest first.

Each fit starts from the fit before. A lag takes the fit with the least loss on the second part.
"""

LEAST_VARIANCE = 1e-10
"""The share of the largest variance below which a direction of the states is a rounding error."""

LEAST_DEVIATION = 1e-30
"""The deviation up to which a number of the state counts as constant.

The scale of a number with a larger deviation, 1 / deviation, is finite.
"""

LARGEST_FACTOR, HALVINGS = 100.0, 30  # of recalibration, as in the protocol of a card

AT_ONCE = 2**19  # logits that are computed at once


class Examples(NamedTuple):
    """The states of one part of the streams, with their targets.

    states   float32 `[E, D]`
    targets  int32 `[E, N]`: the token at each lag
    context  int32 `[E]`: the row of log-shares to which heads add their logits
    """

    states: chex.Array
    targets: chex.Array
    context: chex.Array


def nats_of(fitted: Examples, chosen: Examples, scored: Examples, logs: np.ndarray) -> np.ndarray:
    """Return the cross-entropy of heads for each answer of `scored`, `[E, N]`, in nats.

    The heads are fitted to `fitted`, and `chosen` chooses their penalty and recalibration. A head
    adds its logits to the log-shares of an n-gram, `logs` `[G, N, V]`. For states without numbers,
    a head adds only its bias.
    """
    centre, matrix = whitening(fitted.states)
    fitted, chosen, scored = (
        Examples(jnp.asarray((x.states - centre) @ matrix), *map(jnp.asarray, x[1:]))
        for x in (fitted, chosen, scored)
    )
    shares = jnp.asarray(logs)
    weights = _fit(fitted, chosen, shares)
    return np.asarray(_recalibrated(weights, shares, chosen, scored))


def whitening(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the centre `[D]` of `states` `[E, D]`, and the matrix `[D, R]` that whitens them.

    Directions that do not vary are left out, and R directions remain. The matrix is computed in
    float64 and returned in float32.
    """
    centre = states.mean(axis=0, dtype=np.float64)
    # Piece by piece, as the differences are float64: of all states they take twice the memory.
    pieces = np.array_split(states, 1 + states.size // AT_ONCE)
    covariance = sum((x := piece - centre).T @ x for piece in pieces) / len(states)
    deviation = np.sqrt(np.diagonal(covariance))
    scale = np.divide(1, deviation, where=deviation > LEAST_DEVIATION, out=np.zeros_like(deviation))
    # Scaled to unit variance first: which direction is left out depends on no unit.
    variances, directions = np.linalg.eigh(covariance * scale * scale[:, None])
    kept = variances > LEAST_VARIANCE * variances.max(initial=0)
    matrix = scale[:, None] * directions[:, kept] / np.sqrt(variances[kept])
    return centre.astype(np.float32), matrix.astype(np.float32)


def _fit(fitted: Examples, chosen: Examples, logs: chex.Array) -> chex.Array:
    """Return the weights with each lag's least loss on `chosen`, `[R + 1, N, V]`, bias last.

    The weights are fitted to `fitted` with each penalty; `logs` are as in `nats_of`.
    """
    # Takes 0.5 s to import, and only heads need it.
    from scipy.optimize import minimize

    shape = fitted.states.shape[-1] + 1, *logs.shape[1:]
    flat = np.zeros(np.prod(shape))
    # Weights of 0 give the answer of the n-gram, which a lag keeps unless a fit loses less.
    best = np.zeros(shape, np.float32)
    least = np.asarray(_losses(best, chosen, logs))
    for penalty, iterations in PENALTIES.items():

        def objective(flat: np.ndarray, penalty: float = penalty) -> tuple[float, np.ndarray]:
            value, slope = _objective(np.float32(flat.reshape(shape)), fitted, logs, penalty)
            return float(value), np.asarray(slope, np.float64).ravel()

        options = {"maxiter": iterations}
        flat = minimize(objective, flat, jac=True, method="L-BFGS-B", options=options).x
        weights = np.float32(flat.reshape(shape))
        losses = np.asarray(_losses(weights, chosen, logs))
        # No lag gained, so none is expected to gain by a still weaker penalty.
        if not (losses < least).any():
            break
        best = np.where((losses < least)[:, None], weights, best)
        least = np.minimum(losses, least)
    return jnp.asarray(best)


@jax.jit
@jax.value_and_grad
def _objective(
    weights: chex.Array, examples: Examples, logs: chex.Array, penalty: chex.Numeric
) -> chex.Array:
    """Return the penalised loss of `weights` on `examples`, and its gradient.

    The loss is the sum over lags, plus half the `penalty` times the sum of the squared weights; the
    bias is not penalised. `logs` are as in `nats_of`.
    """
    squares = jnp.sum(weights[:-1] ** 2)  # the bias goes free
    return jnp.sum(_losses(weights, examples, logs)) + penalty / 2 * squares


@jax.jit
def _losses(weights: chex.Array, examples: Examples, logs: chex.Array) -> chex.Array:
    """Return the mean cross-entropy of heads with `weights` on `examples` for each lag, `[N]`.

    `logs` are the log-shares as in `nats_of`.
    """
    flat = weights.reshape(len(weights), -1)

    # Else the gradient keeps N V logits of every example, more than the states themselves.
    @jax.checkpoint
    def of_one(example: Examples) -> chex.Array:
        """Return the cross-entropy of one `example` at each lag, `[N]`."""
        heads = example.states @ flat[:-1] + flat[-1]
        logits = heads.reshape(weights.shape[1:]) + logs[example.context]
        return cross_entropy(logits, example.targets)

    at_once = min(len(examples.context), max(16, AT_ONCE // logs[0].size))
    return jnp.mean(jax.lax.map(of_one, examples, batch_size=at_once), axis=0)


@jax.jit
def _recalibrated(
    weights: chex.Array, logs: chex.Array, chosen: Examples, scored: Examples
) -> chex.Array:
    """Return the cross-entropy of `scored` answers, `[E, N]`, recalibrated by lag on `chosen`.

    `weights` are the weights of the heads, and `logs` are the log-shares as in `nats_of`.
    """

    # One lag after the other: the logits of all of them are N times as many.
    def of_lag(lag: tuple[chex.Array, ...]) -> chex.Array:
        """Return the nats `[E]` of one `lag`: its head `[R + 1, V]`, log-shares and targets."""
        head, shares, known, targets = lag
        calibration, answers = (
            (x.states @ head[:-1] + head[-1] + shares[x.context])[:, None] for x in (chosen, scored)
        )
        factors = fitted_factors(calibration, known[:, None], LARGEST_FACTOR, HALVINGS)
        return recalibrated_nats(factors, 1 / len(known), answers, targets[:, None])[:, 0]

    by_lag = (jnp.moveaxis(x, 1, 0) for x in (weights, logs, chosen.targets, scored.targets))
    return jax.lax.map(of_lag, tuple(by_lag)).T
