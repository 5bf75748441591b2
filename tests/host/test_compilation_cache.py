import jax
import pytest

from echo_jax.host import compilation_cache


@pytest.mark.parametrize("cache", ["a file", "/proc/none"])
def test_without_a_folder_for_them_programs_are_not_kept_and_a_sentence_says_so(
    tmp_path, monkeypatch, capsys, cache
):
    (tmp_path / "a file").write_text("mine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / cache))
    before = jax.config.jax_compilation_cache_dir
    compilation_cache.use_compilation_cache()
    assert jax.config.jax_compilation_cache_dir == before
    said = capsys.readouterr().err
    assert said.startswith("no compiled programs are kept: [Errno ")
    assert said.count("\n") == 1
