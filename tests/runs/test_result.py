import dataclasses
import json
import math
import re

import numpy as np
import pytest

from echo_jax.config import DataConfig, NetworkConfig, RunConfig, TaskConfig, TrainingConfig
from echo_jax.core.evaluation import Answers, Evaluation
from echo_jax.runs import curve_figure, run_report
from echo_jax.runs import result as results

CONFIG = RunConfig(
    TaskConfig(length=4, vocab_size=8, window=2, lag=1, batch_size=3),
    NetworkConfig(),
    TrainingConfig(sequences=40),
    seed=7,
    seeds=3,
)
LEARNED = np.concatenate([np.zeros(10), np.ones(30)])  # a mean of 20 is 1 after 30 sequences


def scored():
    """Three seeds; the first answers 1 2 3 where 1 5 3 is right."""
    expected = np.array([[[1, 5, 3]]] * 3)
    predicted = np.array([[[1, 2, 3]], [[1, 5, 3]], [[0, 0, 0]]])
    return Evaluation(
        accuracy=np.array([0.9, 0.95, 0.2]),
        loss=np.array([0.3, 0.2, 2.0]),
        distance=np.array([3.0, 2.0, 9.0]),
        accuracy_by_position=np.array([[1.0, 0.8, 0.9], [1.0, 0.9, 0.95], [0.1, 0.4, 0.1]]),
        first=Answers(expected, predicted, np.zeros((3, 1, 3)), np.ones((3, 1, 3), bool)),
    )


@pytest.fixture
def result():
    curves = np.array([LEARNED, np.roll(LEARNED, -5), np.zeros(40)])
    made = results.summarise(CONFIG, scored(), np.ones((3, 40)), curves)
    made["seconds"] = {"import": 1.0, "train": 2.5}
    return json.loads(json.dumps(made, allow_nan=False))


def test_a_result_holds_medians_their_intervals_and_every_seed(result):
    assert result["by_seed"] == {
        "seed": [7, 8, 9],
        "accuracy": [0.9, 0.95, 0.2],
        "loss": [0.3, 0.2, 2.0],
        "distance": [3.0, 2.0, 9.0],
        "sequences_to_99": [30, 25, None],
    }
    assert (result["accuracy"], result["loss"], result["sequences_to_99"]) == (0.9, 0.3, 30)
    assert result["loss_interval"] == {"low": 0.2, "high": 2.0, "coverage": 0.75}
    assert result["sequences_to_99_interval"] == {"low": 25, "high": None, "coverage": 0.75}
    assert (result["reached_99"]["seeds"], result["reached_99"]["of"]) == (2, 3)
    assert result["accuracy_by_position"] == pytest.approx([0.7, 0.7, 0.65])
    assert (result["expected"], result["predicted"]) == ([1, 5, 3], [1, 2, 3])
    assert result["recalled_bits"] == pytest.approx(3 - 0.3 / math.log(2))
    assert (result["distance"], result["floor_distance"]) == (3.0, 2.0)  # of 0 .. 7, guess 3 or 4
    assert result["updates"] == 40


def test_one_seed_has_no_interval():
    one = dataclasses.replace(CONFIG, seeds=1)
    first = Evaluation(*(leaf[:1] for leaf in scored()[:4]), Answers(*(x[:1] for x in scored()[4])))
    made = results.summarise(one, first, np.ones((1, 40)), LEARNED[None])
    assert (made["accuracy_interval"], made["sequences_to_99"]) == (None, 30)
    assert made["reached_99"] == {"seeds": 1, "of": 1, "interval": None}


def test_a_seed_that_failed_counts_as_the_worst_and_is_named():
    loss = np.ones((3, 40))
    loss[0, 11:] = np.nan
    broken = scored()._replace(loss=np.array([np.nan, 0.2, np.inf]))
    curves = np.array([LEARNED, LEARNED, np.zeros(40)])
    made = results.summarise(CONFIG, broken, loss, curves)
    assert made["failed"] == {"seed": [7, 9], "sequence": [12, None]}
    assert made["by_seed"]["accuracy"] == [0.0, 0.95, 0.0]
    assert made["by_seed"]["loss"] == [None, 0.2, None]
    assert made["by_seed"]["distance"] == [None, 2.0, None]
    assert made["by_seed"]["sequences_to_99"] == [None, 30, None]
    assert (made["accuracy"], made["loss"]) == (0.0, None)
    assert made["accuracy_by_position"] == pytest.approx([1.0, 0.9, 0.95])
    assert (made["answers_of_seed"], made["predicted"]) == (8, [1, 5, 3])
    assert run_report.failures(made["failed"]).startswith(
        "Failed, their loss infinite or no number: seeds 7 (sequence 12), 9 (evaluation)."
    )
    assert cells(run_report.scores(made).splitlines()[3])[:3] == [
        "loss (nats)",
        "infinite",
        "0.2000 to infinite",
    ]
    json.dumps(made, allow_nan=False)


def test_the_digest_is_of_all_but_times_devices_and_versions(result):
    other = result | {"seconds": {"import": 9.0}, "versions": {}, "devices": ["gpu"]}
    assert results.digest(other) == results.digest(result)
    for name in set(result) - set(results.NOT_OF_THE_RUN):
        assert results.digest(result | {name: "changed"}) != results.digest(result), name


def test_the_floors_of_a_users_own_numbers_are_majority_and_entropy():
    held_out = np.array([0, 1, 0, 0, 2, 0, 1, 0], np.int32)
    own = dataclasses.replace(CONFIG, data=DataConfig(csv="my.csv", column="n"))
    made = results.summarise(own, scored(), np.ones((3, 40)), np.zeros((3, 40)), held_out)
    entropy = -sum(p * math.log(p) for p in (5 / 8, 2 / 8, 1 / 8))
    assert not [name for name in (*made, *made["by_seed"]) if "distance" in name]  # of words?
    assert made["floor_accuracy"] == 5 / 8
    assert made["floor_loss"] == pytest.approx(entropy)
    assert made["recalled_bits"] == pytest.approx((entropy - 0.3) / math.log(2))
    # of the 7 pairs of neighbours one holds the same value twice
    assert made["floor_order_blind"] == pytest.approx((1 + 6 * 0.5) / 7)
    assert made["floor_order_blind_loss"] == pytest.approx(6 / 7 * math.log(2))
    assert "majority floor" in run_report.scores(made)
    assert "chance" not in run_report.scores(made)


def cells(line):
    return re.split(r" {3,}", line.strip())


def test_the_table_puts_every_score_beside_both_floors(result):
    lines = run_report.scores(result).splitlines()
    assert cells(lines[1]) == ["median", "75.0% interval", "order-blind floor", "chance floor"]
    blind = 1 / 8 + 7 / 8 / 2  # both values the same, or a coin toss
    assert cells(lines[2]) == ["accuracy", "90.00%", "20.00% to 95.00%", f"{blind:.2%}", "12.50%"]
    assert cells(lines[3])[1:3] == ["0.3000", "0.2000 to 2.0000"]
    assert cells(lines[3])[3:] == [f"{7 / 8 * math.log(2):.4f}", f"{math.log(8):.4f}"]


def test_the_report_says_how_many_seeds_learned_and_when(result):
    said = run_report.learning_time(result)
    assert "2 of 3 seeds reached 99% in training: a share of 21% to 94% (Wilson, 95%)" in said
    assert "reached 99%: after 30 sequences (median; 25 to never, 75.0% interval)" in said
    assert "import 1.00, train 2.50" in said


def test_the_report_has_a_line_for_each_of_few_seeds(result):
    lines = run_report.by_seed(result).splitlines()
    assert cells(lines[1]) == ["7", "90.00%", "0.3000", "30"]
    assert cells(lines[3]) == ["9", "20.00%", "2.0000", "never"]


def test_expected_and_predicted_say_how_many_agree(result):
    said = run_report.answers(result["expected"], result["predicted"], 7)
    assert said.splitlines()[:2] == ["Expected:  [1, 5, 3]", "Predicted: [1, 2, 3]"]
    assert "2 of 3 right, on one fresh sequence, seed 7" in said


def test_of_values_the_loss_is_squared_no_bits_are_recalled_and_the_distance_is_shown(result):
    config = dataclasses.replace(CONFIG, task=dataclasses.replace(CONFIG.task, framing="values"))
    made = results.summarise(config, scored(), np.ones((3, 40)), np.zeros((3, 40)))
    assert set(result) - set(made) == {"recalled_bits", "seconds"}
    lines = run_report.scores(made).splitlines()
    variance = np.var(np.arange(8) / 7)
    expected = ["loss (squared)", "0.3000", "0.2000 to 2.0000"]
    assert cells(lines[3]) == [*expected, f"{variance / 2:.4f}", f"{variance:.4f}"]
    assert cells(lines[4]) == ["distance", "3.00", "2.00 to 9.00", "-", "2.00"]
    assert "nats" not in run_report.scores(made)
    assert [cells(line)[2] for line in run_report.by_seed(made).splitlines()[1:]] == [
        "0.3000",
        "0.2000",
        "2.0000",
    ]
    left, _ = curve_figure.training_figure(np.ones((3, 40)), np.zeros((3, 40)), made, "title").axes
    assert left.get_ylabel() == "loss (squared)"
    assert [text.get_text() for text in left.texts] == ["chance, the variance", "order-blind"]
    left, _ = curve_figure.training_figure(
        np.ones((3, 40)), np.zeros((3, 40)), result, "title"
    ).axes
    assert left.get_ylabel() == "loss (nats)"
    assert [text.get_text() for text in left.texts] == ["chance, ln V", "order-blind"]


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_figure_draws_every_seed_the_median_and_the_floors(result, seeds):
    accuracy = np.array([LEARNED, np.roll(LEARNED, -5), np.zeros(40)])[:seeds]
    figure = curve_figure.training_figure(4 - 4 * accuracy, accuracy, result, "title")
    for axes, floors in zip(
        figure.axes,
        [(math.log(8), 7 / 8 * math.log(2)), (12.5, 100 * (1 / 8 + 7 / 16))],
        strict=True,
    ):
        heights = [line.get_ydata() for line in axes.lines]
        assert len(heights) == seeds + 1 + 2
        found = sorted(h[0] for h in heights if len(h) == 2)
        assert found == pytest.approx(sorted(floors), rel=1e-5)
    median = figure.axes[1].lines[seeds].get_ydata()
    assert median[0] == pytest.approx(50.0)
    assert median[-1] == pytest.approx({1: 100.0, 3: 75.0}[seeds])  # the second seed ends in zeros
