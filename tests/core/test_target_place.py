import itertools

import hypothesis
import hypothesis.strategies as st
import pytest

from echo_jax.config import RunConfig, changed
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


STREAMS, MLP = {"layout": "streams"}, {"cell": "mlp"}
PLACES = [
    (STREAMS | {"lag": 5}, "state"),
    (STREAMS | {"lag": 5, "stateful": False}, "zeroed"),
    # all of it is in the chunk before, or in the one before that
    (STREAMS | {"lag": 9, "bptt_batches": 2}, "replayed"),
    (STREAMS | {"lag": 10, "bptt_batches": 2}, "state"),
    # a delay line reaches no further
    (
        {"layout": "streams", "lag": 9, "bptt_batches": 2, "cell": "mlp", "delay_line": 10},
        "replayed",
    ),
    (STREAMS | {"lag": 9, "bptt_batches": 2, "delay_line": 9} | MLP, "delayed"),
    (STREAMS | {"lag": 4, "delay_line": 4} | MLP, "delayed"),
]


@pytest.mark.parametrize(("fields", "place"), PLACES)
def test_the_place_of_the_target_by_example(fields, place):
    assert target_place(changed(RunConfig(), **fields)) == place
