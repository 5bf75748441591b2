import hashlib
import importlib
import sys

import jax
import pytest

from echo_jax.cells import registry, user_cell
from echo_jax.exceptions import ConfigError

CELL = "import flax.linen as nn\n\n\nclass Mine(nn.GRUCell):\n    pass\n"
MEND = "mend the module, or install what it needs"
NAME = "name a module that Python finds, also in the current folder, and a class in it"
DERIVE = "is no cell: use a class derived from flax.linen.RNNCellBase, flax.nnx.Module or"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A function that writes a module to the current folder."""
    monkeypatch.chdir(tmp_path)
    return lambda module, source: (tmp_path / f"{module}.py").write_text(source)


def test_a_class_is_found_in_the_current_folder_and_located_in_its_file(written):
    written("cell_that_inherits", CELL)
    before = list(sys.path)
    found = user_cell.import_cell("cell_that_inherits:Mine")
    assert found.__name__ == "Mine"
    assert sys.path == before
    for method in (None, "__call__"):  # its steps are inherited
        assert user_cell.location(found, method) == "cell_that_inherits.py:4"


@pytest.mark.parametrize(
    ("module", "source", "sentence"),
    [
        ("unread", "import jax\n\nclass Mine(:\n", rf"unread.py:3: .*\(SyntaxError: .*\): {MEND}"),
        ("unrun", "import jax\n\njax.nothing\n", r"unrun.py:3: .*\(AttributeError: .*\): name"),
        ("inside", "def f():\n    1 / 0\nf()\n", rf"inside.py:2: .*\(ZeroDivision.*\): {MEND}"),
        ("lacks", f"import no_such_module\n{CELL}", rf"lacks.py:1: .*\(ModuleNot.*\): {MEND}"),
        ("exits", f"{CELL}raise SystemExit(0)\n", r"exits.py:6: .*\(SystemExit: 0\): put what it"),
        ("bare", f"{CELL}raise BaseException\n", rf"bare.py:6: .*\(BaseException\): {MEND}"),
        ("other", "x = 1\n\nclass Mine:\n    pass\n", f"other.py:3: cell 'other:Mine' {DERIVE}"),
        ("plain", "def Mine():\n    pass\n", f"cell 'plain:Mine' {DERIVE}"),
        ("lost", "x = 1\n", rf"cell 'lost:Mine' cannot be imported \(AttributeError: .*\): {NAME}"),
    ],
)
def test_a_file_without_a_cell_is_refused_with_its_line(written, module, source, sentence):
    written(module, source)
    with pytest.raises(ConfigError, match=f"^{sentence}") as refusal:
        user_cell.import_cell(f"{module}:Mine")
    assert "\n" not in str(refusal.value)


def test_a_file_that_lacks_little_is_told_what_it_lacks(written):
    written("holds", CELL)
    with pytest.raises(ConfigError, match=r"is a file with the cell Mine: use --cell holds.py:M"):
        user_cell.import_cell("holds.py")
    written("two", "def init():\n    pass\n\n\ndef step():\n    pass\n")
    with pytest.raises(
        ConfigError, match=r"^cell 'two.py' lacks the function initial_state: it needs"
    ):
        user_cell.import_cell("two.py")


def test_a_module_that_changes_how_jax_computes_is_refused(written):
    written("doubles", f"import jax\njax.config.update('jax_enable_x64', True)\n{CELL}")
    try:
        with pytest.raises(
            ConfigError, match="sets jax_enable_x64 to True where it is imported, and"
        ):
            user_cell.import_cell("doubles:Mine")
    finally:
        jax.config.update("jax_enable_x64", False)


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match=rf"^cell 'nowhere:Cell' cannot be imported .*: {NAME}"):
        user_cell.import_cell("nowhere:Cell")


def test_a_file_that_is_not_there_is_named_with_the_nearest_one(written, tmp_path):
    (tmp_path / "cells").mkdir()
    for file in ("my_ln", "cells/my_gru"):
        written(file, CELL)
    no_file = "cannot be imported, there is no file"
    for name, sentence in {
        "myln.py": f"cell 'myln.py' {no_file} myln.py here: did you mean my_ln.py",
        "cells/mygru.py:Mine": (
            f"cell 'cells/mygru.py:Mine' {no_file} cells/mygru.py here: did you mean "
            "cells/my_gru.py:Mine"
        ),
        "json.py": f"cell 'json.py' {no_file} json.py here: name one that is there",  # not Python's
        "/none/x.py": f"cell '/none/x.py' {no_file} /none/x.py: name one that is there",
        "myln:Mine": (
            "cell 'myln:Mine' cannot be imported (ModuleNotFoundError: No module named 'myln'): "
            "did you mean my_ln:Mine"
        ),
    }.items():
        with pytest.raises(ConfigError) as refusal:
            user_cell.import_cell(name)
        assert str(refusal.value) == sentence


def test_the_digest_of_a_file_is_that_of_the_text_that_was_loaded(written, tmp_path, monkeypatch):
    def of_text():
        return hashlib.sha256((tmp_path / "counted.py").read_bytes()).hexdigest()

    written("counted", CELL)
    found, before = user_cell.import_cell("counted:Mine"), of_text()
    written("counted", f"{CELL}    size = 3  # its text and its length differ\n")
    assert user_cell.source_digest(found) == registry.source_digest("block:counted:Mine") == before
    assert before != of_text()
    monkeypatch.syspath_prepend(tmp_path)
    again = importlib.reload(sys.modules["counted"])
    assert user_cell.source_digest(again) == user_cell.source_digest(again.Mine) == of_text()
    assert registry.source_digest("block:lstm") is None
    registry.check_source("counted:Mine", of_text())
    with pytest.raises(ConfigError, match=r"^cell 'counted:Mine' has another text on this worker"):
        registry.check_source("counted:Mine", before)
