"""Compare two cards in a sentence for a paper, or a card with built-in cards. Imports no jax."""

import itertools
import math
import os
from collections.abc import Sequence
from pathlib import Path

from echo_jax import statistics
from echo_jax.exceptions import ConfigError
from echo_jax.memory import card_contents as cards
from echo_jax.memory.all_questions import EVERY, OF_MEMORY
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG
from echo_jax.memory.card_contents import CARD_FILE, Card
from echo_jax.memory.comparison import built_in_cards, comparability, significance
from echo_jax.memory.comparison.built_in_cards import anchors
from echo_jax.memory.comparison.card_names import is_control, labels_of, name_of
from echo_jax.memory.question import Question
from echo_jax.report.number_formats import number, three_digits


def compare(names: Sequence[str]) -> list[str]:
    """Return a sentence that compares two cards by each question that both of them answer.

    A question that only one of them answers has a sentence too, which says that it is left out.
    Each of the two `names` is a folder or a name of built-in cards, see `built_in_cards.names_of`.
    If a name has several cards, the pair of cards is compared that `likeness` puts first.

    Raises:
      ConfigError: there is no such card, or the two cards have nothing to compare.
    """
    pair = max(itertools.product(*map(cards_of, names)), key=likeness)
    if not comparability.comparable(pair):
        rule = f"cannot be compared, as they differ in {', '.join(comparability.differences(pair))}"
        raise ConfigError(f"{names[0]} and {names[1]} {rule}: use two cards that agree in this")
    shared = shared_questions(pair)
    if not shared:
        fix = "complete both cards by echo-jax card"
        raise ConfigError(f"{names[0]} and {names[1]} have no question in common: {fix}")
    return [*(sentence(pair, x) for x in shared), *left_out(pair)]


def cards_of(name: str) -> list[Card]:
    """Return the card in the folder `name`, or else the built-in cards that `name` names."""
    folder = Path(name)
    if os.path.lexists(folder / CARD_FILE):
        return [cards.read(folder)[0]]
    try:
        return built_in_cards.named_cards(name)
    except ConfigError as error:
        raise error.then(f"or name a folder with {CARD_FILE}") from error


def likeness(pair: Sequence[Card]) -> tuple[int, int, int]:
    """Return a key that is largest for the `pair` of cards to compare.

    Pairs are ordered by the fewest differences, then the most questions in common, then the most
    seeds.
    """
    seeds = sum(len(card.seeds) for card in pair)
    return -len(comparability.differences(pair)), len(shared_questions(pair)), seeds


def shared_questions(pair: Sequence[Card]) -> list[Question]:
    """Return the questions by which both cards of `pair` have bits."""
    return [question for question in EVERY if all(card.bits(question) for card in pair)]


def left_out(pair: Sequence[Card]) -> list[str]:
    """Return a sentence for each question by which only one card of `pair` has bits."""
    return [
        f"The question {question.name} is left out: the card {card.name} has no {question.words}."
        for question in EVERY
        for card, other in itertools.permutations(pair, 2)
        if other.bits(question) and not card.bits(question)
    ]


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
    sizes = " and ".join(dict.fromkeys(map(comparability.size_text, pair)))
    more = f"{three_digits(abs(difference))} bits {'more' if difference > 0 else 'fewer'} than"
    if three_digits(difference) == "0":
        more = "as many bits as"
    return (
        f"{names[0]} scores {more} {names[1]} {asked} "
        f"({first.mean_text} and {second.mean_text} {unit}; "
        f"difference {three_digits(difference)}, {between}; permutation test of "
        f"{len(first.seeds)} and {len(second.seeds)} seeds, p = {p:.2g}). "
        f"Track {comparability.track(pair[0])}, state of {sizes}, {updates} updates, echo_jax "
        f"protocol {protocol.name}.{significance.few_seeds(pair)}"
    )


def standing(card: Card) -> list[str]:
    """Return the sentences of `rank` and `beside_anchors` about `card`; none for a control."""
    if is_control(card):
        return []
    return list(filter(None, [rank(card), beside_anchors(card)]))


def rank(card: Card) -> str:
    """Return a sentence with the rank of `card` among comparable built-in cards of trained cells.

    The result is empty if the card has neither bits by lag nor bits by key. It is also empty if for
    one of these questions no other card has bits.
    """
    known = [x for x in built_in_cards.built_in_cards() if comparability.comparable([x, card])]
    others = [x for x in known if x.cell != card.cell and not is_control(x)]
    places = [place_among(card, others, question) for question in OF_MEMORY if card.bits(question)]
    if not places or not all(places):
        return ""
    return f"Its mean among {len(others) + 1} trained cells of its size ranks {'; '.join(places)}."


def beside_anchors(card: Card) -> str:
    """Return sentences with the most bits by lag that are possible, and the bits of the anchors.

    The result is empty if `card` has no bits by lag, or if no other anchor is published for its
    track and protocol.
    """
    bits = card.bits(BY_LAG)
    found = [f"{three_digits(x.mean(BY_LAG))} ({name})" for name, x in anchors(card).items()]
    if not bits or not found:
        return ""
    most = card.numbers.lags * math.log2(card.numbers.symbols)
    held = bits.mean / comparability.size_of(card)
    return (
        f"At most {three_digits(most)} bits by lag are possible; the anchors reach "
        f"{', '.join(found)}. The cell holds {three_digits(held)} bits per number of its "
        "state."
    )


def place_among(card: Card, others: Sequence[Card], question: Question) -> str:
    """Return the rank of `card` among `others` by `question`, and the cells next to it, in words.

    The words are empty if no other card has bits by the question.
    """
    measured = sorted((x for x in others if x.bits(question)), key=lambda x: -x.mean(question))
    before = [x for x in measured if x.mean(question) > card.mean(question)]
    beside = [*before[-1:], *measured[len(before) : len(before) + 1]]
    names = " and ".join(f"{name_of(x)} ({x.known(question).mean_text})" for x in beside)
    return f"number {len(before) + 1} {question.name}, beside {names}" if beside else ""
