"""Rows made by hand, and the tables made of them."""

import csv
import io

import numpy as np
import pytest
from fabricated import changed_row, row

from echo_jax import statistics
from echo_jax.config import PARTS, changed
from echo_jax.echo.studies import study_tables
from echo_jax.echo.studies.catalogue import Chart, Study
from echo_jax.echo.studies.grid_point import GridPoint
from echo_jax.report import text_tables

EIGHT = changed(PARTS["context"], seeds=8)


def point(name="a", measures=(), **fields):
    return GridPoint({"kind": name}, changed(EIGHT, **fields), measures)


def made(name="a", measures=(), accuracy=None, reached=None, **fields):
    return row(point(name, measures, **fields), 0, accuracy, reached)


def test_columns_that_are_computed_from_several_fields():
    first = changed_row(made(accuracy=0.5, reached=100), updates=600, seconds={"train": 14.4})
    later = changed_row(first, seconds={"train": 14.4, "update": 0.016})
    expected = {
        "recalled bits": "3.32 (3.32 to 3.32) of 6.64",
        "updates to 99%": "400 (400 to 400)",
        "rows to 99%": "2,000 (2,000 to 2,000)",
        "\u00b5s an update": "2,000",  # 0.016 s / 8
    }
    assert {name: study_tables.COLUMNS[name](later) for name in expected} == expected
    assert study_tables.COLUMNS["\u00b5s an update"](first) == "3,000"  # 14.4 s / 600 / 8
    assert study_tables.COLUMNS["recalled bits"](made(framing="values")) == "-"  # of regressions


PAIRS = (("kind a", "kind b"), ("kind b", "kind c"))


def compared(*scores, pairs=PAIRS):
    return Study("?", tuple(map(point, "abc")), pairs=pairs, compared=scores)


def test_pairs_have_the_numbers_of_statistics_and_holm_over_all_of_them():
    rng = np.random.default_rng(3)
    base, reached = rng.uniform(0.4, 0.5, 8), list(range(100, 900, 100))
    every = {"a": base, "b": base + rng.uniform(0.01, 0.1, 8), "c": rng.uniform(0.4, 0.6, 8)}
    three = [made(name, accuracy=list(values), reached=reached) for name, values in every.items()]
    (table,) = study_tables.pair_tables(compared("accuracy", "sequences_to_99"), three)
    assert [line[:3] for line in table.rows] == [
        ["-", difference, score]
        for difference in ("b - a", "c - b")
        for score in ("accuracy, points", "sequences to 99%")
    ]
    said, p_values = [], []
    for first, second in ((0, 1), (1, 2)):
        one, other = (np.array(three[i].by_seed.accuracy) for i in (first, second))
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
    assert [line[3:] for line in table.texts[1:]] == [
        [*values, f"{p:.2g}"] for values, p in zip(said, adjusted, strict=True)
    ]
    assert table.numeric == [False] * 3 + [True] * 4


@pytest.mark.parametrize("never", [{"a": 8}, {"b": 1}, {"a": 1, "b": 1}])
def test_no_difference_is_made_of_a_seed_that_never_learned(never):
    both = [
        made(name, reached=["never"] * never.get(name, 0) + [500] * (8 - never.get(name, 0)))
        for name in "ab"
    ]
    (table,) = study_tables.pair_tables(compared("accuracy", "sequences_to_99"), both)
    assert [line[2] for line in table.rows] == ["accuracy, points"]
    assert table.rows[0][-1] == table.rows[0][-2]  # adjusted for the one line there is
    assert study_tables.pair_tables(compared("sequences_to_99"), both) == []


MEASURES = ("rows_apart", "follows")
FEW = made("few", MEASURES, reached=[100] * 3 + ["never"] * 5)
WITH_SIZE = GridPoint({"kind": "all", "size": 3}, EIGHT, MEASURES)
ALL = row(WITH_SIZE, 0, reached=list(range(100, 900, 100)))


def found(rows, **of):
    (one,) = (each for each in rows if of.items() <= each.items())
    return one


def test_a_score_is_a_median_with_its_interval_and_a_bound_where_training_ended():
    rows = study_tables.summaries([FEW, ALL])
    assert {key for each in rows for key in each} == set(rows[0])
    assert not any(isinstance(value, list | dict) for each in rows for value in each.values())
    cut = found(rows, kind="few", score="updates_to_99")
    assert [cut[of] for of in ("median", "low", "high", "at_least")] == [8000, 400, None, True]
    whole = found(rows, kind="all", score="sequences_to_99")
    assert [whole[of] for of in ("median", "low", "high", "at_least")] == [450, 200, 700, False]
    scored = found(rows, kind="all", score="accuracy")
    assert scored["median"] == np.median(ALL.by_seed.accuracy)
    assert (scored["chance"], scored["knowable"], scored["n"], scored["size"]) == (0.01, 1, 8, 3)
    assert found(rows, kind="few", score="accuracy")["size"] is None
    assert found(rows, kind="few", score="rows_apart missing")["median"] > 0
    assert "follows trained" not in {each["score"] for each in rows}  # a curve


def test_files_have_the_comparisons_and_the_curves_too():
    pair, chart = (FEW.point, ALL.point), Chart("curves", "follows trained", "steps back", "kind")
    study = Study("?", (FEW.grid_point, ALL.grid_point), chart=chart, pairs=(pair,))
    tables = study_tables.tidy_rows(study, [FEW, ALL])
    assert list(tables) == ["", "-seeds", "-pairs", "-curves"]
    ((*_, test, p),) = study_tables.compared(study, [FEW, ALL])
    (line,) = csv.DictReader(io.StringIO(text_tables.csv_text(tables["-pairs"]())))
    assert (line["first"], line["second"], line["score"]) == (*pair, "accuracy")
    numbers = [float(line[name]) for name in ("median", "low", "high", "p", "p_holm")]
    assert numbers == pytest.approx([test.median, *test.interval[:2], test.p_value, p])
    assert len(tables["-curves"]()) == 2 * 10
    none = study_tables.tidy_rows(Study("?", study.points), [FEW])
    assert (none["-pairs"](), none["-curves"]()) == ([], [])
