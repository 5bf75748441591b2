"""Scripts as a user runs them: real processes, in which a warning is an error."""

import importlib.util
import subprocess
import sys
from pathlib import Path

SMALL = [
    "--length", "8", "--vocab-size", "6", "--window", "2", "--batch", "2", "--hidden", "4",
    "--sequences", "6", "--evaluation-sequences", "5",
]  # fmt: skip
"""The options of a small run."""
ROOT = Path(__file__).parents[2]


def command(script, *arguments):
    return [sys.executable, "-W", "error", str(ROOT / "scripts" / script), *map(str, arguments)]


def execute(script, *arguments, cwd, status=0, prefix=(), **options):
    """Run a script to its end; it must end with the status."""
    return ended([*prefix, *command(script, *arguments)], status, cwd=cwd, **options)


def ended(line, status=0, **options):
    """Run any command line to its end; it must end with the status."""
    done = subprocess.run(
        line, check=False, capture_output=True, text=True, **{"timeout": 600} | options
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def assert_one_sentence(printed, subject):
    """What is printed is one line that names the subject."""
    assert printed.startswith("error: ")
    assert subject in printed
    assert printed.endswith("\n")
    assert printed.count("\n") == 1
    assert len(printed) < 1000


def module_in(path):
    """The module in a file that no package has."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def begin(script, *arguments, cwd):
    """Start a script and leave it alone."""
    return subprocess.Popen(
        command(script, *arguments),
        cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
