"""The echo task: random sequences, one-hot and back, rows of lag windows, streams, floors.

A sequence of L 7 and the rows that W 3, lag 1, B 2 make of it (the first viable row, ending at
t = 2, is dropped: 5 viable rows hold two batches of 2):

    time      0  1  2  3  4  5  6
    sequence  4  0  7  1  9  3  5

    batch 0   0  7  1  =>  7        row 0, ends at t = 3
              7  1  9  =>  1        row 1
    batch 1   1  9  3  =>  9        row 2: its state, if any, comes from row 0
              9  3  5  =>  3        row 3: from row 1
"""

import enum
import math
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.config import TaskConfig

EXACT_STEPS = 32
"""The order-blind floor of a longer window is simulated: the exact one takes too long."""


WINDOWS_SEEN = 5000
"""About so many windows of a user's own tokens go into their order-blind floor."""


class Stream(enum.IntEnum):
    """What randomness is for. Streams of one seed are independent of each other."""

    WEIGHTS = 0
    DATA = 1
    EVALUATION = 2


class Batch(NamedTuple):
    """One batch of rows; a leading axis K where all batches of a sequence are stacked.

    inputs   int32 [B, W]  tokens; V where a value is missing that the network is to see as such
    mask     bool [B, W] or None  False where a missing value is masked (None: nowhere)
    targets  int32 [B, T]  T = 1, the target of the last step; in streams T = W, one for each step
    scored   bool [B, T] or None  False where there is no target (None: nowhere)
    """

    inputs: chex.Array
    mask: chex.Array | None
    targets: chex.Array
    scored: chex.Array | None


class Corpus(NamedTuple):
    """The user's own numbers as tokens, in order.

    training  int32 [M], where training sequences are cut from
    held_out  int32 [M'], what follows it, where those of the evaluation are cut from
    """

    training: chex.Array
    held_out: chex.Array


class Floor(NamedTuple):
    """The best that some limited knowledge allows: accuracy in [0, 1] and loss.

    The loss is in nats, of framing `values` a squared error.
    """

    accuracy: float
    loss: float


def stream_key(seed: chex.Numeric, stream: Stream) -> chex.PRNGKey:
    """The key of one stream of randomness of a seed; fold in a counter for each use."""
    return jax.random.fold_in(jax.random.key(seed), stream)


def draw_sequence(key: chex.PRNGKey, task: TaskConfig) -> chex.Array:
    """Integers drawn uniformly from 0 .. V-1: int32 `[L]`, in streams `[B, L]`.

    The remainder of 32 random bits: no value is more likely than another by more than a share of
    V / 2^32. `jax.random.randint` draws twice as many bits against that, and takes half a second
    more to compile.
    """
    shape = (task.length,) if task.layout != "streams" else (task.batch_size, task.length)
    return (jax.random.bits(key, shape) % task.vocab_size).astype(jnp.int32)


def cut_sequence(key: chex.PRNGKey, tokens: chex.Array, task: TaskConfig) -> chex.Array:
    """L tokens in a row from a random place of int32 `[M]`: int32 `[L]`, in streams `[B, L]`."""
    shape = () if task.layout != "streams" else (task.batch_size,)
    starts = (jax.random.bits(key, shape) % (len(tokens) - task.length + 1)).astype(jnp.int32)
    return jnp.asarray(tokens)[starts[..., None] + jnp.arange(task.length)]


def draw_sequences(
    seed: chex.Numeric,
    stream: Stream,
    counters: chex.Array,
    task: TaskConfig,
    corpus: Corpus | None = None,
) -> chex.Array:
    """The sequences with these counters, int32 `[N, L]` (streams `[N, B, L]`).

    Sequence i depends on seed, stream and i alone, not on how many are drawn beside it. With a
    corpus they are cut from it: those of the evaluation from its held-out part, the others from
    its training part.
    """
    chex.assert_rank(counters, 1)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(stream_key(seed, stream), counters)
    if corpus is None:
        return jax.vmap(lambda key: draw_sequence(key, task))(keys)
    tokens = corpus.held_out if stream == Stream.EVALUATION else corpus.training
    return jax.vmap(lambda key: cut_sequence(key, tokens, task))(keys)


def one_hot_encode(tokens: chex.Array, vocab_size: int) -> chex.Array:
    """One-hot vectors, float32 `[..., V]`, of tokens `[...]`; zeros for one outside 0 .. V-1."""
    return (tokens[..., None] == jnp.arange(vocab_size)).astype(jnp.float32)


def one_hot_decode(vectors: chex.Array) -> chex.Array:
    """The position of the largest entry of each vector: `[..., V]` to int32 `[...]`."""
    return jnp.argmax(vectors, axis=-1).astype(jnp.int32)


def sequence_batches(tokens: chex.Array, task: TaskConfig, lag: chex.Numeric) -> Batch:
    """All batches of one sequence, stacked: a `Batch` with a leading axis K.

    Args:
      tokens: int32 `[L]`, in streams `[B, L]`.
      task: gives every shape.
      lag: n; may be traced. It gives as many rows as `task.row_times`, see `RunConfig.shapes`.
    """
    if task.layout == "streams":
        return _stream_batches(tokens, task, lag)
    return _row_batches(tokens, task, lag)


def in_order(values: chex.Array, task: TaskConfig) -> chex.Array:
    """Values of a stacked batch `[K, B, T]` in the order of the sequence: `[streams, P]`.

    The P positions are the K*B rows (one stream), in streams the L time steps of B streams.
    """
    if task.layout != "streams":
        return values.reshape(1, -1)
    return jnp.moveaxis(values, 0, 1).reshape(task.batch_size, -1)[:, : task.length]


def chance_floor(task: TaskConfig) -> Floor:
    """What guessing gives: accuracy 1/V, loss ln V nats; of values their variance."""
    if task.framing == "values":
        return Floor(1 / task.vocab_size, _variance(task.vocab_size))
    return Floor(1 / task.vocab_size, math.log(task.vocab_size))


def chance_distance(vocab_size: int) -> float:
    """E|x - m| of x uniform on 0 .. V-1 and its median m, which no other guess is nearer than."""
    return (vocab_size // 2) * (-(-vocab_size // 2)) / vocab_size


def majority_floor(tokens: np.ndarray) -> Floor:
    """What knowing how frequent each of int32 `[M]` is gives, and nothing about their order.

    Always the most common one is right in its share of them; the best loss is their entropy, nats.
    """
    shares = np.unique(tokens, return_counts=True)[1] / len(tokens)
    return Floor(float(shares.max()), float(-np.sum(shares * np.log(shares))))


def order_blind_floor(task: TaskConfig) -> Floor:
    """What is reached by knowing which values stand in the last W steps, but not where.

    Given the values of a window of m steps, of which one is the target, each is the target with
    its share of the window: the best guess is right with E[largest count] / m and its loss is the
    entropy of the shares; of framing values their variance, 1 - 1/m of that of one value. A target
    outside the window leaves chance. At the start of prefixes and of streams the window is as long
    as the sequence so far; the floor is the mean over targets.
    """
    times = task.target_times if task.layout == "streams" else task.row_times
    sizes, targets = np.unique(np.minimum(np.asarray(times) + 1, task.window), return_counts=True)
    known = (task.lag >= 0) & (task.lag < sizes)
    largest = _expected_largest_counts(int(sizes.max()), task.vocab_size)[sizes] / sizes
    chance = chance_floor(task)
    if task.framing == "values":
        best = chance.loss * (1 - 1 / sizes)
    else:
        best = np.array([_expected_entropy(int(m), task.vocab_size) for m in sizes])
    accuracy = np.average(np.where(known, largest, chance.accuracy), weights=targets)
    loss = np.average(np.where(known, best, chance.loss), weights=targets)
    return Floor(float(accuracy), float(loss))


def order_blind_floor_of(tokens: np.ndarray, task: TaskConfig) -> Floor:
    """`order_blind_floor` on a user's own tokens, int32 `[M]`: the mean over windows of them.

    A target outside the window leaves the `majority_floor`.
    """
    times = task.target_times if task.layout == "streams" else task.row_times
    sizes, targets = np.unique(np.minimum(np.asarray(times) + 1, task.window), return_counts=True)
    floors = []
    for size in sizes:
        if not 0 <= task.lag < size:
            floors.append(majority_floor(tokens))
            continue
        starts = np.linspace(0, len(tokens) - size, max(20, WINDOWS_SEEN // len(sizes)), dtype=int)
        each = [majority_floor(tokens[start : start + size]) for start in np.unique(starts)]
        floors.append(Floor(*np.mean(each, axis=0)))
    accuracy, loss = np.average(floors, axis=0, weights=targets)
    return Floor(float(accuracy), float(loss))


def _row_batches(tokens: chex.Array, task: TaskConfig, lag: chex.Numeric) -> Batch:
    chex.assert_shape(tokens, (task.length,))
    # Gathers only: XLA on CPU miscompiles a shift written as an update of a slice of itself.
    rows = len(task.row_times)
    first = task.length + lag * (lag < 0) - rows  # of the last viable ones, whatever the lag
    times = (first + np.arange(rows)).reshape(-1, task.batch_size)
    seen = times[..., None] - np.arange(task.window)[::-1]
    inputs, mask = tokens[jnp.maximum(seen, 0)], seen >= 0
    if task.missing == "token":
        inputs = jnp.where(mask, inputs, task.vocab_size)
    return Batch(
        inputs=inputs,
        mask=mask if task.layout == "prefixes" and task.missing == "masked" else None,
        targets=tokens[times[..., None] - lag],
        scored=None,
    )


def _stream_batches(tokens: chex.Array, task: TaskConfig, lag: chex.Numeric) -> Batch:
    chex.assert_shape(tokens, (task.batch_size, task.length))
    steps = task.updates_per_sequence * task.window  # the last chunk may reach past the sequence
    times = np.arange(steps).reshape(-1, task.window)
    source = times - lag
    exists = (source >= 0) & (source < task.length) & (times < task.length)
    chunks = (task.updates_per_sequence, task.batch_size, task.window)
    return Batch(
        inputs=jnp.moveaxis(tokens[:, np.minimum(times, task.length - 1)], 0, 1),
        mask=None,
        targets=jnp.moveaxis(tokens[:, jnp.clip(source, 0, task.length - 1)], 0, 1),
        scored=jnp.broadcast_to(exists[:, None, :], chunks),
    )


def _variance(vocab_size: int) -> float:
    """Var[x / (V-1)] of x uniform on 0 .. V-1."""
    return (vocab_size + 1) / (12 * (vocab_size - 1))


def _expected_entropy(size: int, vocab_size: int) -> float:
    """E[entropy of the shares], nats, of `size` uniform draws: a sum over the count of a value."""
    share = np.arange(1, size + 1) / size
    values = vocab_size * _binomial(size, 1 / vocab_size)[1:]
    return float(-np.sum(values * share * np.log(share)))


def _expected_largest_counts(size: int, vocab_size: int) -> np.ndarray:
    """E[largest count of a value] in m uniform draws, for m = 0 .. size: `[size + 1]`.

    Exact up to EXACT_STEPS, beyond it the mean of simulated windows: its share of the window is
    then right to about 0.001.
    """
    exact = [_expected_largest_count(m, vocab_size) for m in range(min(size, EXACT_STEPS) + 1)]
    if size <= EXACT_STEPS:
        return np.array(exact)
    simulated = _simulated_largest_counts(size, vocab_size)
    return np.concatenate([exact, simulated[EXACT_STEPS + 1 :]])


def _simulated_largest_counts(size: int, vocab_size: int) -> np.ndarray:
    """The mean largest count after m = 0 .. size draws, over some hundred sequences of draws."""
    rng = np.random.default_rng(0)
    sequences = int(np.clip(2 * 10**7 // vocab_size, 200, 2000))
    counts = np.zeros((sequences, vocab_size), np.int32)
    rows, largest, means = np.arange(sequences), np.zeros(sequences, np.int32), [0.0]
    for draw in rng.integers(0, vocab_size, (size, sequences)):
        counts[rows, draw] += 1
        largest = np.maximum(largest, counts[rows, draw])
        means.append(largest.mean())
    return np.array(means)


def _expected_largest_count(size: int, vocab_size: int) -> float:
    """E[max_v m_v] for counts m of `size` draws from `vocab_size` equally likely values.

    E[max] = sum over k of P(max > k). Counts of a fixed number of draws are independent Poisson
    counts given their sum, so P(max <= k) is the V-fold convolution of the Poisson distribution
    cut off at k, taken at `size`, over P(sum = size).
    """
    if size == 0:
        return 0.0
    poisson = _poisson(size, size / vocab_size)
    normaliser = _poisson(size, float(size))[size]
    expected = 0.0
    for k in range(size):
        capped = np.where(np.arange(size + 1) <= k, poisson, 0.0)
        at_most_k = _convolution_power(capped, vocab_size)[size] / normaliser
        if at_most_k > 1 - 1e-13:
            break
        expected += 1 - at_most_k
    return expected


def _convolution_power(distribution: np.ndarray, power: int) -> np.ndarray:
    """The `power`-fold convolution of a distribution over 0 .. m, cut to the same support."""
    size = len(distribution)
    result = np.eye(1, size)[0]
    while power:
        if power & 1:
            result = np.convolve(result, distribution)[:size]
        distribution = np.convolve(distribution, distribution)[:size]
        power >>= 1
    return result


def _poisson(largest: int, mean: float) -> np.ndarray:
    k = np.arange(largest + 1)
    return np.exp(k * math.log(mean) - mean - _log_factorial(largest))


def _binomial(size: int, probability: float) -> np.ndarray:
    k = np.arange(size + 1)
    log_factorial = _log_factorial(size)
    log_choose = log_factorial[size] - log_factorial - log_factorial[::-1]
    return np.exp(log_choose + k * math.log(probability) + (size - k) * math.log1p(-probability))


def _log_factorial(largest: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, largest + 1)))])
