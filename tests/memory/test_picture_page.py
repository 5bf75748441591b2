"""The picture above the curves: what is left of it, drawing, guessing, links, in a browser."""

import json

import msgspec
import numpy as np
import pytest
from made_up_cards import card_with, stored

from echo_jax.memory.pages import card_pages
from echo_jax.memory.pages.explore_page import PICTURES
from echo_jax.memory.pages.picture import PALETTE
from echo_jax.memory.reading import packed as packed_reading

pytestmark = pytest.mark.timeout(120)

CELLS = {
    "block-lstm": ("block:lstm", 25),
    "block-gru": ("block:gru", 18),
    "block-lru": ("block:lru", 39),
    "block-mlstm": ("block:mlstm", 5),
    "gru": ("gru", 15),
    "lstm": ("lstm", 20),
}
SILENT = "block-mlstm"  # has no reading
OWN = "0123456789abcdef" * 4  # a drawing
STREAMS = np.random.default_rng(0).integers(16, size=(10, 65))
PLACES = np.array([np.random.default_rng(n).permutation(64)[:8] for n in range(10)])
VALUES = np.random.default_rng(1).integers(64, size=(10, 8))
NAMES = {"block-lru": "LRU", "block-lstm": "LSTM", "block-gru": "GRU"}  # by bits


def answers(seed, right, known, values):
    """Answers that are right about the first that are asked, random and unsure beyond."""
    random = np.random.default_rng(seed)
    is_known = np.arange(right.shape[1]) < known
    found = np.where(is_known, right, random.integers(values, size=right.shape))
    return found, np.where(is_known, 255, random.integers(1, 80, size=right.shape)) / 255


def reading(name, found, bits, at_once):
    packed = msgspec.to_builtins(packed_reading(bytes(32), at_once, *found))
    return {"card": name, **packed, "bits": bits}


IN_ORDER = {
    name: answers(seed, STREAMS[:, 63::-1], lags, 16)
    for seed, (name, (_, lags)) in enumerate(CELLS.items())
    if name != SILENT
}
READINGS = {
    name: reading(name, found, 4.0 * CELLS[name][1] + 0.3, 4.0 * CELLS[name][1])
    for name, found in IN_ORDER.items()
}
PAIRS = {"block-gru": 6, "block-lstm": 1}
BY_PLACE = {name: answers(5, VALUES, pairs, 64) for name, pairs in PAIRS.items()}
BY_KEY = {
    name: reading(name, BY_PLACE[name], 7.0 * pairs, 6.0 * pairs + 0.2)
    for name, pairs in PAIRS.items()
}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cards")
    for name, (cell, lags) in CELLS.items():
        stored(*card_with(3, lags=lags, cell=cell, name=name), folder)
    told = {"streams": STREAMS.tolist(), "cells": [*READINGS.values()]}
    told |= {"places": PLACES.tolist(), "values": VALUES.tolist(), "by_key": [*BY_KEY.values()]}
    (folder / "readings.json").write_text(json.dumps(told))
    card_pages.write_report(folder)
    return folder / "explore.html"


def left(name, picture, stream):
    """Colours and areas of the pixels that are left of a picture, from the answers."""
    values, certainty = (each[stream, ::-1] for each in IN_ORDER[name])
    pixels = np.array([int(digit, 16) for digit in picture])
    return pixels ^ values ^ STREAMS[stream, :64], certainty


def drawn(tab, cell, pixels=range(64)):
    """Colours and areas of the squares of a cell, in the order of pixels of the canvas."""
    squares = tab.run(f"""[...document.querySelectorAll('[data-cell="{cell}"] rect')].map((x) => {{
      const [left, top, side] = [x.x, x.y, x.width].map((y) => y.baseVal.value);
      return [x.getAttribute("fill"), side ** 2, left + side / 2, top + side / 2];
    }})""")
    middles = [(n % 8 + 0.5, n // 8 + 0.5) for n in pixels]
    np.testing.assert_allclose([square[2:] for square in squares], middles, atol=1e-6)
    return [PALETTE.index(square[0]) for square in squares], [square[1] for square in squares]


def assert_left(tab, picture, stream=0):
    for name, cell in NAMES.items():
        colours, areas = left(name, picture, stream)
        shown = drawn(tab, cell)
        assert shown[0] == colours.tolist()
        np.testing.assert_allclose(shown[1], areas, atol=1e-4)


def point(tab, pixel):
    """The middle of a pixel of the canvas, in the window."""
    tab.run("document.getElementById('canvas').scrollIntoView({ block: 'center' })")
    box = tab.run("(({ x, y, width }) => [x, y, width / 8])(canvas.getBoundingClientRect())")
    return {"x": box[0] + box[2] * (pixel % 8 + 0.5), "y": box[1] + box[2] * (pixel // 8 + 0.5)}


def mouse(tab, kind, pixel, is_down=True):
    button = "left" if is_down or kind == "mouseReleased" else "none"
    at = point(tab, pixel) | {"button": button, "buttons": int(is_down)}
    tab.ask("Input.dispatchMouseEvent", type=kind, clickCount=1, **at)


def fields_of(tab):
    return dict(x.split("=") for x in tab.run("location.hash.slice(1)").split("&"))


@pytest.mark.parametrize("stream", [0, 9])
def test_colours_areas_and_words_are_those_of_the_file(tab, page, stream):
    tab.open(page, fragment=f"#stream={stream + 1}&pixels={OWN}&guess=8")
    assert_left(tab, OWN, stream)
    assert tab.texts("#left b") == [*NAMES.values()]
    own = [int(digit, 16) for digit in OWN]
    for name, cell in NAMES.items():
        right = sum(left(name, OWN, stream)[0] == own)
        said = [f"{READINGS[name]['bits']:.3g} of 256 bits", f"{right} of 64 right"]
        assert tab.texts(f'[data-cell="{cell}"] span') == said


def test_what_is_drawn_by_mouse_and_keyboard_is_left_by_the_mask(tab, page):
    tab.open(page, width=390, fragment="#guess=8")
    expected = [*PICTURES["face"]]
    tab.click("#palette input:nth-of-type(12)")
    mouse(tab, "mousePressed", 3)
    mouse(tab, "mouseMoved", 11)
    mouse(tab, "mouseReleased", -9, is_down=False)  # above the canvas
    mouse(tab, "mouseMoved", 50, is_down=False)
    expected[3] = expected[11] = "b"
    assert fields_of(tab)["pixels"] == "".join(expected)
    tab.run("document.querySelector('#palette :checked').focus()")
    tab.press("ArrowRight")  # the next colour
    tab.run("document.getElementById('canvas').focus()")
    tab.press("ArrowDown", "ArrowRight", " ", "ArrowRight", "Enter", "ArrowLeft", "ArrowUp")
    expected[9] = expected[10] = "c"
    assert tab.texts("#brush") == [f"Row 1, column 2: colour {int(expected[1], 16) + 1}"]
    assert fields_of(tab)["pixels"] == "".join(expected)
    assert_left(tab, "".join(expected))


@pytest.mark.parametrize("stream", [0, 9])
def test_by_place_eight_pixels_are_marked_and_those_of_the_file_are_answered(tab, page, stream):
    tab.open(page, width=390, fragment=f"#stream={stream + 1}&pixels={OWN}&asked=place")
    places = PLACES[stream]
    faint = "[...canvas.querySelectorAll('rect')].map((x) => x.classList.contains('faint'))"
    assert [n for n, each in enumerate(tab.run(faint)[:64]) if not each] == sorted(places)
    assert tab.texts("#left b") == ["GRU", "LSTM"]  # by bits; the others were not asked
    own = np.array([int(digit, 16) for digit in OWN])[places]
    for name, cell in (("block-gru", "GRU"), ("block-lstm", "LSTM")):
        found, certainty = (each[stream] for each in BY_PLACE[name])
        colours, areas = drawn(tab, cell, places)
        assert colours == [*((4 * own ^ found ^ VALUES[stream]) // 4)]
        np.testing.assert_allclose(areas, certainty, atol=1e-4)
        said = f"{BY_KEY[name]['at_once']:.3g} of 48 bits", f"{sum(colours == own)} of 8 right"
        assert tab.texts(f'[data-cell="{cell}"] span') == [*said]
    assert tab.run("document.documentElement.scrollWidth") == 390
    assert tab.violations() == []


def test_a_link_opens_the_same_view(tab, page):
    tab.open(page)
    tab.click("#stream")
    tab.click("#rows button:nth-child(2)")
    tab.click('#chosen input[value="LRU"]')
    mouse(tab, "mousePressed", 20)
    mouse(tab, "mouseReleased", 20, is_down=False)
    tab.click("#network input:not(:checked)")
    address, before = tab.run("location.hash"), tab.run("document.querySelector('main').innerHTML")
    assert tab.texts("#left b") == ["LSTM", "GRU"]
    tab.open(page, fragment=address)
    assert tab.run("document.querySelector('main').innerHTML") == before
    assert tab.run("location.hash") == address


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(tab, page, dark):
    for fragment in ("", "#guess=3"):
        tab.open(page, dark=dark, fragment=fragment)
        assert tab.violations() == []


def test_the_page_asks_for_nothing_and_logs_nothing(tab, page):
    with tab.left_alone(page):
        tab.open(page, still=False, fragment="#pixels=0&stream=99&cells=&guess=3")
        for button in ("#next", "#stream", "#by", "#blank", "#chosen input"):
            tab.click(button)
