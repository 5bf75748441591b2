import json
import re

import hypothesis
import hypothesis.strategies as st
import pytest

from echo_jax import config as c
from echo_jax.config import ConfigError, NetworkConfig, RunConfig, TaskConfig, TrainingConfig

SMALL_TASKS = st.fixed_dictionaries(
    {
        "length": st.integers(1, 12),
        "window": st.integers(1, 12),
        "lag": st.integers(-11, 11),
        "batch_size": st.integers(1, 8),
        "layout": st.sampled_from(["windows", "prefixes"]),
    }
)


def test_the_tutorials_parts_have_its_rows():
    tasks = {name: part.task for name, part in c.PARTS.items()}
    assert tasks["current"].row_times == range(25)
    assert tasks["no-context"].row_times == range(1, 25)
    assert tasks["context"].row_times == range(5, 25)
    assert [task.updates_per_sequence for task in tasks.values()] == [25, 4, 4]


def test_lag_1_and_window_5_alone_are_part_4():
    assert RunConfig(TaskConfig(lag=1, window=5)) == c.PARTS["context"] == RunConfig()


@pytest.mark.parametrize(
    ("kind", "field", "value", "sentence"),
    [
        (TaskConfig, "length", 0, "length 0 is below 1: use 1 or more"),
        (TaskConfig, "length", "25", "length '25' is not a whole number: use one such as 1"),
        (TaskConfig, "length", True, "length True is not a whole number: use one such as 1"),
        (TaskConfig, "vocab_size", 1, "vocab size 1 is below 2: use 2 or more"),
        (TaskConfig, "window", 0, "window 0 is below 1: use 1 or more"),
        (TaskConfig, "vocab_size", 2**31, "vocab size 2147483648 is above 2147483647"),
        (TaskConfig, "batch_size", -3, "batch size -3 is below 1: use 1 or more"),
        (TaskConfig, "lag", 1.0, "lag 1.0 is not a whole number: use one such as 1"),
        (TaskConfig, "layout", "rows", "layout 'rows' is unknown: use one of windows, prefixes"),
        (TaskConfig, "window", 26, "window 26 is longer than the sequence of 25: use a window of"),
        (TaskConfig, "lag", 25, "lag 25 reaches outside a sequence of 25: use a lag from -24 to"),
        (NetworkConfig, "cell", "lstn", "cell 'lstn' is unknown: use one of lstm, gru"),
        (NetworkConfig, "hidden_size", 0, "hidden size 0 is below 1: use 1 or more"),
        (NetworkConfig, "stateful", 1, "stateful 1 is neither True nor False"),
        (TrainingConfig, "sequences", 0, "sequences 0 is below 1: use 1 or more"),
        (TrainingConfig, "learning_rate", float("nan"), "learning rate nan is not finite"),
        (TrainingConfig, "learning_rate", 0.0, "learning rate 0.0 is not finite and above 0"),
        (TrainingConfig, "learning_rate", -1, "learning rate -1 is not finite and above 0"),
        (TrainingConfig, "learning_rate", "1", "learning rate '1' is not a number"),
        (TrainingConfig, "optimizer", "sgd", "optimizer 'sgd' is unknown: use one of adam"),
        (RunConfig, "seed", -1, "seed -1 is below 0: use 0 or more"),
        (RunConfig, "seed", 2**31, "seed 2147483648 is above 2147483647"),
        (RunConfig, "evaluation_sequences", 0, "evaluation sequences 0 is below 1"),
    ],
)
def test_a_bad_value_is_refused_in_one_sentence(kind, field, value, sentence):
    with pytest.raises(ConfigError, match="^" + re.escape(sentence)):
        kind(**{field: value})


def test_25_to_5_says_which_numbers_would_work():
    with pytest.raises(ConfigError) as refusal:
        TaskConfig(length=5)
    assert str(refusal.value) == (
        "length 5 gives 1 row (window 5, lag 1), fewer than batch size 5: "
        "use a batch size of at most 1 or a length of at least 9"
    )


@hypothesis.given(SMALL_TASKS)
def test_every_number_that_a_refusal_offers_works_alone_and_is_the_best(fields):
    hypothesis.assume(fields["window"] <= fields["length"])
    hypothesis.assume(abs(fields["lag"]) < fields["length"])
    try:
        TaskConfig(**fields)
    except ConfigError as refusal:
        offers = re.findall(r"a (batch size|length|window|lag) of (at \w+) (-?\d+)", str(refusal))
        assert any(name == "length" for name, _, _ in offers)
        for name, bound, number in offers:
            field = name.replace(" ", "_")
            TaskConfig(**{**fields, field: int(number)})
            one_too_far = int(number) + (1 if bound == "at most" else -1)
            with pytest.raises(ConfigError):
                TaskConfig(**{**fields, field: one_too_far})


@pytest.mark.parametrize("part", list(c.PARTS))
def test_a_configuration_survives_json(part):
    config = c.PARTS[part]
    assert c.from_dict(json.loads(json.dumps(c.to_dict(config)))) == config


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sede": 1}, "configuration field 'sede' is unknown"),
        ({"task": {"length": 25}}, "task field 'batch_size' is missing"),
        ({"task": None}, "task None is not a table of fields"),
    ],
)
def test_a_damaged_configuration_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(ConfigError, match="^" + re.escape(sentence)):
        c.from_dict(c.to_dict(RunConfig()) | change)


def rows_reaching(config):
    """By definition: for each row, the times in its window, and those in the rows it continues."""
    task = config.task
    times = list(task.row_times)
    windows = [set(range(max(t - task.window + 1, 0), t + 1)) for t in times]
    for row, time in enumerate(times):
        earlier = set()
        if config.network.stateful:
            for source in range(row - task.batch_size, -1, -task.batch_size):
                earlier |= windows[source]
        yield time - task.lag, windows[row], earlier


@hypothesis.given(SMALL_TASKS, st.booleans())
def test_the_place_of_the_target_is_that_of_the_rows(fields, stateful):
    try:
        config = RunConfig(TaskConfig(**fields), NetworkConfig(stateful=stateful))
    except ConfigError:
        hypothesis.reject()
    rows = list(rows_reaching(config))
    if config.task.lag < 0:
        expected = {"future"}
    elif any(target in window for target, window, _ in rows):
        expected = {"window"}
    elif not stateful:
        expected = {"zeroed"}
    elif any(target in earlier for target, _, earlier in rows):
        expected = {"state"}
    else:
        expected = {"skipped", "early"}
    assert config.target_place in expected


@pytest.mark.parametrize(
    ("window", "lag", "batch_size", "place"),
    [(1, 1, 6, "skipped"), (1, 13, 1, "early"), (1, 12, 1, "state"), (5, 5, 5, "state")],
)
def test_a_target_that_no_state_holds_was_skipped_or_over_before_the_first_row(
    window, lag, batch_size, place
):
    task = TaskConfig(window=window, lag=lag, batch_size=batch_size)
    assert RunConfig(task).target_place == place


@pytest.mark.parametrize(
    ("lag", "stateful", "place"),
    [(-1, True, "future"), (4, False, "window"), (5, True, "state"), (5, False, "zeroed")],
)
def test_the_place_of_the_target_in_streams(lag, stateful, place):
    task = TaskConfig(lag=lag, layout="streams")
    assert RunConfig(task, NetworkConfig(stateful=stateful)).target_place == place


@hypothesis.given(SMALL_TASKS, st.booleans())
def test_runs_share_a_program_only_where_they_have_as_many_rows(fields, streams):
    if streams:
        fields = fields | {"layout": "streams"}
    try:
        config = RunConfig(TaskConfig(**fields))
    except ConfigError:
        hypothesis.reject()
    shapes = config.shapes
    assert shapes.shapes == shapes
    assert shapes.task.updates_per_sequence == config.task.updates_per_sequence
    if config.task.layout != "streams":
        assert len(shapes.task.row_times) == len(config.task.row_times)
    inside = 0 <= config.task.lag < config.task.window
    if (config.task.layout == "windows" and inside) or config.task.layout == "streams":
        assert shapes.task.lag == 0
