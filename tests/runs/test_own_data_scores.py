"""What of a user's own values is scored after training, without training anything."""

import types

import numpy as np
import pytest

from echo_jax.config import RunConfig, changed
from echo_jax.core.data import Corpus
from echo_jax.runs import own_data_scores

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
    monkeypatch.setattr(own_data_scores, "follows_its_target", lambda *_: "measured")
    small = {"length": 9, "window": 2, "lag": 1, "stateful": False}
    config = changed(RunConfig(), **small | fields)
    found = own_data_scores.measure(config, Corpus(VALUES, VALUES[:4]), [], PROGRAMS, None)
    assert found.fitted.tolist() == [5, 6, 7, 8]
    assert found.follows == ("measured" if is_fed else None)
