"""Which cards a table tells apart: by brute force, by hand, by simulation."""

import csv
import io
import itertools
import math
import re

import numpy as np
import pytest
from made_up_cards import card, card_with, held, key_row, lag_row, stored

from echo_jax import statistics
from echo_jax.exceptions import ConfigError
from echo_jax.memory.by_key.key_rows_and_bits import BY_KEY
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG
from echo_jax.memory.comparison import card_names, comparability, comparison_sentences, significance
from echo_jax.memory.pages import table
from echo_jax.report import text_tables


@pytest.mark.parametrize(("first", "second"), [(3, 3), (2, 5), (4, 1)])
def test_the_permutation_test_counts_all_ways_to_divide_the_values(first, second):
    values = np.random.default_rng(first).normal(size=first + second)
    observed = abs(values[:first].mean() - values[first:].mean())
    as_far = []
    for chosen in itertools.combinations(range(first + second), first):
        others = [i for i in range(first + second) if i not in chosen]
        as_far.append(abs(values[list(chosen)].mean() - values[others].mean()) >= observed - 1e-12)
    p = statistics.permutation_test(values[:first], values[first:])
    assert p == pytest.approx(np.mean(as_far))


def test_many_seeds_are_drawn_alike_each_time():
    random = np.random.default_rng(0)
    groups = random.normal(size=16), random.normal(size=16) + 0.7
    p = statistics.permutation_test(*groups)
    assert p == statistics.permutation_test(*groups)
    from scipy import stats

    assert p == pytest.approx(stats.ttest_ind(*groups).pvalue, abs=0.02)


def test_pairs_are_told_apart_at_a_false_discovery_rate_of_5_percent():
    seeds = [[0.0, 1, 2, 3, 4, 5], [0.5, 1, 2, 3, 4, 5], [10.0, 11, 12, 13, 14, 15]]
    pairs = significance.pairs_of(seeds)
    assert [(x.first, x.second) for x in pairs if x.apart] == [(0, 2), (1, 2)]
    assert [round(pair.difference, 4) for pair in pairs] == [-0.0833, -10, -9.9167]


def test_without_a_difference_tables_seldom_tell_any_pair_apart():
    random = np.random.default_rng(0)
    tables = [significance.pairs_of(random.normal(size=(4, 5))) for _ in range(200)]
    told = [any(pair.apart for pair in pairs) for pairs in tables]
    assert np.mean(told) < 0.09  # 5%, and 2.6 deviations


def test_letters_agree_with_any_matrix_and_are_as_few_as_can_be():
    assert significance.letters([(0, 1), (0, 2)], 3) == ["a", "b", "b"]
    random = np.random.default_rng(0)
    for _ in range(20):
        pairs = [*itertools.combinations(range(6), 2)]
        apart = [pair for pair in pairs if random.random() < 0.5]
        names = significance.letters(apart, 6)
        for i, j in pairs:
            assert bool(set(names[i]) & set(names[j])) != ((i, j) in apart)


def test_cards_are_compared_only_with_those_of_their_track_and_size():
    sizes = {"lru": 400, "gru": 416, "lstm": 1600, "block:gru": 400, "block:lru": 400}
    cards = [card_with(4, cell=cell, state_bytes=size)[0] for cell, size in sizes.items()]
    names = [{of.cell.name for of in group} for group in comparability.groups(cards)]
    assert names == [{"block:gru", "block:lru"}, {"lru", "gru"}, {"lstm"}]


def test_two_cards_of_one_size_are_compared_in_the_questions_that_both_have(tmp_path):
    for name, size, by_key in (
        ("a", 400, True), ("b", 400, True), ("c", 400, False), ("d", 800, False)
    ):  # fmt: skip
        bits = 3.0 if name == "a" else 1.0
        rows = [lag_row([bits + 0.1 * seed], seed) for seed in range(4)]
        rows += [key_row(held(4), seed) for seed in range(4) if by_key]
        stored(card(rows, "gru", name=name, state_bytes=size), rows, tmp_path)
    a, *others = (str(tmp_path / name) for name in "abcd")
    by_lag, by_key = comparison_sentences.compare([a, others[0]])
    assert "a scores 2 bits more than b by lag" in by_lag
    assert "difference 2, 95% interval 1.7 to 2.3; permutation test" in by_lag
    assert "p = 0.029" in by_lag
    assert by_key.startswith("a scores as many bits as b by key (2")
    assert "p = 1" in by_key
    alone, left_out = comparison_sentences.compare([a, others[1]])
    assert alone == by_lag.replace("than b", "than c")
    assert re.search(r"by key .*\bcard c has no", left_out)
    differ = r"cannot be compared, as they differ in state \(100 float32 and 200 float32\)"
    with pytest.raises(ConfigError, match=differ):
        comparison_sentences.compare([a, others[2]])
    # Both built-in cards of the LRU differ from this one in the state; the bare one in no more.
    with pytest.raises(ConfigError, match=r"differ in state \([^)]*\): use two"):
        comparison_sentences.compare([others[2], "lru"])


@pytest.mark.parametrize(
    ("name", "cell", "tracks"),
    [
        ("register", "ProjectedRegister", {"bare", "block"}),
        ("block:register", "ProjectedRegister", {"block"}),
        ("register slots 50 numbers 2", "ProjectedRegister", {"bare"}),
        ("block:lru", "lru", {"block"}),
        ("LRU", "lru", {"bare", "block"}),
        ("echo_jax.cells.known_memory:RingReservoir", "RingReservoir", {"bare", "block"}),
    ],
)
def test_published_cards_are_found_by_the_names_of_tables_and_of_cells(name, cell, tracks):
    found = comparison_sentences.cards_of(name)
    assert {card_names.cell_of(card) for card in found} == {cell}
    assert {comparability.track(card) for card in found} == tracks


@pytest.mark.parametrize("sizes", [(1, 1), (2, 2), (3, 3), (4, 4), (1, 19), (2, 4)])
def test_the_least_p_of_a_table_is_that_of_seeds_which_do_not_overlap(sizes):
    cards = [card([], cell, seeds=n) for cell, n in zip(("gru", "lru"), sizes, strict=True)]
    equal = sizes[0] == sizes[1]
    least = (2 if equal else 1) / math.comb(sum(sizes), sizes[0])
    said = significance.few_seeds(cards)
    assert (f"p is at least {min(least, 1):.2g}" in said) == (least > 0.05)
    assert bool(said) == (least > 0.05)


def test_seeds_suffice_where_two_cards_of_a_table_have_enough_though_a_third_has_few():
    cards = [card([], cell, seeds=n) for cell, n in (("gru", 2), ("lru", 4), ("lstm", 4))]
    assert significance.few_seeds(cards[:2])
    assert not significance.few_seeds(cards)


def test_tidy_rows_have_one_number_a_column_and_come_through_csv():
    made, _ = card_with(4, lags=9, cell="block:gla", keys=10, values=10)
    rows = table.tidy_rows([made])
    assert [row["question"] for row in rows] == ["bits_by_lag", "bits_by_key"]
    assert rows[1]["mean"] == made.bits_by_key.mean
    read = list(csv.DictReader(io.StringIO(text_tables.csv_text(rows))))
    assert [float(row["mean"]) for row in read] == pytest.approx([row["mean"] for row in rows])
    assert (read[0]["at_least"], read[0]["never"], read[1]["never"]) == ("False", "", "0")


def test_runs_have_a_row_for_each_lag_and_each_number_of_pairs():
    by_lag, by_key = lag_row([4.0, 1.0], 2), key_row(lambda pairs: 1 / pairs, validation=held(9))
    rows = table.tidy_runs([by_lag, by_key, key_row(None)])
    lags, pairs = rows[:128], rows[128:]
    assert [row["data_set"] for row in lags] == ["validation"] * 64 + ["final"] * 64
    assert [row["nats"] for row in lags[64:]] == by_lag.final
    known = ["seed", "rate", "updates", "data_set", "question"]
    assert list(lags[0]) == [*known, "lag", "nats"]
    assert list(pairs[0]) == [*known, "pairs", "right", "asked"]
    answers = [(row["pairs"], row["right"], row["asked"]) for row in pairs[len(pairs) // 2 :]]
    assert answers == list(zip(by_key.pairs, by_key.final, by_key.queries, strict=True))


def test_bits_say_what_is_not_there_yet_and_what_is_a_bound():
    made = card([lag_row([4.0] * 64, seed) for seed in range(3)] + [key_row(held(3))], seeds=4)
    assert table.bits_text(made, BY_LAG) == "\u2265256 (256 to 256; 3 of 4)"
    assert table.bits_text(made, BY_KEY) == "18 (1 of 4)"


def test_a_cell_is_level_where_more_updates_gain_no_seed_5_percent():
    for most, text in ((2.05, "3.98 (level)"), (2.3, "4.1")):
        rows = [lag_row([2.0, bits], seed, updates=x) for x, seed, bits in
                ((3000, 0, 2.0), (3000, 1, 2.0), (10_000, 0, 1.9), (10_000, 1, most))]  # fmt: skip
        columns = table.budget_columns([card(rows)], BY_LAG)
        assert columns == {"after 10,000": [text]}
