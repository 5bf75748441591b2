"""Tables and sections in a terminal."""

from collections.abc import Sequence

from echo_jax.report.page import Section, number_columns


def section(made: Section) -> str:
    """A study in a terminal: its question, answer and tables."""
    paragraphs = ["\n" + made.question, "\n".join(made.answer)]
    for each in made.tables:
        words = [i for i, is_number in enumerate(number_columns(each)) if not is_number]
        paragraphs.append(f"{each.caption}\n{table([each.headings, *each.rows], left=words)}")
    return "\n\n".join([*paragraphs, *made.notes]) + "\n"


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Cells in columns, those of the columns `left` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "   ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
