"""The printed report of a run, as a whole and where it varies."""

import re

from fabricated_results import CONFIG, fabricated_result

from echo_jax.config import RunConfig, TaskConfig, changed
from echo_jax.runs import run_report
from echo_jax.runs.result import Failed

REPORT = """
Expected:  [1, 5, 3]
Predicted: [1, 2, 3]
           2 of 3 right, on one fresh sequence, seed 7

On 1,000 fresh sequences (each of 3 seeds):
              median     75.0% interval   order-blind baseline   chance baseline
accuracy      90.00%   20.00% to 95.00%                 56.25%            12.50%
loss (nats)   0.3000   0.2000 to 2.0000                 0.6065            2.0794
The order-blind baseline knows which values the window holds, but not their order.

seed   accuracy     loss   sequences to 99%
7        90.00%   0.3000                 30
8        95.00%   0.2000                 25
9        20.00%   2.0000              never

Accuracy in percent by row, mean of 3 seeds:
  row   0:  70.0  70.0  65.0

The target, the value 1 step back, is in the window of 2: the gradient reaches it, and it can be \
learned. The state, carried over from row r - 3, is not needed for it.

2 of 3 seeds reached 99% in training: a share of 21% to 94% (Wilson, 95%).
A running mean of 20 training sequences reached 99%: after 30 sequences (median; 25 to never, \
75.0% interval).
Seconds: import 1.00, train 2.50"""


def test_the_report_of_a_run_of_three_seeds():
    assert run_report.full_report(CONFIG, fabricated_result()) == REPORT


def rows_of(table):
    """The cells of each line of a table."""
    return [re.split(r" {3,}", line.strip()) for line in table.splitlines()]


def test_of_values_the_loss_is_squared_and_the_distance_is_shown():
    config = changed(CONFIG, framing="values")
    said = run_report.scores(config, fabricated_result(config))
    variance = (8 + 1) / (12 * (8 - 1))
    assert rows_of(said)[3:5] == [
        ["loss (squared)", "0.3000", "0.2000 to 2.0000", f"{variance / 2:.4f}", f"{variance:.4f}"],
        ["distance", "3.00", "2.00 to 9.00", "-", "2.00"],
    ]
    assert "Distance: mean absolute difference from the target integer." in said


def test_one_seed_has_no_interval_and_no_table_of_seeds():
    one = changed(CONFIG, seeds=1)
    made = fabricated_result(one)
    assert rows_of(run_report.scores(one, made))[1][0] == "network"
    assert run_report.by_seed(made) == ""
    assert run_report.learning_time(made).splitlines()[0] == (
        "A running mean of 20 training sequences reached 99%: after 30 sequences."
    )


def test_a_seed_that_failed_is_named_with_where_it_did():
    assert run_report.failures(Failed()) == ""
    assert run_report.failures(Failed([7, 9], [12, None])) == (
        "Failed with a non-finite loss: seeds 7 (sequence 12), 9 (evaluation). Each counts as "
        "accuracy 0 and an infinite loss."
    )


def test_a_run_is_described_in_a_line_and_what_is_not_as_by_default_is_named():
    assert run_report.describe(RunConfig()) == (
        "Echo with lag 1: windows of 5 from 25 integers below 100, batch size 5; stateful lstm of "
        "50 units; 2,000 sequences, 8,000 updates, seed 0"
    )
    options = {"encoding": "embedding", "embedding_dim": 8, "tied": True, "bptt_batches": 3}
    config = changed(RunConfig(), **options, layout="prefixes", missing="token", seeds=4)
    assert run_report.describe(config).endswith(
        "updates, seed 0 to 3; missing token, encoding embedding, embedding dim 8, tied True, "
        "bptt batches 3"
    )


def test_long_sequences_do_not_flood_the_terminal():
    printed = run_report.accuracy_by_position(RunConfig(TaskConfig(length=1000)), [0.5] * 995)
    assert len(printed.splitlines()) < 20
    assert printed.endswith("... all 995 are in result.json")


def test_positions_without_a_target_are_a_dash_and_batches_of_one_row_share_a_line():
    streams = RunConfig(TaskConfig(length=8, window=4, lag=2, layout="streams", batch_size=1))
    accuracy = [None, None, 0.5, 1.0, 1.0, 0.25, 0.5, 0.0]
    assert run_report.accuracy_by_position(streams, accuracy).splitlines() == [
        "Accuracy in percent by step, a chunk a line:",
        "  step   0:     -     -  50.0 100.0",
        "  step   4: 100.0  25.0  50.0   0.0",
    ]
    rows = RunConfig(TaskConfig(window=1, lag=1, batch_size=1))
    lines = run_report.accuracy_by_position(rows, [0.5] * 24).splitlines()
    assert [line.count(".") for line in lines] == [0, 10, 10, 4]
