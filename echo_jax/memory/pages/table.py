"""Make the table of cards, and tidy rows of their numbers. Imports no jax."""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any

from echo_jax.memory.all_questions import EVERY, NAMED, Row
from echo_jax.memory.card_contents import Budget, Card, protocol_of
from echo_jax.memory.comparison.card_names import cell_of, labels_of
from echo_jax.memory.comparison.comparability import (
    comparable,
    size_of,
    size_text,
    task_words,
    track,
)
from echo_jax.memory.comparison.significance import few_seeds, letters_of, pairs_of
from echo_jax.memory.question import UNKNOWN, Question
from echo_jax.report import text_tables
from echo_jax.report.number_formats import number, three_digits
from echo_jax.report.text_tables import Table

SIZES = ("state_bytes", "conv_bytes", "constant_bytes", "parameters")
"""The fields of a card that state how large a cell is."""

GAIN = 1.05  # the ratio of bits from which more updates help

# columns without room in a paper
WIDE = {"lags 4 on", "layers", "state", "convolutions"}

TUNED = ("lmu", "lstm-chrono")
"""The cells with an option whose default is the number of lags of the heads."""

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


def file_name(group: Sequence[Card]) -> str:
    """Return a file name for `group`, from its track, state and task, such as block-100-float32.

    The state is the largest in the group, or "several" if the cards are not comparable.
    """
    largest = max(group, key=size_of)
    words = [track(largest), size_text(largest) if comparable(group) else "several"]
    words += [task_words(group[0])] if group[0].task else []
    return re.sub(r"[^\w.]+", "-", "-".join(words))


def tidy_rows(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """Return a row for each card, question and number of updates, with columns as in card.json.

    `n` is the number of seeds with bits, and `asked` is the number of wanted seeds. A number that
    is unknown is None. The rows state a task if any card is of a task.
    """
    protocol_of(cards)  # or they are refused
    tasks = any(card.task for card in cards)
    rows = list[dict[str, Any]]()
    for card, question in itertools.product(cards, EVERY):
        for updates, of in card.measured(question):
            names = ("mean", "low", "high", "at_least", "from_lag_4", "associated", "never")
            rows.append({
                "name": card.name,
                "cell": cell_of(card),
                "track": track(card),
                **{field: getattr(card, field) for field in ("keys", "values", *SIZES)},
                "parameters": card.parameters or None,
                "layers": card.cell.args.get("layers", 1),
                "question": question.field,
                **({"task": task_words(card) if card.task else None} if tasks else {}),
                "updates": updates,
                **{name: getattr(of, name, None) for name in names},
                "n": len(of.seeds),
                "asked": len(card.seeds),
            })  # fmt: skip
    return rows


def tidy_seeds(cards: Iterable[Card]) -> list[dict[str, Any]]:
    """Return a row with the bits of each seed of `cards`, by question and number of updates."""
    return [
        {"name": card.name, "question": question.field, "updates": updates,
         "seed": seed, "bits": value}
        for card, question in itertools.product(cards, EVERY)
        for updates, of in card.measured(question)
        for seed, value in zip(of.seeds, of.by_seed, strict=True)
    ]  # fmt: skip


def tidy_pairs(groups: Iterable[Sequence[Card]]) -> list[dict[str, Any]]:
    """Return a row with the test of each pair of cards in a group, for each question.

    A row has the `question`, the names of the `first` and the `second` card, the `difference` of
    their means, the `p` of the permutation test, and `adjusted`, the p after Benjamini and Hochberg
    over the pairs of the group. A group in `groups` whose cards are not all comparable has no rows.
    """
    rows = list[dict[str, Any]]()
    for group, question in itertools.product(groups, EVERY):
        known = [card for card in group if card.bits(question)]
        if len(known) < 2 or not comparable(group):
            continue
        for pair in pairs_of([card.known(question).by_seed for card in known]):
            names = {"first": known[pair.first].name, "second": known[pair.second].name}
            rows.append({"question": question.field} | pair._asdict() | names)
    return rows


def tidy_runs(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return a row for each run in `rows`, data set with a score, and lag or number of pairs.

    On a task, each run and data set has one row.
    """
    return [
        {"seed": row.seed, "rate": row.rate, "updates": row.updates, "data_set": data_set}
        | {"question": row.configuration.question, **number}
        for row, data_set in itertools.product(rows, ("validation", "final"))
        if (score := getattr(row, data_set)) is not None
        for number in row.tidy(score)
    ]


def cards_table(cards: Sequence[Card]) -> Table:
    """Return a table with a row for each of `cards`.

    A column is left out if nothing in it is known. The column of seeds is left out if all cards
    have equally many.
    """
    marks = ["*" if cell_of(card) in TUNED else "" for card in cards]
    columns = {"cell": [f"{a}{b}" for a, b in zip(labels_of(cards), marks, strict=True)]}
    if len(set(seeds := [seeds_there(card) for card in cards])) > 1:
        columns["seeds"] = seeds
    told = [letters_of(cards, question) for question in EVERY]
    for question, letters in zip(EVERY, told, strict=True):
        if not any(card.measured(question) for card in cards):
            continue
        columns[question.words] = [
            f"{bits_text(card, question)} {letter}".strip()
            for card, letter in zip(cards, letters, strict=True)
        ]
        columns |= columns_beside(cards, question) | budget_columns(cards, question)
    columns["state"] = [size_text(card) for card in cards]
    columns["convolutions"] = [text_of(card.conv_bytes // 4 or None) for card in cards]
    columns["parameters"] = [text_of(card.parameters or None) for card in cards]
    columns["layers"] = [str(card.cell.args.get("layers", UNKNOWN)) for card in cards]
    known = {name: of for name, of in columns.items() if any(x not in (UNKNOWN, "") for x in of)}
    note = [protocol_text(cards), f"Bits: {MEANINGS['bits']}."]
    if any(map(any, told)):
        note.append(f"Letters: {MEANINGS['letters']}.{few_seeds(cards)}")
    rows = list(zip(*known.values(), strict=True))
    return Table(caption_of(cards), list(known), rows, " ".join(filter(None, note)))


def bits_text(card: Card, question: Question) -> str:
    """Return the mean bits of `card` by `question` as text: 157 (150 to 164); "-" if unknown.

    In brackets are the lowest and the highest seed.
    """
    bits = card.bits(question)
    return bits.text(len(card.seeds)) if bits else UNKNOWN


def rate_text(card: Card, question: Question) -> str:
    """Return the learning rate of `card` by `question` as text: 0.3 (edge); "-" if unknown.

    "(edge)" marks the lowest and the highest rate that the pilot tried.
    """
    name = question.name
    found = [x for x in card.configuration if x.question == name]
    if not found:
        return UNKNOWN
    rate = found[0].rate
    tried = [x.configuration.rate for x in card.pilot if x.configuration.question == name]
    return f"{rate:g}{' (edge)' if tried and rate in (min(tried), max(tried)) else ''}"


def columns_beside(cards: Sequence[Card], question: Question) -> dict[str, list[str]]:
    """Return the columns of `cards` beside their bits by `question`; the last has the rates."""
    measured = [card.bits(question) for card in cards]
    found = [bits.columns(protocol_of(cards)) if bits else {} for bits in measured]
    names = dict.fromkeys(name for columns in found for name in columns)
    rates = {f"rate{question.suffix}": [rate_text(card, question) for card in cards]}
    return {name: [columns.get(name, UNKNOWN) for columns in found] for name in names} | rates


def text_of(value: float | None) -> str:
    """Return the number `value` as text, or "-" if it is None."""
    return UNKNOWN if value is None else three_digits(value)


def budget_columns(cards: Sequence[Card], question: Question) -> dict[str, list[str]]:
    """Return the columns of `cards` by `question` after other updates, such as: after 10,000."""
    texts = [
        {x.updates: budget_text(card, question, x) for x in card.budgets_of(question)}
        for card in cards
    ]
    every = sorted({updates for of in texts for updates in of})
    suffix = question.suffix
    return {f"after {number(x)}{suffix}": [of.get(x, UNKNOWN) for of in texts] for x in every}


def budget_text(card: Card, question: Question, budget: Budget) -> str:
    """Return the mean bits of `budget` as text, with (level) if no seed gains more than 5%.

    The gains are over the bits of `card` by `question` after the usual updates. They are known only
    if the budget has more updates, and bits of the same seeds.
    """
    mean = three_digits(budget.mean)
    bits = card.bits(question)
    if not bits or bits.seeds != budget.seeds or budget.updates < card.numbers.updates:
        return mean
    gains = zip(bits.by_seed, budget.by_seed, strict=True)
    return mean + (" (level)" if all(more <= GAIN * usual for usual, more in gains) else "")


def shown(cards: Sequence[Card]) -> str:
    """Return `cards` as text for a terminal: a line for each card on a task, otherwise a column."""
    if cards[0].task:
        return text_tables.captioned(cards_table(cards))
    _, *measures = zip(*cards_table(cards).without({"seeds"}).texts, strict=True)
    lines = [("", *(card.name for card in cards)), ("seeds", *map(seeds_there, cards)), *measures]
    caption = f"{caption_of(cards)}\n" if len(cards) > 1 else ""
    return caption + text_tables.table(lines, left=range(len(cards) + 1))


def seeds_there(card: Card) -> str:
    """Return how many wanted seeds of `card` have bits by all its questions: 8, or 3 of 8."""
    usual = {x.question for x in card.configuration if x.updates == card.numbers.updates}
    known = [card.bits(NAMED[question]) for question in usual]
    fewest = min([len(bits.seeds) if bits else 0 for bits in known], default=0)
    wanted = len(card.seeds)
    return str(wanted) if fewest == wanted else f"{fewest} of {wanted}"


def caption_of(cards: Sequence[Card]) -> str:
    """Return the caption of a table of `cards`: their task, tracks and state sizes.

    Where needed, the caption adds that the cards must not be compared, how a user's protocol
    differs from the standard, and that there are too few seeds to show a difference.
    """
    own = protocol_text(cards)
    tracks = dict.fromkeys(map(track, cards))
    each = [x if x == "bare" else f"in the {x}" for x in tracks]
    where = "bare cells" if each == ["bare"] else " and ".join(each)
    differ = "have states of several sizes" if len(each) == 1 else "are in different networks"
    apart = "" if comparable(cards) else f" These cells {differ}, so do not compare their bits."
    task = cards[0].task
    where = f"Task {task.name}, {where}" if task else f"{where[0].upper()}{where[1:]}"
    more = f"{apart}{own and f' {own}'}{few_seeds(cards)}"
    return f"{where}, state of {sizes_text(cards)}.{more}"


def protocol_text(cards: Sequence[Card]) -> str:
    """Return a sentence on how the protocol of `cards` differs from the standard, or no text."""
    protocol = protocol_of(cards)
    changes = ", ".join(f"{name} {x}" for name, x in protocol.own.items())
    return f"Protocol {protocol.name}, not the standard: {changes}." if changes else ""


def sizes_text(cards: Sequence[Card]) -> str:
    """Return the smallest and the largest state of `cards` in words: 91 to 100 float32."""
    least, most = (size_text(f(cards, key=size_of)) for f in (min, max))
    if least == most:
        return most
    if least.partition(" ")[2] == most.partition(" ")[2]:
        least = least.partition(" ")[0]
    return f"{least} to {most}"
