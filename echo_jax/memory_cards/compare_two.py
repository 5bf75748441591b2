"""Two cards of one protocol compared: which cell learns a lag in fewer updates, with an interval.

Spans are medians on a ladder of lags, and tell nothing apart if both are the same lag. The number
of updates that a lag takes varies more finely: its logarithm is about normal over seeds, and a
difference of logarithms is a ratio. A lag is left out if a seed needs more than half of the budget,
because near its end slow seeds would be missing.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any, NamedTuple

from echo_jax import statistics
from echo_jax.memory_benchmark import spans
from echo_jax.memory_cards import card_text
from echo_jax.report import text_tables

Card = Mapping[str, Any]

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
    """`compared` at the longest lag where it is possible; None if it never is."""
    if first["protocol_hash"] != second["protocol_hash"]:
        return None
    found = (compared(first, second, lag) for lag in reversed(first["protocol"]["ladder"]))
    return next(filter(None, found), None)


def sentence(first: Card, second: Card) -> str:
    """A sentence that says which of two cards learns the stream task sooner."""
    names = f"{first['name']} and {second['name']}"
    if first["protocol_hash"] != second["protocol_hash"]:
        return f"{names} are of different protocols."
    found = longest(first, second)
    if found is None and not (_stream_runs(first) and _stream_runs(second)):
        return f"The stream task was not measured for both {names}."
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

    Args:
      cards: repeats of one cell, with different seeds, at least 4.
    """
    every = cards[0]["protocol"]["evaluate_every"]
    pairs = list(combinations(range(len(cards)), 2))
    for lag in cards[0]["protocol"]["ladder"]:
        known = [each for card in cards if (each := log_updates(card, lag)) is not None]
        if len(known) < len(cards):
            continue
        predicted = {(i, j): _predicted(known[i], known[j], every)[1] for i, j in pairs}
        means = [sum(each) / len(each) for each in known]
        held = {
            (*pair, k, n): _contains(predicted[pair], means[k] - means[n])
            for pair in pairs
            for k, n in pairs
            if not {k, n} & set(pair)
        }
        values = len({x for each in known for x in each})
        yield Coverage(lag, sum(held.values()), len(held), _jackknife(held, len(cards)), values)


def _contains(interval: statistics.Interval, value: float) -> bool:
    """True if a value is in an interval, up to rounding."""
    return interval.low - 1e-12 <= value <= interval.high + 1e-12


def _jackknife(held: Mapping[tuple[int, int, int, int], bool], cards: int) -> float:
    """Standard error of the share of predictions that held, leaving out one card at a time.

    sqrt((n - 1) / n * sum of (share without card i - their mean)^2), Efron & Stein 1981; infinite
    for 4 cards, because no predictions are left without one of them.
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
    ours: Sequence[float], theirs: Sequence[float], every: int
) -> tuple[float, statistics.Interval]:
    """The difference of two means of log2 updates, with the prediction interval of repeats.

    Args:
      ours: log2 updates of the seeds of one card.
      theirs: those of the other card.
      every: updates between two evaluations.
    """
    widths = (_resolution(ours, every), _resolution(theirs, every))
    return statistics.predicted_difference(ours, theirs, LEVEL, widths)


def _resolution(values: Sequence[float], every: int) -> float:
    """The distance between two evaluations in log2 updates, about the mean of the values.

    A run succeeds somewhere between two evaluations; 1 if the later one is the first.
    """
    updates = 2 ** (sum(values) / len(values))
    return min(1.0, math.log2(updates / (updates - every))) if updates > every else 1.0
