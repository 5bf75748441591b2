"""Several cards in one text table, and a sentence for each pair of them."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from echo_jax.memory_cards import card_text, compare_two
from echo_jax.report import text_tables


def table(cards: Sequence[Mapping[str, Any]]) -> str:
    """A row for each measure: its baseline, and the value and interval of each card."""
    known = [{line.label: line for line in card_text.lines(card)} for card in cards]
    rows = [["", "baseline", *(card["name"] for card in cards)]]
    for label in dict.fromkeys(itertools.chain(*known)):
        of_cards = [of.get(label, card_text.Line(label, card_text.NOT_MEASURED)) for of in known]
        baseline = next((line.baseline for line in of_cards if line.baseline), "")
        values = [", ".join(filter(None, (line.value, line.interval))) for line in of_cards]
        rows.append([label, baseline, *values])
    pairs = (compare_two.sentence(a, b) for a, b in itertools.combinations(cards, 2))
    return "\n".join([text_tables.table(rows, left=tuple(range(len(rows[0])))), "", *pairs])
