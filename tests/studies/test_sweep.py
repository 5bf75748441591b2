"""Grids of tiny grid points, stopped and gone on with: no row is lost, none is made twice."""

import dataclasses
import random
import time

import pytest
from running import begin, execute
from tiny_points import POINTS, TINY, found

from echo_jax.config import changed
from echo_jax.exceptions import ConfigError
from echo_jax.studies import run_study
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.result_rows import RESULT_ROWS
from echo_jax.studies.run_grid_point import compile_point


def test_lags_and_states_that_share_a_program_are_run_after_each_other():
    others = [GridPoint({"window": n}, changed(TINY, window=n)) for n in (3, 4)]
    points = [others[0], *POINTS[:2], others[1], *POINTS[2:]]
    assert run_study.by_program(points) == [others[0], *POINTS, others[1]]


def test_a_grid_point_of_another_text_than_that_of_this_process_is_not_run():
    point = dataclasses.replace(POINTS[0], cell_source=64 * "a")
    with pytest.raises(ConfigError, match="has another text on this worker"):
        compile_point(point)


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
    expected = RESULT_ROWS.read(tmp_path / "whole" / "rows" / "sweep.jsonl")
    assert len(expected) == 3
    path = tmp_path / "killed" / "rows" / "sweep.jsonl"
    rng, stood_at = random.Random(0), [0]
    for i in range(4):
        process = begin("sweep.py", *SWEEP, "--out", "killed", cwd=tmp_path)
        if i % 2:
            time.sleep(0.5 * seconds * rng.random())
        else:  # as soon as there is another row: the next one has a program of its own to compile
            while process.poll() is None and len(RESULT_ROWS.read(path)) == stood_at[-1]:
                time.sleep(0.001)
        process.kill()
        process.communicate()
        stood_at.append(len(RESULT_ROWS.read(path)))  # never half a row
    assert stood_at == sorted(stood_at)
    assert 1 in stood_at
    execute("sweep.py", *SWEEP, "--out", "killed", cwd=tmp_path)
    assert by_point(RESULT_ROWS.read(path)) == by_point(expected)
    assert len(RESULT_ROWS.read(path)) == 3
