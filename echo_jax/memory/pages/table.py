"""The table of cards, and which of them the seeds tell apart. No jax.

tidy_rows     cards ─► a row for each card and question, one number a column
groups        cards of one track with about the same bytes of state, which alone are compared
compared      the exact permutation test of every pair of a group, and Benjamini-Hochberg at 5%
cards_table   a group ─► the table that is shown
side_by_side  the same as text, a column for each card
"""

import itertools
import math
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal, NamedTuple

import numpy as np

from echo_jax import statistics
from echo_jax.config import BLOCK_PREFIX
from echo_jax.memory.card import BitsByKey, BitsByLag, Card
from echo_jax.memory.protocol import Configuration
from echo_jax.report import text_tables
from echo_jax.report.number_formats import number, three_digits
from echo_jax.report.page import Table

Question = Literal["bits_by_lag", "bits_by_key"]
QUESTIONS: Mapping[Question, str] = {"bits_by_lag": "bits by lag", "bits_by_key": "bits by key"}
"""The fields of a card that are measures, and their names."""

TRACKS = ("block", "bare")

SAME_SIZE = 1.1 / 0.9
"""States are of one size if the largest has at most so many times the bytes of the smallest."""

LEVEL = 0.05
"""The share of false ones expected among the pairs that a table tells apart."""

POWER, SIMULATED = 0.8, 400
"""Power of `smallest_difference`, and the pairs of groups that are simulated for it."""

SIZES = {
    "keys": "d_k",
    "values": "d_v",
    "state_bytes": "state, bytes",
    "conv_bytes": "convolutions, bytes",
    "constant_bytes": "constants, bytes",
    "parameters": "parameters",
    "us_per_step": "\u00b5s a step",
}
"""The fields of a card that say how large and fast a cell is, and the headings of their columns."""

UNKNOWN = "-"


def track(card: Card) -> str:
    """`block` for a cell in a block, else `bare`."""
    return "block" if card.cell.name.startswith(BLOCK_PREFIX) else "bare"


def cell_of(card: Card) -> str:
    """The name of the cell, without that of the block, a module or a file."""
    return PurePath(card.cell.name.removeprefix(BLOCK_PREFIX).rpartition(":")[2]).stem


def labels_of(cards: Sequence[Card]) -> list[str]:
    """A name for each card: its cell; where cells are equal with arguments, or that of the card."""
    given = [" ".join(f"{key} {x}" for key, x in card.cell.args.items()) for card in cards]
    cells = [cell_of(card) for card in cards]
    whole = [f"{a} {b}".strip() for a, b in zip(cells, given, strict=True)]
    forms = cells, whole, [card.name for card in cards]
    return [
        next((form[i] for form in forms if form.count(form[i]) == 1), card.name)
        for i, card in enumerate(cards)
    ]


def measure(card: Card, question: Question) -> BitsByLag | BitsByKey | None:
    """The measure of a card for a question; None where there is none."""
    return getattr(card, question)


def mean_of(card: Card, question: Question) -> float:
    """The mean bits; -1 where it was not measured."""
    bits = measure(card, question)
    return -1.0 if bits is None else bits.mean


def tidy_rows(cards: Iterable[Card]) -> list[dict[str, Any]]:
    """A row for each card and each question that was measured, named as in card.json.

    n and asked are the seeds that are there and those asked for; unknown is None.
    """
    rows: list[dict[str, Any]] = []
    for card in cards:
        size: dict[str, Any] = {"name": card.name, "cell": cell_of(card), "track": track(card)}
        size |= {field: getattr(card, field) for field in SIZES}
        for question in QUESTIONS:
            if bits := measure(card, question):
                row = size | {"question": question}
                row |= {name: getattr(bits, name) for name in ("mean", "low", "high", "at_least")}
                plateau = card.on_plateau if question == "bits_by_key" else None
                row |= {"n": len(bits.seeds), "asked": len(card.seeds), "on_plateau": plateau}
                rows.append(row)
    return rows


def groups(cards: Iterable[Card]) -> list[list[Card]]:
    """Cards of one track, state size and configuration, those with most bits first.

    Blocks come before bare cells. Cards alone in their size are one group of several sizes.
    """
    found: list[list[Card]] = []
    for card in sorted(cards, key=lambda x: (TRACKS.index(track(x)), recipe(x), x.state_bytes)):
        last = found[-1] if found else None
        if last and comparable([last[0], card]):
            last.append(card)
        else:
            found.append([card])
    single = [[x for (x, *more) in found if not more and track(x) == name] for name in TRACKS]
    found = [group for group in found if len(group) > 1] + [group for group in single if group]
    for group in found:
        group.sort(key=lambda x: [-mean_of(x, question) for question in QUESTIONS])
    return sorted(found, key=lambda group: (TRACKS.index(track(group[0])), -len(group)))


def recipe(card: Card) -> list[str]:
    """The configurations of a card, to be sorted by."""
    return sorted(map(str, card.configuration))


def configured(card: Card, question: Question) -> set[Configuration]:
    """The configurations of a question, of which each seed takes the best."""
    return {of for of in card.configuration if of.question in QUESTIONS[question]}


def comparable(cards: Sequence[Card]) -> bool:
    """True for cards of one kind whose seeds chose among as much."""
    return of_one_kind(cards) and all(recipe(x) == recipe(cards[0]) for x in cards)


def of_one_kind(cards: Sequence[Card]) -> bool:
    """True for cards of one track with about the same bytes of state."""
    sizes, tracks = {card.state_bytes for card in cards}, {track(card) for card in cards}
    return len(tracks) == 1 and max(sizes) <= SAME_SIZE * min(sizes)


class Compared(NamedTuple):
    """Every pair of C groups of seeds.

    apart  bool `[C, C]`, True for a pair that is told apart
    level  the largest p-value of such a pair, before adjusting; with none LEVEL over all pairs
    """

    apart: np.ndarray
    level: float


def compared(seeds: Sequence[Sequence[float]]) -> Compared:
    """Compare the means of all pairs of groups, at a false discovery rate of 5%."""
    pairs = list(itertools.combinations(range(len(seeds)), 2))
    p_values = [statistics.permutation_test(seeds[i], seeds[j]) for i, j in pairs]
    adjusted = statistics.false_discovery(p_values)
    apart = np.zeros((len(seeds), len(seeds)), bool)
    for (i, j), p in zip(pairs, adjusted, strict=True):
        apart[i, j] = apart[j, i] = p <= LEVEL
    told = [p for p, q in zip(p_values, adjusted, strict=True) if q <= LEVEL]
    return Compared(apart, max(told, default=LEVEL / max(len(pairs), 1)))


def letters(apart: np.ndarray) -> list[str]:
    """A letter for each largest set of groups none of which are told apart, in each of its groups.

    So two groups are told apart just where they share no letter (Piepho 2004).

        1 apart from 3, and no other pair:      a, ab, b
    """
    alike = ~apart | np.eye(len(apart), dtype=bool)
    sets: list[frozenset[int]] = [frozenset(range(len(apart)))]
    for i, j in zip(*np.nonzero(np.triu(~alike)), strict=True):
        divided = [x - {k} for x in sets for k in (i, j) if {i, j} <= x]
        sets = [x for x in sets if not {i, j} <= x] + divided
        sets = [x for x in dict.fromkeys(sets) if not any(x < other for other in sets)]
    alphabet = [f"{letter}{n or ''}" for n in range(20) for letter in string.ascii_letters]
    names = dict(zip(sorted(sets, key=sorted), alphabet, strict=False))
    return ["".join(names[x] for x in names if i in x) for i in range(len(apart))]


def smallest_difference(deviations: Sequence[float], n: int, level: float = LEVEL) -> float:
    """The smallest difference of two means that is told apart with 80% power, in their unit.

    Pairs of groups are drawn from normal distributions, n seeds each, with deviations of the list;
    a pair is told apart if the p-value of the permutation test is at most `level`. Infinite where n
    seeds cannot give such a p-value.
    """
    if 1 / math.comb(2 * n, n) > level / 2:
        return math.inf
    random = np.random.default_rng(0)
    spread = np.repeat(random.choice(np.asarray(deviations, float), (2, SIMULATED)), n, axis=0)
    values = random.standard_normal((2 * n, SIMULATED)) * spread
    ways = statistics.splits(n, n)
    ways = ways[: len(ways) // 2]  # of all ways the other half exchanges the groups
    noise = (ways @ (values - values.mean(axis=0))).astype(np.float32)
    moved = (ways[:, n:].sum(axis=1) - n / 2).astype(np.float32)

    def power(difference: float) -> float:
        """The share of pairs told apart where the second mean is larger by a difference."""
        sums = noise + np.float32(difference) * moved[:, None]
        return float(np.mean(statistics.as_far(sums) <= level))

    low, high = 0.0, 20 * max(deviations)
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def power_sentence(cards: Sequence[Card], question: Question) -> str:
    """The sentence on the smallest difference that the table of a group tells apart.

    Empty where no deviation is known. Deviations are shares of the mean, of the cells with at
    least one bit.
    """
    known = [bits.by_seed for card in cards if (bits := measure(card, question))]
    seeds = [x for x in known if len(x) > 1 and np.mean(x) >= 1]
    if len(seeds) < 2 or not comparable(cards):
        return ""
    deviations = [float(np.std(x, ddof=1) / np.mean(x)) for x in seeds]
    n = int(np.median([len(x) for x in seeds]))
    smallest = smallest_difference(deviations, n, compared(known).level)
    middle = three_digits(100 * float(np.median(deviations)))
    words = QUESTIONS[question].capitalize()
    if math.isinf(smallest):
        return f"{words}: with {n} seeds each no pair of this table would be told apart: add seeds."
    return (
        f"{words}: a difference of {100 * smallest:.0f}% of the mean is told apart in "
        f"{POWER:.0%} of pairs of {n} seeds each, simulated from the deviations of these "
        f"cells (median {middle}% of the mean)."
    )


AT_LEAST = "\u2265: within 5% of the most that can be measured."
NOT_THERE = "3 of 4: seeds that are there, of those asked for."

MEANINGS = {
    "bits": "the mean over the seeds with Student's interval of 95%, which may reach below 0; "
    "\u2265 within 5% of the most that can be measured; 3 of 4 where seeds are not there yet",
    "letters": "cells that share one are not told apart (exact permutation test of the difference "
    "of means, Benjamini-Hochberg at 5%); within this table and column only",
    "on plateau": "seeds within 0.1 of the accuracy of a list of the values from 4 pairs on",
    "d_k, d_v": "sizes of a key and of a value of a matrix state",
    "convolutions, bytes": "the last inputs of a block's convolutions",
    "constants, bytes": "fixed arrays of the cell, which are not state",
    "\u00b5s a step": "the least of 100 times of a step of one stream, where the card was made; in "
    "the published cards the median of 7, which other work moved by half and more",
}
"""The meaning of the columns of `cards_table`."""


def cards_table(cards: Sequence[Card]) -> Table:
    """A row for each card of a group; columns of which nothing is known are left out."""
    columns = {"cell": labels_of(cards)}
    for question, words in QUESTIONS.items():
        columns[words] = [bits_text(card, question) for card in cards]
        columns[f"letters {words[5:]}"] = _letters(cards, question)
    columns["on plateau"] = [plateau_text(card) for card in cards]
    for field, heading in SIZES.items():
        sizes = [getattr(card, field) for card in cards]
        columns[heading] = [three_digits(size) if size else UNKNOWN for size in sizes]
    known = {name: of for name, of in columns.items() if any(x not in (UNKNOWN, "") for x in of)}
    caption = " ".join([caption_of(cards), *cut_short(cards)])
    return Table(caption, list(known), list(zip(*known.values(), strict=True)))


def side_by_side(cards: Sequence[Card]) -> str:
    """A line for each column of the table of cards, and a column for each card."""
    _, *measures = zip(*cards_table(cards).texts, strict=True)
    lines = [("", *(card.name for card in cards)), ("seeds", *map(seeds_there, cards)), *measures]
    return text_tables.table(lines, left=range(len(cards) + 1))


def seeds_there(card: Card) -> str:
    """The seeds of the measure that has fewer, of those asked for: 8, or 3 of 8."""
    known = [measure(card, question) for question in QUESTIONS if configured(card, question)]
    fewest, asked = min([len(x.seeds) if x else 0 for x in known], default=0), len(card.seeds)
    return str(asked) if fewest == asked else f"{fewest} of {asked}"


def is_cut_short(card: Card, question: Question) -> bool:
    """True for a measure that reached a limit or lacks seeds."""
    bits = measure(card, question)
    return bits is not None and (bits.at_least or len(bits.seeds) < len(card.seeds))


def cut_short(cards: Sequence[Card]) -> list[str]:
    """Sentences on the measures of cards that reached a limit or lack seeds."""
    measures = [(x, bits) for x in cards for q in QUESTIONS if (bits := measure(x, q))]
    missing = any(len(bits.seeds) < len(card.seeds) for card, bits in measures)
    return [AT_LEAST] * any(bits.at_least for _, bits in measures) + [NOT_THERE] * missing


def caption_of(cards: Sequence[Card]) -> str:
    """The track of a group, and its bytes of state."""
    size = " to ".join(dict.fromkeys(number(f(x.state_bytes for x in cards)) for f in (min, max)))
    where = "In the block" if track(cards[0]) == "block" else "Bare cells"
    apart = "" if comparable(cards) else ", several sizes or recipes, not to be compared"
    return f"{where}, {size} bytes of state{apart}."


def bits_text(card: Card, question: Question) -> str:
    """The mean bits with what else is known: 157 (150 to 164), or \u2265 157 (3 of 4)."""
    bits = measure(card, question)
    if bits is None:
        return UNKNOWN
    more = []
    if bits.low is not None and bits.high is not None:
        more.append(f"{three_digits(bits.low)} to {three_digits(bits.high)}")
    if len(bits.seeds) < len(card.seeds):
        more.append(f"{len(bits.seeds)} of {len(card.seeds)}")
    words = f"{chr(0x2265) * bits.at_least}{three_digits(bits.mean)}"
    return f"{words} ({'; '.join(more)})" if more else words


def bits_words(card: Card, question: Question) -> str:
    """The same with the question: 157 bits by lag (150 to 164)."""
    value, bracket, more = bits_text(card, question).partition(" (")
    return f"{value} {QUESTIONS[question]}{bracket}{more}"


def _letters(cards: Sequence[Card], question: Question) -> list[str]:
    """The letters of cards; none without the question, for one card, and for several sizes."""
    known = [i for i, card in enumerate(cards) if measure(card, question)]
    if len(known) < 2 or not comparable(cards):
        return [""] * len(cards)
    seeds = [bits.by_seed for i in known if (bits := measure(cards[i], question))]
    of_card = dict(zip(known, letters(compared(seeds).apart), strict=True))
    return [of_card.get(i, "") for i in range(len(cards))]


def plateau_text(card: Card) -> str:
    """The seeds by key that are on the plateau, of those that are there."""
    if card.on_plateau is None or card.bits_by_key is None:
        return UNKNOWN
    return f"{card.on_plateau} of {len(card.bits_by_key.seeds)}"
