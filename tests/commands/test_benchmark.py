"""The benchmark: its NumPy peer is an oracle, its rules are kept, it runs. Never how fast."""

import functools
import importlib.util
import json
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from running import ROOT

from echo_jax.commands import benchmark
from echo_jax.config import NetworkConfig, RunConfig, TaskConfig, TrainingConfig
from echo_jax.core import training
from echo_jax.core.network import build_network
from echo_jax.exceptions import ConfigError
from echo_jax.speed_benchmark import peers, scaling

UNOPTIMISED = {**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
"""For processes whose speed does not matter: they compile in half the time."""


def weights_of(params):
    cell, readout = params["cell"], params["readout"]
    leaves = (cell["kernel"], cell["recurrent_kernel"], cell["bias"])
    return peers.Weights(*(np.array(x) for x in (*leaves, readout["kernel"], readout["bias"])))


def forty_updates(config):
    """Losses and final weights of echo_jax and of NumPy, from the same weights and tokens."""
    tokens = np.random.default_rng(7).integers(
        0, config.task.vocab_size, (10, config.task.length), dtype=np.int32
    )
    state = jax.jit(functools.partial(training.init, config))(config.traced)
    oracle = peers.NumpyLSTM(config)
    oracle.start()
    oracle.weights = start = weights_of(state.params)
    start = peers.Weights(*map(np.copy, start))
    train = jax.jit(functools.partial(training.train_on, build_network(config)))
    state, metrics = train(config.traced, state, jnp.asarray(tokens))
    losses = oracle.fit(peers.cut(tokens, config.task))
    ours = (np.asarray(metrics.loss), weights_of(state.params))
    return ours, (losses, oracle.weights), start


@pytest.mark.slow
def test_forty_updates_are_those_of_the_numpy_oracle():
    (losses, weights), (expected, expected_weights), start = forty_updates(peers.JOB)
    assert losses.shape == expected.shape == (10, 4)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for ours, numpys, before in zip(weights, expected_weights, start, strict=True):
        change = np.linalg.norm(numpys - before)
        assert change > 0
        assert np.linalg.norm(ours - numpys) <= 1e-3 * change


@pytest.mark.slow
def test_the_oracle_agrees_while_much_is_learned():
    config = RunConfig(
        TaskConfig(length=14, vocab_size=6, window=3, lag=1, batch_size=3),
        NetworkConfig(hidden_size=8),
        TrainingConfig(learning_rate=0.02),
    )
    (losses, _), (expected, _), _ = forty_updates(config)
    assert expected[-1].mean() < expected[0].mean() - 0.1
    np.testing.assert_allclose(losses, expected, rtol=1e-3)


def test_the_gradient_of_the_oracle_is_the_slope_of_its_loss():
    oracle = peers.NumpyLSTM(peers.SMALL_JOB)
    oracle.start()
    w = peers.Weights(*(x.astype(float) for x in oracle.weights))
    random = np.random.default_rng(3)
    state = peers.State(*random.normal(size=(2, 2, 6)))
    window, target = random.integers(0, 8, (2, 3)), random.integers(0, 8, 2)

    def loss(w):
        return peers.backpropagate(w, state, window, target)[0]

    gradients = peers.backpropagate(w, state, window, target)[2]
    for name, gradient in gradients._asdict().items():
        direction = random.normal(size=gradient.shape)
        value = getattr(w, name)
        ahead, behind = (
            loss(w._replace(**{name: value + sign * 1e-5 * direction})) for sign in (1, -1)
        )
        assert (ahead - behind) / 2e-5 == pytest.approx(np.sum(gradient * direction), rel=1e-5)


def test_rows_are_cut_as_the_tutorial_cuts_them():
    windows, targets = peers.cut(np.arange(25)[None] * 2, peers.JOB.task)
    assert windows.shape == (1, 4, 5, 5)
    assert windows[0, 0, 0].tolist() == [2, 4, 6, 8, 10]
    assert targets[0, 0, 0] == 8
    assert windows[0, 3, 4].tolist() == [40, 42, 44, 46, 48]


class Forgetful(peers.NumpyLSTM):
    """Every batch starts from zero, as in a peer that ignores `stateful`."""

    def ask(self, rows):
        batches = rows.targets.shape[1]
        alone = [peers.Rows(*(part[:, k : k + 1] for part in rows)) for k in range(batches)]
        loss, said = zip(*map(super().ask, alone), strict=True)
        return np.concatenate(loss, axis=1), np.concatenate(said, axis=1)


@pytest.mark.parametrize(("learner", "carries"), [(peers.NumpyLSTM, True), (Forgetful, False)])
def test_a_peer_that_drops_its_state_is_found_out(learner, carries):
    peer = learner(peers.JOB)
    peer.start()
    losses = peers.answer(peer, ["rest"])["losses"]
    assert len(losses) == 4
    assert benchmark.carries_state(losses) is carries


@pytest.mark.parametrize(
    ("times", "reference", "expected"),
    [
        ([30, 31, 29], [10, 10, 10], (3.0, 2.9, 3.1)),
        ([1, 2], [4, 4], (0.375, 0.25, 0.5)),
        ([10, 12, 11], [11, 10, 12], None),
        ([30, 31, 11], [10, 10, 12], None),
        ([5, 6], [6, 7], None),
    ],
)
def test_a_ratio_is_refused_where_the_times_overlap(times, reference, expected):
    assert benchmark.ratio(times, reference) == expected
    cell = benchmark.ratio_cell(times, reference)
    assert (cell == "no clear difference") is (expected is None)


def test_a_ratio_compares_times_of_the_same_round():
    slow_rounds = np.array([1, 1.8, 1])
    found = benchmark.ratio(20 * slow_rounds, 10 * slow_rounds)
    assert found == (2, 2, 2)


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        ("compiling\nus_per_update 22.60 min 22.45\n", 22.6),
        ("3 repeats\ntook 12 s, 22.4 us\n\n", 22.4),
        ("us_per_update 2.5e1 min 20", 25.0),
    ],
)
def test_the_limit_is_read_from_the_last_line(printed, expected):
    assert benchmark.parse_limit(printed) == expected


@pytest.mark.parametrize("printed", ["", "12.5 us\ndone\n"])
def test_a_limit_without_a_number_on_its_last_line_is_refused(printed):
    with pytest.raises(ConfigError, match="has no number: print"):
        benchmark.parse_limit(printed)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rounds", "1"], "rounds 1 is below 2: use 2 or more"),
        (["--peers", "numpy", "cobol"], "peer cobol is unknown: use some of echo_jax, linen"),
        (["--round", "3"], "use --rounds, or see --help"),
    ],
)
def test_a_bad_command_line_ends_in_one_sentence(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        benchmark.parse(arguments)
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert sentence in printed
    assert printed.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in peers.PEERS if not peers.PEERS[name].missing])
def test_every_installed_peer_has_its_version(name):
    versions = [peers.version(package) for package in peers.PEERS[name].packages]
    assert all(re.match(r"\d+\.\d", version) for version in versions)


def test_a_worker_that_dies_says_why_and_harms_no_other():
    found = benchmark.Race({"numpy": None}, {}, [])
    with benchmark.Worker("numpy", None, True) as worker, benchmark.failing(found, "numpy"):
        assert worker.reply(60)["chunk"] == 1
        worker.ask("train nothing")
    assert not found.contestants
    assert "invalid literal" in found.failures["numpy"]


def run_benchmark(out, *arguments):
    command = [
        sys.executable,
        "-W",
        "error",
        str(ROOT / "scripts" / "benchmark.py"),
        "--out",
        str(out),
    ]
    return subprocess.run(
        [*command, "--fast", *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=UNOPTIMISED,
    )


@pytest.mark.slow
def test_the_fast_benchmark_prints_its_table_and_writes_every_time(tmp_path):
    limit = f"{sys.executable} -c \"print('us_per_update 1e-3 min 0')\""
    done = run_benchmark(tmp_path / "out", "--rounds", "3", "--limit", limit)
    assert done.returncode == 0, done.stderr
    lines = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("|")]
    assert [line[0].strip() for line in lines] == ["peer", "---", "the limit", "echo_jax", "NumPy"]
    assert {len(line) for line in lines} == {7}
    assert "64 seeds on all cores" in done.stdout
    assert "whole process from cold" in done.stdout

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
    done = run_benchmark(tmp_path / "out", "--scaling")
    assert done.returncode == 0, done.stderr
    assert "| window | 3 |" in done.stdout
    (point,) = json.loads((tmp_path / "out" / "scaling.json").read_text())["points"]
    assert point["microseconds"] > 0
    assert point["peak_mib"] > 0
    assert (tmp_path / "out" / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_what_explains_an_update_is_counted_by_hand():
    assert scaling.parameters(peers.JOB) == 20_000 + 10_000 + 200 + 5_000 + 100
    assert scaling.flops(peers.JOB) == 3 * 2 * (25 * 50 * 200 + 5 * 50 * 100)
    assert scaling.adam_bytes(peers.JOB) == 32 * 35_300
    machine = scaling.Machine(peak=1e6, bandwidth=1e6)
    assert scaling.explained(peers.JOB, machine) == pytest.approx(1.65 + 1.1296)


@pytest.mark.parametrize("point", scaling.points(fast=False), ids=lambda p: f"{p.axis}-{p.size}")
def test_every_point_of_the_scaling_is_part_4_with_one_size_changed(point):
    sizes = {
        "window": point.config.task.window,
        "vocabulary": point.config.task.vocab_size,
        "hidden": point.config.network.hidden_size,
        "seeds": point.config.seeds,
        "length": point.config.task.length,
    }
    assert sizes[point.axis] == point.size
    usual = {"window": 5, "vocabulary": 100, "hidden": 50, "seeds": 1, "length": 25}
    changed = {name for name in sizes if sizes[name] != usual[name]}
    assert changed <= {point.axis, "length" if point.axis == "window" else point.axis}


@pytest.mark.skipif(importlib.util.find_spec("keras") is None, reason="Keras is not installed")
def test_keras_on_jax_is_found_to_ignore_stateful():
    with benchmark.Worker("keras-jax", None, True) as worker:
        worker.reply(120)
        assert not benchmark.carries_state(worker.ask("rest")["losses"])
