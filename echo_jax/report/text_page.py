"""Sections of a page in a terminal."""

from echo_jax.report.page import Section
from echo_jax.report.text_tables import table


def section_text(section: Section) -> str:
    """The heading, answer, tables and notes of a section."""
    parts = ["\n" + section.heading, *filter(None, ["\n".join(section.answer)])]
    for shown in section.tables:
        left = [column for column, numeric in enumerate(shown.numeric) if not numeric]
        parts.append(f"{shown.caption}\n{table(shown.texts, left)}")
    return "\n\n".join([*parts, *section.notes]) + "\n"
