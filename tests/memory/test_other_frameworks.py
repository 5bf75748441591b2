import json

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from echo_jax.cells.registry import build
from echo_jax.core import network
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.exceptions import StorageError
from echo_jax.memory import card, other_frameworks, scoring
from echo_jax.memory.card_rows import LagRow, row_kind
from echo_jax.memory.protocol import STANDARD, Protocol
from echo_jax.memory.tasks import recall
from echo_jax.memory.training import ByKey, ByLag

UPDATES, KMAX, UNITS = 3, 4, 100
FEW = Protocol(updates=UPDATES, updates_at_once=UPDATES, budgets=(), rows=4, streams=5, recalls=2)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The arrays of two seeds, with few rows, streams and updates."""
    folder = tmp_path_factory.mktemp("exported") / "tasks"
    return load_file(other_frameworks.export_tasks(FEW, folder, range(2), KMAX))


@pytest.fixture(scope="module")
def gru():
    return build("gru", {"features": UNITS})


def drawn(question, seed, update):
    return question.draw(jax.random.fold_in(purpose_key(seed, Purpose.DATA), update))


def part(arrays, start):
    return {name[len(start) :]: x for name, x in arrays.items() if name.startswith(start)}


def test_exported_streams_are_those_of_the_runs_here(exported, gru):
    streams = exported["seed_1.by_lag.training"]
    assert (streams.dtype, streams.shape) == (np.uint8, (UPDATES, 4, 93))
    for update in range(UPDATES):
        assert (streams[update] == drawn(ByLag(gru, FEW), 1, update)).all()
    assert (exported["seed_0.by_lag.training"] != streams).any()


@pytest.mark.parametrize("shown", range(1, KMAX + 1))
def test_rows_of_any_k_are_cut_from_the_exported_pairs(exported, gru, shown):
    pairs = drawn(ByKey(gru, FEW, KMAX), 0, 2)
    here = recall(FEW, pairs, np.full(4, shown))
    keys, values, order = (exported[f"seed_0.by_key.{name}"][2] for name in exchange_names())
    for row in range(4):
        asked = order[row, :shown].argsort()
        shown_tokens = np.stack([keys[row], values[row] + np.uint8(64)], 1)[:shown].ravel()
        cut = [*shown_tokens, *keys[row, asked]]
        assert here.tokens[row, : 3 * shown].tolist() == cut
        targets = values[row, asked]
        assert here.targets[row, 2 * shown : 3 * shown].tolist() == targets.tolist()
    assert (exported["seed_0.by_key.place"][2] == pairs.place).all()


def exchange_names():
    return "keys", "values", "order"


def test_exported_data_sets_depend_on_the_seed_alone(exported, gru):
    """Calibration and validation are those of the runs here; the final ones are others."""
    sets = part(exported, "seed_0.by_lag.")
    here = scoring.draw_lag_sets(ByLag(gru, FEW), 0, np.zeros(8, np.uint32))
    assert (sets["calibration"] == here.calibration).all()
    assert (sets["validation"] == here.validation).all()
    assert (sets["final"] != here.final).any()
    assert exported["seed_0.by_key.final.tokens"].shape == (3, 2, 3 * KMAX)
    assert exported["seed_0.by_key.final.targets"].dtype == np.uint8


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru_of_pytorch(weights, tokens):
    """The states of one stream as the manual of torch.nn.GRU defines them, in float64."""
    w = {name: np.asarray(x, np.float64) for name, x in weights.items()}
    h, states = np.zeros(UNITS), []
    for token in tokens:
        x = w["weight_ih_l0"][:, token] + w["bias_ih_l0"]
        own = w["weight_hh_l0"] @ h + w["bias_hh_l0"]
        (xr, xz, xn), (hr, hz, hn) = np.split(x, 3), np.split(own, 3)
        r, z = sigmoid(xr + hr), sigmoid(xz + hz)
        h = (1 - z) * np.tanh(xn + r * hn) + z * h
        states.append(h)
    return np.array(states)


def test_exported_weights_give_a_gru_of_pytorch_the_states_of_ours(exported, gru):
    question = ByLag(gru, FEW)
    params = question.init_params(purpose_key(0, Purpose.WEIGHTS))
    # initial biases are 0: others show where each of them goes
    noise = np.random.default_rng(0)
    cell = {
        gate: {name: x + (x.ndim == 1) * noise.normal(size=x.shape) for name, x in of.items()}
        for gate, of in params["cell"].items()
    }
    tokens = exported["seed_0.by_lag.validation"][:1]
    state = question.network.initial_state(params, 1)
    _, ours = network.unroll(question.network, {"cell": cell}, state, tokens.astype(int), None)
    theirs = gru_of_pytorch(other_frameworks.torch_gru(cell), tokens[0])
    np.testing.assert_allclose(ours[:, 0], theirs, atol=1e-5)
    written = part(exported, "seed_0.by_lag.gru.rnn.")
    for name, x in other_frameworks.torch_gru(params["cell"]).items():
        np.testing.assert_array_equal(written[name], x)
    heads = exported["seed_0.by_lag.gru.linear.weight"]
    np.testing.assert_array_equal(heads, params["heads"]["kernel"].T)


def lag_row(**other):
    nats = {"nats": [2.0] * 64, "recalibrated": [1.0] * 64}
    row = {"question": "by lag", "seed": 0, "rate": 0.01, "updates": 3000}
    return {**row, "validation": nats, "final": nats, **other}


def key_row(**other):
    row = {"question": "by key", "seed": 0, "rate": 0.01, "schedule": "ramp", "updates": 3000}
    counts = {"level": 24, "pairs": [2, 3, 4], "asked": [512, 768, 1024]}
    return {**row, **counts, "validation": [500, 9, 9], "final": [400, 9, 9], **other}


def written(folder, *rows):
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


@pytest.mark.parametrize(
    ("rows", "line", "key"),
    [
        ([lag_row(), lag_row(seed="1")], 2, "seed"),
        ([lag_row(rate=0)], 1, "rate"),
        ([lag_row(extra=1)], 1, "extra"),
        ([lag_row(final=None)], 1, "final"),
        ([lag_row(final={"nats": [1.0] * 64, "recalibrated": [1.0] * 63})], 1, "recalibrated"),
        ([lag_row(final={"nats": [-1.0] * 64, "recalibrated": [1.0] * 64})], 1, "nats"),
        ([key_row(), key_row(seed=1, asked=[512, 768, 1])], 2, "asked"),
        ([key_row(pairs=[2, 4, 3])], 1, "pairs"),
        ([key_row(final=[1, 2])], 1, "final"),
        ([key_row(validation=[1, 2, 1025])], 1, "validation"),
        ([{"seed": 0}], 1, "question"),
    ],
)  # fmt: skip
def test_a_bad_row_is_one_sentence_with_its_line_and_key(tmp_path, rows, line, key):
    with pytest.raises(
        StorageError, match=rf"^line {line} of \S*rows\.jsonl .*\b{key}\b"
    ) as refused:
        other_frameworks.import_rows(STANDARD, written(tmp_path, *rows), "theirs", tmp_path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([lag_row(), lag_row()], "has seed 0, by lag, rate 0.01 twice"),
        ([key_row(), key_row(seed=1, pairs=[2], asked=[512], validation=[1], final=[1])],
         "has rows by key of several numbers of pairs"),
    ],
)  # fmt: skip
def test_rows_that_do_not_fit_each_other_are_refused(tmp_path, rows, fault):
    with pytest.raises(StorageError, match=rf"rows\.jsonl {fault}"):
        other_frameworks.import_rows(STANDARD, written(tmp_path, *rows), "theirs", tmp_path)


def test_the_line_of_a_bad_row_counts_empty_lines(tmp_path):
    path = written(tmp_path, lag_row(), lag_row(rate=0))
    path.write_text("\n" + path.read_text())
    with pytest.raises(StorageError, match=r"^line 3 of \S*rows\.jsonl "):
        other_frameworks.import_rows(STANDARD, path, "theirs", tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"question":"\xff"}\n'])
def test_a_file_that_is_no_rows_is_refused(tmp_path, text):
    (tmp_path / "rows.jsonl").write_text(text, "latin-1")
    with pytest.raises(StorageError, match=r"rows\.jsonl"):
        other_frameworks.import_rows(STANDARD, tmp_path / "rows.jsonl", "theirs", tmp_path)


def test_imported_rows_are_scored_as_those_made_here_and_the_card_says_where_from(tmp_path):
    path = written(tmp_path, lag_row(), key_row(), key_row(seed=1, validation=None, final=None))
    made = other_frameworks.import_rows(STANDARD, path, "theirs", tmp_path, state_bytes=400)
    read, rows = card.read(tmp_path / "theirs")
    assert rows == row_kind(STANDARD).read_unsigned(path, "")
    assert read == made
    assert made.remarks == [other_frameworks.KNOWN]
    assert made.cell.name == "imported theirs"
    assert made.bits_by_lag.mean == pytest.approx(64 * (4 - 1 / np.log(2)), abs=1e-3)
    assert made.bits_by_key.by_seed[1] == 0
    assert (made.state_bytes, made.seeds) == (400, [0, 1])
    again = other_frameworks.import_rows(STANDARD, written(tmp_path, lag_row()), "theirs", tmp_path)
    assert (card.read(tmp_path / "theirs")[0], again.bits_by_key) == (again, None)
    assert isinstance(card.read(tmp_path / "theirs")[1][0], LagRow)
