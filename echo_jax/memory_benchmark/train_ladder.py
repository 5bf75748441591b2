"""A cell taken through the protocol: the raw rows of its card, one after the other.

    rate      three learning rates on seeds that are then not used; the best one is kept
    climb     the ladder, lag by lag: all seeds until each has succeeded or is out of updates
    beyond    the networks of the last lag that half of them passed, on far longer streams
    cause     where half of them fail: the gradient, and a curriculum from the last lag they passed
    capacity  one network with a head a lag

A raw row is a function of cell, protocol and seed, but for the price; what else ran does not
matter. The clock is looked at between blocks of updates and can only end a card early.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from flax import linen as nn

from echo_jax.core.network import Network
from echo_jax.memory_benchmark import capacity, lag_training, spans, step_time
from echo_jax.memory_benchmark.lag_training import Setting
from echo_jax.memory_benchmark.parallel_runs import RawRow, Run, Runner, Trained, plain
from echo_jax.memory_benchmark.protocol import Protocol, Task, length


class StoppedError(Exception):
    """The time of a card is over: what is not measured by now is not."""


class Prober:
    """One cell, one protocol, one first seed; `rows` yields what its card is made of.

    Args:
      cell: any `RNNCellBase`.
      protocol: what is fixed.
      seed: the first of `protocol.seeds` seeds.
      over: asked between blocks whether the time is over.
      tell: told in a few words what is at work.
    """

    def __init__(
        self,
        cell: nn.RNNCellBase,
        protocol: Protocol,
        seed: int = 0,
        over: Callable[[], bool] = lambda: False,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Nothing is compiled yet."""
        self.protocol, self.over, self.tell = protocol, over, tell
        self.runner = Runner(cell, protocol, over)
        self.net = self.runner.network("stream")
        self.seeds = [seed + i for i in range(protocol.seeds)]
        self.rate: dict[Task, float] = {}
        self.climbed: dict[tuple[Task, int], Trained] = {}

    def rows(self) -> Iterator[RawRow]:
        """Every raw row; they end where the time does."""
        measures = {
            "stream": lambda: self.task("stream"),
            "hold": lambda: self.task("hold"),
            "price": self.price,
            "beyond": self.beyond,
            "cause": self.cause,
            "capacity": self.capacity,
        }
        try:
            for name, measure in measures.items():
                if name in self.protocol.rows:
                    yield from measure()
        except StoppedError:
            return
        finally:
            self.runner.close()

    def price(self) -> list[RawRow]:
        """`price.price_row`, when nothing compiles beside it any more."""
        self.tell("price")
        self.runner.drain()
        return [step_time.price_row(self.net, self.protocol)]

    def task(self, task: Task) -> Iterator[RawRow]:
        """The rate, then the ladder."""
        yield from self.tune(task)
        unbroken = set(self.seeds)
        for lag in self.protocol.ladder:
            self.prefetch(task, lag)
            for row in self.climb(task, lag):
                yield row
                if not self.runner.succeeded(row):
                    unbroken.discard(row["seed"])
            if not unbroken:
                return

    def tune(self, task: Task) -> Iterator[RawRow]:
        """Every rate on every tuning seed, for a few updates of a lag that one of them learns."""
        protocol = self.protocol
        tries = [(seed, rate) for rate in protocol.rates for seed in protocol.tuning_seeds]
        for lag in protocol.tuning_lags[task]:
            self.stop_if_over()
            self.tell(f"{task}: choosing the learning rate at lag {lag}")
            runs = [Run(seed, lag, rate) for seed, rate in tries]
            rows = self.runner.train(task, runs, protocol.tuning_updates).rows
            tuned = [row for row in rows if row["accuracy"]]
            for row in tuned:
                yield {"kind": "tune"} | {k: v for k, v in row.items() if k != "confirmed"}
            self.stop_if_over()
            self.rate[task] = spans.best_rate(tuned)
            if spans.is_decided(tuned, self.runner.fixed):
                return

    def climb(self, task: Task, lag: int) -> Iterator[RawRow]:
        """All seeds on one lag."""
        self.tell(f"{task}: lag {lag}")
        runs = [Run(seed, lag, self.rate[task]) for seed in self.seeds]
        self.climbed[task, lag] = trained = self.runner.train(task, runs, self.protocol.budget)
        yield from ({"kind": "run"} | row for row in trained.rows if row["accuracy"])
        self.stop_if_over()

    def prefetch(self, task: Task, lag: int) -> None:
        """Compile what the next lag needs while this one trains."""
        lags = self.protocol.ladder
        later = [(task, length(self.protocol, task, n)) for n in lags[lags.index(lag) + 1 :]]
        if task == "stream" and "hold" in self.protocol.rows and not later:
            later = [("hold", length(self.protocol, "hold", 1))]
        for key in later[:1]:
            self.runner.prepare(*key)

    def passed(self, seed: int, below: int) -> int | None:
        """The last lag of the stream, below one, that a seed succeeded at."""
        lags = [lag for task, lag in self.climbed if task == "stream" and lag < below]
        return max((lag for lag in lags if seed in self.successes(lag)), default=None)

    def weights(self, seed: int, lag: int) -> Any:
        """What a seed learned at a lag of the stream."""
        row = self.seeds.index(seed)
        return jax.tree.map(lambda x: x[row], self.climbed["stream", lag].params)

    def successes(self, lag: int) -> set[int]:
        """The seeds that succeeded at a lag of the stream."""
        return spans.successes(self.climbed["stream", lag].rows, self.runner.fixed)[lag]

    def at_least_half(self) -> tuple[int | None, int | None]:
        """`ladder.halves` of the stream."""
        climbed = [each.rows for (task, _), each in self.climbed.items() if task == "stream"]
        return spans.halves(list(itertools.chain(*climbed)), self.seeds, self.runner.fixed)

    def beyond(self) -> Iterator[RawRow]:
        """The networks that passed the last lag that half of them did, on longer streams."""
        lag, _ = self.at_least_half()
        if lag is None:
            return
        self.tell(f"beyond: streams to {max(self.protocol.beyond)} times as long")
        net, protocol = self.net, self.protocol
        steps = length(protocol, "stream", lag)
        measure = self.runner.mapped(lambda s, p: lag_training.beyond(net, protocol, steps, s, p))
        settings = self.runner.settings([Run(seed, lag, 0.0) for seed in self.seeds])
        found = jax.jit(measure)(
            settings, self.runner.padded(self.climbed["stream", lag].params), None
        )
        at = np.array(protocol.beyond) - 1
        for seed, each in zip(self.seeds, np.asarray(found), strict=False):
            if seed in self.successes(lag):
                row = {"kind": "beyond", "seed": seed, "lag": lag, "length": steps}
                yield row | {"times": list(protocol.beyond), "accuracy": plain(each[at])}
        self.stop_if_over()

    def cause(self) -> Iterator[RawRow]:
        """The gradient before and after training where half of the seeds fail, and a curriculum."""
        _, lag = self.at_least_half()
        if lag is None:
            return
        yield from self.gradients(lag)
        yield from self.curriculum(lag)

    def gradients(self, lag: int) -> Iterator[RawRow]:
        """`probe.gradient_profile` of every seed, of its initial and its trained weights.

        A gradient of zero does not show that no answer can depend on an input (a step function has
        none either, nor what stands behind a shut gate), so beside it stands whether it has one, or
        another token there changes any logit, also at random weights around these.
        """
        self.tell(f"cause: the gradient at lag {lag}")
        net, protocol = self.net, self.protocol
        steps = length(protocol, "stream", lag)

        def both(setting: Setting, params: Any) -> Any:
            """Before and after."""
            first = lag_training.init(net, protocol, setting).params
            return [
                (
                    lag_training.gradient_profile(net, protocol, steps, lag, setting, p),
                    lag_training.depends_nearby(net, protocol, steps, setting, p),
                )
                for p in (first, params)
            ]

        settings = self.runner.settings([Run(seed, lag, 0.0) for seed in self.seeds])
        trained = self.runner.padded(self.climbed["stream", lag].params)
        measure = jax.jit(self.runner.mapped(both))
        before, after = jax.device_get(measure(settings, trained, None))
        for i, seed in enumerate(self.seeds):
            row: RawRow = {"kind": "jacobian", "seed": seed, "lag": lag}
            row |= {"before": significant(before[0][i]), "after": significant(after[0][i])}
            slopes = [row["before"][lag], row["after"][lag]]
            yield row | {"depends": any(slopes) or bool(before[1][i] or after[1][i])}
        self.stop_if_over()

    def curriculum(self, lag: int) -> Iterator[RawRow]:
        """Who failed at a lag, trained on it from the weights that passed a shorter one."""
        failed = [seed for seed in self.seeds if seed not in self.successes(lag)]
        before = {seed: self.passed(seed, below=lag) for seed in failed}
        chosen = [(seed, last) for seed, last in before.items() if last is not None]
        if not chosen:
            return
        self.tell(f"cause: lag {lag} from the weights of a shorter one")
        runs = [Run(seed, lag, self.rate["stream"]) for seed, _ in chosen]
        params = jax.tree.map(lambda *x: np.stack(x), *[self.weights(*each) for each in chosen])
        trained = self.runner.train("stream", runs, self.protocol.budget, params)
        for row, (_, last) in zip(trained.rows, chosen, strict=True):
            if row["accuracy"]:
                yield {"kind": "curriculum", "from": last} | row
        self.stop_if_over()

    def capacity(self) -> Iterator[RawRow]:
        """Recalled bits and linear capacity of the network with a head a lag."""
        net, protocol = self.net, self.protocol
        self.tell("capacity: one network with a head a lag")
        settings = self.runner.settings([Run(seed, 0, self.rate["stream"]) for seed in self.seeds])
        init = jax.jit(self.runner.mapped(lambda s, _: capacity.init(net, protocol, s)))
        first = state = init(settings, None, None)
        block = jax.jit(self.runner.mapped(lambda s, x: capacity.train_block(net, protocol, s, x)))
        for _ in range(protocol.capacity_updates // protocol.evaluate_every):
            state, _ = block(settings, state, None)
            jax.block_until_ready(state)
            self.stop_if_over()
        yield from self.bits(net, settings, state.params)
        yield from self.linear(net, settings, first.params, state.params)

    def bits(self, net: Network, settings: Setting, params: Any) -> Iterator[RawRow]:
        """`capacity.recalled` of every seed."""
        measure = self.runner.mapped(lambda s, p: capacity.recalled(net, self.protocol, s, p))
        known = jax.device_get(jax.jit(measure)(settings, params, None))
        lags = list(range(1, self.protocol.capacity_lags + 1))
        for i, seed in enumerate(self.seeds):
            row = {"kind": "bits", "seed": seed, "lags": lags}
            row |= {name: plain(bits[i]) for name, bits in known._asdict().items()}
            yield row | {"state_numbers": capacity.state_size(net)}

    def linear(self, net: Network, settings: Setting, first: Any, params: Any) -> Iterator[RawRow]:
        """`capacity.linear_capacity` of every seed, untrained and trained: of all or of none."""
        lags, rows = self.protocol.linear_lags, []
        drive = jax.jit(lambda s, p: capacity.driven(net, self.protocol, s, p))
        for i, seed in enumerate(self.seeds):
            row: RawRow = {"kind": "linear", "seed": seed, "lags": list(range(1, lags + 1))}
            for name, each in (("trained", params), ("untrained", first)):
                of_seed = jax.tree.map(lambda x, i=i: x[i], (settings, each))
                seen, tokens = jax.device_get(drive(*of_seed))
                found, null = capacity.linear_capacity(seen, tokens, lags)
                row |= {name: plain(found), f"{name}_null": plain(null)}
            rows.append(row)
            self.stop_if_over()
        yield from rows

    def stop_if_over(self) -> None:
        """Raise StoppedError where the time is over."""
        if self.over():
            raise StoppedError


def significant(values: np.ndarray) -> list[float | None]:
    """Numbers of any magnitude with six significant digits, zeros kept, None for no number."""
    return [float(f"{x:.6g}") if np.isfinite(x) else None for x in values]
