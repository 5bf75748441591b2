"""A memory card as one page of Markdown: what its numbers support, and the tables of it. No jax."""

import shlex
from collections.abc import Mapping
from typing import Any

from echo_jax.memory_benchmark.protocol import TASKS
from echo_jax.memory_cards.card_text import (
    bounds,
    chance,
    interval,
    lines,
    plural,
    seeds_of,
    span_interval,
    span_words,
    unit,
)
from echo_jax.memory_cards.schema import Row
from echo_jax.report.markdown_page import markdown_page
from echo_jax.report.number_formats import decimals, number, percent
from echo_jax.report.page import Figure, Page, Section, Table


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
        Figure("", figure, f"The memory card of {name}") if figure else None,
        [_glance_table(card), *_learning_tables(card), *_beyond_tables(card)],
        notes=NOTES,
        command=f"python scripts/probe.py --validate {name}.json",
    )
    versions = ", ".join(f"{program} {version}" for program, version in card["versions"].items())
    computed = f"Computed on {card['date']} with {versions}."
    title = f"Memory card: {name}"
    return markdown_page(Page(title, [_introduction(card)], [section], computed, _made(card)))


def _introduction(card: Mapping[str, Any]) -> str:
    """What was measured, how, and where."""
    protocol, seeds, source = card["protocol"], card["seeds"], card["cell"]["source"]
    of_file = f" (the SHA-256 of its file is {source[:12]}...)" if source else ""
    return (
        f"The cell {_cell(card)}{of_file} by protocol {protocol['name']}, version "
        f"{protocol['version']} ({card['protocol_hash'][:12]}...), with {len(seeds)} "
        f"{plural(len(seeds), 'seed')}, {_ranges(seeds)}, on {card['device']}."
    )


NOTES = [
    "A span is the longest unbroken prefix of the ladder of lags on which a seed succeeds: its "
    "first evaluation at or above the threshold, confirmed on other fresh data. At least: for so "
    "many seeds nothing beyond was decided that the median may well be longer.",
    "A value is the median over the seeds; its interval is that of the order statistics, with the "
    "probability that it covers. Updates are medians by Kaplan and Meier, over all seeds, those "
    "that never arrived too. The floor is what a cell without memory has.",
    "Could not learn: some seeds fail, and another arrives, or one of these when trained on from a "
    "shorter lag. Could not hold: the gradient of the answer is exactly 0 for that input, and "
    "nothing depends on it. Undetermined: nothing here shows either.",
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
    name, seed = card["protocol"]["name"], card["seeds"][0]
    words += ["--task", "copy"] if name == "copy" else ["--protocol", name]
    words += ["--seed", str(seed)] if seed else []
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
        found.append(_capacity_sentence(rows["capacity"], card["protocol"]["capacity_lags"]))
    if rows["cause"] is not None:
        found.append(_cause_sentence(rows["cause"], len(card["seeds"]), chance(card["protocol"])))
    found += map(_copy_sentence, (rows["copy"] or [])[-1:])
    return found or ["Nothing about its memory was measured."]


def _span_sentence(task: str, span: Row) -> str:
    beside = _beside(span, span_interval(span), "0")
    if not span["median"]:
        ability = {"stream": "hand back any past token", "hold": "hold a value"}[task]
        return f"It was not seen to {ability} {beside}."
    if task == "stream":
        what = f"the token of {span_words(span)} {plural(span['median'], 'step')} before"
        return f"From a running stream it hands back {what} {beside}."
    return f"It holds one value over {span_words(span)} {unit(task, span)} {beside}."


def _beside(found: Row, interval: str, floor: str) -> str:
    """What stands beside every score, in brackets."""
    bounds = interval.replace(" (", ", ").rstrip(")")
    return f"({'; '.join(filter(None, (seeds_of(found), bounds, f'floor {floor}')))})"


def _capacity_sentence(row: Row, lags: int) -> str:
    exact, numbers = row["exact"], row["state_numbers"]
    low = exact["median"] if exact["low"] is None else exact["low"]
    state = f"Asked for {lags:,} lags at once, one state of {numbers:,} {plural(numbers, 'number')}"
    beside = _beside(exact, interval(exact, decimals), "0 bits")
    if low <= 0:
        return f"{state} was not seen to hold anything about the past {beside}."
    return f"{state} holds {decimals(exact['median'])} bits about the past or more {beside}."


def _copy_sentence(line: Row) -> str:
    """The longest T: what recall costs there, beside what it costs without memory."""
    recall = line["recall"]
    median = "no number of" if recall["median"] is None else f"{recall['median']:.3f}"
    bounds = f"{interval(recall, lambda x: f'{x:.3f}')}; {seeds_of(recall)}"
    return (
        f"After {line['T']:,} steps it recalls a symbol of the copy-memory task at a loss of "
        f"{median} nats ({bounds}); without memory it is {line['floor']:.3f}."
    )


def _cause_sentence(row: Row, seeds: int, floor: str) -> str:
    lag = f"lag {row['lag']:,}"
    missed = f"{row['failed']} of {seeds} seeds"
    if row["verdict"] == "undetermined" and not row["failed"]:
        return f"At {lag} no seed is known to have failed: nothing shows a limit."
    nor = ", nor when trained on from a shorter lag" * bool(row["tried"])
    return {
        "no limit found": f"No limit was found: every seed reached every rung, to {lag}.",
        "could not learn": (
            f"At {lag}, {missed} did not arrive from scratch; {_who_did(row)}: they could not "
            "learn it, though such cells can hold it."
        ),
        "could not hold": (
            f"At {lag}, where {missed} did not arrive, the answer does not depend on the input "
            "that is asked for (its gradient is 0, and another token there changes nothing, "
            "whatever the weights that were tried): the cell could not hold it."
        ),
        "undetermined": (
            f"At {lag}, {missed} did not arrive from scratch{nor}; "
            f"{_closest(row['closest'], floor)}: whether such cells could not hold it or could not "
            "learn it is undetermined."
        ),
    }[row["verdict"]]


def _who_did(row: Row) -> str:
    """Who arrived at the lag, from scratch or by the curriculum."""
    others = f"{row['arrived']} did" * bool(row["arrived"])
    later = f"{row['learned']} of {row['tried']} did when trained on from a shorter lag"
    return ", and ".join(filter(None, [others, later * bool(row["learned"])]))


def _closest(found: Row | None, floor: str) -> str:
    """How near those came that never arrived; nothing where there are none."""
    if found is None:
        return ""
    beside = _beside(found, interval(found, percent), floor)
    return f"their best evaluations came to {percent(found['median'])} {beside}"


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
    interval = "-" if line["low"] is None else bounds(line, number)
    return [median, interval, f"{line['reached']} of {line['seeds']}"]


def _beyond_tables(card: Mapping[str, Any]) -> list[Table]:
    beyond = card["rows"]["beyond"]
    if beyond is None:
        return []
    rows = [
        [f"{times:,g}", percent(found["median"]), interval(found, percent) or "-",
         chance(card["protocol"]), seeds_of(found)]
        for times, found in zip(beyond["times"], beyond["accuracy"], strict=True)
    ]  # fmt: skip
    caption = (
        f"Accuracy at lag {beyond['lag']:,} on streams longer than the {beyond['length']:,} steps "
        "that were trained."
    )
    return [Table(caption, ["times the length", "accuracy", "interval", "floor", "seeds"], rows)]
