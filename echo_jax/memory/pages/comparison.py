"""Two cards compared: the difference, its interval and p, and a sentence for a paper. No jax."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from echo_jax import statistics
from echo_jax.exceptions import ConfigError
from echo_jax.memory import card as cards
from echo_jax.memory.card import CARD_FILE, Card
from echo_jax.memory.pages import built_in_cards
from echo_jax.memory.pages.questions import BY_LAG, QUESTIONS, Question
from echo_jax.memory.pages.table import caption_of, labels_of
from echo_jax.memory.pages.told_apart import comparable, of_one_kind
from echo_jax.report.number_formats import number, three_digits


def compare(names: Sequence[str]) -> list[str]:
    """Sentences that compare two cards: folders with a card, or names of built-in cards or cells.

    By key their seeds must have chosen among the same recipes. ConfigError for nothing to compare.
    """
    folders = [name for name in names if os.path.lexists(Path(name) / CARD_FILE)]
    found = {name: cards.read(Path(name))[0] for name in folders}
    for name in names:
        if name not in found:
            found[name] = built_in(name, [*found.values()])
    pair = [found[name] for name in names]
    if not of_one_kind(pair):
        captions = " ".join(caption_of([card]) for card in pair)
        fix = "make both with the same --state-bytes and block"
        raise ConfigError(f"{names[0]} and {names[1]} cannot be compared: {captions} {fix}")
    shared = [question for question in QUESTIONS if all(map(question.of, pair))]
    asked = [question for question in shared if question is BY_LAG or comparable(pair)]
    if not asked:
        fix = "make both with one, and the same --full"
        raise ConfigError(f"{names[0]} and {names[1]} share no question: {fix}")
    other = "By key they chose among other recipes: make both with the same --full to compare that."
    return [sentence(pair, x) for x in asked] + ([other] if len(shared) > len(asked) else [])


def built_in(name: str, own: Sequence[Card]) -> Card:
    """The built-in card of a name that is most like a card of `own`; of such, of most seeds."""

    def likeness(known: Card) -> tuple[bool, bool, int]:
        """The largest wins."""
        pairs = [[known, x] for x in own]
        return any(map(comparable, pairs)), any(map(of_one_kind, pairs)), len(known.seeds)

    return max(built_in_cards.named_cards(name), key=likeness)


def sentence(pair: Sequence[Card], question: Question) -> str:
    """The sentence for a paper on the difference of two cards."""
    first, second = (question.known(card) for card in pair)
    names = labels_of(pair)
    difference = first.mean - second.mean
    p = statistics.permutation_test(first.by_seed, second.by_seed)
    interval = statistics.shift_interval(first.by_seed, second.by_seed)
    ends = f"{three_digits(interval.low)} to {three_digits(interval.high)}"
    known = not math.isinf(interval.low)
    between = f"95% interval {ends}" if known else "too few seeds for an interval"
    protocol = pair[0].numbers
    updates = number(protocol.updates)
    word = "more" if difference >= 0 else "fewer"
    return (
        f"{question.name.capitalize()} {names[0]} has {three_digits(abs(difference))} bits {word} "
        f"than {names[1]} ({question.mean_text(pair[0])} and {question.mean_text(pair[1])} bits; "
        f"difference {three_digits(difference)}, {between}; exact permutation test of "
        f"{len(first.seeds)} and {len(second.seeds)} seeds, p = {p:.2g}). "
        f"{caption_of(pair[:1])} {updates} updates, echo_jax protocol {protocol.name}."
    )
