"""The table of all memory cards: its columns, and what each says of a card."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from echo_jax.memory_cards.card_text import (
    NOT_MEASURED,
    Card,
    bounds,
    brief,
    kind_of,
    names_of,
    nats,
    reach,
    span_bounds,
    span_words,
)
from echo_jax.report.number_formats import three_digits
from echo_jax.report.page import Entry, Table

LAG = 8
"""The lag at which the table compares how fast cells learn, if enough cards have it."""

MISSING = Entry(NOT_MEASURED, missing=True)

Rows = Sequence[Mapping[str, Entry]]
"""A table of cards: the entries of each card by the headings of their columns."""


class Column(NamedTuple):
    """A column of the table of all cards.

    Args:
      meaning: explains it to readers of the page.
      entry: what it says of a card; the second argument is the lag of the column `updates`.
    """

    meaning: str
    entry: Callable[[Card, int], Entry]


def _span(span: Mapping[str, Any] | None, threshold: str) -> Entry:
    """A span with its interval; a lower bound sorts just above its number."""
    if not span or threshold not in span:
        return MISSING
    known = span[threshold]
    found = reach(known)
    key = found.median + 0.1 * found.at_least
    return Entry(brief(span_words(known)), key, brief(span_bounds(known)))


def _estimate(found: Mapping[str, Any] | None) -> Entry:
    """A median with its interval."""
    if not found or found["median"] is None:
        return MISSING
    return Entry(three_digits(found["median"]), found["median"], bounds(found, three_digits))


def _number(value: float | None) -> Entry:
    return MISSING if value is None else Entry(three_digits(value), value)


def _updates(card: Card, lag: int) -> Entry:
    """The median number of updates until 99% at a lag of the stream task."""
    lines = (card["rows"]["learning"] or {}).get("stream") or []
    line = next((line for line in lines if line["lag"] == lag), None)
    if line is None:
        return Entry("not run", missing=True) if lines else MISSING
    if line["median"] is None:
        return Entry(f"> {card['protocol']['budget']:,}")
    return _number(line["median"])


def _at_100_times(card: Card, _: int) -> Entry:
    """Accuracy on streams 100 times longer than those in training."""
    beyond = card["rows"]["beyond"]
    if not beyond or 100 not in beyond["times"]:
        return MISSING
    median = beyond["accuracy"][beyond["times"].index(100)]["median"]
    return MISSING if median is None else Entry(f"{100 * median:.1f}%", median)


def _limit(card: Card, _: int) -> Entry:
    """The verdict on the cause of the limit, and the lag that it is about."""
    cause = card["rows"]["cause"]
    if not cause:
        return MISSING
    lag = three_digits(cause["lag"])
    about = {"no limit found": "", "undetermined": f" at lag {lag}"}
    words = cause["verdict"] + about.get(cause["verdict"], f" lag {lag}")
    return Entry(words, words)


def _cost(*path: str) -> Callable[[Card, int], Entry]:
    """Reads a number from the costs of a card."""

    def entry(card: Card, _: int) -> Entry:
        value: Any = card["rows"]["price"]
        for key in path:
            value = (value or {}).get(key)
        return _number(value)

    return entry


TRAINING, STREAMING = "training, \u00b5s, batch 16", "streaming, \u00b5s, batch 1"

COLUMNS = {
    "kind": Column(
        "Recurrent; reference, which is not recurrent and sees a window of the past; or control, "
        "whose result is known before it is measured.",
        lambda card, _: Entry(kind_of(card), kind_of(card)),
    ),
    "stream span": Column(
        "How many steps back the token may be that the cell still hands back at every step of a "
        "running stream: the end of the unbroken run of lags at which accuracy on fresh data "
        "reaches 99%. The median over seeds, with its interval.",
        lambda card, _: _span(card["rows"]["stream_span"], "0.99"),
    ),
    "at 60%": Column(
        "The same with a threshold of 60%.",
        lambda card, _: _span(card["rows"]["stream_span"], "0.6")._replace(beside=""),
    ),
    "hold span": Column(
        "The same at 99% for one value, which the cell must hold over so many distractors until "
        "it is asked for it.",
        lambda card, _: _span(card["rows"]["hold_span"], "0.99"),
    ),
    "bits": Column(
        "Recalled bits about all past tokens in one state, from one network that answers for "
        "every lag.",
        lambda card, _: _estimate((card["rows"]["capacity"] or {}).get("exact")),
    ),
    "linear capacity": Column(
        "The sum over lags of the r\u00b2 of a linear readout of the trained state, minus that of "
        "unrelated tokens: at most the number of values in the state.",
        lambda card, _: _estimate((card["rows"]["linear"] or {}).get("trained")),
    ),
    "updates": Column(
        "Updates until 99% at this lag, the median over seeds. > means more than the budget; not "
        "run means that the ladder of the cell ended at a shorter lag.",
        _updates,
    ),
    "at 100 times": Column(
        "Accuracy on streams 100 times longer than those in training, at a lag within the span.",
        _at_100_times,
    ),
    "limit": Column(
        "Why the stream span ends: the cell could not hold the value, or could hold it and did "
        "not learn to. Undetermined where neither was shown.",
        _limit,
    ),
    "parameters": Column("Trained numbers, including the readout.", _cost("parameters")),
    "state, bytes": Column(
        "What the cell carries from step to step, for one stream.", _cost("state_bytes")
    ),
    TRAINING: Column(
        "Time of a training step of 16 streams at once, as all cards are trained.",
        _cost("train", "16"),
    ),
    STREAMING: Column(
        "Time of a step of one stream, one token at a time.", _cost("stream", "1")
    ),
}  # fmt: skip
"""The columns of the table after the first, which has the name of the card."""

CELL_COLUMN = "The name of the card. Cards that share a name have their digest beside it."

SHORT_COLUMNS = ("cell", "stream span", "hold span", "bits", "updates", "state, bytes", TRAINING)
"""The columns of the short table."""


def row_of(card: Card, name: str, lag: int, link: str = "") -> dict[str, Entry]:
    """The row of a card in the table of all cards, by the headings of the columns.

    Args:
      card: a valid card.
      name: the name of the card, unique among the cards of the table.
      lag: the lag of the column `updates`.
      link: the section of the card.
    """
    entries = {heading: column.entry(card, lag) for heading, column in COLUMNS.items()}
    return {"cell": Entry(name, name, link=link), **entries}


def rows_of(cards: Sequence[Card], links: Mapping[int, str] | None = None) -> Rows:
    """The rows of some cards, which link to their sections: `links` by the identity of a card."""
    lag = common_lag(cards)
    named = zip(cards, names_of(cards), strict=True)
    return [row_of(card, name, lag, (links or {}).get(id(card), "")) for card, name in named]


def common_lag(cards: Sequence[Card]) -> int:
    """LAG if at least half of the cards were trained on it, else the longest that all have."""
    learned = [(card["rows"]["learning"] or {}).get("stream") or [] for card in cards]
    lags = [{line["lag"] for line in lines} for lines in learned if lines]
    if not lags or 2 * sum(LAG in each for each in lags) >= len(lags):
        return LAG
    return max(set.intersection(*lags), default=LAG)


def cards_table(rows: Rows, caption: str) -> Table:
    """A sortable table without the columns in which nothing was measured."""
    headings = [
        heading
        for heading in dict.fromkeys(heading for row in rows for heading in row)
        if any(row.get(heading, MISSING) != MISSING for row in rows)
    ]
    entries = [[row.get(heading, MISSING) for heading in headings] for row in rows]
    return Table(caption, headings, entries, sortable=True, descending="stream span")


def recall_losses(card: Card) -> dict[str, Entry]:
    """The recall loss of each copy-memory task, in nats a symbol; ln 8 without memory."""
    found = {}
    for line in card["rows"]["copy"] or []:
        recall = line["recall"]
        words = bounds(recall, nats, "infinite")
        entry = Entry(nats(recall["median"]), recall["median"], words)
        found[f"recall, T {line['T']:,}"] = entry
    return found


def hardest_recall(row: Mapping[str, Entry]) -> float:
    """The loss at the longest T; infinite without one."""
    last = [entry.key for column, entry in row.items() if column.startswith("recall")][-1:]
    return last[0] if last and isinstance(last[0], int | float) else math.inf
