"""Memory cards side by side: a page that can be sorted and needs no network, and as Markdown.

index.html           all cards of a folder on one page, which needs no other file
README.md            the same in Markdown, with the figures
figures/NAME.svg     the figures of both
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import card_figures, card_text
from echo_jax.memory_cards import card_file as card_files
from echo_jax.memory_cards.card_text import (
    NOT_MEASURED,
    Card,
    answer,
    bounds,
    brief,
    kind_of,
    nats,
    reach,
    span_bounds,
    span_words,
)
from echo_jax.report import figures, page
from echo_jax.report.number_formats import three_digits
from echo_jax.report.page import escaped, plain

TITLE = "Memory cards: how long can each cell remember?"

LAG = 8
"""Of the column that compares how fast cells learn."""

STYLE = """\
.cards { width: max-content; font-size: 0.875rem;
  max-width: calc(100vw - 2.5rem - max(0px, 50vw - 34rem)); }
.cards table { line-height: 1.25rem; }
.cards th, .cards td { padding: 0.4375rem 0.625rem 0.4375rem 0; }
.cards tbody th { white-space: nowrap; }
.cards small { display: block; color: var(--quiet); font-size: 0.8125rem; white-space: nowrap; }
.cards .unknown { color: var(--quiet); }
.cards thead button { margin: 0; padding: 0; border: 0; background: #ffffff; color: var(--ink);
  font: inherit; text-align: inherit; cursor: pointer; text-decoration: underline dotted;
  text-underline-offset: 0.2em; }
.cards thead button:hover { color: var(--link); }
[aria-sort=ascending] button::after { content: " \\25b2"; }
[aria-sort=descending] button::after { content: " \\25bc"; }
.card figure { max-width: 62rem; }
.card figure svg { min-width: 52rem; }
dl { max-width: 44rem; margin: 0; }
h2 + dl, figure + p { margin-top: 1.25rem; }
dt { font-weight: 600; }
dd { margin: 0 0 0.75rem; }
@media (min-width: 60rem) { #contents ol { columns: 2; } }
@media print { .card figure svg { min-width: 0; } }
"""

SCRIPT = """\
for (const table of document.querySelectorAll(".cards table")) {
  const headings = [...table.tHead.rows[0].cells];
  const compare = (one, other, sign) => {
    if (one === undefined || other === undefined) {
      return (one === undefined) - (other === undefined);
    }
    return sign * (isNaN(one) || isNaN(other) ? one.localeCompare(other) : one - other);
  };
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const order = heading.ariaSort === "ascending" ? "descending" : "ascending";
      headings.forEach(other => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      const key = row => row.cells[column].dataset.key;
      const sign = order === "ascending" ? 1 : -1;
      const rows = [...table.tBodies[0].rows];
      rows.sort((one, other) => compare(key(one), key(other), sign));
      table.tBodies[0].append(...rows);
    });
  });
}
"""
"""Makes a heading a button that sorts by its column; what has no key stays below."""


class Cell(NamedTuple):
    """What a table says of a card in one place.

    Args:
      text: to be read.
      key: to sort by, a number or words; None stands below all others, whatever the order.
      beside: how sure the text is.
      link: the name of the section that the text leads to.
    """

    text: str
    key: float | str | None
    beside: str = ""
    link: str = ""


TRAINING, STREAMING = "training, \u00b5s, batch 16", "streaming, \u00b5s, batch 1"
"""The columns of times."""

UNKNOWN = Cell(NOT_MEASURED, None)

COLUMNS = {
    "cell": "the name of the card; where two have one name, what differs in their arguments",
    "kind": "recurrent; a reference, which is not recurrent and sees a window of the past; or a "
    "control, whose answer is known before it is measured",
    "stream span": "how many steps back is the token that it can still hand back, at every step of "
    "a running stream: the longest unbroken run of lags at which accuracy on fresh data reaches "
    "99%. The median over seeds, with its interval",
    "at 60%": "the same where 60% is enough",
    "hold span": "the same at 99% for one value that it must hold, over so many distractors, until "
    "it is asked",
    "bits": "recalled bits about all past tokens in one state, from one network with an answer for "
    "each lag",
    "linear capacity": "the sum over lags of the r\u00b2 of a linear readout of the trained state, "
    "less that of shuffled targets: at most the numbers in the state",
    "updates": "until 99% at this lag, the median over seeds; > is beyond the budget, and not run "
    "a lag beyond the end of its ladder",
    "at 100 times": "accuracy on streams 100 times longer than it was trained on, at a lag within "
    "its span",
    "limit": "why its stream span ends: it could not hold the value, or could hold it and did not "
    "learn to; undetermined where neither was shown",
    "parameters": "numbers that are trained, the readout among them",
    "state, bytes": "what it carries from step to step, of one stream",
    TRAINING: "a step of 16 streams at once, in training, as all cards are trained",
    STREAMING: "a step of one stream, a token at a time",
}
"""The columns of the table, and what each means."""

COPY_HEADING = "Copy memory: ten symbols, recalled after T steps"

COPY_CAPTION = (
    "The copy-memory task as published, by a protocol of its own: the loss of a recalled symbol in "
    "nats, after the same number of updates for every cell. Without memory it is ln 8 = 2.079, and "
    "there the figures published for a plain LSTM stay (Bai et al. 2018)."
)

SUMMARY = (
    "cell",
    "stream span",
    "hold span",
    "bits",
    "updates",
    "state, bytes",
    TRAINING,
)
"""The columns of the short table."""

SORTED = ' aria-sort="descending"'
"""Of the heading by which a table is sorted as it stands."""

WORDS = ("cell", "kind", "limit")
"""Columns that hold no numbers."""


class Part(NamedTuple):
    """A section of the page. Every text is plain, with no markup.

    Args:
      name: what a link to it ends with, and of its figure: letters, digits, `-` and `_`.
      heading: of the section.
      answer: the sentences to be read first.
      drawing: an `<svg>` element; empty where there is none.
      alt: what it shows, for those who do not see it.
      caption: of the figure.
      table: a row a card, each as `cells_of` gives it; empty where there is none.
      table_caption: of the table.
      meanings: words and what they mean.
      notes: paragraphs below all that.
    """

    name: str
    heading: str
    answer: Sequence[str] = ()
    drawing: str = ""
    alt: str = ""
    caption: str = ""
    table: Sequence[Mapping[str, Cell]] = ()
    table_caption: str = ""
    meanings: Mapping[str, str] = {}
    notes: Sequence[str] = ()


def cells_of(card: Card, name: str, lag: int) -> dict[str, Cell]:
    """What the table says of a card, by the names of COLUMNS.

    Args:
      card: is there.
      name: that it has among the others.
      lag: of the updates.
    """
    rows = card["rows"]
    price = rows["price"] or {"train": {}, "stream": {}}
    return {
        "cell": Cell(name, name),
        "kind": Cell(kind_of(card), kind_of(card)),
        "stream span": _span(rows["stream_span"], "0.99"),
        "at 60%": _span(rows["stream_span"], "0.6")._replace(beside=""),
        "hold span": _span(rows["hold_span"], "0.99"),
        "bits": _estimate(rows["capacity"] and rows["capacity"]["exact"]),
        "linear capacity": _estimate(rows["linear"] and rows["linear"]["trained"]),
        "updates": _updates(rows["learning"], lag, card["protocol"]["budget"]),
        "at 100 times": _beyond(rows["beyond"]),
        "limit": _limit(rows["cause"]),
        "parameters": _number(price.get("parameters")),
        "state, bytes": _number(price.get("state_bytes")),
        TRAINING: _number(price["train"].get("16")),
        STREAMING: _number(price["stream"].get("1")),
    }


def _number(value: float | None) -> Cell:
    return UNKNOWN if value is None else Cell(three_digits(value), value)


def _span(span: Mapping[str, Any] | None, threshold: str) -> Cell:
    """A span; a lower bound is a little more than its number."""
    if not span or threshold not in span:
        return UNKNOWN
    known = span[threshold]
    found = reach(known)
    key = found.median + 0.1 * found.at_least
    return Cell(brief(span_words(known)), key, brief(span_bounds(known)))


def _estimate(found: Mapping[str, Any] | None) -> Cell:
    if not found or found["median"] is None:
        return UNKNOWN
    return Cell(three_digits(found["median"]), found["median"], bounds(found, three_digits))


def _updates(learning: Mapping[str, Any] | None, lag: int, budget: int) -> Cell:
    """The median updates at a lag of the stream; what is beyond the budget sorts below."""
    lines = (learning or {}).get("stream") or []
    line = next((line for line in lines if line["lag"] == lag), None)
    if line is None:
        return Cell("not run", None) if lines else UNKNOWN
    return Cell(f"> {budget:,}", None) if line["median"] is None else _number(line["median"])


def _beyond(beyond: Mapping[str, Any] | None) -> Cell:
    if not beyond or 100 not in beyond["times"]:
        return UNKNOWN
    median = beyond["accuracy"][beyond["times"].index(100)]["median"]
    return UNKNOWN if median is None else Cell(f"{100 * median:.1f}%", median)


def _limit(cause: Mapping[str, Any] | None) -> Cell:
    """The verdict, and the lag that it is about."""
    if not cause:
        return UNKNOWN
    lag = three_digits(cause["lag"])
    about = {"no limit found": "", "undetermined": f" at lag {lag}"}
    words = cause["verdict"] + about.get(cause["verdict"], f" lag {lag}")
    return Cell(words, words)


def common_lag(cards: Sequence[Card]) -> int:
    """LAG where at least half of the cards were trained on it, else the longest that all were."""
    learned = [(card["rows"]["learning"] or {}).get("stream") or [] for card in cards]
    lags = [{line["lag"] for line in lines} for lines in learned if lines]
    if not lags or 2 * sum(LAG in each for each in lags) >= len(lags):
        return LAG
    return max(set.intersection(*lags), default=LAG)


def by_protocol(cards: Sequence[Card]) -> list[list[Card]]:
    """The cards of each protocol, which alone can be compared: the most cards first."""
    groups: dict[str, list[Card]] = {}
    for card in cards:
        groups.setdefault(card["protocol_hash"], []).append(card)
    order = sorted(
        groups,
        key=lambda key: (_is_copy(groups[key]), -len(groups[key]), _effort(groups[key][0]), key),
    )
    return [card_figures.by_span(groups[key]) for key in order]


def _is_copy(cards: Sequence[Card]) -> bool:
    """Whether the cards are of the copy-memory task, and of nothing else."""
    return all(card["protocol"]["name"] == "copy" for card in cards)


def _effort(card: Card) -> tuple[int, int]:
    """Less for a protocol that has more lags and more updates."""
    return -len(card["protocol"]["ladder"]), -card["protocol"]["budget"]


def introduction(groups: Sequence[Sequence[Card]]) -> list[str]:
    """What a card is, and which of them can be compared."""
    main, *others = groups
    others = [group for group in others if not _is_copy(group)]
    texts = [
        "A memory card says how long a recurrent cell can remember, how fast it learns to, and at "
        "what price. A protocol fixes everything but the cell: tokens, lags, updates, seeds, and "
        "how learning rates are chosen. So cards of one protocol can be compared, and its hash, "
        "which every card has in it, says which these are.",
        f"{_counted(len(main), 'card')} of the protocol {_protocol(main[0])} can be compared: "
        f"all tables and figures but those marked otherwise are of these. Its hash is "
        f"{main[0]['protocol_hash']}.",
    ]
    if others:
        named = "; ".join(
            f"{_listed(card_text.names_of(group))} ({card_text.protocol_words(group[0])})"
            for group in others
        )
        count = _counted(sum(map(len, others)), "card")
        texts.append(
            f"{count} here cannot be compared with them, for the hash of the protocol is another: "
            f"{named}. They have a table of their own."
        )
    return texts


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _protocol(card: Card) -> str:
    return f"{card['protocol']['name']}, version {card['protocol']['version']},"


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence: a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def parts_of(cards: Sequence[Card]) -> list[Part]:
    """The sections of the page, each with its figure drawn.

    Args:
      cards: at least one, valid.
    """
    groups = by_protocol(cards)
    ordered = [card for group in groups for card in group]
    names = card_text.names_of(ordered)
    links = dict(zip(map(id, ordered), _links(names), strict=True))
    parts = [_spans_part(groups[0]), _table_part(groups[0], links)]
    parts += [_other_part(i, group, links) for i, group in enumerate(groups[1:], 2)]
    parts += [*_memory_part(groups[0]), *_cost_part(groups[0]), READING]
    pairs = zip(ordered, names, strict=True)
    return parts + [_card_part(card, name, links[id(card)]) for card, name in pairs]


def _links(names: Sequence[str]) -> list[str]:
    """What links to cards and the files of their figures are named: no two alike."""
    links: list[str] = []
    for name in names:
        link = "card-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "cell")
        links.append(link if link not in links else f"{link}-{len(links)}")
    return links


def _spans_part(cards: Sequence[Card]) -> Part:
    names = card_text.names_of(cards)
    cells = [cells_of(card, name, LAG) for card, name in zip(cards, names, strict=True)]
    said = [f"{c['cell'].text}: {c['stream span'].text}, {c['hold span'].text}" for c in cells]
    return Part(
        "spans",
        "How long does each cell remember?",
        _longest([c for c in cells if c["kind"].text == "recurrent"]),
        figures.svg(card_figures.spans_figure(cards), "spans"),
        f"Stream span and hold span of each cell, in lags: {'; '.join(said)}.",
        "Spans at 99%: a dot is the median over seeds, a bar its interval, and an arrow says at "
        "least. 0 is the floor: not even one step back.",
    )


def _longest(cells: Sequence[Mapping[str, Cell]]) -> list[str]:
    """Which recurrent cell goes furthest, on either task."""
    sentences = []
    for column in ("stream span", "hold span"):
        known = [cell for cell in cells if cell[column].key is not None]
        if len(known) > 1:
            most = max(cell[column].key for cell in known)  # type: ignore[type-var]
            best = [cell for cell in known if cell[column].key == most]
            has = "has" if len(best) == 1 else "have"
            named = _listed([cell["cell"].text for cell in best])
            span = best[0][column].text.replace(card_text.AT_LEAST, "at least ")
            lags = "lag" if span == "1" else "lags"
            sentences.append(
                f"Of {len(known)} recurrent cells, {named} {has} the longest {column}: {span} "
                f"{lags}."
            )
    return sentences


def _rows(cards: Sequence[Card], lag: int, links: Mapping[int, str]) -> list[dict[str, Cell]]:
    """A row a card, whose name leads to its section: `links` by the identity of the card."""
    rows = []
    for card, name in zip(cards, card_text.names_of(cards), strict=True):
        row = cells_of(card, name, lag)
        rows.append(row | {"cell": row["cell"]._replace(link=links[id(card)])})
    return rows


def _table_part(cards: Sequence[Card], links: Mapping[int, str]) -> Part:
    lag = common_lag(cards)
    rows = _measured(_rows(cards, lag, links))
    devices = sorted({card["device"] for card in cards})
    times = f"times are of {devices[0]}"
    if len(devices) > 1:
        times = f"times are of several devices and not comparable: {'; '.join(devices)}"
    return Part(
        "table",
        "All numbers",
        table=rows,
        table_caption=f"Protocol {card_text.protocol_words(cards[0])}; updates at lag {lag}; "
        f"{times}.",
        meanings={column: COLUMNS[column] for column in rows[0]},
    )


def _other_part(order: int, cards: Sequence[Card], links: Mapping[int, str]) -> Part:
    lag = common_lag(cards)
    rows = [
        row | _recalled(card) for row, card in zip(_rows(cards, lag, links), cards, strict=True)
    ]
    if _is_copy(cards):
        rows = sorted(_measured(rows), key=_hardest_recall)
        return Part("copy", COPY_HEADING, table=rows, table_caption=COPY_CAPTION)
    return Part(
        f"table-{order}",
        f"Not comparable with these: protocol {cards[0]['protocol']['name']}",
        table=_measured(rows),
        table_caption=f"Protocol {card_text.protocol_words(cards[0])}; updates at lag {lag}. "
        "None of these numbers can be compared with those of another protocol.",
    )


def _recalled(card: Card) -> dict[str, Cell]:
    """The recall loss of each copy-memory task, in nats a symbol; ln 8 is no memory."""
    found = {}
    for line in card["rows"]["copy"] or []:
        recall = line["recall"]
        words = bounds(recall, nats, "infinite")
        cell = Cell(nats(recall["median"]), recall["median"], words)
        found[f"recall, T {line['T']:,}"] = cell
    return found


def _hardest_recall(row: Mapping[str, Cell]) -> float:
    """The loss at the longest T; what has none comes last."""
    last = [cell.key for column, cell in row.items() if column.startswith("recall")][-1:]
    return last[0] if last and isinstance(last[0], int | float) else math.inf


def _measured(rows: Sequence[dict[str, Cell]]) -> list[dict[str, Cell]]:
    """Rows without the columns in which there is nothing."""
    columns = dict.fromkeys(column for row in rows for column in row)
    known = [c for c in columns if any(row.get(c, UNKNOWN) != UNKNOWN for row in rows)]
    return [{column: row.get(column, UNKNOWN) for column in known} for row in rows]


def _memory_part(cards: Sequence[Card]) -> list[Part]:
    figure = card_figures.memory_functions_figure(cards)
    if figure is None:
        return []
    part = Part(
        "memory",
        "How much of each past token is in the state?",
        drawing=figures.svg(figure, "memory"),
        alt="Recalled bits of a token against the lag, a line for each cell: their sums are in the "
        "table, in the column bits.",
        caption="Recalled bits by lag, medians over seeds. 0 is the floor, and a whole token the "
        "most that there is. The number on a line is that of its cell, the most bits first; grey "
        "lines are controls.",
    )
    return [part]


def _cost_part(cards: Sequence[Card]) -> list[Part]:
    figure = card_figures.cost_figure(cards)
    if figure is None:
        return []
    part = Part(
        "cost",
        "What does a longer memory cost?",
        drawing=figures.svg(figure, "cost"),
        alt="Stream span against the microseconds of a step, a point for each cell: both are "
        "columns of the table.",
        caption="Stream span at 99% against the time of a step. Cells with the same mark have "
        "equally many bytes of state, and can be compared at equal memory.",
    )
    return [part]


READING = Part(
    "reading",
    "How to read a card",
    meanings={
        "Numbers on top": "The spans are lags: stream is handing back every token of a running "
        "stream, hold is one value kept until it is asked. Below each is the interval of its "
        "median over seeds. At least (\u2265) means that nothing beyond was decided: the ladder "
        "of lags ended, or there was no more time.",
        "Updates until 99%, by lag": "How fast it learns: the Kaplan-Meier median over seeds, "
        "where those that never arrived count as later than all others. A bar is its interval, "
        "the dotted line the budget, and a hollow mark at never a median that is beyond it, or "
        "beyond the time that there was.",
        "Recalled bits, by lag": "What one state knows of the token at each lag, from one network "
        "that answers for all lags at once. Their sum is a lower bound of what the state holds.",
        "Linear memory, by lag": "How much of each past token a linear readout of the state "
        "finds, r\u00b2, of the trained and of the untrained cell, with its sum over lags.",
        "Gradient, by steps back": "How strongly the answer depends on the input so many steps "
        "back, relative to that just now, at the first lag that it missed. Exactly 0 is a hollow "
        "mark: nothing can be learned there. In the corner is the verdict.",
    },
)


def _card_part(card: Card, name: str, slug: str) -> Part:
    sentences = answer(card)
    return Part(
        slug,
        name,
        sentences,
        figures.svg(card_figures.card_figure(card), slug),
        f"The card of {name}. {' '.join(sentences)}",
        f"The card of {name}.",
        notes=_facts(card),
    )


def _facts(card: Card) -> list[str]:
    """What the card is of, what was left out, and when and where it was made."""
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


def report_page(cards: Sequence[Card], command: str, parts: Sequence[Part] = ()) -> str:
    """A page over many cards as HTML 5: it needs no other file, and sorts where scripts may run.

    Args:
      cards: at least one, valid.
      command: what makes the page again.
      parts: its sections, where they are drawn already.
    """
    parts = parts or parts_of(cards)
    numbers = {part.name: i for i, part in enumerate((p for p in parts if p.drawing), 1)}
    sections = "\n".join(_section(part, numbers.get(part.name, 0)) for part in parts)
    body = f"""\
<a class="skip" href="#all-cards">To the cards</a>
<header>
<h1>{escaped(TITLE)}</h1>
{page.paragraphs(introduction(by_protocol(cards)))}
<nav id="contents" aria-label="Contents">
{page.link_list({part.name: part.heading for part in parts})}
</nav>
</header>
<main id="all-cards" tabindex="-1">
{sections}
</main>
<footer>
<p>{escaped(_made(cards))} This makes the page again:</p>
{page.command_block(command, "Command that makes the page")}
</footer>"""
    return page.document(TITLE, body, STYLE, SCRIPT)


def _made(cards: Sequence[Card]) -> str:
    """When the cards were made, and with what."""
    dates = sorted({card["date"] for card in cards})
    versions = sorted({", ".join(f"{k} {v}" for k, v in c["versions"].items()) for c in cards})
    return f"Measured {' to '.join(sorted({dates[0], dates[-1]}))} with {'; '.join(versions)}."


def _section(part: Part, number_: int) -> str:
    """A section as HTML; its figure has a number on the page."""
    name = escaped(part.name)
    content = [f'<h2 id="{name}">{escaped(part.heading)}</h2>']
    if part.answer:
        answer = page.paragraphs(part.answer)
        content.append(f'<div class="answer">\n<h3>Answer</h3>\n{answer}\n</div>')
    if part.drawing:
        content.append(page.figure_block(number_, part.drawing, part.alt, part.caption).strip())
    if part.table:
        content.append(_table(part))
    if part.meanings:
        terms = (
            f"<dt>{escaped(word)}</dt>\n<dd>{escaped(_sentence(says))}</dd>"
            for word, says in part.meanings.items()
        )
        heading = "<h3>The columns</h3>\n" if part.table else ""
        content.append(f"{heading}<dl>\n" + "\n".join(terms) + "\n</dl>")
    content += [page.paragraphs([note]) for note in part.notes]
    content.append('<p class="back"><a href="#contents">Contents</a></p>')
    kind = "card" if part.name.startswith("card-") else "all"
    return (
        f'<section class="{kind}" aria-labelledby="{name}">\n' + "\n".join(content) + "\n</section>"
    )


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:].rstrip('.')}."


def _table(part: Part) -> str:
    """The cards as a table that is sorted as it stands, and by its headings where scripts may."""
    headings = "".join(
        f'<th scope="col" class="{_aligned(column)}"{SORTED * (column == "stream span")}>'
        f"{escaped(column)}</th>"
        for column in part.table[0]
    )
    rows = "\n".join(
        f"<tr>{''.join(_cell(column, cell) for column, cell in row.items())}</tr>"
        for row in part.table
    )
    content = f"""\
<table>
<caption>{escaped(part.table_caption)} A heading sorts by its column.</caption>
<thead>
<tr>{headings}</tr>
</thead>
<tbody>
{rows}
</tbody>
</table>"""
    return f'<div class="table cards">\n{page.scrolled(content, part.heading)}\n</div>'


def _aligned(column: str) -> str:
    return "words" if column in WORDS else "number"


def _cell(column: str, cell: Cell) -> str:
    """A cell of the table; the first of a row heads it."""
    key = "" if cell.key is None else f' data-key="{escaped(str(cell.key))}"'
    kind = _aligned(column) + " unknown" * (cell == UNKNOWN)
    beside = f"<small>{escaped(cell.beside)}</small>" if cell.beside else ""
    text = escaped(cell.text)
    text = f'<a href="#{escaped(cell.link)}">{text}</a>' if cell.link else text
    tag, scope = ("th", ' scope="row"') if column == "cell" else ("td", "")
    return f'<{tag}{scope} class="{kind}"{key}>{text}{beside}</{tag}>'


def markdown_report(cards: Sequence[Card], command: str, parts: Sequence[Part] = ()) -> str:
    """The same page in GitHub's Markdown, whose figures are files in `figures/`."""
    parts = parts or parts_of(cards)
    texts = [f"# {plain(TITLE)}", *map(plain, introduction(by_protocol(cards)))]
    texts.append("\n".join(f"- [{plain(part.heading)}](#{part.name})" for part in parts))
    for part in parts:
        texts += _markdown_part(part)
    made = plain(f"{_made(cards)} This makes it again:")
    return "\n\n".join([*texts, "---", made, page.fenced(command)]) + "\n"


def _markdown_part(part: Part) -> list[str]:
    """The paragraphs of a section; its name is the target of links to it."""
    texts = [f'<a id="{part.name}"></a>', f"## {plain(part.heading)}"]
    texts += [f"> {plain(' '.join(part.answer))}"] * bool(part.answer)
    if part.drawing:
        texts += [f"![{plain(part.alt)}](<figures/{part.name}.svg>)", plain(part.caption)]
    if part.table:
        rows = [[_with_interval(cell) for cell in row.values()] for row in part.table]
        table = page.Table(part.table_caption, list(part.table[0]), rows)
        texts += [plain(part.table_caption), page.markdown_table(table)]
    meanings = [
        f"- **{plain(word)}**: {plain(_sentence(says))}" for word, says in part.meanings.items()
    ]
    texts += ["\n".join(meanings)] * bool(meanings)
    return texts + [plain(note) for note in part.notes]


def markdown_summary(cards: Sequence[Card]) -> str:
    """The columns of `SUMMARY` of the cards that can be compared, as Markdown."""
    main = by_protocol(cards)[0]
    lag = common_lag(main)
    rows = [
        cells_of(card, name, lag) for card, name in zip(main, card_text.names_of(main), strict=True)
    ]
    texts = [[_with_interval(row[column]) for column in SUMMARY] for row in rows]
    headings = [f"updates, lag {lag}" if c == "updates" else c for c in SUMMARY]
    return page.markdown_table(page.Table("", headings, texts))


def _with_interval(cell: Cell) -> str:
    return f"{cell.text} ({cell.beside})" if cell.beside else cell.text


def read_folder(folder: Path) -> list[Card]:
    """The cards of a folder, by the names of their files.

    ConfigError, one sentence, where there is none, or a file is no card that can be believed.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder: name one that has the NAME.json of cards")
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise ConfigError(
            f"{folder} has no cards, which are files NAME.json: make one with scripts/probe.py"
        )
    return [card_files.read(path) for path in paths]


def write_report(folder: Path) -> list[Path]:
    """Write the page of the cards in a folder, its Markdown and its figures; return their paths.

    ConfigError where a card is bad or there is none, and where a file is not as it was generated:
    then nothing is written.
    """
    cards = read_folder(folder)
    parts = parts_of(cards)
    command = f"python scripts/probe.py --report {folder}"
    texts = {
        folder / "figures" / f"{part.name}.svg": part.drawing for part in parts if part.drawing
    }
    texts[folder / "index.html"] = report_page(cards, command, parts)
    texts[folder / "README.md"] = markdown_report(cards, command, parts)
    for path in texts:
        atomic_files.check_generated(path)
    card_files.make_folder(folder / "figures")
    for path, text in texts.items():
        atomic_files.write_generated(path, text)
    return list(texts)
