"""Programs that are kept on disk: where, for whom, and what happens if they cannot be."""

import os
import resource
import warnings

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache as of_jax
from running import begin, execute

from echo_jax import machine
from echo_jax.host import compilation_cache
from echo_jax.host.compilation_cache import KEYS, SWITCH, use_compilation_cache

SETTINGS = (
    "jax_enable_compilation_cache", "jax_compilation_cache_dir", "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs", "jax_persistent_cache_min_entry_size_bytes",
)  # fmt: skip


@pytest.fixture(autouse=True)
def as_in_a_new_process(tmp_path, monkeypatch):
    """A user with an empty cache folder, and jax as it starts."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(SWITCH, raising=False)
    before = {name: jax.config.values[name] for name in SETTINGS}
    jax.config.update("jax_compilation_cache_dir", None)
    of_jax.reset_cache()
    with warnings.catch_warnings():  # undoes the function that shows them, and the filters
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
    jax.clear_caches()
    return np.asarray(jax.jit(lambda x: jax.lax.fori_loop(0, 9, lambda i, y: y * 3 + i, x))(0.1))


def programs(folder):
    return sorted(folder.rglob("*-cache"))


def test_programs_are_kept_for_this_user_alone_and_read_again(kept, capsys):
    use_compilation_cache()
    found = compile_and_run()
    written = programs(kept)
    assert written
    of_jax.reset_cache()
    assert compile_and_run() == found
    assert programs(kept) == written
    (folder,) = kept.iterdir()
    assert {each.stat().st_mode & 0o777 for each in (kept.parent, kept, folder)} == {0o700}
    assert folder_of_jax() == str(folder)
    assert jax.config.values["jax_compilation_cache_max_size"] == compilation_cache.BYTES
    assert capsys.readouterr().err == ""


def test_the_least_recently_used_programs_go_first(kept, monkeypatch):
    monkeypatch.setattr(compilation_cache, "BYTES", 10_000)
    use_compilation_cache()
    jax.clear_caches()
    for size in range(1, 12):
        jax.jit(lambda x: x + 1)(np.zeros(size))
    assert 0 < sum(each.stat().st_size for each in programs(kept)) <= 10_000


@pytest.mark.parametrize("cache", ["a file", "/proc/none"])
def test_without_a_folder_for_them_programs_are_not_kept_and_a_sentence_says_so(
    tmp_path, monkeypatch, capsys, cache
):
    (tmp_path / "a file").write_text("mine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
    use_compilation_cache()
    assert folder_of_jax() is None
    said = capsys.readouterr().err
    assert said.startswith("no compiled programs are kept: [Errno ")
    assert said.count("\n") == 1


def test_the_folder_of_another_user_is_not_used(kept, monkeypatch, capsys):
    kept.mkdir(parents=True)
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    use_compilation_cache()
    assert folder_of_jax() is None
    said = capsys.readouterr().err
    assert said == (
        f"no compiled programs are kept: {kept.parent} belongs to another user: set XDG_CACHE_HOME "
        "to a folder of yours\n"
    )


@pytest.mark.parametrize("linked", ["echo_jax", "echo_jax/compiled", "echo_jax/compiled/KEY"])
def test_a_link_to_elsewhere_is_not_followed(tmp_path, monkeypatch, capsys, linked):
    monkeypatch.setattr(compilation_cache, "_key", lambda: "KEY")
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "cache" / linked
    elsewhere.mkdir()
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    use_compilation_cache()
    assert folder_of_jax() is None
    assert not list(elsewhere.iterdir())
    assert capsys.readouterr().err == (
        f"no compiled programs are kept: {link} is a link: remove it\n"
    )


def test_a_folder_that_others_may_read_is_closed_to_them(kept):
    kept.mkdir(mode=0o755, parents=True)
    use_compilation_cache()
    assert kept.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("word", ["0", "off", "No", "FALSE"])
def test_the_environment_turns_it_off(tmp_path, monkeypatch, word):
    monkeypatch.setenv(SWITCH, word)
    use_compilation_cache()
    compile_and_run()
    assert not jax.config.values["jax_enable_compilation_cache"]
    assert not (tmp_path / "cache").exists()


def test_what_is_not_wanted_is_not_wanted_in_the_processes_that_are_started_either(
    tmp_path, monkeypatch
):
    monkeypatch.setenv(SWITCH, "1")
    use_compilation_cache(wanted=False)
    compile_and_run()
    assert os.environ[SWITCH] == "0"
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_the_user_gave_to_jax_is_used_as_it_is(tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    use_compilation_cache()
    assert folder_of_jax() == str(tmp_path / "mine")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["XLA_FLAGS", "LIBTPU_INIT_ARGS", "NPROC"])
def test_flags_have_folders_of_their_own(monkeypatch, name):
    before = compilation_cache._key()
    assert compilation_cache._key() == before
    monkeypatch.setenv(name, "--other")
    assert compilation_cache._key() != before


@pytest.mark.parametrize("name", ["processor", "cores", "device_kind"])
def test_machines_have_folders_of_their_own(monkeypatch, name):
    before = compilation_cache._key()
    monkeypatch.setattr(machine, name, lambda: "another")
    assert compilation_cache._key() != before


def test_the_folders_of_keys_that_are_no_longer_used_go(kept):
    for i in range(KEYS + 2):
        (kept / f"old{i}").mkdir(parents=True)
        (kept / f"old{i}" / "program-cache").touch()
        os.utime(kept / f"old{i}", (i, i))
    use_compilation_cache()
    others = {f"old{i}" for i in range(3, KEYS + 2)}
    assert {each.name for each in kept.iterdir()} == others | {compilation_cache._key()}


def test_damaged_programs_are_removed_and_compiled_with_one_sentence(kept, capsys):
    use_compilation_cache()
    found = compile_and_run()
    for program in programs(kept):
        program.write_bytes(program.read_bytes()[:-9])
    of_jax.reset_cache()
    assert compile_and_run() == found
    jax.jit(lambda x: x * 5)(0.5)
    said = capsys.readouterr().err
    assert said.startswith("kept compiled programs are not used: 'jit")
    assert said.count("\n") == 1
    assert programs(kept) == []


def test_a_full_disk_ends_the_keeping_and_not_the_run(kept, capsys):
    use_compilation_cache()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        assert np.isfinite(compile_and_run())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    said = capsys.readouterr().err
    assert said.startswith("kept compiled programs are not used: 'jit")
    assert "File too large" in said
    assert said.count("\n") == 1
    assert programs(kept) == []


def test_other_warnings_are_shown_as_before():
    use_compilation_cache()
    with pytest.warns(UserWarning, match="something else"):
        warnings.warn("something else", stacklevel=1)


SMALL = [
    "--length", "10", "--vocab-size", "8", "--hidden", "6", "--sequences", "40",
    "--evaluation-sequences", "50",
]  # fmt: skip


def same_bits(run, other):
    names = ("metrics.csv", "checkpoint.msgpack", "curve.png")
    return all((run / name).read_bytes() == (other / name).read_bytes() for name in names)


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_a_run_has_the_same_bits_without_a_cache_with_one_and_with_a_damaged_one(tmp_path, kept):
    for name in ("off", "empty", "filled", "damaged"):
        for program in programs(kept) if name == "damaged" else []:
            program.write_bytes(program.read_bytes()[:100])
        off = ["--no-compilation-cache"] * (name == "off")
        done = execute("train.py", *SMALL, *off, "--out", name, cwd=tmp_path)
        said = done.stderr.splitlines()
        assert len(said) == (name == "damaged"), said
        assert same_bits(tmp_path / name, tmp_path / "off"), name
        assert bool(programs(kept)) == (name not in ("off", "damaged")), name


@pytest.mark.slow
@pytest.mark.timeout(280)
def test_processes_that_fill_one_cache_at_once_do_not_disturb_each_other(
    tmp_path, kept, monkeypatch
):
    monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")  # compiles fast
    names = [f"run{i}" for i in range(4)]
    started = [begin("train.py", *SMALL, "--out", name, cwd=tmp_path) for name in names]
    ended = [process.communicate(timeout=250) for process in started]
    assert [stderr for _, stderr in ended] == [""] * 4
    assert [process.returncode for process in started] == [0] * 4
    assert all(same_bits(tmp_path / name, tmp_path / "run0") for name in names)
    assert len(programs(kept)) > 2
