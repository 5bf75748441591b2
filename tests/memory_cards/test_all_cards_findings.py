"""Sentences that are computed from cards: each says what they show, or does not stand at all."""

import re

import pytest
from fabricated_cards import BLOCK, card, fabricated

from echo_jax.config import CELL_NAMES
from echo_jax.memory_cards import all_cards_findings as together
from echo_jax.memory_cards.all_cards_findings import CLAIMS, Claim, findings, verdict, winners
from echo_jax.memory_cards.all_cards_table import sort_out


def blocks(**lags):
    """Cards of cells in the block, by the last rung of lag-16 and of key-64."""
    return [
        fabricated(f"block:{cell.replace('_', '-')}", {"lag-16": lag, "key-64": key}, BLOCK)
        for cell, (lag, key) in lags.items()
    ]


def test_a_winner_is_named_with_its_interval_and_those_not_told_apart():
    cards = blocks(lru=(32, 0), lstm=([24, 32] * 4, 0), gru=([24, 32] * 4, 0))
    lag, key = winners(cards)
    assert lag == (
        "By lag, V 16: lru 39.2 steps back (32 to 48) goes furthest, not told apart from the "
        "2 others."
    )
    assert key == "By key, V 64: none of 3 cells passed 2 keys."
    lag, _ = winners([*cards, *blocks(minlstm=(8, 0))])
    assert lag.endswith("apart from lstm 33 (27.7 to 39.2) and gru 33 (27.7 to 39.2).")
    assert winners(blocks(lru=(64, 16), gru=(8, 4))) == [
        "By lag, V 16: lru at least 64 steps back (from 64) goes furthest; next is gru 9.8 "
        "(8 to 12).",
        "By key, V 64: lru at least 16 keys (from 16) goes furthest; next is gru 5.66 (4 to 8).",
    ]
    (alone, never) = winners(blocks(lru=(8, 0)))
    assert alone == "By lag, V 16: lru 9.8 steps back (8 to 12), the only cell so far."
    assert never == "By key, V 64: lru below 2 keys (no seed passed it), the only cell so far."


def test_there_are_five_findings_with_their_intervals_and_commands():
    bare = [card("lstm"), card("simple"), card("lru")]
    found = findings(sort_out([*blocks(lstm=(24, 16), simple=(8, 2), lru=(64, 2)), *bare]))
    assert [each.words for each in found] == [
        "In the block, by lag, V 16: lru at least 64 steps back (from 64) goes furthest; next is "
        "lstm 27.7 (24 to 32).",
        "In the block, by key, V 64: lstm at least 16 keys (from 16) goes furthest; next is lru "
        "2.83 (2 to 4).",
        "The block helps lstm most, by lag, V 16, from 6.16 steps back (5.48 to 6.93) bare to "
        "27.7 (24 to 32) in it; 3 pairs compared.",
        "The LSTM and the tanh RNN as bare cells: by lag, V 2 not told apart, lstm 23.7 (21.1 to "
        "26.6) and simple 21.1 (18.9 to 23.6); by lag, V 16 told apart, lstm 6.16 (5.48 to 6.93) "
        "and simple 8.94 (8 to 10); on demand, V 2 told apart, lstm 44.7 (40 to 50) and simple "
        "9.9 (8.94 to 11).",
        "Of 3 states in the block, that of lru is shown to be used most: of its 3,200 bits at "
        "least 250 are held (250 to 250), 7.83%.",
    ]
    assert [re.findall("--cell (.*?) ", each.command)[0] for each in found] == [
        "block:lru", "block:lstm", "block:lstm", "lstm", "block:lru",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "begins"),
    [
        ([], []),
        (["lstm"], []),
        (["lstm", "simple"], ["The LSTM and", "Of 2 states"]),
        (["stopped", "lru"], []),
        (["block-lstm"], []),
        (["block-lstm", "lstm"], ["The block helps"]),
        (["lstm-copy", "mine"], []),
    ],
)
def test_a_finding_whose_cards_are_missing_is_left_out(names, begins):
    found = findings(sort_out([card(name) for name in names]))
    assert len(found) == len(begins)
    assert all(each.words.startswith(start) for each, start in zip(found, begins, strict=True))


def test_the_block_helps_none_where_intervals_meet_or_no_seed_passed_a_rung_in_it():
    bare = fabricated("lstm", {"lag-16": [8, 6] * 4})
    (said,) = findings(sort_out([*blocks(lstm=(8, 0)), bare]))
    assert said.words.startswith(
        "The block is shown to help no cell; nearest to it is lstm, by lag"
    )
    low = fabricated("lstm", {"lag-16": 1})
    assert findings(sort_out([*blocks(lstm=(0, 0)), low])) == []


def test_a_claim_is_seen_only_where_the_best_of_each_side_have_disjoint_intervals():
    claim = Claim("", "", "block", "key", ("mlstm", "gla"), ("lstm", "gru"))
    sides = {"mlstm": (8, 16), "gla": (8, 2), "lstm": (8, 4), "gru": (8, 2)}

    def said(**others):
        return verdict(claim, sort_out(blocks(**(sides | others))))

    assert said() == "seen, by key, V 64: mlstm at least 16 (from 16), lstm 5.66 (4 to 8)"
    assert said(mlstm=(8, 0), gla=(8, 0), lstm=(8, 0), gru=(8, 0)).startswith("cannot be judged, ")
    some = sort_out(blocks(mlstm=(8, 16), lstm=(8, 4)))
    assert verdict(claim, some).startswith("seen so far (gru and gla not run yet), by key, V 64: ")
    assert said(mlstm=(8, 4)).startswith("not seen, by key, V 64: ")
    assert said(mlstm=(8, 2), lstm=(8, 8)).startswith("the opposite is seen, by key, V 64: mlstm")
    assert verdict(claim, sort_out(blocks(mlstm=(8, 4)))) == "not measured yet"
    assert verdict(claim, sort_out([card("lstm")])) == "not measured yet"
    assert verdict(claim, sort_out([])) == "not measured yet"
    of_all = claim._replace(less=())
    found = verdict(of_all, sort_out(blocks(mlstm=(8, 4), rwkv7=(8, 16))))
    assert found.startswith("the opposite is seen so far (17 cells not run yet), by key")
    assert "rwkv7 at least 16" in found


def test_claims_are_about_built_in_cells_and_ladders_of_their_track():
    assert len(CLAIMS) == 6
    for claim in CLAIMS:
        assert {*claim.more, *claim.less} <= set(CELL_NAMES)
        assert not set(claim.more) & set(claim.less)
        ladders = BLOCK if claim.track == "block" else card("lstm")["protocol"]
        assert claim.task in {ladder["task"] for ladder in ladders["ladders"]}
    assert together.CLAIMS is CLAIMS
