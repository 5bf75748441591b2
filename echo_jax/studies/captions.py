"""The sentences under the figure of a study: what it shows, every number read from its rows."""

from collections.abc import Callable, Mapping, Sequence
from math import log2
from typing import Any

import numpy as np

from echo_jax.report.number_formats import decimals, number, percent
from echo_jax.studies.answers import listed
from echo_jax.studies.catalogue import STUDIES, Chart
from echo_jax.studies.result_rows import ResultRow, Rows
from echo_jax.studies.scores import median, places
from echo_jax.studies.study_figures import (
    all_shares,
    axis_name,
    curves,
    dot_rows,
    drawn,
    series_name,
)
from echo_jax.studies.verdicts import LEARNED, compared_in, difference


def caption(name: str, chart: Chart, rows: Sequence[ResultRow]) -> str:
    """The caption of the figure of a study; in general words where its rows are unexpected."""
    try:
        return CAPTIONS[name](Rows(drawn(chart, rows))) or general(chart, rows)
    except (KeyError, ValueError, IndexError):
        return general(chart, rows)


def general(chart: Chart, rows: Sequence[ResultRow]) -> str:
    """The places where accuracies reach 99%, or the course of each line."""
    found = _values(chart, rows)
    if chart.y != "accuracy":
        return _courses(chart, found)
    good = {line: [at for at, value in values.items() if value >= LEARNED]
            for line, values in found.items()}  # fmt: skip
    if list(found) == [""]:
        count = f"{len(good[''])} of {len(found[''])}"
        if len(good[""]) == len(found[""]):
            return f"All {len(found[''])} reach 99%."
        return f"{count} reach 99%{_where(chart, found[''], good[''])}."
    words: dict[str, list[str]] = {"everywhere": [], "in part": [], "nowhere": []}
    for line, values in found.items():
        count = f"{line} ({len(good[line])} of {len(values)}{_where(chart, values, good[line])})"
        if len(good[line]) == len(values):
            words["everywhere"].append(line)
        else:
            words["in part" if good[line] else "nowhere"].append(count if good[line] else line)
    said = [f"{where}: {', '.join(lines)}" for where, lines in words.items() if lines]
    return f"99% is reached {'; '.join(said)}."


def _where(chart: Chart, values: Mapping[Any, float], good: Sequence[Any]) -> str:
    """From which place on an accuracy is at least 99%, if it is from there on."""
    from_there = good and list(values)[-len(good) :] == list(good)
    return f", from {chart.x} {good[0]} on" if chart.kind == "lines" and from_there else ""


def _values(chart: Chart, rows: Sequence[ResultRow]) -> dict[str, dict[Any, float]]:
    """The numbers of a figure: one for each place of each line, map or kind of dot."""
    if chart.kind in ("curves", "strips"):
        return {**curves(chart, rows)}
    rows = drawn(chart, rows)
    names = {id(row): name for name, some in dot_rows(chart, rows).items() for row in some}
    found: dict[str, dict[Any, float]] = {}
    for row in rows:
        at = names[id(row)] if chart.kind == "dots" else row.labels[chart.x]
        at = f"{at}, {row.labels[chart.up]}" if chart.up else at
        found.setdefault(series_name(chart, row), {})[at] = median(row, chart.y)
    return found


def _courses(chart: Chart, found: Mapping[str, Mapping[Any, float]]) -> str:
    """The peak of each line, if it stands out, or how the line begins and ends."""
    write: Callable[[float], str] = number if "to_99" in chart.y else decimals
    if chart.kind in ("curves", "strips") and all_shares(found):
        write = percent
    said = []
    for line, values in found.items():
        known = {place: value for place, value in values.items() if not np.isnan(value)}
        words = "unknown"  # all seeds failed
        if known:
            best, *others = sorted(known, key=lambda place: -known[place])
            first, last = next(iter(known)), list(known)[-1]
            words = f"{write(known[first])} at {first}, {write(known[last])} at {last}"
            if others and known[others[0]] < known[best] / 2:
                elsewhere = write(known[others[0]])
                words = f"{write(known[best])} at {best}, elsewhere at most {elsewhere}"
        said.append(f"{line}: {words}" if line else words)
    name, over = axis_name(chart), f" over {chart.x}" * bool(chart.x)
    return f"{name[0].upper()}{name[1:]}{over}. {'; '.join(said)}."


def alternative(chart: Chart, rows: Sequence[ResultRow]) -> str:
    """The text in place of a figure, for readers who do not see it."""
    kind = {"dots": "Dots", "lines": "Lines", "heat": "Maps", "curves": "Lines", "strips": "Strips"}
    over = " and ".join(filter(None, [chart.x, chart.up]))
    what = f"{kind[chart.kind]} of {axis_name(chart)}{f' over {over}' * bool(over)}"
    return f"{what}. {general(chart, rows)} The tables have all numbers."


def _parts(rows: Rows) -> str:
    stay = [row for row in rows if median(row, "accuracy") < 2 * row.baselines.accuracy]
    return "Only part 3 stays at chance." if stay == [rows[1]] else ""


def _mistake(rows: Rows) -> str:
    def probe(row: ResultRow, back: int) -> float:
        return places(row, "probe before")[1][back]

    six, one, two = rows(batch=6), *rows.each("batches_back", 1, 2, batch=1)
    untrained = rows(batches_back="untrained")
    there, absent = (probe(six, 6), probe(untrained, 1)), probe(six, 1)
    if min(there) < 0.9 or absent > 0.1:
        return ""
    lost = probe(one, 1) < 0.5
    kept = "but training drops it" if lost else "and it stays"
    again = ", unless the gradient reaches it" * (lost and probe(two, 1) > 0.9)
    return (
        "With batches of 1 the state has the value 1 step back before training, "
        f"{kept}{again}. With batches of 6 it never has it."
    )


def _state(rows: Rows) -> str:
    table = compared_in(STUDIES["state"], rows)
    signs = [difference(table, row).sign for row in rows.all(state="carried")]
    return (
        f"With the state carried the accuracy is lower in {signs.count(-1)} of {len(signs)} "
        f"settings, higher in {signs.count(1)}, and the same as far as these seeds show in "
        f"{signs.count(0)}."
    )


def _prefix(rows: Rows) -> str:
    _, window = places(rows(lag=5, context="window of 5"), "accuracy_by_position")
    first, far = places(rows(lag=5, context="all so far"), "accuracy_by_position")
    return (
        f"At lag 5, a network that sees all so far is right in {percent(far[0])} at position "
        f"{first} and in {percent(far[-1])} at position {first + len(far) - 1}; one with a window "
        f"of 5 in at most {percent(max(window))}."
    )


def _lags(rows: Rows) -> str:
    counts = []
    for window in dict.fromkeys(row.labels["window"] for row in rows):
        some = rows.all(window=window)
        good = sum(median(row, "accuracy") >= LEARNED for row in some)
        counts.append(f"{good} of {len(some)} fields with windows of {window}")
    return f"99% is reached in {listed(counts)}."


def _streams(rows: Rows) -> str:
    lag = 10
    said = [f"{decimals(median(row, 'recalled_bits'))} ({row.labels['trained on']})"
            for row in rows.all(lag=lag)]  # fmt: skip
    whole = log2(rows[0].config.task.vocab_size)
    return f"Of {whole:.2f} bits a value, a network recalls at lag {lag}: {', '.join(said)}."


def _vocabulary(rows: Rows) -> str:
    shares = [median(row, "recalled_bits") / log2(row.config.task.vocab_size) for row in rows]
    largest = {row.labels["input"]: row.config.task.vocab_size for row in rows}
    said = [f"{name} up to {size:,} values" for name, size in largest.items()]
    return (
        f"At least {min(shares):.0%} of the log2 V bits of a value are recalled at every number of "
        f"values: {listed(said)}."
    )


def _explain(rows: Rows) -> str:
    for row in rows:
        shares = places(row, "follows trained")[1]
        lag = row.config.task.lag
        if shares[lag] < 0.9 or max(shares[:lag] + shares[lag + 1 :]) > 0.1:
            return ""
    return "After training the answer follows the input at the lag trained for, and no other."


def _future(rows: Rows) -> str:
    first, *_, last = places(rows(lag=-1), "fed_back distinct")[1]
    values = rows(lag=-1).config.task.vocab_size
    expected = values * (1 - (1 - 1 / values) ** 25)
    change = "falls" if last < first else "does not fall"
    return (
        f"The number of different values {change} as answers are fed back: {first:.1f} among the "
        f"first 25 for lag -1, {last:.1f} among the last 25; 25 random integers "
        f"have {expected:.0f}."
    )


def _advice(rows: Rows) -> str:
    gains = [_gain(row, rows) for row in rows.all(change="none")]
    return (
        "The better change of a run that missed raises its accuracy by "
        f"{min(gains):.0f} to {max(gains):.0f} points."
    )


def _gain(before: ResultRow, rows: Rows) -> float:
    """The points of accuracy that the best change of a run adds."""
    after = max(median(row, "accuracy") for row in rows.all(run=before.labels["run"]))
    return 100 * (after - median(before, "accuracy"))


CAPTIONS: dict[str, Callable[[Rows], str]] = {
    each.__name__.removeprefix("_"): each
    for each in (
        _parts,
        _mistake,
        _state,
        _prefix,
        _lags,
        _streams,
        _vocabulary,
        _explain,
        _future,
        _advice,
    )
}
"""Captions of the figures of some studies, by the name of the study."""
