"""The grid of every study is sound, in full and with --fast."""

import re

import pytest

from echo_jax import machine
from echo_jax.config import changed
from echo_jax.studies import study_folder, study_tables, time_estimate
from echo_jax.studies.catalogue import FAST_SEEDS, FAST_SEQUENCES, STUDIES, fast
from echo_jax.studies.measures import MEASURES

GRIDS = {
    f"{name}{' fast' * few}": fast(study) if few else study
    for name, study in STUDIES.items()
    for few in (False, True)
}
CLAIMS = ("parts", "mistake", "state", "mlp", "future")


@pytest.mark.parametrize("grid", GRIDS)
def test_names_columns_measures_pairs_and_labels_of_a_study_exist(grid):
    study = GRIDS[grid]
    names = {point.name for point in study.points}
    twins = 1 if grid == "advice" else 0  # two runs that missed are helped by one and the same
    assert len(names) == len({point.key for point in study.points}) + twins == len(study.points)
    assert set(study.columns) <= set(study_tables.COLUMNS)
    assert {measure for point in study.points for measure in point.measures} <= set(MEASURES)
    assert {name for pair in study.pairs for name in pair} <= names
    assert all(first != second for first, second in study.pairs)
    chart, places = study.chart, study.chart.kind in ("curves", "strips", "dots")
    for label in filter(None, (*chart.series.split(","), chart.up, "" if places else chart.x)):
        assert all(label in point.labels for point in study.points)


def test_studies_have_names_questions_and_answers_of_their_own():
    assert all(re.fullmatch("[a-z]+", name) for name in STUDIES)
    assert len({study.question for study in STUDIES.values()}) == len(STUDIES)
    assert all(study.question.endswith("?") for study in STUDIES.values())
    assert len(set(map(study_folder.published_answer, STUDIES))) == len(STUDIES)


@pytest.mark.parametrize("name", STUDIES)
def test_grid_points_have_8_seeds_16_where_a_claim_is_made_and_pairs_the_same_ones(name):
    configs = {point.name: point.config for point in STUDIES[name].points}
    least = 16 if name in CLAIMS else 8
    lines = len(STUDIES[name].pairs) * len(STUDIES[name].compared)
    while lines * 2 / 2**least > 0.05:  # the least p that all lines may have together
        least += 1
    assert all(c.seeds >= least for point, c in configs.items() if "time alone" not in point)
    for one, other in (map(configs.get, pair) for pair in STUDIES[name].pairs):
        assert (one.seed, one.seeds) == (other.seed, other.seeds)
        assert one.task.vocab_size == other.task.vocab_size


@pytest.mark.parametrize("name", STUDIES)
def test_the_fast_grid_is_smaller_and_of_the_same_grid_points(name):
    study, few = STUDIES[name], GRIDS[f"{name} fast"]
    configs = {point.name: point.config for point in study.points}
    assert 0 < len(few.points) <= len(study.points)
    for point in few.points:
        whole = configs[point.name]
        seeds = min(whole.seeds, FAST_SEEDS)
        sequences = min(whole.training.sequences, FAST_SEQUENCES)
        assert point.config == changed(whole, seeds=seeds, sequences=sequences)
    kept = {point.name for point in few.points}
    assert few.pairs == tuple(pair for pair in study.pairs if set(pair) <= kept)
    assert time_estimate.seconds_of(few.points) < time_estimate.seconds_of(study.points)


def test_all_studies_fit_into_90_minutes_and_the_fast_ones_into_10(monkeypatch):
    def minutes(cores, ending):
        monkeypatch.setattr(machine, "cores", lambda: cores)
        grids = (study for name, study in GRIDS.items() if name.endswith(" fast") == ending)
        return sum(time_estimate.seconds_of(study.points) for study in grids) / 60

    assert 1 < minutes(2, True) < 10
    assert minutes(2, True) < minutes(2, False) < 90
    assert minutes(1, False) > 1.3 * minutes(2, False)
