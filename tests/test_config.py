import itertools
import json
import re

import hypothesis
import hypothesis.strategies as st
import pytest

from echo_jax import config as c
from echo_jax.config import NetworkConfig, RunConfig, TaskConfig, TrainingConfig
from echo_jax.exceptions import ConfigError

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


LATER = {
    "task": {"missing": "masked", "framing": "classes"},
    "network": {"encoding": "one-hot", "embedding_dim": 64, "tied": False, "delay_line": None},
    "training": {"bptt_batches": 1},
}


def test_a_configuration_from_before_these_fields_were_there_means_their_defaults():
    old = c.to_dict(RunConfig(seed=3))
    for section, fields in LATER.items():
        for field, default in fields.items():
            assert old[section].pop(field) == default
    assert c.from_dict(old) == RunConfig(seed=3)
    assert {field for fields in LATER.values() for field in fields} == c.ADDED_LATER


@pytest.mark.parametrize(
    ("section", "field", "state"),
    [
        *[(section, "bptt", "unknown") for section in LATER],
        ("task", "lag", "missing"),
        ("network", "cell", "missing"),
        ("training", "optimizer", "missing"),
        ("data", "csv", "missing"),
        ("task", "bptt_batches", "unknown"),
        ("network", "framing", "unknown"),
        ("training", "tied", "unknown"),
        ("data", "missing", "unknown"),
    ],
)
def test_any_other_field_less_or_more_is_refused_also_one_in_the_wrong_section(
    section, field, state
):
    values = c.to_dict(RunConfig())
    if state == "missing":
        del values[section][field]
    else:
        values[section][field] = 1
    with pytest.raises(ConfigError, match=f"^{section} field '{field}' is {state}"):
        c.from_dict(values)


@pytest.mark.parametrize("field", sorted(c.ADDED_LATER))
def test_a_field_that_was_added_later_is_none_of_the_run_itself(field):
    with pytest.raises(ConfigError, match=f"^configuration field '{field}' is unknown"):
        c.from_dict(c.to_dict(RunConfig()) | {field: 1})


def test_the_least_memory_counts_what_inputs_are_made_into():
    def more(**fields):
        return (c.changed(RunConfig(), **fields).least_bytes - RunConfig().least_bytes) / 4

    assert more(cell="mlp") == 5 * 5 * 5 * 50
    assert more(cell="mlp", delay_line=2) == 5 * 5 * 2 * 50
    assert more(encoding="embedding", embedding_dim=7) == 5 * 5 * 7


def rows_reaching(config):
    """By definition, of each row: the time of its target, and the times of all that it was fed.

    The latter are lists of batches, the row's own last; a value that is missing is None, one that
    is masked is not there.
    """
    task = config.task
    fed = []
    for row, time in enumerate(task.row_times):
        steps = range(time + 1 - task.window, time + 1)
        own = [t if t >= 0 else None for t in steps if t >= 0 or task.missing == "token"]
        continues = config.network.stateful and row >= task.batch_size
        fed.append([*(fed[row - task.batch_size] if continues else []), own])
        yield time - task.lag, fed[row]


def places_by_definition(config):
    """What is true of where the target is: one place, or several where no row was fed it."""
    rows, task = list(rows_reaching(config)), config.task
    line = task.length**2  # a cell that remembers
    if config.network.cell == "mlp":
        line = config.network.delay_line or task.window

    def joined(batches):
        return list(itertools.chain.from_iterable(batches))

    def reached(batches):
        handed = [(target, joined(fed[-batches:])[-line:]) for target, fed in rows]
        return any(target in values for target, values in handed)

    if task.lag < 0:
        return {"future"}
    again = config.training.bptt_batches
    for place, batches in {"window": 1, "replayed": again, "state": task.length}.items():
        if reached(batches):
            return {place}
    if any(target in joined(fed) for target, fed in rows):
        return {"delayed"}
    nowhere = {"skipped", "early"} if config.network.stateful else {"zeroed"}
    return nowhere | {"delayed"} if config.network.cell == "mlp" else nowhere


@hypothesis.given(
    SMALL_TASKS,
    st.booleans(),
    st.integers(1, 4),
    st.sampled_from([*[("lstm", None)] * 2, *(("mlp", line) for line in (None, 1, 2, 3, 5, 9))]),
    st.sampled_from(["masked", "token"]),
)
def test_the_place_of_the_target_is_that_of_the_rows(fields, stateful, bptt, cell, missing):
    missing = missing if fields["layout"] == "prefixes" else "masked"
    try:
        config = RunConfig(
            TaskConfig(**fields, missing=missing),
            NetworkConfig(cell=cell[0], delay_line=cell[1], stateful=stateful),
            TrainingConfig(bptt_batches=bptt if stateful else 1),
        )
    except ConfigError:
        hypothesis.reject()
    assert config.target_place in places_by_definition(config)


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


@pytest.mark.parametrize(
    ("lag", "batches", "line", "place"),
    [
        (9, 2, None, "replayed"),  # all of it is in the chunk before, or in the one before that
        (10, 2, None, "state"),
        (10, 3, None, "replayed"),
        (9, 2, 10, "replayed"),
        (9, 2, 9, "delayed"),
        (4, 1, 4, "delayed"),
    ],
)
def test_streams_run_again_reach_further_back_and_a_delay_line_no_further(
    lag, batches, line, place
):
    network = NetworkConfig("lstm" if line is None else "mlp", delay_line=line)
    training = TrainingConfig(bptt_batches=batches)
    run = RunConfig(TaskConfig(lag=lag, layout="streams"), network, training)
    assert run.target_place == place


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
