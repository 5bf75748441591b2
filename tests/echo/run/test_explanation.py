import functools
from types import SimpleNamespace

import pytest
from msgspec import UNSET

from echo_jax.config import PARTS, RunConfig, changed
from echo_jax.echo.chance import chance_baseline, order_blind_baseline
from echo_jax.echo.run.explanation import WHY_CHANCE, ceiling, explain, is_above
from echo_jax.echo.studies import study_folder
from echo_jax.echo.studies.catalogue import STUDIES
from echo_jax.echo.target_place import accuracy_ceiling, target_place


@functools.cache
def baselines(config):
    """What the sentences read of a result, but for its accuracy."""
    chance = chance_baseline(config.task).accuracy
    blind = order_blind_baseline(config).accuracy
    known = {"baseline_accuracy": chance, "order_blind_accuracy": blind}
    known["ceiling_accuracy"] = accuracy_ceiling(config, chance)
    known["accuracy_by_position"] = []
    return known | dict.fromkeys(("follows", "held_out_targets"), UNSET)


def scored(config, accuracy, **other):
    """What the sentences read of a result."""
    return SimpleNamespace(accuracy=accuracy, **baselines(config) | other)


def is_contradicted(config, accuracy):
    """True where more is right than the sentence about the place of the target lets be known."""
    result = scored(config, accuracy)
    hopeless = target_place(config) in ("future", *WHY_CHANCE)
    most = result.baseline_accuracy if hopeless else ceiling(config, result)
    return is_above(most, config, result)


def test_no_seed_of_a_published_row_contradicts_the_sentences_about_it():
    rows = study_folder.rows_of(study_folder.folder(), STUDIES)
    runs = [
        (row.config, accuracy)
        for some in rows.values()
        for row in some
        for accuracy in row.by_seed.accuracy
    ]
    assert len(runs) > 2000
    assert [run for run in runs if is_contradicted(*run)] == []


def test_a_result_that_contradicts_a_sentence_is_noticed():
    part3, cut = PARTS["no-context"], changed(PARTS["no-context"], batch_size=1)
    for config, share in ((part3, 0.02), (changed(cut, lag=-1), 0.02), (cut, 0.97)):
        assert is_contradicted(config, share)
        assert not is_contradicted(config, 0.011)


@pytest.mark.parametrize(
    ("fields", "accuracy", "words"),
    [
        ({"vocab_size": 10}, 0.3674, "not learned: 36.74% of the answers are right; a guess from"),
        ({"vocab_size": 10}, 0.39, "Little of the echo was learned: 39.00%"),
        ({"vocab_size": 10}, 0.44, "in part: 44.00%"),
        ({"window": 1, "batch_size": 1}, 0.024, "and the expected ceiling is 95.88%."),
        ({"window": 1, "batch_size": 6}, 0.0105, "exceeds the ceiling only by chance"),
        ({"lag": -1}, 0.0105, "exceeds the ceiling only by chance"),
        ({"vocab_size": 2, "evaluation_sequences": 1}, 0.85, "These 20 answers do not show"),
        ({"window": 1, "lag": 0}, 0.8, "in part: 80.00% of the answers are right"),
        ({"window": 1, "batch_size": 1}, 0.9592, "exceeds the ceiling only by chance"),
        ({"lag": 9, "layout": "streams"}, 0.3, "--bptt-batches 3 to let"),  # 10 asks for 1
        ({"lag": 0, "layout": "streams"}, 1.0, "is in the window of 5: the gradient reaches it."),
        ({"lag": 5, "cell": "mlp", "layout": "streams", "delay_line": 8}, 1.0, "line of 8 holds"),
    ],
)
def test_an_accuracy_is_compared_with_what_a_guess_reaches(fields, accuracy, words):
    config = changed(RunConfig(), **fields)
    assert words in explain(config, scored(config, accuracy))


@pytest.mark.parametrize("fields", [{}, {"batch_size": 1}])
def test_rows_after_a_zero_state_that_are_answered_far_better_are_pointed_out(fields):
    config = changed(RunConfig(), lag=4, **fields)
    batch = config.task.batch_size

    def said(late, config=config):
        by_row = [0.99] * batch + [late] * (20 - batch)
        result = scored(config, sum(by_row) / 20, accuracy_by_position=by_row)
        return "99.0% of the answers are right in row" in explain(config, result)

    assert said(0.02)
    assert said(0.83)
    assert not said(0.85)
    assert not said(0.02, changed(config, evaluation_sequences=1))
    assert not said(0.02, changed(config, stateful=False))
    assert not said(0.02, changed(config, window=4))  # where the state is needed
    assert not said(0.02, changed(config, layout="prefixes"))  # whose first rows are fed less
