"""Why the first lag that fewer than half of the seeds pass is not passed.

gradient    how much the answer depends on each input, before and after training
change      how much another token at the lag changes the answer
curriculum  training on that lag from the weights that passed a shorter one
"""

from collections.abc import Iterator

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.core import network
from echo_jax.core.data import Purpose
from echo_jax.core.network import Params
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.parallel_runs import RawRow
from echo_jax.memory_benchmark.seed_climb import SeedClimb
from echo_jax.memory_benchmark.tasks import Sequences
from echo_jax.memory_benchmark.training import LadderTraining, Run
from echo_jax.report.number_formats import plain

DEVIATIONS = (0.0, 0.1, 0.3, 1.0, 3.0)
"""Deviations of the noise on the weights at which a change is looked for."""


def rows(climb: SeedClimb) -> Iterator[RawRow]:
    """The raw rows `jacobian` and `curriculum`; none if half of the seeds missed no lag.

    A zero gradient does not prove independence (rounding has no gradient, nor has a closed gate),
    so the token is also replaced, at the initial and the trained weights and at noisy ones.
    """
    _, lag = spans.span_of_half(climb.climbs())
    if lag is None:
        return
    climb.parallel.tell(f"cause: the gradient at lag {lag}")
    training, length = climb.training, climb.training.length(lag)

    def examined(run: Run, params: Params) -> tuple[chex.Array, chex.Array]:
        gradients = gradient_profile(training, length, lag, run, params)
        return gradients, change_nearby(training, length, run, params)

    seeds, ((before, early), (after, late)) = climb.measure(
        lambda run, trained: (examined(run, training.init(run).params), examined(run, trained)), lag
    )
    for i, seed in enumerate(seeds):
        row: RawRow = {"kind": "jacobian", "seed": seed, "lag": lag}
        row |= {"before": plain(before[i], ".6g"), "after": plain(after[i], ".6g")}
        yield row | {"change": plain(max(early[i], late[i]), ".6g")}
    climb.parallel.interrupts.check()
    yield from curriculum_rows(climb, lag)


def curriculum_rows(climb: SeedClimb, lag: int) -> Iterator[RawRow]:
    """The seeds that missed a lag, trained on it from the last one that they passed."""
    runs, weights, shorter = [], [], []
    for seed, each in climb.climbs().items():
        if each.missed == lag and each.rate is not None:
            runs.append(Run(seed, lag, each.rate))
            shorter.append(each.passed)
            weights.append(climb.weights[seed, each.passed])
    if not runs:
        return
    climb.parallel.tell(f"cause: lag {lag} from the weights of a shorter one")
    params = jax.tree.map(lambda *x: np.stack(x), *weights)
    trained = climb.parallel.train(climb.training, runs, climb.training.protocol.budget, params)
    for row, last in zip(trained.rows, shorter, strict=True):
        yield {"kind": "curriculum", "from": last} | row
    climb.parallel.interrupts.check()


def gradient_profile(
    training: LadderTraining, length: int, longest: int, run: Run, params: Params
) -> chex.Array:
    """The gradient of the last answer of a stream by each input: float32 `[longest + 1]`.

    The norm of the gradient of the answer's logit margin (the logit of the target less the largest
    other) with respect to the input j steps back, j = 0 .. longest; the mean over sequences.
    """
    asked = last_answers(training, length, run)
    inputs = jax.nn.one_hot(asked.tokens.T, training.network.tokens)
    first, target = training.network.initial_state(params, len(asked.tokens)), asked.targets[:, -1]

    def margins(inputs: chex.Array) -> chex.Array:
        """The sum of the logit margins of all last answers."""
        _, outputs = network.unroll_inputs(training.network, params, first, inputs, None)
        logits = network.read_out(training.network, params, outputs[-1])
        own = jax.nn.one_hot(target, logits.shape[-1], dtype=bool)
        best_other = jnp.max(jnp.where(own, -jnp.inf, logits), axis=-1)
        return jnp.sum(jnp.sum(jnp.where(own, logits, 0), axis=-1) - best_other)

    norms = jnp.linalg.norm(jax.grad(margins)(inputs), axis=-1)
    return jnp.mean(norms, axis=1)[::-1][: longest + 1]


def change(training: LadderTraining, length: int, run: Run, params: Params) -> chex.Array:
    """The largest change of a last logit by another token at the lag, relative to the largest.

    0 only if no bit of any sequence changes; of logits that are not finite, infinity.
    """
    tokens = last_answers(training, length, run).tokens
    at_lag = jnp.arange(length) == length - 1 - run.rung
    others = jnp.where(at_lag, (tokens + 1) % training.ladder.vocab_size, tokens)
    last, last_of_others = (training.logits(params, each)[:, -1] for each in (tokens, others))
    scale = jnp.maximum(jnp.max(jnp.abs(last)), jnp.finfo(jnp.float32).tiny)
    found = jnp.max(jnp.where(last == last_of_others, 0.0, jnp.abs(last - last_of_others))) / scale
    return jnp.where(jnp.isfinite(found), found, jnp.inf)


def change_nearby(training: LadderTraining, length: int, run: Run, params: Params) -> chex.Array:
    """The largest `change` at these weights, and with noise of some deviations on them.

    A closed gate hides all inputs behind it, and nearby weights open it. An analytic function of
    the weights that is zero at weights drawn from a normal distribution is zero everywhere, with
    probability 1.
    """
    key = jax.random.fold_in(training.data_key(run, Purpose.EVALUATION), 2**31 - 3)
    leaves, tree = jax.tree.flatten(params)

    def at(deviation: chex.Array) -> chex.Array:
        """The change with noise of this deviation on the weights."""
        keys = jax.random.split(key, len(leaves))
        drawn = [
            x + deviation * jax.random.normal(k, x.shape, x.dtype)
            for k, x in zip(keys, leaves, strict=True)
        ]
        return change(training, length, run, jax.tree.unflatten(tree, drawn))

    return jnp.max(jax.lax.map(at, jnp.asarray(DEVIATIONS)))


def last_answers(training: LadderTraining, length: int, run: Run) -> Sequences:
    """The streams whose last answers are examined."""
    key = jax.random.fold_in(training.data_key(run, Purpose.EVALUATION), 2**31 - 1)
    return training.draw(key, training.protocol.gradient_sequences, length, run.rung)
