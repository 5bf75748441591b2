"""Compare two cards: difference, interval and p, in a sentence for a paper. Imports no jax."""

import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path

from echo_jax import statistics
from echo_jax.exceptions import ConfigError
from echo_jax.memory import card_contents as cards
from echo_jax.memory.card_contents import CARD_FILE, Card
from echo_jax.memory.pages import built_in_cards
from echo_jax.memory.pages.table import labels_of
from echo_jax.memory.pages.told_apart import comparable, differences, size_text, track
from echo_jax.memory.questions import EVERY, Question
from echo_jax.report.number_formats import number, three_digits


def compare(names: Sequence[str]) -> list[str]:
    """Return sentences that compare the two cards of `names`: folders, built-in cards or cells.

    Raises:
      ConfigError: there is no such card, or the two cards have nothing to compare.
    """
    pair = max(itertools.product(*map(cards_of, names)), key=likeness)
    if not comparable(pair):
        rule = f"cannot be compared, as they differ in {differences(pair)}"
        raise ConfigError(f"{names[0]} and {names[1]} {rule}: use two cards that agree in it")
    shared = shared_questions(pair)
    if not shared:
        fix = "complete both cards by echo-jax card"
        raise ConfigError(f"{names[0]} and {names[1]} have no question in common: {fix}")
    return [sentence(pair, x) for x in shared]


def cards_of(name: str) -> list[Card]:
    """Return the card in the folder `name`, or the built-in cards whose name or cell is `name`."""
    folder = Path(name)
    if os.path.lexists(folder / CARD_FILE):
        return [cards.read(folder)[0]]
    return built_in_cards.named_cards(name)


def likeness(pair: Sequence[Card]) -> tuple[bool, int, int]:
    """Return a key that is largest for the `pair` of cards to compare.

    It puts comparable cards first, then the most questions in common, then the most seeds.
    """
    seeds = sum(len(card.seeds) for card in pair)
    return comparable(pair), len(shared_questions(pair)), seeds


def shared_questions(pair: Sequence[Card]) -> list[Question]:
    """Return the questions by which both cards of `pair` have bits."""
    return [question for question in EVERY if all(card.bits(question) for card in pair)]


def sentence(pair: Sequence[Card], question: Question) -> str:
    """Return a sentence for a paper on the difference of the cards of `pair` by `question`."""
    first, second = (card.known(question) for card in pair)
    names = labels_of(pair)
    difference = first.mean - second.mean
    p = statistics.permutation_test(first.by_seed, second.by_seed)
    interval = statistics.shift_interval(first.by_seed, second.by_seed)
    ends = f"{three_digits(interval.low)} to {three_digits(interval.high)}"
    known = not math.isinf(interval.low)
    between = f"95% interval {ends}" if known else "too few seeds for an interval"
    protocol = pair[0].numbers
    task = pair[0].task
    asked = f"on the task {task.name}" if task else question.name
    unit = "bits an answer" if task else "bits"
    updates = number(protocol.updates)
    sizes = " and ".join(dict.fromkeys(map(size_text, pair)))
    more = f"{three_digits(abs(difference))} bits {'more' if difference > 0 else 'fewer'} than"
    if three_digits(difference) == "0":
        more = "as many bits as"
    return (
        f"{names[0]} scores {more} {names[1]} {asked} "
        f"({first.mean_text} and {second.mean_text} {unit}; "
        f"difference {three_digits(difference)}, {between}; permutation test of "
        f"{len(first.seeds)} and {len(second.seeds)} seeds, p = {p:.2g}). "
        f"Track {track(pair[0])}, state of {sizes}, {updates} updates, echo_jax protocol "
        f"{protocol.name}."
    )
