"""The race between peers: its rules are kept, and it runs. Never how fast."""

import importlib.util
import json
import os
import re
import sys

import jax
import pytest
from running import execute

from echo_jax.exceptions import ConfigError
from echo_jax.speed_benchmark import limit_program, peers, race
from echo_jax.speed_benchmark.learner import JOB
from echo_jax.speed_benchmark.numpy_lstm import NumpyLSTM
from echo_jax.speed_benchmark.worker import Worker

UNOPTIMISED = {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"}
"""For processes whose speed does not matter: they compile in half the time."""


class Forgetful(NumpyLSTM):
    """Every batch starts from zero, as in a peer that ignores `stateful`."""

    def run_batch(self, state, window, target, learn):
        return super().run_batch(None, window, target, learn)


@pytest.mark.parametrize(
    ("learner", "carries"), [(NumpyLSTM, True), (Forgetful, False), (peers.EchoJax, True)]
)
def test_a_peer_that_drops_its_state_is_found_out(learner, carries):
    peer = learner(JOB)
    peer.start()
    losses = peer.losses_at_rest()
    assert len(losses) == 4
    assert race.carries_state(losses) is carries


@pytest.mark.parametrize(
    ("times", "reference", "expected"),
    [
        ([30, 31, 29], [10, 10, 10], (3.0, 2.9, 3.1)),
        ([1, 2], [4, 4], (0.375, 0.25, 0.5)),
        ([20, 36, 20], [10, 18, 10], (2, 2, 2)),  # of the same round: slow rounds cancel
        ([10, 12, 11], [11, 10, 12], None),
        ([30, 31, 11], [10, 10, 12], None),
        ([5, 6], [6, 7], None),
    ],
)
def test_a_ratio_is_of_one_round_and_refused_where_the_times_overlap(times, reference, expected):
    assert race.ratio(times, reference) == expected
    text = race.ratio_text(times, reference)
    assert (text == "no clear difference") is (expected is None)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("compiling\nus_per_update 22.60 min 22.45\n", 22.6),
        ("3 repeats\ntook 12 s, 22.4 us\n\n", 22.4),
        ("us_per_update 2.5e1 min 20", 25.0),
    ],
)
def test_the_limit_is_read_from_the_last_line(printed, expected):
    assert limit_program.microseconds(printed) == expected
    for without in ("", "12.5 us\ndone\n"):
        with pytest.raises(ConfigError, match="has no number: print"):
            limit_program.microseconds(without)
    for no_time in ("us_per_update 0", "done in -3 us", "1e999"):
        with pytest.raises(ConfigError, match="which is no time: print microseconds per update"):
            limit_program.microseconds(no_time)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in peers.PEERS if not peers.PEERS[name].missing])
def test_every_installed_peer_has_its_version(name):
    versions = peers.PEERS[name].versions()
    assert all(re.match(r"\d+\.\d", version) for version in versions.values())


def end_at_once(pipe):
    os._exit(1)


@pytest.mark.parametrize(
    ("target", "question", "reason"),
    [
        (race.serve, ("train", "nothing"), r"\w+Error: \w+"),
        (end_at_once, (), "its process ended with 1"),
    ],
)
def test_a_worker_that_fails_says_why_and_harms_no_other(target, question, reason):
    found, arguments = race.Race(fast=True), ("numpy", True) if question else ()
    found.contestants |= {"numpy": None, "linen": None}
    with Worker(None, {}, target, *arguments) as worker, found.failing("numpy"):
        assert worker.reply(60)["chunk"] == 1
        worker.ask(60, *question)
    assert list(found.contestants) == ["linen"]
    assert re.match(reason, found.absent["numpy"])


def test_without_the_reference_there_is_no_race():
    found, worker = race.Race(fast=True), Worker(None, {}, end_at_once)
    sentence = "echo_jax fell out of its own benchmark: its process ended with 1"
    with worker, pytest.raises(ConfigError, match=sentence), found.failing("echo_jax"):
        worker.reply(60)


@pytest.mark.slow
def test_the_fast_benchmark_prints_its_table_and_writes_every_time(tmp_path):
    limit = f"{sys.executable} -c \"print('us_per_update 1e-3 min 0')\""
    options = ["--fast", "--out", "out", "--rounds", 3, "--limit", limit]
    done = execute("benchmark.py", *options, cwd=tmp_path, env=UNOPTIMISED)
    lines = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")]
    assert [line[0].strip() for line in lines] == ["peer", "---", "the limit", "echo_jax", "NumPy"]
    assert {len(line) for line in lines} == {7}
    assert "64 seeds on all cores" in done.stdout
    assert "whole process with an empty cache" in done.stdout

    result = json.loads((tmp_path / "out" / "benchmark.json").read_text())
    assert set(result["peers"]) == {"echo_jax", "numpy"}
    for row in (*result["peers"].values(), result["seeds"], result["limit"]):
        assert len(row["microseconds_per_update"]) == 3
    assert all(row["carries_state"] for row in result["peers"].values())
    assert all(0 <= row["accuracy"] <= 1 for row in result["peers"].values())
    assert result["before"]["processor"]
    assert len(result["before"]["load"]) == len(result["after"]["load"]) == 3
    assert result["peers"]["echo_jax"]["versions"]["jax"] == jax.__version__


@pytest.mark.slow
def test_the_fast_scaling_prints_its_table_and_draws_it(tmp_path):
    options = ["--fast", "--out", "out", "--scaling"]
    done = execute("benchmark.py", *options, cwd=tmp_path, env=UNOPTIMISED)
    assert "| window | 3 |" in done.stdout
    (point,) = json.loads((tmp_path / "out" / "scaling.json").read_text())["points"]
    assert point["microseconds"] > 0
    assert point["peak_mib"] > 0
    assert (tmp_path / "out" / "scaling.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed")
def test_keras_on_jax_is_found_to_ignore_stateful():
    with Worker(None, {"KERAS_BACKEND": "jax"}, race.serve, "keras-jax", True) as worker:
        worker.reply(120)
        assert not race.carries_state(worker.ask(120, "losses_at_rest"))
