"""Every block of code in the pages is understood; the short ones are run, and print what is shown.

A block is bash, python, or text that begins with `$ COMMAND`: what that command prints, with `...`
for lines left out. Text right after a python block is what that prints. A python block that begins
with the comment `# NAME.py` becomes that file. The blocks of a page run in order, in one folder.

Not run are commands whose comment says that they take minutes or hours, and the block after a
comment `<!-- not run: REASON -->` or `<!-- command: NAME -->`, which .ci/run runs. Their flags must
exist all the same.
"""

import ast
import importlib
import math
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
from running import ROOT

from echo_jax.__main__ import COMMANDS
from echo_jax.commands import command_line

PAGES = sorted(
    str(path.relative_to(ROOT))
    for pages in ("*.md", "docs/*.md", "docs/reference/*.md")
    for path in ROOT.glob(pages)
)
BLOCK = re.compile(r"(?:^<!-- ([^\n]*) -->\n+)?^```(\w*)\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"(?:python scripts/(\w+)\.py|echo-jax (\w+))([^`\n|#\")]*)")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ANY_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


class Block(NamedTuple):
    """A block of code: its language and text, and whether it is run."""

    language: str
    text: str
    is_run: bool


def blocks(page):
    found = []
    content = (ROOT / page).read_text()
    for remark, language, text in BLOCK.findall(content):
        assert not remark.startswith("not run") or re.fullmatch("not run: .{9,}", remark), remark
        found.append(Block(language, text, not remark.startswith(("not run: ", "command: "))))
    assert 2 * len(found) == len(re.findall("^```", content, re.M)), page
    return found


def commands(block):
    """The command lines of a block, with those that its comments say to take long left out."""
    if block.language == "text":
        return re.findall(r"^\$ (.*)$", block.text, re.M)
    lines = block.text.replace("\\\n", " ").splitlines()
    return [line for line in lines if not re.search(r"  # .*(minute|hour)", line)]


def check_pip(words):
    for extras in re.findall(r"\.\[(.*?)\]", " ".join(words)):
        known = PROJECT["project"]["optional-dependencies"]
        assert set(extras.split(",")) <= set(known), extras


def check_pytest(words):
    declared = PROJECT["tool"]["pytest"]["ini_options"]["markers"]
    markers = [marker.partition(":")[0] for marker in declared]
    assert all(word in ("-m", *markers) or (ROOT / word).exists() for word in words), words


def check_python(words):
    module = words[1] if words[0] == "-m" else "echo_jax"
    assert module in ("echo_jax", "venv"), module
    assert words[0] == "-m" or (ROOT / words[0]).exists(), words[0]


def check_dask(words):
    program = importlib.import_module(f"distributed.cli.dask_{words[0]}").main
    flags = {flag for option in program.params for flag in option.opts}
    assert {word for word in words if word.startswith("--")} <= flags


CHECKS = {
    "pip": check_pip, "pytest": check_pytest, "python": check_python, "python3": check_python,
    "dask": check_dask,
    **dict.fromkeys(("echo-jax", "seq", "cp", "mkdocs", "pre-commit"), lambda words: None),
}  # fmt: skip
"""The programs that a page may call, and what is checked of their words beside echo-jax's own."""


def test_every_command_is_understood_and_has_an_example(root):
    named = set()
    for page in PAGES:
        for script, name, arguments in COMMAND.findall((root / page).read_text()):
            command = script or name
            module = importlib.import_module(f"echo_jax.commands.{command}")
            options = getattr(module, f"{command.capitalize()}Command")
            command_line.parse(options, shlex.split(arguments))
            named.add(command)
    assert named == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_calls_programs_that_exist_with_what_they_know(page):
    for block in blocks(page):
        assert block.language in ("bash", "python", "text", "yaml"), block.text
        if block.language == "python":
            ast.parse(block.text)
        if block.language == "bash":
            for line in re.split(r"\n|&&|\|", block.text):
                words = shlex.split(line, comments=True)
                while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                    words.pop(0)
                if words:
                    CHECKS[Path(words[0]).name](words[1:])


def test_what_is_not_run_says_why():
    left_out = [
        block for page in PAGES for block in blocks(page)
        if not block.is_run and block.language in ("bash", "python")
        and page != "docs/from-keras-to-jax.md"  # has tests of its own
    ]  # fmt: skip
    assert 3 <= len(left_out) <= 12


def parts(line):
    """The words of a line, and its numbers; those of a measured time or name do not count.

    Neither do the updates of all runs of a card: a seed that passes later adds some hundreds.
    """
    counts = not line.startswith(("Seconds:", "Run folder:", "Figure:"))
    words = re.sub("[▁▂▃▄▅▆▇█]+|(?<=% )\\d{10,}", "CURVE", " ".join(line.split()))
    words = re.sub(r"[\d,]+ updates in all", "some updates in all", words)
    numbers = [float(number.replace(",", "")) for number in ANY_NUMBER.findall(words)]
    return ANY_NUMBER.sub("#", words), numbers if counts else []


def close(shown, printed):
    """Whether two lines have the same words, and numbers as close as other processors make them.

    Counts of sequences, above 100, differ most: 1,437 on one processor and 1,335 on another.
    """
    (words, numbers), (other_words, others) = parts(shown), parts(printed)
    return words == other_words and all(
        math.isclose(one, other, rel_tol=0.05 if one <= 100 else 0.1, abs_tol=0.5)
        for one, other in zip(numbers, others, strict=True)
    )


def is_shown(shown, printed):
    """Whether the lines shown are those printed, in order, where `...` leaves some out."""
    if not shown or not printed:
        return not printed and all(line == "..." for line in shown)
    if shown[0] == "...":
        return is_shown(shown[1:], printed) or is_shown(shown, printed[1:])
    return close(shown[0], printed[0]) and is_shown(shown[1:], printed[1:])


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a 99.81%\n...\nb\n...", "a 99.79%\nx\ny\nb\nz", True),
        ("a 99.81%\n...\nb", "a 99.81%\nx\nb\nz", False),
        ("a 99.81%", "a 95.81%\n", True),
        ("a 99.81%", "a 93.81%\n", False),
        ("a 99.81%", "b 99.81%\n", False),
        ("after 1,437", "after 1,335", True),
        ("after 1,437", "after 1,235", False),
        ("Seconds: train 1.2", "Seconds: train 9.9", True),
        ("12+ (4); 8,850 updates in all", "12+ (4); 11,100 updates in all", True),
        ("12+ (4); 8,850 updates in all", "10+ (4); 8,850 updates in all", False),
        ("Accuracy of 9: 1% ▁▂█ 99%", "Accuracy of 9: 1% ▁▁▂▇ 99%", True),
    ],
)
def test_what_is_shown_is_compared_with_what_is_printed(shown, printed, same):
    assert is_shown(shown.splitlines(), printed.splitlines()) is same


@pytest.fixture
def folder(tmp_path):
    """An empty folder with what the pages say that a reader has."""
    for name in ("docs", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    column = [str(7 * i * i % 31) for i in range(2000)]
    (tmp_path / "my.csv").write_text("\n".join(["n", *column, ""]))
    return tmp_path


def printed(words, folder):
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return [line for line in done.stdout.splitlines() if line]


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if any(b.is_run for b in blocks(page))])
def test_the_short_blocks_of_a_page_run_and_print_what_it_shows(page, folder):
    said = None
    for block in blocks(page):
        shown = block.text.splitlines()
        if block.language == "text" and said is not None:
            assert is_shown(shown, said), said
        said = None
        if block.language == "python" and block.is_run:
            if file := re.match(r"# (\w+\.py)\n", block.text):
                (folder / file[1]).write_text(block.text)
            else:
                said = printed([sys.executable, "-c", block.text], folder)
        elif block.language == "bash" and block.is_run:
            for line in commands(block):
                printed(["bash", "-o", "pipefail", "-c", line], folder)
        elif block.language == "text" and block.is_run and shown[0].startswith("$ "):
            run_shown(block, folder)


def run_shown(block, folder):
    """Run each command of a block of text; it must print the lines below it.

    A quick card gets more than its 90 seconds, because other tests run beside it.
    """
    for part in re.split(r"^\$ ", block.text, flags=re.M)[1:]:
        command, *shown = filter(None, part.splitlines())
        command = re.sub(r"^(echo-jax probe --cell [^-]*)$", r"\1 --seconds 280", command)
        said = printed(["bash", "-o", "pipefail", "-c", command], folder)
        assert not shown or is_shown(shown, said), said
