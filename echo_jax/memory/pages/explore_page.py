"""Make the page on which cards are explored: one HTML file without a library, request or server.

The page is made of the files of the folder `explore`; the curves of all seeds are JSON in the page.
If `readings.json` lies beside the cards, the page begins with a picture that fades.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from echo_jax.memory import card_contents as cards
from echo_jax.memory.all_questions import NAMED, WITH_CURVES, Row, bits_of
from echo_jax.memory.by_key.key_rows_and_bits import accuracy_of_list
from echo_jax.memory.card_contents import Card
from echo_jax.memory.comparison.card_names import is_control, label_of, labels_of
from echo_jax.memory.comparison.comparability import comparable, groups, size_text, track
from echo_jax.memory.face_answers import ReadCard, Readings, fading_stream
from echo_jax.memory.pages.face_picture import FACE, GROUND, PALETTE, READINGS
from echo_jax.memory.pages.table import sizes_text
from echo_jax.memory.protocol import Protocol
from echo_jax.report.number_formats import plain
from echo_jax.report.page import assembled

PAGE = "explore.html"

PICTURES = {
    "face": "".join(map(str, FACE)),
    "ghost": "0066660006666660601660166006600666666666666666666666666666066066",
    "digit": "00f110000f151500050110000051f0000000110000000ff000f551f000f11f00",
    "heart": "022002202f222222222222222222222202222220002222000002200000000000",
}
"""The gallery: 64 values of each picture, row by row, as hexadecimal digits.

The digit is number 3 of scikit-learn's digits, in four shades.
"""


def page(whole: Sequence[tuple[Card, list[Row]]], folder: Path) -> str:
    """Return the page of the cards and rows in `whole`, with any readings in `folder`, as HTML."""
    data = data_of(whole)
    if (file := folder / READINGS).exists():
        readings = msgspec.json.decode(file.read_bytes(), type=Readings)
        for way, cells in (("order", readings.cells), ("place", readings.by_key)):
            by_card = {f"{cell.card}/card.md": of_first(cell) for cell in cells}
            for each in data["cards"]:
                each[way] = by_card.get(each["page"])
        data["title"] = "Watch a memory fade"
        data["picture"] = {
            "stream": fading_stream().tolist(),
            "places": readings.places[:1],
            "values": readings.values[:1],
            "palette": PALETTE,
            "ground": GROUND,
            "pictures": [*PICTURES.values()],
        }
    return assembled(Path(__file__).with_name("explore") / PAGE, data)


def of_first(cell: ReadCard) -> dict[str, str]:
    """Return the answers of `cell` about the first stream, encoded as in `Reading`.

    A cell with a `fading` gives the answers after each step; another cell gives the answers after
    the last pixel.
    """
    if cell.fading:
        return msgspec.to_builtins(cell.fading)
    # 88 letters of base64 are 66 bytes, of which 64 at most are of the first stream.
    found = {"answers": cell.answers[:88], "certainty": cell.certainty[:88]}
    return found | ({"surprise": cell.surprise} if cell.surprise else {})


def data_of(whole: Sequence[tuple[Card, list[Row]]]) -> dict[str, Any]:
    """Return the data of the page; `whole` has its cards, each with its rows.

    The cards are in the order of their groups, with the curves and bits of their seeds.
    """
    rows_of = {card.name: rows for card, rows in whole}
    found = list[dict[str, Any]]()
    for group in groups(card for card, _ in whole):
        size = sizes_text(group) + (" numbers" if group[0].state_numbers else "")
        if not comparable(group):
            size = "states of several sizes, whose bits must not be compared"
        kind = f"{track(group[0])}, {size}"
        by_name = sorted(group, key=lambda card: card.name)
        for card, name in zip(by_name, names_of(by_name), strict=True):
            found.append({"kind": kind, "cell": name} | card_data(card, rows_of[card.name]))
    protocol = whole[0][0].numbers
    return {
        "title": "What recurrent cells remember, in bits",
        "updates": protocol.updates,
        "pairs": list(protocol.pairs),
        "list": plain([accuracy_of_list(k, protocol.values) for k in protocol.pairs], ".3f"),
        "questions": {
            x.short: {"name": x.name, "title": x.title, "label": x.x_label} for x in WITH_CURVES
        },
        "cards": found,
    }


def names_of(cards: Sequence[Card]) -> list[str]:
    """Return a name for each of `cards`; a shared name goes to the card with the fewest options.

    The names of the other cards state their options too. So a cell has one name in all groups.
    """
    names, labels = [label_of(card) for card in cards], labels_of(cards)
    most_first = sorted(range(len(cards)), key=lambda i: -len(cards[i].cell.args))
    plainest = {names[i]: i for i in most_first}  # the last one stays
    return [name if plainest[name] == i else labels[i] for i, name in enumerate(names)]


def card_data(card: Card, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the data of `card` on the page: its size, and the bits and curves of its `rows`."""
    found: dict[str, dict[str, Any]] = {question.name: {} for question in WITH_CURVES}
    for (question, updates), of in cards.rows_that_count(rows, card).items():
        if question in found:
            found[question][str(updates)] = measured(of, card.numbers)
    return {
        "page": f"{card.name}/card.md",
        "anchor": is_control(card),
        "state": size_text(card),
        "parameters": card.parameters,
    } | {question.short: found[question.name] or None for question in WITH_CURVES}


def measured(rows: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    """Return each seed's bits and curve, from `rows` of one question and number of updates.

    The bits of a row depend on the numbers of `protocol`. The result also says whether the mean is
    a bound, see `Seeded.at_least`.
    """
    bits = bits_of(rows, protocol)
    digits = NAMED[rows[0].configuration.question].digits
    return {
        "bits": plain(bits.by_seed, ".4f"),
        "curves": plain([row.curve(protocol) for row in rows], digits),
        "bound": bits.at_least,
    }
