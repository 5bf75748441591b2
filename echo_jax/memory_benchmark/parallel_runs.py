"""Runs of one rung trained side by side, block by block, until each is over.

slots    as many runs as a compiled block takes, divided evenly among the devices
block    updates and an evaluation of all slots; runs that are over are skipped
spread   when runs are over, the others are divided evenly among the devices again
"""

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import serialization

from echo_jax.core import many_seeds
from echo_jax.core.training import TrainState
from echo_jax.host.interrupts import Interrupts
from echo_jax.memory_benchmark.journal import Journal
from echo_jax.memory_benchmark.protocol import Protocol
from echo_jax.memory_benchmark.training import Block, Run, Training
from echo_jax.report.number_formats import plain

TELL_SECONDS = 20.0
"""Seconds after which the updates of some runs are told, and again."""

RawRow = dict[str, Any]  # JSON values, see `memory_cards.schema`
Programs = tuple[Callable[..., TrainState], Callable[..., Block]]
"""Compiled functions of all slots: runs, and None, to states; runs and states to a `Block`."""


class Trained(NamedTuple):
    """Runs after training: the raw row of each, and their weights, leaves `[S, ...]`."""

    rows: list[RawRow]
    params: Any


class Pace:
    """Tells now and then how far some runs are, and about how long they take at most."""

    def __init__(self, tell: Callable[[str], None], name: str, every: int, budget: int) -> None:
        """Start the clock; `every` is the number of updates of a block."""
        self.say, self.name, self.every, self.budget = tell, name, every, budget
        self.start = self.told = time.perf_counter()

    def tell(self, blocks: int) -> None:
        """Tell the updates of so many blocks, and the seconds for the rest of the budget."""
        now, done = time.perf_counter(), blocks * self.every
        if now - self.told > TELL_SECONDS and done < self.budget:
            self.told = now
            left = (self.budget - done) * (now - self.start) / done
            self.say(
                f"{self.name}: {done:,} of at most {self.budget:,} updates at these rates, which "
                f"end in about {left:.0f} s"
            )


class ParallelRuns:
    """Trains and measures the seeds of a card; `close` it to cancel compilations."""

    def __init__(
        self,
        protocol: Protocol,
        seed: int,
        interrupts: Interrupts,
        tell: Callable[[str], None],
        journal: Journal | None = None,
    ) -> None:
        """Find the devices; the arguments are those of `measure_cell.raw_rows`."""
        self.seeds = range(seed, seed + protocol.seeds)
        self.every, self.interrupts, self.tell = protocol.evaluate_every, interrupts, tell
        self.seed_map = many_seeds.default_seed_map()
        self.devices = many_seeds.devices_for(protocol.seeds, self.seed_map)
        self.slots = -(-protocol.seeds // len(self.devices)) * len(self.devices)
        self.background = ThreadPoolExecutor(1)
        self.programs: dict[tuple[Training, int], Future[Programs]] = {}
        self.journal = journal

    def close(self) -> None:
        """Cancel the compilations that have not begun."""
        self.background.shutdown(wait=False, cancel_futures=True)

    def train(
        self, training: Training, runs: Sequence[Run], budget: int, params: Any = None
    ) -> Trained:
        """Train runs until each is over or out of updates, or the program is to stop.

        The runs are of one rung and at most as many as there are slots; `params` are their initial
        weights, leaves `[S, ...]`, None for those of the seeds. StoppedError if nothing was
        trained.
        """
        if self.journal is None:
            return self._train(training, runs, budget, params)
        call = [training.name, [[run.seed, run.rung, run.rate] for run in runs], budget]
        if kept := self.journal.next(call):
            shapes = jax.eval_shape(lambda run: training.init(run).params, runs[0])
            return Trained(kept[0], serialization.from_state_dict(shapes, kept[1]))
        trained = self._train(training, runs, budget, params)
        if not self.interrupts.requested:  # else it may be cut
            self.journal.append(call, *trained)
        return trained

    def _train(
        self, training: Training, runs: Sequence[Run], budget: int, params: Any = None
    ) -> Trained:
        """`train` without the journal."""
        compiling = self._compiling(training, training.length(int(runs[0].rung)))
        init, block = compiling.result()
        self.interrupts.check()
        stacked, active = self.stacked(runs), list(range(len(runs)))
        order = spread(active, self.slots, len(self.devices))
        state = init(_taken(stacked, order), None)
        if params is not None:
            state = state._replace(params=_taken(self.padded(params), order))
        rows: list[RawRow] = [
            {"ladder": training.name, "rung": run.rung, "rate": run.rate, "seed": run.seed}
            for run in runs
        ]

        def step(last_order: np.ndarray, state: TrainState) -> tuple[np.ndarray, Block]:
            """One block of the active runs, of which each has a slot in an order, and a state."""
            order = spread(active, self.slots, len(self.devices))
            if not np.array_equal(order, last_order):
                state = _taken(state, np.argsort(last_order)[order])
            now = _taken(stacked, order)._replace(active=np.isin(order, active))
            state, *found = block(now, state)
            return order, Block(state, *jax.device_get(found))

        pace = Pace(self.tell, f"{training.name} {runs[0].rung}", self.every, budget)
        for done in range(1, budget // self.every + 1):
            order, output = step(order, state)
            state = output.state
            pace.tell(done)
            for i in active:
                record(rows[i], output, np.argsort(order)[i], training.number_format)
            active = [i for i in active if not training.is_over(rows[i])]
            if self.interrupts.requested or not active:
                break
        return Trained(rows, _taken(state.params, np.argsort(order)[: len(runs)]))

    def measure(self, function: Callable[[Run, Any], Any], runs: Sequence[Run], params: Any) -> Any:
        """A function of each run and its weights: numpy leaves `[S, ...]`."""
        found = self.mapped(function)(self.stacked(runs), self.padded(params))
        return _taken(found, np.arange(len(runs)))

    def mapped(self, function: Callable[[Run, Any], Any]) -> Any:
        """A function of a run and a tree of its arrays, for all slots, jitted."""
        return jax.jit(many_seeds.over_runs(function, self.devices, self.seed_map))

    def stacked(self, runs: Sequence[Run]) -> Run:
        """The runs as arrays `[slots]`; the first one again in slots that stay empty."""
        filled = [*runs, *[runs[0]] * (self.slots - len(runs))]
        seed, rung, rate, _ = map(np.asarray, zip(*filled, strict=True))
        active = np.arange(self.slots) < len(runs)
        return Run(seed.astype(np.int32), rung.astype(np.int32), rate.astype(np.float32), active)

    def padded(self, tree: Any) -> Any:
        """Leaves `[S, ...]` with the last one repeated in slots that stay empty."""
        return jax.tree.map(lambda x: x[np.minimum(np.arange(self.slots), len(x) - 1)], tree)

    def prepare(self, training: Training, length: int) -> None:
        """Compile the programs of a length in the background, if they are going to be needed."""
        if not (self.journal and self.journal.is_ahead):
            self._compiling(training, length)

    def _compiling(self, training: Training, length: int) -> Future[Programs]:
        """The programs of a length, compiled once."""
        if (training, length) not in self.programs:
            self.programs[training, length] = self.background.submit(self.compile, training, length)
        return self.programs[training, length]

    def compile(self, training: Training, length: int) -> Programs:
        """Compile the initial state and a block."""
        runs = self.stacked([Run(0, 1, 0.0)])
        init = self.mapped(lambda run, _: training.init(run))
        block = self.mapped(skipping(lambda run, state: training.train_block(length, run, state)))
        states = jax.eval_shape(init, runs, None)
        return init.lower(runs, None).compile(), block.lower(runs, states).compile()


def skipping(block: Callable[[Run, TrainState], Block]) -> Callable[[Run, TrainState], Block]:
    """A block that keeps the state of a run that is not active; its scores are meaningless."""

    def either(run: Run, state: TrainState) -> Block:
        """The block of an active run, else its state unchanged."""
        shapes = jax.eval_shape(block, run, state)
        skipped = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return jax.lax.cond(
            run.active, block, lambda _, state: skipped._replace(state=state), run, state
        )

    return either


def record(row: RawRow, block: Block, slot: int, number_format: str) -> None:
    """Append the scores of a slot to the raw row of the run in it.

    Of `confirmed`, which is rarely tried, the number of its evaluation stands beside it.
    """
    scores = {name: plain(values[slot], number_format) for name, values in block.scores.items()}
    if "confirmed" in scores:
        confirmed = scores.pop("confirmed")
        number = len(row.get("accuracy", ()))
        row.setdefault("confirmed", []).extend([[number, confirmed]] * (confirmed is not None))
    for name, value in scores.items():
        row.setdefault(name, []).append(value)
    row["failed"] = not bool(block.finite[slot])


def spread(active: Sequence[int], slots: int, devices: int) -> np.ndarray:
    """An order of all slots in which the active ones are divided evenly among the devices.

    active 0 3 5, 8 slots, 2 devices:  0 5 1 2 | 3 4 6 7
    """
    idle = (i for i in range(slots) if i not in set(active))
    shares = [active[d::devices] for d in range(devices)]
    return np.array(
        [[*x, *itertools.islice(idle, slots // devices - len(x))] for x in shares]
    ).ravel()


def _taken(tree: Any, rows: np.ndarray) -> Any:
    """Some rows of every leaf, on the host: a program divides them among its devices anew."""
    return jax.tree.map(lambda x: x[rows], jax.device_get(tree))
