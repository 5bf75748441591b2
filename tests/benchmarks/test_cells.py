import cells
import pytest


@pytest.mark.slow
@pytest.mark.parametrize(("name", "forms"), [("gru", 1), ("mingru", 2)])
def test_a_cell_is_measured_in_the_forms_that_it_has(name, forms):
    costs = cells.measure(name, (8, 16, 24), 0.0)
    assert (costs["state_bytes"], len(costs["milliseconds"])) == (200, forms)
    times = cells.table([costs | {"cell": name}]).splitlines()[-1].split("|")[-4:-1]
    assert [time.count("/") for time in times] == [forms - 1] * 3
