import pytest
from fabricated_cards import BLOCK, card, fabricated

from echo_jax.memory_cards import compare_two
from echo_jax.memory_cards.compare_two import sentences, side_by_side


def cell(name, lag, key=2, protocol=BLOCK):
    climbs = {"lag-16": lag, "key-64": key}
    return fabricated(f"block:{name}", climbs, protocol, name=name)


def test_two_cells_differ_only_where_their_intervals_do_not_meet():
    assert list(sentences(cell("lru", 32), cell("gru", [8, 12] * 4))) == [
        "By lag, V 16: lru (39.2, 32 to 48) remembers more than gru (11.7, 9.8 to 13.9).",
        "By key, V 64: lru and gru are not told apart.",
    ]
    assert next(sentences(cell("gru", 8), cell("lru", 64))) == (
        "By lag, V 16: lru (at least 64, from 64) remembers more than gru (9.8, 8 to 12)."
    )
    touching = next(sentences(cell("gru", 8), cell("lru", 12)))  # all missed 12, all passed it
    assert touching.startswith("By lag, V 16: lru (13.9, 12 to 16) remembers more than gru")
    meeting = sentences(cell("gru", [8, 8, 8, 12] * 2), cell("lru", 12))
    assert next(meeting) == "By lag, V 16: gru and lru are not told apart."


def test_only_ladders_that_both_have_and_cards_of_one_protocol_are_compared():
    some = cell("lru", 32)
    del some["rows"]["ladders"]["key-64"]
    assert len(list(sentences(cell("gru", 8), some))) == 1
    other = cell("lru", 32, protocol=BLOCK | {"budget": 4000})
    assert list(sentences(cell("gru", 8), other)) == ["gru and lru are of different protocols."]


def test_cards_side_by_side_have_a_column_each_and_a_sentence_for_each_pair():
    cards = [card("lstm"), card("simple"), card("stopped")]
    table, _, below = side_by_side(cards).partition("\n\n")
    head, first, *lines = table.split("\n")
    assert head.split() == ["baseline", "lstm", "simple", "stopped"]
    assert first.split("   ")[0] == "by lag, V 2"
    assert "23.7 steps back, 21.1 to 26.6 (95%)" in first
    cost = next(line for line in lines if line.startswith("cost"))
    assert cost.rstrip().endswith("not measured")
    pairs = below.split("\n")
    assert len(pairs) == 3 + 1 + 1
    assert "By lag, V 16: simple (8.94, 8 to 10) remembers more than lstm (6.16," in below


@pytest.mark.parametrize("name", ["lstm", "lru"])
def test_a_mean_span_is_read_from_a_card_as_it_was_computed(name):
    span = card(name)["rows"]["ladders"]["lag-2"]
    found = compare_two.mean_span_of(span)
    assert found._asdict() == {field: span[field] for field in found._fields}
