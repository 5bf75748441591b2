"""What is left of a picture: the answers of a run about fixed streams, and how they are drawn."""

import base64
import json
import math
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
from card_runs import by_key, by_lag, made, run_of
from made_up_cards import card, lag_row, stored
from running import module_in
from scipy import optimize, special
from tiny_memory import NUMBERS, TINY

from echo_jax.cells.known_memory import RecallTable, ShiftRegister, ValueList
from echo_jax.cells.state_numbers import flat_state
from echo_jax.jax_settings import GENERATOR
from echo_jax.learner.random_tokens import uniform_tokens
from echo_jax.memory import card_contents as cards
from echo_jax.memory import face_answers
from echo_jax.memory.by_key.key_measurement import KeyMeasurement
from echo_jax.memory.by_key.key_rows_and_bits import accuracy_bits, accuracy_of_list
from echo_jax.memory.by_lag.lag_measurement import LagMeasurement
from echo_jax.memory.card import train_and_score
from echo_jax.memory.card.card_call import CardResult
from echo_jax.memory.card.make_card import there
from echo_jax.memory.card.train_and_score import named_cell
from echo_jax.memory.card.verify_card import Verified
from echo_jax.memory.card_contents import row_kind
from echo_jax.memory.pages import card_pages, face_picture
from echo_jax.memory.protocol import STANDARD, Protocol
from echo_jax.memory.tasks.by_key import Recall

SCRIPT = module_in(Path(__file__).parents[2] / ".ci" / "readings.py")
DOCS = Path(__file__).parents[2] / "docs" / "cards"
READINGS = msgspec.json.decode(
    (DOCS / face_picture.READINGS).read_bytes(), type=face_answers.Readings
)

LONG_AGO = np.random.default_rng(0).integers(0, 16, 64)
"""A picture in which no pixel is like its neighbours."""

SEEN_BY = {  # Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
CONES = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
         [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
LAB = [[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
       [0.0259040371, 0.7827717662, -0.8086757660]]  # fmt: skip


def oklab(colours, vision):
    """OKLab `[N, 3]` (Ottosson 2020) of colours #rrggbb as eyes of a vision see them."""
    srgb = np.array([[int(x[i : i + 2], 16) for i in (1, 3, 5)] for x in colours]) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    cones = np.clip(linear @ np.transpose(SEEN_BY[vision]), 0, 1) @ np.transpose(CONES)
    return np.cbrt(cones) @ np.transpose(LAB)


@pytest.mark.parametrize("vision", SEEN_BY)
@pytest.mark.parametrize("ground", face_picture.GROUND)
def test_any_two_colours_and_the_ground_are_apart_for_all_eyes(vision, ground):
    points = oklab([*face_picture.PALETTE, ground], vision)
    apart = np.linalg.norm(points[:, None] - points, axis=-1)
    assert apart[np.triu_indices(17, 1)].min() >= 0.095


def test_the_streams_are_the_first_draws_of_their_keys():
    key = jax.random.key(52, impl=GENERATOR)
    assert face_answers.fixed_streams().tolist() == uniform_tokens(key, (10, 65), 16).tolist()
    later = uniform_tokens(jax.random.key(54, impl=GENERATOR), (28,), 16)
    assert face_answers.fading_stream().tolist() == [
        *face_answers.fixed_streams()[0],
        *later.tolist(),
    ]


@pytest.mark.parametrize(
    "broken", [{"answers": "ASNF"}, {"certainty": "?"}, {"weights": "0"}, {"at_once": -1}]
)
def test_a_reading_of_another_form_is_refused(broken):
    whole = face_answers.packed(bytes(32), 1.5, np.zeros((10, 64)), np.zeros((10, 64)))
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(msgspec.structs.asdict(whole) | broken, face_answers.Reading)


@pytest.mark.parametrize("known", [64, 20, 8])
def test_a_register_gives_the_last_pixels_back_and_no_others(known):
    """Slot n of the register is lag n, and its tokens are the logits of head n."""
    protocol = Protocol(streams=256)
    measurement = LagMeasurement(ShiftRegister(slots=65), protocol)
    kernel = jnp.eye(65 * 16)[:, 16:] * (jnp.arange(64 * 16) < 16 * known)
    params = {"cell": {}, "heads": {"kernel": kernel, "bias": jnp.zeros(64 * 16)}}
    sets = measurement.draw_sets(0, np.zeros(8, np.uint32))
    found = jax.jit(measurement.at_once)(params, sets)
    of_run = face_answers.packed(bytes(32), 0.0, found.values, found.certainty)
    for stream, whole in ((0, face_picture.FACE), (7, LONG_AGO)):
        pixels, areas = face_answers.left_of(whole, of_run, stream)
        assert (pixels[-known:] == whole[-known:]).all()
        assert (areas[-known:] > 0.95).all()
        assert (areas[:-known] == 0).all()
        assert (pixels[:-known] == whole[:-known]).sum() < 16
    exact, gone = np.split(np.asarray(found.nats), [known])
    assert exact.max(initial=0) < 0.01
    assert gone == pytest.approx(math.log(16))


def test_a_picture_fades_as_another_hand_computes_it_from_the_weights():
    measurement = LagMeasurement(ShiftRegister(slots=16), Protocol(streams=64))
    noise = jax.random.normal(jax.random.key(0), (256, 1024)) * jnp.linspace(0, 1, 1024)
    kernel = jnp.eye(256, 1040)[:, 16:] + noise
    params = {"cell": {}, "heads": {"kernel": kernel, "bias": noise[0]}}
    sets = measurement.draw_sets(0, np.zeros(8, np.uint32))
    found = SCRIPT.fading(measurement, params, sets.calibration)
    assert_fades(msgspec.to_builtins(found), measurement, params, sets.calibration)


@pytest.mark.parametrize(
    ("configuration", "seed", "numbers", "kept"),
    [
        (by_lag(0.01, 4), 0, {}, True),
        (by_lag(0.01, 4), 1, {}, False),
        (by_lag(0.01, 2), 0, {}, False),
        (by_lag(0.01, 4), 0, {"symbols": 8}, False),
        (by_key(0.01, 4), 1, {"pairs_of_small": 8}, True),
        (by_key(0.01, 4), 1, {"pairs_of_small": 4}, False),
    ],
)
def test_seed_0_by_lag_and_each_by_key_have_a_reading_where_there_is_a_picture(
    configuration, seed, numbers, kept
):
    run = run_of("simple", {"features": 4}, configuration, seed, Protocol(**NUMBERS | numbers))
    assert train_and_score.has_reading(run) == kept


@pytest.fixture
def read():
    """A card whose seed 0 knows the last 30 tokens, with its rows."""
    known = face_answers.fixed_streams()[:, 63::-1].copy()
    known[:, 30:] ^= 1
    areas = np.where(np.arange(64) < 30, 1.0, 0.0) * np.ones((10, 1))
    areas[:, 30] = 0.2
    rows = [lag_row([4.0] * 27), lag_row([4.0] * 40, 1)]
    rows[0].reading = face_answers.packed(bytes(32), 120.0, known, areas)
    return card(rows, "block:gru", name="mine <b>"), rows


def test_a_card_with_a_reading_has_a_picture_with_the_bits_of_that_run(read, tmp_path):
    """And not the mean of its seeds, 134."""
    of_card, rows = read
    of_card.name = "mine"
    words = "mine: 108 of 256 bits; 30 of 64 right"
    folder = stored(of_card, rows, tmp_path)
    paths = card_pages.draw(folder, *cards.read(folder), "pdf")
    assert [path.name for path in paths] == ["picture.svg", "card.md", "card.svg", "card.pdf"]
    drawn = paths[0].read_text()
    assert words in drawn
    assert drawn.count("100 numbers of state") == 2  # of the GRU and of the LSTM beside it
    assert f"![{words}](picture.svg)" in paths[1].read_text().split("\n\n")[1]
    assert 'alt="mine: 108 of' in CardResult(of_card, rows)._repr_markdown_()
    paths[0].write_text(drawn + " ")
    with pytest.raises(cards.StorageError, match=r"picture\.svg has been edited"):
        there(folder, of_card)


def test_the_name_of_a_card_is_text(read):
    words, drawn = face_picture.of_card(read[1], read[0])
    assert words.startswith("mine <b>: 108")
    assert "mine &lt;b&gt;: 108" in drawn
    assert "<b>" not in drawn + face_picture.in_markdown(words, drawn)


def test_a_reading_in_a_row_of_another_protocol_is_refused(read):
    row = msgspec.to_builtins(read[1][0])
    assert row_kind(TINY).decode(row).reading == read[1][0].reading
    short = row | {"validation": [1.0] * 32, "final": [1.0] * 32}
    with pytest.raises(ValueError, match="reading needs 64 lags of 16 symbols, or 8 pairs"):
        row_kind(Protocol(lags=32)).decode(short)


def test_a_row_without_a_reading_is_the_same_as_it_is_made_again_with_one(read):
    row = read[1][0]
    before = msgspec.structs.replace(row, reading=msgspec.UNSET, device="cpu, A")
    assert "reading" not in msgspec.to_builtins(before)
    made = card([before])
    assert Verified(made, before, row).same
    assert not Verified(made, row, before).same
    other = msgspec.structs.replace(row.reading, at_once=1.0)
    assert not Verified(made, row, msgspec.structs.replace(row, reading=other)).same
    assert not Verified(made, msgspec.structs.replace(before, updates=2000), row).same


def decoded(of_run):
    """Values and certainties `[10, 8]` of a reading by key."""
    values, certainty = (
        np.frombuffer(base64.b64decode(x), np.uint8).reshape(10, 8)
        for x in (of_run.answers, of_run.certainty)
    )
    return values, certainty / 255


def test_by_place_the_pairs_are_the_draw_of_the_task_whatever_the_fillers():
    rows = Recall(STANDARD, 8, 6).draw(jax.random.key(53, impl=GENERATOR), 10, "final", 8)
    assert rows.scored[:, -8:].all()
    assert READINGS.places == rows.tokens[:, -8:].tolist()
    assert READINGS.values == rows.targets[:, -8:].tolist()
    assert all(len({*places}) == 8 for places in READINGS.places)


def read_by_key(cell, sharpness):
    """The reading of a cell whose output is read as it is, and what draws its final rows."""
    measurement = KeyMeasurement(cell, STANDARD, 24)
    readout = {"kernel": sharpness * jnp.eye(64), "bias": jnp.zeros(64)}
    params = {"cell": {}, "readout": readout}
    sets = measurement.draw_sets(0, np.zeros(8, np.uint32))
    found = jax.jit(measurement.at_once)(params, sets)
    right = jax.jit(measurement.score)(params, sets).final.tolist()
    bits, certainty = measurement.told_at_once(found, right)
    return face_answers.packed(bytes(32), round(float(bits), 4), found.values, certainty), found


def test_a_table_gives_all_colours_of_the_places_back_and_a_blind_network_none():
    of_run, _ = read_by_key(RecallTable(), 20.0)
    values, certainty = decoded(of_run)
    assert values.tolist() == READINGS.values
    assert (certainty == 1).all()
    assert of_run.at_once == 48
    of_run, _ = read_by_key(RecallTable(), 0.0)
    assert (decoded(of_run)[1] == 0).all()
    assert of_run.at_once < 0.1


def test_by_place_ink_is_bits_of_accuracy_and_not_those_about_which_values_came():
    """A list of the values has 24 bits of cross-entropy at 8 pairs, and 3 of accuracy."""
    of_run, found = read_by_key(ValueList(), 1.0)
    expected = accuracy_bits(8, accuracy_of_list(8, 64), 64)
    assert of_run.at_once == pytest.approx(expected, abs=0.3)
    assert found.certainty.mean() == pytest.approx(accuracy_of_list(8, 64), abs=0.02)
    ink = 6 * decoded(of_run)[1].sum(axis=1)
    assert abs(ink.mean() - of_run.at_once) < 0.5


def test_a_run_by_key_has_a_reading_in_its_row_which_other_protocols_refuse():
    protocol = Protocol(**NUMBERS | {"pairs_of_small": 8, "recalls": 4})
    row = made(run_of("simple", {"features": 4}, by_key(0.003, 4), 0, protocol))
    plain = msgspec.to_builtins(row)
    assert isinstance(row.reading, face_answers.KeyReading)
    assert row_kind(protocol).decode(plain) == row
    assert 0 <= row.reading.at_once <= 48
    del plain["reading"]
    assert row_kind(protocol).decode(plain).reading is msgspec.UNSET
    fewer = Protocol(**NUMBERS | {"pairs_of_small": 4, "recalls": 4})
    whole = msgspec.to_builtins(row)
    cut = {name: whole[name][:3] for name in ("pairs", "asked", "validation", "final")}
    with pytest.raises(ValueError, match=r"reading needs .* or 8 pairs of 64 keys and 64 values"):
        row_kind(fewer).decode(whole | cut)


@pytest.mark.parametrize("cell", READINGS.by_key, ids=lambda cell: cell.card)
def test_a_published_reading_by_key_is_of_a_run_with_about_the_published_bits(cell):
    of_card, rows = cards.read(DOCS / cell.card)
    usual = cards.rows_that_count(rows, of_card)["by key", STANDARD.updates]
    seeds = cards.bits_of(usual, STANDARD).by_seed
    margin = max(2, max(seeds) - min(seeds))
    assert min(seeds) - margin <= cell.bits <= max(seeds) + margin
    assert cell.at_once <= cell.bits + 3  # of eight pairs, and of the best number of pairs
    values, certainty = decoded(cell)
    ink = 6 * certainty.sum(axis=1).mean()  # of 80 answers
    assert ink == pytest.approx(cell.at_once, rel=0.25, abs=1.5)
    accuracy = (values == READINGS.values).mean()
    assert accuracy_bits(8, accuracy, 64) == pytest.approx(cell.at_once, rel=0.4, abs=4)


def test_published_readings_are_of_all_cards_by_lag_of_400_bytes():
    whole = [cards.read(path.parent)[0] for path in sorted(DOCS.glob("*/card.json"))]
    ours = [card for card in whole if card.cell.source is None]
    usual = [card.name for card in ours if card.bits_by_lag and card.state_bytes <= 400]
    assert [cell.card for cell in READINGS.cells] == usual


def test_the_still_of_published_cards_is_that_of_their_readings():
    assert (DOCS / "figures" / face_picture.FILE).read_text() == face_picture.of_folder(DOCS)[1]


def squares(measurement, params, calibration, time):
    """Values, certainties and surprise in bits about pixels `time` .. 63 at a time, in NumPy."""
    cell, protocol = measurement.network.cell, measurement.protocol
    streams = jnp.concatenate([calibration, face_answers.fading_stream()[None]])
    prepared = cell.prepare(params["cell"])

    def step(state, tokens):
        state, _ = cell.step(prepared, state, jax.nn.one_hot(tokens, 16))
        return state, flat_state(cell, state, len(streams))

    first_state = measurement.network.initial_state(params, len(streams))
    states = np.asarray(jax.lax.scan(step, first_state, streams.T)[1], np.float64)
    asked = states[64::4, :-1].reshape(-1, states.shape[-1])
    deviation = np.sqrt(asked.var(axis=0) + protocol.smallest_variance)
    logits = (states[64 + time] - asked.mean(axis=0)) / deviation @ params["heads"]["kernel"]
    logits = np.asarray(logits + params["heads"]["bias"]).reshape(len(streams), 64, 16)
    rows, doubt, found = np.arange(len(calibration)), 1 / len(calibration), []
    for pixel in range(time, 64):
        of_lag, right = logits[:, 63 + time - pixel], np.asarray(streams[:, pixel])

        def loss(factor, known=of_lag[:-1], right=right[:-1]):
            return -special.log_softmax(factor * known, axis=-1)[rows, right].mean()

        end = (0, protocol.largest_factor)
        factor = optimize.minimize_scalar(loss, bounds=end, options={"xatol": 1e-7}).x
        p = special.softmax(factor * of_lag[-1]) * (1 - doubt) + doubt / 16
        found.append((of_lag[-1].argmax(), 1 + (p * np.log2(p)).sum() / 4, -np.log2(p[right[-1]])))
    return np.transpose(found)


def assert_fades(fading, measurement, params, calibration):
    """A fading has these squares at three times, as the script of the page decodes it."""
    given, sure, told = (
        np.frombuffer(base64.b64decode(fading[name]), np.uint8)
        for name in ("answers", "certainty", "surprise")
    )
    halves = np.stack([given >> 4, given & 15], axis=1).reshape(-1)
    for time in (0, 13, 28):
        start = 64 * time - time * (time - 1) // 2
        at = np.arange(start + 63 - time, start - 1, -1)  # from the oldest pixel on
        values, certainty, surprise = squares(measurement, params, calibration, time)
        assert (halves[at] == values).all()
        np.testing.assert_allclose(sure[at] / 255, certainty, atol=1 / 255)
        np.testing.assert_allclose(told[at] / 16, surprise, atol=1 / 16)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["mamba2", "simple", "ProjectedRegister"])
def test_a_published_picture_and_how_it_fades_are_made_again_from_the_seed(name):
    """To the bit where the weights are the same, as on the same kind of processor."""
    cell = next(x for x in READINGS.cells if x.card == f"block-{name}-state-bytes-400")
    of_card, rows = cards.read(DOCS / cell.card)
    usual = cards.rows_that_count(rows, of_card)["by lag", STANDARD.updates]
    named = named_cell(of_card.cell.name, of_card.cell.args, None, STANDARD)
    run = train_and_score.CardRun(named.measured, STANDARD, usual[0].configuration, 0, named.cell)
    programs = train_and_score.compile_run(run)
    again, params = train_and_score.train(run, programs, lambda _: None)
    assert abs(again.curve(STANDARD).sum() - cell.bits) < 2
    sets = programs.draw(np.int32(0), train_and_score.weights_digest(params))
    measurement = programs.measurement
    fading = msgspec.to_builtins(SCRIPT.fading(measurement, params, sets.calibration))
    if again.reading.weights == cell.weights:
        whole = msgspec.structs.asdict(cell)
        assert msgspec.structs.asdict(again.reading).items() <= whole.items()
        (data,) = re.findall(r'id="data">(.*?)</script>', (DOCS / "explore.html").read_text())
        of_page = [x for x in json.loads(data)["cards"] if x["page"] == f"{cell.card}/card.md"]
        fading = of_page[0]["order"]
    assert_fades(fading, measurement, params, sets.calibration)
