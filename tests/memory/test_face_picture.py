"""The picture above the curves: what is left of it as time passes, drawing, links, in a browser."""

import json
import math
import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
from made_up_cards import card_with, stored
from running import module_in

from echo_jax.memory import card_contents as cards
from echo_jax.memory.face_answers import fading_stream, packed
from echo_jax.memory.pages import card_pages
from echo_jax.memory.pages.explore_page import PICTURES
from echo_jax.memory.pages.face_picture import PALETTE
from echo_jax.memory.protocol import STANDARD

pytestmark = pytest.mark.timeout(120)

SCRIPT = module_in(Path(__file__).parents[2] / ".ci" / "readings.py")

CELLS = {
    "block-lru": ("block:lru", 39),
    "block-lstm": ("block:lstm", 25),
    "block-gru": ("block:gru", 18),
    "block-mlstm": ("block:mlstm", 5),
    "gru": ("gru", 15),
    "lstm": ("lstm", 20),
}
SILENT = "block-mlstm"  # has no reading
NAMES = {"block-lru": "LRU", "block-lstm": "LSTM", "block-gru": "GRU"}  # by bits
FADING = ["block-lru", "block-gru"]  # the others were asked after the picture alone
OWN = "0123456789abcdef" * 4  # a drawing
PIXELS = np.array([int(digit, 16) for digit in OWN])
STREAM = fading_stream()
PLACES = np.array([np.random.default_rng(n).permutation(64)[:8] for n in range(10)])
VALUES = np.random.default_rng(1).integers(64, size=(10, 8))


def answers(seed, right, known, values):
    """Answers that are right about the first that are asked, and random beyond; certainty, nats."""
    random = np.random.default_rng(seed)
    is_known = np.arange(right.shape[1]) < known
    found = np.where(is_known, right, random.integers(values, size=right.shape))
    unsure = random.integers(1, 80, size=right.shape)
    nats = np.where(is_known, 0, random.integers(30, 100, size=right.shape) / 16 * math.log(2))
    return found, np.where(is_known, 255, unsure) / 255, nats


def reading(name, found, **fields):
    kept = msgspec.to_builtins(packed(bytes(32), 0.0, *found[:2]))
    return {"card": name, **kept, "bits": 0.0} | fields


EARLIER = STREAM[np.arange(64, 93)[:, None] - np.arange(1, 65)]  # at each time, of each lag
IN_TIME = {name: answers(n, EARLIER, CELLS[name][1], 16) for n, name in enumerate(CELLS)}
PAIRS = {"block-gru": 6, "block-lstm": 1}
BY_PLACE = {name: answers(5, VALUES, pairs, 64) for name, pairs in PAIRS.items()}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    by_lag, by_key = [], []
    for name, (cell, lags) in CELLS.items():
        stored(*card_with(PAIRS.get(name, 3), lags=lags, cell=cell, name=name), folder)
        found = IN_TIME[name]
        ten = [np.repeat(x[:1], 10, axis=0) for x in found]
        fields = (
            {"fading": msgspec.to_builtins(SCRIPT.packed_fading(*found))} if name in FADING else {}
        )
        by_lag += [reading(name, ten, **fields)] if name != SILENT else []
    for name, found in BY_PLACE.items():
        by_key.append(reading(name, found, surprise=SCRIPT.encoded_surprise(found[2][0])))
    told = {"cells": by_lag, "places": PLACES.tolist(), "values": VALUES.tolist()}
    told["by_key"] = by_key
    (folder / "readings.json").write_text(json.dumps(told))
    card_pages.write_report(folder)
    return folder / "explore.html"


def drawn(tab, cell, kind=":not(.hole, .unasked)"):
    """Pixels, colours and areas of the squares of a cell, in the order of pixels."""
    found = f"document.querySelectorAll('[data-cell=\"{cell}\"] rect{kind}')"
    squares = tab.run(f"""[...{found}].map((x) => {{
      const [left, top, side] = [x.x, x.y, x.width].map((y) => y.baseVal.value);
      const place = 8 * (top + side / 2 - 0.5) + left + side / 2 - 0.5;
      return [place, x.getAttribute("fill"), side ** 2];
    }})""")
    squares.sort()
    places = [square[0] for square in squares]
    np.testing.assert_allclose(places, np.round(places), atol=1e-4)
    return np.round(places).astype(int).tolist(), [x[1] for x in squares], [x[2] for x in squares]


def assert_left(tab, name, time, pixels):
    """The squares of a cell are those of its answers: pixel p was read 64 + time - p steps ago."""
    asked = np.arange(time, 64)
    found, certainty, _ = (each[time, 63 + time - asked] for each in IN_TIME[name])
    wrong = found ^ STREAM[asked]
    places, colours, areas = drawn(tab, NAMES[name])
    assert places == asked.tolist()
    assert colours == [PALETTE[x] for x in pixels[asked] ^ wrong]
    np.testing.assert_allclose(areas, certainty, atol=1e-4)
    holes = drawn(tab, NAMES[name], ".hole")
    assert holes[0] == asked[wrong != 0].tolist()
    np.testing.assert_allclose(holes[2], certainty[wrong != 0] / 4, atol=1e-4)
    assert drawn(tab, NAMES[name], ".unasked")[0] == [*range(time)]


def said(tab, cell):
    return tab.texts(f'[data-cell="{cell}"] span')


def mouse(tab, kind, pixel, is_down=True):
    """An event in the middle of a pixel of the canvas."""
    tab.run("document.getElementById('canvas').scrollIntoView({ block: 'center' })")
    x, y, size = tab.run("(({ x, y, width }) => [x, y, width / 8])(canvas.getBoundingClientRect())")
    at = {"x": x + size * (pixel % 8 + 0.5), "y": y + size * (pixel // 8 + 0.5)}
    at["button"] = "left" if is_down or kind == "mouseReleased" else "none"
    tab.ask("Input.dispatchMouseEvent", type=kind, clickCount=1, buttons=int(is_down), **at)


def fields_of(tab):
    return dict(x.split("=") for x in tab.run("location.hash.slice(1)").split("&"))


@pytest.mark.parametrize("time", [0, 12, 28])
def test_colours_areas_and_bits_are_those_of_the_file_at_each_time(tab, page, time):
    tab.open(page, fragment=f"#pixels={OWN}&time={time}")
    assert tab.texts("#left b") == [*NAMES.values()]
    for name in FADING:
        assert_left(tab, name, time, PIXELS)
        of_card, rows = cards.read(page.parent / name)
        usual = cards.rows_that_count(rows, of_card)["by lag", STANDARD.updates]
        curve = np.mean([row.curve(STANDARD) for row in usual], axis=0)
        bits = np.sum(4 - IN_TIME[name][2][time, time:] / math.log(2))
        own, mean = (float(re.findall(r"-?[\d.]+", x)[0]) for x in said(tab, NAMES[name]))
        assert own == pytest.approx(bits, rel=0.005, abs=0.006)
        assert mean == pytest.approx(curve[time:].sum(), rel=0.005, abs=0.3)
    if time == 0:
        assert_left(tab, "block-lstm", 0, PIXELS)
    else:
        assert drawn(tab, "LSTM", ".unasked")[0] == [*range(64)]


def test_what_is_drawn_by_mouse_and_keyboard_is_left_by_the_mask(tab, page):
    tab.open(page, width=390)
    expected = [*PICTURES["face"]]
    tab.click("#palette input:nth-of-type(12)")
    mouse(tab, "mousePressed", 3)
    mouse(tab, "mouseMoved", 59)  # fast, over a column
    mouse(tab, "mouseReleased", -9, is_down=False)  # above the canvas
    mouse(tab, "mouseMoved", 50, is_down=False)
    expected[3::8] = 8 * "b"
    assert fields_of(tab)["pixels"] == "".join(expected)
    tab.run("document.querySelector('#palette :checked').focus()")
    tab.press("ArrowRight")  # the next colour
    tab.run("document.getElementById('canvas').focus()")
    tab.press("ArrowDown", "ArrowRight", " ", "ArrowRight", "Enter", "ArrowLeft", "ArrowUp")
    expected[9] = expected[10] = "c"
    assert fields_of(tab)["pixels"] == "".join(expected)
    assert_left(tab, "block-gru", 0, np.array([int(x, 16) for x in expected]))


def test_by_place_eight_pixels_are_answered_and_the_order_turns_round(tab, page):
    tab.open(page, width=320, fragment=f"#pixels={OWN}&time=3")
    tab.run("byId('by').focus()")
    tab.press("Enter")
    assert fields_of(tab)["question"] == "key"
    places = sorted(PLACES[0])
    assert tab.texts("#left b") == ["GRU", "LSTM"]  # the others were not asked
    turned = ["GRU", "1", "2", "LSTM", "2", "LSTM", "1", "GRU", "2"]
    assert re.findall(r"GRU|LSTM|\d+", *tab.texts("#verdict")) == turned
    order = np.argsort(PLACES[0])
    for name, cell in (("block-gru", "GRU"), ("block-lstm", "LSTM")):
        found, certainty, nats = (each[0, order] for each in BY_PLACE[name])
        wrong = (found ^ VALUES[0, order]) // 4
        shown = drawn(tab, cell)
        assert shown[0] == places
        assert shown[1] == [PALETTE[x] for x in PIXELS[places] ^ wrong]
        np.testing.assert_allclose(shown[2], certainty, atol=1e-4)
        assert drawn(tab, cell, ".hole")[0] == np.array(places)[wrong != 0].tolist()
        told = float(said(tab, cell)[0].split()[0])
        assert told == pytest.approx(np.sum(4 - nats / math.log(2)), rel=0.005, abs=0.006)
    assert tab.run("document.documentElement.scrollWidth") == 320
    tab.click("#by")
    assert re.findall(r"LRU|GRU|LSTM|\d+", *tab.texts("#verdict")) == ["3", "GRU", "LRU"]
    assert tab.texts("#left b") == [*NAMES.values()]


def test_anchors_are_named_as_such_and_not_ranked(tab, page):
    tab.open(page, fragment="#asked=place")
    shown = (
        '[{ cell: "A", anchor: true }, { cell: "B" }, { cell: "C" }, { cell: "D", anchor: true }]'
    )
    assert re.findall(r"\b[A-D]\b|\d", tab.run(f"verdictOf({shown})")) == ["B", "1", "2"]
    assert re.findall(r"\b[A-D]\b", tab.run(f"anchorsOf({shown})")) == ["A", "D"]
    assert tab.run(f"anchorsOf({shown}.slice(1, 3))") == ""
    tab.run("byId('left').append(figureOf({ ...readings()[0], cell: 'A', anchor: true }))")
    assert "anchor" in said(tab, "A")[-1]
    assert "anchor" not in "".join(said(tab, "GRU"))


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(tab, page, dark):
    for fragment in ("", "#time=9", "#asked=place"):
        tab.open(page, dark=dark, fragment=fragment)
        assert tab.violations() == []


def test_the_page_asks_for_nothing_and_logs_nothing(tab, page):
    with tab.left_alone(page):
        tab.open(page, still=False, fragment="#pixels=0&time=99&cells=&asked=none")
        for button in ("#next", "#play", "#by", "#by", "#blank", "#chosen input"):
            tab.click(button)
