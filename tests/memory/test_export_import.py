import json

import jax
import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file

from echo_jax import tensor_files
from echo_jax.cells.registry import build
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.memory import card, export_import
from echo_jax.memory.by_key import ByKey
from echo_jax.memory.by_lag import ByLag
from echo_jax.memory.pages import told_apart
from echo_jax.memory.protocol import STANDARD, Protocol
from echo_jax.memory.rows import row_kind

UPDATES, KMAX, RECALLS = 3, 4, 20
SMALL = {"rows": 4, "streams": 5, "recalls": RECALLS, "pairs_of_small": KMAX, "associated": 2}
SHORT = {"updates": UPDATES, "updates_at_once": 1, "pilot_updates": 2, "pilot_seeds": 1}
FEW = Protocol(**SMALL, **SHORT, budgets=())


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """The file of two seeds, with few rows, streams and updates."""
    return export_import.export_tasks(FEW, tmp_path_factory.mktemp("tasks"), range(2), KMAX)


@pytest.fixture(scope="module")
def exported(tasks):
    return load_file(tasks)


@pytest.fixture(scope="module")
def gru():
    return build("gru", {"features": 2})


def drawn(question, seed, update, *level):
    return question.draw(jax.random.fold_in(purpose_key(seed, Purpose.DATA), update), *level)


def test_a_file_states_the_numbers_of_its_protocol_and_has_a_pilot_only_where_there_is_one(
    tasks, tmp_path
):
    assert Protocol(**tensor_files.read_about(tasks, "")["numbers"]) == FEW
    one_rate = msgspec.structs.replace(FEW, rates=(0.01,))
    arrays = load_file(export_import.export_tasks(one_rate, tmp_path, range(1), KMAX))
    assert {name.partition(".")[0] for name in arrays} == {"seed_0"}


def test_exported_streams_are_those_of_the_runs_here(exported, gru):
    streams = exported["seed_1.by_lag.training"]
    assert (streams.dtype, streams.shape) == (np.uint8, (UPDATES, 4, 93))
    for update in range(UPDATES):
        assert (streams[update] == drawn(ByLag(gru, FEW), 1, update)).all()
    assert (exported["seed_0.by_lag.training"] != streams).any()
    assert (exported["seed_1000.by_lag.training"][1] == drawn(ByLag(gru, FEW), 1000, 1)).all()


@pytest.mark.parametrize(("update", "most"), [(0, 2), (1, 3), (2, 4)])
def test_exported_rows_by_key_have_the_pairs_of_the_ramp(exported, gru, update, most):
    here = drawn(ByKey(gru, FEW, KMAX), 0, update, most)
    assert (exported["seed_0.by_key.training.tokens"][update] == here.tokens).all()
    targets = np.where(here.scored, here.targets, 255)
    assert (exported["seed_0.by_key.training.targets"][update] == targets).all()


def test_exported_data_sets_depend_on_the_seed_alone(exported, gru):
    """Calibration and validation are those of the runs here; the final ones are others."""
    here = ByLag(gru, FEW).draw_sets(0, np.zeros(8, np.uint32))._asdict()
    same = {name: (exported[f"seed_0.by_lag.{name}"] == x).all() for name, x in here.items()}
    assert same == {"calibration": True, "validation": True, "final": False}
    assert exported["seed_0.by_key.final.tokens"].shape == (3, RECALLS, 3 * KMAX + 3)
    assert exported["seed_0.by_key.final.targets"].dtype == np.uint8


def lag_row(**other):
    row = {"question": "by lag", "seed": 0, "rate": 0.01, "updates": 3000}
    return {**row, "validation": [1.0] * 64, "final": [1.0] * 64, **other}


def key_row(**other):
    row = {"question": "by key", "seed": 0, "rate": 0.01, "updates": 3000}
    counts = {"pairs": [2, 3, 4], "asked": [512, 768, 1024]}
    return {**row, **counts, "validation": [500, 9, 9], "final": [400, 9, 9], **other}


def written(folder, *rows):
    """A file of rows after an empty line, which counts."""
    path = folder / "rows.jsonl"
    path.write_text("\n".join(["", *map(json.dumps, rows)]))
    return path


@pytest.mark.parametrize(
    ("rows", "line", "key"),
    [
        ([lag_row(), lag_row(seed="1")], 2, "seed"),
        ([lag_row(rate=0)], 1, "rate"),
        ([lag_row(extra=1)], 1, "extra"),
        ([lag_row(final=None)], 1, "final"),
        ([lag_row(final=[1.0] * 63)], 1, "nats"),
        ([lag_row(final=[-1.0] * 64)], 1, "final"),
        ([lag_row(device="\ud800")], 1, "surrogates"),
        ([lag_row(digest="0" * 64)], 1, "digest"),
        ([key_row(), key_row(seed=1, asked=[512, 768, 1])], 2, "asked"),
        ([key_row(pairs=[2, 4, 3])], 1, "pairs"),
        ([key_row(final=[1, 2])], 1, "final"),
        ([key_row(validation=[1, 2, 1025])], 1, "validation"),
        ([{"seed": 0}], 1, "question"),
    ],
)  # fmt: skip
def test_a_bad_row_is_one_sentence_with_its_line_and_key(tmp_path, rows, line, key):
    with pytest.raises(
        StorageError, match=rf"^line {line + 1} of \S*rows\.jsonl .*\b{key}\b"
    ) as refused:
        export_import.import_rows(STANDARD, written(tmp_path, *rows), tmp_path / "theirs")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([lag_row(), lag_row()], "has seed 0, by lag, rate 0.01, 3000 updates twice"),
        ([key_row(), key_row(seed=1, pairs=[2], asked=[512], validation=[1], final=[1])],
         "has rows by key of several numbers of pairs"),
        ([lag_row(), lag_row(seed=1, rate=0.03)],
         "has rows of by lag, rate 0.01, 3000 updates and of by lag, rate 0.03"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_each_other_are_refused(tmp_path, rows, fault):
    with pytest.raises(StorageError, match=rf"rows\.jsonl {fault}"):
        export_import.import_rows(STANDARD, written(tmp_path, *rows), tmp_path / "theirs", 400)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"question":"\xff"}\n'])
def test_a_file_that_is_no_rows_is_refused(tmp_path, text):
    (tmp_path / "rows.jsonl").write_text(text, "latin-1")
    with pytest.raises(StorageError, match=r"rows\.jsonl"):
        export_import.import_rows(STANDARD, tmp_path / "rows.jsonl", tmp_path / "theirs")


def test_imported_rows_are_scored_as_those_made_here_and_the_card_says_where_from(
    tmp_path, monkeypatch
):
    pilot = [lag_row(seed=1000, updates=300, rate=rate) for rate in (0.01, 0.03)]
    failed = key_row(seed=1, validation=None, final=None)
    path = written(tmp_path, *pilot, lag_row(), key_row(), failed)
    place = tmp_path / "theirs"
    made, _ = export_import.import_rows(STANDARD, path, place, 400, layers=2, parameters=1234)
    read, rows = card.read(place)
    assert rows == row_kind(STANDARD).read_any(path, "")
    assert read == made
    assert made.remarks == [export_import.KNOWN]
    assert made.cell == card.MeasuredCell("imported theirs", {"layers": 2})
    assert told_apart.track(made) == "imported"
    assert made.bits_by_lag.mean == pytest.approx(64 * (4 - 1 / np.log(2)), abs=1e-3)
    assert made.bits_by_key.by_seed[1] == 0
    assert (made.state_bytes, made.parameters, made.seeds) == (400, 1234, [0, 1])
    assert [x.configuration.rate for x in made.pilot] == [0.01, 0.03]
    again, _ = export_import.import_rows(STANDARD, written(tmp_path, lag_row()), place, 400)
    assert (card.read(place)[0], again.bits_by_key, again.parameters) == (again, None, 0)
    monkeypatch.setattr(card, "bits_by_key", None)  # cannot be computed
    with pytest.raises(TypeError):
        export_import.import_rows(STANDARD, written(tmp_path, key_row()), place, 400)
    monkeypatch.undo()
    assert card.read(place)[0] == again


def test_rows_without_bytes_of_their_state_are_refused_where_none_are_given(tmp_path):
    with pytest.raises(ConfigError, match=r"rows.jsonl states no bytes of .*: give state_bytes"):
        export_import.import_rows(STANDARD, written(tmp_path, lag_row()), tmp_path / "theirs")
