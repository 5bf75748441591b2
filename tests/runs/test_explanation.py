import dataclasses
import re

import pytest

from echo_jax.config import (
    PARTS,
    NetworkConfig,
    RunConfig,
    TaskConfig,
    changed,
)
from echo_jax.core.target_place import target_place
from echo_jax.runs import explanation, run_report


def test_the_tutorials_mistake_is_explained_by_its_first_cause():
    said = explanation.explain(PARTS["no-context"])
    assert said.startswith(
        "Chance is all there is: the value 1 step back is not in the window of 1"
    )
    assert "row r continues row r - 6, not row r - 1" in said
    assert "--window 2" in said


def test_batch_1_is_explained_by_the_second_cause():
    part3 = PARTS["no-context"]
    said = explanation.explain(
        dataclasses.replace(part3, task=dataclasses.replace(part3.task, batch_size=1))
    )
    assert "only in the state that an earlier batch left" in said
    assert "the gradient is cut" in said


@pytest.mark.parametrize(
    ("config", "phrase"),
    [
        (PARTS["context"], "The target, the value 1 step back, is in the window of 5"),
        (PARTS["current"], "The target, the current value, is in the window of 1"),
        (RunConfig(TaskConfig(lag=-1)), "no model can do better than chance"),
        (RunConfig(TaskConfig(lag=7), NetworkConfig(stateful=False)), "starts from a zero state"),
        (RunConfig(TaskConfig(layout="streams")), "for the later steps of it"),
    ],
)
def test_every_place_of_a_target_has_its_explanation(config, phrase):
    assert phrase in explanation.explain(config)


def test_a_target_that_was_over_before_the_first_row_is_not_blamed_on_the_batches():
    said = explanation.explain(RunConfig(TaskConfig(window=1, lag=13, batch_size=1)))
    assert "The first row ends at time 13" in said
    assert "row r continues" not in said


SMALL_RUNS = [
    {"window": window, "lag": lag, "batch_size": batch_size, "layout": layout} | network
    for window in (1, 3)
    for lag in (1, 3, 7, 13)
    for batch_size in (1, 3, 4)
    for layout in ("windows", "prefixes", "streams")
    for network in (
        {},
        {"stateful": False},
        {"bptt_batches": 2},
        {"cell": "mlp"},
        {"cell": "mlp", "delay_line": 2},
        {"cell": "mlp", "delay_line": 5, "bptt_batches": 3},
    )
]


def test_the_flags_that_an_explanation_offers_put_the_target_where_it_can_be_learned():
    places = set()
    for fields in SMALL_RUNS:
        config = changed(RunConfig(), **fields)
        places.add(target_place(config))
        offers = [
            dict(re.findall(r"--([\w-]+) (\d+)", offer))
            for offer in explanation.explain(config).split(", and ")
        ]
        offers = [offer for offer in offers if offer]
        assert len(offers) == {"window": 0, "replayed": 0, "state": 2}.get(target_place(config), 1)
        for offer in offers:
            mended = changed(config, **{k.replace("-", "_"): int(v) for k, v in offer.items()})
            assert target_place(mended) == ("replayed" if "bptt-batches" in offer else "window")
    assert places == {"window", "replayed", "state", "skipped", "early", "zeroed", "delayed"}


@pytest.mark.parametrize(
    ("fields", "phrase"),
    [
        ({"lag": 5, "bptt_batches": 2}, "in the batch before, and every update runs the 1 before"),
        ({"lag": 10, "bptt_batches": 4}, "in what was fed 2 batches before, and every update runs"),
        ({"lag": 10, "bptt_batches": 2}, "the gradient is cut after 2 batches"),
        ({"lag": 10, "bptt_batches": 2}, "and --bptt-batches 3 lets the gradient reach it"),
        ({"lag": 7, "bptt_batches": 3, "layout": "streams"}, "(for the later steps of a chunk)"),
        ({"cell": "mlp", "delay_line": 1}, "the cell mlp is handed the current value alone"),
        ({"cell": "mlp", "delay_line": 2, "lag": 4}, "handed the last 2 values that it was fed"),
    ],
)
def test_an_explanation_says_how_far_the_gradient_and_the_delay_line_reach(fields, phrase):
    assert phrase in explanation.explain(changed(RunConfig(), **fields))


NOT_BY_DEFAULT = {
    "framing": ("values", "integers below 100 as values in [0, 1], "),
    "missing": ("token", ", a token for what is missing, "),
    "encoding": ("embedding", " units, encoding embedding of 64; "),
    "embedding_dim": (8, " units, encoding embedding of 8; "),
    "tied": (True, " units, encoding embedding of 64 (tied); "),
    "bptt_batches": (3, " updates, gradient through 3 batches, "),
    "delay_line": (7, "mlp of 50 units, a delay line of 7; "),
}
NEEDED = {
    "missing": {"layout": "prefixes"},
    "embedding_dim": {"encoding": "embedding"},
    "tied": {"encoding": "embedding"},
    "delay_line": {"cell": "mlp"},
}


@pytest.mark.parametrize("field", NOT_BY_DEFAULT)
def test_a_run_is_described_by_what_is_not_as_by_default(field):
    value, phrase = NOT_BY_DEFAULT[field]
    base = changed(RunConfig(), **NEEDED.get(field, {}))
    assert phrase in run_report.describe(changed(base, **{field: value}))
    assert phrase not in run_report.describe(base)


def test_long_sequences_do_not_flood_the_terminal():
    config = RunConfig(TaskConfig(length=1000))
    printed = run_report.accuracy_by_position({"accuracy_by_position": [0.5] * 995}, config)
    assert len(printed.splitlines()) < 20
    assert printed.endswith("... all 995 are in result.json")


def test_positions_without_a_target_are_a_dash():
    config = RunConfig(TaskConfig(length=8, window=4, lag=2, layout="streams", batch_size=1))
    printed = run_report.accuracy_by_position(
        {"accuracy_by_position": [None, None, 0.5, 1.0, 1.0, 0.25, 0.5, 0.0]}, config
    )
    assert printed.splitlines() == [
        "Accuracy in percent by step, a chunk a line:",
        "  step   0:     -     -  50.0 100.0",
        "  step   4: 100.0  25.0  50.0   0.0",
    ]


def test_batches_of_one_row_share_a_line():
    config = RunConfig(TaskConfig(window=1, lag=1, batch_size=1))
    printed = run_report.accuracy_by_position({"accuracy_by_position": [0.5] * 24}, config)
    assert [line.count(".") for line in printed.splitlines()] == [0, 10, 10, 4]
    assert printed.startswith("Accuracy in percent by row:")
