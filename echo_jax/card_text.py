"""A memory card in words: the lines of one glance, and one page of Markdown. No jax.

The terminal, the page and the figure say the same, from the same lines.
"""

import math
import shlex
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from echo_jax.card_rows import estimate
from echo_jax.page import Head, Section, Table, markdown_page
from echo_jax.rows import Row
from echo_jax.scores import decimals, number, percent

Shown = Callable[[float], str]

TASKS = ("stream", "hold")
"""The tasks that have a ladder."""

NOT_MEASURED = "not measured"


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
    makers = {
        "stream_span": ("stream span", lambda row: _span_lines("stream", row)),
        "hold_span": ("hold span", lambda row: _span_lines("hold", row)),
        "capacity": ("capacity", _capacity_lines),
        "linear": ("linear capacity", _linear_lines),
        "learning": ("learning", lambda row: _learning_lines(row, protocol)),
        "beyond": ("beyond", lambda row: _beyond_lines(row, protocol)),
        "cause": ("cause", _cause_lines),
        "price": ("price", _price_lines),
        "copy": ("copy memory", _copy_lines),
    }
    found: list[Line] = []
    for name, (label, make) in makers.items():
        if rows[name] is None:
            why = card["not_measured"].get(name, "")
            found.append(Line(label, NOT_MEASURED, note=why))
        else:
            found += make(rows[name])
    return found


def is_at_least(span: Row) -> bool:
    """Whether the median of a span is a lower bound: longer spans of some seeds would raise it."""
    return _unbounded(span)["median"] != span["median"]


def _unbounded(span: Row) -> Row:
    """The same span if nothing at all stopped the seeds of which no more is known."""
    pairs = zip(span["by_seed"], span["at_least"], strict=True)
    return estimate(math.inf if more else lag for lag, more in pairs)


def _span_lines(task: str, spans: Row) -> list[Line]:
    """The highest threshold first, which is what a span is without more words."""
    found = []
    for i, threshold in enumerate(sorted(spans, key=float, reverse=True)):
        span = spans[threshold]
        name = f"{task} span" + f" at {float(threshold):.0%}" * (i > 0)
        value = f"{_span_words(span)} {_unit(task, span)}"
        after = f"next rung {span['next']:,}" if span["next"] else "the ladder ends there"
        found.append(Line(name, value, _span_interval(span), "0", _seeds(span), after))
    return found


def _span_words(span: Row) -> str:
    return f"{'at least ' * is_at_least(span)}{span['median']:,g}"


def _unit(task: str, span: Row) -> str:
    """What the lags of a task count."""
    count = span["median"]
    return f"{_plural(count, 'step')} back" if task == "stream" else _plural(count, "distractor")


def _span_interval(span: Row) -> str:
    """The upper bound is none where longer spans of some seeds would raise it."""
    more = " or more" * (_unbounded(span)["high"] != span["high"])
    return _interval(span, _short).replace(" (", f"{more} (")


def _capacity_lines(row: Row) -> list[Line]:
    exact, numbers = row["exact"], row["state_numbers"]
    note = (
        f"{decimals(row['float16']['median'])} with the state in float16, "
        f"{decimals(row['noise']['median'])} with noise in it; {numbers:,} "
        f"{_plural(numbers, 'number')} of state"
    )
    value = f"{decimals(exact['median'])} bits"
    return [Line("capacity", value, _interval(exact, decimals), "0 bits", _seeds(exact), note)]


def _linear_lines(row: Row) -> list[Line]:
    trained, numbers = row["trained"], row["state_numbers"]
    most = f"at most {numbers:,}; " if numbers else ""
    note = f"{most}{decimals(row['untrained']['median'])} before training"
    value = decimals(trained["median"])
    interval = _interval(trained, decimals)
    return [Line("linear capacity", value, interval, "0", _seeds(trained), note)]


def _learning_lines(row: Row, protocol: Row) -> list[Line]:
    """The longest lag at which there is a median; the first where there is none."""
    found = []
    for task, of_lags in row.items():
        if not of_lags:
            continue
        known = [line for line in of_lags if line["median"] is not None]
        line = known[-1] if known else of_lags[0]
        value = f"{_updates(line['median'], protocol)} to lag {line['lag']:,}"
        bounds = _bounds(line, number)
        interval = f"{bounds} (95%)" if line["low"] is not None else ""
        count = f"{line['reached']} of {line['seeds']} seeds arrived"
        found.append(Line(f"learning, {task}", value, interval, "", count))
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
            _interval(accuracy, percent),
            _chance(protocol),
            _seeds(accuracy),
            f"trained at lag {row['lag']:,} on streams of {row['length']:,}",
        )
    ]


def _chance(protocol: Row) -> str:
    return percent(1 / protocol["vocab_size"])


def _cause_lines(row: Row) -> list[Line]:
    note = f"lag {row['lag']:,}: {row['failed']} {_plural(row['failed'], 'seed')} did not arrive"
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
            f"{_nats(row['recall']['median'])} nats a recalled symbol",
            _interval(row["recall"], _nats, "infinite"),
            f"{_nats(row['floor'])} nats",
            _seeds(row["recall"]),
            f"after {row['updates']:,} updates; loss of the whole sequence "
            f"{_nats(row['loss']['median'])} where no memory has {_nats(row['loss_floor'])}",
        )
        for row in rows
    ]


def _nats(value: float | None) -> str:
    """To three digits: the losses of long sequences are small."""
    return "infinite" if value is None else f"{value:.3g}"


def _short(lag: float) -> str:
    return f"{lag:,g}"


def _seeds(found: Row) -> str:
    """How many seeds a median is of; of a single one there is no interval."""
    count = len(found["by_seed"])
    return f"{count} {_plural(count, 'seed')}" + ", no interval" * (count == 1)


def _plural(count: float, word: str) -> str:
    return word + "s" * (count != 1)


def _interval(found: Row, shown: Shown, beyond: str = "never") -> str:
    """As in 12 to 20 (93.0%); empty where there is none."""
    if found["coverage"] is None:
        return ""
    return f"{_bounds(found, shown, beyond)} ({found['coverage']:.1%})"


def _bounds(found: Row, shown: Shown, beyond: str = "never") -> str:
    bounds = (found["low"], found["high"])
    return " to ".join(beyond if x is None else shown(x) for x in bounds)


def markdown(card: Mapping[str, Any], figure: str | None = None) -> str:
    """One page about one card.

    Args:
      card: a valid one.
      figure: the file of its picture, from the folder of the page.
    """
    name = card["name"]
    section = Section(
        name,
        f"How long can {name} remember?",
        answer(card),
        [_glance_table(card), *_learning_tables(card), *_beyond_tables(card)],
        "",
        f"The memory card of {name}",
        f"python scripts/probe.py --validate {name}.json",
        NOTES,
    )
    versions = ", ".join(f"{program} {version}" for program, version in card["versions"].items())
    head = Head(f"Memory card: {name}", [_introduction(card)], versions, card["date"], _made(card))
    return markdown_page(head, [section], {name: figure} if figure else {})


def _introduction(card: Mapping[str, Any]) -> str:
    """What was measured, how, and where."""
    protocol, seeds, source = card["protocol"], card["seeds"], card["cell"]["source"]
    of_file = f" (the SHA-256 of its file is {source[:12]}...)" if source else ""
    return (
        f"The cell {_cell(card)}{of_file} by protocol {protocol['name']}, version "
        f"{protocol['version']} ({card['protocol_hash'][:12]}...), with {len(seeds)} "
        f"{_plural(len(seeds), 'seed')}, {_ranges(seeds)}, on {card['device']}."
    )


NOTES = [
    "A span is the longest unbroken prefix of the ladder of lags on which a seed succeeds: its "
    "first evaluation at or above the threshold, confirmed on other fresh data. At least: for so "
    "many seeds nothing beyond was decided that the median may well be longer.",
    "A value is the median over the seeds; its interval is that of the order statistics, with the "
    "probability that it covers. Updates are medians by Kaplan and Meier, over all seeds, those "
    "that never arrived too. The floor is what a cell without memory has.",
    "Could not learn: trained on from a shorter lag, half of the seeds that had failed or more do "
    "arrive. Could not hold: the gradient of the answer is exactly 0 for that input. Undetermined: "
    "nothing here shows either.",
]
"""What is said below every card."""


def _cell(card: Mapping[str, Any]) -> str:
    arguments = ", ".join(f"{name}={value}" for name, value in card["cell"]["args"].items())
    return card["cell"]["cell"] + f" with {arguments}" * bool(arguments)


def _made(card: Mapping[str, Any]) -> str:
    """The command that makes such a card."""
    cell = card["cell"]
    words = ["--cell", cell["cell"]]
    if cell["args"]:
        words += ["--cell-args", ",".join(f"{k}={v}" for k, v in cell["args"].items())]
    words += ["--protocol", card["protocol"]["name"]]
    return f"python scripts/probe.py {shlex.join(words)}"


def _ranges(seeds: list[int]) -> str:
    """As in 0 to 7, where they follow each other."""
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def answer(card: Mapping[str, Any]) -> list[str]:
    """What the numbers of a card support, in a few sentences."""
    rows, success = card["rows"], max(card["protocol"]["thresholds"])
    found = []
    for task in TASKS:
        spans = rows[f"{task}_span"]
        if spans is not None:
            found.append(_span_sentence(task, spans[str(success)]))
    if rows["capacity"] is not None:
        found.append(_capacity_sentence(rows["capacity"]))
    if rows["cause"] is not None:
        found.append(_cause_sentence(rows["cause"], len(card["seeds"])))
    return found or ["Nothing about its memory was measured."]


def _span_sentence(task: str, span: Row) -> str:
    beside = _beside(span, _span_interval(span), "0")
    if not span["median"]:
        ability = {"stream": "hand back any past token", "hold": "hold a value"}[task]
        return f"It was not seen to {ability} {beside}."
    if task == "stream":
        what = f"the token of {_span_words(span)} {_plural(span['median'], 'step')} before"
        return f"From a running stream it hands back {what} {beside}."
    return f"It holds one value over {_span_words(span)} {_unit(task, span)} {beside}."


def _beside(found: Row, interval: str, floor: str) -> str:
    """What stands beside every score, in brackets."""
    bounds = interval.replace(" (", ", ").rstrip(")")
    return f"({'; '.join(filter(None, (_seeds(found), bounds, f'floor {floor}')))})"


def _capacity_sentence(row: Row) -> str:
    exact, numbers = row["exact"], row["state_numbers"]
    low = exact["median"] if exact["low"] is None else exact["low"]
    state = f"One state, {numbers:,} {_plural(numbers, 'number')},"
    beside = _beside(exact, _interval(exact, decimals), "0 bits")
    if low <= 0:
        return f"{state} was not seen to hold anything about the past {beside}."
    return f"{state} holds {decimals(exact['median'])} bits about the past or more {beside}."


def _cause_sentence(row: Row, seeds: int) -> str:
    lag = f"lag {row['lag']:,}"
    missed = f"{row['failed']} of {seeds} seeds"
    if row["verdict"] == "undetermined" and not row["failed"]:
        return f"At {lag} no seed is known to have failed: nothing shows a limit."
    return {
        "no limit found": f"No limit was found: every seed reached every rung, to {lag}.",
        "could not learn": (
            f"At {lag} {missed} did not arrive from scratch, and {row['learned']} of them did when "
            "trained on from a shorter lag: they could not learn it, though such cells can hold it."
        ),
        "could not hold": (
            f"At {lag}, where {missed} did not arrive, the answer cannot depend on the input that "
            "is asked for: the cell could not hold it."
        ),
        "undetermined": (
            f"At {lag}, where {missed} did not arrive, nothing shows whether they could not hold "
            "the value or could not learn to."
        ),
    }[row["verdict"]]


def _glance_table(card: Mapping[str, Any]) -> Table:
    headings = ["row", "median", "interval", "floor", "seeds", "more"]
    cells = [[cell or "-" for cell in line] for line in lines(card)]
    return Table("The card at one glance.", headings, cells)


def _learning_tables(card: Mapping[str, Any]) -> list[Table]:
    learning, protocol = card["rows"]["learning"], card["protocol"]
    if learning is None:
        return []
    by_lag: dict[int, dict[str, Row]] = {}
    for task, of_lags in learning.items():
        for line in of_lags:
            by_lag.setdefault(line["lag"], {})[task] = line
    tasks = [task for task in TASKS if learning[task]]
    headings = ["lag"]
    for task in tasks:
        headings += [f"{task}: updates", "95% interval", "seeds that arrived"]
    rows = [
        [f"{lag:,}", *(cell for task in tasks for cell in _learning_cells(of_task.get(task)))]
        for lag, of_task in sorted(by_lag.items())
    ]
    success = max(protocol["thresholds"])
    caption = (
        f"Updates to {success:.0%}, of at most {protocol['budget']:,} a lag; never: more than half "
        "of the seeds were still to arrive."
    )
    return [Table(caption, headings, rows)]


def _learning_cells(line: Row | None) -> list[str]:
    if line is None:
        return ["-", "-", "-"]
    median = "never" if line["median"] is None else number(line["median"])
    interval = "-" if line["low"] is None else _bounds(line, number)
    return [median, interval, f"{line['reached']} of {line['seeds']}"]


def _beyond_tables(card: Mapping[str, Any]) -> list[Table]:
    beyond = card["rows"]["beyond"]
    if beyond is None:
        return []
    rows = [
        [f"{times:,g}", percent(found["median"]), _interval(found, percent) or "-",
         _chance(card["protocol"]), _seeds(found)]
        for times, found in zip(beyond["times"], beyond["accuracy"], strict=True)
    ]  # fmt: skip
    caption = (
        f"Accuracy at lag {beyond['lag']:,} on streams longer than the {beyond['length']:,} steps "
        "that were trained."
    )
    return [Table(caption, ["times the length", "accuracy", "interval", "floor", "seeds"], rows)]
