"""What is said of runs on values in order: who predicts them, and if the echo was learned."""

import re
import types

import msgspec
import numpy as np
import pytest
from fabricated_results import CONFIG, fabricated_result

import echo_jax
from echo_jax.config import RunConfig, changed
from echo_jax.echo.data import Corpus
from echo_jax.echo.run import own_data, play_page
from echo_jax.echo.run.explanation import explain, findings
from echo_jax.echo.run.result import StoredInterval, Untrained

AHEAD = changed(CONFIG, csv="my.csv", lag=-1, batch_size=1)
SHORT = {
    "length": 12, "window": 3, "batch_size": 1, "stateful": False, "hidden_size": 12,
    "learning_rate": 0.02, "evaluation_sequences": 50,
}  # fmt: skip


def of(config=AHEAD, **fields):
    """The result of a run on own values, with a guess of 12.5%."""
    return msgspec.structs.replace(fabricated_result(config), **fields)


def test_of_predictable_values_all_shares_stand_side_by_side():
    result = of(
        accuracy=0.4, accuracy_interval=StoredInterval(0.31, 0.5, 0.93), k_gram=2,
        persistence_accuracy=0.1, k_gram_accuracy=0.3, held_out_targets=300,
    )  # fmt: skip
    explained = explain(AHEAD, result)
    assert "network 40.00%, persistence 10.00%, a 2-gram 30.00%." in explained
    assert "300 answers, so the best share is uncertain by about 5.7 points" in explained


def test_a_gap_that_values_never_trained_on_do_not_explain_is_told():
    late = {"untrained": Untrained(9, list("abc"), 0.2)}
    assert findings(AHEAD, of(accuracy=0.7, training_accuracy=0.74)) == []
    assert "80.00% against 70.00%" in findings(AHEAD, of(accuracy=0.7, training_accuracy=0.8))[0]
    (only,) = findings(AHEAD, of(accuracy=0.7, training_accuracy=0.94, **late))
    assert "9 values of the held-out part ('a', 'b', 'c' and others), to which 20.00%" in only
    assert len(findings(AHEAD, of(accuracy=0.7, training_accuracy=0.96, **late))) == 2
    assert findings(AHEAD, of(accuracy=0.7, training_accuracy=0.8, held_out_targets=40)) == []
    assert "differences" not in only
    (drifts,) = findings(AHEAD, of(accuracy=0.0, untrained=Untrained(2, ["7", "-1.5"], 0.996)))
    assert "differences" in drifts


def test_an_echo_is_learned_as_far_as_answers_follow_a_change_of_their_target():
    config = changed(CONFIG, csv="my.csv")

    def said(follows, accuracy=1.0, most=1.0):
        scores = {"accuracy": accuracy, "ceiling_accuracy": most, "order_blind_accuracy": 0.28}
        return explain(config, of(config, follows=follows, **scores))

    assert "The order of the values was learned, not the echo" in said(0.24)
    assert "The echo was learned: 100.00%" in said(0.9)
    assert "in part: 29.00%" in said(0.481, accuracy=0.29)
    assert "in part, although 100.00% of the answers are right" in said(0.481)
    assert "not learned" in said(0.37, accuracy=0.29)  # 28% + 3 errors, without an order
    assert "No answer can be right" in said(0.0, accuracy=0.0, most=0.0)
    assert "The order" not in said(0.89, accuracy=0.93)  # 3 points may be chance
    for follows in (0.26, 0.293, 0.69, 0.89):
        told = re.search(
            r"([\d.]+)% of the answers follow .* guesses .* ([\d.]+)% .* order .* ([\d.]+)% ",
            said(follows),
        )
        right = 100 * follows, 12.5 * (1 - follows), 87.5 * (1 - follows)
        assert [*map(float, told.groups())] == pytest.approx(right, abs=0.06)


def train(folder, values, **options):
    """A run on a column."""
    (folder / "my.csv").write_text("n\n" + "\n".join(map(str, values)))
    return echo_jax.train(csv=folder / "my.csv", **SHORT | options)


def test_a_learned_calendar_is_told_from_an_echo_also_by_its_page(tmp_path):
    calendar = train(tmp_path, np.arange(400) % 7, sequences=60, seeds=2)
    assert calendar.result.accuracy > 0.99
    assert calendar.result.training_accuracy > 0.99
    assert calendar.result.follows < 0.1
    echo = train(tmp_path, np.random.default_rng(0).integers(0, 7, 400), sequences=100)
    assert echo.result.follows > 0.9
    said = "The order of the values was learned, not the echo"
    for run, is_said in ((calendar, True), (echo, False)):
        page = play_page.page_of_run(run.network(), "mine", run.result)
        assert [said in text for text in (run.report(), run.explain(), page)] == [is_said] * 3


def test_next_values_learned_by_heart_are_told_without_a_goal_of_99_percent(tmp_path):
    values = np.random.default_rng(0).integers(0, 7, 100)
    run = train(tmp_path, values, lag=-1, sequences=300, hidden_size=40)
    assert run.result.training_accuracy > run.result.accuracy + 0.3
    assert run.result.k_gram_accuracy < 0.3
    assert run.result.held_out_targets == 20 - 3  # the last 8 rows of 8 starts and one step
    assert "better than the held-out part" in run.report()
    assert "99%" not in run.report()
    assert run.report().splitlines()[-1].startswith("Next: does another seed differ?")


VALUES = np.arange(9)
PROGRAMS = types.SimpleNamespace(
    dynamic=lambda _: None, score=lambda *of: of[-1].held_out, network=None
)


@pytest.mark.parametrize(
    ("fields", "is_fed"),
    [
        ({"layout": "streams", "stateful": True}, True),
        ({"layout": "streams"}, False),  # the last target of a chunk alone
        ({"stateful": True, "window": 1, "batch_size": 1}, True),  # the first row alone lacks it
        ({"lag": -1}, False),
    ],
)
def test_the_end_of_the_training_part_is_scored_and_follows_where_the_last_target_is_fed(
    monkeypatch, fields, is_fed
):
    monkeypatch.setattr(own_data, "follows_its_target", lambda *_: "measured")
    small = {"length": 9, "window": 2, "lag": 1, "stateful": False}
    config = changed(RunConfig(), **small | fields)
    found = own_data.measure(config, Corpus(VALUES, VALUES[:4]), [], PROGRAMS, None)
    assert found.fitted.tolist() == [5, 6, 7, 8]
    assert found.follows == ("measured" if is_fed else None)
