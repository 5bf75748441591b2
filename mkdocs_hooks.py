"""Hooks of the site: pages from beside docs, links that work there too, docstrings with columns."""

import posixpath
import re
import textwrap
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent
BESIDE_DOCS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)[^)\s#]+")
COLUMNS = re.compile(r"^ *\S.*\S {2,}\S", re.M)


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that lie beside docs."""
    for name in BESIDE_DOCS:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Links to files of the repository, as a code host reads them, become links of the site."""
    here = page.file.src_uri
    folder = posixpath.dirname(here if here in BESIDE_DOCS else f"docs/{here}")

    def of_the_site(link: re.Match) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[0]))
        if path in BESIDE_DOCS or path.startswith("docs/"):
            return posixpath.relpath(path.removeprefix("docs/"), posixpath.dirname(here) or ".")
        return f"{config.repo_url}/blob/main/{path}" if (ROOT / path).exists() else link[0]

    return LINK.sub(of_the_site, markdown)


class ColumnsKeepTheirSpaces(griffe.Extension):
    """Paragraphs of a docstring whose lines are aligned in columns become blocks of code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of a module, class or function before it is parsed."""
        if obj.docstring:
            parts = obj.docstring.value.split("\n\n")
            obj.docstring.value = "\n\n".join(map(_with_columns_as_code, parts))


def _with_columns_as_code(part: str) -> str:
    return f"```text\n{textwrap.dedent(part)}\n```" if COLUMNS.search(part) else part
