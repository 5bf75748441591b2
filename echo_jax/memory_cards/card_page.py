"""The page of one memory card, as Markdown."""

import shlex
from collections.abc import Mapping
from typing import Any

from echo_jax.memory_cards import beside_built_in
from echo_jax.memory_cards.card_text import (
    ASKED,
    NOT_REACHED,
    Card,
    answer,
    baseline_of,
    bounds,
    capital,
    chance,
    counted,
    evidence,
    ladder_name,
    ladders_of,
    lines,
    none_reached,
)
from echo_jax.report.markdown_page import markdown_page
from echo_jax.report.number_formats import number, percent
from echo_jax.report.page import Figure, Page, Section, Table, computed

NOTES = [
    "A span is the geometric mean over the seeds of the place between the last rung that a seed "
    "passed and the first that it missed; its interval is that of Student's t over the seeds. A "
    "seed passes a rung if an evaluation at any of the learning rates reaches the threshold and is "
    "confirmed on other fresh data, by the steps of the cell. At least: a seed missed nothing "
    "before its ladder or the time ended.",
    "Other values are medians over the seeds; their interval is that of the order statistics, with "
    "the probability that it covers the median. The baseline is a network without memory.",
    "Bits held: a lower bound from the errors of the networks (Fano's inequality with the upper "
    "95% limit of the error), or from heads that read each past token out of the state.",
    "Could not learn: some seeds missed the lag, and others passed it, or the same ones did when "
    "trained on from a shorter lag. Could not hold: replacing the requested token changes no bit "
    "of the answer, or the state has too few bits. Undetermined: the card shows neither.",
]


def section_of(card: Mapping[str, Any], figure: Figure | None) -> Section:
    """The answer of a valid card, its figure, all its measures, and how to read them."""
    name = card["name"]
    headings = ["measure", "mean or median", "interval", "baseline", "seeds", "more"]
    measures = [[word or "-" for word in line] for line in lines(card)]
    return Section(
        name,
        f"How long can {name} remember?",
        [*answer(card), *beside_built_in.sentences(card)],
        figure,
        [
            Table("All measures.", headings, measures),
            *_rung_tables(card),
            *_seed_tables(card),
            *_beyond_tables(card),
        ],
        notes=[*NOTES, *remarks_of(card)],
        command=f"echo-jax probe --validate {name}.json",
    )


def remarks_of(card: Card) -> list[str]:
    """A sentence with the remarks of the check of the cell; nothing without any."""
    remarks = card.get("remarks", [])
    return [f"The check of the cell says that it {'; and that it '.join(remarks)}."][: len(remarks)]


def markdown(card: Mapping[str, Any], figure: str | None = None) -> str:
    """The page of a valid card; `figure` is the path of its figure, from the folder of the page."""
    name = card["name"]
    shown = Figure(figure, f"The memory card of {name}") if figure else None
    section = section_of(card, shown)
    made = computed([(card["date"], card["versions"])])
    page = Page(f"Memory card: {name}", [measured_how(card)], [section], made, command_of(card))
    return markdown_page(page)


def command_of(card: Card) -> str:
    """The command that makes a card again; the file of a cell that no module defines is FILE.py."""
    cell, protocol, seed = card["cell"], card["protocol"]["name"], card["seeds"][0]
    words = ["--cell", cell["cell"].replace("__main__:", "FILE.py:")]
    if cell["args"]:
        words += ["--cell-args", ",".join(f"{k}={v}" for k, v in cell["args"].items())]
    words += ["--protocol", protocol]
    words += ["--seed", str(seed)] if seed else []
    return f"echo-jax probe {shlex.join(words)}"


def measured_how(card: Card) -> str:
    """The cell, the protocol, the seeds and the device."""
    protocol, seeds, cell = card["protocol"], card["seeds"], card["cell"]
    arguments = ", ".join(f"{name}={value}" for name, value in cell["args"].items())
    of_file = f" (SHA-256 of its file {cell['source'][:12]}...)" if cell["source"] else ""
    in_order = len(seeds) > 2 and all(seed == seeds[0] + i for i, seed in enumerate(seeds))
    numbers = f"{seeds[0]} to {seeds[-1]}" if in_order else ", ".join(map(str, seeds))
    return (
        f"The cell {cell['cell']}{f' with {arguments}' * bool(arguments)}{of_file}, measured by "
        f"protocol {protocol['name']} of the {protocol['track']} track, version "
        f"{protocol['version']} ({card['protocol_hash'][:12]}...), "
        f"with {counted(len(seeds), 'seed')}, {numbers}, on "
        f"{card['device']}."
    )


def _rung_tables(card: Card) -> list[Table]:
    """A table for each ladder: the seeds that passed each rung, and what they took."""
    budget, tables = card["protocol"]["budget"], []
    for ladder, span in ladders_of(card):
        rows = []
        for line in span["rungs"]:
            updates = "-" if line["updates"] is None else number(line["updates"])
            closest = "-" if line["closest"] is None else percent(line["closest"])
            passed = f"{line['passed']} of {line['seeds']}"
            rows.append([f"{line['rung']:,}", passed, updates, closest])
        skipped = ", ".join(f"{rung:,}" for rung in span["skipped"])
        also = f" Skipped, as all seeds passed the next rung at once: {skipped}." if skipped else ""
        caption = (
            f"{capital(ladder_name(ladder))}, passed at {ladder['threshold']:.0%} within "
            f"{budget:,} updates at a rate, baseline {baseline_of(ladder)}.{also}"
        )
        unit = ASKED[ladder["task"]][1]
        headings = [unit, "seeds that passed", "median updates", "best of others"]
        tables.append(Table(caption, headings, rows))
    return tables


def _seed_tables(card: Card) -> list[Table]:
    """A row for each seed: its last rung on each ladder, with the rate and updates of that run."""
    known = [(ladder, span) for ladder, span in ladders_of(card) if not none_reached(span)]
    if not known:
        return []
    climbs = [{each["seed"]: each for each in span["by_seed"]} for _, span in known]
    rows = [[str(seed), *(_climb_words(of[seed]) for of in climbs)] for seed in card["seeds"]]
    caption = (
        "The last rung that each seed passed; in brackets the rate and updates of that run. +: it "
        "missed nothing before the ladder or the time ended."
    )
    return [Table(caption, ["seed", *(ladder_name(ladder) for ladder, _ in known)], rows)]


def _climb_words(climb: Mapping[str, Any]) -> str:
    """A climb in words: 20 (0.003; 1,450); 16+ without a missed rung; below 8; not reached."""
    if not climb["passed"]:
        return f"below {climb['missed']:,}" if climb["missed"] else NOT_REACHED
    how = f" ({climb['rate']:g}; {climb['updates']:,})" if climb["rate"] else ""
    return f"{climb['passed']:,}{'+' * (climb['missed'] is None)}{how}"


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
