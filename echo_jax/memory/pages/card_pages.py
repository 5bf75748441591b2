"""The page of a card and its figure as files, beside card.json. No jax.

NAME/card.md     the figure, one sentence of numbers, the table, and how it was made
NAME/card.svg    the figure; and card.pdf or card.png where asked for
"""

from pathlib import Path

from echo_jax import atomic_files
from echo_jax.memory.card import ROWS_FILE, Card
from echo_jax.memory.card_rows import Row, row_kind
from echo_jax.memory.pages import table
from echo_jax.memory.pages.card_figure import card_figure
from echo_jax.memory.pages.questions import QUESTIONS
from echo_jax.report import styles
from echo_jax.report.markdown import details, escaped, markdown_table
from echo_jax.report.number_formats import three_digits
from echo_jax.report.text_tables import Table


def draw(folder: Path, card: Card, kind: styles.Format = "svg") -> list[Path]:
    """Write card.md, card.svg and with another kind card.KIND into the folder of a card.

    Returns their paths. ConfigError if the figure cannot be drawn, StorageError if a file was
    edited since it was generated.
    """
    rows = row_kind(card.numbers).read(folder / ROWS_FILE)
    files: dict[str, str | bytes] = {"card.md": page(card, rows)}
    for each in dict.fromkeys(("svg", kind)):
        files[f"card.{each}"] = styles.image(card_figure(card, rows), each)
    return atomic_files.write_generated_folder(folder, files)


def page(card: Card, rows: list[Row]) -> str:
    """The page in Markdown."""
    words = sentence(card)
    parts = [
        f"# {escaped(card.name)}",
        f"![{escaped(words)}](card.svg)",
        escaped(words),
        *(f"- {escaped(remark)}" for remark in card.remarks),
        markdown_table(table.cards_table([card])),
        details("Configuration and provenance", markdown_table(provenance(card, rows))),
        "Every number follows from [rows.jsonl](rows.jsonl), and is in [card.json](card.json).",
    ]
    return "\n\n".join(parts) + "\n"


def sentence(card: Card) -> str:
    """The bits of a card with their intervals, and the seeds on the plateau."""
    known = [question.sentence(card) for question in QUESTIONS if question.of(card)]
    if card.on_plateau is not None:
        known.append(f"{table.plateau_text(card)} seeds on the plateau")
    return f"{card.name}: {'; '.join(known) or f'0 of {len(card.seeds)} seeds'}."


def provenance(card: Card, rows: list[Row]) -> Table:
    """The cell, the configurations and seeds, and where and with what they were run."""
    lines = [
        ["cell", card.cell.name],
        *([f"argument {name}", str(value)] for name, value in card.cell.args.items()),
        *(
            [of.question, ", ".join(filter(None, [of.schedule, f"rate {of.rate}"]))]
            for of in card.configuration
        ),
        ["seeds", ", ".join(map(str, card.seeds))],
        ["runs that are not finite", str(sum(row.final is None for row in rows))],
        *(
            [f"{question.words} of each seed", ", ".join(map(three_digits, bits.by_seed))]
            for question in QUESTIONS
            if (bits := question.of(card))
        ),
        ["protocol", card.numbers.name],
        *([f"not the standard: {name}", str(x)] for name, x in card.numbers.own.items()),
        ["date", str(card.date)],
        ["devices", ", ".join(card.devices)],
        ["versions", ", ".join(f"{name} {version}" for name, version in card.versions.items())],
    ]
    if card.bits_by_lag:
        lines.append(["bits by lag, unfloored", three_digits(card.bits_by_lag.unfloored)])
    if card.cell.source:
        lines.append(["SHA-256 of the cell's file", card.cell.source])
    return Table("", ["", "value"], lines)
