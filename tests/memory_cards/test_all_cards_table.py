"""Which cards stand in one table, in which order, and what a row says."""

from fabricated_cards import BLOCK, BLOCK_QUICK, KEYS, card, fabricated

from echo_jax.memory_benchmark.published_cards import ORDER
from echo_jax.memory_cards import all_cards_table as table
from echo_jax.memory_cards.card_text import AT_LEAST
from echo_jax.report.page import Entry


def block(cell, lag=8, key=2, protocol=BLOCK, **plan):
    climbs = {"lag-16": lag, "key-64": key}
    known = {ladder["name"] for ladder in protocol["ladders"]}
    climbs = {name: last for name, last in climbs.items() if name in known}
    return fabricated(f"block:{cell}", climbs, protocol, **plan)


def names(cards):
    return [made["name"] for made in cards]


def test_cards_are_sorted_by_track_layers_bytes_and_protocol():
    one, near = block("gru"), block("lstm", lag=12, state=436)
    two = block("gru", args={"features": 5, "layers": 2}, name="two")
    large, keys = block("gru", state=900, name="large"), block("lru", protocol=KEYS, state=4000)
    odd = block("gru", protocol=BLOCK | {"budget": 4000}, name="odd")
    quick = block("gru", protocol=BLOCK_QUICK)
    old = {"schema": 1, "name": "old"}
    copies = [card("lstm-copy") | {"name": "later"}, card("lstm-copy")]
    copies[0]["rows"]["copy"][-1]["recall"]["median"] = 2.07
    cards = [odd, quick, two, keys, large, one, *copies, old, card("lstm"), near]
    found = table.sort_out(cards)
    assert {each: names(of) for each, of in found.tracks["block"].items()} == {
        table.ONE: ["block-lstm-full", "block-gru-full"],
        table.MORE: ["two"],
        table.KEYS: ["block-lru-keys"],
        table.LARGER: ["large"],
    }
    assert list(found.tracks) == ["block", "cell"]
    assert names(found.main("cell")) == ["lstm"]
    assert names(found.copies) == ["lstm-copy", "later"]
    assert sorted(map(names, found.others)) == [["block-gru-quick"], ["odd"]]
    assert names(found.protocol_1) == ["old"]
    assert len(found.shown) == len(cards) - 1


def test_without_a_full_card_the_protocol_of_most_cards_is_the_main_one():
    quick = [block(cell, protocol=BLOCK_QUICK) for cell in ("gru", "lstm")]
    found = table.sort_out([*quick, block("lru", protocol=KEYS, state=4000)])
    assert names(found.main("block")) == names(quick)
    assert names(found.tracks["block"][table.KEYS]) == ["block-lru-keys"]
    alone = table.sort_out([block("lru", protocol=KEYS, state=4000)])
    assert names(alone.main("block")) == ["block-lru-keys"]
    assert table.sort_out([]).main("block") == []


def test_controls_stand_in_the_main_table_whatever_their_size():
    control = card("shift-6")
    control["rows"]["price"]["state_bytes"] = 4000
    cards = table.sort_out([control, card("lru")]).main("cell")
    assert names(cards) == ["lru", "shift-6"]


def test_the_first_of_a_ladder_leads_with_those_not_told_apart_and_controls_are_not_ranked():
    cards = [card(name) for name in ("shift-6", "lstm", "simple", "identity-rnn", "no-memory")]
    found = table.places(cards, "lag-2")
    assert [each.label for each in found] == ["lstm", "simple", "identity-rnn"]
    assert [each.label for each in table.leaders(found)] == ["lstm", "simple"]
    of_v_16 = table.places(cards, "lag-16")
    assert [each.label for each in table.leaders(of_v_16)] == ["simple"]
    nothing = [block("gru", lag=0), block("lstm", lag=0)]
    assert table.leaders(table.places(nothing, "lag-16")) == []
    assert table.leaders([]) == []


def test_a_cell_is_named_by_its_arguments_only_where_there_are_two_of_it():
    cards = [
        block("gru"),
        block("lstm", args={"features": 4}),
        block("lstm", args={"features": 8}),
        *[block("lru", args={"features": 1}, name=name) for name in ("one", "two")],
    ]
    assert table.labels_of(cards) == ["gru", "lstm features 4", "lstm features 8", "one", "two"]


def test_a_row_has_each_number_with_its_interval_and_lower_bounds_sort_above_their_number():
    cards = [card("lru"), card("lstm"), card("no-memory")]
    rows = dict(zip(("lru", "lstm", "none"), table.cards_table(cards, {}, "").entries, strict=True))
    assert rows["lstm"][1] == Entry("23.7", 23.7137, "21.1 to 26.6")
    assert rows["lru"][1][:3:2] == (f"{AT_LEAST}200", "from 200")
    assert rows["lru"][1].key > 200
    assert rows["none"][1][:3:2] == ("<\u20091", "no seed passed it")
    assert rows["none"][0] == Entry("Memoryless", "Memoryless", "control")
    entry = Entry("link", "link", "", "there")
    linked = table.cards_table(cards[:1], {id(cards[0]): "there"}, "").entries[0][0]
    assert linked == entry._replace(text="lru", key="lru")


def test_a_ladder_that_the_clock_of_the_key_task_cut_off_was_not_run_for_its_cost():
    made = fabricated("block:gru", {"key-16": 4}, KEYS, state=4000)
    made["not_measured"] |= dict.fromkeys(
        ("key-16", "key-64", "rest"), "the clock of keys was over"
    )
    (row,) = table.cards_table([made, block("lru", protocol=KEYS)], {}, "").entries[:1]
    assert [entry.text for entry in row[1:3]] == ["4.9", "not run: cost"]
    made["not_measured"]["key-64"] = "it was interrupted"
    (row,) = table.cards_table([made, block("lru", protocol=KEYS)], {}, "").entries[:1]
    assert row[2].text == "not measured"


def test_what_nobody_measured_has_no_column_and_a_cell_without_a_card_has_a_row():
    cards = [card("lstm"), card("stopped")]
    assert table.not_run(cards) == [each for each in ORDER if each not in ("lstm", "gru")]
    found = table.cards_table(cards, {}, "", ["lmu", "s5"])
    assert found.headings == [
        "cell", "by lag, V 2", "by lag, V 16", "on demand, V 2", "bits held", "state, bytes",
        "parameters", "updates",
    ]  # fmt: skip
    assert [row[0].text for row in found.entries] == ["lstm", "gru", "lmu", "s5"]
    assert [entry.text for entry in found.entries[1]][2:4] == ["not measured"] * 2
    assert [entry.text for entry in found.entries[2]] == ["lmu", "not run yet", *[""] * 6]
    assert all(entry.missing for entry in found.entries[2][1:])
    assert set(found.headings) <= {*table.MEANINGS, *found.headings[1:4]}
