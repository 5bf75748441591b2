"""What a run is told to try next: commands that parse, differ and let more be known or reached."""

import contextlib
import re
from types import SimpleNamespace

import numpy as np
import pytest
from labelled_rows import median
from msgspec import UNSET

from echo_jax import statistics
from echo_jax.config import RunConfig, changed
from echo_jax.core.target_place import accuracy_ceiling, knowable_share, target_place
from echo_jax.exceptions import ConfigError
from echo_jax.report.number_formats import percent
from echo_jax.runs import advice
from echo_jax.studies import study_folder
from echo_jax.studies.catalogue import STUDIES

NETWORKS = (
    {}, {"stateful": False}, {"bptt_batches": 2}, {"cell": "mlp"}, {"cell": "mlp", "delay_line": 2},
    {"framing": "values"}, {"csv": "my.csv"}, {"learning_rate": 1e-5}, {"learning_rate": 0.5},
    {"hidden_size": 20, "seeds": 8}, {"cell": "gru", "stateful": False, "seeds": 8},
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


def outcome(config, share, failed=()):
    """What advice reads of a result: this share of the ceiling was reached."""
    ceiling, known = accuracy_ceiling(config, 0.01), knowable_share(config)
    independent = known + (1 - known) * 0.01
    return SimpleNamespace(
        accuracy=share * (ceiling or independent),
        baseline_accuracy=0.01,
        ceiling_accuracy=UNSET if ceiling is None else ceiling,
        failed=SimpleNamespace(seed=list(failed)),
        persistence_accuracy=UNSET,
        k_gram_accuracy=UNSET,
        accuracy_interval=None,
        accuracy_by_position=[],
    )


def advised(config, share=0.5, failed=()):
    """The words before each command, and the configuration that the command trains."""
    runs = []

    def command(changes):
        runs.append(changed(config, **changes))
        return "COMMAND"

    lines = advice.after_run(config, outcome(config, share, failed), command)
    words = [re.fullmatch(r"(.*[:?]) COMMAND", line)[1] for line in lines]
    return list(zip(words, runs, strict=True))


def test_every_configuration_gets_advice_that_differs_from_it_and_lets_more_be_learned():
    places = set()
    for fields in CASES:
        config = changed(RunConfig(), **fields)
        places.add(target_place(config))
        missed, made = advised(config), advised(config, share=1)
        assert 1 <= len(missed) <= 2
        assert missed[0][0].startswith("Try: ")
        reached = knowable_share(config) > 0
        assert made[0][0].startswith("Next: " if reached else "Try: ")
        assert len(made) == 1 or not reached
        for _, other in missed + made:
            assert other != config
        for _, other in missed:
            assert target_place(other) in ("window", "replayed")
            assert knowable_share(other) >= knowable_share(config)
            assert other.data == config.data
    assert places == {
        "window", "replayed", "state", "skipped", "early", "zeroed", "delayed", "future"
    }  # fmt: skip


def test_a_loss_that_became_non_finite_asks_for_smaller_steps_first():
    (_, first), _ = advised(changed(RunConfig(), learning_rate=0.002, seeds=2), failed=[1])
    assert first.training.learning_rate == 0.001
    (_, first), _ = advised(changed(RunConfig(), seeds=2), failed=[1])
    assert first.training.learning_rate == 0.0001


ROWS = {
    "zero state": ("run lag 3, change none", "run lag 3, change stateful False"),
    "longer": ("run lag 3, change none", "run lag 3, change sequences 6000"),
    "wider": ("run lag 5, change none", "run lag 5, change window 6, stateful False"),
    "longer gradient": ("run lag 5, change none", "run lag 5, change bptt batches 2"),
    "larger step": ("run lag 9 in a window of 10, change none",
                    "run lag 9 in a window of 10, change learning rate 0.003"),
    "faster": ("run a learning rate of 0.0001, change none",
               "run a learning rate of 0.0001, change learning rate 0.001"),
    "slower": ("run a learning rate of 0.03, change none",
               "run a learning rate of 0.03, change learning rate 0.001"),
    "one row": ("batch 6, batches back 1", "batch 1, batches back 2"),
    "through chunks": ("trained on chunks of 5, lag 5",
                       "trained on chunks of 5, gradient through all, lag 5"),
    "whole streams": ("trained on chunks of 5, lag 5", "trained on whole sequences, lag 5"),
    "extra token": ("lag 3, missing values masked", "lag 3, missing values extra token"),
    "larger layer": ("part 4, hidden 20, sequences 2000", "part 4, hidden 50, sequences 2000"),
    "classes": ("part 4, framing values in [0, 1]", "part 4, framing classes"),
}  # fmt: skip
"""The grid points without and with each change that is measured."""


@pytest.mark.parametrize("name", advice.MEASURED)
def test_what_is_said_to_help_helped_in_the_committed_rows_of_the_study(root, name):
    sentence = advice.MEASURED[name]
    study = sentence.rpartition(" ")[2]
    found = study_folder.rows_of(root / "docs" / "results", {study: STUDIES[study]})[study]
    rows = {row.point: row for row in found}
    before, after = (rows[point] for point in ROWS[name])
    medians = " to ".join(percent(median(row, "accuracy")) for row in (before, after))
    assert sentence.endswith(f": {medians}, {before.config.seeds} seeds; study {study}")
    assert before.config.seeds == after.config.seeds >= 8
    apart = np.subtract(after.by_seed.accuracy, before.by_seed.accuracy)  # the same seeds
    assert statistics.median_interval(apart).low > 0
