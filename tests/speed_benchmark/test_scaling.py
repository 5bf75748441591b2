"""The scaling measurement: its points, and the arithmetic that explains an update."""

import pytest

from echo_jax.speed_benchmark import scaling
from echo_jax.speed_benchmark.learner import JOB


def test_what_explains_an_update_is_counted_by_hand():
    assert scaling.parameters(JOB) == 20_000 + 10_000 + 200 + 5_000 + 100
    assert scaling.flops(JOB) == 3 * 2 * (25 * 50 * 200 + 5 * 50 * 100)
    assert scaling.adam_bytes(JOB) == 32 * 35_300
    machine = scaling.Machine(peak=1e6, bandwidth=1e6)
    assert scaling.explained(JOB, machine) == pytest.approx(1.65 + 1.1296)


@pytest.mark.parametrize("point", scaling.points(fast=False), ids=lambda p: f"{p.axis}-{p.size}")
def test_every_point_of_the_scaling_is_part_4_with_one_size_changed(point):
    sizes = {
        "window": point.config.task.window,
        "vocabulary": point.config.task.vocab_size,
        "hidden": point.config.network.hidden_size,
        "seeds": point.config.seeds,
        "length": point.config.task.length,
    }
    assert sizes[point.axis] == point.size
    usual = {"window": 5, "vocabulary": 100, "hidden": 50, "seeds": 1, "length": 25}
    changed = {name for name in sizes if sizes[name] != usual[name]}
    assert changed <= {point.axis, "length" if point.axis == "window" else point.axis}
