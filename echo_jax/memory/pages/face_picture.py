"""Draw what is left of a face: the face as it was read, and the answers of networks.

The SVG is made without jax or matplotlib. The colour of a square is the most likely value, and its
area is the certainty; a wrong square is hollow.
"""

import base64
import functools
import html
import textwrap
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from echo_jax.cell_names import name_shown
from echo_jax.exceptions import one_line
from echo_jax.memory.all_questions import Row
from echo_jax.memory.by_lag.lag_rows_and_bits import LagRow
from echo_jax.memory.card_contents import Card
from echo_jax.memory.comparison.card_names import label_of
from echo_jax.memory.comparison.comparability import size_of
from echo_jax.memory.face_answers import PIXELS, ReadCard, Reading, Readings, left_of
from echo_jax.report.number_formats import number, three_digits
from echo_jax.report.styles import DARK, INK

FILE = "picture.svg"
READINGS = "readings.json"
BUILT_IN = "built_in_readings.json"
"""The file of the readings that come with the package; `.ci/built_in_cards.py` writes it."""

PALETTE = (
    "#a6be8f", "#6b257c", "#e2007b", "#d7b31b", "#929500", "#539bff", "#4b00f0", "#9a04b2",
    "#e371b5", "#b851b8", "#707200", "#027869", "#920003", "#11c4ff", "#154e3e", "#556cff",
)  # fmt: skip
"""The colours of the values 0 .. 15, which annealing chose.

Any two colours, or a colour and a `GROUND`, are at least 0.095 apart in OKLab, as normal, protan,
deutan and tritan eyes see them (Machado 2009). Each colour has a contrast of at least 2 to 1 with
both grounds.
"""

GROUND = "#ffffff", "#0b0d10"
"""The colours behind the squares, on a light page and on a dark page."""

FACE = np.array([*map(int, "0033330003333330331331333333333331333313331111330333333000333300")])
"""The pixels of the picture, row by row:

    00333300
    03333330
    33133133
    33333333
    31333313
    33111133
    03333330
    00333300
"""

SHOWN = {
    f"block-{cell}-state-bytes-400": name_shown(cell)
    for cell in ("ProjectedRegister", "lru", "simple", "lstm", "gru", "delta-net", "mamba2")
}
"""The published cards in the picture of several cards, and the names of their cells."""

KEY = (
    "A square's colour is the answer, its area how sure the network is. Hollow squares are wrong."
    " Bits are the mean over many streams."
)
STILL = (
    f"Networks with 100 numbers of state read a face from the top left and were asked for it. {KEY}"
)

STYLE = (
    f"text{{font:16px system-ui,sans-serif;fill:{INK}}}"
    f".page{{fill:#fff}}.ground{{fill:{GROUND[0]}}}"
    f"@media (prefers-color-scheme:dark){{.page{{fill:{DARK['#ffffff']}}}"
    f".ground{{fill:{GROUND[1]}}}text{{fill:{DARK[INK]}}}}}"
)

GAP = 12
LINE = 20  # the height of a line of text
LETTER = 8.5  # the width of one, on average


class Tile(NamedTuple):
    """A part of a picture: a face of squares, and lines of text below it.

    values  the value of each square, int `[64]`
    areas   the area of each square, 0 .. 1, `[64]`
    lines   the lines of text
    """

    values: np.ndarray
    areas: np.ndarray
    lines: Sequence[str]


def of_card(rows: Sequence[Row], card: Card) -> tuple[str, str] | None:
    """Return a sentence about the picture of `card`, and its SVG; None without a reading.

    The reading is taken from the first of `rows` by lag that has one.
    """
    row = next((row for row in rows if isinstance(row, LagRow) and row.reading), None)
    if not (row and row.reading):
        return None
    reading, bits = row.reading, float(row.curve(card.numbers).sum())
    words = sentence(one_line(label_of(card)), bits, reading)
    tiles = [Tile(FACE, np.ones(PIXELS), ["the picture", "256 bits"])]
    tiles.append(tile_of("what is left", reading, bits, size_of(card)))
    if card.cell.bare != "lstm":
        lstm = built_in_readings()[card.cell.in_block]
        tiles.append(tile_of(name_shown("lstm"), lstm, lstm.bits, 100))
    return words, still(tiles, 24, f"{words}. {KEY}", words, columns=3)


def tile_of(name: str, reading: Reading, bits: float, size: int) -> Tile:
    """Return the tile called `name` of what `reading` leaves of the face.

    The lines of text state the `bits`, and `size`, how many numbers the state has.
    """
    lines = [name, f"{three_digits(bits)} bits", f"{number(size)} numbers of state"]
    return Tile(*left_of(FACE, reading), lines)


@functools.cache
def built_in_readings() -> dict[bool, ReadCard]:
    """Return the readings of two LSTMs with 100 numbers of state, to compare with.

    The key True has the reading of the LSTM in the block, and False the reading of the bare LSTM.
    """
    text = resources.files("echo_jax.memory.pages").joinpath(BUILT_IN).read_bytes()
    return {x.card.startswith("block-"): x for x in msgspec.json.decode(text, type=list[ReadCard])}


def sentence(name: str, bits: float, reading: Reading) -> str:
    """Return words such as: NAME: 110 of 256 bits; 31 of 64 right.

    `name` and `bits` are stated as given, and the right pixels of the face are counted in
    `reading`.
    """
    right = np.sum(left_of(FACE, reading)[0] == FACE)
    return f"{name}: {three_digits(bits)} of 256 bits; {right} of 64 right"


def in_markdown(words: str, drawn: str) -> str:
    """Return the SVG `drawn` as an HTML image with alternative text `words`.

    Notebook viewers show a picture within Markdown only as HTML.
    """
    data = base64.b64encode(drawn.encode()).decode()
    return f'<img alt="{html.escape(words)}" src="data:image/svg+xml;base64,{data}">'


def of_folder(folder: Path) -> tuple[str, str] | None:
    """Return the text and the SVG of the picture of published cards, or None without readings.

    The readings are the file readings.json in `folder`.
    """
    if not (folder / READINGS).exists():
        return None
    cells = msgspec.json.decode((folder / READINGS).read_bytes(), type=Readings).cells
    tiles, told = [Tile(FACE, np.ones(PIXELS), ["the picture", "256 bits"])], list[str]()
    for cell in sorted(cells, key=lambda cell: [*SHOWN, cell.card].index(cell.card)):
        if name := SHOWN.get(cell.card):
            lines = [name, f"{three_digits(cell.bits)} bits"]
            tiles.append(Tile(*left_of(FACE, cell), lines))
            told.append(sentence(name, cell.bits, cell))
    words = f"What is left of a face: {'; '.join(told)}."
    return words, still(tiles, 12, STILL, words, columns=4)


def still(tiles: Sequence[Tile], pixel: int, below: str, words: str, columns: int) -> str:
    """Return the SVG of `tiles`, `columns` in a row, with the text `below` and the title `words`.

    `pixel` is the largest side of a square, in units of the SVG.
    """
    side = 8 * pixel
    across, down = side + GAP, side + LINE * max(len(tile.lines) for tile in tiles) + GAP
    drawn = list[str]()
    for i, tile in enumerate(tiles):
        x, y = GAP + i % columns * across, GAP + i // columns * down
        place = f'<g transform="translate({x} {y})">'
        ground = f'<path class="ground" d="M0 0h{side}v{side}H0z"/>'
        drawn += [place, ground, *squares_of(tile, pixel), *texts(tile.lines, 0, side), "</g>"]
    width, top = columns * across + GAP, GAP + -(-len(tiles) // columns) * down
    lines = textwrap.wrap(below, int((width - 2 * GAP) / LETTER))
    height = top + LINE * len(lines) + GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img"><title>{html.escape(words)}</title><style>{STYLE}</style>'
    )
    page = f'<path class="page" d="M0 0h{width}v{height}H0z"/>'
    return "\n".join([head, page, *drawn, *texts(lines, GAP, top), "</svg>\n"])


def squares_of(tile: Tile, pixel: int) -> list[str]:
    """Return the SVG paths of the squares of `tile`: one for each colour, and one for the holes.

    `pixel` is the largest side of a square. Squares of one colour are one path, so that no seam is
    seen between them.
    """
    kinds = [(f'fill="{PALETTE[x]}"', tile.values == x, 1) for x in np.unique(tile.values)]
    kinds.append(('class="ground"', tile.values != FACE, 4))
    found = list[str]()
    for style, shown, share in kinds:
        path = ""
        for place in np.flatnonzero(shown & (tile.areas > 0)):
            size = pixel * np.sqrt(tile.areas[place] / share)
            x, y = (pixel * at + (pixel - size) / 2 for at in (place % 8, place // 8))
            path += f"M{x:.4g} {y:.4g}h{size:.4g}v{size:.4g}h-{size:.4g}z"
        if path:
            found.append(f'<path {style} d="{path}"/>')
    return found


def texts(lines: Sequence[str], x: int, y: int) -> list[str]:
    """Return the SVG of `lines` of text, the first one below `y`, all beginning at `x`."""
    return [
        f'<text x="{x}" y="{y + LINE * i - 4}">{html.escape(line)}</text>'
        for i, line in enumerate(lines, 1)
    ]
