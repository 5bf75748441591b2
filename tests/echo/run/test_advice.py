"""What a run is told to try next: commands that parse, differ and follow what it has shown."""

import contextlib
import json
import re
from types import SimpleNamespace

import followed_advice as followed
import numpy as np
import pytest
from msgspec import UNSET

from echo_jax.config import RunConfig, changed
from echo_jax.echo.run import advice
from echo_jax.echo.run.checkpoint import Finished, History
from echo_jax.echo.run.explanation import explain, in_delay_line
from echo_jax.echo.studies import study_folder
from echo_jax.echo.studies.catalogue import STUDIES
from echo_jax.echo.target_place import accuracy_ceiling, knowable_share, target_place
from echo_jax.exceptions import ConfigError

NETWORKS = (
    {}, {"stateful": False}, {"bptt_batches": 2}, {"cell": "mlp"}, {"cell": "mlp", "delay_line": 2},
    {"framing": "values"}, {"csv": "my.csv"}, {"learning_rate": 1e-5}, {"learning_rate": 0.5},
    {"hidden_size": 20, "seeds": 8}, {"cell": "gru", "stateful": False, "seeds": 8},
    {"frozen": True},
)  # fmt: skip


def can_be_run(fields):
    """True for fields that break no rule together."""
    with contextlib.suppress(ConfigError):
        return bool(changed(RunConfig(), **fields))


CASES = [
    fields
    for fields in (
        {"window": window, "lag": lag, "batch_size": batch_size, "layout": layout} | network
        for window in (1, 5, 25)
        for lag in (-1, 1, 3, 13)
        for batch_size in (1, 4)
        for layout in ("windows", "prefixes", "streams")
        for network in NETWORKS
    )
    if can_be_run(fields)
]


NOT_MEASURED = (
    "training_accuracy", "held_out_targets", "persistence_accuracy", "k_gram_accuracy", "follows",
    "sequences_to_99_of_ceiling",
)  # fmt: skip


def outcome(config, share, **found):
    """What advice reads of a result: this share of the ceiling was reached."""
    ceiling, known = accuracy_ceiling(config, 0.01), knowable_share(config)
    fields = {
        "accuracy": share * (ceiling or known + (1 - known) * 0.01),
        "baseline_accuracy": 0.01,
        "ceiling_accuracy": UNSET if ceiling is None else ceiling,
        "failed": SimpleNamespace(seed=[]),
        "by_seed": SimpleNamespace(seed=list(range(config.seeds))),
        "untrained": UNSET,
        "sequences_to_99": None,
        **dict.fromkeys(NOT_MEASURED, UNSET),
    }
    return SimpleNamespace(**fields | found)


FALLS, FLAT = np.linspace(4, 3, 50), np.full(50, 4.0)
ERROR = 5**-0.5  # of the difference of two means of ten losses, each one above or below 4
NEARLY, CLEARLY = (
    4 + np.tile([1, -1], 25) - np.repeat([0, errors * ERROR], [40, 10]) for errors in (1.9, 2.1)
)

AT_FIRST = np.repeat([9.0, 4.0], [20, 30])


def advised(config, share=0.5, curve=FALLS, **found):
    """The words before the command, and the configuration that the command trains."""
    runs = []
    history = History(config)
    history.append(np.tile(curve, (config.seeds, 1)), np.zeros((config.seeds, 50)))

    def command(changes):
        runs.append(changed(config, **changes))
        return "COMMAND"

    finished = Finished(config, history, outcome(config, share, **found))
    lines = advice.after_run(finished, command)
    words = [re.fullmatch(r"(.*[:?]) COMMAND", line)[1] for line in lines]
    return next(zip(words, runs, strict=True), (None, None))


def is_like_advised(config):
    """True for recurrent networks that can learn their echo from a zero state in usual steps."""
    usual = config.training.learning_rate == 0.001 and config.task.framing == "classes"
    fed = target_place(config) == "window" and knowable_share(config) == 1
    from_zero = config.task.layout == "windows" and not config.network.stateful
    return from_zero and fed and usual and config.network.hidden_size >= 50


def test_every_configuration_gets_advice_that_differs_from_it_and_lets_more_be_learned():
    places = set()
    for fields in CASES:
        config = changed(RunConfig(), **fields)
        places.add(target_place(config))
        (missed, other), (made, question) = advised(config), advised(config, share=1)
        assert config not in (other, question)
        assert ("other seeds" in made) == (config.seeds == 1 and knowable_share(config) > 0)
        assert "other seeds" not in missed
        if target_place(config) == "future" and config.data.file:
            assert missed.startswith("Next: ")
            continue
        assert missed.startswith("Try: ")
        assert made.startswith("Next: " if knowable_share(config) else "Try: ")
        assert in_delay_line(other) or target_place(other) in ("window", "replayed")
        for batches in re.findall(r"--bptt-batches (\d+)", explain(config)):
            assert target_place(changed(config, bptt_batches=int(batches))) == "replayed"
        lowest = min(map(knowable_share, (other, advised(config, curve=FLAT)[1])))
        assert lowest >= knowable_share(config)
        assert knowable_share(other) == 1 or not config.task.in_streams
        assert other.data == config.data
        assert not other.training.frozen
    assert places == {
        "window", "replayed", "state", "skipped", "early", "zeroed", "delayed", "future"
    }  # fmt: skip


OWN = {"csv": "my.csv", "lag": -1}


@pytest.mark.parametrize(
    ("fields", "found", "changes"),
    [
        ({"sequences": 20}, {}, {"sequences": 2000}),
        ({"sequences": 100, "learning_rate": 0.03}, {},
         {"sequences": 2000, "learning_rate": 0.001}),
        ({"learning_rate": 0.03}, {"curve": FLAT}, {"learning_rate": 0.001}),
        ({}, {}, {"sequences": 6000}),
        ({"hidden_size": 20}, {"curve": CLEARLY}, {"sequences": 6000}),
        ({"hidden_size": 20}, {"curve": NEARLY}, {"hidden_size": 50}),
        ({"hidden_size": 20}, {"curve": AT_FIRST}, {"hidden_size": 50}),
        ({"stateful": False}, {"curve": FLAT}, None),
        ({"lag": 7, "frozen": True, "sequences": 9000},
         {}, {"window": 8, "stateful": False, "frozen": False}),
        ({"csv": "my.csv"}, {"training_accuracy": 1.0, "curve": FLAT}, None),
        ({"csv": "my.csv", "sequences": 300},
         {"training_accuracy": 1.0, "held_out_targets": 121}, {"sequences": 2000}),
        ({"csv": "my.csv", "sequences": 300},  # 496 values train, and 100 are different
         {"training_accuracy": 1.0, "held_out_targets": 119}, None),
        (OWN, {}, None),
        ({"seeds": 2, "learning_rate": 0.1},
         {"failed": SimpleNamespace(seed=[1])}, {"learning_rate": 0.001}),
        ({"seeds": 2, "stateful": False},
         {"failed": SimpleNamespace(seed=[1])}, {"learning_rate": 0.0001}),
        ({"lag": 4}, {}, {"stateful": False}),
        ({"lag": 4, "sequences": 300}, {}, {"stateful": False, "sequences": 2000}),
        ({"lag": 4, "sequences": 700}, {"sequences_to_99": 605}, {"stateful": False}),
        ({"sequences": 700, "hidden_size": 20},
         {"curve": FLAT, "sequences_to_99": 605}, {"stateful": False}),
        ({"sequences": 700, "hidden_size": 20}, {"sequences_to_99": 605}, {"sequences": 2100}),
        ({"sequences": 700, "learning_rate": 0.003},
         {"curve": FLAT, "sequences_to_99_of_ceiling": 605}, {"learning_rate": 0.001}),
    ],
)  # fmt: skip
def test_advice_follows_what_this_run_has_shown(fields, found, changes):
    config = changed(RunConfig(), **fields)
    said, other = advised(config, **found)
    assert said.startswith("Next: " if changes is None else "Try: ")
    assert changes is None or other == changed(config, **changes)


@pytest.mark.parametrize(
    ("fields", "sequences"),
    [
        ({}, 8000 / 4),  # updates by updates of a sequence
        ({"vocab_size": 200}, 2 * 8000 / 4),
        ({"vocab_size": 50}, 8000 / 4),
        ({"layout": "streams", "lag": 3}, 12_000 / 4 / 5),  # a target at each step
    ],
)
def test_more_values_and_longer_lags_need_more_sequences_and_streams_fewer(fields, sequences):
    assert advice.enough_sequences(changed(RunConfig(), **fields)) == sequences


@pytest.mark.parametrize(("best", "asks"), [(0.2, "one step further ahead"), (0.9, "another seed")])
def test_what_is_foretold_worse_than_a_simple_predictor_does_is_not_asked_further_ahead(best, asks):
    simple = {"persistence_accuracy": best, "k_gram_accuracy": 0.1, "k_gram": 1}
    assert asks in advised(changed(RunConfig(), seeds=2, **OWN), accuracy=0.5, **simple)[0]


def test_a_score_that_the_order_gives_or_chance_is_no_success():
    chance = {"accuracy": 0.03, "persistence_accuracy": 0.02, "k_gram_accuracy": 0.03, "k_gram": 1}
    for fields, found in (({"csv": "my.csv"}, {"share": 1, "follows": 0.5}), (OWN, chance)):
        assert "does another seed" in advised(changed(RunConfig(), **fields), **found)[0]
    skipped = changed(RunConfig(), csv="my.csv", window=1)
    assert "instead of the order" in advised(skipped, **chance | {"accuracy": 0.5})[0]


def test_published_runs_from_a_zero_state_learn_in_as_many_sequences_as_are_advised():
    rows = study_folder.rows_of(study_folder.folder(), STUDIES)
    runs = [row for some in rows.values() for row in some if is_like_advised(row.config)]
    assert len(runs) > 50
    for row in runs:
        needed = [n or row.config.training.sequences for n in row.by_seed.sequences_to_99]
        assert max(needed) <= advice.enough_sequences(row.config)


def test_where_hardly_a_held_out_value_was_trained_on_nothing_is_advised():
    unknown = SimpleNamespace(share=0.9)
    assert advised(changed(RunConfig(), **OWN), untrained=unknown) == (None, None)


def test_of_70_runs_68_got_advice_and_all_of_it_helped_as_a_page_says(root):
    lines = (root / "benchmarks" / "followed_advice.jsonl").read_text().splitlines()
    advised_rows = [row for row in map(json.loads, lines) if "then" in row]
    page = (root / "docs" / "training-runs.md").read_text()
    assert f"{len(advised_rows)} of {len(lines)} such runs" in page
    assert all(map(followed.helped, advised_rows))
