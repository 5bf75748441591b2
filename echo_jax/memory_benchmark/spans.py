"""The rule by which a lag counts as learned, and the last lag of a seed. No jax.

Runs and protocols are dictionaries, as in a card. Of a run: `accuracy`, of each evaluation on fresh
data; `confirmed`, on more, other fresh data, None if that was not tried; `failed`, if the loss
became non-finite. Of the protocol: `ladder`, `budget`, `evaluate_every` and `thresholds`, the
highest of which ends a run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Run = Mapping[str, Any]
Protocol = Mapping[str, Any]


def evaluations(protocol: Protocol) -> int:
    """The number of evaluations within the budget."""
    return protocol["budget"] // protocol["evaluate_every"]


def reached(run: Run, threshold: float, protocol: Protocol) -> int | None:
    """Updates until the first evaluation at or above a threshold that was confirmed there.

        accuracy     0.50   0.99   0.98   1.00
        confirmed    None   0.97   0.98   1.00      evaluated every 100: 99% reached after 400

    None if there is no such evaluation within the budget.
    """
    pairs = list(zip(run["accuracy"], run["confirmed"], strict=True))[: evaluations(protocol)]
    for i, (accuracy, confirmed) in enumerate(pairs):
        if None not in (accuracy, confirmed) and min(accuracy, confirmed) >= threshold:
            return (i + 1) * protocol["evaluate_every"]
    return None


def succeeded(run: Run, protocol: Protocol) -> bool:
    """True if a run reached the highest threshold."""
    return reached(run, max(protocol["thresholds"]), protocol) is not None


def decided(run: Run, protocol: Protocol) -> bool:
    """True if more updates cannot change the outcome: success, failure, or the budget is used."""
    used = len(run["accuracy"]) >= evaluations(protocol)
    return succeeded(run, protocol) or run["failed"] or used


class Arrival(NamedTuple):
    """Updates until a run reached a threshold; if it did not, updates until it was censored."""

    updates: int
    reached: bool


def arrival(run: Run, threshold: float, protocol: Protocol) -> Arrival:
    """The updates until a run reached a threshold; a failed one is censored at its budget."""
    updates = reached(run, threshold, protocol)
    if updates is not None:
        return Arrival(updates, True)
    watched = evaluations(protocol) if decided(run, protocol) else len(run["accuracy"])
    return Arrival(watched * protocol["evaluate_every"], False)


class Span(NamedTuple):
    """The longest lag that one seed reached without a miss.

    lag       the last lag of the longest unbroken prefix of the ladder that it learned; 0 for none
    at_least  True if the next lag is not decided: the ladder ends, or it was not run to its end
    """

    lag: int
    at_least: bool


def span(runs: Mapping[int, Run], threshold: float, protocol: Protocol) -> Span:
    """The span of a seed: lags above one that it missed or skipped do not count.

    ladder 1 2 3 5      learned 1 3 5, missed 2: span 1      learned 1 2, 3 not run: at least 2
    """
    last = 0
    for lag in protocol["ladder"]:
        run = runs.get(lag)
        if run is None or reached(run, threshold, protocol) is None:
            return Span(last, run is None or not decided(run, protocol))
        last = lag
    return Span(last, True)


def spans(
    runs: Sequence[Run], seeds: Sequence[int], threshold: float, protocol: Protocol
) -> list[Span]:
    """The span of each seed, from the runs of all seeds on one task."""
    by_seed: dict[int, dict[int, Run]] = {seed: {} for seed in seeds}
    for run in runs:
        by_seed[run["seed"]][run["lag"]] = run
    return [span(by_seed[seed], threshold, protocol) for seed in seeds]


def halves(
    runs: Sequence[Run], seeds: Sequence[int], protocol: Protocol
) -> tuple[int | None, int | None]:
    """The last lag before fewer than half of the seeds succeed, and the first where they do.

    seeds that succeed, of 8    lag 1: 8    lag 2: 4    lag 3: 3    lag 5: 4        2 and 3
    """
    passed = None
    for lag in sorted({run["lag"] for run in runs}):
        successes = {run["seed"] for run in runs if run["lag"] == lag and succeeded(run, protocol)}
        if 2 * len(successes) < len(seeds):
            return passed, lag
        passed = lag
    return passed, None


def next_lag(lag: float, protocol: Protocol) -> int | None:
    """The first lag of the ladder above another; None if there is none."""
    return next((rung for rung in protocol["ladder"] if rung > lag), None)


def best_rate(rows: Sequence[Run]) -> float:
    """The rate with the largest mean accuracy over evaluations and seeds; the smaller of equals.

    After its last evaluation a run counts as right, or as wrong if its loss became non-finite.
    """
    longest = max(len(row["accuracy"]) for row in rows)
    areas: dict[float, list[float]] = {}
    for row in rows:
        known = [x or 0.0 for x in row["accuracy"]]
        rest = [0.0 if row["failed"] else 1.0] * (longest - len(known))
        areas.setdefault(row["rate"], []).append(sum([*known, *rest]) / longest)
    return max(sorted(areas), key=lambda rate: sum(areas[rate]))


def last_tried(rows: Sequence[Run], lags: Sequence[int]) -> list[Run]:
    """The runs of the last lag at which the rate of a task was tried."""
    last = max((lags.index(row["lag"]) for row in rows), default=0)
    return [row for row in rows if row["lag"] == lags[last]]


def is_decided(rows: Sequence[Run], protocol: Protocol) -> bool:
    """True if the best rate ends at or above the lowest threshold, the mean over its seeds."""
    best = best_rate(rows)
    last = [row["accuracy"][-1] or 0.0 for row in rows if row["rate"] == best]
    return sum(last) / len(last) >= min(protocol["thresholds"])
