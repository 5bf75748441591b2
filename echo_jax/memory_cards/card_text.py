"""A memory card in words, a line for each of its rows. No jax.

The terminal, the page and the figure say the same, from the same lines.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from echo_jax.memory_cards.schema import Row
from echo_jax.memory_cards.summary import span_estimate
from echo_jax.report.number_formats import decimals, number, percent

Shown = Callable[[float], str]
"""How a number is written."""

NOT_MEASURED = "not measured"
"""The value of a row of which there is nothing."""


class Line(NamedTuple):
    """A row of a card in words.

    row       what it is about
    value     the median
    interval  of it, with its coverage
    floor     what a cell without memory has
    seeds     how many there are
    note      what else is known, or why nothing is
    """

    row: str
    value: str
    interval: str = ""
    floor: str = ""
    seeds: str = ""
    note: str = ""


def glance(card: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The card in lines: what a row is, its value, and a note with interval, floor and seeds."""
    found = []
    for line in lines(card):
        floor = f"floor {line.floor}" if line.floor else ""
        note = "; ".join(filter(None, (line.interval, floor, line.seeds, line.note)))
        found.append((line.row, line.value, note))
    return found


def lines(card: Mapping[str, Any]) -> list[Line]:
    """Every row of a card, those that were not measured too."""
    rows, protocol = card["rows"], card["protocol"]
    makers: dict[str, tuple[str, Callable[[Any], list[Line]]]] = {
        "stream_span": ("stream span", lambda row: _span_lines("stream", row)),
        "hold_span": ("hold span", lambda row: _span_lines("hold", row)),
        "capacity": ("capacity", _capacity_lines),
        "linear": ("linear capacity", _linear_lines),
        "learning": ("learning", lambda row: _learning_lines(row, protocol, card["raw"])),
        "beyond": ("beyond", lambda row: _beyond_lines(row, protocol)),
        "cause": ("cause", _cause_lines),
        "price": ("price", _price_lines),
        "copy": ("copy memory", _copy_lines),
        "rates": ("learning rate", _rate_lines),
    }
    found: list[Line] = []
    for name, (label, make) in makers.items():
        if rows[name] is None:
            why = card["not_measured"].get(name, "")
            found.append(Line(label, NOT_MEASURED, note=why))
        else:
            found += make(rows[name])
    return found


def _rate_lines(rates: Row) -> list[Line]:
    """The rate of each task, and where nothing decided between them."""
    found = []
    for task, of in rates.items():
        at = f"T {of['lag']:,}" if task == "copy" else f"lag {of['lag']:,}"
        note = f"chosen at {at}" + ", where none learned: as good as a guess" * (not of["decided"])
        found.append(Line(f"learning rate, {task}", f"{of['rate']:g}", note=note))
    return found


class Reach(NamedTuple):
    """A span over seeds: its median and interval, and which of them are lower bounds."""

    median: float
    low: float | None
    high: float | None
    at_least: bool
    high_at_least: bool


def reach(span: Row) -> Reach:
    """The span of a card; a bound is one if longer spans of undecided seeds would raise it."""
    pairs = zip(span["by_seed"], span["at_least"], strict=True)
    unbounded = span_estimate(math.inf if more else lag for lag, more in pairs)
    ends = {name: span[name] for name in ("median", "low", "high")}
    more = {name: unbounded[name] != ends[name] for name in ("median", "high")}
    return Reach(**ends, at_least=more["median"], high_at_least=more["high"])


def _span_lines(task: str, spans: Row) -> list[Line]:
    """The highest threshold first, which is what a span is without more words."""
    found = []
    for i, threshold in enumerate(sorted(spans, key=float, reverse=True)):
        span = spans[threshold]
        name = f"{task} span" + f" at {float(threshold):.0%}" * (i > 0)
        value = f"{span_words(span)} {unit(task, span)}"
        after = f"next rung {span['next']:,}" if span["next"] else "the ladder ends there"
        found.append(Line(name, value, span_interval(span), "0", seeds_of(span), after))
    return found


def span_words(span: Row) -> str:
    """The median of a span: 12, or at least 500."""
    found = reach(span)
    return f"{'at least ' * found.at_least}{found.median:,g}"


def span_bounds(span: Row) -> str:
    """The interval of a span: 8 to 20, 8 to at least 500; nothing of one seed."""
    found = reach(span)
    if found.low is None or found.high is None:
        return ""
    return f"{found.low:,g} to {'at least ' * found.high_at_least}{found.high:,g}"


def unit(task: str, span: Row) -> str:
    """What the lags of a task count."""
    count = span["median"]
    return f"{plural(count, 'step')} back" if task == "stream" else plural(count, "distractor")


def span_interval(span: Row) -> str:
    """The same with its coverage."""
    return f"{span_bounds(span)} ({span['coverage']:.1%})" if span_bounds(span) else ""


def _capacity_lines(row: Row) -> list[Line]:
    exact, numbers = row["exact"], row["state_numbers"]
    note = (
        f"{decimals(row['float16']['median'])} with the state in float16, "
        f"{decimals(row['noise']['median'])} with noise in it; {numbers:,} "
        f"{plural(numbers, 'number')} of state"
    )
    value = f"{decimals(exact['median'])} bits"
    return [Line("capacity", value, interval(exact, decimals), "0 bits", seeds_of(exact), note)]


def _linear_lines(row: Row) -> list[Line]:
    trained, numbers = row["trained"], row["state_numbers"]
    most = f"at most {numbers:,}; " if numbers else ""
    note = f"{most}{decimals(row['untrained']['median'])} before training"
    value, around = decimals(trained["median"]), interval(trained, decimals)
    return [Line("linear capacity", value, around, "0", seeds_of(trained), note)]


def _learning_lines(row: Row, protocol: Row, raw: Sequence[Row]) -> list[Line]:
    """The longest lag at which there is a median; the first where there is none."""
    found = []
    for task, of_lags in row.items():
        if not of_lags:
            continue
        known = [line for line in of_lags if line["median"] is not None]
        line = known[-1] if known else of_lags[0]
        value = f"{_updates(line['median'], protocol)} to lag {line['lag']:,}"
        around = "" if line["low"] is None else f"{bounds(line, number)} (95%)"
        count = f"{line['reached']} of {line['seeds']} seeds arrived"
        failed = {
            r["seed"] for r in raw if r["kind"] == "run" and r["task"] == task and r["failed"]
        }
        lost = f"the loss of {len(failed)} became no number at some lag" if failed else ""
        found.append(Line(f"learning, {task}", value, around, "", count, lost))
    return found


def _updates(median: float | None, protocol: Row) -> str:
    return (
        f"more than {protocol['budget']:,} updates" if median is None else f"{median:,.0f} updates"
    )


def _beyond_lines(row: Row, protocol: Row) -> list[Line]:
    """The accuracy at the longest streams."""
    longest = max(range(len(row["times"])), key=row["times"].__getitem__)
    accuracy = row["accuracy"][longest]
    return [
        Line(
            "beyond",
            f"{percent(accuracy['median'])} at {row['times'][longest]:,g} times the length",
            interval(accuracy, percent),
            chance(protocol),
            seeds_of(accuracy),
            f"trained at lag {row['lag']:,} on streams of {row['length']:,}",
        )
    ]


def chance(protocol: Row) -> str:
    """The accuracy of one that knows nothing."""
    return percent(1 / protocol["vocab_size"])


def _cause_lines(row: Row) -> list[Line]:
    missed = f"{row['failed']} {plural(row['failed'], 'seed')} did not arrive"
    note = f"lag {row['lag']:,}: {missed if row['failed'] else 'every seed arrived'}"
    if row["tried"]:
        note += f", {row['learned']} of {row['tried']} did when trained on from a shorter lag"
    for name in ("before", "after"):
        if row[name] and row[name]["median"] is not None:
            note += f"; relative gradient {name} training {row[name]['median']:.2g}"
    return [Line("cause", row["verdict"], note=note)]


def _price_lines(row: Row) -> list[Line]:
    value = f"{row['parameters']:,} parameters, {row['state_bytes']:,} bytes of state"
    kinds = {"train": "training", "stream": "streaming"}
    times = [
        f"{words} {us:,.4g} \u00b5s a step at batch {size}"
        for name, words in kinds.items()
        for size, us in row[name].items()
    ]
    return [Line("price", value, note="; ".join(times))]


def _copy_lines(rows: list[Row]) -> list[Line]:
    return [
        Line(
            f"copy memory, T = {row['T']:,}",
            f"{nats(row['recall']['median'])} nats a recalled symbol",
            interval(row["recall"], nats, "infinite"),
            f"{nats(row['floor'])} nats",
            seeds_of(row["recall"]),
            f"after {row['updates']:,} updates; loss of the whole sequence "
            f"{nats(row['loss']['median'])} where no memory has {nats(row['loss_floor'])}",
        )
        for row in rows
    ]


def nats(value: float | None) -> str:
    """To three digits: the losses of long sequences are small."""
    return "infinite" if value is None else f"{value:#.3g}".rstrip(".")


def seeds_of(found: Row) -> str:
    """How many seeds a median is of; of a single one there is no interval."""
    count = len(found["by_seed"])
    return f"{count} {plural(count, 'seed')}" + ", no interval" * (count == 1)


def plural(count: float, word: str) -> str:
    """A word that has an s where there is not one."""
    return word + "s" * (count != 1)


def interval(found: Row, shown: Shown, beyond: str = "never") -> str:
    """As in 12 to 20 (93.0%); empty where there is none."""
    if found["coverage"] is None:
        return ""
    return f"{bounds(found, shown, beyond)} ({found['coverage']:.1%})"


def bounds(found: Row, shown: Shown, beyond: str = "never") -> str:
    """As in 12 to 20; what is None is beyond all numbers."""
    ends = (found["low"], found["high"])
    return " to ".join(beyond if end is None else shown(end) for end in ends)
