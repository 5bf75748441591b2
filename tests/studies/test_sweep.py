"""Grids of tiny grid points, stopped and gone on with: no row is lost, none is made twice."""

import dataclasses
import itertools
import random
import time
from concurrent.futures import Future

import pytest
from fabricated import changed_row, row
from running import begin, execute
from tiny_points import POINTS, TINY, found

from echo_jax import environment
from echo_jax.cluster import Here
from echo_jax.commands.grid_runs import run_points
from echo_jax.config import changed
from echo_jax.exceptions import ConfigError
from echo_jax.host.compiled_programs import Timed
from echo_jax.host.interrupts import Interrupts
from echo_jax.studies import result_rows, seed_parts, sweep
from echo_jax.studies.grid_point import GridPoint


@pytest.fixture(autouse=True)
def nothing_is_trained(monkeypatch):
    """Rows are fabricated, after two progress reports each."""

    def run_point(point, programs, seconds, report):
        for share in (4 / 6, 1.0):
            report(share)
        return fabricated(point)

    compiled = Future()
    compiled.set_result(Timed(None, 1.0))
    monkeypatch.setattr(sweep, "_in_thread", lambda _: compiled)
    monkeypatch.setattr(sweep, "run_point", run_point)


def fabricated(point):
    return changed_row(row(point, list(point.key.encode())), versions=environment.versions())


WHOLE = [fabricated(point) for point in POINTS]


def test_lags_and_states_that_share_a_program_are_run_after_each_other():
    others = [GridPoint({"window": n}, changed(TINY, window=n)) for n in (3, 4)]
    points = [others[0], *POINTS[:2], others[1], *POINTS[2:]]
    assert sweep.by_program(points) == [others[0], *POINTS, others[1]]


def test_grid_points_with_a_row_are_not_run_again_and_rows_of_others_stay(tmp_path):
    path, other = tmp_path / "a.jsonl", fabricated(GridPoint({"lag": 0}, changed(TINY, seed=5)))
    for each in (WHOLE[1], other, WHOLE[2]):
        result_rows.append(path, each)
    left = seed_parts.missing(POINTS, result_rows.read(path))
    done = [each.result for each in sweep.complete(left, path, Here())]
    assert done == [WHOLE[0], WHOLE[3]]
    assert result_rows.read(path) == [WHOLE[1], other, WHOLE[2], WHOLE[0], WHOLE[3]]
    assert seed_parts.missing(POINTS, result_rows.read(path)) == []


MANY = GridPoint({"lag": 0}, changed(TINY, seeds=5, seed=3))
PARTS = ("lag 0, seeds 3 to 4", "lag 0, seeds 5 to 6", "lag 1, carried no", "lag 0, seeds 7 to 7")


@pytest.fixture
def in_twos(monkeypatch):
    monkeypatch.setattr(seed_parts, "MOST_SEEDS", 2)


@pytest.mark.parametrize("moment", [0, 3, 7])
def test_many_seeds_are_one_row_of_parts_none_of_which_is_run_twice(tmp_path, in_twos, moment):
    path, made, told = tmp_path / "a.jsonl", [], itertools.count()
    points = [MANY, POINTS[3]]

    def interrupt(point, share):
        if next(told) == moment:
            raise KeyboardInterrupt

    def run(report=lambda *_: None):
        left = seed_parts.missing(points, result_rows.read(path))
        made.extend(each.task.name for each in sweep.complete(left, path, Here(report)))

    with pytest.raises(KeyboardInterrupt):
        run(interrupt)
    assert tuple(made) == PARTS[: moment // 2]
    assert seed_parts.finished([MANY], result_rows.read(path)) == []
    run()
    assert sorted(made) == sorted(PARTS)
    whole, _ = seed_parts.finished(points, result_rows.read(path))
    assert whole.by_seed.seed == [3, 4, 5, 6, 7]
    assert (whole.key, whole.point) == (MANY.key, "lag 0")
    path.unlink()
    result_rows.append(path, whole)  # as a version that wrote one had it
    assert seed_parts.missing(points, result_rows.read(path)) == [POINTS[3]]
    assert seed_parts.finished([MANY], result_rows.read(path)) == [whole]


def test_a_grid_point_that_fails_is_told_at_the_end_and_all_others_have_rows(tmp_path, monkeypatch):
    def run_point(point, *_):
        if point == POINTS[1]:
            raise ConfigError("its loss is non-finite")
        return fabricated(point)

    monkeypatch.setattr(sweep, "run_point", run_point)
    failures = run_points(tmp_path / "a.jsonl", POINTS, Interrupts(), None)
    assert failures == ["lag 0, carried no: its loss is non-finite"]
    assert result_rows.read(tmp_path / "a.jsonl") == [WHOLE[0], *WHOLE[2:]]


def test_a_grid_point_of_another_text_than_that_of_this_process_is_not_run():
    point = dataclasses.replace(POINTS[0], cell_source=64 * "a")
    (outcome,) = Here().map(sweep.run_task, [point])
    assert "has another text on this worker" in outcome.failure


SWEEP = [
    "--lag", "0", "--window", "2", "3", "4", "--vocab-size", "6", "--length", "8", "--hidden", "4",
    "--batch", "2", "--sequences", "6", "--evaluation-sequences", "5", "--seeds", "2",
]  # fmt: skip


def by_point(rows):
    return {each.point: found(each) for each in rows}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_killed_at_random_moments_goes_on_to_the_same_rows(tmp_path):
    began = time.perf_counter()
    execute("sweep.py", *SWEEP, "--out", "whole", cwd=tmp_path)
    seconds = time.perf_counter() - began
    expected = result_rows.read(tmp_path / "whole" / "rows" / "sweep.jsonl")
    assert len(expected) == 3
    path = tmp_path / "killed" / "rows" / "sweep.jsonl"
    rng, stood_at = random.Random(0), [0]
    for i in range(4):
        process = begin("sweep.py", *SWEEP, "--out", "killed", cwd=tmp_path)
        if i % 2:
            time.sleep(0.5 * seconds * rng.random())
        else:  # as soon as there is another row: the next one has a program of its own to compile
            while process.poll() is None and len(result_rows.read(path)) == stood_at[-1]:
                time.sleep(0.001)
        process.kill()
        process.communicate()
        stood_at.append(len(result_rows.read(path)))  # never half a row
    assert stood_at == sorted(stood_at)
    assert 1 in stood_at
    execute("sweep.py", *SWEEP, "--out", "killed", cwd=tmp_path)
    assert by_point(result_rows.read(path)) == by_point(expected)
    assert len(result_rows.read(path)) == 3
