"""The environment of jax: it changes no number."""

import os

import jax
import pytest
from running import execute

from echo_jax import atomic_files, environment
from echo_jax.environment import use_cpu_devices
from echo_jax.jax_settings import SETTINGS

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
SMALL = ["--length", "10", "--vocab-size", "8", "--batch", "2", "--sequences", "5"]


def test_settings_are_those_of_all_results_whatever_the_environment_and_the_program_say(
    monkeypatch,
):
    for name in SETTINGS:
        monkeypatch.setenv(name.upper(), "nonsense")
    jax.config.update("jax_threefry_partitionable", False)
    jax.config.update("jax_default_prng_impl", "rbg")
    environment.set_up_jax()
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
