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

from echo_jax import ladder, statistics

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
    updates = [ladder.reached(run, aim, protocol) for run in runs]
    known = [math.log2(n) for n in updates if n is not None]
    whole = len(known) == len(card["seeds"]) > 1
    return known if whole and 2 * 2 ** max(known) <= protocol["budget"] + 0.5 else None


def compared(first: Card, second: Card, task: str, lag: int) -> Ratio | None:
    """The ratio of their updates at a lag that all seeds of both learned soon; None elsewhere."""
    ours, theirs = (log_updates(card, task, lag) for card in (first, second))
    if ours is None or theirs is None:
        return None
    difference, interval = statistics.predicted_difference(ours, theirs, LEVEL)
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
    if found is None:
        names = f"{first['name']} and {second['name']}"
        return f"There is no lag that all seeds of {names} learn within half of the budget."
    span = f"{found.low:.2f} to {found.high:.2f}"
    surely = "" if found.low > 1 or found.high < 1 else ", so either may be the sooner one"
    return (
        f"At lag {found.lag} {first['name']} takes {found.ratio:.2f} times the updates of "
        f"{second['name']} (repeats with other seeds: {span}, {LEVEL:.0%}){surely}."
    )


class Coverage(NamedTuple):
    """How often the prediction of two cards held for two others of the same cell.

    lag     of the stream
    held    predictions that held
    tried   predictions, each of two cards for two others
    values  different numbers of updates among all seeds
    """

    lag: int
    held: int
    tried: int
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
        held = [_held(known, *pairs) for pairs in _pairs_of_pairs(len(cards))]
        yield Coverage(lag, sum(held), len(held), len({x for each in known for x in each}))


def _pairs_of_pairs(count: int) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Every pair with every other that shares no card with it."""
    for one in combinations(range(count), 2):
        rest = [i for i in range(count) if i not in one]
        yield from ((one, other) for other in combinations(rest, 2))


def _held(known: Sequence[Any], one: tuple[int, int], other: tuple[int, int]) -> bool:
    _, predicted = statistics.predicted_difference(known[one[0]], known[one[1]], LEVEL)
    means = [sum(known[i]) / len(known[i]) for i in other]
    found = means[0] - means[1]
    return predicted.low - 1e-12 <= found <= predicted.high + 1e-12
