"""Many runs of one lag side by side, block by block, until each has succeeded or is out of updates.

slots    as many runs as a compiled block takes, divided among the devices
block    `probe.train_block` of all slots; those that are over are passed over
spread   the runs still at work are divided evenly among the devices again
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen as nn

from echo_jax.cells import cell_check
from echo_jax.core import many_seeds
from echo_jax.core.network import Network
from echo_jax.core.training import TrainState
from echo_jax.memory_benchmark import lag_training, spans
from echo_jax.memory_benchmark.lag_training import Setting
from echo_jax.memory_benchmark.protocol import Protocol, Task, length, to_dict

COMPILE_SECONDS = 300.0
"""The time for the programs of one length."""

DIGITS = 6
"""Decimals of what stands in a raw row."""

RawRow = dict[str, Any]
"""Plain values, see `docs/card.md`."""


class Run(NamedTuple):
    """A seed, the lag that it is trained on, and its learning rate."""

    seed: int
    lag: int
    rate: float


class Programs(NamedTuple):
    """The compiled functions of one task and length."""

    init: Callable[..., TrainState]
    block: Callable[..., Any]


class Trained(NamedTuple):
    """What became of the runs of a lag: their rows, and their parameters, leaves `[S, ...]`."""

    rows: list[RawRow]
    params: Any


class Runner:
    """Trains runs of one cell under one protocol.

    Args:
      cell: any `RNNCellBase`.
      protocol: what is fixed.
      over: asked between blocks whether the time is over.
    """

    def __init__(self, cell: nn.RNNCellBase, protocol: Protocol, over: Callable[[], bool]) -> None:
        """Find the devices; nothing is compiled yet."""
        self.cell, self.protocol, self.over = cell, protocol, over
        self.fixed = to_dict(protocol)
        most = max(protocol.seeds, len(protocol.rates) * len(protocol.tuning_seeds))
        self.how = many_seeds.default_seed_map()
        self.devices = many_seeds.devices_for(most, self.how)
        self.slots = -(-most // len(self.devices)) * len(self.devices)
        self.background = ThreadPoolExecutor(1)
        self.programs: dict[tuple[Task, int], Future[Programs]] = {}

    def close(self) -> None:
        """Compile nothing more."""
        self.background.shutdown(wait=False, cancel_futures=True)

    def drain(self) -> None:
        """Wait for what is being compiled in the background."""
        wait(self.programs.values())

    def network(self, task: Task) -> Network:
        """The network of a task."""
        return lag_training.build(self.cell, task, self.protocol)

    def train(self, task: Task, runs: Sequence[Run], budget: int, params: Any = None) -> Trained:
        """Train runs until each has succeeded, failed or is out of updates, or the time is over.

        Args:
          task: of all of them.
          runs: at most as many as there are slots, all of one lag.
          budget: updates of each.
          params: weights to start from, leaves `[S, ...]`; None for those of the seeds.
        """
        programs = self.compiled(task, length(self.protocol, task, runs[0].lag))
        rows = [new_row(task, run) for run in runs]
        settings = self.settings(runs)
        state = programs.init(settings, None, None)
        if params is not None:
            state = state._replace(params=self.padded(params))
        order, active = np.arange(self.slots), list(range(len(runs)))
        for _ in range(budget // self.protocol.evaluate_every):
            if not active or self.over():
                break
            moved = spread(active, self.slots, len(self.devices))
            if not np.array_equal(moved, order):
                settings, state = rearranged((settings, state), np.argsort(order)[moved])
                order = moved
            settings = settings._replace(active=np.isin(order, active))
            state, progress = programs.block(settings, state, None)
            note(rows, active, np.argsort(order), jax.device_get(progress))
            active = [i for i in active if not self.ended(rows[i])]
        return Trained(rows, rearranged(state.params, np.argsort(order)[: len(runs)]))

    def succeeded(self, row: RawRow) -> bool:
        """Whether a run has reached the highest threshold, and was confirmed there."""
        return spans.reached(row, max(self.protocol.thresholds), self.fixed) is not None

    def ended(self, row: RawRow) -> bool:
        """Whether a run has succeeded or failed."""
        return row["failed"] or self.succeeded(row)

    def settings(self, runs: Sequence[Run]) -> Setting:
        """The settings of some runs, and of slots that stay empty."""
        padded = [*runs, *[runs[0]] * (self.slots - len(runs))]
        seed, lag, rate = zip(*padded, strict=True)
        return Setting(
            np.asarray(seed, np.int32),
            np.asarray(lag, np.int32),
            np.asarray(rate, np.float32),
            np.arange(self.slots) < len(runs),
        )

    def padded(self, tree: Any) -> Any:
        """Leaves `[S, ...]` with the last row repeated for the slots that stay empty."""
        return jax.tree.map(lambda x: x[np.minimum(np.arange(self.slots), len(x) - 1)], tree)

    def mapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of a setting and a tree, for all slots, over the devices."""
        return many_seeds.over_runs(lambda s, tree, _: function(s, tree), self.devices, self.how)

    def compiled(self, task: Task, steps: int) -> Programs:
        """The programs of a task and length; TooLongError where they are not there in time."""
        compiling, name = self.prepare(task, steps), type(self.cell).__name__
        return cell_check.compile_within(COMPILE_SECONDS, compiling.result, self.cell, name)

    def prepare(self, task: Task, steps: int) -> Future[Programs]:
        """The programs of a task and length, compiled once, in the background."""
        if (task, steps) not in self.programs:
            self.programs[task, steps] = self.background.submit(self.compile, task, steps)
        return self.programs[task, steps]

    def compile(self, task: Task, steps: int) -> Programs:
        """Compile the initial state and a block of training."""
        net, protocol = self.network(task), self.protocol
        settings = self.settings([Run(0, 1, 0.0)])
        init = self.mapped(lambda s, _: lag_training.init(net, protocol, s))
        block = self.mapped(lambda s, x: lag_training.train_block(net, task, protocol, steps, s, x))
        state = jax.eval_shape(init, settings, None, None)
        return Programs(
            jax.jit(init).lower(settings, None, None).compile(),
            jax.jit(block).lower(settings, state, None).compile(),
        )


def new_row(task: Task, run: Run) -> RawRow:
    """The row of a run that has not begun."""
    curves: RawRow = {"accuracy": [], "confirmed": [], "failed": False}
    return {"task": task, "lag": run.lag, "rate": run.rate, "seed": run.seed} | curves


def note(rows: list[RawRow], active: Sequence[int], at: np.ndarray, progress: Any) -> None:
    """Put what a block found, in the slots `at`, into the rows of the runs that were active."""
    for i in active:
        rows[i]["accuracy"].append(plain(progress.accuracy[at[i]]))
        rows[i]["confirmed"].append(plain(progress.confirmed[at[i]]))
        rows[i]["failed"] = not bool(progress.finite[at[i]])


def plain(value: Any) -> Any:
    """Numbers as they stand in a row: rounded, None for no number."""
    if isinstance(value, float | np.floating):
        return round(float(value), DIGITS) if np.isfinite(value) else None
    return [plain(x) for x in np.asarray(value).tolist()]


def rearranged(tree: Any, rows: np.ndarray) -> Any:
    """Some rows of every leaf, on the host: a program divides them among its devices anew."""
    return jax.tree.map(lambda x: x[rows], jax.device_get(tree))


def spread(active: Sequence[int], slots: int, devices: int) -> np.ndarray:
    """An order of all slots in which the active ones are divided evenly among the devices.

    active 0 3 5, 8 slots, 2 devices:  0 5 1 2 | 3 4 6 7
    """
    idle = [i for i in range(slots) if i not in set(active)]
    shares = [list(active[d::devices]) for d in range(devices)]
    for share in shares:
        while len(share) < slots // devices:
            share.append(idle.pop(0))
    return np.concatenate(shares)
