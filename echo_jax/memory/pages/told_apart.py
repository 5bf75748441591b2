"""The cards that are compared, and which of them the seeds tell apart. No jax."""

import itertools
import string
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec import UnsetType

from echo_jax import statistics
from echo_jax.memory.card_contents import Card
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.questions import EVERY, Question
from echo_jax.memory.rows import MeasuredTask
from echo_jax.report.number_formats import number

TRACKS = ("block", "bare")
"""The tracks in their order; a block with other layers or width has a track of its own after them.
"""

SAME_SIZE = 1.1 / 0.9
"""States are of one size if the largest has at most this many times the numbers of the smallest."""

BLOCK_OPTIONS = {"width": 32, "layers": 1, "parameters": None}
"""The options with which a block is the common one."""

LEVEL = 0.05  # the share of false ones expected among the pairs that a table tells apart


def track(card: Card) -> str:
    """Return the track of a card: `block`, `bare`, or another block in words.

    Cards of different tracks are not compared.
    """
    cell = card.cell
    if not cell.in_block:
        return "bare"
    given = {name: cell.args.get(name, usual) for name, usual in BLOCK_OPTIONS.items()}
    changed = [f"{name} {x}" for name, x in given.items() if x != BLOCK_OPTIONS[name]]
    return ", ".join(["block", *changed])


def place(of_track: str) -> tuple[int, str]:
    """Return a key that sorts cards by their track."""
    return (TRACKS.index(of_track) if of_track in TRACKS else len(TRACKS)), of_track


def kind(card: Card) -> tuple[str, Protocol, MeasuredTask | UnsetType]:
    """Return the track, the protocol and any task, of which only cards of one are compared."""
    return track(card), card.numbers, card.task


def comparable(cards: Sequence[Card]) -> bool:
    """Return True for cards of one protocol and track with states of one type and similar size."""
    return len(set(map(kind, cards))) == 1 and of_one_size(cards)


def of_one_size(cards: Sequence[Card]) -> bool:
    """Return True if the cards have states of one type and of about one size.

    On a task cells are compared at any size, which the table states.
    """
    if all(card.task for card in cards):
        return True
    counts = [numbers_of(card) for card in cards]
    same_types = len({frozenset(of) for of in counts}) == 1
    totals = [sum(of.values()) for of in counts]
    return same_types and max(totals) <= SAME_SIZE * min(totals)


def numbers_of(card: Card) -> dict[str, int]:
    """Return the numbers of the state by their type; of a cell without a state, 0 bytes."""
    return card.state_numbers or {"bytes": card.state_bytes}


def size_of(card: Card) -> int:
    """Return the numbers of the state, of all types."""
    return sum(numbers_of(card).values())


def size_text(card: Card) -> str:
    """Return the numbers of the state and their type: 100 float32."""
    return " and ".join(f"{number(n)} {name}" for name, n in numbers_of(card).items())


def differences(pair: Sequence[Card]) -> list[str]:
    """Return the properties in which two cards differ in kind, such as track (bare and block)."""
    sizes = [""] if of_one_size(pair) else [size_text(card) for card in pair]
    of_each = {
        "track": [track(card) for card in pair],
        "protocol": [card.numbers.name for card in pair],
        "task": [task_words(card) for card in pair],
        "state": sizes,
    }
    return [f"{x} ({' and '.join(of)})" for x, of in of_each.items() if len(set(of)) > 1]


def task_words(card: Card) -> str:
    """Return the task of a card with what distinguishes it from other tasks; "none" without one.

    That is the digest of what it draws and, for a user's task, of its text.
    """
    if not card.task:
        return "none"
    digests = card.task.drawn, card.task.source or ""
    return " ".join([card.task.name, *(x[:6] for x in digests if x)])


def groups(cards: Iterable[Card]) -> list[list[Card]]:
    """Return groups of comparable cards, the most bits first.

    Blocks come before bare cells. Cards without a peer of their size form one group of several
    sizes.
    """

    def order(card: Card) -> tuple[Any, ...]:
        return task_words(card), place(track(card)), sorted(numbers_of(card)), size_of(card)

    found: list[list[Card]] = []
    for card in sorted(cards, key=order):
        if found and comparable([found[-1][0], card]):
            found[-1].append(card)
        else:
            found.append([card])
    kinds = dict.fromkeys(kind(group[0]) for group in found)
    single = [[x for (x, *more) in found if not more and kind(x) == each] for each in kinds]
    found = [group for group in found if len(group) > 1] + [group for group in single if group]
    for group in found:
        group.sort(key=lambda x: [-x.mean(question) for question in EVERY])
    return sorted(found, key=lambda group: (place(track(group[0])), -len(group)))


class Pair(NamedTuple):
    """Two of some groups of seeds, with the difference of their means.

    p is the p-value of the permutation test; adjusted is that of Benjamini and Hochberg over all
    pairs.
    """

    first: int
    second: int
    difference: float
    p: float
    adjusted: float

    @property
    def apart(self) -> bool:
        """True if the two differ at a false discovery rate of 5%."""
        return self.adjusted <= LEVEL


def pairs_of(seeds: Sequence[Sequence[float]]) -> list[Pair]:
    """Return all pairs of groups of seeds, compared."""
    pairs = list(itertools.combinations(range(len(seeds)), 2))
    p_values = [statistics.permutation_test(seeds[i], seeds[j]) for i, j in pairs]
    adjusted = statistics.false_discovery(p_values)
    means = [float(np.mean(x)) for x in seeds]
    return [
        Pair(i, j, means[i] - means[j], float(p), float(q))
        for (i, j), p, q in zip(pairs, p_values, adjusted, strict=True)
    ]


def letters(apart: Iterable[tuple[int, int]], count: int) -> list[str]:
    """Return, for each group, a letter for each largest set that it is in of groups not told apart.

    So two groups are told apart exactly if they share no letter (Piepho 2004).

        0 of 3 groups apart from 2:      a, ab, b
    """
    sets: list[frozenset[int]] = [frozenset(range(count))]
    for i, j in apart:
        divided = [x - {k} for x in sets for k in (i, j) if {i, j} <= x]
        sets = [x for x in sets if not {i, j} <= x] + divided
        sets = [x for x in dict.fromkeys(sets) if not any(x < other for other in sets)]
    alphabet = [f"{letter}{n or ''}" for n in range(20) for letter in string.ascii_letters]
    names = dict(zip(sorted(sets, key=sorted), alphabet, strict=False))
    return ["".join(names[x] for x in names if i in x) for i in range(count)]


def few_seeds(cards: Sequence[Card]) -> str:
    """Return a sentence if the numbers of seeds alone keep any two cards from being told apart."""
    sizes = {*itertools.combinations([len(card.seeds) for card in cards], 2)}
    least = min((statistics.permutation_test([0] * n, [1] * m) for n, m in sizes), default=0)
    few = least > LEVEL and comparable(cards)
    return f" So few seeds show no difference: p is at least {least:.2g}." if few else ""


def letters_of(cards: Sequence[Card], question: Question) -> list[str]:
    """Return the letters of cards; none for one card, several sizes, or a missing question."""
    seeds = [bits.by_seed for card in cards if (bits := card.bits(question))]
    if len(seeds) < 2 or not comparable(cards):
        return [""] * len(cards)
    apart = [(pair.first, pair.second) for pair in pairs_of(seeds) if pair.apart]
    each = iter(letters(apart, len(seeds)))
    return [next(each) if card.bits(question) else "" for card in cards]
