"""One layer at several sizes: it runs, and its ratios are those of its times."""

import json
import statistics

import pytest
import race


def test_a_ratio_of_a_size_is_the_quotient_of_the_median_times(tmp_path):
    race.main(rounds=2, sizes=True, fast=True, out=tmp_path / "sizes.json")
    (row,) = json.loads((tmp_path / "sizes.json").read_text())["sizes"]
    ours = row["milliseconds"].pop("echo_jax")
    assert row["ratios"].keys() == row["milliseconds"].keys() >= {"Flax"}
    for name, times in row["milliseconds"].items():
        assert min(times + ours) > 0
        ratio, low, high = row["ratios"][name]
        assert ratio == pytest.approx(statistics.median(ours) / statistics.median(times))
        in_rounds = [a / b for a, b in zip(ours, times, strict=True)]
        assert [low, high] == pytest.approx([min(in_rounds), max(in_rounds)])
