"""Tiny grid points, run: the rows that they must give."""

import dataclasses
import math
import random

import jax
import numpy as np
import pytest
from msgspec import UNSET
from tiny_points import POINTS, TINY, easy, found
from whole_runs import train_and_evaluate

import echo_jax
from echo_jax.config import changed, chosen
from echo_jax.echo import many_seeds
from echo_jax.echo.compiled_programs import Programs
from echo_jax.echo.run.result import Scores
from echo_jax.echo.studies import run_grid_point, study_call
from echo_jax.echo.studies.catalogue import Study
from echo_jax.echo.studies.grid_point import GridPoint
from echo_jax.echo.studies.run_grid_point import JOB, compile_point
from echo_jax.echo.studies.sweep_call import checked
from echo_jax.engine.grid import Here
from echo_jax.exceptions import ConfigError
from echo_jax.report.number_formats import plain


@pytest.fixture(scope="module", autouse=True)
def chunks_of_four():
    """A grid point has two chunks, of 4 and of 2 sequences with 3 updates each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_grid_point, "CHUNK_UPDATES", 12)
        yield


@pytest.fixture(scope="module")
def programs(chunks_of_four):
    """The programs of all grid points here, compiled once."""
    return compile_point(POINTS[0])


def run(point, programs, told=lambda *_: None):
    return run_grid_point.run_point(point, programs, told)


def test_rows_have_the_numbers_of_runs_of_their_configurations(programs):
    """Bit for bit, except that rows hold six digits."""
    train = jax.jit(train_and_evaluate, static_argnums=(0, 2))

    def direct(config):
        runs = [changed(config, seed=seed, seeds=1) for seed in (0, 1)]
        return jax.device_get(train(TINY.static_config, many_seeds.stack_dynamic(runs), "map"))[1:]

    rows = [run(point, programs) for point in POINTS]
    for point, row in zip(POINTS, rows, strict=True):
        _, scored = direct(point.config)
        assert (row.labels, row.by_seed.seed) == (point.labels, [0, 1])
        for name in ("accuracy", "loss", "distance"):
            assert getattr(row.by_seed, name) == plain(getattr(scored, name)), name
        bits = (math.log(6) - scored.loss.astype(float)) / math.log(2)
        assert row.by_seed.recalled_bits == pytest.approx(bits, rel=1e-5)
        assert row.accuracy_by_position == plain(np.mean(scored.accuracy_by_position, axis=0))
    assert len({str(row.by_seed) for row in rows}) == 4
    assert found(run(POINTS[0], programs)) == found(rows[0])
    # the curves decide when a seed has learned: a mean over the batches of each sequence
    learned = run_grid_point.train(
        POINTS[0], programs.program, programs.program.dynamic(TINY), lambda *_: None
    )
    metrics, _ = direct(TINY)
    assert metrics.loss.shape == (2, 6, 3)
    loss, accuracy = learned.history.curves()
    np.testing.assert_array_equal(loss, metrics.loss.mean(axis=-1))
    np.testing.assert_array_equal(accuracy, metrics.accuracy.mean(axis=-1))


def test_a_row_on_own_values_is_that_of_a_run_and_of_no_other_values(tmp_path):
    text, points = tmp_path / "my.txt", []
    config = changed(TINY, text=text, lag=-1, vocab_size=100)
    for seed in range(2):
        text.write_text("".join(random.Random(seed).choices("abc ", k=160)))
        points += checked(Study("?", (GridPoint({}, config),))).points
    (outcome,) = Here().map(JOB, points[1:])
    row, run = outcome.row, echo_jax.train(**chosen(config)).result
    for name in set(Scores.__struct_fields__) - {"seconds"}:
        assert getattr(row, name) == getattr(run, name), name
    assert (row.baseline_distance, row.k_gram_loss > 0) == (UNSET, True)
    assert row.key == points[1].key != points[0].key
    assert points[0].config == points[1].config


def test_what_a_row_says_of_its_grid_point_is_right_by_hand(programs):
    row = run(dataclasses.replace(POINTS[2], cell_source=64 * "a"), programs)
    assert row.point == "lag 1, carried yes"
    assert row.cell_source == 64 * "a"
    # 7 viable rows of windows of 2, the last 6 in 3 batches, in each of 6 sequences
    assert (row.sequences, row.updates) == (6, 18)
    kernel, recurrent, bias, readout = 6 * 16, 4 * 16, 16, 4 * 6 + 6
    assert row.parameters == kernel + recurrent + bias + readout
    assert row.bytes >= 2 * 3 * 4 * row.parameters  # weights and two moments, two seeds
    blind = 1 / 6 + 5 / 6 / 2  # both values equal: certain; otherwise one of two
    assert [row.baseline_accuracy, row.order_blind_accuracy] == pytest.approx(
        [1 / 6, blind], abs=1e-6
    )
    assert [row.baseline_loss, row.order_blind_loss] == pytest.approx(
        [math.log(6), 5 / 6 * math.log(2)]
    )
    assert row.baseline_distance == pytest.approx(1.5)
    assert (row.failed.seed, row.measured) == ([], {})
    assert row.by_seed.sequences_to_99 == [None, None]
    assert 0 < row.seconds["update"] < row.seconds["train"] / 2


def test_a_grid_point_stops_with_the_chunk_in_which_its_last_seed_has_learned(programs):
    shares = []
    row = run(easy(until_learned=True), programs, shares.append)
    until = row.by_seed.sequences_to_99
    stopped = 4 * math.ceil(max(until) / 4)
    assert 20 <= min(until) < max(until) < 1000
    assert (row.sequences, row.updates) == (stopped, 3 * stopped)
    assert shares == pytest.approx([4 * (i + 1) / 2000 for i in range(stopped // 4)])
    control = run(easy(), programs)
    assert control.sequences == 2000
    assert control.by_seed.sequences_to_99 == until


def test_a_seed_that_fails_counts_as_nothing_and_is_named(programs, monkeypatch):
    """One learning rate of the two is so large that its weights become non-finite."""
    point = GridPoint({"rate": "mixed"}, changed(TINY, seed=7))
    good = run(point, programs)
    dynamic = programs.program.dynamic(point.config)
    rates = dynamic.learning_rate.copy()
    rates[1] = 3e38
    mixed = dynamic._replace(learning_rate=rates)
    monkeypatch.setattr(Programs, "dynamic", lambda self, config: mixed)
    row = run(point, programs)
    assert row.failed.seed == [8]
    assert row.failed.sequence[0] in range(1, 7)
    scores = row.by_seed
    for name in ("accuracy", "loss", "distance", "sequences_to_99", "recalled_bits"):
        assert getattr(scores, name)[0] == getattr(good.by_seed, name)[0]
    assert (scores.accuracy[1], scores.recalled_bits[1]) == (0.0, 0.0)
    assert (scores.loss[1], scores.distance[1], scores.sequences_to_99[1]) == (None, None, None)
    assert None not in row.accuracy_by_position
    monkeypatch.undo()
    row = run(GridPoint({"rate": "huge"}, changed(TINY, learning_rate=3e38)), programs)
    assert (row.failed.seed, row.by_seed.accuracy) == ([0, 1], [0.0, 0.0])
    assert row.accuracy_by_position == [None] * 6


def test_lags_and_states_that_share_a_program_are_run_after_each_other():
    others = [GridPoint({"window": n}, changed(TINY, window=n)) for n in (3, 4)]
    points = [others[0], *POINTS[:2], others[1], *POINTS[2:]]
    assert study_call.by_program(points) == [others[0], *POINTS, others[1]]


def test_a_grid_point_of_another_text_than_that_of_this_process_is_not_run():
    point = dataclasses.replace(POINTS[0], cell_source=64 * "a")
    with pytest.raises(ConfigError, match="has another source text"):
        compile_point(point)
