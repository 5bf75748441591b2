import dataclasses

import numpy as np
import pytest
from tiny_cards import made_card

from echo_jax.cells.min_gru import MinGRUCell
from echo_jax.memory_benchmark.copy_ladder import CopyProber
from echo_jax.memory_benchmark.protocol import COPY
from echo_jax.memory_cards import card_file

TINY = dataclasses.replace(
    COPY,
    ladder=(1, 3),
    tuning_lags={"copy": (1,)},
    tuning_updates=2,
    budget=4,
    evaluate_every=2,
    rates=(0.01,),
    tuning_seeds=(1_000_000,),
    seeds=2,
)


@pytest.mark.slow
def test_a_copy_card_has_every_length_and_its_floors_and_is_believed():
    raw = list(CopyProber(MinGRUCell(4), TINY).rows())
    made = made_card(None, raw, TINY)
    card_file.validate(made)
    first, second = made["rows"]["copy"]
    assert (first["T"], second["T"]) == (1, 3)
    np.testing.assert_allclose(second["loss_floor"], 10 * np.log(8) / 23, rtol=1e-5)
    np.testing.assert_allclose(first["floor"], np.log(8), rtol=1e-5)
    assert first["updates"] == 4
    assert len(set(first["recall"]["by_seed"])) == 2
    assert made["rows"]["stream_span"] is None


@pytest.mark.slow
def test_a_copy_card_that_is_out_of_time_keeps_what_it_has():
    asked = iter(range(100))
    raw = list(CopyProber(MinGRUCell(4), TINY, over=lambda: next(asked) > 3).rows())
    assert {row["T"] for row in raw if row["kind"] == "copy"} == {1}
