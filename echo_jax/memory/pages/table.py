"""The table of cards, and their numbers as tidy rows. No jax."""

import functools
import itertools
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Any

import msgspec

from echo_jax.memory.card_contents import BitsAnAnswer, Budget, Card, protocol_of
from echo_jax.memory.pages.question_words import BY_KEY, BY_TASK, EVERY, UNKNOWN, QuestionShown
from echo_jax.memory.pages.told_apart import (
    comparable,
    few_seeds,
    letters_of,
    pairs_of,
    size_of,
    size_text,
    task_words,
    track,
)
from echo_jax.memory.rows import KeyRow, Row, TaskScore
from echo_jax.report import text_tables
from echo_jax.report.number_formats import number, three_digits
from echo_jax.report.section import Section
from echo_jax.report.text_tables import Table

SIZES = ("state_bytes", "conv_bytes", "constant_bytes", "parameters")
"""The fields of a card that state how large a cell is."""

GAIN = 1.05  # the ratio of bits from which more updates help

# columns without room in a paper
WIDE = {"lags 4 on", "layers", "state", "convolutions"}

TUNED = ("lmu", "lstm-chrono")
"""The cells with an option whose default is the number of lags that are asked."""

MEANINGS = {
    "bits": "the mean over the seeds, with the lowest and the highest seed in brackets, which are "
    "not a confidence interval; 3 of 4 where a seed is missing; \u2265 where the mean is within 5% "
    "of the most that can be measured, or a seed is best at the most pairs",
    "letters": "cells that share a letter do not differ significantly (exact permutation test of "
    "the difference of means, Benjamini-Hochberg at 5%: about one in twenty of the significant "
    "differences may be false); letters hold within one column of one table",
    "lags 4 on": "the bits of lags 4 to 64: a block's convolution sees lags 1 to 3",
    "after 10,000": "the mean after this many updates, at the rate that the pilot chose; level: no "
    "seed gains 5% from 3,000 updates on",
    "rate": "the learning rate by lag, which short runs chose; edge: the lowest or highest tried",
    "rate by key": "chosen by runs of the usual length",
    "half of 4 pairs after": "the median of the updates after which half of the answers about 4 "
    "pairs are right; never: at least half of the seeds do not reach this",
    "state, convolutions": "how many numbers, and of which type, the state of the cell has, and "
    "how many numbers the convolutions of a block keep of the last inputs: what a stream carries",
    "parameters": "the trained numbers of the network by key, with block and readout",
    "*": "an option of the cell is set to the 64 lags: theta of the LMU, longest of chrono",
}
"""The meaning of the columns of `cards_table`."""


def sections_of(groups: Sequence[Sequence[Card]]) -> list[Section]:
    """Return sections for a paper: a LaTeX table of each group, and tidy rows of all cards."""
    cards = [card for group in groups for card in group]
    tidy = {
        "": functools.partial(tidy_rows, cards),
        "-pairs": functools.partial(tidy_pairs, groups),
        "-seeds": functools.partial(tidy_seeds, cards),
    }
    of_groups = [
        Section(f"cards-{file_name(group)}", "Table", tables=[cards_table(group).without(WIDE)])
        for group in groups
    ]
    return [Section("cards", "Tables", tidy=tidy), *of_groups]


def file_name(group: Sequence[Card]) -> str:
    """Return the track of a group and its largest state: block-100-float32."""
    largest = max(group, key=size_of)
    words = [track(largest), size_text(largest) if comparable(group) else "several"]
    words += [task_words(group[0])] if group[0].task else []
    return re.sub(r"[^\w.]+", "-", "-".join(words))


def cell_of(card: Card) -> str:
    """Return the name of the cell, without that of the block, a module or a file."""
    return PurePath(card.cell.name.rpartition(":")[2]).stem


def label_of(card: Card) -> str:
    """Return the name that a card was given, by `--name` or its folder; by default its cell's."""
    block = "block-" if track(card).startswith("block") else ""
    args = [f"-{name}-{x}" for name, x in card.cell.args.items()]
    parts = [re.escape(re.sub(r"[^\w.-]+", "-", x)) for x in (f"{block}{cell_of(card)}", *args)]
    more = "|".join([*parts[1:], r"-state-bytes-\d+", re.escape(f"-{card.numbers.digest}")])
    more += f"|-{card.task.name}" if card.task else ""
    by_default = re.fullmatch(f"{parts[0]}({more})*", card.name)
    return cell_of(card) if by_default else card.name


def is_control(card: Card) -> bool:
    """Return True for a cell with a known memory or without training, which gets no rank."""
    return "known_memory:" in card.cell.name


def labels_of(cards: Sequence[Card]) -> list[str]:
    """Return a label for each card; equal ones get arguments, or become the name of the card."""
    given = [" ".join(f"{key} {x}" for key, x in card.cell.args.items()) for card in cards]
    labels = [label_of(card) for card in cards]
    whole = [f"{a} {b}".strip() for a, b in zip(labels, given, strict=True)]
    forms = labels, whole, [card.name for card in cards]
    return [
        next((form[i] for form in forms if form.count(form[i]) == 1), card.name)
        for i, card in enumerate(cards)
    ]


def tidy_rows(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Return a row for each card, question and number of updates, named as in card.json.

    n and asked are the seeds that are there and those asked for; unknown is None. There is a task
    where any card is of one.
    """
    protocol_of(cards)  # or they are refused
    tasks = any(card.task for card in cards)
    rows = list[dict[str, Any]]()
    for card, question in itertools.product(cards, EVERY):
        for updates, of in question.measured(card):
            names = ("mean", "low", "high", "at_least", "from_lag_4", "associated", "never")
            rows.append({
                "name": card.name,
                "cell": cell_of(card),
                "track": track(card),
                **{field: getattr(card, field) for field in ("keys", "values", *SIZES)},
                "parameters": card.parameters or None,
                "layers": card.cell.args.get("layers", 1),
                "question": question.asks.field,
                **({"task": task_words(card) if card.task else None} if tasks else {}),
                "updates": updates,
                **{name: getattr(of, name, None) for name in names},
                "n": len(of.seeds),
                "asked": len(card.seeds),
            })  # fmt: skip
    return rows


def tidy_seeds(cards: Iterable[Card]) -> list[dict[str, Any]]:
    """Return a row for each card, question, number of updates and seed."""
    return [
        {"name": card.name, "question": question.asks.field, "updates": updates,
         "seed": seed, "bits": value}
        for card, question in itertools.product(cards, EVERY)
        for updates, of in question.measured(card)
        for seed, value in zip(of.seeds, of.by_seed, strict=True)
    ]  # fmt: skip


def tidy_pairs(groups: Iterable[Sequence[Card]]) -> list[dict[str, Any]]:
    """Return a row for each question and each pair of cards of a group that is compared."""
    rows = list[dict[str, Any]]()
    for group, question in itertools.product(groups, EVERY):
        known = [card for card in group if question.of(card)]
        if len(known) < 2 or not comparable(group):
            continue
        for pair in pairs_of([question.known(card).by_seed for card in known]):
            names = {"first": known[pair.first].name, "second": known[pair.second].name}
            rows.append({"question": question.asks.field} | pair._asdict() | names)
    return rows


def tidy_runs(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return a row for each run, data set, and lag or number of pairs; none without a score."""
    tidy = list[dict[str, Any]]()
    for row, data_set in itertools.product(rows, ("validation", "final")):
        score: Any = getattr(row, data_set)
        if score is None:
            continue
        run: dict[str, Any] = {"seed": row.seed, "rate": row.rate, "updates": row.updates}
        run |= {"data_set": data_set, "question": row.configuration.question}
        if isinstance(score, TaskScore):
            tidy.append(run | msgspec.structs.asdict(score))
        elif isinstance(row, KeyRow):
            answers = zip(row.pairs, score, row.asked, strict=True)
            tidy += [run | {"pairs": k, "right": right, "asked": n} for k, right, n in answers]
        else:
            tidy += [run | {"lag": lag, "nats": nats} for lag, nats in enumerate(score, 1)]
    return tidy


def cards_table(cards: Sequence[Card]) -> Table:
    """Return a row for each card of a group; columns of which nothing is known are left out."""
    marks = ["*" if cell_of(card) in TUNED else "" for card in cards]
    columns = {"cell": [f"{a}{b}" for a, b in zip(labels_of(cards), marks, strict=True)]}
    if len(set(seeds := [seeds_there(card) for card in cards])) > 1:
        columns["seeds"] = seeds
    told = [letters_of(cards, question) for question in EVERY]
    for question, letters in zip(EVERY, told, strict=True):
        if not any(map(question.measured, cards)):
            continue
        columns[question.words] = [
            f"{question.text(card)} {letter}".strip()
            for card, letter in zip(cards, letters, strict=True)
        ]
        columns |= columns_beside(cards, question) | budget_columns(cards, question)
    columns["state"] = [size_text(card) for card in cards]
    columns["convolutions"] = [text_of(card.conv_bytes // 4 or None) for card in cards]
    columns["parameters"] = [text_of(card.parameters or None) for card in cards]
    columns["layers"] = [str(card.cell.args.get("layers", UNKNOWN)) for card in cards]
    known = {name: of for name, of in columns.items() if any(x not in (UNKNOWN, "") for x in of)}
    note = f"Letters: {MEANINGS['letters']}.{few_seeds(cards)}" if any(map(any, told)) else ""
    note = f"{protocol_text(cards)} {note}".strip()
    return Table(caption_of(cards), list(known), list(zip(*known.values(), strict=True)), note)


def rate_text(card: Card, question: QuestionShown) -> str:
    """Return the rate of a question, marked if it is at an edge of those tried: 0.3 (edge)."""
    name = question.asks.name
    found = [x for x in card.configuration if x.question == name]
    if not found:
        return UNKNOWN
    rate = found[0].rate
    tried = [x.configuration.rate for x in card.pilot if x.configuration.question == name]
    return f"{rate:g}{' (edge)' if tried and rate in (min(tried), max(tried)) else ''}"


def columns_beside(cards: Sequence[Card], question: QuestionShown) -> dict[str, list[str]]:
    """Return the columns beside the bits of a question."""
    rates = [rate_text(card, question) for card in cards]
    if question is BY_TASK:
        answers = [card.bits_an_answer or None for card in cards]
        return {
            "accuracy": [share_text(bits and bits.accuracy) for bits in answers],
            "majority": [share_text(bits and bits.majority) for bits in answers],
            "entropy, bits": [text_of(bits.entropy if bits else None) for bits in answers],
            "baseline": [baseline_text(bits) for bits in answers],
            "rate": rates,
        }
    if question is BY_KEY:
        pairs = protocol_of(cards).associated
        associated = [associated_text(card) for card in cards]
        return {f"half of {pairs} pairs after": associated, "rate by key": rates}
    measured = [card.bits_by_lag for card in cards]
    return {
        "lags 4 on": [text_of(bits.from_lag_4 if bits else None) for bits in measured],
        "rate": rates,
    }


def baseline_text(bits: BitsAnAnswer | None) -> str:
    """Return the bits an answer of the baseline of a task, and its accuracy: 3.02 (97.7%)."""
    if bits is None or bits.baseline is None:
        return UNKNOWN
    of_baseline, accuracy = bits.baseline
    return f"{three_digits(of_baseline)} ({accuracy:.1%})"


def share_text(share: float | None) -> str:
    """Return a share in percent, or - where it is unknown."""
    return UNKNOWN if share is None else f"{share:.1%}"


def text_of(value: float | None) -> str:
    """Return a number, or - where it is unknown."""
    return UNKNOWN if value is None else three_digits(value)


def associated_text(card: Card) -> str:
    """Return the median of the updates until associated: 600, 600 (2 never), or never."""
    bits = card.bits_by_key
    if bits is None or (bits.associated is None and not bits.never):
        return UNKNOWN
    if bits.associated is None:
        few = bits.never < len(bits.seeds)
        return f"never ({bits.never} of {len(bits.seeds)})" if few else "never"
    return number(bits.associated) + (f" ({bits.never} never)" if bits.never else "")


def budget_columns(cards: Sequence[Card], question: QuestionShown) -> dict[str, list[str]]:
    """Return a column for each other number of updates of some cards: after 10,000."""
    texts = [{x.updates: budget_text(c, question, x) for x in question.budgets(c)} for c in cards]
    every = sorted({updates for of in texts for updates in of})
    name = f" {question.asks.name}" if question is BY_KEY else ""
    return {f"after {number(x)}{name}": [of.get(x, UNKNOWN) for of in texts] for x in every}


def budget_text(card: Card, question: QuestionShown, budget: Budget) -> str:
    """Return the mean after another number of updates; level where more of them gain no seed 5%."""
    mean = three_digits(budget.mean)
    bits = question.of(card)
    if not bits or bits.seeds != budget.seeds or budget.updates < card.numbers.updates:
        return mean
    gains = zip(bits.by_seed, budget.by_seed, strict=True)
    return mean + (" (level)" if all(more <= GAIN * usual for usual, more in gains) else "")


def shown(cards: Sequence[Card]) -> str:
    """Return cards as text for a terminal: a line for each on a task, otherwise a column."""
    if cards[0].task:
        return text_tables.captioned(cards_table(cards))
    _, *measures = zip(*cards_table(cards).without({"seeds"}).texts, strict=True)
    lines = [("", *(card.name for card in cards)), ("seeds", *map(seeds_there, cards)), *measures]
    caption = f"{caption_of(cards)}\n" if len(cards) > 1 else ""
    return caption + text_tables.table(lines, left=range(len(cards) + 1))


def seeds_there(card: Card) -> str:
    """Return the seeds of the measure that has fewer, of those asked for: 8, or 3 of 8."""
    known = [question.of(card) for question in EVERY if question.configured(card)]
    fewest = min([len(bits.seeds) if bits else 0 for bits in known], default=0)
    asked = len(card.seeds)
    return str(asked) if fewest == asked else f"{fewest} of {asked}"


def caption_of(cards: Sequence[Card]) -> str:
    """Return the tracks of a group, its sizes of state, its own protocol, and too few seeds."""
    own = protocol_text(cards)
    tracks = dict.fromkeys(map(track, cards))
    each = [x if x == "bare" else f"in the {x}" for x in tracks]
    where = "bare cells" if each == ["bare"] else " and ".join(each)
    why = "several sizes" if len(each) == 1 else "different networks"
    apart = "" if comparable(cards) else f", {why}, not to be compared"
    task = cards[0].task
    where = f"Task {task.name}, {where}" if task else f"{where[0].upper()}{where[1:]}"
    return f"{where}, state of {sizes_text(cards)}{apart}.{own and f' {own}'}{few_seeds(cards)}"


def protocol_text(cards: Sequence[Card]) -> str:
    """Return how the protocol of some cards differs from the standard; nothing if it does not."""
    protocol = protocol_of(cards)
    changes = ", ".join(f"{name} {x}" for name, x in protocol.own.items())
    return f"Protocol {protocol.name}, not the standard: {changes}." if changes else ""


def sizes_text(cards: Sequence[Card]) -> str:
    """Return the least and the most numbers of state of cards: 91 to 100 float32."""
    least, most = (size_text(f(cards, key=size_of)) for f in (min, max))
    if least == most:
        return most
    if least.partition(" ")[2] == most.partition(" ")[2]:
        least = least.partition(" ")[0]
    return f"{least} to {most}"
