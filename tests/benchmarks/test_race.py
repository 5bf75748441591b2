"""The race between peers: its rules are kept. Never how fast."""

import pytest
import race


@pytest.mark.parametrize(
    ("times", "reference", "expected"),
    [
        ([30, 31, 29], [10, 10, 10], (3.0, 2.9, 3.1)),
        ([1, 2], [4, 4], (0.375, 0.25, 0.5)),
        ([20, 36, 20], [10, 18, 10], (2, 2, 2)),  # of the same round: slow rounds cancel
        ([10, 12, 11], [11, 10, 12], None),
        ([30, 31, 11], [10, 10, 12], None),
    ],
)
def test_a_ratio_is_of_one_round_and_refused_where_the_times_overlap(times, reference, expected):
    assert race.ratio(times, reference) == expected
    text = race.ratio_text(times, reference)
    assert (text == "no clear difference") is (expected is None)
