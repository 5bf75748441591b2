"""What all commands share: the dispatcher, help, the program in hints, what is imported when."""

import re
import sys

import pytest
from running import ROOT, ended

from echo_jax.__main__ import COMMANDS


def run_python(*arguments, status=0):
    return ended([sys.executable, "-W", "error", *arguments], status, timeout=100)


def test_without_a_command_they_are_listed_and_an_unknown_one_is_refused():
    listed = run_python("-m", "echo_jax").stdout
    assert re.findall(r"^  (\w+) ", listed, re.M) == list(COMMANDS)
    assert {path.stem for path in (ROOT / "scripts").glob("*.py")} == set(COMMANDS)
    refused = run_python("-m", "echo_jax", "trian", status=2).stderr
    assert refused == f"error: trian is not a command: use one of {', '.join(COMMANDS)}\n"


IMPORTED = """
import sys
sys.argv = ["echo-jax", *{arguments!r}]
from echo_jax.__main__ import main
try:
    main()
finally:
    print("imported", *(name for name in sys.modules if not name.startswith("_")))
"""


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(["train", "--vocab-size=1"], 2), (["study"], 0), (["card", "-h"], 0)],
)
def test_help_listings_and_refusals_import_one_command_and_no_jax(arguments, status):
    printed = run_python("-c", IMPORTED.format(arguments=arguments), status=status).stdout
    imported = set(printed.splitlines()[-1].split())
    assert not imported & {"jax", "flax", "optax", "scipy", "matplotlib"}
    commands = {f"echo_jax.commands.{name}" for name in COMMANDS} & imported
    assert commands == {f"echo_jax.commands.{arguments[0]}"}
