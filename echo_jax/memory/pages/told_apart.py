"""Which cards the seeds tell apart, and how small a difference they can. No jax.

comparable  cards of one protocol, track, about the same bytes of state, and configurations
groups      the cards that are compared with each other
pairs_of    the exact permutation test of every pair of a group, and Benjamini-Hochberg at 5%
letters     cells that share one are not told apart
"""

import bisect
import itertools
import math
import string
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from echo_jax import statistics
from echo_jax.config import BLOCK_PREFIX
from echo_jax.memory.card import IMPORTED, Card
from echo_jax.memory.pages.questions import BY_KEY, QUESTIONS, Question
from echo_jax.memory.protocol import Protocol
from echo_jax.report.number_formats import three_digits

TRACKS = ("block", "bare", "imported")
"""The tracks; of a block with other layers or width they are followed by one of its own."""

SAME_SIZE = 1.1 / 0.9
"""States are of one size if the largest has at most so many times the bytes of the smallest."""

BLOCK_OPTIONS = ("width", "layers")
"""Options of the block, by which it is no longer the common one."""

LEVEL = 0.05  # the share of false ones expected among the pairs that a table tells apart

POWER = 0.8  # power of `smallest_difference`

SIMULATED = 400  # pairs of groups that are simulated for it


def track(card: Card) -> str:
    """Of a cell in the common block, of a bare one, of imported rows; or another block, in words.

    Cards of different tracks are not compared.
    """
    cell = card.cell
    if cell.name.startswith(IMPORTED):
        return "imported"
    if not cell.name.startswith(BLOCK_PREFIX):
        return "bare"
    changed = [f"{name} {cell.args[name]}" for name in BLOCK_OPTIONS if name in cell.args]
    return ", ".join(["block", *changed])


def place(of_track: str) -> tuple[int, str]:
    """The place of a track in an order."""
    return (TRACKS.index(of_track) if of_track in TRACKS else len(TRACKS)), of_track


def kind(card: Card) -> tuple[str, Protocol]:
    """The track and the protocol, of which only cards of one are compared."""
    return track(card), card.numbers


def recipe(card: Card) -> list[str]:
    """The recipes by key of a card, to be sorted by; the rate by lag is its own."""
    return sorted(f"{x.schedule} {x.rate}" for x in BY_KEY.configured(card))


def of_one_kind(cards: Sequence[Card]) -> bool:
    """True for cards of one protocol and track with about the same bytes of state."""
    sizes = {card.state_bytes for card in cards}
    return len(set(map(kind, cards))) == 1 and max(sizes) <= SAME_SIZE * min(sizes)


def comparable(cards: Sequence[Card]) -> bool:
    """True for cards of one kind whose seeds chose among as much."""
    return of_one_kind(cards) and all(recipe(x) == recipe(cards[0]) for x in cards)


def groups(cards: Iterable[Card]) -> list[list[Card]]:
    """Comparable cards, those with most bits first.

    Blocks come before bare cells. Cards alone in their size are one group of several sizes.
    """
    found: list[list[Card]] = []
    for card in sorted(cards, key=lambda x: (place(track(x)), recipe(x), x.state_bytes)):
        last = found[-1] if found else None
        if last and comparable([last[0], card]):
            last.append(card)
        else:
            found.append([card])
    tracks = dict.fromkeys(track(group[0]) for group in found)
    single = [[x for (x, *more) in found if not more and track(x) == name] for name in tracks]
    found = [group for group in found if len(group) > 1] + [group for group in single if group]
    for group in found:
        group.sort(key=lambda x: [-question.mean(x) for question in QUESTIONS])
    return sorted(found, key=lambda group: (place(track(group[0])), -len(group)))


class Pair(NamedTuple):
    """Two of some groups of seeds, with the difference of their means.

    p is that of the permutation test, adjusted that of Benjamini and Hochberg over all pairs.
    """

    first: int
    second: int
    difference: float
    p: float
    adjusted: float

    @property
    def apart(self) -> bool:
        """True for a pair that is told apart at a false discovery rate of 5%."""
        return self.adjusted <= LEVEL


def pairs_of(seeds: Sequence[Sequence[float]]) -> list[Pair]:
    """All pairs of groups of seeds, compared."""
    pairs = list(itertools.combinations(range(len(seeds)), 2))
    p_values = [statistics.permutation_test(seeds[i], seeds[j]) for i, j in pairs]
    adjusted = statistics.false_discovery(p_values)
    means = [float(np.mean(x)) for x in seeds]
    return [
        Pair(i, j, means[i] - means[j], float(p), float(q))
        for (i, j), p, q in zip(pairs, p_values, adjusted, strict=True)
    ]


def told(pairs: Sequence[Pair], count: int) -> np.ndarray:
    """Which of so many groups are told apart, bool `[C, C]`."""
    apart = np.zeros((count, count), bool)
    for pair in pairs:
        apart[pair.first, pair.second] = apart[pair.second, pair.first] = pair.apart
    return apart


def largest_p(pairs: Sequence[Pair]) -> float:
    """The largest p-value of a pair told apart; with none the level over the number of pairs."""
    return max((x.p for x in pairs if x.apart), default=LEVEL / max(len(pairs), 1))


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


def letters_of(cards: Sequence[Card], question: Question) -> list[str]:
    """The letters of cards; none without the question, for one card, and for several sizes."""
    seeds = [bits.by_seed for card in cards if (bits := question.of(card))]
    if len(seeds) < 2 or not comparable(cards):
        return [""] * len(cards)
    each = iter(letters(told(pairs_of(seeds), len(seeds))))
    return [next(each) if question.of(card) else "" for card in cards]


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
    # The second half of all ways is the first with the groups exchanged, which changes no distance.
    # From n = 10 on ways are drawn, and half of them are just a smaller sample.
    ways = ways[: len(ways) // 2]
    noise = (ways @ (values - values.mean(axis=0))).astype(np.float32)
    moved = (ways[:, n:].sum(axis=1) - n / 2).astype(np.float32)

    def power(difference: float) -> float:
        """The share of pairs told apart where the second mean is larger by a difference."""
        sums = noise + np.float32(difference) * moved[:, None]
        return float(np.mean(statistics.as_far(sums) <= level))

    step = 20 * max(deviations) / 1024
    return step * bisect.bisect_left(range(1024), POWER, key=lambda steps: power(steps * step))


def power_sentence(cards: Sequence[Card], question: Question) -> str:
    """The sentence on the smallest difference that the table of a group tells apart.

    Empty where no deviation is known. Deviations are shares of the mean, of the cells with at
    least one bit.
    """
    known = [bits.by_seed for card in cards if (bits := question.of(card))]
    seeds = [x for x in known if len(x) > 1 and np.mean(x) >= 1]
    if len(seeds) < 2 or not comparable(cards):
        return ""
    deviations = [float(np.std(x, ddof=1) / np.mean(x)) for x in seeds]
    n = int(np.median([len(x) for x in seeds]))
    smallest = smallest_difference(deviations, n, largest_p(pairs_of(known)))
    middle = three_digits(100 * float(np.median(deviations)))
    words = question.words.capitalize()
    if math.isinf(smallest):
        return f"{words}: with {n} seeds each no pair of this table would be told apart: add seeds."
    return (
        f"{words}: a difference of {100 * smallest:.0f}% of the mean is told apart in "
        f"{POWER:.0%} of pairs of {n} seeds each, simulated from the deviations of these "
        f"cells (median {middle}% of the mean)."
    )
