"""How often cells are called different: from committed repeats of cards, and of one new pair."""

import dataclasses
import itertools
import re
from pathlib import Path

import pytest
from flax import linen as nn
from tiny_cards import made_card

from echo_jax.cells.vector_state.lstm import LSTMCell
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.measure_cell import raw_rows
from echo_jax.memory_benchmark.spans import are_disjoint
from echo_jax.memory_cards import card_file, repeats
from echo_jax.memory_cards.card_text import span_words
from echo_jax.memory_cards.compare_two import mean_span_of

DOCS = Path(__file__).parents[2] / "docs"
FIRST = {"hold-2": 1, "lag-16": 1}


def repeats_in(folder):
    """The repeats of the two cells of a folder: those of the first begin with smaller seeds."""
    cards = [
        card_file.read(path) for path in sorted((DOCS / "calibration" / folder).glob("*.json"))
    ]
    hashes = {made["protocol_hash"] for made in cards}
    assert hashes == {protocol.hash_of(protocol.CELL_QUICK)}
    first = [made for made in cards if made["seeds"][0] < 1_000_000]
    second = [made for made in cards if made["seeds"][0] >= 1_000_000]
    seeds = [seed for made in cards for seed in made["seeds"]]
    assert len(set(seeds)) == len(seeds)
    return [[repeats.repeat_of(made) for made in group] for group in (first, second)]


@pytest.mark.parametrize(
    ("folder", "least", "most"), [("twins", 0, 0.05), ("registers", 0.8, 1), ("sizes", 0.8, 1)]
)
def test_twins_are_hardly_ever_called_different_and_other_cells_nearly_always(folder, least, most):
    ones, others = repeats_in(folder)
    drawn = repeats.resampled(ones, others, 400, 4)
    for pairs in (drawn, [*itertools.product(ones, others)]):
        found = repeats.called_different(pairs, FIRST)
        assert least <= found.any_ladder / found.pairs <= most
        said = f"{found.any_ladder / found.pairs:.1%}"
        page = (DOCS / "calibration.md").read_text()
        assert any(line.endswith(said) and f" {found.pairs} " in line for line in page.splitlines())


def test_two_full_cards_of_one_cell_are_hardly_ever_called_different():
    shares = {}
    for path in sorted((DOCS / "cards").glob("*-full.json")):
        made = card_file.read(path)
        first = {ladder["name"]: ladder["rungs"][0] for ladder in made["protocol"]["ladders"]}
        repeat = repeats.repeat_of(made)
        found = repeats.called_different(repeats.resampled([repeat], [repeat], 400, 8), first)
        shares[path.stem] = found.any_ladder / found.pairs
    said = f"{max(shares.values()):.1%} (the {len(shares)} full cards"
    assert max(shares.values()) <= 0.05
    assert said in (DOCS / "calibration.md").read_text()


def test_the_page_says_what_three_times_the_updates_change():
    page = (DOCS / "calibration.md").read_text()
    for cell, title in (("lstm", "LSTM"), ("mingru", "minGRU")):
        path = f"{cell}-state-bytes-400-full"
        cards = [
            card_file.read(DOCS / folder / f"{name}.json")
            for folder, name in (("cards", path), ("calibration/budget-9000", f"{path}-9000"))
        ]
        assert [made["protocol"]["budget"] for made in cards] == [3000, 9000]
        shown = ["{} ({})".format(*span_words(made["rows"]["ladders"]["lag-2"])) for made in cards]
        assert f"| {title} | {shown[0]} | {shown[1]} |" in page
        runs = [
            {(row["seed"], row["rung"], row["rate"]): row["accuracy"] for row in made["raw"]
             if row["kind"] == "run" and row["ladder"] == "lag-2"}
            for made in cards
        ]  # fmt: skip
        shared = {*runs[0]} & {*runs[1]}
        assert len(shared) > 20
        assert all(runs[1][run][: len(runs[0][run])] == runs[0][run] for run in shared)


def test_the_page_says_what_full_cards_say_of_the_lstm_and_the_tanh_rnn():
    page = (DOCS / "calibration.md").read_text().replace("\n", " ")
    cells = [
        card_file.read(DOCS / "cards" / f"{cell}-state-bytes-400-full.json")["rows"]["ladders"]
        for cell in ("lstm", "simple")
    ]
    for ladder, disjoint in (("lag-2", False), ("lag-16", True)):
        spans_of_both = [mean_span_of(ladders[ladder]) for ladders in cells]
        assert are_disjoint(*spans_of_both) == disjoint
        for ladders in cells:
            mean, interval = span_words(ladders[ladder])
            assert re.search(rf"\b{re.escape(mean)} (steps )?\({re.escape(interval)}\)", page)


@pytest.mark.slow
def test_one_more_pair_of_twins_is_not_called_different():
    """On a third of the budget, so that every seed misses a rung and ends within the ladder."""
    by_lag = dataclasses.replace(
        protocol.CELL_QUICK.ladders[1], rungs=(1, 2, 4, 5, 6, 8), coarse=(1, 2, 4)
    )
    chosen = dataclasses.replace(
        protocol.CELL_QUICK, ladders=(by_lag,), rows=("ladders",), budget=1000
    )
    one, other = (
        repeats.repeat_of(made_card(list(raw_rows(cell, chosen, seed)), chosen, seed))
        for cell, seed in ((LSTMCell(50), 500), (nn.OptimizedLSTMCell(50), 2_000_000))
    )
    assert all(climb.missed for each in (one, other) for climb in each["lag-16"])
    assert repeats.called_different([(one, other)], {"lag-16": 1}).any_ladder == 0
