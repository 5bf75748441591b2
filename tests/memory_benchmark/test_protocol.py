import dataclasses
import hashlib
import math

import pytest

from echo_jax.memory_benchmark import protocol, tasks
from echo_jax.memory_benchmark.protocol import (
    BLOCK_FULL,
    BLOCK_QUICK,
    CELL_FULL,
    CELL_QUICK,
    COPY,
    KEYS,
    PROTOCOLS,
    hash_of,
    to_dict,
)

RUNGS = [
    pytest.param(chosen, ladder, id=f"{name}-{track}-{ladder.name}")
    for (name, track), chosen in PROTOCOLS.items()
    for ladder in chosen.ladders
]


@pytest.mark.parametrize(
    ("part", "whole"), [(CELL_QUICK, CELL_FULL), (BLOCK_QUICK, BLOCK_FULL), (KEYS, BLOCK_FULL)]
)
def test_quick_and_keys_measure_a_part_of_what_full_measures_by_the_same_rules(part, whole):
    cut = {"name", "ladders", "seeds", "rows", "refine", "exact_lags"}
    for field in dataclasses.fields(whole):
        if field.name not in cut:
            assert getattr(part, field.name) == getattr(whole, field.name)
    assert CELL_QUICK.exact_lags == ()  # 250 does not follow upon 16
    assert part.seeds == 4 < whole.seeds
    assert set(part.rows) <= set(whole.rows)
    of_whole = {ladder.name: ladder for ladder in whole.ladders}
    for ladder in part.ladders:
        longer = of_whole[ladder.name]
        assert ladder.rungs == longer.rungs[: len(ladder.rungs)]
        # a leap of one is a leap of the other; rungs above the last coarse one are tried one by one
        assert ladder.coarse == longer.coarse[: len(ladder.coarse)]
        assert (ladder.task, ladder.threshold) == (longer.task, longer.threshold)


def test_the_hash_is_of_every_field_and_of_nothing_else():
    assert hash_of(CELL_FULL) == hash_of(protocol.Protocol()) == hash_of(to_dict(CELL_FULL))
    known = {hash_of(CELL_FULL)}
    for field in dataclasses.fields(CELL_FULL):
        value = getattr(CELL_FULL, field.name)
        other = {"4": 41} if isinstance(value, dict) else ("x" if isinstance(value, str) else 7)
        known.add(hash_of(dataclasses.replace(CELL_FULL, **{field.name: other})))
    assert len(known) == 1 + len(dataclasses.fields(CELL_FULL))
    names = protocol.hashes()
    assert len(names) == len(PROTOCOLS)
    assert names[hash_of(KEYS)] == "keys"


def test_the_hash_is_that_of_its_definition():
    fields = {"b": [1, 2], "a": {"y": 0.5, "x": "z"}}
    written = b'{"a": {"x": "z", "y": 0.5}, "b": [1, 2]}'
    assert hash_of(fields) == hashlib.sha256(written).hexdigest()


@pytest.mark.parametrize(("chosen", "ladder"), RUNGS)
def test_every_rung_fits_into_its_sequence_and_has_at_least_the_answers(chosen, ladder):
    fields, task = to_dict(chosen), ladder.task
    assert all(low < high for low, high in zip(ladder.rungs, ladder.rungs[1:], strict=False))
    assert set(ladder.coarse) <= set(ladder.rungs)
    assert len({*chosen.rates}) == len(chosen.rates)
    assert chosen.budget % chosen.evaluate_every == 0
    longer = chosen.exact_lags if task in ("lag", "hold") else ()
    for rung in (*ladder.rungs, *longer):
        steps = protocol.length(fields, task, rung)
        least = {"lag": 3 * rung, "hold": rung + 2, "marked": 2 * rung, "key": 3 * rung}
        assert steps >= least.get(task, rung + 20)
        parts, rows = protocol.sequences(fields, task, rung, steps)
        assert rows <= protocol.PART
        scored = {"lag": steps - rung, "hold": 1, "copy": 10}.get(task, rung)
        assert protocol.answers(fields, task, rung) == parts * rows * scored >= chosen.answers
        if task == "key":
            assert rung <= ladder.vocab_size // 2  # values without replacement
        if task in ("key", "marked"):
            assert tasks.asked_for(task, steps) == rung


@pytest.mark.parametrize(
    ("task", "rung", "length", "answers"),
    [
        # 64 sequences of 48 steps give 2,048 answers at lag 16, the last lag of that length
        ("lag", 1, 48, 64 * 47), ("lag", 16, 48, 2048), ("lag", 20, 60, 52 * 40),
        ("hold", 1, 16, 2048), ("hold", 50, 52, 2048),
        ("marked", 4, 44, 2048), ("marked", 16, 144, 2048),
        ("key", 6, 18, 2 * 171 * 6), ("key", 16, 48, 2048),
    ],
)  # fmt: skip
def test_lengths_and_answers_are_those_derived_by_hand(task, rung, length, answers):
    fields = to_dict(CELL_FULL)
    assert protocol.length(fields, task, rung) == length
    assert protocol.answers(fields, task, rung) == answers
    assert protocol.length(to_dict(COPY), "copy", 300) == 320


def test_the_answers_hold_for_other_steps_per_lag():
    fields = to_dict(dataclasses.replace(CELL_FULL, steps_per_lag=2, shortest_lag=8))
    for rung in (1, 4, 100):
        assert protocol.answers(fields, "lag", rung) >= 2048


@pytest.mark.parametrize(
    ("task", "rung", "floor"), [("lag", 9, 1 / 16), ("hold", 9, 1 / 16), ("marked", 4, 1 / 16),
                                ("key", 4, 1 / 4), ("copy", 100, 1 / 8)],
)  # fmt: skip
def test_the_floor_is_one_of_the_answers_that_may_be_asked_for(task, rung, floor):
    assert protocol.floor_of(task, 16, rung) == floor


def test_the_loss_without_memory_is_that_of_ten_unknown_symbols():
    assert protocol.memoryless_loss(1000) == pytest.approx(10 * math.log(8) / 1020)
