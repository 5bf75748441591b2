"""The verdict on the answer of a study, by a test: a finding or not. No jax here."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from echo_jax import statistics
from echo_jax.studies.catalogue import STUDIES, TUTORIAL_SEQUENCES, Study
from echo_jax.studies.result_rows import ResultRow, Rows
from echo_jax.studies.scores import median, scores, summary

LEVEL = 0.05  # of a test of a difference
LEARNED = 0.99  # the accuracy from which on a network counts as having learned

MARGIN = 0.002
"""The equivalence margin for accuracies and chance, fixed before anything was run; where chance is
below 1%, a fifth of chance."""


def at_chance(row: ResultRow) -> bool:
    """True where a test finds the mean accuracy equivalent to chance; False of one seed."""
    chance, values = row.baselines.accuracy, scores(row, "accuracy")
    margin = min(MARGIN, chance / 5)
    return len(values) > 1 and statistics.mean_equivalent(values, chance, margin).equivalent


def learned(row: ResultRow) -> bool:
    """True for a median accuracy of at least 99%."""
    return median(row, "accuracy") >= LEARNED


class Compared(NamedTuple):
    """A score of two rows, compared seed by seed; p is adjusted for all comparisons beside it."""

    first: ResultRow
    second: ResultRow
    score: str
    found: statistics.Comparison
    p: float


class Difference(NamedTuple):
    """The second row compared with the first: 1 higher, -1 lower, 0 not shown; the adjusted p.

    A difference is shown where p is at most 5% and the interval of its median excludes 0.
    """

    sign: int
    p: float

    def __str__(self) -> str:
        """The p-value as the table of the study has it."""
        return f"p (Holm) {self.p:.2g}"


def compared(pairs: Sequence[Sequence[ResultRow]], names: Sequence[str]) -> list[Compared]:
    """Pairs of rows compared in some scores, the p-values adjusted together (Holm).

    Without those where a seed failed or never reached the score, or there is only one.
    """
    found = []
    for (first, second), name in itertools.product(pairs, names):
        before, after = scores(first, name), scores(second, name)
        if len(before) > 1 and None not in before + after:
            comparison = statistics.paired_comparison(before, after)
            found.append(Compared(first, second, name, comparison, comparison.p_value))
    adjusted = statistics.holm([each.p for each in found])
    return [each._replace(p=p) for each, p in zip(found, adjusted, strict=True)]


def compared_in(study: Study, rows: Sequence[ResultRow]) -> list[Compared]:
    """The comparisons of a study, in those of its pairs that were run."""
    by_name = {row.point: row for row in rows}
    pairs = [pair for pair in study.pairs if by_name.keys() >= set(pair)]
    return compared([[by_name[name] for name in pair] for pair in pairs], study.compared)


def differences(*pairs: Sequence[ResultRow]) -> list[Difference]:
    """The differences in accuracy of some pairs that are no pairs of their study."""
    found = compared(pairs, ("accuracy",))
    return [difference(found, pair[1]) for pair in pairs]


def difference(found: Sequence[Compared], row: ResultRow, score: str = "accuracy") -> Difference:
    """The difference of a row from that before it in a pair; not shown where it is not compared."""
    for each in found:
        if each.second.point == row.point and each.score == score:
            low, high, _ = each.found.interval
            shown = int(low > 0) - int(high < 0)
            return Difference(shown if each.p <= LEVEL else 0, each.p)
    return Difference(0, 1.0)


def equal(first: ResultRow, second: ResultRow) -> bool:
    """True where a test finds the mean difference in accuracy to be within the margin."""
    apart = np.subtract(scores(second, "accuracy"), scores(first, "accuracy"))
    return len(apart) > 1 and statistics.mean_equivalent(apart, 0.0, MARGIN).equivalent


def surely(row: ResultRow) -> bool:
    """True where the whole interval of the median accuracy is at 99% or more."""
    interval = summary(row, "accuracy").interval
    return interval is not None and interval.low >= LEARNED


def _may_have_learned(row: ResultRow) -> bool:
    """True where the interval of the median accuracy reaches 99%, or there is none."""
    interval = summary(row, "accuracy").interval
    return interval is None or interval.high >= LEARNED


def _all_surely(rows: Sequence[ResultRow], what: str) -> str:
    """The verdict on rows that are said to be learned: is the interval of each at 99% or more?"""
    sure = sum(map(surely, rows))
    test = f"in {sure} of the {len(rows)} {what} the whole interval of the median is at 99% or more"
    return verdict(sure == len(rows) > 0, test)


def verdict(holds: bool, test: str) -> str:
    """The sentence that says whether the answer is a finding, and by which test."""
    return f"{'A finding' if holds else 'Not a finding'}: {test}."


def _of_parts(rows: Rows) -> str:
    _, three, four = rows
    chance, interval = at_chance(three), summary(four, "accuracy").interval
    beyond = interval is not None and interval.low > four.baselines.order_blind_accuracy
    return verdict(
        chance and beyond,
        f"part 3 is {'' if chance else 'not '}equivalent to chance within 0.2 points, and the "
        f"interval of part 4 is {'' if beyond else 'not '}above the order-blind baseline",
    )


def _of_mistake(rows: Rows) -> str:
    six, (one, two) = rows(batch=6, batches_back=1), rows.each("batches_back", 1, 2, batch=1)
    (found,) = differences((one, two))
    return verdict(
        at_chance(six) and found.sign > 0,
        f"with batches of 6 the accuracy is {'' if at_chance(six) else 'not '}equivalent to chance "
        f"within 0.2 points; two batches against one, with batches of 1: {found}",
    )


def _of_state(rows: Rows) -> str:
    carried = rows(window=5, lag=1, batch=5, state="carried")
    found = difference(compared_in(STUDIES["state"], rows), carried)
    return verdict(found.sign != 0, f"the difference in accuracy on part 4 has {found}")


def _of_masking(rows: Rows) -> str:
    table = compared_in(STUDIES["masking"], rows)
    first, second = (
        difference(table, rows(missing_values="extra token", lag=lag), "rows_apart missing")
        for lag in (1, 3)
    )
    return verdict(
        0 not in (first.sign, second.sign),
        "extra token against masked steps, on rows with missing values: "
        f"{first} at lag 1 and {second.p:.2g} at lag 3",
    )


def _of_prefix(rows: Rows) -> str:
    pairs = [rows.each("context", "window of 5", "all so far", lag=lag) for lag in (1, 5)]
    near, far = differences(*pairs)
    return verdict(
        far.sign != 0,
        f"all so far against a window of 5: {near} at lag 1 and {far.p:.2g} at lag 5",
    )


def _of_lags(rows: Rows) -> str:
    inside = [row for row in rows if row.config.task.lag < row.config.task.window]
    outside = [row for row in rows if row not in inside]
    counted = list(filter(learned, inside))
    sure, beyond = sum(map(surely, counted)), sum(map(_may_have_learned, outside))
    return verdict(
        sure > 0 == beyond,
        f"the whole interval of the median is at 99% or more in {sure} of the {len(counted)}, and "
        f"reaches 99% in {beyond} of the {len(outside)} combinations whose window lacks the lag",
    )


def _of_streams(rows: Rows) -> str:
    pairs = [
        rows.each("trained_on", "chunks of 5", "whole sequences", lag=lag) for lag in (1, 5, 10)
    ]
    one, five, ten = differences(*pairs)
    return verdict(
        0 not in (five.sign, ten.sign),
        f"whole sequences against chunks of 5, in accuracy: {one} at lag 1, {five.p:.2g} at "
        f"lag 5 and {ten.p:.2g} at lag 10",
    )


def _of_mlp(rows: Rows) -> str:
    lstm, mlp = (
        rows.each("lag", 1, 4, 5, sees="windows of 5", network=name) for name in ("LSTM", "MLP")
    )
    same = sum(map(equal, lstm, mlp))
    return verdict(
        same == len(lstm),
        f"on windows of 5 the two are equivalent within 0.2 points at {same} of {len(lstm)} lags",
    )


def _of_vocabulary(rows: Rows) -> str:
    return _all_surely(rows.all(values=1000), "networks with 1,000 values")


def _of_length(rows: Rows) -> str:
    return _all_surely(list(filter(learned, rows)), "lengths that are named")


def _of_size(rows: Rows) -> str:
    named: list[ResultRow] = []
    for part, whole in TUTORIAL_SEQUENCES.items():
        good = list(filter(learned, rows.all(part=part, sequences=whole)))
        named += sorted(good, key=lambda row: row.config.network.hidden_size)[:1]
    return _all_surely(named, "smallest layers with the tutorial's sequences")


def _of_framing(rows: Rows) -> str:
    table = compared_in(STUDIES["framing"], rows)
    two, four = (difference(table, rows(framing="values in [0, 1]", part=part)) for part in (2, 4))
    return verdict(
        0 not in (two.sign, four.sign),
        f"values against classes, in exact matches: {two} on part 2 and {four.p:.2g} on part 4",
    )


def _of_explain(rows: Rows) -> str:
    apart = [_ahead(row) for row in rows]
    p_values = statistics.holm([statistics.sign_flip_test(each) for each in apart])
    holds = all(p <= LEVEL and min(each) > 0 for p, each in zip(p_values, apart, strict=True))
    shown = " and ".join(f"{p:.2g}" for p in p_values)
    return verdict(holds, f"the input at the lag against the next most followed: p (Holm) {shown}")


def _ahead(row: ResultRow) -> list[float]:
    """Of every seed, how much more often the answer follows the input at the lag than any other."""
    shares, lag = np.array(scores(row, "follows trained"), float), row.config.task.lag
    return list(shares[:, lag] - np.delete(shares, lag, axis=1).max(axis=1))


def _of_future(rows: Rows) -> str:
    ahead = rows(lag=-1)
    chance = ahead.baselines.accuracy
    test = statistics.mean_equivalent(scores(ahead, "accuracy"), chance, MARGIN)
    settled = test.equivalent or test.interval.low > chance + MARGIN
    where = "within" if test.equivalent else "above" if settled else "not within"
    return verdict(settled, f"the 90% interval is {where} 0.2 points of chance")


def _of_advice(rows: Rows) -> str:
    table = compared_in(STUDIES["advice"], rows)
    found = [difference(table, each.second) for each in table]
    good = [each.p for each in found if each.sign > 0]
    raised = f"{len(good)} of {len(found)} changes raise the accuracy"
    largest = f", p (Holm) at most {max(good):.2g}" if good else ""
    return verdict(len(good) == len(found) > 0, f"{raised}{largest}")


def sooner(first: ResultRow, second: ResultRow) -> bool:
    """True where the interval of the first row's sequences to 99% is below that of the second."""
    before, after = (summary(row, "sequences_to_99").interval for row in (first, second))
    return before is not None and after is not None and before.high < after.low


def _of_cells(rows: Rows) -> str:
    good = list(filter(learned, rows))
    sure = sum(map(surely, good))
    return verdict(
        sure == len(good) > 0,
        f"in {sure} of the {len(good)} that learn it the whole interval of the median is at 99% or "
        "more; sooner are those whose interval ends before that of the LSTM begins",
    )


VERDICTS: dict[str, Callable[[Rows], str]] = {
    each.__name__.removeprefix("_of_"): each
    for each in (
        _of_parts, _of_mistake, _of_state, _of_masking, _of_prefix, _of_lags, _of_streams, _of_mlp,
        _of_vocabulary, _of_length, _of_size, _of_framing, _of_explain, _of_future, _of_advice,
        _of_cells,
    )
}  # fmt: skip
"""True for each study whose answer is a finding, by its name."""
