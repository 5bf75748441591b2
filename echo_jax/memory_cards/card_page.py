"""The page of one memory card, as Markdown."""

import shlex
from collections.abc import Mapping
from itertools import chain
from typing import Any

from echo_jax.memory_benchmark.protocol import TASKS
from echo_jax.memory_cards.card_text import Card, answer, bounds, chance, counted, evidence, lines
from echo_jax.report.markdown_page import markdown_page
from echo_jax.report.number_formats import number, percent
from echo_jax.report.page import Figure, Page, Section, Table, computed

NOTES = [
    "A span is the last lag of the longest unbroken prefix of the ladder of lags on which a seed "
    "succeeds: an evaluation reaches the threshold and is confirmed on other fresh data. At least: "
    "for so many seeds no longer lag was decided that the median may well be longer.",
    "A value is the median over the seeds; its interval is that of the order statistics, with the "
    "probability that it covers the median. Updates are Kaplan-Meier medians, in which seeds that "
    "never succeeded are censored. The baseline is a cell without memory.",
    "Could not learn: some seeds failed, and others succeeded, or the same ones did when trained "
    "on from a shorter lag. Could not hold: the gradient of the answer for the requested input is "
    "exactly 0, and nothing depends on that input. Undetermined: the card shows neither.",
]


def section_of(card: Mapping[str, Any], figure: Figure | None) -> Section:
    """The answer of a valid card, its figure, all its measures, and how to read them."""
    name = card["name"]
    headings = ["measure", "median", "interval", "baseline", "seeds", "more"]
    measures = [[word or "-" for word in line] for line in lines(card)]
    return Section(
        name,
        f"How long can {name} remember?",
        answer(card),
        figure,
        [
            Table("All measures.", headings, measures),
            *_learning_tables(card),
            *_beyond_tables(card),
        ],
        notes=NOTES,
        command=f"echo-jax probe --validate {name}.json",
    )


def figure_of(card: Card, svg: str = "", path: str = "") -> Figure:
    """The figure of a card, as SVG or at a path from its page, with its description."""
    return Figure(svg, path, f"The memory card of {card['name']}")


def markdown(card: Mapping[str, Any], figure: str | None = None) -> str:
    """The page of a valid card; `figure` is the path of its figure, from the folder of the page."""
    name, cell = card["name"], card["cell"]
    section = section_of(card, figure_of(card, path=figure) if figure else None)
    words = ["--cell", cell["cell"].replace("__main__:", "FILE.py:")]
    if cell["args"]:
        words += ["--cell-args", ",".join(f"{k}={v}" for k, v in cell["args"].items())]
    protocol, seed = card["protocol"]["name"], card["seeds"][0]
    words += ["--task", "copy"] if protocol == "copy" else ["--protocol", protocol]
    words += ["--seed", str(seed)] if seed else []
    made = computed([(card["date"], card["versions"])])
    again = f"echo-jax probe {shlex.join(words)}"
    return markdown_page(Page(f"Memory card: {name}", [measured_how(card)], [section], made, again))


def measured_how(card: Card) -> str:
    """The cell, the protocol, the seeds and the device."""
    protocol, seeds, cell = card["protocol"], card["seeds"], card["cell"]
    arguments = ", ".join(f"{name}={value}" for name, value in cell["args"].items())
    of_file = f" (SHA-256 of its file {cell['source'][:12]}...)" if cell["source"] else ""
    in_order = len(seeds) > 2 and all(seed == seeds[0] + i for i, seed in enumerate(seeds))
    numbers = f"{seeds[0]} to {seeds[-1]}" if in_order else ", ".join(map(str, seeds))
    return (
        f"The cell {cell['cell']}{f' with {arguments}' * bool(arguments)}{of_file}, measured by "
        f"protocol {protocol['name']}, version {protocol['version']} "
        f"({card['protocol_hash'][:12]}...), with {counted(len(seeds), 'seed')}, {numbers}, on "
        f"{card['device']}."
    )


def _learning_tables(card: Card) -> list[Table]:
    """Updates by lag, with three columns for each task."""
    learning, protocol = card["rows"]["learning"], card["protocol"]
    if learning is None:
        return []
    headings = ["lag"]
    cells: dict[int, list[list[str]]] = {}
    tasks = [task for task in TASKS if learning[task]]
    for i, task in enumerate(tasks):
        headings += [f"{task}: updates", "95% interval", "seeds that succeeded"]
        for line in learning[task]:
            words = cells.setdefault(line["lag"], [["-"] * 3 for _ in tasks])
            median = "never" if line["median"] is None else number(line["median"])
            reached = f"{line['reached']} of {line['seeds']}"
            words[i] = [median, bounds(line, number) or "-", reached]
    rows = [[f"{lag:,}", *chain(*words)] for lag, words in sorted(cells.items())]
    caption = (
        f"Updates to {max(protocol['thresholds']):.0%}, of at most {protocol['budget']:,} per lag; "
        "never: fewer than half of the seeds succeeded."
    )
    return [Table(caption, headings, rows)]


def _beyond_tables(card: Card) -> list[Table]:
    beyond = card["rows"]["beyond"]
    if beyond is None:
        return []
    rows = []
    for times, found in zip(beyond["times"], beyond["accuracy"], strict=True):
        known = evidence(found, bounds(found, percent))
        interval, seeds = known["interval"] or "-", known["seeds"]
        rows.append([f"{times:,g}", percent(found["median"]), interval, chance(card), seeds])
    caption = (
        f"Accuracy at lag {beyond['lag']:,} on streams longer than the {beyond['length']:,} steps "
        "trained on."
    )
    return [Table(caption, ["times the length", "accuracy", "interval", "baseline", "seeds"], rows)]
