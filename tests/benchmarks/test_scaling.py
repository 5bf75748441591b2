"""The scaling measurement: its points, and the arithmetic that explains an update."""

import pytest
import scaling
from learner import JOB


def test_what_explains_an_update_is_counted_by_hand():
    assert scaling.parameters(JOB) == 20_000 + 10_000 + 200 + 5_000 + 100
    assert scaling.flops(JOB) == 3 * 2 * (25 * 50 * 200 + 5 * 50 * 100)
    machine = scaling.Machine(peak=1e6, bandwidth=1e6)
    assert scaling.explained(JOB, machine) == pytest.approx(1.65 + 1.1296)
