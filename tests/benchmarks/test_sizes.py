"""One layer at several sizes: it runs, and its ratios are those of its times."""

import json
import statistics

import jax.numpy as jnp
import pytest
import race
import sizes


def measured_here(core, function, points):
    return [labels | function(*arguments) for labels, arguments in points]


@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_ratio_of_a_size_is_the_quotient_of_the_median_times(tmp_path, monkeypatch, apart):
    if not apart:
        monkeypatch.setattr(sizes, "measured_apart", measured_here)
        monkeypatch.delitem(sizes.LAYERS, "PyTorch")
    race.main(rounds=2, sizes=True, fast=True, out=tmp_path / "sizes.json")
    (row,) = json.loads((tmp_path / "sizes.json").read_text())["sizes"]
    for of in ("", "update_"):
        all_times = row[f"{of}milliseconds"]
        ours = all_times.pop("echo_jax")
        assert row[f"{of}ratios"].keys() == all_times.keys() >= {"Flax"}
        for name, times in all_times.items():
            assert min(times + ours) > 0
            ratio, low, high = row[f"{of}ratios"][name]
            assert ratio == pytest.approx(statistics.median(ours) / statistics.median(times))
            in_rounds = [a / b for a, b in zip(ours, times, strict=True)]
            assert [low, high] == pytest.approx([min(in_rounds), max(in_rounds)])


def test_updates_of_a_size_follow_from_one_another():
    layer = sizes.compiled(lambda weights, inputs: weights * inputs, jnp.ones(()), jnp.ones(3))
    assert layer.updates() == pytest.approx((1 - 6e-6) ** 4, abs=1e-7)
