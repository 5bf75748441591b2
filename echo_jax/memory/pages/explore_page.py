"""The page on which cards are explored: one HTML file without a library, a request or a server.

It is made of the files of the folder `explore`; the curves of all seeds are JSON in the page.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from echo_jax.memory.answers_to_bits import accuracy_of_list
from echo_jax.memory.card import (
    Card,
    accuracy,
    best_of_seeds,
    bits_by_key,
    bits_by_lag,
    lag_bits,
    whole_seeds,
)
from echo_jax.memory.card_rows import KeyRow, LagRow, Row
from echo_jax.memory.pages.table import is_control, labels_of, nominal_bytes
from echo_jax.memory.pages.told_apart import place, track
from echo_jax.memory.protocol import Protocol
from echo_jax.report.html_page import assembled
from echo_jax.report.number_formats import number, plain

PAGE = "explore.html"

LEDE = (
    "Each curve is the mean of the seeds of a cell. By lag: the bits, of 4, that its state holds "
    "about a token. By key: the share of values that it says for their keys. Grey and dashed: "
    "cells that are not trained, or whose memory is known."
)


def page(whole: Sequence[tuple[Card, list[Row]]]) -> str:
    """The page of some cards and their rows."""
    parts = {"style": ["explore.css"], "script": ["explore.js"]}
    return assembled(Path(__file__).with_name("explore") / PAGE, parts, data_of(whole))


def data_of(whole: Sequence[tuple[Card, list[Row]]]) -> dict[str, Any]:
    """What the page is told of cards."""
    kinds: dict[tuple[str, int], list[tuple[Card, list[Row]]]] = {}
    for card, rows in whole:
        kinds.setdefault((track(card), nominal_bytes(card.state_bytes)), []).append((card, rows))
    found = list[dict[str, Any]]()
    for (of_track, size), alike in merged(kinds):
        names = labels_of([card for card, _ in alike])
        kind = f"{of_track}, about {number(size)} bytes"
        for (card, rows), name in zip(alike, names, strict=True):
            found.append({"kind": kind, "cell": name} | card_data(card, rows))
    protocol = whole[0][0].numbers
    pairs = list(protocol.pairs)
    of_list = [accuracy_of_list(k, protocol.values) for k in pairs]
    return {
        "title": "The memory of recurrent cells, to explore",
        "lede": LEDE,
        "updates": protocol.updates,
        "pairs": pairs,
        "list": plain(of_list, ".3f"),
        "cards": found,
    }


def merged(kinds: Mapping[tuple[str, int], list[Any]]) -> list[tuple[tuple[str, int], list[Any]]]:
    """Kinds of cards, those with most first; controls alone in their size join the most there."""
    most = sorted(kinds, key=lambda kind: (-len(kinds[kind]), place(kind[0]), kind[1]))
    found: dict[tuple[str, int], list[Any]] = {}
    for kind in most:
        alone = all(is_control(card) for card, _ in kinds[kind])
        same = [x for x in found if x[0] == kind[0]]
        found.setdefault(same[0] if alone and same else kind, []).extend(kinds[kind])
    return [*found.items()]


def card_data(card: Card, rows: Sequence[Row]) -> dict[str, Any]:
    """A card: its size, and for each question and number of updates the bits of its seeds."""
    counted = whole_seeds(rows, card)
    return {
        "page": f"{card.name}/card.md",
        "anchor": is_control(card),
        "bytes": card.state_bytes,
        "parameters": card.parameters,
        "lag": measured(counted, LagRow, card.numbers),
        "key": measured(counted, KeyRow, card.numbers),
    }


def measured(
    rows: Sequence[Row], kind: type[LagRow] | type[KeyRow], protocol: Protocol
) -> dict[str, Any] | None:
    """By number of updates the bits and the curve of each seed; None where nothing was measured."""
    rows = [row for row in rows if isinstance(row, kind)]
    found = dict[str, Any]()
    for updates in sorted({row.updates for row in rows}):
        usual = [row for row in rows if row.updates == updates]
        bits = bits_by_lag(usual, protocol) or bits_by_key(usual, protocol)
        assert bits
        by_lag: Sequence[Row] = best_of_seeds(usual, LagRow, protocol)
        chosen: Sequence[Row] = by_lag or best_of_seeds(usual, KeyRow, protocol)
        curves = [
            lag_bits(row.final, protocol) if isinstance(row, LagRow) else accuracy(row.final, row)
            for row in chosen
        ]
        decimals = ".2f" if kind is LagRow else ".3f"
        found[str(updates)] = {
            "bits": plain(bits.by_seed, ".2f"),
            "curves": plain(curves, decimals),
            "bound": bits.at_least,
        }
    return found or None
