import re

import pytest

from echo_jax.config import PARTS, RunConfig, changed
from echo_jax.core.target_place import target_place
from echo_jax.runs.explanation import explain


def test_the_tutorials_mistake_is_explained_by_its_first_cause():
    assert explain(PARTS["no-context"]) == (
        "Chance is the best possible: the value 1 step back is neither in the window of 1 nor in "
        "the state. With batches of 6, row r continues row r - 6, not row r - 1, so the state "
        "never saw it. No amount of training helps; use --window 2."
    )


PHRASES = [
    ({}, "The target, the value 1 step back, is in the window of 5"),
    ({"lag": 0}, "The target, the current value, is in the window of 5"),
    ({"layout": "streams"}, "for the later steps of each chunk"),
    ({"lag": -1}, "The target lies 1 step ahead and has not been drawn yet."),
    ({"lag": -2, "csv": "my.csv"}, "2 steps ahead. If the values are independent of each other"),
    ({"lag": 7, "stateful": False}, "and every batch starts from a zero state. No amount"),
    (
        {"lag": 7, "stateful": False, "csv": "my.csv"},
        "use --window 8. This holds for independent values: order in",
    ),
    ({"window": 1, "batch_size": 1}, "only in the state that an earlier batch left"),
    ({"window": 1, "batch_size": 1}, "the gradient is cut at the border between batches"),
    ({"window": 1, "lag": 13, "batch_size": 1}, "The first row ends at time 13, and the state"),
    ({"lag": 5, "bptt_batches": 2}, "in the batch before. Every update runs the 1 before"),
    ({"lag": 10, "bptt_batches": 4}, "in the batch 2 before. Every update runs the 3 before"),
    ({"lag": 10, "bptt_batches": 2}, "the gradient is cut after 2 batches"),
    ({"lag": 10, "bptt_batches": 2}, "or --bptt-batches 3 to let the gradient reach"),
    ({"lag": 7, "bptt_batches": 3, "layout": "streams"}, "(for the later steps of a chunk)"),
    ({"cell": "mlp", "delay_line": 1}, "the cell mlp sees only the current value, and"),
    ({"cell": "mlp", "delay_line": 2, "lag": 4}, "sees only the last 2 values that it was fed"),
]


@pytest.mark.parametrize(("fields", "phrase"), PHRASES)
def test_every_place_of_a_target_has_its_explanation(fields, phrase):
    assert phrase in explain(changed(RunConfig(), **fields))


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
        place = target_place(config)
        places.add(place)
        offers = [
            dict(re.findall(r"--([\w-]+) (\d+)", offer)) for offer in explain(config).split(", or ")
        ]
        offers = [offer for offer in offers if offer]
        assert len(offers) == {"window": 0, "replayed": 0, "state": 2}.get(place, 1)
        for offer in offers:
            mended = changed(config, **{k.replace("-", "_"): int(v) for k, v in offer.items()})
            assert target_place(mended) == ("replayed" if "bptt-batches" in offer else "window")
    assert places == {"window", "replayed", "state", "skipped", "early", "zeroed", "delayed"}
