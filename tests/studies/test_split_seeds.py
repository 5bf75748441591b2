"""Many seeds of a grid point, cut into parts and joined again: every seed once."""

import dataclasses

import msgspec
import pytest
from fabricated import changed_row, row
from tiny_points import TINY

from echo_jax.config import changed
from echo_jax.report.number_formats import plain
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.split_seeds import joined, parts_of

MANY = GridPoint({"lag": 0}, changed(TINY, seeds=150, seed=10), ("other_state",))


def rows_of(point):
    return [row(part, rng) for rng, part in enumerate(parts_of(point))]


def test_every_seed_is_in_one_part_of_at_most_64():
    parts = [part.config for part in parts_of(MANY)]
    assert [(config.seed, config.seeds) for config in parts] == [(10, 64), (74, 64), (138, 22)]
    assert {changed(config, seed=10, seeds=150) for config in parts} == {MANY.config}
    assert len({part.key for part in parts_of(MANY)} | {MANY.key}) == 4


def test_few_seeds_and_those_that_stop_together_are_one_part():
    few = dataclasses.replace(MANY, config=changed(TINY, seeds=64))
    until = dataclasses.replace(MANY, until_learned=True)
    assert (parts_of(few), parts_of(until)) == ([few], [until])


def test_a_joined_row_has_the_lists_of_its_parts_and_means_over_all_seeds():
    parts = rows_of(MANY)
    lost = {"seed": [74, 80], "sequence": [3, None]}
    parts[1] = changed_row(parts[1], failed=lost, device="gpu")
    parts[0] = changed_row(parts[0], device="cpu", versions={"jax": "0.6"})
    whole = joined(MANY, parts)
    assert (whole.point, whole.labels, whole.key) == ("lag 0", {"lag": 0}, MANY.key)
    for name in ("accuracy", "loss", "sequences_to_99", "recalled_bits"):
        assert getattr(whole.by_seed, name) == [x for p in parts for x in getattr(p.by_seed, name)]
    other = [x for part in parts for x in part.measured["other_state"]["accuracy"]]
    assert whole.measured == {"other_state": {"accuracy": other}}
    means = zip(*(part.accuracy_by_position for part in parts), strict=True)
    assert whole.accuracy_by_position == plain(
        [(64 * a + 62 * b + 22 * c) / 148 for a, b, c in means]
    )
    assert msgspec.to_builtins(whole.failed) == lost
    assert whole.bytes == max(part.bytes for part in parts)
    assert (whole.seconds.compile, whole.seconds.train) == (1.0, 3 * 30.5)
    assert whole.device == "cpu and gpu"
    assert whole.versions == {"jax": "0.6 and 0.7"}


@pytest.mark.parametrize("rows", [(0, 2), (0, 1, 1, 2), (0, 1, 1), (1, 0, 2)])
def test_a_part_that_is_lost_doubled_or_out_of_order_is_noticed(rows):
    parts = rows_of(MANY)
    with pytest.raises(ValueError, match="seed"):
        joined(MANY, [parts[i] for i in rows])
