"""What a card says in words, in a terminal and on its page."""

import re

import pytest
from fabricated_cards import CARDS, SMALL, card, run, tuning_rows

from echo_jax.memory_cards import card_file, card_text
from echo_jax.memory_cards.card_markdown import markdown
from echo_jax.memory_cards.summary import span_estimate


def words(name):
    return {row: (value, note) for row, value, note in card_text.glance(card(name))}


def test_every_score_of_a_glance_has_its_interval_its_floor_and_its_seeds():
    for name in CARDS:
        for row, value, note in card_text.glance(card(name)):
            scored = row.startswith(("stream", "hold", "capacity", "linear", "beyond", "copy"))
            if scored and value != "not measured":
                seeds = 6 if name == "irnn" and row == "beyond" else 8
                said = rf"to .* \(9\d\.\d%\); floor \S+.*; {seeds} seeds"
                assert re.search(said, note), (row, note)
            assert note


def test_a_glance_says_what_was_measured():
    said = words("lstm")
    assert list(said)[:6] == [
        "stream span", "stream span at 60%", "hold span", "hold span at 60%", "capacity",
        "linear capacity",
    ]  # fmt: skip
    assert said["stream span"] == (
        "20 steps back", "20 to 30 (93.0%); floor 0; 8 seeds; next rung 30",
    )  # fmt: skip
    assert words("ssm")["stream span"][1].startswith("300 to at least 500 (93.0%)")
    assert words("lru")["stream span at 60%"][0] == "at least 500 steps back"
    assert said["learning, stream"][1].endswith("8 of 8 seeds arrived")
    lost = words("irnn")["learning, stream"][1]
    assert lost.endswith("; the loss of 2 became no number at some lag")
    assert said["cause"][0] == "could not learn"
    assert "4 of 6 did when trained on from a shorter lag" in said["cause"][1]
    assert said["price"][0] == "10,902 parameters, 400 bytes of state"
    assert "floor 2.08 nats" in words("lstm-copy")["copy memory, T = 1,000"][1]
    assert "floor 50.00%" in said["beyond"][1]


def test_a_glance_says_why_a_row_was_not_measured():
    said = words("lstm-quick")
    assert said["capacity"] == ("not measured", "the quick protocol does not measure it")
    assert said["copy memory"] == ("not measured", "it has a time of its own: --task copy")


@pytest.mark.parametrize(
    ("by_seed", "at_least", "is_at_least"),
    [
        ([5] * 8, [False] * 8, False),
        ([5] * 8, [True] + [False] * 7, False),  # the median of the others is 5 all the same
        ([5] * 8, [True] * 4 + [False] * 4, False),  # the lower of the two in the middle
        ([5] * 8, [True] * 5 + [False] * 3, True),
        ([5] * 4 + [8] * 4, [False] * 4 + [True] * 4, False),
        ([12] * 4 + [20] * 4, [False] * 8, False),
        ([3] * 5 + [8] * 3, [False] * 5 + [True] * 3, False),
        ([5], [True], True),
    ],
)
def test_a_median_is_a_lower_bound_where_longer_spans_of_such_seeds_would_raise_it(
    by_seed, at_least, is_at_least
):
    span = span_estimate(by_seed) | {"at_least": at_least}
    assert card_text.reach(span).at_least == is_at_least


def test_the_page_of_a_card_says_what_its_numbers_support():
    text = markdown(card("lstm"), "lstm.svg")
    assert text.startswith("# Memory card: lstm\n\nThe cell lstm with features=50 by protocol full")
    assert "![The memory card of lstm](<lstm.svg>)" in text
    assert "hands back the token of 20 steps before (8 seeds; 20 to 30, 93.0%; floor 0)" in text
    assert (
        "2 did, and 4 of 6 did when trained on from a shorter lag: they could not learn it" in text
    )
    assert "| 30 | never | 1,800 to never | 2 of 8 |" in text
    assert "python scripts/probe.py --cell lstm --cell-args features=50 --protocol full" in text
    assert text.count("\n| ") > 30


def test_the_page_has_every_line_of_the_glance():
    for name in CARDS:
        text = markdown(card(name)).replace("\\", "")
        for line in card_text.lines(card(name)):
            assert f"| {line.row} | {line.value} |" in text
        assert "None" not in text
        assert "nan" not in text
        assert "svg" not in text


def test_the_page_claims_nothing_that_is_not_there():
    nothing = markdown(card("no-memory"))
    assert "It was not seen to hand back any past token" in nothing
    assert "It was not seen to hold a value" in nothing
    assert "was not seen to hold anything about the past" in nothing
    assert "hands back the token" not in nothing
    assert "No limit was found: every seed reached every rung, to lag 500." in markdown(card("lru"))
    assert "at least 500 steps" in markdown(card("lru"))
    gru = markdown(card("gru"))
    assert "whether such cells could not hold it or could not learn it is undetermined" in gru
    quick = markdown(card("lstm-quick")).split("### How to read it")[0]
    assert "bits about the past" not in quick
    assert "could not" not in quick
    mine = markdown(card("mine"))
    assert "the token of 5 steps before" in mine
    assert "the SHA-256 of its file is abababababab..." in mine


def test_one_seed_has_no_interval():
    protocol = SMALL | {"seeds": 1}
    raw = [*tuning_rows("stream", protocol), run("stream", 1, 0, protocol, 100)]
    raw += [run("stream", 2, 0, protocol)]
    made = card("lstm-quick")
    identity = {"name": "one", "cell": made["cell"], "protocol": protocol, "seeds": [0]}
    made = card_file.make(identity, raw, {}, made)
    card_file.validate(made)
    assert card_text.glance(made)[0] == (
        "stream span", "1 step back", "floor 0; 1 seed, no interval; next rung 2",
    )  # fmt: skip
    assert "1 step before (1 seed, no interval; floor 0)" in markdown(made)


def test_a_name_or_device_with_marks_stands_for_itself_on_the_page():
    made = card("mine") | {"device": "a | b <script> *c*"}
    assert r"on a \| b \<script\> \*c\*" in markdown(made)
