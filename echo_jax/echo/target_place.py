"""Where a network can find its target, and which share of the targets it can know. Pure."""

from typing import Literal

from echo_jax.config import RunConfig

TargetPlace = Literal[
    "window", "replayed", "state", "skipped", "early", "zeroed", "delayed", "future"
]


def target_place(config: RunConfig) -> TargetPlace:
    """Return where the network of `config` can find its target, which decides what it can learn.

    window    in the W steps of the row itself: the gradient reaches it
    replayed  in an earlier batch that the update runs again: the gradient reaches it there
    state     only in the carried state, left by row r - B, r - 2B, ...: the information may be
              there, but the gradient is cut at the border of the batch
    skipped   nowhere: the rows that this row continues saw other values
    early     nowhere: the time of the target lies before the first row
    zeroed    nowhere: every batch starts from a zero state
    delayed   nowhere, or further back than the delay line of the cell mlp reaches
    future    not drawn yet: the lag is negative
    """
    task = config.task
    network = config.network
    back = batches_back(config)
    carried = network.stateful and back * task.batches_apart <= task.lag
    # A delay line goes on from row r - B to row r whatever their times, so that each batch in
    # between adds W steps to it where the time went on by B only.
    fed_between = back * (task.window - task.batches_apart) if carried else 0
    if task.lag < 0:
        return "future"
    if config.values_in_line and task.lag + fed_between >= config.values_in_line:
        return "delayed"
    if task.lag < task.window:  # in streams: for the steps late enough in their chunk
        return "window"
    if not carried:
        return "skipped" if network.stateful else "zeroed"
    if back >= task.updates_per_sequence:
        return "early"
    return "replayed" if back < config.training.bptt_batches else "state"


def batches_back(config: RunConfig) -> int:
    """Return how many batches before its answer a target was fed.

    The result is 0 for a target in the window, and for a negative lag. The rows of the batch that
    is s batches back end s * B steps earlier, and in streams its chunks end s * W steps earlier. So
    these rows hold x(t-n) if s * B <= n < s * B + W. The result is the smallest s with
    n < s * B + W. This function checks neither that s * B <= n nor that the sequence has such a
    row.
    """
    task = config.task
    return max(-(-(task.lag - task.window + 1) // task.batches_apart), 0)


def knowable_share(config: RunConfig) -> float:
    """Return the share of targets that the network of `config` is fed, in its window or state.

    This share is the highest accuracy possible without guessing. A network may stay below it, as
    states forget.
    """
    task = config.task
    stateful = config.network.stateful
    if target_place(config) in ("future", "delayed"):
        return 0.0
    if task.in_streams:  # fed to the stream since the last zero state
        fed = [stateful or t % task.window >= task.lag for t in task.target_times]
        return sum(fed) / len(fed)
    known = 0
    rows = len(task.row_times)
    for row in range(rows):  # fed to the row itself, or to one that it continues
        # Without a carried state the stride is the number of rows, so that 0 alone is left.
        continued = range(0, min(row, task.lag) + 1, task.batch_size if stateful else rows)
        known += any(0 <= task.lag - steps < task.window for steps in continued)
    return known / rows


def accuracy_ceiling(config: RunConfig, baseline: float, untrained: float = 0.0) -> float | None:
    """Return the highest accuracy possible with `config`, or None if it is unknown.

    Targets that were fed are answered right, and other answers are guesses, which are right with
    probability `baseline`. `untrained` is the share of targets whose value no training sequence
    has, so that no answer to them is right. The result is None for the user's own values if some
    targets are not fed: the order of the values may tell more than a guess.

    --window 1 --batch-size 1, V 100:  the first of 24 rows is a guess:  (23 + 1/100) / 24
    """
    known = knowable_share(config)
    if config.data.file is not None and known < 1:
        return None
    return known + (1 - known) * baseline - untrained
