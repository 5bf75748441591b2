"""Tasks on workers: the same bits as here, whatever dies; what does not work is one sentence."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import cluster_tasks
import pytest
from cluster_tasks import job, tasks
from running import ROOT, SMALL, begin, execute
from tiny_memory import toml_of

from echo_jax.cells import user_cell
from echo_jax.echo.studies.result_rows import RESULT_ROWS
from echo_jax.engine import cluster
from echo_jax.engine.grid import Execution
from echo_jax.exceptions import ConfigError

ONE = [*SMALL, "--lag", "0", "--seeds", "2"]
SWEEP = [*ONE, "--window", "3", "4"]


@pytest.fixture
def on_workers(monkeypatch):
    """Opens `cluster.workers_of`; the tests' own modules are importable there."""
    support = ROOT / "tests" / "support"
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{support}")
    monkeypatch.setenv("DASK_LOGGING__DISTRIBUTED", "critical")  # Dask sets it, and leaves it there
    with contextlib.ExitStack() as stack:
        yield lambda spec: stack.enter_context(
            cluster.executor_of(Execution(spec), None, ["a task"])
        )


def results(outcomes):
    return {outcome.task.value: outcome.row or outcome.failure for outcome in outcomes}


def digests(rows):
    return sorted(RESULT_ROWS.digest(RESULT_ROWS.encode(row)) for row in rows)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        *((spec, "is not a cluster") for spec in ("local", "local:0", "local:x")),
        ("tcp://127.0.0.1:9", "does not answer"),
        ("queue.yaml", "is not a cluster"),
    ],
)
def test_a_cluster_that_is_none_is_refused(monkeypatch, spec, message):
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 1)
    with (
        pytest.raises(ConfigError, match=message) as refused,
        cluster.executor_of(Execution(spec), None, ["a task"]),
    ):
        pass
    assert refused.value.field == "cluster"
    assert str(refused.value.value) == spec


def test_a_worker_with_other_versions_settings_or_threads_is_refused():
    """Dask itself compares neither the settings of jax nor our source."""
    ours = cluster._needed(1)
    cluster.check_software("tcp://here:1", ours, ours)
    for name in ("jax", "XLA_FLAGS", "setting", "source digest", "threads", "threads of XLA"):
        with pytest.raises(ConfigError, match=f"with {name} 7, but must have"):
            cluster.check_software("tcp://here:1", ours | {name: "7"}, ours)
    without = {name: ours[name] for name in ours if name != "jax"}
    for pair in ((without, ours), (ours, without)):
        with pytest.raises(ConfigError, match="is a worker with jax "):
            cluster.check_software("tcp://here:1", *pair)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_workers_do_what_is_done_here_whatever_dies(on_workers, tmp_path):
    """Each of four tasks kills its worker once, and one task kills each of its workers."""
    workers = on_workers("local:2")
    once = [str(tmp_path / str(i)) for i in range(4)]
    outcomes = workers.map(job(cluster_tasks.die_once), tasks(once))
    assert results(outcomes) == {path: Path(path).name for path in once}
    failed = results(workers.map(job(cluster_tasks.fail_at_three), tasks(range(1, 50))))
    assert failed.pop(3) == "ValueError: three is not allowed"
    assert failed == {n: 2 * n for n in range(1, 50) if n != 3}
    died = results(workers.map(job(cluster_tasks.die_at_seven), tasks(range(1, 22))))
    assert "workers died while running it" in died.pop(7)
    assert died == {n: 2 * n for n in range(1, 22) if n != 7}


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_worker_that_joins_later_and_differs_is_sent_away(on_workers, capfd):
    workers = on_workers("local:1")
    client = workers._client
    late = subprocess.Popen(
        [sys.executable, "-m", "dask", "worker", client.scheduler.address, "--nthreads", "1"],
        env={**os.environ, "XLA_FLAGS": "--xla_cpu_use_fusion_emitters=false"},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    client.wait_for_workers(2, timeout=60)
    outcomes = results(workers.map(job(cluster_tasks.double), tasks(range(1, 30))))
    assert outcomes == {n: 2 * n for n in range(1, 30)}
    assert capfd.readouterr().err.count("is a worker with XLA_FLAGS --xla_cpu_use") == 1
    assert late.wait(timeout=60) == 0


def scheduler(folder):
    """A scheduler and a worker as a user starts them, in folders that have no code of ours."""
    folder.mkdir(exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    dask, quiet = [sys.executable, "-m", "dask"], {"cwd": folder, "env": environment}
    quiet |= {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    return address, [
        subprocess.Popen([*dask, *started], **quiet),
        subprocess.Popen([*dask, "worker", address, "--nthreads", "1", "--no-dashboard"], **quiet),
    ]


def stop(processes):
    for process in processes:
        process.terminate()
    for process in processes:
        process.wait(timeout=30)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_scheduler_that_is_killed_loses_no_row(tmp_path):
    execute("sweep.py", *SWEEP, "--out", "whole", cwd=tmp_path)
    path = tmp_path / "killed" / "rows" / "sweep.jsonl"
    address, processes = scheduler(tmp_path / "elsewhere")
    run = begin("sweep.py", *SWEEP, "--out", "killed", "--cluster", address, cwd=tmp_path)
    while run.poll() is None and not RESULT_ROWS.read(path):
        time.sleep(0.05)
    processes[0].kill()
    said = run.communicate(timeout=120)[1]
    stop(processes)
    assert run.returncode == 2, said
    assert "error: the scheduler is gone" in said
    assert "; to go on: " in said
    address, processes = scheduler(tmp_path / "elsewhere")
    execute("sweep.py", *SWEEP, "--out", "killed", "--cluster", address, cwd=tmp_path)
    stop(processes)
    whole = RESULT_ROWS.read(tmp_path / "whole" / "rows" / "sweep.jsonl")
    assert digests(RESULT_ROWS.read(path)) == digests(whole)


CELL = """
import jax.numpy as jnp
from flax import linen as nn

ONE = jnp.ones(3)  # used as the file is imported


class Mine(nn.LSTMCell):
    def __call__(self, carry, x):
        {body}
        return super().__call__(carry, x)
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cell_from_the_users_folder_reaches_workers_that_stand_elsewhere(tmp_path):
    """So does its new text, where it is changed while they stand there, and so do own values."""
    address, processes = scheduler(tmp_path / "elsewhere")
    (tmp_path / "my.txt").write_text("a cadabra " * 20)
    grid = [*ONE, "--cell", "mine:Mine", "--text", "my.txt", "--out"]
    try:
        for rows, body in ((1, "pass"), (2, "carry = carry[0], 2 * carry[1]")):
            (tmp_path / "mine.py").write_text(CELL.format(body=body))
            execute("sweep.py", *grid, "here", cwd=tmp_path)
            execute("sweep.py", *grid, "there", "--cluster", address, cwd=tmp_path)
            here, there = (
                RESULT_ROWS.read(tmp_path / out / "rows" / "sweep.jsonl")
                for out in ("here", "there")
            )
            assert digests(here) == digests(there)
            assert len({*digests(here)}) == rows
    finally:
        stop(processes)


@pytest.mark.parametrize("cell", ["__main__:Mine", "block:json:Nothing"])
def test_a_cell_that_no_worker_can_import_is_refused(cell):
    with pytest.raises(ConfigError, match="cannot be imported by a worker: write it"):
        user_cell.files_of([cell])


ONE_CORE = ["taskset", "--cpu-list", str(min(os.sched_getaffinity(0)))]
CALL = """
import echo_jax
echo_jax.card("block:gru", state_bytes=400, only="by-lag", seeds=2,
              protocol=echo_jax.Protocol(**{}), out="{}", cluster={}, keep=True)
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_card_of_real_size_is_the_same_alone_on_workers_on_one_core_and_called(tmp_path):
    """The call on workers stands in a script without a main guard, as it is run once.

    The final streams are drawn by the digest of the weights, so one bit of these shows.

    Of this cell one, two and eight threads have other bits; NPROC stands for a larger machine.
    """
    numbers = {"updates": 40, "updates_at_once": 20, "streams": 4, "rates": [0.03]}
    (tmp_path / "short.toml").write_text(toml_of(numbers))
    card = [sys.executable, ROOT / "scripts" / "card.py", "--protocol", "short.toml"]
    card += ["--cell", "block:gru", "--state-bytes", "400", "--only", "by-lag", "--seeds", "2"]
    made = []
    for out, line, threads in (
        ("alone", [*card, "--out", "alone"], {"NPROC": "8"}),
        ("one core", [*ONE_CORE, *card, "--out", "one core"], {}),
        ("called", [sys.executable, "-c", CALL.format(numbers, "called", None)], {"NPROC": "8"}),
        ("workers", [sys.executable, "called.py"], {}),
    ):
        (tmp_path / "called.py").write_text(CALL.format(numbers, "workers", "'local:2'"))
        done = subprocess.run(
            line, cwd=tmp_path, check=True, timeout=200, stdout=subprocess.PIPE, text=True,
            env=os.environ | threads,
        )  # fmt: skip
        assert "  0/2  20/80 updates\n" in done.stdout  # the first block
        (path,) = (tmp_path / out).glob("*/rows.jsonl")
        made.append(sorted(path.read_text().splitlines()))
    assert made[0] == made[1] == made[2] == made[3]
    here, there = (
        {path.name: path.read_bytes() for path in (tmp_path / out).glob("*/weights/*")}
        for out in ("called", "workers")
    )
    assert len(here) == 2
    assert here == there
