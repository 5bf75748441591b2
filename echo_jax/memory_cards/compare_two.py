"""Two cards of one protocol beside each other: which one learns a lag sooner, and how surely.

Spans are medians on a ladder and say nothing where both end at the same rung. What varies is how
many updates a lag takes: its logarithm is about normal over seeds, and a difference of two is a
ratio. Lags that some seed takes more than half of the budget for are left out: near its end the
slow seeds would be missing. No jax.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from echo_jax import statistics
from echo_jax.memory_benchmark import spans

Card = Mapping[str, Any]

LEVEL = 0.95
"""Of the prediction interval."""


class Ratio(NamedTuple):
    """How many times as many updates the first card takes at a lag, and what repeats will find.

    low, high  the prediction interval: the ratio of two repeats of the cards, with other seeds,
               falls into it with probability LEVEL
    """

    lag: int
    ratio: float
    low: float
    high: float


def log_updates(card: Card, task: str, lag: int) -> list[float] | None:
    """log2 of the updates that each seed took to succeed at a lag.

    None unless every one did, within half of the budget.
    """
    protocol, aim = card["protocol"], max(card["protocol"]["thresholds"])
    runs = [r for r in card["raw"] if r["kind"] == "run" and (r["task"], r["lag"]) == (task, lag)]
    updates = [spans.reached(run, aim, protocol) for run in runs]
    known = [math.log2(n) for n in updates if n is not None]
    whole = len(known) == len(card["seeds"]) > 1
    return known if whole and 2 * 2 ** max(known) <= protocol["budget"] + 0.5 else None


def compared(first: Card, second: Card, task: str, lag: int) -> Ratio | None:
    """The ratio of their updates at a lag that all seeds of both learned soon; None elsewhere."""
    ours, theirs = (log_updates(card, task, lag) for card in (first, second))
    if ours is None or theirs is None:
        return None
    every = [card["protocol"]["evaluate_every"] for card in (first, second)]
    difference, interval = _predicted(ours, theirs, every)
    return Ratio(lag, 2**difference, 2**interval.low, 2**interval.high)


def longest(first: Card, second: Card, task: str = "stream") -> Ratio | None:
    """`compared` at the longest lag where it can be; None where they cannot be compared at all."""
    if first["protocol_hash"] != second["protocol_hash"]:
        return None
    found = [compared(first, second, task, lag) for lag in first["protocol"]["ladder"]]
    return next((ratio for ratio in reversed(found) if ratio), None)


def sentence(first: Card, second: Card) -> str:
    """Which of two cards learns streams sooner, in words."""
    if first["protocol_hash"] != second["protocol_hash"]:
        return f"{first['name']} and {second['name']} are of different protocols."
    found = longest(first, second)
    names = f"{first['name']} and {second['name']}"
    if found is None and not (_has_runs(first) and _has_runs(second)):
        return f"Streams were not measured of both {names}."
    if found is None:
        return f"There is no lag that all seeds of {names} learn within half of the budget."
    span = f"{found.low:.2f} to {found.high:.2f}"
    surely = "" if found.low > 1 or found.high < 1 else ", so either may be the sooner one"
    return (
        f"At lag {found.lag} {first['name']} takes {found.ratio:.2f} times the updates of "
        f"{second['name']} (repeats with other seeds: {span}, {LEVEL:.0%}){surely}."
    )


def _has_runs(card: Card) -> bool:
    """Whether any lag of the stream was run."""
    return any(row["kind"] == "run" and row["task"] == "stream" for row in card["raw"])


class Coverage(NamedTuple):
    """How often the prediction of two cards held for two others of the same cell.

    lag     of the stream
    held    predictions that held
    tried   predictions, each of two cards for two others
    error   the standard error of held / tried, by a jackknife over the cards: there are far more
            predictions than cards, and only these are independent
    values  different numbers of updates among all seeds
    """

    lag: int
    held: int
    tried: int
    error: float
    values: int


def coverages(cards: Sequence[Card], task: str = "stream") -> Iterator[Coverage]:
    """How often the prediction of a pair held for another, over all such choices, lag by lag.

    Args:
      cards: repeats of one cell, with different seeds, at least 4.
      task: stream or hold.
    """
    for lag in cards[0]["protocol"]["ladder"]:
        known = [each for card in cards if (each := log_updates(card, task, lag)) is not None]
        if len(known) < len(cards):
            continue
        pairs = list(combinations(range(len(cards)), 2))
        every = [cards[0]["protocol"]["evaluate_every"]] * 2
        predicted = {(i, j): _predicted(known[i], known[j], every)[1] for i, j in pairs}
        means = [sum(each) / len(each) for each in known]
        held = {
            (*one, k, n): _holds(predicted[one], means[k] - means[n])
            for one in pairs
            for k, n in pairs
            if not {k, n} & set(one)
        }
        values = len({x for each in known for x in each})
        yield Coverage(lag, sum(held.values()), len(held), _jackknife(held, len(cards)), values)


def _holds(interval: statistics.Interval, value: float) -> bool:
    """Whether it holds a value, but for rounding."""
    return interval.low - 1e-12 <= value <= interval.high + 1e-12


def _jackknife(held: Mapping[tuple[int, int, int, int], bool], cards: int) -> float:
    """The standard error of the share of predictions that held, leaving out one card at a time.

    sqrt((n - 1) / n * sum of (share without card i - their mean)^2), Efron & Stein 1981; infinite
    for 4 cards, as nothing is left of them.
    """
    shares = []
    for left_out in range(cards):
        others = [value for used, value in held.items() if left_out not in used]
        if not others:
            return math.inf
        shares.append(sum(others) / len(others))
    mean = sum(shares) / cards
    return math.sqrt((cards - 1) / cards * sum((share - mean) ** 2 for share in shares))


def _predicted(
    ours: Sequence[float], theirs: Sequence[float], every: Sequence[int]
) -> tuple[float, statistics.Interval]:
    """`statistics.predicted_difference` of log2 updates that are known to `every` so many."""
    rounding = (coarseness(ours, every[0]), coarseness(theirs, every[1]))
    return statistics.predicted_difference(ours, theirs, LEVEL, rounding)


def coarseness(values: Sequence[float], every: int) -> float:
    """How coarsely updates are known, in log2, about their geometric mean.

    From the last evaluation at which a run had not succeeded to the one at which it had; a factor
    of 2 where that is the first one.
    """
    updates = 2 ** (sum(values) / len(values))
    return min(1.0, math.log2(updates / (updates - every))) if updates > every else 1.0
