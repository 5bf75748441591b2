"""Hooks of the site: pages and files from beside docs, addresses, docstrings with columns."""

import html
import json
import posixpath
import re
import textwrap
import tomllib
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from echo_jax.echo.studies import study_folder, study_tables
from echo_jax.echo.studies.catalogue import STUDIES
from echo_jax.report import styles

ROOT = Path(__file__).parent
BESIDE_DOCS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "examples/exercises.md",
)
LINK = re.compile(r"(\]\(<?)(?!\w+:|#)([^)\s#<>]+)")
IN_HTML = re.compile(r'"([^"\s]+\.md)"')  # a link, or the page of a card in the data
MODULE = re.compile(r"^::: (\S+)$", re.M)
FIELDS = re.compile(r"^<!-- fields of (\S+) -->$", re.M)
COLUMNS = re.compile(r"^ *\S.*\S {2,}\S", re.M)
PHONE = 3.75  # inches of a figure on a phone
PICTURE = "figures/which-row-continues-which.png"
"""What a shared link shows."""
INTERACTIVE = ("play.html", "cards/explore.html")
"""Pages of HTML, which link pages of Markdown."""
MOVED = {
    "by-name": "lesson-plan.html#by-name-20-minutes",
    "card": "formats.html#a-card",
    "card-a-memax-layer": "your-own-cell.html#a-layer-of-memax",
    "exercises": "lesson-plan.html#eight-exercises",
    "how-we-test": "development.html#tests",
    "own-data": "training-runs.html#your-own-data",
    "using-a-trained-network": "training-runs.html#predict",
    "your-own-task": "your-own-cell.html#a-task-of-your-own",
}
"""Pages that became a part of another one, which their old addresses lead to."""
BOOSTED = {"glossary.md": 2.0, "index.md": 1.5}
"""What the search finds first; it finds the pages of single cards last."""
NIGHT = """<script>{
  const night = matchMedia("(prefers-color-scheme: dark)"), body = document.body;
  const follow = () => { body.dataset.mdColorScheme = night.matches ? "slate" : "default"; };
  follow();
  night.addEventListener("change", follow);
}</script>"""
"""Pages are light or dark as the system is, which figures can follow; so there is no switch."""


def on_config(config: MkDocsConfig) -> None:
    """The addresses of pyproject.toml, where there are any: of the site, and in each footer."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    urls = project.get("urls", {})
    config.site_url = urls.get("Documentation")
    if source := urls.get("Repository"):
        config.copyright = f'<a href="{html.escape(source)}">{html.escape(source)}</a>'


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the pages that lie beside docs, and a drawing for a phone of each figure of a study.

    The README is no index: there is one.
    """
    for name in BESIDE_DOCS:
        page = File.generated(config, name, abs_src_path=str(ROOT / name))
        page.dest_uri = name.replace(".md", ".html")
        files.append(page)
    for path in INTERACTIVE:
        files.remove(files.get_file_from_path(path))
        content = of_the_site(path, files, config.site_url or "")
        files.append(File.generated(config, path, content=content))
    for name, study in STUDIES.items():
        rows = study_folder.rows_of(ROOT / "docs" / "results", {name: study})[name]
        with styles.drawing():
            figure = study_tables.figure(study.chart, rows, PHONE)
            content = styles.image(figure, "svg")
        path = f"results/figures/{name}-narrow.svg"
        files.append(File.generated(config, path, content=content))


def of_the_site(page: str, files: Files, address: str) -> str:
    """A page of HTML in docs: it links pages of the site, and its picture has the address."""
    folder = posixpath.dirname(page)

    def linked(link: re.Match) -> str:
        target = files.get_file_from_path(posixpath.normpath(posixpath.join(folder, link[1])))
        return f'"{posixpath.relpath(target.dest_uri, folder or ".")}"' if target else link[0]

    text = IN_HTML.sub(linked, (ROOT / "docs" / page).read_text("utf-8"))
    return text.replace(PICTURE, posixpath.join(address, PICTURE))


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files, **_: Any
) -> str:
    """Links to files of the repository become links of the site, which has those files too.

    The modules of a page of the reference fold out, where there are several. A mark becomes the
    tables of the fields of a schema.
    """
    markdown = FIELDS.sub(lambda mark: _tables_of(ROOT / "docs" / mark[1]), markdown)
    here = page.file.src_uri
    if here in BOOSTED or here.endswith("/card.md"):
        page.meta["search"] = {"boost": BOOSTED.get(here, 0.1)}
    folder = posixpath.dirname(here if here in BESIDE_DOCS else f"docs/{here}")

    def linked(link: re.Match) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[2]))
        target = path.removeprefix("docs/")
        if not files.get_file_from_path(target) and (ROOT / path).is_file():
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
        return link[1] + posixpath.relpath(target, posixpath.dirname(here) or ".")

    markdown = LINK.sub(linked, markdown)
    several = len(MODULE.findall(markdown)) > 1
    folded = r"<details markdown><summary><code>\1</code></summary>\n\n\g<0>\n\n</details>"
    return MODULE.sub(folded, markdown) if several else markdown


def _tables_of(schema: Path) -> str:
    """The fields of each object of a JSON Schema: a name, its description, a table."""
    parts = []
    for name, part in json.loads(schema.read_text("utf-8"))["$defs"].items():
        fields = part.get("properties", {}).items()
        rows = [f"| `{field}` | {_kind(of)} | {_default(of)} |" for field, of in fields]
        described = map(_with_columns_as_code, part.get("description", "").split("\n\n"))
        table = "\n".join(["| field | is | default |", "|---|---|---|", *rows])
        parts += [f"**`{name}`**", *described, table]
    return "\n\n".join(parts)


def _kind(of: dict[str, Any]) -> str:
    """Return in words what a value of a JSON Schema may be."""
    if "$ref" in of:
        return f"`{of['$ref'].rpartition('/')[2]}`"
    if "anyOf" in of:
        return " or ".join(map(_kind, of["anyOf"]))
    if "enum" in of:
        return " or ".join(f"`{json.dumps(value)}`" for value in of["enum"])
    if of.get("type") == "array":
        return f"list of {_kind(of.get('items') or of['prefixItems'][0])}"
    least, most = of.get("minimum"), of.get("maximum")
    known = [f"from {least}"] * (least is not None)
    known += [f"to {most}"] * (most is not None and most < 2**53)
    return " ".join([of.get("type", "anything"), *known])


def _default(of: dict[str, Any]) -> str:
    return f"`{json.dumps(of['default'])}`" if "default" in of else ""


def on_page_content(content: str, page: Page, files: Files, **_: Any) -> str:
    """A figure NAME.svg beside which there is NAME-narrow.svg is that one on a phone."""

    def narrow(image: re.Match) -> str:
        name = f"{image[1]}-narrow.svg"
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page.url), name))
        if not files.get_file_from_path(path):
            return image[0]
        source = f'<source media="(max-width: 44.9em)" srcset="{name}">'
        return f"<picture>{source}{image[0]}</picture>"

    return re.sub(r'<img [^>]*src="([^"]+)\.svg"[^>]*>', narrow, content)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Say in the head what a shared link shows; choose light or dark before anything is shown."""
    paragraphs = re.findall(r"<p>(.*?)</p>", page.content or "", re.S)
    texts = (html.unescape(re.sub(r"<[^>]+>", "", each)).strip() for each in paragraphs)
    root = config.site_url or posixpath.relpath(".", posixpath.dirname(page.url) or ".") + "/"
    said = {
        "type": "website",
        "site_name": config.site_name,
        "title": str(page.title),
        "description": textwrap.shorten(next(filter(None, texts), ""), 200, placeholder=" …"),
        "image": posixpath.join(root, PICTURE),
    }
    tags = (f'<meta property="og:{name}" content="{html.escape(x)}">' for name, x in said.items())
    whole = output.replace("</head>", f"{''.join(tags)}</head>", 1)
    return re.sub(r"<body[^>]*>", lambda body: body[0] + NIGHT, whole, count=1)


def on_post_build(config: MkDocsConfig) -> None:
    """Pages of HTML are found by the search, by titles and texts; old addresses lead on."""
    for name, place in MOVED.items():
        lead = f'<main><h1><a href="{place}">This page has moved</a></h1></main>'
        head = f'<title>Moved</title><meta http-equiv="refresh" content="0; url={place}">'
        page = f'<!doctype html><html lang="en">{head}{lead}</html>'
        Path(config.site_dir, f"{name}.html").write_text(page, "utf-8")
    index = Path(config.site_dir, "search", "search_index.json")
    whole = json.loads(index.read_text("utf-8"))
    for path in INTERACTIVE:
        page = (ROOT / "docs" / path).read_text("utf-8")
        body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
        title = html.unescape(re.search(r"<title>(.*?)</title>", page)[1])
        text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())
        whole["docs"].append(
            {"location": path, "title": title, "text": html.escape(text, quote=False)}
        )
    index.write_text(json.dumps(whole), "utf-8")


class ColumnsKeepTheirSpaces(griffe.Extension):
    """Paragraphs of a docstring whose lines are aligned in columns become blocks of code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of a module, class or function before it is parsed."""
        if obj.docstring:
            parts = obj.docstring.value.split("\n\n")
            obj.docstring.value = "\n\n".join(map(_with_columns_as_code, parts))


def _with_columns_as_code(part: str) -> str:
    return f"```text\n{textwrap.dedent(part)}\n```" if COLUMNS.search(part) else part
