"""The echo task: random sequences, one-hot vectors, rows of lag windows, streams, batches. Pure.

The rows of a sequence of L 7 with W 3, lag 1, B 2 (5 rows are viable and make two batches of 2, so
the first viable row, which ends at t = 2, is dropped):

    time      0  1  2  3  4  5  6
    sequence  4  0  7  1  9  3  5

    batch 0   0  7  1  =>  7        row 0, ends at t = 3
              7  1  9  =>  1        row 1
    batch 1   1  9  3  =>  9        row 2: its state, if any, comes from row 0
              9  3  5  =>  3        row 3: from row 1
"""

import enum
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.config import TaskConfig
from echo_jax.jax_settings import GENERATOR


class Purpose(enum.IntEnum):
    """Purposes of randomness. The numbers of one seed for two purposes are independent."""

    # Folded into keys: another number here gives every seed other random numbers.
    WEIGHTS = 0
    DATA = 1
    EVALUATION = 2


class Rows(NamedTuple):
    """The steps of B rows: `inputs` and `mask` as in a `Batch`."""

    inputs: chex.Array
    mask: chex.Array | None


class Batch(NamedTuple):
    """One batch of rows; a leading axis K where all batches of a sequence are stacked.

    inputs   int32 [B, W]  tokens; V for a missing value that the network sees as a token
    mask     bool [B, W] or None  False where a missing value is masked (None: nowhere)
    targets  int32 [B, T]  T = 1, the target of the last step; in streams T = W, one for each step
    scored   bool [B, T] or None  False where there is no target (None: nowhere)
    """

    inputs: chex.Array
    mask: chex.Array | None
    targets: chex.Array
    scored: chex.Array | None

    @property
    def rows(self) -> Rows:
        """The steps of the rows, without their targets."""
        return Rows(self.inputs, self.mask)


class Corpus(NamedTuple):
    """The user's own values as tokens, in order.

    training  int32 [M], training sequences are cut from it
    held_out  int32 [M'], the rest; evaluation sequences are cut from it
    """

    training: chex.Array
    held_out: chex.Array

    @property
    def untrained(self) -> np.ndarray:
        """The tokens that occur in the held-out part alone, ascending."""
        return np.setdiff1d(self.held_out, self.training)

    def untrained_share(self, task: TaskConfig) -> float:
        """Return the share of the targets of an evaluation that are untrained."""
        unknown = np.isin(self.held_out, self.untrained)
        starts = len(unknown) - task.length + 1
        offsets = [time - task.lag for time in task.scored_times]
        return float(np.mean([unknown[offset : offset + starts].mean() for offset in offsets]))


def purpose_key(seed: chex.Numeric, purpose: Purpose) -> chex.PRNGKey:
    """Return the key of a seed for one purpose; fold in a counter for each use."""
    return jax.random.fold_in(jax.random.key(seed, impl=GENERATOR), purpose)


def uniform_tokens(key: chex.PRNGKey, shape: tuple[int, ...], vocab_size: int) -> chex.Array:
    """Draw integers uniformly from 0 .. V-1, int32 of a shape.

    The remainder of 32 random bits: no value is more likely than another by more than a share of
    V / 2^32. `jax.random.randint` draws twice as many bits to avoid that, and takes half a second
    longer to compile.
    """
    return (jax.random.bits(key, shape) % vocab_size).astype(jnp.int32)


def draw_sequences(
    seed: chex.Numeric,
    purpose: Purpose,
    counters: chex.Array,
    task: TaskConfig,
    corpus: Corpus | None = None,
) -> chex.Array:
    """Return the sequences with these counters, int32 `[N, L]` (streams `[N, B, L]`).

    Sequence i depends on seed, purpose and i alone, not on how many are drawn beside it. With a
    corpus, evaluation sequences are cut from its held-out part, all others from its training part.
    """
    chex.assert_rank(counters, 1)
    # The counter comes last: sequence i needs none before it, so a chunk is drawn at once.
    keys = jax.vmap(jax.random.fold_in, (None, 0))(purpose_key(seed, purpose), counters)
    streams = (task.batch_size,) if task.in_streams else ()
    if corpus is None:
        shape = (*streams, task.length)
        return jax.vmap(lambda key: uniform_tokens(key, shape, task.vocab_size))(keys)
    tokens = corpus.held_out if purpose == Purpose.EVALUATION else corpus.training
    places = len(tokens) - task.length + 1
    starts = jax.vmap(lambda key: uniform_tokens(key, streams, places))(keys)
    return jnp.asarray(tokens)[starts[..., None] + jnp.arange(task.length)]


def sequence_batches(tokens: chex.Array, task: TaskConfig, lag: chex.Numeric) -> Batch:
    """Return all batches of a sequence int32 `[L]`, in streams `[B, L]`.

    They are one `Batch` with a leading axis K.

    The lag may be traced; the number of rows is static, see `RunConfig.static_config`.
    """
    if task.in_streams:
        return _stream_batches(tokens, task, lag)
    chex.assert_shape(tokens, (task.length,))
    # Gathers only: under jit XLA:CPU miscompiles the shift `x.at[1:].set(x[:-1])` before a reshape
    # (seen with jax 0.10.2 and 0.12).
    rows = len(task.row_times)
    first = task.length + lag * (lag < 0) - rows  # the last viable rows, for any lag
    times = (first + np.arange(rows)).reshape(-1, task.batch_size)
    seen = times[..., None] - np.arange(task.window)[::-1]
    # A negative index would count from the end. The mask or the token V hides what is read at 0.
    steps = rows_where(seen >= 0, tokens[jnp.maximum(seen, 0)], task)
    return Batch(*steps, targets=tokens[times[..., None] - lag], scored=None)


def rows_where(there: chex.Array, inputs: chex.Array, task: TaskConfig) -> Rows:
    """Return the inputs of rows in which the steps `there` exist and other steps are missing."""
    if task.missing == "token":
        return Rows(jnp.where(there, inputs, task.vocab_size), None)
    return Rows(inputs, None if task.layout == "windows" else there)


def _stream_batches(tokens: chex.Array, task: TaskConfig, lag: chex.Numeric) -> Batch:
    chex.assert_shape(tokens, (task.batch_size, task.length))
    steps = task.updates_per_sequence * task.window  # the last chunk may reach past the sequence
    times = np.arange(steps).reshape(-1, task.window)
    source = times - lag
    exists = (source >= 0) & (source < task.length) & (times < task.length)
    chunks = (task.updates_per_sequence, task.batch_size, task.window)
    return Batch(
        # Past the end the last token is fed again; no such step is scored.
        inputs=jnp.moveaxis(tokens[:, np.minimum(times, task.length - 1)], 0, 1),
        mask=None,
        targets=jnp.moveaxis(tokens[:, jnp.clip(source, 0, task.length - 1)], 0, 1),
        scored=jnp.broadcast_to(exists[:, None, :], chunks),
    )


def in_order(values: chex.Array, task: TaskConfig) -> chex.Array:
    """Return the values of a stacked batch `[K, B, T]` in sequence order: `[streams, P]`.

    The P positions are the K*B rows (one stream), in streams the L time steps of B streams.
    """
    if not task.in_streams:
        return values.reshape(1, -1)
    return jnp.moveaxis(values, 0, 1).reshape(task.batch_size, -1)[:, : task.length]
