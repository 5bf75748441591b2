"""Every study: its grid is sound, and rows of it become tables, figures, words and a page."""

import dataclasses
import functools
import random
import re
from pathlib import Path

import numpy as np
import pytest
from fabricated import row, study_rows, write

from echo_jax import atomic_files, exceptions, machine
from echo_jax.config import changed
from echo_jax.studies import answers, records, scores, study_pages, study_tables, time_estimate
from echo_jax.studies.catalogue import FAST_SEEDS, FAST_SEQUENCES, STUDIES, Study, fast

GRIDS = {
    f"{name}{' fast' * few}": (name, fast(study) if few else study)
    for name, study in STUDIES.items()
    for few in (False, True)
}
CLAIMS = ("parts", "mistake", "state", "mlp", "future")
KINDS = {"parts": "dots", "streams": "lines", "lags": "heat", "prefix": "curves", "explain": "bars"}


def of_every(function):
    return pytest.mark.parametrize("grid", GRIDS)(function)


@of_every
def test_cells_have_names_and_keys_of_their_own(grid):
    cells = GRIDS[grid][1].cells
    assert len({cell.name for cell in cells}) == len(cells)
    assert len({study_tables.key_of(cell) for cell in cells}) == len(cells)


def test_no_file_of_rows_can_take_two_studies_for_one():
    assert all(re.fullmatch("[a-z]+", name) for name in STUDIES)
    assert len({study.question for study in STUDIES.values()}) == len(STUDIES)
    assert all(study.question.endswith("?") for study in STUDIES.values())


@of_every
def test_columns_measures_and_pairs_are_there(grid):
    from echo_jax.studies.measures import MEASURES

    name, study = GRIDS[grid]
    assert set(study.columns) <= set(study_tables.COLUMNS)
    assert {measure for cell in study.cells for measure in cell.measures} <= set(MEASURES)
    names = [cell.name for cell in study.cells]
    assert {cell for pair in study.pairs for cell in pair} <= set(names)
    assert all(first != second for first, second in study.pairs)
    assert set(study.chart.leave_out) <= set(names)
    assert name in answers.ANSWERS
    for label in filter(None, (study.chart.x, study.chart.up, *study.chart.series.split(","))):
        if label == study.chart.x and study.chart.kind not in ("lines", "heat"):
            continue
        assert all(label in cell.labels for cell in study.cells)


def test_words_belong_to_a_study_each():
    assert set(answers.ANSWERS) == set(STUDIES)


def test_the_two_of_a_pair_have_the_same_seeds_and_data():
    for study in STUDIES.values():
        by_name = {cell.name: cell.config for cell in study.cells}
        for first, second in study.pairs:
            one, other = by_name[first], by_name[second]
            assert (one.seed, one.seeds) == (other.seed, other.seeds)
            assert one.task.vocab_size == other.task.vocab_size


def test_every_cell_has_8_seeds_and_16_where_a_claim_is_made():
    for name, study in STUDIES.items():
        for cell in study.cells:
            if not any("time alone" in str(value) for value in cell.labels.values()):
                assert cell.config.seeds >= (16 if name in CLAIMS else 8), (name, cell.name)
        assert not study.pairs or all(cell.config.seeds >= 16 for cell in study.cells)


@pytest.mark.parametrize("name", STUDIES)
def test_the_fast_grid_is_smaller_and_of_the_same_cells(name):
    study, few = STUDIES[name], fast(STUDIES[name])
    configs = {cell.name: cell.config for cell in study.cells}
    assert 0 < len(few.cells) <= len(study.cells)
    for cell in few.cells:
        whole = configs[cell.name]
        assert cell.config == changed(
            whole,
            seeds=min(whole.seeds, FAST_SEEDS),
            sequences=min(whole.training.sequences, FAST_SEQUENCES),
        )
    kept = {cell.name for cell in few.cells}
    assert few.pairs == tuple(pair for pair in study.pairs if set(pair) <= kept)
    assert time_estimate.seconds_of(few.cells) < time_estimate.seconds_of(study.cells)


def test_all_studies_fit_into_90_minutes_and_the_fast_ones_into_10(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)

    def in_all(few):
        return sum(time_estimate.seconds_of(study.cells) for name, study in GRIDS.values()
                   if (study is not STUDIES[name]) == few) / 60  # fmt: skip

    assert 1 < in_all(few=True) < 10
    assert in_all(few=True) < in_all(few=False) < 90
    whole = in_all(few=False)
    monkeypatch.setattr(machine, "cores", lambda: 1)
    assert in_all(few=False) > 1.3 * whole


@functools.cache
def section(grid):
    name, study = GRIDS[grid]
    return study_tables.section(name, study, rows_to_show(study), "python x")


def rows_to_show(study):
    """Where 99% is compared all seeds have reached it, so that there is a line for each pair."""
    return study_rows(study, **{"reached": 90} if "sequences_to_99" in study.compared else {})


def pair_lines(study, found):
    """How many lines the table of pairs must have: none of a score that a seed lacks."""
    by_name = {each["cell"]: each for each in found}
    return sum(
        all(None not in scores.scores(by_name[name], score) for name in pair)
        for pair in study.pairs
        for score in study.compared
    )


def assert_complete(made, study, found):
    """A section has all that its study promises."""
    assert made.heading == study.question
    assert 2 <= len(made.answer) <= 3
    table = made.tables[0]
    labels = list(dict.fromkeys(label for cell in study.cells for label in cell.labels))
    assert table.headings == [*labels, *study.columns]
    assert [line[: len(labels)] for line in table.rows] == [
        [str(cell.labels.get(label, "")) for label in labels] for cell in study.cells
    ]
    curves = study.chart.kind in ("curves", "bars")
    lines = pair_lines(study, found)
    assert len(made.tables) == 1 + bool(lines) + curves
    if lines:
        assert len(made.tables[1].rows) == lines
    assert all(len(line) == len(each.headings) for each in made.tables for line in each.rows)
    assert re.match(r"<svg .*</svg>$", made.figure.svg, re.DOTALL)
    assert len(made.figure.alt) > 60
    assert re.fullmatch(r"[A-Z][^_]*\w\.", made.figure.caption)
    assert made.notes == list(study.notes)
    everything = " ".join(
        [*made.answer, made.figure.alt, *(" ".join(r) for t in made.tables for r in t.rows)]
    )
    assert not re.search(r"\bnan|\binf|None|unknown|\[\]", everything)


@of_every
def test_rows_become_a_section_with_all_there_is(grid):
    name, study = GRIDS[grid]
    if study is STUDIES[name]:  # figures take a tenth of a second each
        assert_complete(section(grid), study, rows_to_show(study))
        assert pair_lines(study, rows_to_show(study)) == len(study.pairs) * len(study.compared)
    else:
        assert 2 <= len(answers.of(name, study_rows(study))) <= 3


def test_the_words_of_a_study_are_its_own_and_not_the_general_ones():
    for name, study in GRIDS.values():
        made = study_rows(study)
        assert answers.of(name, made) == answers.ANSWERS[name](answers.Rows(made))


def test_every_kind_of_chart_is_drawn_by_a_study():
    assert {name: STUDIES[name].chart.kind for name in KINDS} == KINDS
    assert {study.chart.kind for study in STUDIES.values()} == set(KINDS.values())


def test_what_is_left_out_of_a_figure_is_not_in_it_and_all_else_is():
    study = STUDIES["mistake"]
    out = study.chart.leave_out
    assert out
    for cell in study.cells:
        assert (f"{cell.name}:" in section("mistake").figure.alt) == (cell.name not in out)
        assert (cell.name in section("mistake").tables[-1].headings) == (cell.name not in out)


@pytest.mark.parametrize("name", STUDIES)
def test_of_a_part_of_its_cells_a_study_says_the_general_and_how_many_are_missing(name):
    study, rng = STUDIES[name], random.Random(0)
    made = study_rows(study)
    for count in {1, 2, len(study.cells) - 1} - {0}:
        some = rng.sample(made, count)
        mine = study_tables.finished(study, some)
        assert [row["cell"] for row in mine] == [
            cell.name for cell in study.cells if cell.name in {row["cell"] for row in some}
        ]
        assert answers.of(name, mine)  # it may have its words, and does not break
    if name not in KINDS:  # nor is each kind of figure drawn more than once of a part
        return
    part = made[:1]
    found = study_tables.section(name, study, part, "c")
    assert found.answer == answers.general(part)
    assert found.notes[0] == (
        f"Not finished: {len(study.cells) - 1} of {len(study.cells)} cells are still to be run."
    )
    assert len(found.tables[0].rows) == 1


def test_where_only_a_cell_is_there_that_is_not_drawn_there_is_no_figure():
    study = STUDIES["mistake"]
    only = [row for row in study_rows(study) if row["cell"] in study.chart.leave_out]
    found = study_tables.section("mistake", study, only, "c")
    assert (found.figure, len(found.tables)) == (None, 1)


def test_of_no_rows_a_section_says_that_nothing_was_run():
    found = study_tables.section("parts", STUDIES["parts"], [], "c")
    assert found.answer == ["Nothing was run yet."]
    assert (found.tables, found.figure) == ((), None)


def test_rows_of_other_grids_are_not_of_the_study():
    study, few = STUDIES["parts"], fast(STUDIES["parts"])
    made = [*study_rows(few), *study_rows(study, 1)]
    assert study_tables.finished(study, made) == made[3:]
    assert study_tables.finished(few, made) == made[:3]


def test_of_two_rows_of_a_cell_the_later_counts():
    study = STUDIES["parts"]
    made = [*study_rows(study), row(study.cells[0], 9)]
    assert study_tables.finished(study, made) == [made[3], made[1], made[2]]


def page_of(out, names):
    studies = {name: STUDIES[name] for name in names}
    found = [row for name in names for row in study_pages.read(out, name)]
    made = study_pages.sections(out, studies, "python scripts/study.py {name}")
    return study_pages.page_of("What?", found, made, "python scripts/study.py --all")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The page of two studies of which one has all its rows, and of one that has none."""
    out = tmp_path_factory.mktemp("studies") / "out"
    study_pages.claim(out, "all studies")
    write(study_pages.rows_path(out, "parts"), study_rows(STUDIES["parts"]))
    write(study_pages.rows_path(out, "explain"), study_rows(STUDIES["explain"])[:1])
    study_pages.write(out, page_of(out, ("parts", "explain", "prefix")))
    return out


def files(out):
    return {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_a_folder_has_a_page_and_figures_of_the_studies_that_have_rows(folder):
    assert set(files(folder)) == {
        "index.html", "README.md", "parts.svg", "explain.svg", "parts.jsonl", "explain.jsonl",
        "folder.json",
    }  # fmt: skip
    page, markdown = ((folder / name).read_text() for name in ("index.html", "README.md"))
    for name in ("parts", "explain"):
        assert page.count(f'<h2 id="{name}">') == markdown.count(f'<a id="{name}">') == 1
        assert f"(<figures/{name}.svg>)" in markdown
        assert f"python scripts/study.py {name}" in page
    assert "prefix" not in page
    assert "Not finished: 1 of 2 cells are still to be run." in page
    assert "2025-01-02" in page
    assert "python 3.11, jax 0.7" in page


def test_what_is_missing_is_said_by_the_keys_of_the_cells(folder):
    assert study_pages.missing(folder, "parts", STUDIES["parts"]) == []
    assert study_pages.missing(folder, "explain", STUDIES["explain"]) == [
        STUDIES["explain"].cells[1]
    ]
    few = fast(STUDIES["parts"])
    assert study_pages.missing(folder, "parts", few) == list(few.cells)
    assert len(study_pages.missing(folder, "prefix", STUDIES["prefix"])) == 4


def test_the_same_rows_give_the_same_bytes_twice(folder):
    before = files(folder)
    study_pages.write(folder, page_of(folder, ("parts", "explain", "prefix")))
    assert files(folder) == before


def test_the_page_says_each_version_and_the_first_and_the_last_date():
    made = study_rows(STUDIES["parts"])
    made[1] |= {"date": "2025-03-01", "versions": {"python": "3.12"}}
    assert study_pages.page_of("t", made, [], "c").made == (
        "Computed on 2025-01-02 to 2025-03-01 with python 3.11, jax 0.7; python 3.12."
    )


def with_seeds(*counts):
    return [row(dataclasses.replace(cell, config=changed(cell.config, seeds=n)), 0)
            for cell, n in zip(STUDIES["parts"].cells, counts, strict=False)]  # fmt: skip


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((8, 8), "about 93 of 100 such intervals"),
        ((16,), "about 92 of 100 such intervals"),
        ((16, 8, 1), "about 92 to 93 of 100 such intervals"),
        ((2,), "about 50 of 100 such intervals"),
        ((2, 1), "about 50 of 100 such intervals"),
        ((2, 8), "about 50 to 93 of 100 such intervals"),
    ],
)
def test_the_introduction_says_what_the_intervals_of_these_rows_cover(counts, words):
    said = study_pages.introduction(with_seeds(*counts))
    assert len(said) == 3
    assert words in said[1]
    assert "With one seed" not in said[1]


def test_the_introduction_promises_no_interval_of_one_seed():
    said = study_pages.introduction(with_seeds(1, 1))
    assert said[1].endswith("half below. With one seed there is none.")
    assert "100" not in said[1]


def refusal(out, kind="all studies"):
    with pytest.raises(exceptions.StorageError) as refused:
        study_pages.claim(out, kind)
    return str(refused.value)


@pytest.mark.parametrize("out", ["", ".", "a/..", "absolute"])
def test_the_current_folder_is_no_folder_of_studies(tmp_path, monkeypatch, out):
    monkeypatch.chdir(tmp_path)
    assert refusal(tmp_path if out == "absolute" else Path(out)) == (
        "the current folder is no place for rows and pages: name a folder of their own with --out"
    )
    assert not any(tmp_path.iterdir())


def test_a_folder_is_of_one_kind(tmp_path):
    kinds = ("all studies", "fast studies", "a sweep")
    for kind in kinds:
        for _ in range(2):
            study_pages.claim(tmp_path / kind, kind)
        for other in set(kinds) - {kind}:
            assert refusal(tmp_path / kind, other) == (
                f"{tmp_path / kind} is of {kind}, and this is {other}: use another folder for it"
            )
        study_pages.claim(tmp_path / kind, kind)


def test_what_a_folder_is_of_is_read_only_as_it_was_written(tmp_path):
    (tmp_path / "folder.json").write_text('{"kind": "all studies"}')
    assert refusal(tmp_path) == (
        f"{tmp_path}/folder.json is damaged, its digest is not that of its content: use another "
        f"folder than {tmp_path}"
    )


@pytest.mark.parametrize("name", ["index.html", "README.md", "figures/mine.svg"])
def test_a_folder_with_a_file_of_someone_else_is_not_claimed(tmp_path, name):
    (tmp_path / "figures").mkdir()
    (tmp_path / name).write_text("mine")
    assert refusal(tmp_path) == (
        f"{tmp_path}/{name} is not as it was generated, and would be overwritten: move it to "
        "another name"
    )
    assert (tmp_path / name).read_text() == "mine"
    assert not (tmp_path / "folder.json").exists()


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    assert refusal(tmp_path / "a\0b").endswith(
        "b cannot be a folder of studies (there is a NUL in its name): use another place for --out"
    )


BEGIN, END = atomic_files.marks(study_pages.SUMMARY)
README = f"before\n{BEGIN}\nold\n{END}\nafter\n"


def test_the_summary_stands_between_its_marks_and_nothing_else_is_changed(folder, tmp_path):
    (tmp_path / "README.md").write_text(README)
    made = page_of(folder, ("parts",)).sections
    for _ in range(2):
        study_pages.put_summary(tmp_path / "README.md", folder, made)
        text = (tmp_path / "README.md").read_text()
        assert text.startswith(f"before\n{BEGIN}\n")
        assert text.endswith(f"\n{END}\nafter\n")
        assert text.count(STUDIES["parts"].question) == 1
        assert "old" not in text


def test_the_name_of_a_study_is_put_into_its_command_and_other_braces_stay(folder):
    studies = {"parts": STUDIES["parts"]}
    (made,) = study_pages.sections(folder, studies, "x {name} --out '{a} {}'")
    assert made.command == "x parts --out '{a} {}'"


def tiny(study: Study) -> Study:
    """The same grid with next to no training."""
    few = {"seeds": 2, "sequences": 2, "evaluation_sequences": 3}
    by_name = {}
    for cell in fast(study).cells:
        config = changed(cell.config, **few)
        config = changed(config, hidden_size=min(config.network.hidden_size, 8))
        if config.task.vocab_size > 1000:
            config = changed(config, vocab_size=1001)
        by_name[cell.name] = (cell, config)
    cells = tuple(dataclasses.replace(cell, config=config) for cell, config in by_name.values())
    return dataclasses.replace(fast(study), cells=cells)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_really_run_at_tiny_size_becomes_a_page(name, tmp_path, monkeypatch):
    from echo_jax.studies import measures, sweep

    for constant, value in {"PROBED": 20, "WINDOWS": 10, "STARTS": 4}.items():
        monkeypatch.setattr(measures, constant, value)
    study = tiny(STUDIES[name])
    study_pages.claim(tmp_path, "fast studies")
    path = study_pages.rows_path(tmp_path, name)
    made = list(sweep.complete(study.cells, path))
    assert {row["cell"] for row in made} == {cell.name for cell in study.cells}
    assert study_pages.missing(tmp_path, name, study) == []
    (found,) = study_pages.sections(tmp_path, {name: study}, "python x {name}")
    assert_complete(found, study, made)
    study_pages.write(tmp_path, study_pages.page_of("t", records.read(path), [found], "c"))
    assert f'<h2 id="{name}">' in (tmp_path / "index.html").read_text()
    for made_row in made:
        synthetic = row(next(c for c in study.cells if c.name == made_row["cell"]), 0)
        assert shape_of(synthetic) == shape_of(made_row | {"digest": ""})


def shape_of(made):
    """Which fields a row has, and of which shape: what fabricated rows must have in common."""
    return {
        "fields": set(made),
        "by_seed": {name: len(values) for name, values in made["by_seed"].items()},
        "floors": set(made["floors"]),
        "seconds": set(made["seconds"]),
        "measured": {
            name: {what: np.shape(values) for what, values in measure.items()}
            for name, measure in made["measured"].items()
        },
        "by_position": made["accuracy_by_position"] and len(made["accuracy_by_position"]),
    }
