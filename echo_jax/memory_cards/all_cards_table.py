"""The table of all memory cards: its columns, and what each says of a card."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from echo_jax.memory_cards import card_text
from echo_jax.memory_cards.card_text import Card, bounds, kind_of, reach
from echo_jax.report.number_formats import three_digits
from echo_jax.report.page import Entry, Table

LAG = 8
"""The lag at which the table compares how fast cells learn, if enough cards have it."""

MISSING = Entry(card_text.NOT_MEASURED, missing=True)

Rows = Sequence[Mapping[str, Entry]]
"""The entries of each card by the headings of their columns."""


def _part(card: Card, *path: str) -> Any:
    """A part of the summary of a card, or None."""
    found = card["rows"]
    for name in path:
        found = (found or {}).get(name)
    return found


def _span(card: Card, task: str, threshold: str) -> Entry:
    """A span with its interval; a lower bound sorts just above its number."""
    span = card_text.span_of(card, task, threshold)
    if not span:
        return MISSING
    found, (median, interval) = reach(span), card_text.span_words(span, card_text.AT_LEAST)
    return Entry(median, found.median + 0.1 * found.at_least, interval)


def _estimate(found: Mapping[str, Any] | None) -> Entry:
    if not found or found["median"] is None:
        return MISSING
    return Entry(three_digits(found["median"]), found["median"], bounds(found, three_digits))


def _number(value: float | None) -> Entry:
    return MISSING if value is None else Entry(three_digits(value), value)


def _updates(card: Card, lag: int) -> Entry:
    """The median number of updates until 99% at a lag of the stream task."""
    lines = _part(card, "learning", "stream")
    line = next((line for line in lines or [] if line["lag"] == lag), None)
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


TRAINING, STREAMING = "training, \u00b5s, batch 16", "streaming, \u00b5s, batch 1"

COLUMNS: Mapping[str, tuple[str, Callable[[Card, int], Entry]]] = {
    "stream span": (
        "How many steps back the token may be that the cell still hands back at every step of a "
        "running stream: the end of the unbroken run of lags at which accuracy on fresh data "
        "reaches 99%. The median over seeds, with its interval.",
        lambda card, _: _span(card, "stream", "0.99"),
    ),
    "hold span": (
        "The same at 99% for one value, which the cell must hold over so many distractors until "
        "it is asked for it.",
        lambda card, _: _span(card, "hold", "0.99"),
    ),
    "kind": (
        "Recurrent; reference, which is not recurrent and sees a window of the past; or control, "
        "whose result is known before it is measured.",
        lambda card, _: Entry(kind_of(card), kind_of(card)),
    ),
    "at 60%": (
        "The stream span with a threshold of 60%.",
        lambda card, _: _span(card, "stream", "0.6")._replace(beside=""),
    ),
    "bits": (
        "Recalled bits about all past tokens in one state, from one network that answers for "
        "every lag.",
        lambda card, _: _estimate(_part(card, "capacity", "exact")),
    ),
    "linear capacity": (
        "The sum over lags of the r\u00b2 of a linear readout of the trained state, minus that of "
        "unrelated tokens: at most the number of values in the state.",
        lambda card, _: _estimate(_part(card, "linear", "trained")),
    ),
    "updates": (
        "Updates until 99% at this lag, the median over seeds. > means more than the budget; not "
        "run means that the cell already missed a shorter lag.",
        _updates,
    ),
    "at 100 times": (
        "Accuracy on streams 100 times longer than those in training, at a lag within the span.",
        _at_100_times,
    ),
    "limit": (
        "Why the stream span ends: the cell could not hold the value, or could hold it and did "
        "not learn to. Undetermined where neither was shown.",
        _limit,
    ),
    "parameters": (
        "Trained numbers, including the readout.",
        lambda card, _: _number(_part(card, "price", "parameters")),
    ),
    "state, bytes": (
        "What the cell carries from step to step, for one stream.",
        lambda card, _: _number(_part(card, "price", "state_bytes")),
    ),
    TRAINING: (
        "Time of a training step of 16 streams at once, as all cards are trained.",
        lambda card, _: _number(_part(card, "price", "train", "16")),
    ),
    STREAMING: (
        "Time of a step of one stream, one token at a time.",
        lambda card, _: _number(_part(card, "price", "stream", "1")),
    ),
}
"""The columns of the table after the first, which has the name of the card.

For each, what explains it to readers of the page, and what it says of a card; the second argument
of that is the lag of the column `updates`.
"""


def rows_of(cards: Sequence[Card], links: Mapping[int, str] | None = None) -> Rows:
    """The rows of some cards, which link to their sections: `links` by the identity of a card."""
    lag, rows = common_lag(cards), []
    for card, name in zip(cards, card_text.names_of(cards), strict=True):
        cell = Entry(name, name, link=(links or {}).get(id(card), ""))
        entries = {heading: entry(card, lag) for heading, (_, entry) in COLUMNS.items()}
        rows.append({"cell": cell, **entries})
    return rows


def common_lag(cards: Sequence[Card]) -> int:
    """LAG if at least half of the cards were trained on it, else the longest that all have."""
    learned = [_part(card, "learning", "stream") for card in cards]
    lags = [{line["lag"] for line in lines} for lines in learned if lines]
    if not lags or 2 * sum(LAG in each for each in lags) >= len(lags):
        return LAG
    return max(set.intersection(*lags), default=LAG)


def cards_table(rows: Rows, caption: str) -> Table:
    """A table without the columns in which nothing was measured."""
    headings = [
        heading
        for heading in dict.fromkeys(heading for row in rows for heading in row)
        if any(row.get(heading, MISSING) != MISSING for row in rows)
    ]
    entries = [[row.get(heading, MISSING) for heading in headings] for row in rows]
    return Table(caption, headings, entries, descending="stream span")


def recall_losses(card: Card) -> dict[str, Entry]:
    """The recall loss of each copy-memory task, in nats a symbol; ln 8 without memory."""
    found = {}
    for line in card["rows"]["copy"] or []:
        recall, nats = line["recall"], card_text.nats
        words = bounds(recall, nats, "infinite")
        found[f"recall, T {line['T']:,}"] = Entry(nats(recall["median"]), recall["median"], words)
    return found
