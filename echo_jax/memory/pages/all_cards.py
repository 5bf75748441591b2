"""The page of all cards of a folder. No jax.

README.md            the page; what is written by hand between its marks stays
explore.html         the curves of the cards, to choose from
figures/NAME.svg     its figures; picture.svg, where readings.json lies in the folder
tables/NAME.csv      tidy rows, and NAME.tex each table
"""

import functools
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from echo_jax import atomic_files
from echo_jax.memory.card import Card
from echo_jax.memory.pages import built_in_cards, explore_page, picture
from echo_jax.memory.pages.built_in_cards import anchors
from echo_jax.memory.pages.figures import budgets_figure, panels_figure
from echo_jax.memory.pages.questions import BY_LAG, QUESTIONS
from echo_jax.memory.pages.table import (
    MEANINGS,
    caption_of,
    cards_table,
    is_control,
    sections_of,
)
from echo_jax.memory.pages.told_apart import groups, track
from echo_jax.memory.protocol import Protocol
from echo_jax.report.markdown import details, escaped, markdown_table
from echo_jax.report.number_formats import counted
from echo_jax.report.page import PLAIN, Paper, write_for_paper, write_page
from echo_jax.report.section import Section, computed

FINDINGS = """<!-- findings -->
<!-- Written by hand and kept: only what the tables tell apart. -->
<!-- end of findings -->"""
"""Where a reader writes what was found, see `atomic_files.BY_HAND`."""

WHERE = {"block": "in a common small block", "bare": "without the block"}

READ_BUDGETS = (
    "The mean bits by lag after training with so many updates, each at the rate that short runs "
    "chose. Grey, without marks: cells that are not trained, or whose memory is known. Cells with "
    "less than 1 bit are left out."
)


def write_report(
    folder: Path,
    beside: Sequence[str] = (),
    paper: Paper = PLAIN,
    protocol: Protocol | None = None,
) -> list[Path]:
    """Write the page of the cards NAME/card.json of a folder, its figures and tables.

    Built-in cells are shown `beside` them; with a protocol only its cards. Returns the files
    written.

    Raises:
      ConfigError: there are no cards, or cards of several protocols and none was given, or a name
        is that of no built-in card.
      StorageError: a card is not valid, or a file was edited since it was generated.
    """
    whole = built_in_cards.read_folder(folder, protocol)
    own = [card for card, _ in whole]
    others = built_in_cards.beside(beside, own)
    cards = own + others
    sections = figures_of(cards)
    left = picture.of_folder(folder)
    text = page(cards, own, sections, left[0] if left else "")
    written = write_page(folder / "README.md", text, sections)
    if left:
        files = {picture.FILE: left[1]}
        written += atomic_files.write_generated_folder(folder / "figures", files)
    if of_memory := [x for x in whole if not x[0].task]:
        explore = folder / explore_page.PAGE
        atomic_files.write_generated(explore, explore_page.page(of_memory, folder).encode())
        written.append(explore)
    if paper.tables:
        sections += sections_of(groups(cards))
    return [*written, *write_for_paper(folder, sections, paper)]


def figures_of(cards: Sequence[Card]) -> list[Section]:
    """The sections with figures; none with nothing to draw."""
    found = list[Section]()
    for question, of_track in itertools.product(QUESTIONS, WHERE):
        asked = [x for x in cards if track(x) == of_track and question.of(x)]
        shown = [x for x in asked if not is_control(x)]
        if shown:
            heading = f"{question.curves.capitalize()} curves, {WHERE[of_track]}"
            reading = question.reading.format(most=math.log2(shown[0].numbers.symbols))
            words = f"{counted(len(shown), 'cell')} {WHERE[of_track]}. {reading}"
            if question is BY_LAG and (lines := anchors(shown[0])):
                words += f" Dashed: {', '.join(lines)}."
            draw = functools.partial(panels_figure, shown, question)
            name = f"{question.curves}-{of_track}"
            found.append(Section(name, heading, draw=draw, alt=heading, caption=words))
    blocks = [x for x in cards if track(x) == "block" and BY_LAG.budgets(x)]
    if budgets := [x for x in blocks if min(bits.mean for _, bits in BY_LAG.measured(x)) >= 1]:
        heading = "Bits by lag against updates, in the block"
        draw = functools.partial(budgets_figure, budgets)
        found.append(Section("budgets", heading, draw=draw, alt=heading, caption=READ_BUDGETS))
    return found


def page(
    cards: Sequence[Card], own: Sequence[Card], figures: Sequence[Section], left: str = ""
) -> str:
    """The page in Markdown: a figure, the findings, other figures, tables, and links to cards.

    `left` are the words of the picture, which is then the first figure.
    """
    parts = ["# The memory of recurrent cells, in bits"]
    first = 0 if left else 1
    parts += [f"![{escaped(left)}](figures/{picture.FILE})"] if left else []
    parts += [part for figure in figures[:first] for part in figure.pictured()]
    link = ["[Choose cells, and compare their curves](explore.html)."]
    parts += [*([] if all(card.task for card in own) else link), FINDINGS]
    for figure in figures[first:]:
        parts += [figure.title(), *figure.pictured()]
    parts.append("## Tables")
    for group in groups(cards):
        summary = f"{caption_of(group)} {counted(len(group), 'cell')}"
        parts.append(details(summary, markdown_table(cards_table(group))))
    parts.append("\n".join(f"- {escaped(f'{x}: {words}.')}" for x, words in MEANINGS.items()))
    links = "\n".join(f"- [{escaped(card.name)}](<{card.name}/card.md>)" for card in own)
    made = computed((str(card.date), card.versions) for card in cards)
    devices = ", ".join(sorted({device for card in cards for device in card.devices}))
    where = f"Devices: {devices}." if devices else ""
    provenance = f"{links}\n\n{escaped(made)} {escaped(where)}"
    parts += ["## Card by card", details(counted(len(own), "card"), provenance)]
    return "\n\n".join(parts) + "\n"
