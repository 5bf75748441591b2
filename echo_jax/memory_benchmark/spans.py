"""When a run has learned its lag, and how far up a ladder of lags a seed got. No jax.

A run is a dictionary with the accuracy of each evaluation on fresh data, `accuracy`, and on more,
other fresh data that confirms it, `confirmed`, None where there was nothing to confirm. The
protocol is a dictionary too: the `ladder` of lags, the `budget` of updates per lag, the updates
between two evaluations, `evaluate_every`, and the `thresholds`, the highest of which ends a run.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Run = Mapping[str, Any]
Protocol = Mapping[str, Any]


def evaluations(protocol: Protocol) -> int:
    """How often a run is evaluated that never succeeds."""
    return protocol["budget"] // protocol["evaluate_every"]


def reached(run: Run, threshold: float, protocol: Protocol) -> int | None:
    """Updates until the first evaluation at or above a threshold that was confirmed at it.

        accuracy     0.50   0.99   0.98   1.00
        confirmed    None   0.97   0.98   1.00      evaluated every 100: 99% reached after 400

    None where there is no such evaluation within the budget.
    """
    pairs = list(zip(run["accuracy"], run["confirmed"], strict=True))[: evaluations(protocol)]
    for i, (accuracy, confirmed) in enumerate(pairs):
        if None not in (accuracy, confirmed) and min(accuracy, confirmed) >= threshold:
            return (i + 1) * protocol["evaluate_every"]
    return None


def decided(run: Run, protocol: Protocol) -> bool:
    """Whether more of the budget could change nothing: success, failure, or all of it used."""
    success = reached(run, max(protocol["thresholds"]), protocol) is not None
    return success or run["failed"] or len(run["accuracy"]) >= evaluations(protocol)


class Arrival(NamedTuple):
    """When a run reached a threshold; if it did not, how many updates it is known to need more."""

    updates: int
    reached: bool


def arrival(run: Run, threshold: float, protocol: Protocol) -> Arrival:
    """When a run arrived, or until when it was watched.

    One that failed, its loss no number, does not arrive within the budget, whenever it did so.
    """
    updates = reached(run, threshold, protocol)
    if updates is not None:
        return Arrival(updates, True)
    watched = evaluations(protocol) if decided(run, protocol) else len(run["accuracy"])
    return Arrival(watched * protocol["evaluate_every"], False)


class Span(NamedTuple):
    """How far one seed got.

    lag       the last of the longest unbroken prefix of the ladder that it reached; 0 for none
    at_least  whether nothing was decided beyond: the ladder ends there, or the next lag was not
              run, or was cut short before the budget was out
    """

    lag: int
    at_least: bool


def span(runs: Mapping[int, Run], threshold: float, protocol: Protocol) -> Span:
    """The span of a seed: what it reached above a lag that it missed or skipped does not count.

        ladder 1 2 3 5      reached 1 3 5, missed 2: span 1      reached 1 2, not run 3: at least 2

    Args:
      runs: of the seed, by lag.
      threshold: of accuracy.
      protocol: with the ladder.
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
    """The span of each seed, from the runs of all of them on one task."""
    by_seed: dict[int, dict[int, Run]] = {seed: {} for seed in seeds}
    for run in runs:
        by_seed[run["seed"]][run["lag"]] = run
    return [span(by_seed[seed], threshold, protocol) for seed in seeds]


def successes(runs: Sequence[Run], protocol: Protocol) -> dict[int, set[int]]:
    """The seeds that reached the highest threshold, by lag, of one task."""
    found: dict[int, set[int]] = {}
    for run in runs:
        reaches = reached(run, max(protocol["thresholds"]), protocol) is not None
        found.setdefault(run["lag"], set()).update({run["seed"]} if reaches else ())
    return found


def unbroken(runs: Sequence[Run], seeds: Sequence[int], protocol: Protocol) -> set[int]:
    """The seeds that succeeded at every lag that was run."""
    return set(seeds).intersection(*successes(runs, protocol).values())


def halves(
    runs: Sequence[Run], seeds: Sequence[int], protocol: Protocol
) -> tuple[int | None, int | None]:
    """The last lag before fewer than half of the seeds succeed, and the first where they do not.

    seeds that succeed, of 8    lag 1: 8    lag 2: 4    lag 3: 3    lag 5: 4        2 and 3
    """
    passed = None
    for lag, seeds_of_lag in sorted(successes(runs, protocol).items()):
        if 2 * len(seeds_of_lag) < len(seeds):
            return passed, lag
        passed = lag
    return passed, None


def next_lag(lag: float, protocol: Protocol) -> int | None:
    """The first lag of the ladder above one; None where the ladder ends before."""
    return next((rung for rung in protocol["ladder"] if rung > lag), None)


def best_rate(rows: Sequence[Run]) -> float:
    """The rate of the largest mean accuracy over all evaluations and seeds; the smaller of equals.

    A run that succeeded early counts as right from then on, one whose loss was no number as wrong.
    """
    longest = max(len(row["accuracy"]) for row in rows)
    areas: dict[float, list[float]] = {}
    for row in rows:
        known = [x or 0.0 for x in row["accuracy"]]
        rest = [0.0 if row["failed"] else 1.0] * (longest - len(known))
        areas.setdefault(row["rate"], []).append(sum([*known, *rest]) / longest)
    return max(sorted(areas), key=lambda rate: sum(areas[rate]))


def last_tried(rows: Sequence[Run], lags: Sequence[int]) -> list[Run]:
    """Of the rows that choose the rate of a task, those of the last lag that was tried."""
    last = max((lags.index(row["lag"]) for row in rows), default=0)
    return [row for row in rows if row["lag"] == lags[last]]


def is_decided(rows: Sequence[Run], protocol: Protocol) -> bool:
    """Whether the best rate ended at the lower threshold or above, the mean over its seeds."""
    best = best_rate(rows)
    last = [row["accuracy"][-1] or 0.0 for row in rows if row["rate"] == best]
    return sum(last) / len(last) >= min(protocol["thresholds"])
