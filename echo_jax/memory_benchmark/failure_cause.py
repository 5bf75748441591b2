"""Why the first lag that fewer than half of the seeds learn is not learned.

gradient    how much the answer depends on each input, before and after training
depends     True if another token at the lag changes the answer at all
curriculum  training on that lag from the weights that learned a shorter one
"""

from collections.abc import Iterator

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.core import network
from echo_jax.core.data import Purpose, one_hot_encode
from echo_jax.core.network import Params
from echo_jax.memory_benchmark.lag_training import LagTraining, Run
from echo_jax.memory_benchmark.parallel_runs import RawRow
from echo_jax.memory_benchmark.tasks import Sequences
from echo_jax.memory_benchmark.train_ladder import TrainLadder
from echo_jax.report.number_formats import plain


def rows(ladder: TrainLadder) -> Iterator[RawRow]:
    """The raw rows `jacobian` and `curriculum`; none if half of the seeds learned every lag.

    A zero gradient does not prove independence (rounding has no gradient, nor has a closed gate),
    so the token is also perturbed, at the initial and the trained weights and at noisy ones.
    """
    _, lag = ladder.halves()
    if lag is None:
        return
    ladder.parallel.tell(f"cause: the gradient at lag {lag}")
    training, length = ladder.training, ladder.training.length(lag)

    def examined(run: Run, params: Params) -> tuple[chex.Array, chex.Array]:
        gradients = gradient_profile(training, length, lag, run, params)
        return gradients, depends_nearby(training, length, run, params)

    (before, early), (after, late) = ladder.measure(
        lambda run, trained: (examined(run, training.init(run).params), examined(run, trained)), lag
    )
    for i, seed in enumerate(ladder.parallel.seeds):
        row: RawRow = {"kind": "jacobian", "seed": seed, "lag": lag}
        row |= {"before": plain(before[i], ".6g"), "after": plain(after[i], ".6g")}
        slopes = [row["before"][lag], row["after"][lag]]
        yield row | {"depends": any(slopes) or bool(early[i] or late[i])}
    ladder.parallel.interrupts.check()
    yield from curriculum_rows(ladder, lag)


def curriculum_rows(ladder: TrainLadder, lag: int) -> Iterator[RawRow]:
    """The seeds that failed at a lag, trained on it from their last shorter lag that succeeded."""
    runs, weights, shorter = [], [], []
    for i, seed in enumerate(ladder.parallel.seeds):
        lags = [x for x in ladder.trained if x < lag and seed in ladder.successes(x)]
        if lags and seed not in ladder.successes(lag):
            runs.append(Run(seed, lag, ladder.rate))
            shorter.append(max(lags))
            weights.append(jax.tree.map(lambda x, i=i: x[i], ladder.trained[max(lags)].params))
    if not runs:
        return
    ladder.parallel.tell(f"cause: lag {lag} from the weights of a shorter one")
    params = jax.tree.map(lambda *x: np.stack(x), *weights)
    budget = ladder.training.protocol.budget
    trained = ladder.parallel.train(ladder.training, runs, budget, params)
    for row, last in zip(trained.rows, shorter, strict=True):
        yield {"kind": "curriculum", "from": last} | row
    ladder.parallel.interrupts.check()


def gradient_profile(
    training: LagTraining, length: int, longest: int, run: Run, params: Params
) -> chex.Array:
    """The gradient of the last answer of a stream by each input: float32 `[longest + 1]`.

    The norm of the gradient of the answer's logit margin (the logit of the target less the largest
    other) with respect to the input j steps back, j = 0 .. longest; the mean over sequences.
    """
    asked = last_answers(training, length, run)
    inputs = one_hot_encode(asked.tokens.T, training.network.tokens)
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


def depends(training: LagTraining, length: int, run: Run, params: Params) -> chex.Array:
    """True if another token at the lag changes any bit of the last logits of any sequence."""
    tokens = last_answers(training, length, run).tokens
    at_lag = jnp.arange(length) == length - 1 - run.lag
    others = jnp.where(at_lag, (tokens + 1) % training.protocol.vocab_size, tokens)
    last, last_of_others = (training.logits(params, each)[:, -1] for each in (tokens, others))
    return jnp.any(last != last_of_others)


def depends_nearby(training: LagTraining, length: int, run: Run, params: Params) -> chex.Array:
    """True if the answer `depends` at these weights, or with noise of some deviation on them.

    A closed gate hides all inputs behind it, and nearby weights open it. An analytic function of
    the weights that is zero at weights drawn from a normal distribution is zero everywhere, with
    probability 1.
    """
    key = jax.random.fold_in(training.data_key(run, Purpose.EVALUATION), 2**31 - 3)
    leaves, tree = jax.tree.flatten(params)

    def at(deviation: chex.Array) -> chex.Array:
        """True if the answer depends, with noise of this deviation on the weights."""
        keys = jax.random.split(key, len(leaves))
        drawn = [
            x + deviation * jax.random.normal(k, x.shape, x.dtype)
            for k, x in zip(keys, leaves, strict=True)
        ]
        return depends(training, length, run, jax.tree.unflatten(tree, drawn))

    return jnp.any(jax.lax.map(at, jnp.asarray((0.0, 0.1, 0.3, 1.0, 3.0))))


def last_answers(training: LagTraining, length: int, run: Run) -> Sequences:
    """The streams whose last answers are examined."""
    key = jax.random.fold_in(training.data_key(run, Purpose.EVALUATION), 2**31 - 1)
    return training.draw(key, (training.protocol.gradient_sequences, length), run.lag)
