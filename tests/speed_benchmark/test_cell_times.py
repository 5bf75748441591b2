import pytest

from echo_jax.cells.cell_facts import FACTS
from echo_jax.speed_benchmark import cell_times

MEASURED = {
    "cell": "minlstm", "parameters": 2550, "state_bytes": 200, "step_microseconds": 1.26,
    "milliseconds": {"sequential": [1.0, 2.0, 3.0], "parallel": [4.0, 5.0, 6.0]},
}  # fmt: skip


def test_the_table_has_both_forms_of_a_recurrence_where_a_cell_has_both():
    one_form = MEASURED | {"cell": "lstm", "milliseconds": {"sequential": [1.0, 2.0, 3.0]}}
    rows = [MEASURED, one_form, {"cell": "gru", "failure": "ended with status 9"}]
    _, _, first, second, third = cell_times.table(rows).splitlines()
    assert first == (
        "| minLSTM | `minlstm` | Feng et al. 2024 | H | 200 | 2,550 | 1.3 | 1.0 / 4.0 | 2.0 / 5.0 "
        "| 3.0 / 6.0 |"
    )
    assert second.endswith("| 1.3 | 1.0 | 2.0 | 3.0 |")
    assert third.count("|") == second.count("|")
    assert "ended with status 9" in third


@pytest.mark.slow
@pytest.mark.parametrize(("name", "forms"), [("gru", 1), ("minlstm", 2), ("mingru", 2)])
def test_a_cell_is_measured_in_the_forms_that_it_has(name, forms):
    sent = []

    class Pipe:
        send = sent.append

    cell_times.measure(Pipe, name, (8, 16), 0.0)
    (found,) = sent
    assert found["state_bytes"] == 200
    assert len(found["milliseconds"]) == forms
    assert all(len(times) == 2 for times in found["milliseconds"].values())
    assert name in FACTS
