"""The rule by which a rung is passed, how far up each seed climbs, and the mean span. No jax.

Rows and protocols are dictionaries, as in a card. Of a row `run`: `accuracy` at each evaluation;
`confirmed`, pairs of the number of an evaluation, from 0, and the accuracy of its confirmation;
`failed`, if the loss became non-finite. A row `skipped` is of a rung that no seed needed to run.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from echo_jax import statistics

Row = Mapping[str, Any]
Protocol = Mapping[str, Any]
LadderFields = Mapping[str, Any]


def ladder_of(protocol: Protocol, name: str) -> LadderFields:
    """The ladder of a name."""
    return next(ladder for ladder in protocol["ladders"] if ladder["name"] == name)


def passed(row: Row, protocol: Protocol) -> int | None:
    """Updates until a run passed its rung; None if it did not.

    accuracy     0.50   0.99   0.98   1.00
    confirmed           0.97          1.00      evaluated every 50: passed after 200
    """
    threshold = ladder_of(protocol, row["ladder"])["threshold"]
    for number, confirmed in row["confirmed"]:
        if min(row["accuracy"][number] or 0.0, confirmed) >= threshold:
            return (number + 1) * protocol["evaluate_every"]
    return None


def is_over(row: Row, protocol: Protocol) -> bool:
    """True if more updates cannot change the outcome: a pass, a failure, or the budget is used."""
    used = len(row["accuracy"]) * protocol["evaluate_every"] >= protocol["budget"]
    return row["failed"] or used or passed(row, protocol) is not None


class Climb(NamedTuple):
    """The climb of one seed up a ladder.

    passed  the last rung of its unbroken prefix; 0 for none
    missed  the rung that it missed; None if it missed none: censored by the end of the ladder or
            of the time
    rate    the rate of the run that passed the last rung, and
    updates its updates; None for none
    """

    passed: int
    missed: int | None
    rate: float | None = None
    updates: int | None = None


def climb(
    rows: Iterable[Row],
    skipped: Iterable[int],
    rungs: Sequence[int],
    protocol: Protocol,
    between: Collection[int] = (),
) -> Climb:
    """The climb of a seed, from its runs on a ladder: any rate passes a rung, all rates miss it.

    rungs 1 2 3 4      passed 1 2, missed 3: Climb(2, 3)      passed 1, 2 not run: Climb(1, None)

    A skipped rung counts as passed. Rungs above a missed one do not count. Those of `between`,
    which a refinement tries, are among `rungs`; one that was cut short counts as not tried.
    """
    skipped, by_rung = set(skipped), grouped(rows, "rung")
    last = Climb(0, None)
    for rung in rungs:
        runs = by_rung.get(rung, [])
        first = next(((row, n) for row in runs if (n := passed(row, protocol))), None)
        if first:
            last = Climb(rung, None, first[0]["rate"], first[1])
        elif rung not in skipped:
            rates = {row["rate"] for row in runs if is_over(row, protocol)}
            missed = rates >= set(protocol["rates"])
            if missed or rung not in between:
                return last._replace(missed=rung if missed else None)
    return last


def climbs(raw: Iterable[Row], ladder: str, protocol: Protocol) -> dict[int, Climb]:
    """The climb of each seed that has runs on a ladder."""
    rows = [row for row in raw if row.get("ladder") == ladder]
    runs = [row for row in rows if row["kind"] == "run"]
    skipped = [row["rung"] for row in rows if row["kind"] == "skipped"]
    rungs = rungs_of(rows, ladder, protocol)
    between = {*rungs} - {*ladder_of(protocol, ladder)["rungs"]}
    return {
        seed: climb(of_seed, skipped, rungs, protocol, between)
        for seed, of_seed in grouped(runs, "seed").items()
    }


def rungs_of(rows: Iterable[Row], ladder: str, protocol: Protocol) -> list[int]:
    """All rungs of a ladder, with those that a refinement or an exact cell added to them."""
    found = {row["rung"] for row in rows if row.get("ladder") == ladder and row["kind"] == "run"}
    return sorted({*ladder_of(protocol, ladder)["rungs"], *found})


def grouped(rows: Iterable[Row], name: str) -> dict[Any, list[Row]]:
    """Rows by the value of a field, the smallest value first."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return dict(sorted(groups.items()))


class MeanSpan(NamedTuple):
    """The geometric mean span of a ladder over seeds, and its 95% interval.

    at_least  True if a seed is censored: the mean is then a lower bound, and `high` is None
    """

    mean: float
    low: float
    high: float | None
    at_least: bool


def mean_span(found: Sequence[Climb], first: int) -> MeanSpan:
    """The mean span of some climbs of a ladder whose first rung is `first`.

    The mean is that of the logarithms of the midpoints between the last passed and the first
    missed rung (Spearman-Kaerber). A seed that missed the first rung counts as if it had passed
    half of it, a censored one as its last passed rung. The interval is that of Student's t, and its
    half-width at least half of the mean gap, as the place within a gap is not known.

        passed 16 16 20, missed 20 20 25:   exp of the mean of log 17.9, 17.9, 22.4 = 19.3
    """
    ends = [
        (math.log(each.passed or first / 2), math.log(each.missed or each.passed or first / 2))
        for each in found
    ]
    middles = [(low + high) / 2 for low, high in ends]
    mean, count = math.fsum(middles) / len(ends), len(ends)
    half = math.fsum(high - low for low, high in ends) / count / 2
    if count > 1:
        variance = math.fsum((x - mean) ** 2 for x in middles) / (count - 1)
        half = max(half, statistics.t_quantile(0.975, count - 1) * math.sqrt(variance / count))
    censored = any(each.missed is None for each in found)
    high = None if censored else math.exp(mean + half)
    return MeanSpan(math.exp(mean), math.exp(mean - half), high, censored)


def are_disjoint(first: MeanSpan, second: MeanSpan) -> bool:
    """True if two intervals have no span in common: only then two cells are called different.

    An interval has no upper end of its own: the rung at the end of a gap was missed. So 2 to 4 and
    4 to 8, of seeds that all missed 4 and seeds that all passed it, are disjoint.
    """
    ends = [math.inf if each.high is None else each.high for each in (first, second)]
    lows = [each.low * (1 + 1e-9) for each in (first, second)]  # sums of logarithms are rounded
    return lows[0] >= ends[1] or lows[1] >= ends[0]


def span_of_half(found: Mapping[int, Climb]) -> tuple[int | None, int | None]:
    """The last rung that at least half of the seeds climbed to, and the first above it.

    The second is the smallest that one of them missed, None if they missed none.
    """
    ordered = sorted(each.passed for each in found.values())
    last = ordered[len(ordered) // 2]
    missed = [each.missed for each in found.values() if each.missed and each.missed > last]
    return last or None, min(missed, default=None)
