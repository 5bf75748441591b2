import re

import msgspec
import pytest
from fabricated_cards import CARDS, card

from echo_jax.memory_cards import schema


def fields_of(value):
    """Every name in a tree of objects."""
    if isinstance(value, dict):
        return set(value).union(*map(fields_of, value.values()))
    return set().union(*map(fields_of, value)) if isinstance(value, list) else set()


def test_every_field_of_the_schema_is_in_some_card():
    parts = msgspec.json.schema(schema.Card)["$defs"].values()
    declared = {name for part in parts for name in part["properties"]}
    assert declared == declared & fields_of([card(name) for name in CARDS])


def test_every_field_of_a_summary_is_described(root):
    text = (root / "docs" / "card.md").read_text()
    fields = fields_of([card(name)["rows"] for name in CARDS])
    fields -= {"1", "16"}  # batch sizes
    fields -= {name for name in fields if re.match(r"(lag|hold|marked|key)-\d+", name)}
    assert [name for name in sorted(fields) if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    ("value", "kind", "sentence"),
    [
        ([1], schema.Card, "the card is wrong (expected `object`, got `array`)"),
        ({"schema": 1}, schema.Card, "the card is wrong (object missing required field `name`)"),
        ("../x", schema.Name, "x is '../x' (expected `str` of 1 to 100 letters, digits, '.', '_'"),
        ("a\n", schema.Name, "x is 'a\\n' (expected `str` of 1 to 100 letters"),
        ("0" * 63 + "\n", schema.Hash, f"x is '{'0' * 59}... (expected `str` of 64 hexadecimal"),
        (True, schema.Whole, "x is True (expected `int`, got `bool`)"),
        (1.0, schema.Whole, "x is 1.0 (expected `int`, got `float`)"),
        (2**60, schema.Whole, f"x is {2**60} (expected `int` <= 9007199254740992)"),
        (10**400, schema.Number, f"x is 1{'0' * 59}... (number out of range)"),
        (float("nan"), schema.Number, "x is nan (expected `float` >= -1e+39)"),
        ({"a": float("inf")}, schema.Arguments, "x[...] is wrong (expected `float` <= 1e+39)"),
        ({"a": [[[1]]]}, schema.Arguments, "x[...][0][0] is wrong (expected `bool | float |"),
        ({"a": ["\x1b[2J"]}, schema.Arguments, "x has control characters in '\\x1b[2J'"),
        ({"a\ud800": 1}, schema.Arguments, "x has control characters in 'a\\ud800'"),
    ],
)
def test_the_first_fault_is_said_with_its_place(value, kind, sentence):
    assert schema.fault(value, kind, "" if kind is schema.Card else "x").startswith(sentence)


def test_a_value_without_a_bottom_is_refused():
    deep = {}
    deep["a"] = deep
    assert schema.fault(deep, dict[str, object], "x") == "x is nested too deeply"
