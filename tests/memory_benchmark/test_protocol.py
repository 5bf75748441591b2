import dataclasses
import hashlib

import pytest

from echo_jax.commands.flags import help_of
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.protocol import FULL, PROTOCOLS, QUICK, hash_of


def test_quick_measures_a_part_of_what_full_measures_by_the_same_rules():
    cut = ("name", "ladder", "rows")
    for field in dataclasses.fields(FULL):
        if field.name not in cut:
            assert getattr(QUICK, field.name) == getattr(FULL, field.name)
    assert set(QUICK.rows) < set(FULL.rows)
    assert QUICK.ladder == FULL.ladder[: len(QUICK.ladder)]


def test_the_hash_is_of_every_field_and_of_nothing_else():
    assert hash_of(FULL) == hash_of(protocol.Protocol()) == hash_of(protocol.to_dict(FULL))
    known = {hash_of(FULL)}
    for field in dataclasses.fields(FULL):
        value = getattr(FULL, field.name)
        other = {"stream": 7} if isinstance(value, dict) else ("x" if isinstance(value, str) else 7)
        known.add(hash_of(dataclasses.replace(FULL, **{field.name: other})))
    assert len(known) == 1 + len(dataclasses.fields(FULL))


def test_the_hash_is_that_of_its_definition():
    fields = {"b": [1, 2], "a": {"y": 0.5, "x": "z"}}
    written = b'{"a": {"x": "z", "y": 0.5}, "b": [1, 2]}'
    assert hash_of(fields) == hashlib.sha256(written).hexdigest()


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_lag_fits_into_its_sequence_and_the_seeds_of_the_rate_are_of_no_card(name):
    chosen = PROTOCOLS[name]
    for task, least in (("stream", lambda n: 3 * n), ("hold", lambda k: k + 2)):
        for lag in chosen.ladder:
            assert protocol.length(chosen, task, lag) >= least(lag)
    assert min(chosen.tuning_seeds) > 100_000
    assert chosen.tuning_updates % chosen.evaluate_every == 0
    assert chosen.budget % chosen.evaluate_every == 0
    assert chosen.capacity_lags < chosen.capacity_length


def test_the_length_of_a_stream_and_of_a_hold_sequence():
    assert [protocol.length(FULL, "stream", n) for n in (1, 12, 16, 17, 20)] == [48, 48, 48, 51, 60]
    assert [protocol.length(FULL, "hold", k) for k in (1, 14, 15, 50)] == [16, 16, 17, 52]


def written(value):
    if isinstance(value, dict):
        return "; ".join(f"{name} {written(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(written, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def test_the_written_protocol_says_what_the_fields_say(root):
    text = (root / "docs" / "protocol.md").read_text()
    for name, chosen in PROTOCOLS.items():
        assert f"`{name}`: `{hash_of(chosen)}`" in text
    meanings = help_of(protocol.Protocol)
    for field, value in protocol.to_dict(FULL).items():
        assert f"| `{field}` | {written(value)} | {meanings[field]} |\n" in text
