"""The place of a card among the built-in cells, on the rungs and the seeds that they share.

`built_in_climbs.json` has how far each seed of each built-in cell climbed, by track, cell and
ladder: pairs of the last rung that was passed and the first that was missed. It is made from the
published cards by `.ci/built_in_climbs`.
"""

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

from echo_jax.config import BLOCK, is_built_in
from echo_jax.memory_benchmark.spans import Climb, MeanSpan, are_disjoint, mean_span
from echo_jax.memory_cards.card_text import (
    Card,
    capital,
    ladder_name,
    ladders_of,
    listed,
    none_reached,
    span_words,
)

Climbs = Mapping[str, Sequence[Sequence[int | None]]]
"""Pairs of a last passed and a first missed rung of each seed from 0 on, by ladder."""


PLACED = ("quick", "full")
"""Protocols whose cards are placed."""

BYTES = 400
"""Bytes of state of the built-in cells, about."""


@functools.cache
def built_in() -> Mapping[str, Mapping[str, Climbs]]:
    """The climbs of the built-in cells, by track and cell."""
    text = resources.files("echo_jax.memory_cards").joinpath("built_in_climbs.json").read_text()
    return json.loads(text)


def climbs_of(card: Card) -> Climbs:
    """The climbs in a card, in the form of `built_in`."""
    return {
        ladder["name"]: [[each["passed"], each["missed"]] for each in span["by_seed"]]
        for ladder, span in ladders_of(card)
    }


def within(climb: Sequence[int | None], rungs: Sequence[int]) -> Climb:
    """A climb as it would be on some rungs alone."""
    passed, missed = climb
    return Climb(
        max((rung for rung in rungs if rung <= (passed or 0)), default=0),
        next((rung for rung in rungs if missed is not None and rung >= missed), None),
    )


def references(card: Card) -> dict[str, dict[str, list[Climb]]]:
    """The climbs of the other built-in cells with the seeds of a card, by ladder and cell.

    Without those that were not measured on all its rungs; empty unless its seeds begin at 0, and
    for protocols and numbers of layers that the built-in cells are not known with.
    """
    seeds, known = card["seeds"], built_in().get(card["protocol"]["track"], {})
    if card["cell"]["args"].get("layers", 1) != 1 or card["protocol"]["name"] not in PLACED:
        return {}
    own, found = card["cell"]["cell"].removeprefix(BLOCK), {}
    for ladder, _ in ladders_of(card) if seeds[0] == 0 else ():
        rungs, of_ladder = ladder["rungs"], {}
        for cell, ladders in known.items():
            climbs = ladders.get(ladder["name"], ())
            shared = [within(climb, rungs) for climb in climbs[: len(seeds)]]
            whole = all(each.missed or each.passed == rungs[-1] for each in shared)
            if cell != own and len(shared) == len(seeds) and whole:
                of_ladder[cell] = shared
        found[ladder["name"]] = of_ladder
    return found


def beside(card: Card) -> dict[str, dict[str, list[Climb]]]:
    """The `references` that are drawn behind the curves of a card: of a quick one."""
    return references(card) if card["protocol"]["name"] == "quick" else {}


def sentences(card: Card) -> list[str]:
    """A sentence for each ladder of a card: the built-in cells that it stands between."""
    known, found = references(card), []
    for ladder, span in ladders_of(card):
        others = known.get(ladder["name"])
        if others and not none_reached(span):
            first = ladder["rungs"][0]
            own = [
                within((each["passed"], each["missed"]), ladder["rungs"])
                for each in span["by_seed"]
            ]
            means = {cell: mean_span(climbs, first) for cell, climbs in others.items()}
            cut = ladder["name"] in card["not_measured"]
            placed = (_place_of_cut if cut else _place)(mean_span(own, first), means)
            found.append(f"{capital(ladder_name(ladder))}: {placed}.")
    other_size = _state_sentence(card)
    return [*found, other_size] if found and other_size else found


def _state_sentence(card: Card) -> str:
    """A sentence about a state of another size than that of the built-in cells; or empty."""
    price = card["rows"]["price"]
    if not price or abs(price["state_bytes"] - BYTES) <= BYTES / 10:
        return ""
    return (
        f"The built-in cells have about {BYTES} bytes of state, this one {price['state_bytes']:,}."
    )


def _place_of_cut(own: MeanSpan, others: Mapping[str, MeanSpan]) -> str:
    """The cells that a lower bound is above already."""
    above = [cell for cell in others if are_disjoint(own, others[cell])]
    past = [cell for cell in above if others[cell].mean < own.mean]
    return f"cut short; further than {listed(past) if past else 'no built-in cell'} by then"


def _place(own: MeanSpan, others: Mapping[str, MeanSpan]) -> str:
    """Between which cells a span stands, and which of all are not told apart from it.

    A span whose ladder ended is a lower bound: nothing is said to be above it, and it is said to be
    above others but never below them.
    """
    below = [cell for cell, x in others.items() if x.mean < own.mean and not x.at_least]
    above = [cell for cell, x in others.items() if x.mean > own.mean and not own.at_least]
    low = max(below, key=lambda cell: others[cell].mean, default="")
    high = min(above, key=lambda cell: others[cell].mean, default="")
    if low and high:
        words = f"its mean is between {_named(low, others)} and {_named(high, others)}"
    elif low or high:
        words = f"its mean is {'above' if low else 'below'} {_named(low or high, others)}"
    else:
        return f"level with all {len(others)} built-in cells that have a card"
    alike = [cell for cell in others if not are_disjoint(own, others[cell])]
    return f"{words}; not told apart from {listed(alike) if alike else 'none'}"


def _named(cell: str, others: Mapping[str, MeanSpan]) -> str:
    return f"{cell} ({span_words(others[cell]._asdict())[0]})"


def table_of(cards: Iterable[Card]) -> dict[str, dict[str, Any]]:
    """The content of `built_in_climbs.json` from the published cards of bare cells and blocks.

    A full card of a cell stands for it, or a quick one where there is none.
    """
    found: dict[str, dict[str, Any]] = {"cell": {}, "block": {}}
    for card in sorted(cards, key=lambda card: card["protocol"]["name"], reverse=True):
        protocol, cell = card["protocol"], card["cell"]["cell"].removeprefix(BLOCK)
        of_table = protocol["name"] in ("quick", "full") and "layers" not in card["cell"]["args"]
        if of_table and is_built_in(cell):
            found[protocol["track"]][cell] = climbs_of(card)
    return {track: dict(sorted(cells.items())) for track, cells in found.items()}
