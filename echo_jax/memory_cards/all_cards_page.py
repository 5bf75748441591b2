"""One page about all memory cards of a folder: each track, what they say together, each card.

README.md            the page, in Markdown
figures/NAME.svg     its figures
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import (
    all_cards_figures,
    beside_built_in,
    card_figure,
    card_file,
    card_text,
)
from echo_jax.memory_cards import all_cards_findings as together
from echo_jax.memory_cards import all_cards_table as table
from echo_jax.memory_cards.all_cards_table import Sorted
from echo_jax.memory_cards.card_page import command_of, measured_how, remarks_of
from echo_jax.memory_cards.card_text import Card, answer, counted, listed, names_of, protocol_words
from echo_jax.report import paper_tables
from echo_jax.report.markdown_page import markdown_page, markdown_table
from echo_jax.report.page import Figure, Page, Section, Table, computed
from echo_jax.report.styles import Format, image, svg

OLD_FOLDER = "protocol-1"
"""The folder of cards of protocol 1 in a folder of cards."""


def page_of(cards: Sequence[Card], command: str) -> Page:
    """The page of some valid cards, with its figures drawn, and the command that reproduces it.

    ConfigError if all of them are of protocol 1.
    """
    found = table.sort_out(cards)
    shown = found.shown
    if not shown:
        raise ConfigError("all cards are of protocol 1, which has no page: make one with probe")
    names, links = names_of(shown), _links(shown)
    known = f"{counted(len(shown), 'card')}, each with its numbers and curves."
    sections = [
        *_findings(found),
        *_track(found, "block", "How far does each cell go in the block?"),
        *_recall(found),
        *_track(found, "cell", "How far does each bare cell go?"),
        *_literature(found),
        *_apart(found),
        Section("cards", "Card by card", [known]),
        *(_card(card, name, links[id(card)]) for card, name in zip(shown, names, strict=True)),
    ]
    title = f"What small cells learn to remember in {shown[0]['protocol']['budget']:,} updates"
    made = computed((card["date"], card["versions"]) for card in shown)
    return Page(title, introduction(found), sections, made, command)


def _links(cards: Sequence[Card]) -> dict[int, str]:
    """A different name for the section of each card."""
    links: dict[int, str] = {}
    for card, name in zip(cards, names_of(cards), strict=True):
        link = "card-" + (re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "cell")
        links[id(card)] = link if link not in links.values() else f"{link}-{len(links)}"
    return links


def introduction(found: Sorted) -> list[str]:
    """Explains what was measured, which cards can be compared, and which are left out."""
    texts = [
        "A memory card says how far a small recurrent network learns to remember, from its initial "
        "weights and within a fixed number of updates. All of it was measured with echo_jax.",
        "There are four ways to ask for an echo. By lag: at every step the token so many steps "
        "back. On demand: one value, after so many distractors. What was marked: the marked tokens "
        "among many, said at the end. By key: the value of each of so many keys.",
        "The numbers are geometric mean spans over the seeds, with 95% intervals: to how many "
        "steps, distractors, tokens or keys a seed climbs. At least (\u2265): a seed missed "
        "nothing before the ladder or the time ended. Two cells are called different only where "
        "their intervals do not overlap.",
        "The block track measures cells in a fixed block, as authors use and compare them; the "
        "cell track bare cells. They never stand in one ranking, nor do cards of different "
        "protocols, which each card identifies by a hash.",
    ]
    if found.others:
        words = [f"{listed(names_of(of))} ({protocol_words(of[0])})" for of in found.others]
        texts.append(f"Not comparable, and in tables of their own: {'; '.join(words)}.")
    if found.protocol_1:
        texts.append(
            f"Left out: {counted(len(found.protocol_1), 'card')} of protocol 1, here and in the "
            f"folder {OLD_FOLDER}. They cannot be compared with these cards."
        )
    return texts


def _findings(found: Sorted) -> list[Section]:
    """The findings, with the command of the card that shows each; nothing without any."""
    rows = together.findings(found)
    of_all = Table("Each with its intervals.", ["finding", "command of its card"], rows)
    return [Section("findings", "What do the cards say together?", tables=[of_all])][: len(rows)]


def _track(found: Sorted, track: str, heading: str) -> list[Section]:
    """The curves of a track, who goes furthest, and its tables; nothing without cards."""
    if not (cards := found.main(track)):
        return []
    said, tables = together.winners(cards), tables_of_track(found, track)
    alt = f"The share of seeds of each cell that climbed so far up each ladder. {' '.join(said)}"
    caption = "A curve falls where seeds missed a rung; the mark is the mean span."
    headings = dict.fromkeys(heading for each in tables for heading in each.headings)
    of = {each: table.MEANINGS.get(each.partition(", V")[0], "") for each in headings}
    meanings = {each: meaning for each, meaning in of.items() if meaning}
    answer = [*said, *_not_run_yet(found, track)]
    return [Section(track, heading, answer, _figure(found, track, alt, caption), tables, meanings)]


def _not_run_yet(found: Sorted, track: str) -> list[str]:
    """A sentence about tables of the published page that have no card yet."""
    full = found.main(track)[0]["protocol"]["name"] == "full"
    published = table.PUBLISHED[track].items()
    empty = [name for caption, name in published if caption not in found.tracks[track]]
    return [f"Not run yet: {listed(empty)}."] if full and empty else []


def tables_of_track(found: Sorted, track: str) -> list[Table]:
    """The tables of a track; published ones have a row for each built-in cell that was not run."""
    tables: list[Table] = []
    for caption, cards in found.tracks[track].items():
        devices = "; ".join(sorted({card["device"] for card in cards}))
        words = f"{caption}; protocol {protocol_words(cards[0])}; measured on {devices}."
        published = not tables or caption in table.PUBLISHED[track]
        not_run = table.not_run(cards) if published else []
        tables.append(table.cards_table(cards, words, not_run))
    return tables


def _recall(found: Sorted) -> list[Section]:
    """Recall by key against the bytes and the parameters, where blocks were measured by key."""
    sections = []
    for against, (label, _) in all_cards_figures.SIZES.items():
        name, heading = f"recall-{against}", f"Recall by key, by {label}"
        if figure := _figure(
            found, name, f"{heading}, a point for each cell; the tables have both."
        ):
            sections.append(Section(name, heading, figure=figure))
    return sections


def _literature(found: Sorted) -> list[Section]:
    """The claims of the literature, each seen, not seen or not measured in the cards."""
    rows = [[each.words, each.source, together.verdict(each, found)] for each in together.CLAIMS]
    note = (
        "Seen: the best cell of the one side goes further than the best of the other, with "
        "disjoint intervals, at this size and within this budget. Not seen: they are not told "
        "apart."
    )
    of_all = Table(note, ["claim", "source", "what the cards say"], rows)
    heading = "What the literature says and we see too, and what we do not see"
    return [Section("literature", heading, tables=[of_all])] * bool(found.tracks)


def _apart(found: Sorted) -> list[Section]:
    """Copy memory, and the tables of other protocols."""
    sections = []
    if found.copies:
        caption = (
            "The copy-memory task as published, with a protocol of its own: the loss of a recalled "
            "symbol in nats, after the same number of updates for every cell. Without memory it is "
            "ln 8 = 2.079, where the published losses of a plain LSTM stay (Bai et al. 2018)."
        )
        of_copies = table.cards_table(found.copies, caption)
        heading = "Copy memory: ten symbols, recalled after T steps"
        sections.append(Section("copy", heading, tables=[of_copies]))
    for number, cards in enumerate(found.others, 2):
        words = f"Protocol {protocol_words(cards[0])}; not comparable with those of any other."
        heading = f"Not comparable: protocol {cards[0]['protocol']['name']}"
        tables = [table.cards_table(cards, words)]
        sections.append(Section(f"table-{number}", heading, tables=tables))
    return sections


def _card(card: Card, name: str, link: str) -> Section:
    """The section of one card, with its conditions, its date and the measures that are missing."""
    sentences, caption = answer(card), f"The card of {name}."
    others = beside_built_in.beside(card)
    alt = " ".join([caption, *sentences])
    path = f"figures/{link}.svg"
    figure = Figure(path, alt, caption, lambda: svg(card_figure.card_figure(card, others)))
    rows = [[word or "-" for word in line] for line in card_text.big_numbers(card)]
    tables = [Table(f"The numbers of {name}.", ["measure", "mean or median", "more"], rows)]
    made = f"{measured_how(card)} Made on {card['date']}. Digest: {card['digest'][:16]}."
    left_out = "; ".join(f"{row} ({why})" for row, why in card["not_measured"].items())
    return Section(
        link,
        name,
        [*sentences, *beside_built_in.sentences(card)],
        figure,
        tables[: len(rows)],
        notes=[made, *remarks_of(card)] + [f"Not measured: {left_out}."] * bool(left_out),
        command=command_of(card),
    )


def _figure(found: Sorted, name: str, alt: str, caption: str = "") -> Figure | None:
    """A figure of all cards; None where there is nothing to draw."""
    drawn = FIGURES[name](found)
    return Figure(f"figures/{name}.svg", alt, caption, lambda: svg(drawn)) if drawn else None


def _recall_figure(against: str) -> Callable[[Sorted], Any]:
    return lambda found: all_cards_figures.recall_figure(found.tracks.get("block", {}), against)


FIGURES: Mapping[str, Callable[[Sorted], Any]] = {
    "block": lambda found: all_cards_figures.curves_figure(found.main("block")),
    "cell": lambda found: all_cards_figures.curves_figure(found.main("cell")),
    **{f"recall-{against}": _recall_figure(against) for against in all_cards_figures.SIZES},
}
"""The figures of all cards, by the names of their files; None where there is nothing to draw."""


def summary_table(cards: Sequence[Card]) -> str:
    """The short table of the cards of the main table of the first track, in Markdown."""
    found = table.sort_out(cards)
    main = next((of for track in found.tracks if (of := found.main(track))), found.copies)
    return markdown_table(table.cards_table(main, ""))


def read_folder(folder: Path) -> list[Card]:
    """The cards of a folder and of its folder `OLD_FOLDER`, in the order of their file names.

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
    return [card_file.read(path) for path in [*paths, *sorted(folder.glob(f"{OLD_FOLDER}/*.json"))]]


def write_page(folder: Path, cards: Sequence[Card]) -> Path:
    """Write the page of some cards into their folder, and return its path.

    Raises:
      StorageError: a file was not generated by this program, or was edited. Nothing is written.
    """
    page = page_of(cards, f"echo-jax probe --report {folder}")
    figures = [section.figure for section in page.sections if section.figure]
    texts = {folder / figure.path: figure.draw() for figure in figures}
    texts[folder / "README.md"] = markdown_page(page)
    for path in texts:
        atomic_files.check_generated(path)
    atomic_files.check_no_link(folder / "figures")
    card_file.make_folder(folder / "figures")
    for path, text in texts.items():
        atomic_files.write_generated(path, text.encode())
    return folder / "README.md"


def write_for_paper(
    folder: Path, cards: Sequence[Card], kind: Format, tables: Sequence[paper_tables.Kind]
) -> list[Path]:
    """Write figures/NAME.KIND of the figures of all cards, and tables/NAME.csv or .tex.

    StorageError for a file in their place that is not as it was written.

    Returns:
      The files that were written.
    """
    written, found = [], table.sort_out(cards)
    for name, draw in FIGURES.items():
        if kind != "svg" and (drawn := draw(found)):
            written.append(folder / "figures" / f"{name}.{kind}")
            atomic_files.write_generated(written[-1], image(drawn, kind))
    if tables:
        of_tracks = [
            Section(name, "", tables=tables_of_track(found, name)) for name in found.tracks
        ]
        texts = paper_tables.files([*of_tracks, *_apart(found)], tables)
        written += atomic_files.write_generated_folder(folder / "tables", texts)
    return written
