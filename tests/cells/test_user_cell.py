import hashlib
import importlib
import sys

import jax
import pytest

from echo_jax.cells import registry, user_cell
from echo_jax.cells.adapt import BlockOf
from echo_jax.exceptions import ConfigError

CELL = "import flax.linen as nn\n\n\nclass Mine(nn.GRUCell):\n    pass\n"


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


def test_a_module_of_ours_is_imported_without_the_current_folder(written, tmp_path, monkeypatch):
    """What it imports in turn could be a stranger's file of that name."""
    searched = set()

    class Finder:
        def find_spec(self, name, path=None, target=None):
            searched.add((name, str(tmp_path) in sys.path))

    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    ours, mine = "echo_jax.memory.tasks.parity", "a_cell_of_mine"
    monkeypatch.delitem(sys.modules, ours, raising=False)
    written(mine, CELL)
    for module in (ours, mine):
        user_cell.import_named(module)
    assert {(ours, False), (mine, True)} <= searched


@pytest.mark.parametrize(
    ("name", "source", "rule"),
    [
        ("unread:Mine", "import jax\n\nclass Mine(:\n", r"cannot .* \(unread.py:3: Syntax.*fix"),
        ("lacks:Mine", f"import no_such\n{CELL}", r"cannot .*lacks.py:1: ModuleNot.*fix"),
        ("other:Mine", "x = 1\n\nclass Mine:\n    pass\n", "is not a cell: use"),
        ("lost:Mine", "x = 1\n", r"cannot be imported \(AttributeError: .*\): fix"),
        ("doubles:Mine", f"import jax\njax.config.update('jax_enable_x64', True)\n{CELL}",
         "sets jax"),
        ("holds.py", CELL, 'lacks .*name a class in it, as cell="holds.py:NAME"'),
        ("two.py", "def init():\n    pass\n\n\ndef step():\n    pass\n",
         "lacks the function initial_state"),
        ("none.py", "", "lacks the functions init, initial_state and step"),
        ("json.py", None, "does not exist"),  # and not Python's
        ("folder", None, "is a folder"),
        ("my cell.py", CELL, "has a name that Python cannot import"),
        ("nowhere:Cell", None, "cannot be imported"),
    ],
)  # fmt: skip
def test_a_name_that_names_no_cell_is_refused_with_its_line(written, tmp_path, name, source, rule):
    if source is not None:
        written(name.partition(":")[0].removesuffix(".py"), source)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=f"^cell='{name}' {rule}") as refusal:
        registry.cell_class(name)
    assert "\n" not in str(refusal.value)
    assert not jax.config.jax_enable_x64


def test_a_setting_that_the_program_had_changed_before_is_not_blamed_on_the_cell(written):
    written("innocent", CELL)
    before = jax.config.values["jax_numpy_rank_promotion"]
    jax.config.update("jax_numpy_rank_promotion", "raise")
    try:
        assert user_cell.import_cell("innocent:Mine").__name__ == "Mine"
        assert jax.config.values["jax_numpy_rank_promotion"] == "raise"
    finally:
        jax.config.update("jax_numpy_rank_promotion", before)


def test_the_digest_of_a_file_is_that_of_the_text_that_was_loaded(written, tmp_path, monkeypatch):
    def of_text():
        return hashlib.sha256((tmp_path / "counted.py").read_bytes()).hexdigest()

    written("counted", CELL)
    found, before = user_cell.import_cell("counted:Mine"), of_text()
    written("counted", f"{CELL}    size = 3  # its text and its length differ\n")
    block = registry.build("block:counted:Mine", {}, BlockOf(found))
    assert user_cell.source_digest(found) == before != of_text()
    assert registry.source_digest("block:counted:Mine", block) == before
    monkeypatch.syspath_prepend(tmp_path)
    again = importlib.reload(sys.modules["counted"])
    assert user_cell.source_digest(again) == user_cell.source_digest(again.Mine) == of_text()
    assert registry.source_digest("block:lstm", block) is None
    registry.check_source("counted:Mine", block, of_text())
    with pytest.raises(ConfigError, match="has another source text on this worker"):
        registry.check_source("counted:Mine", block, before)
