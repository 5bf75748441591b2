"""Rows become sections and a page: complete for every study, and generated again byte for byte."""

import dataclasses
import functools
import random
import re

import numpy as np
import pytest
from fabricated import changed_row, row, study_rows, write

from echo_jax import atomic_files
from echo_jax.config import changed
from echo_jax.studies import answers, result_rows, study_folder, study_pages
from echo_jax.studies.catalogue import STUDIES, Study, fast
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.scores import scores

KINDS = {"parts": "dots", "streams": "lines", "lags": "heat", "prefix": "curves", "explain": "bars"}


@functools.cache
def small(name):
    """A study with 8 seeds a grid point, and rows in which all seeds reach 99%."""
    points = tuple(
        dataclasses.replace(point, config=changed(point.config, seeds=min(point.config.seeds, 8)))
        for point in STUDIES[name].points
    )
    study = dataclasses.replace(STUDIES[name], points=points)
    return study, study_rows(study, reached=90)


@functools.cache
def section(name):
    study, rows = small(name)
    return study_pages.section(name, study, rows, "python x")


def assert_complete(made, study, rows):
    """A section has all that its study promises."""
    assert made.heading == study.question
    assert 2 <= len(made.answer) <= 3
    labels = list(dict.fromkeys(label for point in study.points for label in point.labels))
    assert made.tables[0].headings == [*labels, *study.columns]
    assert [line[: len(labels)] for line in made.tables[0].rows] == [
        [str(point.labels.get(label, "")) for label in labels] for point in study.points
    ]
    pairs = pair_lines(study, rows)
    assert len(made.tables) == 1 + bool(pairs) + (study.chart.kind in ("curves", "bars"))
    if pairs:
        assert len(made.tables[1].rows) == pairs
    assert all(len(line) == len(each.headings) for each in made.tables for line in each.rows)
    assert re.match(r"<svg .*</svg>$", made.figure.svg, re.DOTALL)
    assert len(made.figure.alt) > 60
    assert re.fullmatch(r"[A-Z][^_]*\w\.", made.figure.caption)
    assert made.notes == list(study.notes)
    entries = [str(entry) for table in made.tables for line in table.rows for entry in line]
    everything = " ".join([*made.answer, made.figure.alt, *entries])
    assert not re.search(r"\bnan|\binf|None|unknown|\[\]", everything)


def pair_lines(study, rows):
    """How many lines the table of pairs must have: none of a score that a seed lacks."""
    by_name = {each.point: each for each in rows}
    return sum(
        all(None not in scores(by_name[name], score) for name in pair)
        for pair in study.pairs
        for score in study.compared
    )


@pytest.mark.parametrize("name", STUDIES)
def test_rows_become_a_section_with_all_there_is(name):
    study, rows = small(name)
    assert_complete(section(name), study, rows)
    assert pair_lines(study, rows) == len(study.pairs) * len(study.compared)
    assert section(name).answer == answers.ANSWERS[name](answers.Rows(rows))


def test_every_kind_of_chart_is_drawn_by_a_study():
    assert {name: STUDIES[name].chart.kind for name in KINDS} == KINDS
    assert {study.chart.kind for study in STUDIES.values()} == set(KINDS.values())


def test_what_is_left_out_of_a_figure_is_not_in_it_and_all_else_is():
    study = STUDIES["mistake"]
    out = {point.name for point in study.points if study.chart.leave_out(point.labels)}
    assert out == {"batch 1, batches back 4", "batch 6, batches back all"}
    for point in study.points:
        assert (f"{point.name}:" in section("mistake").figure.alt) == (point.name not in out)
        assert (point.name in section("mistake").tables[-1].headings) == (point.name not in out)
    only = [each for each in small("mistake")[1] if each.point in out]
    found = study_pages.section("mistake", study, only, "c")
    assert (found.figure, len(found.tables)) == (None, 1)


@pytest.mark.parametrize("name", KINDS)
def test_a_part_of_a_study_has_the_general_answer_and_the_number_that_is_missing(name):
    study, rows = small(name)
    part = random.Random(0).sample(rows, 1)
    found = study_pages.section(name, study, part, "c")
    assert found.answer == answers.general(part)
    missing = f"{len(study.points) - 1} of {len(study.points)}"
    assert found.notes[0] == f"Not finished: {missing} grid points are missing."
    assert len(found.tables[0].rows) == 1


def test_seeds_that_failed_are_named_in_a_note():
    point = GridPoint({"kind": "a"}, STUDIES["lags"].points[0].config)
    study = Study("?", (point,), notes=("Mine.",))
    failed = changed_row(row(point, 0), failed={"seed": [2, 5], "sequence": [1, 7]})
    assert study_pages.section("x", study, [row(point, 0)], "c").notes == ["Mine."]
    assert study_pages.section("x", study, [failed], "c").notes == [
        "Mine.",
        "The loss became non-finite in: kind a (seed 2), kind a (seed 5). Each such seed counts as "
        "accuracy 0 and 0 bits.",
    ]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((8, 8), "about 93 of 100 such intervals"),
        ((16, 8, 1), "about 92 to 93 of 100 such intervals"),
        ((2, 1), "about 50 of 100 such intervals"),
        ((1, 1), "half below. With one seed there is no interval."),
    ],
)
def test_the_introduction_says_what_the_intervals_of_these_rows_cover(counts, words):
    config = STUDIES["parts"].points[0].config
    rows = [row(GridPoint({"n": n}, changed(config, seeds=n)), 0) for n in counts]
    said = study_pages.introduction(rows)
    assert len(said) == 3
    assert words in said[1]
    assert ("With one seed" in said[1]) == (set(counts) == {1})


def write_page(out, names):
    rows = study_folder.rows_of(out, {name: STUDIES[name] for name in names})
    sections = [
        study_pages.section(name, STUDIES[name], found, f"echo-jax study {name}")
        for name, found in rows.items()
    ]
    every = [each for found in rows.values() for each in found]
    study_pages.write(out, "What?", every, sections, "echo-jax study --all")
    return sections


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page of a study that has all its rows and of one that has one of two."""
    out = tmp_path_factory.mktemp("studies") / "out"
    study_folder.claim(out, "all studies")
    parts = study_rows(STUDIES["parts"])
    parts[1] = changed_row(parts[1], date="2025-03-01", versions={"python": "3.12"})
    write(study_folder.rows_path(out, "parts"), parts)
    write(study_folder.rows_path(out, "explain"), study_rows(STUDIES["explain"])[:1])
    write_page(out, ("parts", "explain"))
    return out


def files(out):
    return {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_a_folder_has_a_page_and_figures_and_the_same_rows_give_the_same_bytes(folder):
    before = files(folder)
    assert set(before) == {
        "index.html", "README.md", "parts.svg", "explain.svg", "parts.jsonl", "explain.jsonl",
        "folder.json",
    }  # fmt: skip
    page, markdown = (before[name].decode() for name in ("index.html", "README.md"))
    for name in ("parts", "explain"):
        assert page.count(f'<h2 id="{name}">') == markdown.count(f'<a id="{name}">') == 1
        assert f"(<figures/{name}.svg>)" in markdown
        assert f"echo-jax study {name}" in page
    assert "Not finished: 1 of 2 grid points are missing." in page
    assert "2025-01-02 to 2025-03-01 with python 3.11, jax 0.7; python 3.12." in markdown
    write_page(folder, ("parts", "explain"))
    assert files(folder) == before


def test_the_summary_stands_between_its_marks_and_nothing_else_is_changed(folder, tmp_path):
    begin, end = atomic_files.marks(study_pages.SUMMARY)
    (tmp_path / "README.md").write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    for _ in range(2):
        study_pages.put_summary(tmp_path / "README.md", folder, write_page(folder, ("parts",)))
        text = (tmp_path / "README.md").read_text()
        assert text.startswith(f"before\n{begin}\n")
        assert text.endswith(f"\n{end}\nafter\n")
        assert text.count(STUDIES["parts"].question) == 1
        assert "old" not in text


def tiny(study: Study) -> Study:
    """The same grid with next to no training."""
    points = []
    for point in fast(study).points:
        config = changed(point.config, seeds=2, sequences=2, evaluation_sequences=3)
        config = changed(config, hidden_size=min(config.network.hidden_size, 8))
        if config.task.vocab_size > 1000:
            config = changed(config, vocab_size=1001)
        points.append(dataclasses.replace(point, config=config))
    return dataclasses.replace(fast(study), points=tuple(points))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_really_run_at_tiny_size_becomes_a_section(name, tmp_path, monkeypatch):
    from echo_jax.studies import measures, sweep

    for constant, value in {"PROBED": 20, "WINDOWS": 10, "STARTS": 4}.items():
        monkeypatch.setattr(measures, constant, value)
    study = tiny(STUDIES[name])
    made = list(sweep.complete(study.points, tmp_path / "rows.jsonl"))
    assert result_rows.missing(study.points, result_rows.read(tmp_path / "rows.jsonl")) == []
    rows = result_rows.finished(study.points, made)
    assert_complete(study_pages.section(name, study, rows, "python x"), study, rows)
    for point, each in zip(study.points, rows, strict=True):
        assert shape_of(row(point, 0)) == shape_of(each)


def shape_of(made):
    """Shapes that fabricated rows must have in common with real ones."""
    measured = {
        (name, what): np.shape(values)
        for name, found in made.measured.items()
        for what, values in found.items()
    }
    by_position = made.accuracy_by_position
    return measured, by_position and len(by_position), bool(made.by_seed.recalled_bits)
