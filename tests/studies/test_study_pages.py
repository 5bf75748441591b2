"""Rows become sections and a page: complete for every study, and generated again byte for byte."""

import dataclasses
import functools
import re
from pathlib import Path

import numpy as np
import pytest
from fabricated import changed_row, row, study_rows, write
from golden import assert_golden

from echo_jax import atomic_files
from echo_jax.config import changed
from echo_jax.report import text_tables
from echo_jax.report.styles import NARROW, WIDTH
from echo_jax.studies import answers, measures, result_rows, study_folder, study_pages, sweep
from echo_jax.studies.catalogue import STUDIES, Chart, Study, fast
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.scores import scores
from echo_jax.studies.study_figures import figure

GOLDEN = Path(__file__).parent / "golden" / "sections.txt"
KINDS = ("parts", "streams", "lags", "mistake", "prefix")
"""A study for every kind of chart: dots, lines, a map, strips and curves."""


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
    assert 3 <= len(made.answer) <= 5
    labels = list(dict.fromkeys(label for point in study.points for label in point.labels))
    assert made.tables[0].headings == [*labels, *study.columns]
    assert [line[: len(labels)] for line in made.tables[0].rows] == [
        [str(point.labels.get(label, "")) for label in labels] for point in study.points
    ]
    pairs = pair_lines(study, rows)
    assert len(made.tables) == 1 + bool(pairs) + (study.chart.kind in ("curves", "strips"))
    if pairs:
        assert len(made.tables[1].rows) == pairs
    assert all(len(line) == len(each.headings) for each in made.tables for line in each.rows)
    assert re.match(r"<svg .*</svg>$", made.figure.svg, re.DOTALL)
    assert len(made.figure.alt) > 60
    assert re.fullmatch(r"[A-Z0-9][^_]*[\w%)\]]\.", made.figure.caption)
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
    assert section(name).answer[:-1] == answers.ANSWERS[name](answers.Rows(rows))


def outline(made):
    """A section as text, with the words of its figure."""
    figures = [f"{each.caption} {each.alt}" for each in filter(None, [made.figure])]
    return "\n".join([text_tables.section_text(made), *figures])


def test_sections_of_every_kind_of_chart_are_as_they_were_read():
    """Also of a part of the rows, of rows that the figure leaves out, and of failed seeds."""
    assert {STUDIES[name].chart.kind for name in KINDS} == {
        study.chart.kind for study in STUDIES.values()
    }
    study, rows = small("mistake")
    out = [each for each in rows if study.chart.leave_out(each.labels)]
    assert {each.point for each in out} == {"batch 1, batches back 4", "batch 6, batches back all"}
    point = GridPoint({"kind": "a"}, STUDIES["lags"].points[0].config)
    failed = changed_row(
        row(point, 0),
        failed={"seed": [2, 5], "sequence": [1, 7]},
        accuracy_by_position=[None] * 20,
    )
    chart = Chart("curves", "accuracy_by_position", "position")
    mine = Study("Mine?", (point,), ("accuracy", "seconds"), chart, notes=("Mine.",))
    made = [section(name) for name in KINDS]
    made += [
        study_pages.section("mistake", study, some, "c") for some in (rows[:1], rows[1:3], out)
    ]
    made += [study_pages.section("x", mine, [each], "c") for each in (row(point, 0), failed)]
    many = Study("Many?", tuple(GridPoint({"n": i}, point.config) for i in range(25)))
    made.append(study_pages.section("x", many, study_rows(many), "c"))
    assert_golden("\n\n----\n".join(map(outline, made)), GOLDEN)
    assert all(each.figure.svg.startswith("<svg ") for each in made if each.figure)


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
    points = [GridPoint({"n": n}, changed(config, seeds=n)) for n in counts]
    assert words in study_pages.introduction([row(point, 0) for point in points])[1]


def write_page(out, names):
    rows = study_folder.rows_of(out, {name: STUDIES[name] for name in names})
    sections = [
        study_pages.section(name, STUDIES[name], found, f"echo-jax study {name}")
        for name, found in rows.items()
    ]
    every = [each for found in rows.values() for each in found]
    study_pages.write(out, "What?", every, sections, "echo-jax study --all")
    return sections


def files(out):
    return {path.name: path.read_bytes() for path in out.rglob("[!.]*") if path.is_file()}


def test_a_folder_has_a_page_and_figures_and_the_same_rows_give_the_same_bytes(tmp_path):
    """Of a study that has all its rows and of one that has one of two; and their summary."""
    out, names, readme = tmp_path / "out", ("parts", "explain"), tmp_path / "R"
    study_folder.claim(out, "all studies")
    parts = study_rows(STUDIES["parts"])
    parts[1] = changed_row(parts[1], date="2025-03-01", versions={"python": "3.12"})
    write(study_folder.rows_path(out, "parts"), parts)
    write(study_folder.rows_path(out, "explain"), study_rows(STUDIES["explain"])[:1])
    begin, end = atomic_files.marks(study_pages.SUMMARY)
    readme.write_text(f"before\n{begin}\nold\n{end}\nafter\n")
    study_pages.put_summary(readme, out, write_page(out, names))
    before = files(tmp_path)
    assert set(before) == {
        "page.html", "README.md", "parts.svg", "explain.svg", "parts.jsonl", "explain.jsonl",
        "folder.json", "R",
    }  # fmt: skip
    page, markdown, summary = (before[name].decode() for name in ("page.html", "README.md", "R"))
    for name in names:
        assert page.count(f'<h2 id="{name}">') == markdown.count(f'<a id="{name}">') == 1
        assert f"(<figures/{name}.svg>)" in markdown
        assert f"echo-jax study {name}" in page
        assert summary.count(STUDIES[name].question) == 1
    assert "Not finished: 1 of 2 grid points are missing." in page
    assert "2025-01-02 to 2025-03-01 with python 3.11, jax 0.7; python 3.12." in markdown
    assert summary.startswith(f"before\n{begin}\n")
    assert summary.endswith(f"\n{end}\nafter\n")
    assert "old" not in summary
    study_pages.put_summary(readme, out, write_page(out, names))
    assert files(tmp_path) == before


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
@pytest.mark.usefixtures("compiled_fast")
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_really_run_at_tiny_size_becomes_a_section(name, tmp_path, monkeypatch):
    for constant, value in {"PROBED": 20, "WINDOWS": 10, "STARTS": 4}.items():
        monkeypatch.setattr(measures, constant, value)
    study = tiny(STUDIES[name])
    done = sweep.complete(study.points, tmp_path / "rows.jsonl", sweep.here())
    made = [outcome.result for outcome in done]
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


def test_a_map_with_a_long_axis_stands_upright_on_a_phone_and_keeps_its_numbers():
    study, rows = small("lags")
    wide, narrow = (figure(study.chart, rows, width) for width in (WIDTH, NARROW))
    numbers = [sum(len(axes.texts) for axes in each.axes) for each in (wide, narrow)]
    assert numbers == [0, len(rows)]
    assert narrow.get_supylabel() == "lag"
