"""The page of all cards of a folder. No jax.

README.md            the page; what is written by hand between its marks stays
figures/NAME.svg     its figures
tables/NAME.csv      tidy rows, and NAME.tex each table
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from echo_jax import atomic_files
from echo_jax.memory.card import Card, with_rows
from echo_jax.memory.card_rows import Row
from echo_jax.memory.pages import built_in_cards
from echo_jax.memory.pages.all_cards_figures import panels_figure, state_figure
from echo_jax.memory.pages.table import (
    MEANINGS,
    QUESTIONS,
    TRACKS,
    Question,
    caption_of,
    cards_table,
    cell_of,
    configured,
    groups,
    is_cut_short,
    measure,
    of_one_kind,
    power_sentence,
    tidy_rows,
    track,
)
from echo_jax.report import styles, text_tables
from echo_jax.report.markdown_page import details, escaped, markdown_table
from echo_jax.report.number_formats import counted
from echo_jax.report.page import computed

FINDINGS = """<!-- findings -->
<!-- Written by hand and kept: only what the tables tell apart. -->
<!-- end of findings -->"""
"""Where a reader writes what was found, see `atomic_files.BY_HAND`."""

CONTROLS = ("ShiftRegister", "Memoryless")
"""Cells whose memory is known; they are in tables and in no figure."""

WHERE = {"block": "in a common small block", "bare": "without the block"}

FIGURES: Mapping[Question, str] = {"bits_by_lag": "forgetting", "bits_by_key": "recall"}

READ: Mapping[Question, str] = {
    "bits_by_lag": "Bits, of 4, that the state holds about a token, by how many steps ago it came. "
    "The area under a curve is its bits by lag.",
    "bits_by_key": "How many values of so many pairs are recalled by their keys? The number is the "
    "bits at the number of pairs that is best on validation data. Dashed: a list of the values, "
    "which knows the values that occurred but not their keys; seeds within 0.1 of it from 4 pairs "
    "on are on the plateau.",
}
"""How to read the figures."""

READ_STATE = (
    "A point for each block, with Student's interval of 95%; a line joins the sizes of a cell. "
    "Dashed: as many values as a square matrix of 32-bit numbers has keys, K = d_k. Of each card "
    "the configurations count that all cards of the figure have."
)


def write_report(
    folder: Path,
    beside: Sequence[str] = (),
    kind: styles.Format = "svg",
    tables: Sequence[text_tables.Kind] = (),
) -> list[Path]:
    """Write the page of the cards NAME/card.json of a folder, its figures and tables.

    Built-in cells are shown `beside` them. Returns the files written.

    Raises:
      ConfigError: there are no cards, or a name is that of no built-in card.
      StorageError: a card is not valid, or a file was edited since it was generated.
    """
    whole = built_in_cards.read_folder(folder)
    own = [card for card, _ in whole]
    others = built_in_cards.beside(beside, own)
    cards = own + others
    drawings = drawings_of(cards, by_size(whole, others))
    text = page(cards, own, drawings).encode()
    atomic_files.check_generated(folder / "README.md", text)  # before any figure is drawn
    written = atomic_files.write_generated_folder(folder / "figures", images(drawings, kind))
    atomic_files.write_generated(folder / "README.md", text)
    written.append(folder / "README.md")
    if tables:
        written += atomic_files.write_generated_folder(folder / "tables", texts(cards, tables))
    return written


class Drawing(NamedTuple):
    """A figure of the page.

    name     of its file
    heading  of its section
    words    how to read it, a sentence or two
    draw     makes it
    """

    name: str
    heading: str
    words: str
    draw: Callable[[], Any]


def by_size(whole: Sequence[tuple[Card, list[Row]]], others: Sequence[Card]) -> list[Card]:
    """The blocks by key, to be compared between sizes: with the configurations that all have."""
    blocks = blocks_by_key([*(card for card, _ in whole), *others])
    if not blocks:
        return []
    shared = set.intersection(*(configured(card, "bits_by_key") for card in blocks))
    cut = list[Card]()
    for card, rows in whole:
        kept = [of for of in card.configuration if of in shared]
        cut.append(with_rows(msgspec.structs.replace(card, configuration=kept), rows))
    same = [x for x in others if configured(x, "bits_by_key") == shared]
    return blocks_by_key([*cut, *same])


def blocks_by_key(cards: Iterable[Card]) -> list[Card]:
    """The cards by key of cells in the block whose memory is not known."""
    return [x for x in cards if track(x) == "block" and x.bits_by_key and not is_control(x)]


def drawings_of(cards: Sequence[Card], blocks: Sequence[Card] = ()) -> list[Drawing]:
    """The figures in the order of the page, `blocks` in the last; none with nothing to draw."""
    found = []
    for question, name in FIGURES.items():
        for of_track in TRACKS:
            if shown := in_panels(cards, of_track, question):
                heading = f"{name.capitalize()} curves, {WHERE[of_track]}"
                words = f"{counted(len(shown), 'cell')} {WHERE[of_track]}. {READ[question]}"
                words += cut_short_words("Hatched", shown, question)
                draw = functools.partial(panels_figure, shown, question)
                found.append(Drawing(f"{name}-{of_track}", heading, words, draw))
    if blocks and not of_one_kind(blocks):
        heading = "Bits by key against bytes of state"
        words = READ_STATE + cut_short_words("Open", blocks, "bits_by_key")
        found.append(Drawing("state", heading, words, functools.partial(state_figure, blocks)))
    return found


def cut_short_words(mark: str, cards: Iterable[Card], question: Question) -> str:
    """A sentence on the mark of measures that were cut short; empty without any."""
    words = f" {mark}: a bound, near the most that can be measured, or seeds are not there yet."
    return words * any(is_cut_short(card, question) for card in cards)


def is_control(card: Card) -> bool:
    """True for a cell whose memory is known."""
    return cell_of(card) in CONTROLS


def in_panels(cards: Iterable[Card], of_track: str, question: Question) -> list[Card]:
    """The cards of a track that have a panel: with both questions, or without any such with one."""
    shown = [
        x for x in cards if track(x) == of_track and measure(x, question) and not is_control(x)
    ]
    return [x for x in shown if x.bits_by_lag and x.bits_by_key] or shown


def images(drawings: Sequence[Drawing], kind: styles.Format) -> dict[str, bytes]:
    """The content of NAME.svg of each figure, and of NAME.KIND."""
    with styles.drawing():
        return {
            f"{drawing.name}.{suffix}": styles.image(drawing.draw(), suffix)
            for drawing in drawings
            for suffix in dict.fromkeys(("svg", kind))
        }


def texts(cards: Sequence[Card], kinds: Sequence[text_tables.Kind]) -> dict[str, str]:
    """The files of tables: `cards.csv`, tidy, and a LaTeX table of each group."""
    written: dict[str, str] = {}
    if "csv" in kinds:
        written["cards.csv"] = text_tables.csv_text(tidy_rows(cards))
    if "latex" in kinds:
        written |= text_tables.latex_files("cards", [cards_table(x) for x in groups(cards)])
    return written


def page(cards: Sequence[Card], own: Sequence[Card], drawings: Sequence[Drawing]) -> str:
    """The page in Markdown: a figure, the place of the findings, other figures, and tables."""
    parts = ["# The memory of recurrent cells, in bits"]
    parts += [figure_of(drawing, "figures") for drawing in drawings[:1]]
    parts.append(FINDINGS)
    for drawing in drawings[1:]:
        parts += [f"## {escaped(drawing.heading)}", figure_of(drawing, "figures")]
    parts += ["## Tables", *(table_of(group) for group in groups(cards))]
    parts.append("\n".join(f"- {escaped(f'{x}: {words}.')}" for x, words in MEANINGS.items()))
    folded = details(counted(len(own), "card"), provenance(cards, own))
    return "\n\n".join([*parts, "## Card by card", folded]) + "\n"


def provenance(cards: Sequence[Card], own: Sequence[Card]) -> str:
    """Links to the cards of the folder, and when, with what and where all of them were made."""
    links = "\n".join(f"- [{escaped(card.name)}](<{card.name}/card.md>)" for card in own)
    made = computed((str(card.date), card.versions) for card in cards)
    devices = ", ".join(sorted({device for card in cards for device in card.devices}))
    return f"{links}\n\n{escaped(made)} {escaped(f'Devices: {devices}.' * bool(devices))}"


def figure_of(drawing: Drawing, folder: str) -> str:
    """A figure in Markdown, and how to read it."""
    return f"![{escaped(drawing.heading)}](<{folder}/{drawing.name}.svg>)\n\n{drawing.words}"


def table_of(group: Sequence[Card]) -> str:
    """The table of a group, folded, and below it what it can tell apart."""
    sentences = [power_sentence(group, question) for question in QUESTIONS]
    below = [escaped(sentence) for sentence in sentences if sentence]
    summary = f"{caption_of(group)} {counted(len(group), 'cell')}"
    return details(summary, "\n\n".join([markdown_table(cards_table(group)), *below]))
