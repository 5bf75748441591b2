"""The echo task: random sequences, rows of lag windows, streams and batches. Pure.

The example below shows the rows of a sequence with L = 7, W = 3, lag 1 and B = 2. Five rows are
viable, and two batches of 2 hold four of them. So the first viable row, which ends at t = 2, is
dropped:

    time      0  1  2  3  4  5  6
    sequence  4  0  7  1  9  3  5

    batch 0   0  7  1  =>  7        row 0, ends at t = 3
              7  1  9  =>  1        row 1
    batch 1   1  9  3  =>  9        row 2: its state, if any, comes from row 0
              9  3  5  =>  3        row 3: from row 1
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.config import TaskConfig
from echo_jax.learner.random_tokens import Purpose, purpose_key, uniform_tokens


class Rows(NamedTuple):
    """The inputs of B rows, without targets; `inputs` and `mask` are as in a `Batch`."""

    inputs: chex.Array
    mask: chex.Array | None


class Batch(NamedTuple):
    """One batch of B rows; the K batches of a sequence are stacked along a leading axis K.

    inputs   int32 [B, W]  tokens; V for a missing value that the network sees as a token
    mask     bool [B, W]   False where a missing value is masked; None if no value is masked
    targets  int32 [B, T]  T = 1, the target of the last step; in streams T = W, one for each step
    scored   bool [B, T]   False where a step has no target; None if every step has a target
    """

    inputs: chex.Array
    mask: chex.Array | None
    targets: chex.Array
    scored: chex.Array | None

    @property
    def rows(self) -> Rows:
        """The `inputs` and the `mask` of the batch, without the targets."""
        return Rows(self.inputs, self.mask)


class Corpus(NamedTuple):
    """The user's own values as tokens, in order.

    training  int32 [M], the part from which training sequences are cut
    held_out  int32 [M'], the part after it, from which evaluation sequences are cut
    """

    training: chex.Array
    held_out: chex.Array

    @property
    def untrained(self) -> np.ndarray:
        """The tokens that occur only in the held-out part, in ascending order."""
        return np.setdiff1d(self.held_out, self.training)

    def untrained_share(self, task: TaskConfig) -> float:
        """Return the expected share of `untrained` tokens among the targets of an evaluation.

        The sequences of the evaluation of `task` are cut from the held-out part.
        """
        unknown = np.isin(self.held_out, self.untrained)
        starts = len(unknown) - task.length + 1
        offsets = [time - task.lag for time in task.scored_times]
        return float(np.mean([unknown[offset : offset + starts].mean() for offset in offsets]))


def draw_sequences(
    seed: chex.Numeric,
    purpose: Purpose,
    counters: chex.Array,
    task: TaskConfig,
    corpus: Corpus | None = None,
) -> chex.Array:
    """Return the sequences whose numbers are `counters`, int `[N]`: tokens, int32 `[N, L]`.

    In streams the tokens are `[N, B, L]`. Sequence i depends on `seed`, `purpose` and i alone, not
    on how many sequences are drawn with it. `task` gives L, B and V. Without a `corpus`, integers
    are uniform in 0 .. V-1. With a `corpus`, evaluation sequences are cut from its held-out part,
    and all others from its training part.
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
    """Return the K batches of the sequence `tokens` as one `Batch` with a leading axis K.

    The tokens are int32 `[L]`, or in streams `[B, L]`. `lag` is used instead of the lag of `task`,
    and may be traced; the number of rows is static (`RunConfig.static_config`).
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
    """Return the `Rows` of `inputs`, int32 `[..., W]`, without the steps at which `there` is False.

    `there` is bool `[..., W]`. A missing step becomes the token V or is masked, as `task` says. In
    layout windows `there` is ignored, as no step is missing.
    """
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
    """Return `values` of the K batches of a sequence in the order of time, `[streams, P]`.

    `values` is `[K, B, T]`: K batches of B rows with T targets each. In windows and prefixes, T is
    1, and the result is one stream of P = K B positions. If `task` is in streams, the result has B
    streams of P = L steps; steps past the end of the sequence are dropped.
    """
    if not task.in_streams:
        return values.reshape(1, -1)
    return jnp.moveaxis(values, 0, 1).reshape(task.batch_size, -1)[:, : task.length]
