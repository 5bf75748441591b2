"""Programs that are kept on disk: where, for whom, and what happens if they cannot be."""

import hashlib
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache as of_jax

from echo_jax import environment
from echo_jax.host import process_start, programs_on_disk
from echo_jax.host.programs_on_disk import SWITCH, KeptPrograms, use_compilation_cache

SETTINGS = (
    "jax_enable_compilation_cache", "jax_compilation_cache_dir", "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs", "jax_persistent_cache_min_entry_size_bytes",
    "jax_debug_nans",
)  # fmt: skip


@pytest.fixture(autouse=True)
def as_in_a_new_process(tmp_path, monkeypatch):
    """A user with an empty cache folder, and jax as it starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(SWITCH, "1")  # which is undone, also where a test turns it off
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
    assert jax.config.values["jax_compilation_cache_max_size"] == programs_on_disk.BYTES
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("fault", ["a file", "/proc/none", "another user's", "open to others"])
def test_a_folder_that_cannot_be_used_is_one_warning(tmp_path, kept, monkeypatch, capsys, fault):
    if fault == "another user's":
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
    assert warning.startswith("no compiled programs are kept: ")
    assert warning.count("\n") == 1


@pytest.mark.parametrize("linked", ["echo_jax", "echo_jax/compiled", "echo_jax/compiled/KEY"])
def test_a_link_to_elsewhere_is_not_followed(tmp_path, monkeypatch, capsys, linked):
    monkeypatch.setattr(programs_on_disk, "_key", lambda: "KEY")
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "cache" / linked
    elsewhere.mkdir()
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    use_compilation_cache()
    assert folder_of_jax() is None
    assert not list(elsewhere.iterdir())
    assert f"{link} is a link" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", [True, False])
def test_programs_that_are_not_wanted_here_or_by_jax_are_not_kept(kept, wanted):
    jax.config.update("jax_enable_compilation_cache", not wanted)
    use_compilation_cache(wanted)
    compile_and_run()
    assert not kept.exists()


def run(folder, rows=3, made_from="x"):
    """What a process that keeps its programs computes by LAPACK, and the times that it traced."""
    traced = []

    def orthogonal(matrix, count):
        traced.append(matrix)
        return {"q": jnp.linalg.qr(matrix)[0] * count, "r": None}

    matrix = np.arange(2.0 * rows, dtype=np.float32).reshape(rows, 2)
    kept = KeptPrograms(folder)
    program = kept.program(jax.jit(orthogonal), jax.devices()[:1], made_from, matrix, 3)()
    kept.write()
    return np.asarray(program(matrix, 3)["q"]).tobytes(), len(traced)


def test_a_kept_program_is_loaded_without_a_trace_and_gives_the_same_bits(tmp_path):
    bits, times = run(tmp_path)
    assert (times, run(tmp_path)) == (1, (bits, 0))
    assert run(None) == (bits, 1)
    assert [run(tmp_path, **other)[1] for other in ({"rows": 4}, {"made_from": "y"})] == [1, 1]


FAULTS = {
    "damaged": lambda file: file.write_bytes(file.read_bytes()[:-1] + b"?"),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:20]),
    "no program": lambda file: file.write_bytes(hashlib.sha256(b"junk").digest() + b"junk"),
    "open to others": lambda file: file.chmod(0o666),
    "a pipe": lambda file: file.unlink() or os.mkfifo(file),
    "a link": lambda file: file.symlink_to(file.rename(file.with_suffix(".elsewhere"))),
    "endless": lambda file: os.truncate(file, 2**40),
}


@pytest.mark.parametrize("change", [*FAULTS, "another source", "another setting"])
def test_what_was_kept_is_not_loaded_where_it_could_differ(tmp_path, monkeypatch, change):
    bits, _ = run(tmp_path)
    (file,) = tmp_path.iterdir()
    if change in FAULTS:
        FAULTS[change](file)
    elif change == "another source":
        monkeypatch.setattr(environment, "software", lambda: {"source digest": "0"})
    else:
        jax.config.update("jax_debug_nans", True)
    assert run(tmp_path) == (bits, 1)


def test_programs_of_a_source_that_changed_meanwhile_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(process_start, "BEGAN", 0.0)
    assert run(tmp_path)[1] == 1
    assert not list(tmp_path.iterdir())


def test_the_programs_that_were_used_last_longest_ago_make_room(tmp_path, monkeypatch):
    run(tmp_path, 3)
    (first,) = tmp_path.iterdir()
    run(tmp_path, 4)
    (second,) = {*tmp_path.iterdir()} - {first}
    for used, path in enumerate((first, second)):
        os.utime(path, (used, used))
    run(tmp_path, 3)  # the first is used again
    monkeypatch.setattr(programs_on_disk, "BYTES", int(2.5 * first.stat().st_size))
    run(tmp_path, 5)
    assert first.exists()
    assert not second.exists()
    assert len(list(tmp_path.iterdir())) == 2
