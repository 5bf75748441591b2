"""Two cards of one protocol compared: which cell learns a lag in fewer updates, with an interval.

Spans are medians on a ladder of lags, and tell nothing apart if both are the same lag. The number
of updates that a lag takes varies more finely: its logarithm is about normal over seeds, and a
difference of logarithms is a ratio. A lag is left out if a seed needs more than half of the budget,
because near its end slow seeds would be missing.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from typing import Any, NamedTuple

import numpy as np

from echo_jax import statistics
from echo_jax.memory_benchmark import spans
from echo_jax.memory_cards import card_text
from echo_jax.memory_cards.card_text import Card
from echo_jax.report import text_tables

LEVEL = 0.95
"""Probability that a prediction interval contains the ratio of repeats."""


def side_by_side(cards: Sequence[Card]) -> str:
    """A text table with a column for each card, and a sentence for each pair of cards."""
    known = [{line.label: line for line in card_text.lines(card)} for card in cards]
    rows = [["", "baseline", *(card["name"] for card in cards)]]
    for label in dict.fromkeys(chain(*known)):
        of_cards = [of.get(label, card_text.Line(label, card_text.NOT_MEASURED)) for of in known]
        baseline = next((line.baseline for line in of_cards if line.baseline), "")
        values = [", ".join(filter(None, (line.value, line.interval))) for line in of_cards]
        rows.append([label, baseline, *values])
    pairs = [sentence(*pair) for pair in combinations(cards, 2)]
    return "\n".join([text_tables.table(rows, left=range(len(rows[0]))), "", *pairs])


class Ratio(NamedTuple):
    """Updates of the first card at a lag, divided by those of the second.

    low, high  prediction interval: two repeats of the cards with other seeds have a ratio in it
               with probability LEVEL
    """

    lag: int
    ratio: float
    low: float
    high: float


def log_updates(card: Card, lag: int) -> list[float] | None:
    """log2 of the updates of each seed at a lag of the stream task.

    None unless all seeds succeed within half of the budget.
    """
    protocol, threshold = card["protocol"], max(card["protocol"]["thresholds"])
    runs = [run for run in _stream_runs(card) if run["lag"] == lag]
    updates = [spans.reached(run, threshold, protocol) for run in runs]
    known = [math.log2(n) for n in updates if n is not None]
    all_seeds = len(known) == len(card["seeds"]) > 1
    return known if all_seeds and 2 * 2 ** max(known) <= protocol["budget"] + 0.5 else None


def _stream_runs(card: Card) -> list[Any]:
    return [row for row in card["raw"] if row["kind"] == "run" and row["task"] == "stream"]


def compared(first: Card, second: Card, lag: int) -> Ratio | None:
    """The ratio of the updates at a lag; None unless `log_updates` has those of both."""
    ours, theirs = log_updates(first, lag), log_updates(second, lag)
    if ours is None or theirs is None:
        return None
    difference, interval = _predicted(ours, theirs, first["protocol"]["evaluate_every"])
    return Ratio(lag, 2**difference, 2**interval.low, 2**interval.high)


def longest(first: Card, second: Card) -> Ratio | None:
    """`compared` at the longest lag of their protocol where it is possible; None if it never is."""
    found = (compared(first, second, lag) for lag in reversed(first["protocol"]["ladder"]))
    return next(filter(None, found), None)


def sentence(first: Card, second: Card) -> str:
    """A sentence that says which of two cards learns the stream task sooner."""
    names = f"{first['name']} and {second['name']}"
    if first["protocol_hash"] != second["protocol_hash"]:
        return f"{names} are of different protocols."
    if not (_stream_runs(first) and _stream_runs(second)):
        return f"The stream task was not measured for both {names}."
    found = longest(first, second)
    if found is None:
        return f"There is no lag that all seeds of {names} learn within half of the budget."
    interval = f"{found.low:.2f} to {found.high:.2f}"
    surely = "" if found.low > 1 or found.high < 1 else ", so either may be the sooner one"
    return (
        f"At lag {found.lag} {first['name']} takes {found.ratio:.2f} times the updates of "
        f"{second['name']} (repeats with other seeds: {interval}, {LEVEL:.0%}){surely}."
    )


class Coverage(NamedTuple):
    """The share of prediction intervals of two cards that contained the ratio of two others.

    held    predictions that did
    tried   predictions, each of two cards for two others
    error   standard error of held / tried, by a jackknife over the cards: there are far more
            predictions than cards, and only the cards are independent
    values  different numbers of updates among all seeds
    """

    lag: int
    held: int
    tried: int
    error: float
    values: int


def coverages(cards: Sequence[Card]) -> Iterator[Coverage]:
    """The coverage at each lag that all cards have `log_updates` of, over all choices of pairs.

    The cards are at least 4 repeats of one cell, with different seeds.
    """
    every, count = cards[0]["protocol"]["evaluate_every"], len(cards)
    pairs = list(combinations(range(count), 2))
    for lag in cards[0]["protocol"]["ladder"]:
        known = [each for card in cards if (each := log_updates(card, lag)) is not None]
        if len(known) < count:
            continue
        means = [sum(each) / len(each) for each in known]
        held: dict[tuple[int, ...], bool] = {}
        for i, j in pairs:
            interval = _predicted(known[i], known[j], every)[1]
            for k, n in pairs:
                if not {k, n} & {i, j}:
                    low, high = interval.low - 1e-12, interval.high + 1e-12  # rounding
                    held[i, j, k, n] = low <= means[k] - means[n] <= high
        values = len({x for each in known for x in each})
        yield Coverage(lag, sum(held.values()), len(held), _jackknife(held, count), values)


def _jackknife(held: dict[tuple[int, ...], bool], cards: int) -> float:
    """Standard error of the share of predictions that held, leaving out one card at a time.

    sqrt((n - 1) / n * sum of (share without card i - their mean)^2), Efron & Stein 1981; infinite
    for 4 cards, because no predictions are left without one of them.
    """
    if cards == 4:
        return math.inf
    left = [[value for used, value in held.items() if i not in used] for i in range(cards)]
    return math.sqrt((cards - 1) * np.var([np.mean(others) for others in left]))


def _predicted(
    ours: Sequence[float], theirs: Sequence[float], every: int
) -> tuple[float, statistics.Interval]:
    """The difference of two means of log2 updates, with the prediction interval of repeats.

    A run succeeds somewhere between two evaluations, `every` updates apart: a width in log2
    updates, about the mean of the seeds; 1 if the later one is the first.
    """
    widths = []
    for values in (ours, theirs):
        updates = 2 ** (sum(values) / len(values))
        width = math.log2(updates / (updates - every)) if updates > every else 1.0
        widths.append(min(1.0, width))
    return statistics.predicted_difference(ours, theirs, LEVEL, (widths[0], widths[1]))
