"""Scripts as a user runs them: real processes, in which a warning is an error."""

import importlib.util
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command(script, *arguments):
    return [sys.executable, "-W", "error", str(ROOT / "scripts" / script), *map(str, arguments)]


def execute(script, *arguments, cwd, status=0, prefix=(), **options):
    """Run a script to its end; it must end with the status."""
    done = subprocess.run(
        [*prefix, *command(script, *arguments)],
        check=False, cwd=cwd, capture_output=True, text=True, timeout=600, **options,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return done


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
