"""The grid of every study is sound."""

import runpy

import pytest

from echo_jax.cell_names import CELLS
from echo_jax.echo.studies import catalogue
from echo_jax.echo.studies.catalogue import STUDIES

CLAIMS = ("parts", "mistake", "state", "mlp", "future")


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


def test_a_new_cell_asks_for_no_row_of_the_published_study(monkeypatch):
    monkeypatch.setitem(CELLS, "new", CELLS["gru"])
    now = runpy.run_path(catalogue.__file__, run_name="catalogue_now")["STUDIES"]["cells"]
    assert [point.key for point in now.points] == [point.key for point in STUDIES["cells"].points]
