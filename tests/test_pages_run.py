"""The commands and the code of the pages: their flags exist, and the short ones run, each once.

A block is bash, python, yaml, or text that shows `$ COMMAND`. A python block that
begins with the comment `# NAME.py` becomes that file. The blocks of a page run in order, in one
folder; a command that an earlier page runs is left out.

Not run are commands whose comment says that they take minutes or hours, and the block after a
comment `<!-- not run: REASON -->` or `<!-- command: NAME -->`, which .ci/run runs.
"""

import importlib
import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from running import ROOT, ended

from echo_jax.__main__ import COMMANDS
from echo_jax.commands import command_line
from echo_jax.config import is_built_in

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
PAGES = sorted(
    str(path.relative_to(ROOT))
    for pages in ("*.md", "docs/*.md", "docs/reference/*.md")
    for path in ROOT.glob(pages)
)
BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n+)?^```(\w*)\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"(?:python scripts/(\w+)\.py|echo-jax (\w+))([^`\n|#\")]*)")


def blocks(page):
    """The blocks of a page that are run: language and text."""
    for remark, language, text in BLOCK.findall((ROOT / page).read_text()):
        if not remark.startswith(("not run: ", "command: ")):
            yield language, text


def command_lines(language, text):
    """The commands of a block, without those that its comments say to take long."""
    if language == "text":
        return re.findall(r"^\$ (.*)$", text, re.M)
    lines = text.replace("\\\n", " ").splitlines() if language == "bash" else []
    return [line for line in lines if line and not re.search(r"  # .*(minute|hour)", line)]


def runs_of_pages():
    """By page, what is run of it: (language, text) in order, no command twice in all."""
    runs, seen = {}, set()
    for page in PAGES:
        runs[page] = []
        for language, text in blocks(page):
            if language == "python":
                runs[page].append((language, text))
            for line in command_lines(language, text):
                if line not in seen:
                    runs[page].append(("bash", line))
                seen.add(line)
    return {page: steps for page, steps in runs.items() if steps}


RUNS = runs_of_pages()


def test_every_command_is_understood_and_has_an_example():
    named = set()
    for page in PAGES:
        for script, name, arguments in COMMAND.findall((ROOT / page).read_text()):
            command = script or name
            module = importlib.import_module(f"echo_jax.commands.{command}")
            options = getattr(module, f"{command.capitalize()}Command")
            command_line.parse(options, shlex.split(arguments))
            named.add(command)
    assert named == set(COMMANDS)


OF_PYTORCH = {"layer.py:make"}  # see test_torch_measurement.py


def test_the_wheel_makes_a_card_of_every_cell_that_a_page_brings():
    text = (ROOT / ".ci" / "wheel").read_text()
    made = set(re.findall(r"^card (\S+)", text, re.M))
    pages = "\n".join((ROOT / page).read_text() for page in PAGES)
    for *_, arguments in COMMAND.findall(pages):
        for cell in re.findall(r"--cell (\S+)", arguments):
            if not is_built_in(cell) and cell != "block:NAME":
                assert cell in made | OF_PYTORCH


def shorter(command):
    """A command with less training, and a card of one seed."""
    if "--sequences" not in command:
        command = re.sub(r"echo-jax (?:train|sweep)\b", r"\g<0> --sequences 50", command)
    return re.sub(r"^(echo-jax card --cell [^-]*)$", r"\1 --seeds 1", command)


@pytest.mark.slow
@pytest.mark.parametrize("page", RUNS)
def test_the_short_blocks_of_a_page_run(page, tmp_path):
    """In an empty folder with what the pages say that a reader has."""
    for name in ("docs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    column = [str(7 * i * i % 31) for i in range(2000)]
    (tmp_path / "my.csv").write_text("\n".join(["n", *column, ""]))
    (tmp_path / "my.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 10)
    (tmp_path / "days.csv").write_text("\n".join(["day", *DAYS * 40]))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONWARNINGS": "error"}
    for language, text in RUNS[page]:
        if file := re.match(r"# (\w+\.py)\n", text):
            (tmp_path / file[1]).write_text(text)
            continue
        python, bash = [sys.executable, "-c", text], ["bash", "-o", "pipefail", "-c", shorter(text)]
        ended(python if language == "python" else bash, cwd=tmp_path, env=environment)
