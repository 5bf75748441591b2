"""Grids of tiny cells, run, stopped and gone on with: the rows that they must give."""

import json
import math
import random
import subprocess
import sys
import time
from types import SimpleNamespace

import chex
import jax
import numpy as np
import pytest
from running import ROOT, begin, execute

from echo_jax.config import PARTS, RunConfig, changed
from echo_jax.core import many_seeds
from echo_jax.report import number_formats
from echo_jax.studies import records, sweep
from echo_jax.studies.catalogue import Cell, grid, program_of

TINY = changed(
    RunConfig(), vocab_size=6, length=8, window=2, batch_size=2, lag=0, hidden_size=4, seeds=2,
    sequences=6, evaluation_sequences=5, learning_rate=0.05,
)  # fmt: skip
CELLS = tuple(
    grid(TINY, {}, {"lag": (0, 1), "stateful": (True, False)}, {"stateful": "carried"})
)  # one shape
CHUNK_SIZE = sweep.chunk_size
NOT_THE_SAME = ("seconds", "versions", "date")


def found(row):
    """What must be the same whenever and wherever a cell is run."""
    return {name: value for name, value in row.items() if name not in NOT_THE_SAME}


def by_cell(made):
    return {row["cell"]: found(row) for row in made}


@pytest.fixture(scope="module", autouse=True)
def chunks_of_four():
    """A cell has two chunks, of 4 and of 2 sequences."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "chunk_size", lambda config: 4)
        yield


@pytest.fixture(scope="module")
def compiled(chunks_of_four):
    """The programs of all cells here, compiled once; and how often they were asked for."""
    return SimpleNamespace(programs=sweep.compile_programs(TINY), asked=[])


@pytest.fixture
def once(compiled, monkeypatch):
    """Programs are the shared ones; the list of the configurations they were asked for."""

    def compile_programs(config):
        assert config.shapes == changed(TINY, seeds=1).shapes
        compiled.asked.append(config)
        return compiled.programs

    compiled.asked.clear()
    monkeypatch.setattr(sweep, "compile_programs", compile_programs)
    return compiled.asked


@pytest.fixture(scope="module")
def whole(compiled, tmp_path_factory):
    """The rows of a sweep that nothing stopped."""
    path = tmp_path_factory.mktemp("whole") / "sweep.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "compile_programs", lambda config: compiled.programs)
        made = list(sweep.complete(CELLS, path))
    written = records.read(path)
    assert made == [{k: v for k, v in row.items() if k != "digest"} for row in written]
    return written


def test_lags_and_states_share_one_compile(once, tmp_path):
    assert len(list(sweep.complete(CELLS, tmp_path / "a.jsonl"))) == 4
    assert once == [CELLS[0].config]


def test_what_cells_of_one_group_agree_in_is_all_that_their_programs_depend_on():
    """The control: a group for each other shape, and for each number of seeds."""
    base = program_of(TINY)
    same = {"lag": 1, "stateful": False, "learning_rate": 0.1, "sequences": 9, "seed": 3}
    for field, value in same.items():
        assert program_of(changed(TINY, **{field: value})) == base, field
    other = {
        "length": 10, "vocab_size": 7, "window": 3, "batch_size": 3, "hidden_size": 5, "seeds": 3,
        "cell": "gru", "evaluation_sequences": 6, "bptt_batches": 2, "optimizer": "keras-adam",
        "layout": "prefixes", "framing": "values", "encoding": "embedding",
    }  # fmt: skip
    for field, value in other.items():
        assert program_of(changed(TINY, **{field: value})) != base, field


@pytest.fixture(scope="module")
def direct():
    """`train_and_evaluate` of both seeds of a cell, which is compiled once for all of them."""
    chex.clear_trace_counter()
    traced = chex.assert_max_traces(many_seeds.train_and_evaluate, n=1)
    run = jax.jit(traced, static_argnums=(0, 2))

    def of(config):
        runs = [changed(config, seed=seed, seeds=1) for seed in (0, 1)]
        return jax.device_get(run(TINY.shapes, many_seeds.stack_traced(runs), "map"))[1:]

    return of


def test_rows_have_the_numbers_of_runs_of_their_configurations(whole, direct):
    """Bit for bit, but that rows hold six digits."""
    for cell, row in zip(CELLS, whole, strict=True):
        _, scored = direct(cell.config)
        assert row["labels"] == dict(cell.labels)
        assert row["by_seed"]["seed"] == [0, 1]
        for name in ("accuracy", "loss", "distance"):
            assert row["by_seed"][name] == number_formats.plain(getattr(scored, name)), name
        bits = (math.log(6) - scored.loss.astype(float)) / math.log(2)
        assert row["by_seed"]["recalled_bits"] == pytest.approx(bits, rel=1e-5)
        by_position = np.mean(scored.accuracy_by_position, axis=0)
        assert row["accuracy_by_position"] == number_formats.plain(by_position)
    assert len({json.dumps(row["by_seed"]) for row in whole}) == 4


def test_the_curves_of_training_are_those_of_the_run(compiled, direct):
    """They decide when a cell has learned: a mean over the batches of each sequence."""
    settings = sweep._settings(TINY)
    learned = sweep.train(CELLS[0], compiled.programs, settings, lambda *_: None)
    metrics, _ = direct(TINY)
    assert metrics.loss.shape == (2, 6, 3)
    np.testing.assert_array_equal(learned.loss, metrics.loss.mean(axis=-1))
    np.testing.assert_array_equal(learned.accuracy, metrics.accuracy.mean(axis=-1))


def test_what_a_row_says_of_its_cell_is_right_by_hand(whole):
    row = whole[2]
    assert row["cell"] == "lag 1, carried yes"
    # 7 viable rows of windows of 2, the last 6 in 3 batches, in each of 6 sequences
    assert row["trained"] == {"sequences": 6, "updates": 18}
    kernel, recurrent, bias, readout = 6 * 16, 4 * 16, 16, 4 * 6 + 6
    assert row["parameters"] == kernel + recurrent + bias + readout
    assert row["bytes"] >= 2 * 3 * 4 * row["parameters"]  # weights and two moments, two seeds
    blind = 1 / 6 + 5 / 6 / 2  # both the same: certain; otherwise one of two
    assert row["floors"] == pytest.approx({
        "accuracy": 1 / 6, "loss": math.log(6), "order_blind_accuracy": blind,
        "order_blind_loss": 5 / 6 * math.log(2), "distance": 1.5,
    })  # fmt: skip
    assert len(row["accuracy_by_position"]) == 6
    assert row["failed"] == {"seed": [], "sequence": []}
    assert row["measured"] == {}
    assert row["by_seed"]["sequences_to_99"] == [None, None]
    assert set(row["seconds"]) == {"compile", "train", "evaluate", "measure", "update"}
    assert 0 < row["seconds"]["update"] < row["seconds"]["train"] / 2


def test_cells_that_are_there_are_not_run_again(whole, once, tmp_path):
    path = tmp_path / "a.jsonl"
    for row in whole[1:3]:
        records.append(path, row)
    made = list(sweep.complete(CELLS, path))
    assert [row["cell"] for row in made] == [CELLS[0].name, CELLS[3].name]
    assert by_cell(records.read(path)) == by_cell(whole)
    before = path.read_bytes()
    assert list(sweep.complete(CELLS, path)) == []
    assert path.read_bytes() == before
    assert len(once) == 1


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_sweep_left_after_any_cell_goes_on_to_the_same_rows(whole, once, tmp_path, after):
    path = tmp_path / "a.jsonl"
    sweeping = sweep.complete(CELLS, path)
    for _ in range(after):
        next(sweeping)
    sweeping.close()
    assert len(records.read(path)) == after
    assert len(list(sweep.complete(CELLS, path))) == 4 - after
    assert list(map(found, records.read(path))) == list(map(found, whole))


@pytest.mark.parametrize("moment", [0, 3, 6])
def test_an_interrupt_loses_at_most_the_cell_at_work(whole, once, tmp_path, moment):
    """Cells have two chunks each; moment 2 k is in the middle of cell k."""
    path, told = tmp_path / "a.jsonl", []

    def interrupt(cell, share):
        told.append((cell.name, share))
        if len(told) > moment:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(sweep.complete(CELLS, path, interrupt))
    assert told[-1] == (CELLS[moment // 2].name, (4 / 6, 1.0)[moment % 2])
    assert len(records.read(path)) == moment // 2
    list(sweep.complete(CELLS, path))
    assert list(map(found, records.read(path))) == list(map(found, whole))


def test_rows_of_other_grids_stay_and_are_in_nobodys_way(whole, once, tmp_path):
    path = tmp_path / "a.jsonl"
    more = Cell({"lag": 0}, CELLS[0].config)
    list(sweep.complete([more], path))
    list(sweep.complete(CELLS, path))
    assert len(records.read(path)) == 5
    assert records.read(path)[0]["cell"] == "lag 0"


def easy(**options):
    return Cell({"task": "easy"}, changed(TINY, learning_rate=0.1, sequences=2000), **options)


def test_a_cell_stops_with_the_chunk_in_which_its_last_seed_has_learned(compiled):
    shares, programs = [], compiled.programs
    row = sweep.run_cell(easy(until_learned=True), programs, lambda _, share: shares.append(share))
    until = row["by_seed"]["sequences_to_99"]
    stopped = 4 * math.ceil(max(until) / 4)
    assert 20 <= min(until) < max(until) < 1000
    assert row["trained"] == {"sequences": stopped, "updates": 3 * stopped}
    assert shares == pytest.approx([4 * (i + 1) / 2000 for i in range(stopped // 4)])
    on = sweep.run_cell(easy(), programs, lambda *_: None)  # the control
    assert on["trained"]["sequences"] == 2000
    assert on["by_seed"]["sequences_to_99"] == until


def test_one_seed_that_has_not_learned_keeps_all_going():
    curves = np.ones((2, 30), np.float32)
    assert sweep._learned(curves)
    curves[1, ::2] = 0.97  # a running mean of 98.5%
    assert not sweep._learned(curves)


def test_how_long_a_chunk_is_does_not_depend_on_seeds_or_how_many_sequences():
    size = CHUNK_SIZE
    assert size(PARTS["current"]) == 400 // 25
    assert size(PARTS["context"]) == 400 // 4
    assert size(changed(PARTS["context"], seeds=3, sequences=7)) == 100
    assert size(changed(PARTS["current"], length=1000)) == 1


def test_a_seed_that_fails_counts_as_nothing_and_is_named(compiled):
    """One rate of the two is made so large that its weights become no numbers."""
    cell = Cell({"rate": "mixed"}, changed(TINY, seed=7))
    settings = sweep._settings(cell.config)
    mixed = settings._replace(learning_rate=settings.learning_rate.at[1].set(3e38))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep, "_settings", lambda config: mixed)
        row = sweep.run_cell(cell, compiled.programs, lambda *_: None)
        patch.setattr(sweep, "_settings", lambda config: settings)
        good = sweep.run_cell(cell, compiled.programs, lambda *_: None)
    assert row["failed"]["seed"] == [8]
    assert row["failed"]["sequence"][0] in range(1, 7)
    first = {name: values[0] for name, values in good["by_seed"].items()}
    assert {name: values[0] for name, values in row["by_seed"].items()} == first
    assert {name: values[1] for name, values in row["by_seed"].items()} == {
        "seed": 8, "accuracy": 0.0, "loss": None, "distance": None, "sequences_to_99": None,
        "recalled_bits": 0.0,
    }  # fmt: skip
    assert None not in row["accuracy_by_position"]
    json.dumps(row, allow_nan=False)


def test_where_all_seeds_fail_the_row_says_so(compiled):
    cell = Cell({"rate": "huge"}, changed(TINY, learning_rate=3e38))
    row = sweep.run_cell(cell, compiled.programs, lambda *_: None)
    assert row["failed"]["seed"] == [0, 1]
    assert row["by_seed"]["accuracy"] == [0.0, 0.0]
    assert row["accuracy_by_position"] == [None] * 6


@pytest.mark.parametrize(
    ("sequences", "chunks", "learned", "update"),
    [
        (18, [9, 1, 6, 2, 0.5], False, 2 / 12),  # neither the first, nor the last, of 2 sequences
        (16, [9, 1, 6, 2], False, 2 / 12),
        (12, [9, 1, 6], False, 3.5 / 12),
        (8, [9, 1], False, 1 / 12),
        (6, [9, 1], False, 9 / 12),  # one is whole
        (4, [9], False, 9 / 12),
        (3, [9], False, 9 / 9),  # none is
        (18, [9], True, 9 / 12),
    ],
)
def test_what_an_update_takes_is_the_median_of_whole_chunks_but_the_first(
    monkeypatch, sequences, chunks, learned, update
):
    """Chunks are of 4 sequences, of 3 updates each."""
    now, left = [100.0], list(chunks)

    def run_chunk(settings, state, count):
        now[0] += left.pop(0)
        return state, (np.zeros((2, 4, 3)), np.zeros((2, 4, 3)))

    monkeypatch.setattr(sweep, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr(sweep, "_learned", lambda accuracy: learned)
    cell = Cell({}, changed(TINY, sequences=sequences), until_learned=learned)
    programs = SimpleNamespace(init=lambda settings: None, run_chunk=run_chunk)
    trained = sweep.train(cell, programs, None, lambda *_: None)
    assert left == []
    assert trained.update == pytest.approx(update)
    assert trained.seconds == sum(chunks)
    assert trained.loss.shape == (2, min(sequences, 4) if learned else sequences)


SWEEP = [
    "--lag", "0", "--window", "2", "3", "4", "--vocab-size", "6", "--length", "8", "--hidden", "4",
    "--batch", "2", "--sequences", "6", "--evaluation-sequences", "5", "--seeds", "2",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_sweep_killed_at_random_moments_goes_on_to_the_same_rows(tmp_path):
    began = time.perf_counter()
    execute("sweep.py", *SWEEP, "--out", "whole", cwd=tmp_path)
    seconds = time.perf_counter() - began
    expected = records.read(tmp_path / "whole" / "rows" / "sweep.jsonl")
    assert len(expected) == 3
    path = tmp_path / "killed" / "rows" / "sweep.jsonl"
    rng, stood_at = random.Random(0), [0]
    for i in range(12):
        process = begin("sweep.py", *SWEEP, "--out", "killed", cwd=tmp_path)
        if i % 2:
            time.sleep(0.5 * seconds * rng.random())
        else:  # as soon as there is another row: the next one has a program of its own to compile
            while process.poll() is None and len(records.read(path)) == stood_at[-1]:
                time.sleep(0.001)
        process.kill()
        process.communicate()
        stood_at.append(len(records.read(path)))  # never half a row
    assert stood_at == sorted(stood_at)
    assert 1 in stood_at
    execute("sweep.py", *SWEEP, "--out", "killed", cwd=tmp_path)
    assert by_cell(records.read(path)) == by_cell(expected)
    assert len(records.read(path)) == 3


DEVICES = """
import sys, json
sys.path.insert(0, {tests!r})
from echo_jax import seeds
seeds.use_cpu_devices({devices})
from echo_jax import sweep
from test_sweep import TINY, easy, found
from echo_jax.config import changed
from echo_jax.studies import Cell
sweep.UPDATES = 12
cells = [easy(until_learned=True), Cell({{"seeds": 3}}, changed(TINY, seeds=3), ("other_state",))]
print(json.dumps([found(row) for row in sweep.run(cells)]))
"""


@pytest.mark.slow
def test_rows_are_the_same_whatever_the_devices_but_for_the_bytes():
    said = []
    for devices in (1, 2):
        code = DEVICES.format(tests=str(ROOT / "tests" / "support"), devices=devices)
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT
        )
        said.append(json.loads(done.stdout))
    for one, two in zip(*said, strict=True):
        assert one.pop("bytes") > 0
        two.pop("bytes")
        assert one == two
    assert said[0][0]["trained"]["sequences"] < 400
