import hashlib

import pytest

from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.protocol import (
    CELL_FULL,
    COPY,
    hash_of,
    to_dict,
)


def test_the_hash_is_that_of_its_definition():
    fields = {"b": [1, 2], "a": {"y": 0.5, "x": "z"}}
    written = b'{"a": {"x": "z", "y": 0.5}, "b": [1, 2]}'
    assert hash_of(fields) == hashlib.sha256(written).hexdigest()


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
