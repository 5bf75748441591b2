"""Where a network can find its target, and the share of targets that it can know. Pure."""

from typing import Literal

from echo_jax.config import RunConfig

TargetPlace = Literal[
    "window", "replayed", "state", "skipped", "early", "zeroed", "delayed", "future"
]


def target_place(config: RunConfig) -> TargetPlace:
    """Where the network can find the target, which decides what it can learn.

    window    in the W steps of the row itself: the gradient reaches it
    replayed  in an earlier batch that the update runs again: the gradient reaches it there
    state     only in the carried state, left by row r - B, r - 2B, ...: the information may be
              there, but the gradient is cut at the border of the batch
    skipped   nowhere: the rows that this row continues saw other values
    early     nowhere: its time lies before the first row
    zeroed    nowhere: every batch starts from a zero state
    delayed   nowhere, or further back than the delay line of the cell mlp reaches
    future    not drawn yet: the lag is negative
    """
    task, back = config.task, batches_back(config)
    if task.lag < 0:
        return "future"
    if _is_beyond_delay_line(config, back):
        return "delayed"
    if task.lag < task.window:  # in streams: for the steps late enough in their chunk
        return "window"
    return _place_in_state(config, back)


def batches_back(config: RunConfig) -> int:
    """Batches between the one that was fed the target and its own; 0 where the window holds it.

    The rows of s batches before end s * B steps earlier (in streams the chunks s * W), so they
    hold x(t-n) if s * B <= n < s * B + W. This is the smallest s with n < s * B + W; whether
    s * B <= n as well, and whether the sequence has such a row, is not checked here.
    """
    task = config.task
    return max(-(-(task.lag - task.window + 1) // task.batches_apart), 0)


def knowable_share(config: RunConfig) -> float:
    """The share of targets that the network is fed, in its window or through its state.

    The highest accuracy possible without guessing. A network may stay below it: states forget.
    """
    task = config.task
    if target_place(config) in ("future", "delayed"):
        return 0.0
    known = _streams_known(config) if task.layout == "streams" else _rows_known(config)
    return sum(known) / len(known)


def _streams_known(config: RunConfig) -> list[bool]:
    """True for each step whose target the stream was fed since the last zero state."""
    task = config.task
    return [config.network.stateful or t % task.window >= task.lag for t in task.target_times]


def _rows_known(config: RunConfig) -> list[bool]:
    """True for each row that was fed its target, itself or in a row that it continues."""
    task, rows = config.task, range(len(config.task.row_times))
    carried = task.batch_size if config.network.stateful else len(rows)
    return [
        any(
            0 <= task.lag - steps < task.window
            for steps in range(0, min(row, task.lag) + 1, carried)
        )
        for row in rows
    ]


def _place_in_state(config: RunConfig, back: int) -> TargetPlace:
    """The place of a target that was fed to an earlier batch, or to none."""
    if not config.network.stateful:
        return "zeroed"
    if not _is_carried(config, back):
        return "skipped"
    if back >= config.task.updates_per_sequence:
        return "early"
    return "replayed" if back < config.training.bptt_batches else "state"


def _is_beyond_delay_line(config: RunConfig, back: int) -> bool:
    """True for an mlp whose delay line is too short to reach the target.

    The line goes on from row r - B to row r whatever their times, so that each batch in between
    adds W steps to it where the time went on by B only.
    """
    task, network = config.task, config.network
    if network.cell != "mlp":
        return False
    further = back * (task.window - task.batches_apart) if _is_carried(config, back) else 0
    return task.lag + further >= (network.delay_line or task.window)


def _is_carried(config: RunConfig, back: int) -> bool:
    """True if the state carries the inputs of rows `back` batches before, the target among them."""
    return config.network.stateful and back * config.task.batches_apart <= config.task.lag
