"""Write the pages of cards: a page beside each card.json, and a page of all cards of a folder.

NAME/picture.svg     what is left of a picture, if a run by lag has a reading of it
NAME/card.md         the pictures, one sentence of numbers, the table, and how the card was made
NAME/card.svg        the figure; and card.pdf or card.png if wanted

README.md            the page of all cards; text that is written by hand between its marks stays
explore.html         the page on which cards are explored, unless no card has a curve
figures/NAME.svg     the figures of README.md; picture.svg, if readings.json lies in the folder
tables/NAME.csv      tidy rows, if they are wanted for a paper; NAME.tex, a table in LaTeX, likewise

Imports no jax.
"""

import functools
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from echo_jax.memory.all_questions import EVERY, WITH_CURVES, Row
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG
from echo_jax.memory.card_contents import Card
from echo_jax.memory.comparison import built_in_cards
from echo_jax.memory.comparison.built_in_cards import anchors
from echo_jax.memory.comparison.card_names import is_control, name_of
from echo_jax.memory.comparison.comparability import comparable, groups, track
from echo_jax.memory.comparison.comparison_sentences import standing
from echo_jax.memory.pages import explore_page, face_picture
from echo_jax.memory.pages.curve_figures import card_figure, panels_figure
from echo_jax.memory.pages.table import (
    MEANINGS,
    WIDE,
    bits_text,
    cards_table,
    file_name,
    tidy_pairs,
    tidy_rows,
    tidy_seeds,
)
from echo_jax.memory.protocol import PILOT_SEED, Protocol
from echo_jax.memory.question import UNKNOWN
from echo_jax.report import styles
from echo_jax.report.number_formats import counted, decimals, number, three_digits
from echo_jax.report.page import PLAIN, Paper, write_for_paper, write_page
from echo_jax.report.section import Section, computed
from echo_jax.report.text_tables import Table, details, escaped, markdown_table
from echo_jax.storage import atomic_files

PARTS_SHOWN = (1, 3, 10, 30)
"""The numbers of the parts of training whose losses are shown, besides the last; see `losses`."""


def draw(folder: Path, card: Card, rows: Sequence[Row], kind: styles.Format = "svg") -> list[Path]:
    """Write card.md and the figure of `card` with `rows` into its `folder`, and return the paths.

    The figure is card.svg, and also card.KIND for another `kind`. A card without curves, such as
    the card of a task, has no figure. If a row by lag has a reading, picture.svg is written too.

    Raises:
      ConfigError: the figure cannot be drawn.
      StorageError: a file was edited after it was generated.
    """
    of = section_of(card, rows)
    left = face_picture.of_card(rows, card)
    files: dict[str, str | bytes] = {face_picture.FILE: left[1]} if left else {}
    files["card.md"] = page(card, rows)
    for each in dict.fromkeys(("svg", kind)) if of.draw else ():
        files[f"card.{each}"] = of.figure_file(each)
    return atomic_files.write_generated_folder(folder, files)


def section_of(card: Card, rows: Sequence[Row]) -> Section:
    """Return the section of `card` with `rows`: its curves, what they say, and its tables."""
    words = sentence(card)
    return Section(
        name="card",
        heading=card.name,
        answer=[words, *standing(card)],
        draw=functools.partial(card_figure, card, rows) if card.has_curves else None,
        alt=words,
        tables=[cards_table([card]), *losses(card, rows), provenance(card, rows)],
        notes=card.remarks,
    )


def page(card: Card, rows: Sequence[Row]) -> str:
    """Return the page of `card` with `rows`, in Markdown."""
    of = section_of(card, rows)
    left = face_picture.of_card(rows, card)
    numbers, *others = of.tables
    parts = [
        of.title("#"),
        f"![{escaped(left[0])}]({face_picture.FILE})" if left else "",
        *of.pictured("card.svg"),
        escaped(" ".join(of.answer)),
        *(f"- {escaped(remark)}" for remark in of.notes),
        markdown_table(numbers),
        *(table.folded() for table in others),
        "Every number is computed from [rows.jsonl](rows.jsonl) and is in [card.json](card.json). "
        "`echo-jax cards report` shows all cards of the folder on [one page](../README.md).",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def sentence(card: Card) -> str:
    """Return a sentence with the bits of `card`: the mean, and the lowest and the highest seed."""
    known = [
        bits.text(len(card.seeds), question.words)
        for question in EVERY
        if (bits := card.bits(question))
    ]
    return f"{card.name}: {'; '.join(known) or f'0 of {len(card.seeds)} seeds'}."


def losses(card: Card, rows: Sequence[Row]) -> list[Table]:
    """Return a table with the training losses of each configuration of `card`, in a list.

    Training is divided into parts of `updates_at_once` updates, and the table has a column for each
    part that is shown. The list is empty if no row in `rows`, except the pilot's, has losses.
    """
    known = [row for row in rows if row.losses and row.seed < PILOT_SEED]
    size = card.numbers.updates_at_once
    last = {row.updates // size for row in known}
    shown = sorted(last | {x for x in PARTS_SHOWN if x < max(last, default=0)})
    lines = list[list[str]]()
    for of in dict.fromkeys(row.configuration for row in known):
        seeds = [row.losses for row in known if row.losses and row.configuration == of]
        lines.append([str(of), *(mean_of_part(seeds, part) for part in shown)])
    headings = ["updates", *(number(part * size) for part in shown)]
    words = f"Training loss in nats: the mean of each {size} updates, over the seeds"
    return [Table(words, headings, lines)] if lines else []


def mean_of_part(seeds: Sequence[Sequence[float]], part: int) -> str:
    """Return, as text, the mean loss of part `part` of training over `seeds`, or "-".

    A part is `updates_at_once` updates, and parts are counted from 1. Each item of `seeds` lists
    the losses of one seed's parts. A seed that lacks the part is left out; "-" means that no seed
    has it.
    """
    known = [of_seed[part - 1] for of_seed in seeds if len(of_seed) >= part]
    return decimals(sum(known) / len(known)) if known else UNKNOWN


def provenance(card: Card, rows: Sequence[Row]) -> Table:
    """Return a table of the cell and configurations of `card`, and of where `rows` were made."""
    lines = [
        ["cell", card.cell.name],
        ["track", track(card)],
        ["task", card.task.name if card.task else ""],
        ["framework", card.cell.framework or ""],
        *([f"argument {name}", str(value)] for name, value in card.cell.args.items()),
        *(["pilot", f"{x.configuration}: {three_digits(x.mean)} bits"] for x in card.pilot),
        *(["configuration", str(of)] for of in card.configuration),
        ["seeds", ", ".join(map(str, card.seeds))],
        ["runs that are not finite", str(sum(row.final is None for row in rows))],
        *(
            [f"{x.words} after {number(updates)}", ", ".join(map(three_digits, of.by_seed))]
            for x in EVERY
            for updates, of in card.measured(x)
        ),
        ["protocol", card.numbers.name],
        *([f"not the standard: {name}", str(x)] for name, x in card.numbers.own.items()),
        ["date", str(card.date)],
        ["devices", ", ".join(card.devices)],
        ["versions", ", ".join(f"{name} {version}" for name, version in card.versions.items())],
        ["SHA-256 of the cell's file", card.cell.source or ""],
    ]
    known = [(name, value) for name, value in lines if value]
    return Table("Configuration and provenance", ["", "value"], known)


FINDINGS = """<!-- findings -->
<!-- Written by hand and kept: state only differences that the tables support. -->
<!-- end of findings -->"""
"""The place in a page for findings, written by hand and kept by `atomic_files.BY_HAND`."""

EXPLORE = "[Choose cells, and compare their curves](explore.html)."

WHERE = {"block": "in a common small block", "bare": "without the block"}


def write_report(
    folder: Path,
    beside: Sequence[str] = (),
    paper: Paper = PLAIN,
    protocol: Protocol | None = None,
) -> list[Path]:
    """Write the page of all cards in a folder, its figures and tables, and return the paths.

    Args:
      folder: the folder with the cards NAME/card.json.
      beside: names of built-in cells, whose cards are shown too.
      paper: the files for a paper that are also written.
      protocol: show only cards of this protocol; by default all cards, which must share one.

    Raises:
      ConfigError: there are no cards, or cards of several protocols and none was given, or a name
        is not that of a built-in card.
      StorageError: a card is not valid, or a file was edited since it was generated.
    """
    whole = built_in_cards.read_folder(folder, protocol)
    own = [card for card, _ in whole]
    others = built_in_cards.beside(beside, own)
    cards = own + others
    sections = figures_of(cards)
    left = face_picture.of_folder(folder)
    text = page_of_all(cards, own, sections, left[0] if left else "")
    written = write_page(folder / "README.md", text, sections)
    if left:
        files = {face_picture.FILE: left[1]}
        written += atomic_files.write_generated_folder(folder / "figures", files)
    if curved := [x for x in whole if x[0].has_curves]:
        explore = folder / explore_page.PAGE
        atomic_files.write_generated(explore, explore_page.page(curved, folder).encode())
        written.append(explore)
    if paper.tables:
        sections += sections_of(groups(cards))
    return [*written, *write_for_paper(folder, sections, paper)]


def sections_of(groups: Sequence[Sequence[Card]]) -> list[Section]:
    """Return sections for a paper: a table for each of `groups`, and tidy rows of all cards.

    The tables leave out cards of which no seed is finished, and groups without another card.
    """
    cards = [card for group in groups for card in group]
    tidy = {
        "": functools.partial(tidy_rows, cards),
        "-pairs": functools.partial(tidy_pairs, groups),
        "-seeds": functools.partial(tidy_seeds, cards),
    }
    finished = [[card for card in group if any(map(card.measured, EVERY))] for group in groups]
    of_groups = [
        Section(f"cards-{file_name(group)}", "Table", tables=[paper_table(group)])
        for group in filter(None, finished)
    ]
    return [Section("cards", "Tables", tidy=tidy), *of_groups]


def paper_table(group: Sequence[Card]) -> Table:
    """Return the table of `group` for a paper, with the anchors that can be compared with it.

    Anchors come last, unless they are in `group`. The note names the anchors, and states the bits
    of anchors of other sizes.
    """
    there = [card.cell for card in group]
    known = {name: x for name, x in anchors(group[0]).items() if x.cell not in there}
    alike = {name: x for name, x in known.items() if comparable([*group, x])}
    shown = [*group, *alike.values()]
    table = cards_table(shown).without(WIDE)
    notes = [table.note]
    if named := [name_of(x) for x in shown if is_control(x)]:
        notes.append(f"Anchors, which are cells to compare with: {', '.join(named)}.")
    apart = [f"{bits_text(x, BY_LAG)} ({name})" for name, x in known.items() if name not in alike]
    if apart:
        notes.append(f"Anchors of other sizes reach these bits by lag: {', '.join(apart)}.")
    return table._replace(note=" ".join(notes))


def figures_of(cards: Sequence[Card]) -> list[Section]:
    """Return a section with a figure of `cards` for each question and track that has curves.

    By key, cards with other numbers of pairs are in another section, as all panels of a figure
    share their axes.
    """
    found = list[Section]()
    for question, of_track in itertools.product(WITH_CURVES, WHERE):
        measured = [x for x in cards if track(x) == of_track and x.bits(question)]
        shown = [x for x in measured if not is_control(x)]
        # By key a curve goes up to the most pairs, which differ; by lag all go up to one lag.
        ends = [x.known(question).line[0][-1] for x in shown]
        for pairs in sorted(set(ends)):
            alike = [x for x, end in zip(shown, ends, strict=True) if end == pairs]
            heading = f"{question.curves.capitalize()} curves, {WHERE[of_track]}"
            name = f"{question.curves}-{of_track}"
            if pairs > min(ends):
                heading += f", up to {pairs} pairs"
                name += f"-{pairs}"
            reading = question.reading.format(most=math.log2(shown[0].numbers.symbols))
            words = f"{counted(len(alike), 'cell')} {WHERE[of_track]}. {reading}"
            if question is BY_LAG and (lines := anchors(shown[0])):
                words += f" Dashed: {', '.join(lines)}."
            draw = functools.partial(panels_figure, alike, question)
            found.append(Section(name, heading, draw=draw, alt=heading, caption=words))
    return found


def page_of_all(
    cards: Sequence[Card], own: Sequence[Card], figures: Sequence[Section], left: str = ""
) -> str:
    """Return the page in Markdown: a figure, the findings, other figures, tables, links to cards.

    `cards` are shown in the tables, and each card in `own` has a link. `figures` are the sections
    with figures. `left` is the text of the picture, which is then the first figure.
    """
    first = 0 if left else 1
    links = "\n".join(f"- [{escaped(card.name)}](<{card.name}/card.md>)" for card in own)
    made = computed((str(card.date), card.versions) for card in cards)
    devices = ", ".join(sorted({device for card in cards for device in card.devices}))
    where = f"Devices: {devices}." if devices else ""
    parts = [
        "# The memory of recurrent cells, in bits",
        f"![{escaped(left)}](figures/{face_picture.FILE})" if left else "",
        *(part for figure in figures[:first] for part in figure.pictured()),
        EXPLORE if any(card.has_curves for card in own) else "",
        FINDINGS,
        *(part for figure in figures[first:] for part in (figure.title(), *figure.pictured())),
        "## Tables",
        *(cards_table(x).folded(f" {counted(len(x), 'cell')}") for x in groups(cards)),
        "\n".join(f"- {escaped(f'{x}: {words}.')}" for x, words in MEANINGS.items()),
        "## Card by card",
        details(counted(len(own), "card"), f"{links}\n\n{escaped(made)} {escaped(where)}"),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"
