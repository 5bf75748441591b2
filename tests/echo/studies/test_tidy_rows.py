"""The rows of a study as plain dictionaries: the numbers of its tables, one a column."""

import csv
import io

import numpy as np
import pytest
from fabricated import row

from echo_jax.config import PARTS, changed
from echo_jax.echo.studies import study_tables, tidy_rows
from echo_jax.echo.studies.catalogue import Chart, Study
from echo_jax.echo.studies.grid_point import GridPoint
from echo_jax.report import text_tables

EIGHT = changed(PARTS["context"], seeds=8)  # 2,000 sequences of 8,000 updates


def made(name, reached, measures=("rows_apart", "follows"), **labels):
    return row(GridPoint({"kind": name, **labels}, EIGHT, measures), 0, reached=reached)


FEW = made("few", [100] * 3 + ["never"] * 5)
ALL = made("all", list(range(100, 900, 100)), size=3)


def found(rows, **of):
    (one,) = (each for each in rows if of.items() <= each.items())
    return one


def test_a_score_is_a_median_with_its_interval_and_a_bound_where_training_ended():
    rows = tidy_rows.summaries([FEW, ALL])
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
    tables = tidy_rows.tables(study, [FEW, ALL])
    assert list(tables) == ["", "-seeds", "-pairs", "-curves"]
    ((*_, test, p),) = study_tables.compared(study, [FEW, ALL])
    (compared,) = csv.DictReader(io.StringIO(text_tables.csv_text(tables["-pairs"]())))
    assert (compared["first"], compared["second"], compared["score"]) == (*pair, "accuracy")
    numbers = [float(compared[name]) for name in ("median", "low", "high", "p", "p_holm")]
    assert numbers == pytest.approx([test.median, *test.interval[:2], test.p_value, p])
    assert len(tables["-curves"]()) == 2 * 10
    none = tidy_rows.tables(Study("?", study.points), [FEW])
    assert (none["-pairs"](), none["-curves"]()) == ([], [])
