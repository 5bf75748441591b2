"""Two or more cards of one protocol side by side, and whether their spans differ."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any

from echo_jax.memory_benchmark.spans import MeanSpan, are_disjoint
from echo_jax.memory_cards import card_text
from echo_jax.memory_cards.card_text import Card, ladder_name, ladders_of, span_words
from echo_jax.report import text_tables


def side_by_side(cards: Sequence[Card]) -> str:
    """A text table with a column for each card, and a sentence for each pair of cards."""
    known = [{line.label: line for line in card_text.lines(card)} for card in cards]
    rows = [["", "baseline", *(card["name"] for card in cards)]]
    for label in dict.fromkeys(chain(*known)):
        of_cards = [of.get(label, card_text.Line(label, card_text.NOT_MEASURED)) for of in known]
        baseline = next((line.baseline for line in of_cards if line.baseline), "")
        values = [", ".join(filter(None, (line.value, line.interval))) for line in of_cards]
        rows.append([label, baseline, *values])
    pairs = [sentence for pair in combinations(cards, 2) for sentence in sentences(*pair)]
    return "\n".join([text_tables.table(rows, left=range(len(rows[0]))), "", *pairs])


def mean_span_of(span: Mapping[str, Any]) -> MeanSpan:
    """The mean span of a ladder in a card."""
    return MeanSpan(*(span[name] for name in MeanSpan._fields))


def sentences(first: Card, second: Card) -> Iterator[str]:
    """A sentence for each ladder of two cards: they differ where their intervals do not overlap."""
    names = f"{first['name']} and {second['name']}"
    if first["protocol_hash"] != second["protocol_hash"]:
        yield f"{names} are of different protocols."
        return
    theirs = {ladder["name"]: span for ladder, span in ladders_of(second)}
    for ladder, span in ladders_of(first):
        other = theirs.get(ladder["name"])
        if other and not (card_text.none_reached(span) or card_text.none_reached(other)):
            yield sentence(ladder, (first["name"], span), (second["name"], other))


def sentence(ladder: Mapping[str, Any], first: tuple[str, Any], second: tuple[str, Any]) -> str:
    """The sentence about two named cells on a ladder: one remembers more, or they are alike."""
    asked = card_text.capital(ladder_name(ladder))
    (low, low_span), (high, high_span) = sorted((first, second), key=lambda each: each[1]["mean"])
    if not are_disjoint(mean_span_of(low_span), mean_span_of(high_span)):
        return f"{asked}: {low} and {high} are not told apart."
    words = [", ".join(span_words(span)) for span in (high_span, low_span)]
    return f"{asked}: {high} ({words[0]}) remembers more than {low} ({words[1]})."
