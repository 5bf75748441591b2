"""The environment of jax: it changes no number."""

import os
import re
import subprocess

import jax
import pytest
from running import SMALL, execute

from echo_jax import machine
from echo_jax.exceptions import ConfigError
from echo_jax.jax_settings import SETTINGS
from echo_jax.machine import use_cpu_devices
from echo_jax.storage import atomic_files

SWITCHED_ON = "RANDOM_SEED_OFFSET ENABLE_X64 DISABLE_MOST_OPTIMIZATIONS SCAN3 DISABLE_JIT"
HOSTILE = {
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "EAGER_CONSTANT_FOLDING": "1",
    **{f"JAX_{name}": "1" for name in SWITCHED_ON.split()},
}


def test_settings_are_those_of_all_results_whatever_the_environment_and_the_program_say(
    monkeypatch,
):
    for name in SETTINGS:
        monkeypatch.setenv(name.upper(), "nonsense")
    jax.config.update("jax_threefry_partitionable", False)
    jax.config.update("jax_default_prng_impl", "rbg")
    machine.set_up_jax()
    for name, setting in SETTINGS.items():
        assert jax.config.values[name] == setting
        assert os.environ.get(name.upper(), "None") == str(setting)


@pytest.mark.slow
def test_a_run_in_a_hostile_environment_is_the_same_run(tmp_path):
    found = []
    for name, variables in (("plain", {}), ("hostile", HOSTILE)):
        execute("train.py", *SMALL, "--out", name, cwd=tmp_path, env=os.environ | variables)
        found.append(atomic_files.read_json(tmp_path / name / "result.json")["digest"])
    assert found[0] == found[1]
    assert {name.upper() for name in SETTINGS} - {"JAX_ENABLE_CUSTOM_PRNG"} == set(HOSTILE)


def test_threads_are_not_changed_where_jax_was_used_already(monkeypatch):
    monkeypatch.setenv("NPROC", "7")
    jax.devices()
    use_cpu_devices.__wrapped__(1, 3)
    assert os.environ["NPROC"] == "7"


@pytest.mark.parametrize("given", ["0", "-1", "2.5", "\u0663", "100000"])
def test_a_number_of_threads_with_which_xla_does_not_start_is_refused(monkeypatch, given):
    monkeypatch.setenv("NPROC", given)
    with pytest.raises(ConfigError, match=r"^NPROC=.* is not a whole number from 1 to 1,024"):
        use_cpu_devices.__wrapped__(1)


X86 = "x86_64\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nflags\t: avx2"
ARM = "aarch64\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\nFeatures\t: sve"


def test_a_processor_is_told_from_another_of_its_name_and_from_itself_with_fewer_instructions(
    monkeypatch,
):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    kinds = []
    for stated in (X86, X86.replace("25", "26"), ARM):
        monkeypatch.setattr(machine, "processor", lambda stated=stated: stated)
        kinds.append(machine.device_kind())
    assert kinds[0] == "cpu, AMD EPYC (family 25, model 17)"
    assert kinds[2].endswith("(implementer 0x41, part 0xd0c)")
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_max_isa=AVX512 --xla_cpu_max_isa=avx2")
    assert machine.device_kind() == f"{kinds[2]}, XLA limited to AVX2"
    assert len({*kinds, machine.device_kind()}) == 4
    monkeypatch.setattr(machine, "processor", lambda: X86.replace("avx2", "avx2 avx512f"))
    assert not machine.has_wide_vectors()
    monkeypatch.delenv("XLA_FLAGS")
    assert machine.has_wide_vectors()
    monkeypatch.setattr(machine, "processor", lambda: X86)
    assert not machine.has_wide_vectors()


def test_a_version_between_releases_is_named_by_its_commit_or_by_its_source(tmp_path, monkeypatch):
    def version():
        machine.source_digest.cache_clear()
        return machine.own_version.__wrapped__()

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a")
        return subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    file = tmp_path / "environment.py"
    monkeypatch.setattr(machine, "__file__", str(file))
    monkeypatch.setattr(machine, "__version__", "0.3.0.dev0")
    file.write_text("a = 1")
    by_source = version()
    assert re.fullmatch(r"0\.3\.0\.dev0\+source\.[0-9a-f]{16}", by_source)
    git("init")
    git("add", ".")
    git("commit", "-m", "a")
    commit = git("rev-parse", "--short=8", "HEAD").stdout.decode().strip()
    assert version() == f"0.3.0.dev0+g{commit}"
    file.write_text("a = 2")
    changed = version()
    assert "source" in changed
    assert changed != by_source
    monkeypatch.setattr(machine, "__version__", "0.3.0")
    assert version() == "0.3.0"
    machine.source_digest.cache_clear()
