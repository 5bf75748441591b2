"""Write the public address of pyproject.toml into the README, CITATION.cff and the notebooks.

Usage: python .ci/address.py, once `[project.urls] Repository` is set there. The site reads it.
"""

import json
import re
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[1]
CLONE = re.compile(r"^(Get the source)[^:]*:(.*?git clone )\S+(?= echo_jax)", re.M | re.S)
WAITS = " (ADDRESS is the repository, which is not public yet)"
CITED = re.compile(r"^repository-code: .*\n", re.M)
SOURCE = re.compile(r'(?<=SOURCE = os.environ.get\("ECHO_JAX", ")[^"]*')
COLAB = "https://colab.research.google.com/github"
BADGE = re.compile(rf"\n\n\[[^]]*\]\({re.escape(COLAB)}[^)]*\)")


def address(pyproject: str) -> str:
    """The address of the repository in the text of pyproject.toml; empty until it has one."""
    urls: dict[str, str] = tomllib.loads(pyproject)["project"].get("urls", {})
    return urls.get("Repository", "").rstrip("/")


def readme(text: str, at: str) -> str:
    """The README with its line that clones."""
    return CLONE.sub(rf"\g<1>{WAITS * (not at)}:\g<2>{at or 'ADDRESS'}", text)


def citation(text: str, at: str) -> str:
    """CITATION.cff with the address, or without one."""
    return CITED.sub("", text) + f"repository-code: {at}\n" * bool(at)


def notebook(text: str, at: str, path: str) -> str:
    """A notebook whose first cell installs from the address and, at GitHub, opens in Colab."""
    content = json.loads(text)
    title, install = content["cells"][:2]
    source = f"git+{at}" if at else ".."  # the checkout that the notebook is in
    place = urlsplit(at)
    link = f"\n\n[Open in Colab]({COLAB}{place.path}/blob/main/{path})"
    of_title = BADGE.sub("", "".join(title["source"])) + link * (place.netloc == "github.com")
    of_install = SOURCE.sub(source, "".join(install["source"]))
    title["source"], install["source"] = of_title, of_install
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def made(root: Path, at: str) -> dict[Path, str]:
    """Each file that names the address, and its text with this one."""
    texts = {
        root / "README.md": readme((root / "README.md").read_text("utf-8"), at),
        root / "CITATION.cff": citation((root / "CITATION.cff").read_text("utf-8"), at),
    }
    for path in (root / "examples").glob("*.ipynb"):
        name = path.relative_to(root).as_posix()
        texts[path] = notebook(path.read_text("utf-8"), at, name)
    return texts


if __name__ == "__main__":
    for path, text in made(ROOT, address((ROOT / "pyproject.toml").read_text("utf-8"))).items():
        path.write_text(text, "utf-8")
