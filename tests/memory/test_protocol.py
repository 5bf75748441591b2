"""A protocol of one's own: what it can be, and that its cards stand with no others."""

import math

import msgspec
import pytest
from card_runs import by_key, by_lag, made, run_of
from made_up_cards import card_with, stored
from tiny_memory import NUMBERS

import echo_jax
from echo_jax import Protocol
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.memory import card_contents as cards
from echo_jax.memory.by_key.key_rows_and_bits import BY_KEY
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG
from echo_jax.memory.card_contents import row_kind
from echo_jax.memory.comparison import comparability, significance
from echo_jax.memory.pages import card_pages, curve_figures, table
from echo_jax.memory.protocol import STANDARD, read_protocol

OTHER = Protocol(largest_norm=2.0)  # whose rows look like those of the standard
FEW = Protocol(
    **NUMBERS | {"keys": 6, "values": 3, "pairs_of_large": 6, "pairs": [2, 3, 4, 6]},
    symbols=5, lags=7, asked_steps=2, asked_every=3,
)  # fmt: skip

IMPOSSIBLE = (
    ("updates = 50", "updates=50 is not a multiple of the 100"),
    ("updates_at_once = 500", "pilot_updates=300 is not a multiple of the 500"),
    ("budgets = [0]", "budgets=.* is refused .*>= 1"),
    ("associated = 65", "associated=65 is more than the 64 keys"),
    ("updates = '9'", "updates='9' is refused .*`int`, got `str`"),
    ("updatess = 1000", "updatess"),
    ("rows = true", "rows=True is refused"),
    ("keys = 128", "keys=128 is refused .*<= 127"),
    ("keys = 32", "pairs_of_large=64 is more than the 32 keys"),
    ("pairs = [2, 4, 3]", "are not in rising order"),
    ("pairs_of_small = 23", "pairs_of_small=23 .* not among the pairs"),
    ("largest_norm = nan", "largest_norm=nan is refused .*> 0"),
    ("rates_by_key = []", "rates_by_key=.* is refused .*length >= 1"),
    ("updates = ", "Invalid value"),
    ("updates = \xff", "decode"),
    ("rates = " + "[" * 5000, "recursion"),
    (f"updates = 0x{'f' * 5000}", "updates=int of too many digits is refused"),
    ("rates = [1, 1]", "rates=.* has a value twice"),
)


@pytest.mark.parametrize(("text", "rule"), IMPOSSIBLE)
def test_a_file_of_impossible_numbers_is_one_sentence(tmp_path, text, rule):
    path = tmp_path / "my.toml"
    path.write_text(text, "latin-1")
    with pytest.raises(ConfigError, match=rf"^\S*my\.toml.* .*{rule}") as refused:
        read_protocol(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "sizes", [{"streams": 10**9}, {"rows": 10**6, "lags": 10_000}, {"recalls": 10**9}]
)
def test_data_sets_that_no_memory_holds_are_refused_before_a_folder_is_made(tmp_path, sizes):
    with pytest.raises(ConfigError, match=r"GiB of memory is needed, more than the .* fewer rows"):
        echo_jax.card("gru", protocol=Protocol(**sizes), out=tmp_path / "cards")
    assert not (tmp_path / "cards").exists()


def test_every_number_is_in_the_digest_and_a_file_names_those_that_differ(tmp_path):
    path = tmp_path / "my.toml"
    path.write_text("\ufefflargest_norm = 2\nrates_by_key = [0.02]\n")
    read = read_protocol(path)
    by_hand = Protocol(largest_norm=2.0, rates_by_key=[0.02])
    assert (read, read.digest) == (by_hand, by_hand.digest)
    assert set(read.own) == {"largest_norm", "rates_by_key"}
    changed = {"updates": 500, "values": 63, "ramp": 0.9, "fillers": 2, "recalls": 8}
    digests = {Protocol(**{name: x}).digest for name, x in changed.items()}
    assert len(digests | {STANDARD.digest, OTHER.digest}) == 7
    assert [STANDARD.most_pairs(size) for size in (800, 801)] == [24, 64]


@pytest.mark.parametrize("configuration", [by_lag(0.03, 4), by_key(0.03, 4)])
def test_a_run_of_other_sizes_has_a_row_of_its_protocol_and_of_no_other(configuration):
    row = made(run_of("simple", {"features": 4}, configuration, protocol=FEW))
    values = msgspec.to_builtins(row)
    assert row_kind(FEW).decode(dict(values)) == row
    for other in (STANDARD, msgspec.structs.replace(FEW, recalls=3, lags=8)):
        with pytest.raises(
            ValueError, match=r"is not a multiple of 100|not have 8|have 3 times each"
        ):
            row_kind(other).decode(dict(values))
    measured = cards.bits_of([row], FEW).curve
    assert len(measured) == (7 if configuration.question == "by lag" else 3)


def test_bits_and_the_list_are_those_of_the_number_of_values():
    row = made_by_key([4, 6, 8])
    assert cards.bits_of([row], FEW).mean == pytest.approx(4 * math.log2(3), abs=1e-4)
    half = made_by_key([2, 3, 4])  # wrong in half of the answers, about 3 values
    expected = 4 * (math.log2(3) - 1 - 0.5)
    assert cards.bits_of([half], FEW).mean == pytest.approx(expected, abs=1e-4)
    listed = curve_figures.list_line([2], FEW)[1]
    assert listed == pytest.approx([(1 + 1 / 3) / 2])


def made_by_key(right):
    row = {"question": "by key", "seed": 0, "rate": 0.01, "updates": 4}
    counts = {"pairs": [2, 3, 4], "asked": [4, 6, 8]}
    return row_kind(FEW).decode(row | counts | {"validation": right, "final": right})


@pytest.fixture
def folder(tmp_path):
    """Two cards, that differ in nothing but their protocol."""
    for name, protocol in (("a", STANDARD), ("b", OTHER)):
        whole = card_with(4, lags=9, cell="block:gru", name=name, protocol=protocol)
        stored(*whole, tmp_path)
    return tmp_path


def test_a_card_states_all_numbers_of_its_protocol_and_has_rows_of_no_other(folder):
    standard, own = ((folder / name / "card.json").read_text() for name in "ab")
    assert '"protocol": 5,' in standard
    stated = msgspec.json.decode(own)
    assert Protocol(**stated["protocol"]) == OTHER
    assert stated["protocol"].keys() == msgspec.to_builtins(OTHER).keys()
    assert cards.read(folder / "b")[0].numbers == OTHER
    row = msgspec.structs.replace(cards.read(folder / "a")[1][0], updates=9)
    (folder / "b" / "rows.jsonl").write_bytes(row_kind(STANDARD).line(row))
    with pytest.raises(StorageError, match=r"line 1 of \S*jsonl .*not a multiple of 100"):
        cards.read(folder / "b")


def test_cards_of_two_protocols_stand_in_no_table_figure_comparison_or_folder(folder):
    a, b = both = [cards.read(folder / name)[0] for name in "ab"]
    for together in (
        lambda: echo_jax.cards(folder),
        lambda: echo_jax.cards(folder, ["lstm"], OTHER),
        lambda: card_pages.write_report(folder),
        lambda: table.cards_table(both),
        lambda: table.shown(both),
        lambda: table.tidy_rows(both),
        lambda: curve_figures.panels_figure(both, BY_LAG),
    ):
        with pytest.raises(ConfigError, match=rf"\(protocol {OTHER.digest}\).* cannot be shown"):
            together()
    assert significance.letters_of(both, BY_LAG) == ["", ""]
    assert not comparability.comparable(both)
    assert curve_figures.peers(b, BY_KEY) == []
    assert curve_figures.peers(a, BY_KEY) != []
    assert list(echo_jax.cards(folder, protocol=OTHER)) == ["b"]
    card_pages.write_report(folder, protocol=OTHER)
    page = (folder / "README.md").read_text()
    assert "(<a/card.md>)" not in page
