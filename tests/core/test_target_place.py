import itertools

import hypothesis
import hypothesis.strategies as st
import pytest

from echo_jax.config import NetworkConfig, RunConfig, TaskConfig, TrainingConfig, changed
from echo_jax.core.target_place import knowable_share, target_place
from echo_jax.exceptions import ConfigError

SMALL_RUNS = st.fixed_dictionaries(
    {
        "length": st.integers(1, 12),
        "window": st.integers(1, 12),
        "lag": st.integers(-11, 11),
        "batch_size": st.integers(1, 8),
        "layout": st.sampled_from(["windows", "prefixes"]),
        "missing": st.sampled_from(["masked", "token"]),
        "stateful": st.booleans(),
        "bptt_batches": st.integers(1, 4),
        "delay_line": st.sampled_from([0, 0, None, 1, 2, 3, 5, 9]),
    }
)


def config_of(fields):
    """The run of drawn fields; a delay line of 0 stands for an LSTM."""
    if fields["layout"] == "windows":
        fields = fields | {"missing": "masked"}
    if not fields["stateful"]:
        fields = fields | {"bptt_batches": 1}
    line = {"cell": "mlp"} if fields["delay_line"] != 0 else {"delay_line": None}
    try:
        return changed(RunConfig(), **fields | line)
    except ConfigError:
        hypothesis.reject()


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


def joined(batches):
    return list(itertools.chain.from_iterable(batches))


def places_by_definition(config):
    """What is true of where the target is: one place, or several where no row was fed it."""
    rows, task = list(rows_reaching(config)), config.task
    line = task.length**2  # a cell that remembers
    if config.network.cell == "mlp":
        line = config.network.delay_line or task.window

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


@hypothesis.given(SMALL_RUNS)
def test_the_place_of_the_target_is_that_of_the_rows(fields):
    config = config_of(fields)
    assert target_place(config) in places_by_definition(config)


@hypothesis.given(SMALL_RUNS)
def test_the_share_that_can_be_known_counts_the_rows_that_were_fed_their_target(fields):
    config = config_of(fields | {"delay_line": 0})
    rows = list(rows_reaching(config))
    fed = [target in joined(batches) for target, batches in rows]
    expected = 0.0 if config.task.lag < 0 else sum(fed) / len(rows)
    assert knowable_share(config) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("window", "lag", "batch_size", "place"),
    [(1, 1, 6, "skipped"), (1, 13, 1, "early"), (1, 12, 1, "state"), (5, 5, 5, "state")],
)
def test_a_target_that_no_state_holds_was_skipped_or_over_before_the_first_row(
    window, lag, batch_size, place
):
    task = TaskConfig(window=window, lag=lag, batch_size=batch_size)
    assert target_place(RunConfig(task)) == place


@pytest.mark.parametrize(
    ("lag", "stateful", "place", "share"),
    [
        (-1, True, "future", 0.0),
        (4, False, "window", 5 / 21),  # the last step of each chunk of 5 and none before it
        (5, True, "state", 1.0),
        (5, False, "zeroed", 0.0),
    ],
)
def test_the_place_of_the_target_in_streams(lag, stateful, place, share):
    config = RunConfig(TaskConfig(lag=lag, layout="streams"), NetworkConfig(stateful=stateful))
    assert (target_place(config), knowable_share(config)) == (place, pytest.approx(share))


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
    assert target_place(run) == place
