"""The folder of compiled programs: where, for whom, and what happens if it cannot be used."""

import os

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache as of_jax

from echo_jax import compilation_cache
from echo_jax.compilation_cache import use_compilation_cache

SETTINGS = (
    "jax_enable_compilation_cache", "jax_compilation_cache_dir", "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs", "jax_persistent_cache_min_entry_size_bytes",
)  # fmt: skip


@pytest.fixture(autouse=True)
def as_in_a_new_process(tmp_path, monkeypatch):
    """A user with an empty cache folder, and jax as it starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = {name: jax.config.values[name] for name in SETTINGS}
    jax.config.update("jax_compilation_cache_dir", None)
    of_jax.reset_cache()
    yield
    monkeypatch.undo()
    for name, value in before.items():
        jax.config.update(name, value)
    of_jax.reset_cache()


@pytest.fixture
def kept(tmp_path):
    return tmp_path / "cache" / "echo_jax" / "compiled"


def folder_of_jax():
    return jax.config.values["jax_compilation_cache_dir"]


def compile_and_run():
    """The result of a program that no process has compiled, but one that a cache may hold."""
    return np.asarray(jax.jit(lambda x: jax.lax.fori_loop(0, 9, lambda i, y: y * 3 + i, x))(0.1))


def programs(folder):
    return sorted(folder.rglob("*-cache"))


def test_programs_are_kept_for_this_user_alone_and_read_again(kept, capsys):
    kept.mkdir(mode=0o755, parents=True)  # open to others before
    use_compilation_cache()
    result = compile_and_run()
    written = programs(kept)
    assert written
    of_jax.reset_cache()
    assert compile_and_run() == result
    assert programs(kept) == written
    (folder,) = kept.iterdir()
    assert {path.stat().st_mode & 0o777 for path in (kept.parent, kept, folder)} == {0o700}
    assert folder_of_jax() == str(folder)
    assert jax.config.values["jax_compilation_cache_max_size"] == compilation_cache.PROGRAM_BYTES
    assert capsys.readouterr().err == ""


LINKED = ("echo_jax", "echo_jax/compiled", "echo_jax/compiled/KEY")


@pytest.mark.parametrize(
    "fault", ["a file", "/proc/none", "another user's", "open to others", *LINKED]
)
def test_a_folder_that_cannot_be_used_is_one_warning(tmp_path, kept, monkeypatch, capsys, fault):
    monkeypatch.setattr(compilation_cache, "_machine_key", lambda: "KEY")
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "cache" / fault
    elsewhere.mkdir()
    if fault in LINKED:
        link.parent.mkdir(parents=True)
        link.symlink_to(elsewhere)
    elif fault == "another user's":
        user = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: user + 1)
    elif fault == "open to others":
        kept.mkdir(parents=True)
        kept.chmod(0o777)
    else:
        (tmp_path / "a file").write_text("mine")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / fault))
    use_compilation_cache()
    assert folder_of_jax() is None
    warning = capsys.readouterr().err
    assert warning.startswith("compiled programs are not kept: ")
    assert warning.count("\n") == 1
    assert (f"{link} is a link" in warning) == (fault in LINKED)
    assert not list(elsewhere.iterdir())


def test_a_relative_cache_folder_is_ignored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    use_compilation_cache()
    assert folder_of_jax().startswith(str(tmp_path / "home" / ".cache" / "echo_jax"))
    assert not (tmp_path / "cache").exists()


def test_programs_are_not_kept_where_the_cache_of_jax_is_off(kept):
    jax.config.update("jax_enable_compilation_cache", False)
    use_compilation_cache()
    compile_and_run()
    assert not kept.exists()
