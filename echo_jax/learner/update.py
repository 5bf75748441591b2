"""Make one update: loss, gradient, one step of the optimizer; loop over chunks of updates.

`adam` chooses between two forms of the direction that the gradient becomes:

literal  the definition: `optax.scale_by_adam`
fast     `fused_adam` computes the same direction with one root and one division per weight;
         tests/echo/test_training.py compares it with `optax.adam`
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from echo_jax.learner.network import Compute, Params

# Those of Keras; the epsilon of optax is 1e-8 by default.
ADAM = {"b1": 0.9, "b2": 0.999, "eps": 1e-7}


class TrainState(NamedTuple):
    """Everything that training carries from update to update.

    step       int32, updates made so far
    params     the network's parameters
    opt_state  the state of the optimizer: for Adam, its moments
    """

    step: chex.Array
    params: Params
    opt_state: optax.OptState


def update(
    loss_fn: Callable[[Params], tuple[chex.Array, Any]],
    rule: optax.GradientTransformation,
    learning_rate: chex.Numeric,
    state: TrainState,
) -> tuple[TrainState, chex.Array, Any]:
    """Make one optimizer step: p <- p - learning_rate * direction, for the parameters p.

    `loss_fn` maps parameters to the loss and a further output. The `rule` turns the gradient into
    a direction. The learning rate is not part of the rule, so that the rate can be traced. Returns
    the new state, the loss before the step, and the further output of `loss_fn`.
    """
    (loss, also), gradient = jax.value_and_grad(loss_fn, has_aux=True)(state.params)
    direction, opt_state = rule.update(gradient, state.opt_state, state.params)
    params = jax.tree.map(lambda p, d: p - learning_rate * d, state.params, direction)
    return TrainState(state.step + 1, params, opt_state), loss, also


def adam(compute: Compute, keras_epsilon: bool = False) -> optax.GradientTransformation:
    """Return Adam with the numbers in `ADAM`: in the form `compute`, literal as in optax, or fast.

    With `keras_epsilon`, both forms are fast, as the epsilon of Keras has no form in optax.
    """
    if compute == "literal" and not keras_epsilon:
        return optax.scale_by_adam(**ADAM)
    return fused_adam(keras_epsilon)


def fused_adam(keras_epsilon: bool = False) -> optax.GradientTransformation:
    """Return Adam (Kingma & Ba 2015) with one root and one division per weight.

        m = b1 m + (1 - b1) g      v = b2 v + (1 - b2) g^2      s = sqrt(1 - b2^t)
        direction = s / (1 - b1^t) * m / (sqrt(v) + e)

    g is the gradient of a weight at update t = 1, 2, ..., and m and v are its moments, at first 0.
    b1, b2 and eps are in `ADAM`. With e = eps s this equals algorithm 1 of the paper and
    `optax.scale_by_adam`, whose bias corrections cost two more divisions per weight: 6% of an
    update of part 4. With `keras_epsilon`, e = eps, as Keras adds epsilon before it corrects v.
    """
    b1 = ADAM["b1"]
    b2 = ADAM["b2"]
    eps = ADAM["eps"]

    def direction_of(
        grads: Params, state: optax.ScaleByAdamState, params: Params | None = None
    ) -> tuple[Params, optax.ScaleByAdamState]:
        """Return Adam's direction for the gradients `grads`, and the next moments."""
        del params
        count = state.count + 1
        step = count.astype(jnp.result_type(float))
        s = jnp.sqrt(1 - b2**step)
        # sqrt(v / s^2) + eps = (sqrt(v) + eps s) / s, so s can leave the root.
        e = eps if keras_epsilon else eps * s
        rate = s / (1 - b1**step)
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, grads)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, state.nu, grads)
        direction = jax.tree.map(lambda m, v: rate * m / (jnp.sqrt(v) + e), mu, nu)
        return direction, optax.ScaleByAdamState(count, mu, nu)

    return optax.GradientTransformation(optax.scale_by_adam().init, direction_of)


class TrainedChunk(NamedTuple):
    """The outcome of one chunk in `train_chunks`."""

    done: int  # units of training made so far, such as sequences
    size: int  # those of this chunk
    state: Any  # valid until the next chunk starts, which reuses its memory
    metrics: Any  # numpy leaves


def train_chunks(
    run_chunk: Callable[[Any, int], tuple[Any, Any]],
    state: Any,
    units: range,
    size: int,
    every: int | None = None,
) -> Iterator[TrainedChunk]:
    """Train on a range of `units`, such as sequences, and yield a `TrainedChunk` for each chunk.

    Training starts from `state`. `run_chunk` maps a state and a number of units to the next state
    and the metrics. A chunk has at most `size` units, and no chunk goes past a multiple of `every`
    units; None sets no such limit.
    """
    done = units.start
    while done < units.stop:
        border = (done // every + 1) * every if every else units.stop
        count = min(size, border - done, units.stop - done)
        state, metrics = run_chunk(state, count)
        done += count
        # jax returns before it has computed. Reading the metrics waits for the chunk, so that the
        # caller's clock is right.
        yield TrainedChunk(done, count, state, jax.device_get(metrics))
