"""One page about all memory cards of a folder: which can be compared, their numbers, each card.

index.html           the page, which needs no other file; its tables can be sorted
README.md            the same in Markdown
figures/NAME.svg     the figures of the Markdown
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import all_cards_figures, card_figure, card_text
from echo_jax.memory_cards import card_file as card_files
from echo_jax.memory_cards.card_text import (
    NOT_MEASURED,
    Card,
    answer,
    bounds,
    brief,
    counted,
    kind_of,
    nats,
    reach,
    span_bounds,
    span_words,
)
from echo_jax.report.html_page import html_page
from echo_jax.report.markdown_page import markdown_page, markdown_table
from echo_jax.report.number_formats import three_digits
from echo_jax.report.page import Entry, Figure, Page, Section, Table
from echo_jax.report.styles import svg

TITLE = "Memory cards: how long can each cell remember?"

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

SUMMARY = ("cell", "stream span", "hold span", "bits", "updates", "state, bytes", TRAINING)
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
    named = zip(cards, card_text.names_of(cards), strict=True)
    return [row_of(card, name, lag, (links or {}).get(id(card), "")) for card, name in named]


def common_lag(cards: Sequence[Card]) -> int:
    """LAG if at least half of the cards were trained on it, else the longest that all have."""
    learned = [(card["rows"]["learning"] or {}).get("stream") or [] for card in cards]
    lags = [{line["lag"] for line in lines} for lines in learned if lines]
    if not lags or 2 * sum(LAG in each for each in lags) >= len(lags):
        return LAG
    return max(set.intersection(*lags), default=LAG)


def by_protocol(cards: Sequence[Card]) -> list[list[Card]]:
    """Cards grouped by protocol: the largest group first, copy-memory cards last."""
    groups: dict[str, list[Card]] = {}
    for card in cards:
        groups.setdefault(card["protocol_hash"], []).append(card)

    def order(hash_: str) -> tuple[Any, ...]:
        protocol = groups[hash_][0]["protocol"]
        effort = len(protocol["ladder"]), protocol["budget"]
        return _is_copy(groups[hash_]), -len(groups[hash_]), -effort[0], -effort[1], hash_

    return [all_cards_figures.by_span(groups[key]) for key in sorted(groups, key=order)]


def _is_copy(cards: Sequence[Card]) -> bool:
    """The cards are about the copy-memory task."""
    return all(card["protocol"]["name"] == "copy" for card in cards)


def page_of(cards: Sequence[Card], command: str) -> Page:
    """The page of some cards, with its figures drawn.

    Args:
      cards: at least one, each valid.
      command: reproduces the page.
    """
    dates = sorted({card["date"] for card in cards})
    versions = sorted({", ".join(f"{k} {v}" for k, v in c["versions"].items()) for c in cards})
    when = " to ".join(dict.fromkeys([dates[0], dates[-1]]))
    made = f"Measured {when} with {'; '.join(versions)}."
    return Page(TITLE, introduction(by_protocol(cards)), sections_of(cards), made, command)


def introduction(groups: Sequence[Sequence[Card]]) -> list[str]:
    """Explains what a card is, and which of the cards can be compared."""
    main, *others = groups
    protocol = main[0]["protocol"]
    texts = [
        "A memory card says how long a recurrent cell can remember, how fast it learns to, and at "
        "what cost. A protocol fixes everything except the cell: tokens, lags, updates, seeds, and "
        "how learning rates are chosen. Cards can be compared if they have the same protocol, "
        "which each card identifies by its hash.",
        f"{counted(len(main), 'card')} of the protocol {protocol['name']}, version "
        f"{protocol['version']}, can be compared: all tables and figures not marked otherwise are "
        f"about these. The hash of the protocol is {main[0]['protocol_hash']}.",
    ]
    others = [group for group in others if not _is_copy(group)]
    if others:
        named = "; ".join(
            f"{_listed(card_text.names_of(group))} ({card_text.protocol_words(group[0])})"
            for group in others
        )
        texts.append(
            f"{counted(sum(map(len, others)), 'card')} cannot be compared with them, because the "
            f"hash of the protocol differs: {named}. These have a table of their own."
        )
    return texts


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence: a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def sections_of(cards: Sequence[Card]) -> list[Section]:
    """The sections of the page: all cards that can be compared, the others, then card by card."""
    groups = by_protocol(cards)
    ordered = [card for group in groups for card in group]
    names = card_text.names_of(ordered)
    links = dict(zip(map(id, ordered), _links(names), strict=True))
    return [
        _spans(groups[0]),
        _all_numbers(groups[0], links),
        *(_not_comparable(i, group, links) for i, group in enumerate(groups[1:], 2)),
        *_memory(groups[0]),
        *_costs(groups[0]),
        READING,
        *(_card(card, name, links[id(card)]) for card, name in zip(ordered, names, strict=True)),
    ]


def _links(names: Sequence[str]) -> list[str]:
    """A unique section name for each card, which is also the name of its figure."""
    links: list[str] = []
    for name in names:
        link = "card-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "cell")
        links.append(link if link not in links else f"{link}-{len(links)}")
    return links


def _figure(name: str, drawn: Any, alt: str, caption: str) -> Figure:
    return Figure(svg(drawn, name), f"figures/{name}.svg", alt, caption)


def _spans(cards: Sequence[Card]) -> Section:
    """Both spans of every cell."""
    rows = rows_of(cards)
    said = [f"{r['cell'].text}: {r['stream span'].text}, {r['hold span'].text}" for r in rows]
    figure = _figure(
        "spans",
        all_cards_figures.spans_figure(cards),
        f"Stream span and hold span of each cell, in lags: {'; '.join(said)}.",
        "Spans at 99%: a dot is the median over seeds, a bar its interval, and an arrow means at "
        "least. 0 is the baseline: not even one step back.",
    )
    recurrent = [row for row in rows if row["kind"].text == "recurrent"]
    return Section("spans", "How long does each cell remember?", longest(recurrent), figure)


def longest(rows: Rows) -> list[str]:
    """Sentences that name the recurrent cells with the longest spans."""
    sentences = []
    for column in ("stream span", "hold span"):
        known = {row["cell"].text: row[column] for row in rows if row[column].key is not None}
        if len(known) > 1:
            most = max(entry.key for entry in known.values())  # type: ignore[type-var]
            best = [name for name, entry in known.items() if entry.key == most]
            has = "has" if len(best) == 1 else "have"
            span = known[best[0]].text.replace(card_text.AT_LEAST, "at least ")
            lags = "lag" if span == "1" else "lags"
            sentences.append(
                f"Of {len(known)} recurrent cells, {_listed(best)} {has} the longest {column}: "
                f"{span} {lags}."
            )
    return sentences


def _table(rows: Rows, caption: str) -> Table:
    """A sortable table without the columns in which nothing was measured."""
    headings = [
        heading
        for heading in dict.fromkeys(heading for row in rows for heading in row)
        if any(row.get(heading, MISSING) != MISSING for row in rows)
    ]
    entries = [[row.get(heading, MISSING) for heading in headings] for row in rows]
    return Table(caption, headings, entries, sortable=True, descending="stream span")


def _all_numbers(cards: Sequence[Card], links: Mapping[int, str]) -> Section:
    """The table of the cards that can be compared."""
    devices = sorted({card["device"] for card in cards})
    times = f"times are of {devices[0]}"
    if len(devices) > 1:
        times = f"times are of several devices and not comparable: {'; '.join(devices)}"
    protocol = card_text.protocol_words(cards[0])
    caption = f"Protocol {protocol}; updates at lag {common_lag(cards)}; {times}."
    table = _table(rows_of(cards, links), caption)
    meanings = {"cell": CELL_COLUMN} | {head: column.meaning for head, column in COLUMNS.items()}
    meanings = {heading: meanings[heading] for heading in table.headings}
    return Section("table", "All numbers", tables=[table], meanings=meanings)


def _not_comparable(order: int, cards: Sequence[Card], links: Mapping[int, str]) -> Section:
    """The table of the cards of another protocol."""
    pairs = zip(rows_of(cards, links), cards, strict=True)
    rows = [{**row, **_recall_losses(card)} for row, card in pairs]
    if _is_copy(cards):
        table = _table(sorted(rows, key=_hardest_recall), COPY_CAPTION)
        return Section("copy", COPY_HEADING, tables=[table])
    protocol = card_text.protocol_words(cards[0])
    caption = (
        f"Protocol {protocol}; updates at lag {common_lag(cards)}. None of these numbers can be "
        "compared with those of another protocol."
    )
    heading = f"Not comparable: protocol {cards[0]['protocol']['name']}"
    return Section(f"table-{order}", heading, tables=[_table(rows, caption)])


COPY_HEADING = "Copy memory: ten symbols, recalled after T steps"

COPY_CAPTION = (
    "The copy-memory task as published, with a protocol of its own: the loss of a recalled symbol "
    "in nats, after the same number of updates for every cell. Without memory it is ln 8 = 2.079, "
    "where the published losses of a plain LSTM stay (Bai et al. 2018)."
)


def _recall_losses(card: Card) -> dict[str, Entry]:
    """The recall loss of each copy-memory task, in nats a symbol; ln 8 without memory."""
    found = {}
    for line in card["rows"]["copy"] or []:
        recall = line["recall"]
        words = bounds(recall, nats, "infinite")
        entry = Entry(nats(recall["median"]), recall["median"], words)
        found[f"recall, T {line['T']:,}"] = entry
    return found


def _hardest_recall(row: Mapping[str, Entry]) -> float:
    """The loss at the longest T; infinite without one."""
    last = [entry.key for column, entry in row.items() if column.startswith("recall")][-1:]
    return last[0] if last and isinstance(last[0], int | float) else math.inf


def _memory(cards: Sequence[Card]) -> list[Section]:
    """Recalled bits by lag, where they were measured."""
    drawn = all_cards_figures.memory_functions_figure(cards)
    if drawn is None:
        return []
    figure = _figure(
        "memory",
        drawn,
        "Recalled bits of a token against the lag, a line for each cell. Their sums are in the "
        "table, in the column bits.",
        "Recalled bits by lag, medians over seeds. 0 is the baseline, and a whole token the "
        "maximum. The number on a line is that of its cell, the most bits first; grey lines are "
        "controls.",
    )
    return [Section("memory", "How much of each past token is in the state?", figure=figure)]


def _costs(cards: Sequence[Card]) -> list[Section]:
    """Stream span against the time of a step, where both were measured."""
    drawn = all_cards_figures.cost_figure(cards)
    if drawn is None:
        return []
    figure = _figure(
        "cost",
        drawn,
        "Stream span against the microseconds of a step, a point for each cell. Both are columns "
        "of the table.",
        "Stream span at 99% against the time of a step. Cells with the same mark have equally "
        "many bytes of state, and can be compared at equal memory.",
    )
    return [Section("cost", "What does a longer memory cost?", figure=figure)]


READING = Section(
    "reading",
    "How to read a card",
    meanings={
        "Numbers on top": "The spans are lags. Stream: every token of a running stream is handed "
        "back. Hold: one value is kept until it is asked for. Below each span is the interval of "
        "its median over seeds. At least (\u2265) means that nothing beyond was decided: the "
        "ladder of lags ended, or the time was over.",
        "Updates until 99%, by lag": "How fast the cell learns: the Kaplan-Meier median over "
        "seeds, in which seeds that never succeeded count as later than all others. A bar is its "
        "interval, and the dotted line the budget. A hollow mark at never is a median beyond the "
        "budget or beyond the available time.",
        "Recalled bits, by lag": "What one state contains about the token at each lag, from one "
        "network that answers for all lags at once. The sum is a lower bound of what the state "
        "holds.",
        "Linear memory, by lag": "How much of each past token a linear readout of the state "
        "finds, as r\u00b2, for the trained and the untrained cell, with its sum over lags.",
        "Gradient, by steps back": "How strongly the answer depends on the input so many steps "
        "back, relative to the current input, at the first lag that the cell missed. A hollow "
        "mark is exactly 0: nothing can be learned there. The verdict is in the corner.",
    },
)


def _card(card: Card, name: str, link: str) -> Section:
    """The section of one card."""
    sentences = answer(card)
    alt = f"The card of {name}. {' '.join(sentences)}"
    figure = _figure(link, card_figure.card_figure(card), alt, f"The card of {name}.")
    return Section(link, name, sentences, figure, notes=_facts(card))


def _facts(card: Card) -> list[str]:
    """The cell, the protocol, the place and date of a card, and what was not measured."""
    arguments = ", ".join(f"{key} {value}" for key, value in card["cell"]["args"].items())
    cell = card["cell"]["cell"] + (f" with {arguments}" if arguments else "")
    source = card["cell"]["source"]
    texts = [
        f"Cell: {cell}{f', source {source[:8]}' if source else ''}. "
        f"Protocol: {card_text.protocol_words(card)}. Seeds: {len(card['seeds'])}. "
        f"Made on {card['date']}, on {card['device']}. Digest: {card['digest'][:16]}."
    ]
    left_out = [f"{row} ({why})" for row, why in card["not_measured"].items()]
    return texts + [f"Not measured: {'; '.join(left_out)}."] * bool(left_out)


def summary_table(cards: Sequence[Card]) -> str:
    """The short table of the cards that can be compared, in Markdown."""
    main = by_protocol(cards)[0]
    headings = [f"updates, lag {common_lag(main)}" if c == "updates" else c for c in SUMMARY]
    rows = [[row[column] for column in SUMMARY] for row in rows_of(main)]
    return markdown_table(Table("", headings, rows))


def read_folder(folder: Path) -> list[Card]:
    """The cards of a folder, in the order of their file names.

    Raises:
      ConfigError: the folder does not exist or has no cards, or a file in it is no valid card.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: name one that has the NAME.json of cards")
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise ConfigError(f"{folder} has no cards, which are files NAME.json: make one with probe")
    return [card_files.read(path) for path in paths]


def write_page(folder: Path, cards: Sequence[Card]) -> Path:
    """Write the page of some cards into their folder, and return its path.

    Raises:
      StorageError: a file was not generated by this program, or was edited. Nothing is written.
    """
    page = page_of(cards, f"python scripts/probe.py --report {folder}")
    figures = [section.figure for section in page.sections if section.figure]
    texts = {folder / figure.path: figure.svg for figure in figures}
    texts |= {folder / "README.md": markdown_page(page), folder / "index.html": html_page(page)}
    for path in texts:
        atomic_files.check_generated(path)
    card_files.make_folder(folder / "figures")
    for path, text in texts.items():
        atomic_files.write_generated(path, text)
    return folder / "index.html"
