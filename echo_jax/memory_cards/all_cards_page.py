"""One page about all memory cards of a folder: which can be compared, their numbers, each card.

page.html            the page, which needs no other file; its tables can be sorted
README.md            the same in Markdown
figures/NAME.svg     the figures of the Markdown
"""

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import all_cards_figures, card_figure, card_file, card_text
from echo_jax.memory_cards import all_cards_table as table
from echo_jax.memory_cards.card_page import measured_how
from echo_jax.memory_cards.card_text import Card, answer, counted, names_of, protocol_words
from echo_jax.report import paper_tables
from echo_jax.report.html_page import html_page
from echo_jax.report.markdown_page import markdown_page, markdown_table
from echo_jax.report.number_formats import three_digits
from echo_jax.report.page import PROJECT, Figure, Page, Section, Table, computed
from echo_jax.report.styles import NARROW, Format, image, svg


def by_protocol(cards: Sequence[Card]) -> list[list[Card]]:
    """Cards grouped by protocol: the largest group first, copy-memory cards last."""
    groups: dict[str, list[Card]] = {}
    for card in cards:
        groups.setdefault(card["protocol_hash"], []).append(card)

    def order(group: Sequence[Card]) -> tuple[Any, ...]:
        fixed, hash_ = group[0]["protocol"], group[0]["protocol_hash"]
        return _is_copy(group), -len(group), -len(fixed["ladder"]), -fixed["budget"], hash_

    return [all_cards_figures.by_span(group) for group in sorted(groups.values(), key=order)]


def _is_copy(cards: Sequence[Card]) -> bool:
    return all(card["protocol"]["name"] == "copy" for card in cards)


def page_of(cards: Sequence[Card], command: str) -> Page:
    """The page of some valid cards, with its figures drawn, and the command that reproduces it.

    Its sections: all cards that can be compared, the others, then card by card.
    """
    groups = by_protocol(cards)
    ordered = [card for group in groups for card in group]
    names = names_of(ordered)
    links: dict[int, str] = {}
    for card, name in zip(ordered, names, strict=True):
        link = "card-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "cell")
        links[id(card)] = link if link not in links.values() else f"{link}-{len(links)}"
    sections = [
        _spans(groups[0]),
        _all_numbers(groups[0], links),
        *(_not_comparable(i, group, links) for i, group in enumerate(groups[1:], 2)),
        *_curves(groups[0]),
        _cards_heading(ordered),
        *(_card(card, name, links[id(card)]) for card, name in zip(ordered, names, strict=True)),
    ]
    made = computed((card["date"], card["versions"]) for card in cards)
    title = "Memory cards: how long can each cell remember?"
    return Page(title, introduction(groups), sections, made, command, PROJECT)


def introduction(groups: Sequence[Sequence[Card]]) -> list[str]:
    """Explains what a card is, and which of the cards can be compared."""
    main, *others = groups
    protocol = main[0]["protocol"]
    texts = [
        "A memory card says how long a recurrent cell can remember, how fast it learns to, and at "
        "what cost. All of it was measured with echo_jax.",
        "Stream: at every step of a running stream the cell names the token so many steps back, "
        "the lag. Hold: the cell keeps one value over so many distractors until it is asked for "
        "it. The span is the longest lag remembered: there and at every shorter lag tested, "
        "accuracy on fresh data reaches 99%. It is the median over seeds, with its interval; at "
        "least (\u2265) means that no longer lag was decided.",
        "A protocol fixes everything except the cell: tokens, lags, updates, seeds, and how "
        "learning rates are chosen. Cards can be compared if they have the same protocol, which "
        "each card identifies by its hash.",
        f"{counted(len(main), 'card')} of the protocol {protocol['name']}, version "
        f"{protocol['version']}, can be compared: all tables and figures not marked otherwise are "
        f"about these. The hash of the protocol is {main[0]['protocol_hash']}.",
    ]
    others = [group for group in others if not _is_copy(group)]
    if others:
        named = "; ".join(
            f"{_listed(names_of(group))} ({protocol_words(group[0])})" for group in others
        )
        texts.append(
            f"{counted(sum(map(len, others)), 'card')} cannot be compared with them, because the "
            f"hash of the protocol differs: {named}. These have a table of their own."
        )
    return texts


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence: a; a and b; a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _figure(
    name: str, draw: Callable[..., Any], cards: Sequence[Card], alt: str, caption: str
) -> Figure:
    """A figure of all cards, as it is drawn for a page and for a phone."""
    wide, narrow = svg(draw(cards), name), svg(draw(cards, NARROW), f"{name}-narrow")
    return Figure(wide, f"figures/{name}.svg", alt, caption, narrow)


def _spans(cards: Sequence[Card]) -> Section:
    """Both spans of every cell, and sentences that name the recurrent cells with the longest."""
    rows = table.rows_of(cards)
    said = [f"{r['cell'].text}: {r['stream span'].text}, {r['hold span'].text}" for r in rows]
    figure = _figure(
        "spans",
        all_cards_figures.spans_figure,
        cards,
        f"Stream span and hold span of each cell, in lags: {'; '.join(said)}.",
        _apart(rows),
    )
    recurrent, longest = [row for row in rows if row["kind"].text == "recurrent"], []
    for column, does, do, how in (
        ("stream span", "echoes", "echo", "a stream furthest back"),
        ("hold span", "holds", "hold", "one value longest"),
    ):
        known = {r["cell"].text: r[column] for r in recurrent if r[column].key is not None}
        if len(known) > 1:
            most = max(entry.key for entry in known.values())  # type: ignore[type-var]
            best = [name for name, entry in known.items() if entry.key == most]
            span = known[best[0]].text.replace(card_text.AT_LEAST, "at least ")
            verb = does if len(best) == 1 else do
            steps = "step" if span == "1" else "steps"
            longest.append(f"{_listed(best)} {verb} {how} ({span} {steps})")
    answer = f"Of {len(recurrent)} recurrent cells, {'; '.join(longest)}."
    notes = [
        "Spans at 99%: a dot is the median over seeds, a bar its interval, and an arrow means at "
        "least. 0 is the baseline: not even one step back."
    ]
    heading = "How long does each cell remember?"
    return Section("spans", heading, [answer][: len(longest)], figure, notes=notes)


def _apart(rows: table.Rows) -> str:
    """The cell whose two spans differ most."""
    spans: list[tuple[Any, Any]] = [(row["stream span"], row["hold span"]) for row in rows]
    known = {
        i: abs(one.key - two.key)
        for i, (one, two) in enumerate(spans)
        if one.key is not None and two.key is not None
    }
    if not known:
        return ""
    row = rows[max(known, key=known.__getitem__)]
    stream, hold = (
        row[name].text.replace(card_text.AT_LEAST, "at least ")
        for name in ("stream span", "hold span")
    )
    return (
        f"A stream and one value are two abilities: {row['cell'].text} echoes a stream {stream} "
        f"steps back and holds one value over {hold} distractors."
    )


def _all_numbers(cards: Sequence[Card], links: Mapping[int, str]) -> Section:
    """The table of the cards that can be compared."""
    devices = sorted({card["device"] for card in cards})
    times = f"times are of {devices[0]}"
    if len(devices) > 1:
        times = f"times are of several devices and not comparable: {'; '.join(devices)}"
    protocol = protocol_words(cards[0])
    caption = f"Protocol {protocol}; updates at lag {table.common_lag(cards)}; {times}."
    numbers = table.cards_table(table.rows_of(cards, links), caption)
    cell = "The name of the card. Cards that share a name have their digest beside it."
    meanings = {"cell": cell} | {head: table.COLUMNS[head][0] for head in numbers.headings[1:]}
    return Section("table", "All numbers", tables=[numbers], meanings=meanings)


def _not_comparable(order: int, cards: Sequence[Card], links: Mapping[int, str]) -> Section:
    """The table of the cards of another protocol."""
    name, heading = f"table-{order}", f"Not comparable: protocol {cards[0]['protocol']['name']}"
    caption = (
        f"Protocol {protocol_words(cards[0])}; updates at lag {table.common_lag(cards)}. None of "
        "these numbers can be compared with those of another protocol."
    )
    if _is_copy(cards):
        name, heading = "copy", "Copy memory: ten symbols, recalled after T steps"
        caption = (
            "The copy-memory task as published, with a protocol of its own: the loss of a recalled "
            "symbol in nats, after the same number of updates for every cell. Without memory it is "
            "ln 8 = 2.079, where the published losses of a plain LSTM stay (Bai et al. 2018)."
        )
        cards = sorted(cards, key=_hardest_recall)
    pairs = zip(table.rows_of(cards, links), cards, strict=True)
    rows = [{**row, **table.recall_losses(card)} for row, card in pairs]
    return Section(name, heading, tables=[table.cards_table(rows, caption)])


def _hardest_recall(card: Card) -> float:
    """The loss of a recalled symbol at the longest T; infinite without one."""
    loss = card["rows"]["copy"][-1]["recall"]["median"] if card["rows"]["copy"] else None
    return math.inf if loss is None else loss


def _curves(cards: Sequence[Card]) -> list[Section]:
    """Recalled bits by lag, and the span against the time of a step, where they were measured."""
    sections, names = [], card_text.names_of(cards)
    known = {n: c["rows"]["capacity"] for n, c in zip(names, cards, strict=True)}
    known = {name: found for name, found in known.items() if found}
    if known:
        most = max(known, key=lambda name: known[name]["exact"]["median"])
        figure = _figure(
            "memory",
            all_cards_figures.memory_functions_figure,
            cards,
            "Recalled bits of a token by lag, a row of fields for each cell, the most bits on top.",
            _kept(known),
        )
        notes = [
            "Recalled bits by lag, medians over seeds: 0 is the baseline, and a whole token the "
            "maximum. Beside the name is the sum of all lags."
        ]
        said = f"{most} has the most bits about the past in its state: "
        said += f"{three_digits(known[most]['exact']['median'])}."
        heading = "How much of each past token is in the state?"
        by_lag = _by_lag({name: found["by_lag"] for name, found in known.items()})
        sections.append(Section("memory", heading, [said], figure, [by_lag], notes=notes))
    if costs := _costs(cards):
        figure = _figure(
            "cost",
            all_cards_figures.cost_figure,
            cards,
            "Stream span against the microseconds of a step, a point for each cell. Both are "
            "columns of the table.",
            _at_equal_memory(cards),
        )
        notes = [
            "Stream span at 99% against the time of a step. Cells with the same mark have equally "
            "many bytes of state, and can be compared at equal memory."
        ]
        heading = "What does a longer memory cost?"
        sections.append(Section("cost", heading, costs, figure, notes=notes))
    return sections


def _costs(cards: Sequence[Card]) -> list[str]:
    """The recurrent cells with the fastest step and the longest stream span; empty without."""
    step, span = table.STREAMING, "stream span"
    known: list[tuple[Any, Any, Any]] = [
        (row[step].key, row[span].key, row)
        for row in table.rows_of(cards)
        if not (row[span].missing or row[step].missing)
    ]
    if not known:
        return []
    recurrent = [each for each in known if each[2]["kind"].text == "recurrent"]
    known = recurrent or known
    fast, far = min(known, key=lambda each: each[0])[2], max(known, key=lambda each: each[1])[2]
    words = "{} ({} \u00b5s a step, stream span {})"
    of_fast, of_far = (
        words.format(row["cell"].text, row[step].text, row[span].text) for row in (fast, far)
    )
    kind = "recurrent " * bool(recurrent)
    return [f"Of {len(known)} {kind}cells the fastest is {of_fast}; furthest back echoes {of_far}."]


def _kept(known: Mapping[str, Any]) -> str:
    """The cells that keep nearly all of a token at lag 10."""
    lag, kept = 10, []
    for name, found in known.items():
        bits = dict(zip(found["by_lag"]["lags"], found["by_lag"]["median"], strict=True))
        if bits.get(lag, 0) >= 0.9 * max(bits.values()) > 0.5:
            kept.append(name)
    return f"A token {lag} steps back is kept nearly whole by {_listed(kept) if kept else 'none'}."


def _at_equal_memory(cards: Sequence[Card]) -> str:
    """The stream spans of the cells that have the same, most common size of state."""
    spans: dict[str, list[Any]] = {}
    for row in table.rows_of(cards):
        if not row["stream span"].missing:
            spans.setdefault(row["state, bytes"].text, []).append(row["stream span"].key)
    size = max(spans, key=lambda each: len(spans[each]))
    low, high = min(spans[size]), max(spans[size])
    counted_cells = counted(len(spans[size]), "cell")
    return f"With {size} bytes of state, {counted_cells} reach spans of {low:.0f} to {high:.0f}."


def _by_lag(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """The bits of each cell by lag, a row for each lag."""
    columns = [dict(zip(each["lags"], each["median"], strict=True)) for each in found.values()]
    lags = sorted({lag for column in columns for lag in column})
    rows = [[str(lag), *(_bits(column.get(lag)) for column in columns)] for lag in lags]
    return Table("Recalled bits of a token, medians over seeds.", ["lag", *found], rows)


def _bits(value: float | None) -> str:
    return "-" if value is None else three_digits(value)


def _cards_heading(cards: Sequence[Card]) -> Section:
    said = f"{counted(len(cards), 'card')}, each with its numbers and the curves behind them."
    return Section("cards", "Card by card", [said], meanings=READING)


READING = {
    "Numbers on top": "The spans are lags. Stream: every token of a running stream is handed "
    "back. Hold: one value is kept until it is asked for. Below each span is the interval of "
    "its median over seeds. At least (\u2265) means that nothing beyond was decided: no longer "
    "lag was tested, or the time was over.",
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
}
"""What the parts of a card mean."""


def _card(card: Card, name: str, link: str) -> Section:
    """The section of one card, with its conditions, its date and the measures that are missing."""
    sentences = answer(card)
    alt = f"The card of {name}. {' '.join(sentences)}"
    drawn = svg(card_figure.card_figure(card), link)
    figure = Figure(drawn, f"figures/{link}.svg", alt, f"The card of {name}.")
    panels = [
        Figure(svg(panel, f"{link}-{part}"), "", f"{title}, of {name}; tables have it too.", title)
        for part, (title, _) in card_figure.PANELS.items()
        if (panel := card_figure.panel_figure(card, part))
    ]
    rows = [[word or "-" for word in line] for line in card_text.big_numbers(card)]
    tables = [Table(f"The numbers of {name}.", ["measure", "median", "more"], rows)]
    made = f"{measured_how(card)} Made on {card['date']}. Digest: {card['digest'][:16]}."
    left_out = "; ".join(f"{row} ({why})" for row, why in card["not_measured"].items())
    notes = [made] + [f"Not measured: {left_out}."] * bool(left_out)
    return Section(link, name, sentences, figure, tables, notes=notes, folded=True, panels=panels)


def summary_table(cards: Sequence[Card]) -> str:
    """The short table of the cards that can be compared, in Markdown."""
    main = by_protocol(cards)[0]
    columns = (
        "cell",
        "stream span",
        "hold span",
        "bits",
        "updates",
        "state, bytes",
        table.TRAINING,
    )
    headings = [f"updates, lag {table.common_lag(main)}" if c == "updates" else c for c in columns]
    rows = [[row[column] for column in columns] for row in table.rows_of(main)]
    return markdown_table(Table("", headings, rows))


def read_folder(folder: Path) -> list[Card]:
    """The cards of a folder, in the order of their file names.

    Raises:
      ConfigError: the folder does not exist or has no cards, or a file in it is no valid card.
    """
    if not (folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)):
        raise ConfigError(
            f"{folder} is no folder that can be read: name one that has the NAME.json of cards"
        )
    paths = sorted(folder.glob("*.json"))
    if not paths:
        raise ConfigError(f"{folder} has no cards, which are files NAME.json: make one with probe")
    return [card_file.read(path) for path in paths]


def write_page(folder: Path, cards: Sequence[Card]) -> Path:
    """Write the page of some cards into their folder, and return its path.

    Raises:
      StorageError: a file was not generated by this program, or was edited. Nothing is written.
    """
    page = page_of(cards, f"echo-jax probe --report {folder}")
    figures = [section.figure for section in page.sections if section.figure]
    texts = {folder / figure.path: figure.svg for figure in figures}
    texts |= {folder / "README.md": markdown_page(page), folder / "page.html": html_page(page)}
    for path in texts:
        atomic_files.check_generated(path)
    atomic_files.check_no_link(folder / "figures")
    card_file.make_folder(folder / "figures")
    for path, text in texts.items():
        atomic_files.write_generated(path, text)
    atomic_files.remove_generated(folder / "index.html")  # its name before
    return folder / "page.html"


def write_for_paper(
    folder: Path, cards: Sequence[Card], kind: Format, tables: Sequence[paper_tables.Kind]
) -> list[Path]:
    """Write figures/NAME.KIND of the figures of all cards, and tables/NAME.csv or .tex.

    StorageError for a file in their place that is not as it was written.

    Returns:
      The files that were written.
    """
    written, main = [], by_protocol(cards)[0]
    for name, draw in FIGURES.items():
        if kind != "svg" and (drawn := draw(main)):
            written.append(folder / "figures" / f"{name}.{kind}")
            atomic_files.write_own(written[-1], image(drawn, kind))
    if tables:
        sections = [section for section in tables_of(cards) if section.tables]
        texts = paper_tables.files(sections, tables)
        written += atomic_files.write_own_folder(folder / "tables", texts)
    return written


def tables_of(cards: Sequence[Card]) -> list[Section]:
    """The sections with tables of all cards, without their figures."""
    main, *others = by_protocol(cards)
    rest = [_not_comparable(i, group, {}) for i, group in enumerate(others, 2)]
    return [_all_numbers(main, {}), *rest]


FIGURES: Mapping[str, Callable[[Sequence[Card]], Any]] = {
    "spans": all_cards_figures.spans_figure,
    "memory": all_cards_figures.memory_functions_figure,
    "cost": all_cards_figures.cost_figure,
}
"""The figures of all cards that can be compared, by the names of their files."""
