"""The scaling measurement: its points, and the arithmetic that explains an update."""

import pytest
import scaling
from learner import JOB


def test_what_explains_an_update_is_counted_by_hand():
    assert scaling.parameters(JOB) == 20_000 + 10_000 + 200 + 5_000 + 100
    assert scaling.flops(JOB) == 3 * 2 * (25 * 50 * 200 + 5 * 50 * 100)
    assert scaling.adam_bytes(JOB) == 32 * 35_300
    machine = scaling.Machine(peak=1e6, bandwidth=1e6)
    assert scaling.explained(JOB, machine) == pytest.approx(1.65 + 1.1296)


def test_every_point_of_the_scaling_is_part_4_with_one_size_changed():
    usual = {"window": 5, "vocabulary": 100, "hidden": 50, "seeds": 1, "length": 25}
    for axis, size, config in scaling.points(fast=False):
        task = config.task
        sizes = {
            "window": task.window,
            "vocabulary": task.vocab_size,
            "hidden": config.network.hidden_size,
            "seeds": config.seeds,
            "length": min(task.length, 25) if axis == "window" else task.length,
        }
        assert sizes == usual | {axis: size}
