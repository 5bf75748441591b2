"""Write pages: sections in a folder with their figures and tables, or one interactive HTML file."""

import dataclasses
import html
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from echo_jax.report.section import Section
from echo_jax.report.styles import Format
from echo_jax.report.text_tables import Kind, details, escaped, fenced
from echo_jax.storage import atomic_files


@dataclasses.dataclass(frozen=True)
class Paper:
    """The files for a paper that are written in addition to a page."""

    format: Format = "svg"
    """Format of the figures for a paper: pdf or png is written in addition to figures/NAME.svg."""
    tables: tuple[Kind, ...] = ()
    """Also write the tables for a paper into the folder tables: as csv, latex or both."""


PLAIN = Paper()
"""The files of a page without any additional files for a paper."""


def markdown_page(
    title: str, introduction: Sequence[str], sections: Sequence[Section], made: str, command: str
) -> str:
    """Return a page in Markdown.

    If there are several sections, the page begins with their headings and the first sentence of
    each answer. Each section begins with its heading, its figure and that sentence.

    Args:
      title: the heading of the page.
      introduction: the paragraphs that explain what is measured, which fold out at the end.
      sections: the sections of the page.
      made: the sentence of `section.computed` about the results.
      command: the command that makes the page again.
    """
    parts = [f"# {escaped(title)}"]
    if len(sections) > 1:
        lines = [
            " ".join([f"{i}. [{escaped(s.heading)}](#{s.name})", *map(escaped, s.answer[:1])])
            for i, s in enumerate(sections, 1)
        ]
        parts.append("\n".join(lines))
    for section in sections:
        parts += section.folded()
    again = escaped(f"{made} This command makes the page again:")
    read = "\n\n".join([*map(escaped, introduction), again, fenced(command)])
    parts += ["---", details("What is measured, and how the page was made", read)]
    return "\n\n".join(filter(None, parts)) + "\n"


def write_page(path: Path, text: str, sections: Sequence[Section]) -> list[Path]:
    """Write the page `text` to `path` and, before it, its sections' figures; return all paths.

    Raises StorageError if the page or a figure was edited since it was generated. If the page was
    edited, the error is raised before anything is drawn.
    """
    page = text.encode()
    atomic_files.check_generated(path, page)
    # Before the page: a kill in between leaves no page without its figures.
    written = _write_figures(path.parent, sections, "svg")
    atomic_files.write_generated(path, page)
    return [*written, path]


def write_for_paper(folder: Path, sections: Sequence[Section], paper: Paper) -> list[Path]:
    """Write the figures and tables of `sections` that `paper` asks for, and return their paths.

    They are written into folders below `folder`.

    SVG figures are not written, because `write_page` writes them. Raises StorageError if a file
    that would be replaced was edited since it was generated.
    """
    written = [] if paper.format == "svg" else _write_figures(folder, sections, paper.format)
    files = dict[str, str]()
    for section in sections:
        files |= section.table_files(paper.tables)
    if files:
        written += atomic_files.write_generated_folder(folder / "tables", files)
    return written


def _write_figures(folder: Path, sections: Sequence[Section], kind: Format) -> list[Path]:
    drawn = {f"{each.name}.{kind}": each.figure_file(kind) for each in sections if each.draw}
    return atomic_files.write_generated_folder(folder / "figures", drawn) if drawn else []


HTML = Path(__file__).with_name("html_page.html")
"""The file of the frame around the body of each interactive page."""


def assembled(page: Path, data: Mapping[str, Any]) -> str:
    """Return an interactive page as HTML, which needs no library, no request and no server.

    `page` is the HTML file of the body; a CSS file of equal name lies beside it. `data` is what the
    page shows, and `data["title"]` is the title of the page. `with_files` inserts the files that
    the body names.
    """
    in_script = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for letter in "<>&":  # which might close a script element, or start another
        in_script = in_script.replace(letter, f"\\u{ord(letter):04x}")
    text = with_files(HTML.read_text("utf-8").replace("PAGE", page.stem), page)
    text = text.replace("<!-- title -->", html.escape(data["title"]))
    return text.replace("<!-- data -->", in_script)


def with_files(text: str, page: Path) -> str:
    """Return `text` with each `<!-- FILE -->` replaced by the text of the named file.

    The named file lies beside the file `page` or beside this module. Its text may name further
    files.
    """

    def content(named: re.Match[str]) -> str:
        """Return the text of the file that a match names, with the files that it names."""
        own = page.with_name(named[1])
        path = own if own.is_file() else HTML.with_name(named[1])
        return with_files(path.read_text("utf-8").rstrip("\n"), page)

    return re.sub(r"<!-- (\w+\.\w+) -->", content, text)
