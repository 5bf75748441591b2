"""Find which cards the seeds tell apart. Imports no jax."""

import itertools
import string
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from echo_jax import statistics
from echo_jax.memory.card_contents import Card
from echo_jax.memory.comparison.comparability import comparable
from echo_jax.memory.question import Question

LEVEL = 0.05  # the share of false ones expected among the pairs that a table tells apart


class Pair(NamedTuple):
    """Two groups of seeds, and a test of the difference of their means.

    first       the place of the first group, from 0
    second      the place of the second group
    difference  the mean of the first group less the mean of the second
    p           the p-value of the permutation test
    adjusted    the p-value after Benjamini and Hochberg, over all pairs of groups
    """

    first: int
    second: int
    difference: float
    p: float
    adjusted: float

    @property
    def apart(self) -> bool:
        """True if the two groups differ at a false discovery rate of 5%."""
        return self.adjusted <= LEVEL


def pairs_of(seeds: Sequence[Sequence[float]]) -> list[Pair]:
    """Return a `Pair` for every two groups in `seeds`; a group has the bits of one card's seeds."""
    pairs = list(itertools.combinations(range(len(seeds)), 2))
    p_values = [statistics.permutation_test(seeds[i], seeds[j]) for i, j in pairs]
    adjusted = statistics.false_discovery(p_values)
    means = [float(np.mean(x)) for x in seeds]
    return [
        Pair(i, j, means[i] - means[j], float(p), float(q))
        for (i, j), p, q in zip(pairs, p_values, adjusted, strict=True)
    ]


def letters(apart: Iterable[tuple[int, int]], count: int) -> list[str]:
    """Return the letters of each of `count` groups; two groups share a letter unless told apart.

    `apart` are the pairs of groups that are told apart. A letter stands for a set of groups
    in which no two are told apart, and to which no other group can be added (Piepho 2004).

        groups 0, 1, 2; only 0 and 2 are told apart:      a, ab, b
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
    """Return a sentence if `cards` have too few seeds to tell any two cards apart.

    The result is empty if the seeds suffice, or if the cards are not comparable.
    """
    sizes = {*itertools.combinations([len(card.seeds) for card in cards], 2)}
    least = min((statistics.permutation_test([0] * n, [1] * m) for n, m in sizes), default=0)
    few = least > LEVEL and comparable(cards)
    return f" So few seeds show no difference: p is at least {least:.2g}." if few else ""


def letters_of(cards: Sequence[Card], question: Question) -> list[str]:
    """Return the letters of each of `cards` by `question`.

    The letters are empty for a card without bits. They are empty for all cards if fewer than two
    cards have bits, or if the cards are not comparable.
    """
    seeds = [bits.by_seed for card in cards if (bits := card.bits(question))]
    if len(seeds) < 2 or not comparable(cards):
        return [""] * len(cards)
    apart = [(pair.first, pair.second) for pair in pairs_of(seeds) if pair.apart]
    each = iter(letters(apart, len(seeds)))
    return [next(each) if card.bits(question) else "" for card in cards]
