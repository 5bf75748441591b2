"""Rows made by hand, and what is said of them: numbers, tables, and words that change with them."""

import math
import re

import numpy as np
import pytest
from fabricated import row, study_rows

from echo_jax import statistics
from echo_jax.config import PARTS, changed
from echo_jax.report import number_formats, styles
from echo_jax.studies import answers, scores, study_tables
from echo_jax.studies.catalogue import STUDIES, Cell, Chart, Study, fast

EIGHT = changed(PARTS["context"], seeds=8)


def cell(name="a", measures=(), **fields):
    return Cell({"kind": name}, changed(EIGHT, **fields), measures)


def made(name="a", rng=0, measures=(), accuracy=None, reached=None, **fields):
    return row(cell(name, measures, **fields), rng, accuracy, reached)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0%"), (1, "100%"), (0.01, "1.00%"), (0.99726, "99.73%"), (0.9999, "99.99%"),
        (0.99996, ">99.99%"), (1 / 50_000, "<0.01%"), (6e-5, "0.01%"), (math.nan, "unknown"),
    ],
)  # fmt: skip
def test_a_share_is_never_rounded_to_none_or_all(share, words):
    assert number_formats.percent(share) == words


def test_numbers_in_words():
    assert [number_formats.number(x) for x in (0, 999.6, 12345, math.inf)] == [
        "0",
        "1,000",
        "12,345",
        "never",
    ]
    assert [number_formats.decimals(x) for x in (6.644, -0.001, -1.5)] == ["6.64", "0.00", "-1.50"]


def test_medians_and_intervals_are_those_of_statistics():
    found = made(reached=[300, 320, "never", 250, 280, 410, 500, 260])
    each = [300, 320, None, 250, 280, 410, 500, 260]
    assert scores.scores(found, "sequences_to_99") == each
    assert scores.median(found, "sequences_to_99") == 310
    # of 8 the 2nd and the 7th: 250 260 280 300 320 410 500 never
    assert scores.shown(found, "sequences_to_99", number_formats.number) == "310 (260 to 500)"
    # 20 rows in 4 batches of 5
    assert scores.shown(found, "updates_to_99", number_formats.number) == "1,240 (1,040 to 2,000)"
    assert scores.shown(found, "rows_to_99", number_formats.number) == "6,200 (5,200 to 10,000)"
    accuracy = found["by_seed"]["accuracy"]
    assert scores.summary(found, "accuracy") == statistics.summary_of(accuracy)
    low, high = sorted(accuracy)[1], sorted(accuracy)[6]
    median = np.median(accuracy)
    assert scores.shown(found, "accuracy", number_formats.percent) == (
        f"{100 * median:.2f}% ({100 * low:.2f} to {100 * high:.2f})"
    )


def test_one_seed_has_no_interval_and_what_was_not_measured_is_a_dash():
    one = made(accuracy=0.5, seeds=1)
    assert scores.shown(one, "accuracy", number_formats.percent) == "50.00%"
    assert scores.shown(one, "other_state accuracy", number_formats.percent) == "-"
    never = made(reached="never")
    assert scores.shown(never, "sequences_to_99", number_formats.number) == "never"
    few = made(reached=[100] * 3 + ["never"] * 5)
    assert scores.shown(few, "sequences_to_99", number_formats.number) == "never (100 to never)"


def test_places_are_counted_from_the_first_row():
    assert scores.places(made(accuracy=0.5), "accuracy_by_position") == (5, [0.5] * 20)
    streams = made(layout="streams", accuracy=0.5, lag=2)
    first, values = scores.places(streams, "accuracy_by_position")
    assert (first, len(values)) == (0, 25)
    assert np.isnan(values).tolist() == [True] * 2 + [False] * 23
    probed = made(measures=("probe",), layout="streams")
    each = np.array(probed["measured"]["probe"]["before"])
    np.testing.assert_allclose(scores.places(probed, "probe before")[1], each.mean(axis=0))


def test_an_accuracy_is_called_chance_only_near_it():
    assert answers.accuracy(made(accuracy=0.0119)) == "1.19% (chance)"
    assert answers.accuracy(made(accuracy=0.0081)) == "0.81% (chance)"
    assert answers.accuracy(made(accuracy=0.0121)) == "1.21%"
    assert answers.accuracy(made(accuracy=0.0079)) == "0.79%"
    assert answers.accuracy(made(accuracy=0.0012, vocab_size=1000)) == "0.12% (chance)"
    assert answers.accuracy(made(accuracy=0.00121, vocab_size=1000)) == "0.12%"
    assert answers.accuracy(made(accuracy=0.4985, vocab_size=2)) == "49.85% (chance)"
    assert answers.accuracy(made(accuracy=0.49, vocab_size=2)) == "49.00%"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([], "none"), ([3], "3"), ([0, 1, 2, 4], "0 to 2 and 4"), ([0, 2, 4], "0, 2 and 4"),
        ([0, 1, 2, 3, 4, 7, 9], "0 to 4, 7 and 9"), ([5, 6], "5 to 6"), (["a", "b"], "a and b"),
    ],
)  # fmt: skip
def test_labels_in_a_sentence(values, words):
    assert answers.named(values) == words


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        (0, "never reaches 99%"),
        (3, "reaches 99% in no more than 3 of 8 seeds"),
        (4, "reaches 99% in no more than 4 of 8 seeds"),
        (5, "reaches 99% after 100 sequences (5 of 8 seeds)"),
        (8, "reaches 99% after 100 sequences"),
    ],
)
def test_never_is_said_only_where_no_seed_did(seeds, words):
    assert answers.when(made(reached=[100] * seeds + ["never"] * (8 - seeds))) == words


def test_a_table_has_the_labels_the_columns_and_how_sure_it_is():
    study = Study("?", (cell("a"), cell("b")), ("accuracy", "chance", "seeds", "can be known"))
    table = study_tables.main_table(study, [made("a", accuracy=0.5), made("b", accuracy=0.25)])
    assert table.caption == "Medians over 8 seeds, interval 93%"
    assert table.headings == ["kind", "accuracy", "chance", "seeds", "can be known"]
    assert table.rows == [
        ["a", "50.00% (50.00 to 50.00)", "1.00%", "8", "100%"],
        ["b", "25.00% (25.00 to 25.00)", "1.00%", "8", "100%"],
    ]


def test_every_column_by_hand():
    found = made(accuracy=0.5, reached=[100] * 8, measures=("rows_apart", "other_state", "probe"))
    found |= {
        "parameters": 12345,
        "bytes": 24 * 2**20,
        "trained": {"sequences": 90, "updates": 360},
    }
    found["measured"] = {
        "rows_apart": {"missing": [0.25] * 8, "full": [0.75] * 8},
        "other_state": {"accuracy": [0.125] * 8},
        "probe": {"network": [0.375] * 8},
    }
    found["seconds"] |= {"train": 14.4, "update": 0.016}
    loss = math.log(100) / 2
    said = {name: write(found) for name, write in study_tables.COLUMNS.items()}
    assert said == {
        "accuracy": "50.00% (50.00 to 50.00)",
        "chance": "1.00%",
        "order-blind": "20.00%",
        "can be known": "100%",
        "recalled bits": "3.32 (3.32 to 3.32) of 6.64",
        "loss": f"{loss:.4f} ({loss:.4f} to {loss:.4f})",
        "reached 99%": "8 of 8 (68 to 100%)",
        "sequences to 99%": "100 (100 to 100)",
        "updates to 99%": "400 (400 to 400)",
        "rows to 99%": "2,000 (2,000 to 2,000)",
        "sequences": "90",
        "updates": "360",
        "seeds": "8",
        "seconds": "14.4",
        "\u00b5s an update": "2,000",  # 0.016 s / 8
        "parameters": "12,345",
        "MiB": "24",
        "late rows": "37.50% (37.50 to 37.50)",
        "distance": "16.67 (16.67 to 16.67)",
        "by chance": "25.00",
        "missing": "25.00% (25.00 to 25.00)",
        "nothing missing": "75.00% (75.00 to 75.00)",
        "state swapped": "12.50% (12.50 to 12.50)",
        "answers that repeat": "-",
    }


def test_where_no_chunk_was_timed_an_update_takes_its_share_of_training():
    found = made() | {"trained": {"sequences": 90, "updates": 360}, "seconds": {"train": 14.4}}
    assert study_tables.COLUMNS["\u00b5s an update"](found) == "5,000"  # 14.4 s / 360 / 8


@pytest.mark.parametrize(
    ("learned", "seeds", "words"),
    [
        # by hand, z^2 3.8416: of 16 all, 16 / 19.8416 is 81%; of 8 half, 0.5 +- 0.285
        (16, 16, "16 of 16 (81 to 100%)"), (0, 16, "0 of 16 (0 to 19%)"),
        (4, 8, "4 of 8 (22 to 78%)"), (1, 1, "1 of 1 (21 to 100%)"),
    ],
)  # fmt: skip
def test_how_many_reached_99_has_the_interval_of_its_share(learned, seeds, words):
    found = made(reached=[100] * learned + ["never"] * (seeds - learned), seeds=seeds)
    assert study_tables.COLUMNS["reached 99%"](found) == words


def test_a_framing_without_bits_has_a_dash_for_them():
    assert study_tables.COLUMNS["recalled bits"](made(framing="values")) == "-"


PAIRS = (("kind a", "kind b"), ("kind b", "kind c"))


def three_to_compare():
    rng = np.random.default_rng(3)
    base = rng.uniform(0.4, 0.5, 8)
    every = {"a": base, "b": base + rng.uniform(0.01, 0.1, 8), "c": rng.uniform(0.4, 0.6, 8)}
    reached = [100, 200, 300, 400, 500, 600, 700, 800]
    return [made(name, accuracy=list(values), reached=reached) for name, values in every.items()]


def test_pairs_have_the_numbers_of_statistics_and_holm_over_all_of_them():
    three = three_to_compare()
    study = Study(
        "?", tuple(map(cell, "abc")), pairs=PAIRS, compared=("accuracy", "sequences_to_99")
    )
    (table,) = study_tables.pair_tables(study, three)
    assert [line[:3] for line in table.rows] == [
        ["-", difference, score]
        for difference in ("b - a", "c - b")
        for score in ("accuracy, points", "sequences to 99%")
    ]
    said, p_values = [], []
    for first, second in ((0, 1), (1, 2)):
        one, other = (np.array(three[i]["by_seed"]["accuracy"]) for i in (first, second))
        middle, low, high = np.median(other - one), *np.sort(other - one)[[1, 6]]
        p = statistics.sign_flip_test(other - one)
        p_values += [p, 1.0]
        said.append([
            f"{100 * middle:+.2f} ({100 * low:+.2f} to {100 * high:+.2f})",
            f"{np.mean(other > one):.0%}", f"{p:.2g}",
        ])  # fmt: skip
        said.append(["+0 (+0 to +0)", "50%", "1"])
    assert p_values[0] == 2 / 2**8  # b is higher in every pair
    adjusted = statistics.holm(p_values)
    assert adjusted[0] == pytest.approx(4 * 2 / 2**8)
    assert [line[3:] for line in table.rows] == [
        [*values, f"{p:.2g}"] for values, p in zip(said, adjusted, strict=True)
    ]
    assert table.numeric == [False] * 3 + [True] * 4


@pytest.mark.parametrize("never", [{"a": 8}, {"b": 1}, {"a": 1, "b": 1}, {"a": 8, "b": 8}])
def test_no_difference_is_made_of_a_seed_that_never_learned(never):
    compared = ("accuracy", "sequences_to_99")
    study = Study("?", (cell("a"), cell("b")), pairs=PAIRS[:1], compared=compared)
    counts = [["never"] * never.get(name, 0) + [500] * (8 - never.get(name, 0)) for name in "ab"]
    both = [made(name, reached=each) for name, each in zip("ab", counts, strict=True)]
    (table,) = study_tables.pair_tables(study, both)
    assert [line[2] for line in table.rows] == ["accuracy, points"]
    assert table.rows[0][-1] == table.rows[0][-2]  # corrected for the one line there is
    assert "No line where some seed never reached 99%." in table.caption
    study = Study("?", (cell("a"), cell("b")), pairs=PAIRS[:1], compared=compared[1:])
    assert study_tables.pair_tables(study, both) == []


def test_no_difference_is_made_of_a_seed_that_failed():
    study = Study("?", tuple(map(cell, "abc")), pairs=PAIRS, compared=("distance",))
    three = three_to_compare()
    three[2]["by_seed"]["distance"][3] = None
    (table,) = study_tables.pair_tables(study, three)
    assert [line[1] for line in table.rows] == ["b - a"]


def test_seeds_that_failed_are_named_in_a_note():
    study = Study("?", (cell("a"), cell("b")), notes=("Mine.",))
    rows = [made("a", accuracy=0.5), made("b", accuracy=0.5)]
    assert study_tables.section("x", study, rows, "c").notes == ["Mine."]
    rows[0]["failed"] = {"seed": [2, 5], "sequence": [1, 7]}
    rows[1]["failed"] = {"seed": [0], "sequence": [3]}
    assert study_tables.section("x", study, rows, "c").notes == [
        "Mine.",
        "The loss became infinite or no number in: kind a (seed 2), kind a (seed 5), kind b (seed "
        "0). Each such seed counts as accuracy 0 and 0 bits.",
    ]


def test_a_pair_of_which_one_is_missing_or_has_one_seed_is_left_out():
    study = Study("?", tuple(map(cell, "abc")), pairs=PAIRS)
    (table,) = study_tables.pair_tables(study, three_to_compare()[:2])
    assert [line[1] for line in table.rows] == ["b - a"]
    assert table.rows[0][-1] == table.rows[0][-2]
    assert study_tables.pair_tables(study, three_to_compare()[:1]) == []
    assert study_tables.pair_tables(study, [made(name, seeds=1) for name in "abc"]) == []


def test_the_words_for_a_figure_have_its_numbers():
    two = [made("a", accuracy=0.5), made("b", accuracy=1.0)]
    assert study_tables.alternative(Chart(), two) == (
        "Dots of accuracy on fresh sequences. kind a: 50.00%; kind b: 100%."
    )
    chart = Chart("curves", "accuracy_by_position", "position")
    assert study_tables.alternative(chart, two).startswith(
        "Lines of accuracy over position. kind a: highest at 5 with 50.00%, lowest 50.00%"
    )
    many = [made(str(i), accuracy=i / 100) for i in range(25)]
    assert study_tables.alternative(Chart(), many) == (
        "Dots of accuracy on fresh sequences, 25 cells, from 0% to 24.00%; the table has each of "
        "them."
    )


def test_seeds_that_all_failed_are_drawn_as_nothing_and_said_to_be_unknown():
    failed = made("a") | {"accuracy_by_position": [None] * 20}
    chart = Chart("curves", "accuracy_by_position", "position")
    assert study_tables.alternative(chart, [failed, made("b", accuracy=0.5)]) == (
        "Lines of accuracy over position. kind a: unknown; kind b: highest at 5 with 50.00%, "
        "lowest 50.00%."
    )
    assert styles.svg(study_tables.figure(chart, [failed, made("b")]), "x")
    (table,) = study_tables.curve_tables(chart, [failed, made("b", accuracy=0.5)])
    assert table.rows[0] == ["5", "unknown", "50.00%"]


def test_of_a_study_without_words_the_best_and_the_worst_are_named():
    found = [made("a", accuracy=0.5), made("b", accuracy=0.995), made("c", accuracy=0.01)]
    expected = [
        "Best: kind b, with 99.50%.",
        "Worst: kind c, with 1.00% (chance).",
        "1 of 3 reach a median accuracy of 99%.",
    ]
    assert answers.of("of my own", found) == answers.of("mistake", found) == expected


def test_rows_are_found_by_their_labels():
    found = answers.Rows([made("a"), made("b")])
    assert found(kind="b")["cell"] == "kind b"
    assert len(found.all()) == 2
    with pytest.raises(KeyError):
        found(kind="c")


def said(name, everywhere=None, few=False, **cells):
    """The words of a study: the scores of all its cells, and others of those that match a name."""
    study = fast(STUDIES[name]) if few else STUDIES[name]
    rng, made = np.random.default_rng(0), []
    for each in study.cells:
        given = dict(everywhere or {})
        for pattern, own in cells.get("of", {}).items():
            given |= own if set(pattern.split("; ")) <= parts_of(each) else {}
        made.append(row(each, rng, **given))
    return answers.ANSWERS[name](answers.Rows(made))


def parts_of(each):
    return {f"{name} {value}" for name, value in each.labels.items()}


NO_DIFFERENCE = "makes no difference that these seeds show"
CHANCE = {"accuracy": 0.01, "reached": "never"}
KNOWN = {"accuracy": 0.999, "reached": 300}
ONLY_6 = {"probe_before": [0.01] * 6 + [0.99, 0.01, 0.01]}
ONLY_1 = {"probe_before": [0.01, 0.99, 0.3] + [0.01] * 6}


def test_mistake_tells_absent_from_cut_and_says_what_heals():
    of = {"batch 6": CHANCE | ONLY_6, "batch 1": {"accuracy": 0.07, "reached": "never"} | ONLY_1}
    words = said("mistake", of=of)
    assert words[0] == (
        "With batches of 6 the value is nowhere: row r continues row r - 6, whose state holds the "
        "value 6 steps back (a probe finds it in 99.00% of the states) and not the one 1 step back "
        "(1.00%), so the network is right in 1.00% (chance)."
    )
    assert words[1].startswith("With batches of 1 the value is there, found in 99.00% of the")
    assert "but no gradient reaches it: 7.00% are right, 7.00% in the second row" in words[1]
    assert "in late rows, of whose states a probe finds it in 99.00% after" in words[1]
    late = {"batch 1": of["batch 1"] | {"probe_network": 0.25}}
    assert "second row of a sequence and 25.00% in late rows" in said("mistake", of=of | late)[1]
    assert words[2].startswith("A gradient that passes back through one batch more does not heal")
    assert "(with batches of 1 95.83% can be known, and the rest guessed)" in words[2]
    assert words[2].endswith("for the first cause it is of no use, 1.00% (chance).")
    of |= {"batch 1; batches back 2": {"accuracy": 0.957} | ONLY_1}
    assert "one batch more heals the second cause, 95.70%, and" in said("mistake", of=of)[2]
    of |= {"batch 1; batches back 2": {"accuracy": 0.94} | ONLY_1}  # 94% are below 99% of 95.83%
    assert "one batch more does not heal the second cause, 94.00%" in said("mistake", of=of)[2]
    of |= {"batch 6; batches back all": KNOWN | ONLY_6}
    assert said("mistake", of=of)[2].endswith("for the first cause it is of use, 99.90%.")


def test_mistake_does_not_call_absent_what_the_probe_finds_nor_there_what_it_does_not():
    words = said("mistake", KNOWN | {"probe_before": [0.9] * 9})
    assert "nowhere" not in words[0]
    assert "the one 1 step back in 90.00%" in words[0]
    assert "and is learned: 99.90% are right" in words[1]
    words = said("mistake", CHANCE | {"probe_before": [0.1] * 9})
    assert "nowhere" not in words[0]
    assert "the value is hardly there" in words[1]


@pytest.mark.parametrize(
    ("carried", "word"),
    [
        ([0.98] * 16, "harms"), ([0.9995] * 16, "helps"),
        ([0.98, 0.9995] * 8, NO_DIFFERENCE), ([0.999] * 16, NO_DIFFERENCE),
    ],
)  # fmt: skip
def test_state_helps_or_harms_only_where_the_interval_says_so(carried, word):
    of = {"window 5; state carried": {"accuracy": carried}}
    words = said("state", KNOWN, of=of)
    assert words[0].startswith(f"On part 4 the carried state {word}: with it a network reaches")


def test_a_narrow_window_suffers_more_only_where_it_does():
    of = {"window 2; lag 1; state carried": {"accuracy": 0.9}}
    assert (
        "a window of 2 suffers more, 90.00% with the state and 99.90%"
        in said("state", KNOWN, of=of)[1]
    )
    of["window 5; state carried"] = {"accuracy": 0.8}
    assert "a window of 2 ends at 90.00% with" in said("state", KNOWN, of=of)[1]
    assert "suffers" not in said("state", KNOWN)[1]


def test_state_is_called_noise_only_where_the_probe_does_not_find_the_value():
    assert said("state", KNOWN | ONLY_6)[1].startswith("It is noise to row r, which is handed the")
    assert said("state", KNOWN | ONLY_1)[1].startswith("Row r is handed the state of row r - 5:")


def test_lags_tell_what_is_learned_inside_and_outside_the_window():
    of = {f"window {w}; lag {n}": KNOWN for w in (5, 10, 21) for n in range(w)}
    of["window 5; lag 3"] = KNOWN | {"reached": 900}
    words = said("lags", CHANCE, of=of)
    assert "of 108 combinations whose window holds the lag, 108 end at 99%" in words[0]
    assert words[1].endswith(
        "lags 0 to 4 are learned; the slowest, lag 3, reaches 99% after 900 sequences."
    )
    assert words[2].startswith("No lag outside the window is: the best of 81 such combinations has")
    words = said("lags", CHANCE)
    assert ", 0 end at 99% or more within" in words[0]
    assert words[1].endswith("50 units, as in part 4 but from a zero state, no lag is learned.")
    assert said("lags", KNOWN)[2] == (
        "Of 81 combinations whose window does not hold the lag 81 reach it too, the best with "
        "99.90%."
    )


def test_streams_say_that_much_is_remembered_only_where_it_is():
    assert said("streams", {"accuracy": 0.5})[1].startswith("Short of that much is remembered")
    for scores_of_all in (CHANCE, KNOWN):
        assert said("streams", scores_of_all)[1].startswith("Lag 5 leaves")
    ending = "lags that reach 99%: none in chunks, none in whole sequences."
    assert said("streams", CHANCE)[0].endswith(ending)
    of = {
        "trained on chunks of 5; lag 1": KNOWN, "trained on chunks of 5; lag 2": KNOWN,
        "trained on whole sequences; lag 7": KNOWN,
        "trained on whole sequences, 5 times as many; lag 5": {"accuracy": 0.75},
        "trained on chunks of 5, gradient through all; lag 5": {"accuracy": 0.25},
    }  # fmt: skip
    words = said("streams", CHANCE, of=of)
    assert words[0].endswith("reach 99%: 1 to 2 in chunks, 7 in whole sequences.")
    assert words[2].endswith(
        "reach 25.00% (1.66 of 6.64 bits) with lag 5; whole sequences with as many updates 75.00%."
    )
    assert said("streams", CHANCE, few=True)[2].endswith("with lag 5.")  # it does not try them


def test_mlp_tells_a_memory_from_what_is_handed():
    of = {
        "sees one value at a time; network LSTM": KNOWN,
        "sees one value at a time; network MLP with a delay line of 5; lag 1": KNOWN,
        "sees windows of 5; lag 1": KNOWN, "sees windows of 5; lag 4": KNOWN,
    }  # fmt: skip
    words = said("mlp", CHANCE, of=of)
    assert words[0].startswith("On windows of 5 nothing: the LSTM and an MLP")
    assert "lag 1 99.90% and 99.90%, lag 4 99.90% and 99.90%, lag 5 1.00% (chance) and" in words[0]
    assert "LSTM keeps what it needs, lag 1 99.90% and lag 5 99.90%" in words[1]
    assert words[2].endswith("(chance): it needs a memory handed to it, the LSTM is one.")
    words = said("mlp", CHANCE, of={"sees windows of 5; network LSTM": KNOWN})
    assert words[0].startswith("On windows of 5 not the same:")
    assert "LSTM keeps nothing, lag 1" in words[1]
    assert "the LSTM is one" not in words[2]
    assert "LSTM keeps a part of what it needs" in said("mlp", {"accuracy": 0.4})[1]


def test_vocabulary_says_how_far_many_values_get_or_what_they_take():
    words = said("vocabulary", KNOWN, of={"values 2": {"accuracy": 0.5}})
    assert "so look at the bits: 50.00% (chance), 0.50 of 1.00 bits; a thousand" in words[0]
    assert words[1] == (
        "10,000 values, embedding tied: 99.90%, 13.27 of 13.29 bits, after 6,000 updates, 0.5 "
        "minutes for all 8 seeds."
    )
    assert words[2].startswith("50,000 values, embedding tied: 99.90%")
    assert re.fullmatch(
        r"1,000 values are [\d,]+ parameters one-hot, [\d,]+ with an embedding and [\d,]+ with a "
        r"tied one\.",
        said("vocabulary", KNOWN, few=True)[1],
    )


def test_length_names_those_that_are_learned():
    words = said("length", CHANCE, of={"length 25": KNOWN, "length 1000": KNOWN})
    assert words[0].startswith("Of those tried: 25, 1,000 end at 99% or more after 8,000 updates")
    assert said("length", CHANCE)[0].startswith("Of those tried: none end at 99% or more")
    assert said("length", KNOWN)[0].startswith("Every one tried: 5, 6, 8, 10, 25, 50, 100, 250, 1")
    assert "Length 5 gives 1 viable row, so B is 1; length 1,000 gives 996 of which 995" in words[1]


def test_size_names_the_smallest_that_is_learned_or_says_that_none_is():
    of = {
        "hidden 4; sequences 500": KNOWN, "hidden 6; sequences 500": KNOWN,
        "hidden 15; sequences 300": KNOWN, "hidden 3; sequences 2500": KNOWN,
    }  # fmt: skip
    words = said("size", CHANCE, of=of)
    assert words[0] == (
        "Part 2: the smallest layer tried that learns it in the tutorial's 500 sequences has 4 "
        "units, in 5 times as many 3; with the tutorial's 15 units the fewest sequences tried are "
        "300."
    )
    assert words[1] == (
        "Part 4: no layer tried learns it in the tutorial's 2,000 sequences, in 5 times as many "
        "none; with the tutorial's 50 units no number of sequences tried is enough."
    )
    assert "times as many" not in " ".join(said("size", KNOWN, few=True))  # it does not try them


def test_framing_reads_matches_and_distances_of_both():
    of = {"part 2; framing classes": KNOWN, "framing values in [0, 1]": {"accuracy": 0.25}}
    words = said("framing", {"accuracy": 0.5}, of=of)
    assert "Part 2: as classes 99.90% of the answers match" in words[0]
    assert "as values in [0, 1] 25.00%, at a distance of 25.00 (the best" in words[0]
    assert "Part 4: as classes 50.00% of the answers match" in words[1]


def test_explain_says_what_is_followed_before_and_after():
    one, three = np.zeros(10), np.zeros(10)
    one[1] = three[3] = 0.98
    trained = {"lag 1": {"follows_trained": one}, "lag 3": {"follows_trained": three}}
    words = said("explain", {"follows_untrained": [0.01] * 10}, of=trained)
    assert "lag 1, the answer follows the input 1 back in 98.00%" in words[0]
    assert "any other in 0% at most" in words[0]
    assert "lag 3, the answer follows the input 3 back in 98.00%" in words[1]
    assert words[2].startswith("Before training it follows no input in more than 1.00%:")


def test_future_says_equivalent_only_where_the_test_does():
    near = list(0.01 + np.linspace(-0.0005, 0.0005, 16))
    words = said("future", {"accuracy": near})[0]
    assert words.startswith("No: the mean accuracy is 1.00%, 90% interval 0.99% to 1.01%, all of")
    assert "all of it within 0.2 points of chance, 1.00%, the margin fixed beforehand;" in words
    wide = list(0.01 + np.linspace(-0.009, 0.009, 16))
    words = said("future", {"accuracy": wide})[0]
    assert words.startswith("These seeds do not settle it: the mean")
    assert ", not all of it within 0.2 points of chance, 1.00%," in words
    words = said("future", KNOWN)[0]
    assert words.startswith("Yes: the mean accuracy is 99.90%")
    assert "is below ln V" in words
    assert "the loss 4.6052 is not below ln V, 4.6052" in said("future", {"accuracy": 0.0})[0]


def test_future_says_of_the_loop_what_it_did():
    shrinks = {"fed_back_distinct": [20.0] + [3.0] * 7, "fed_back_repeats": 0.9}
    stays = {"fed_back_distinct": [20.0] * 8, "fed_back_repeats": 0.1}
    assert "its answers shrink and repeat: 20.0 different" in said("future", shrinks)[1]
    assert "its answers neither shrink nor repeat" in said("future", stays)[1]
    assert "its answers repeat:" in said("future", stays | {"fed_back_repeats": 0.9})[1]
    two = {"fed_back_answers": [7, 9] * 25}
    assert said("future", KNOWN | two)[2] == (
        "A network that has learned lag 1 only echoes what it is fed, 7 9 7 9 7 9 7 9: it repeats, "
        "and foretells nothing."
    )
    assert said("future", CHANCE | two)[2] == (
        "Trained for lag 1 a network ends at 1.00% (chance) and says 7 9 7 9 7 9 7 9."
    )


def test_prefix_and_masking_and_parts_read_their_numbers_from_the_right_rows():
    of = {"lag 5; context all so far": {"accuracy": 0.4}, "lag 1": KNOWN}
    words = said("prefix", CHANCE, of=of)
    assert words[0].startswith(
        "With lag 1 a network that sees all so far reaches 99% after 300 sequences and ends at "
        "99.90%; with"
    )
    assert "Lag 5 lies outside that window: 1.00% (chance) with it, 40.00% with all so" in words[1]
    assert "2.66 of 6.64 bits" in words[1]
    assert "hardly counts: 40.00% are right where it has 6 values and 40.00% where it" in words[2]
    of = {
        f"lag 1; missing values {name}": {"rows_apart_missing": share, "rows_apart_full": 1 - share}
        for name, share in {"extra token": 0.1, "masked": 0.2, "rows removed": 0.3}.items()
    }
    words = said("masking", of=of)
    assert (
        "10.00% are right with an extra token, 20.00% with masked steps, and 30.00% if" in words[0]
    )
    assert words[1].startswith("Rows without missing values: 90.00%, 80.00% and 70.00%;")


def test_parts_are_named_by_their_labels_and_held_against_the_floor():
    words = said("parts", KNOWN, of={"part 3, lag 1, one step at a time": CHANCE})
    assert words[0] == (
        "Part 2, the current value, ends at 99.90%, part 3, lag 1 one step at a time, at 1.00% "
        "(chance), and part 4, lag 1 with windows of 5, at 99.90%."
    )
    assert words[1] == (
        "Part 2 reaches 99% after 300 sequences, part 3 never reaches 99% and part 4 reaches 99% "
        "after 300 sequences."
    )
    assert words[2].startswith("What part 4 reaches is more than knowing which")
    assert words[2].endswith("floor is 20.00%.")
    assert said("parts", {"accuracy": 0.2})[2].startswith("What part 4 reaches is no more than")


def test_the_figure_in_numbers_has_a_line_a_place():
    two = [made("a", accuracy=0.5), made("b", accuracy=0.25, lag=7)]
    chart = Chart("curves", "accuracy_by_position", "position")
    (table,) = study_tables.curve_tables(chart, two)
    assert table.headings == ["position", "kind a", "kind b"]
    assert table.rows[0] == ["5", "50.00%", "-"]
    assert table.rows[5] == ["10", "50.00%", "25.00%"]
    assert len(table.rows) == 20
    assert study_tables.curve_tables(Chart(), two) == []


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("name", STUDIES)
def test_at_chance_nothing_is_said_to_be_learned(name, few):
    study = fast(STUDIES[name]) if few else STUDIES[name]
    words = " ".join(answers.of(name, study_rows(study, **CHANCE)))
    for claim in ("helps", "harms", "heals", "are learned", "what it needs", "suffers"):
        assert claim not in words
    assert "99.9" not in words
