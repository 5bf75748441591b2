"""Cards as files: what is in the digest, what is written, what is read."""

import copy
import json
from pathlib import Path

import pytest
from protocol_2_cards import copied, signed, stopped, whole, whole_rows

from echo_jax.exceptions import ConfigError
from echo_jax.memory_benchmark.protocol import hashes
from echo_jax.memory_cards import card_file

CARDS = {"whole": whole, "stopped": stopped, "copied": copied}
PROTOCOL_1 = Path(__file__).parents[2] / "docs" / "cards" / "protocol-1"


def test_the_digest_is_of_all_but_the_times_the_device_and_the_versions():
    card = whole()
    for name, value in (
        ("name", "other"), ("device", "gpu"), ("versions", {}), ("date", "2027-01-01"),
        ("seconds", {}),
    ):  # fmt: skip
        assert card_file.digest_of(card | {name: value}) == card["digest"]
    slower = copy.deepcopy(card)
    (cost,) = [row for row in slower["raw"] if row["kind"] == "price"]
    cost["train"]["1"] = [900.0]
    assert card_file.digest_of(slower) == card["digest"]
    card_file.validate(signed(slower))
    cost["state_bytes"] += 4
    assert card_file.digest_of(signed(slower)) != card["digest"]
    for name in ("cell", "protocol", "seeds", "not_measured"):
        assert card_file.digest_of(card | {name: "other"}) != card["digest"]


def test_a_card_of_protocol_1_is_read_by_its_digest_and_stands_beside_no_other(tmp_path):
    path = PROTOCOL_1 / "lstm-full.json"
    card = card_file.read(path)
    assert card_file.is_protocol_1(card)
    assert card_file.comparable(card, {card["protocol_hash"], *hashes()}) == (
        "lstm-full is a card of protocol 1 (full): its digest holds, and it cannot be compared "
        "with cards of protocol 2."
    )
    with pytest.raises(ConfigError, match="is a card of protocol 1, which is no longer drawn"):
        card_file.draw(card, tmp_path)
    for change, said in (
        ({"rows": card["rows"] | {"x": 1}}, "not that of the content"),
        ({"protocol": card["protocol"] | {"seeds": 9}}, "protocol_hash is not that of the"),
        ({"raw": None}, "raw is missing or of the wrong type"),
        ({"raw": [1]}, "rows or raw are not those of a card"),
        ({"rows": {}}, "rows or raw are not those of a card"),
    ):
        with pytest.raises(ConfigError, match=said):
            card_file.validate(card | change)
    for schema in (True, 1.0):  # equal to 1, and no version of a schema
        with pytest.raises(ConfigError, match=r"^schema is "):
            card_file.validate(whole() | {"schema": schema})


def test_a_card_that_is_written_comes_back(tmp_path):
    for name, make in CARDS.items():
        path = card_file.write(make(), tmp_path / "cards")
        assert path.name == f"{name}.json"
        assert card_file.read(path) == make()
    lines = (tmp_path / "cards" / "whole.json").read_text().splitlines()
    assert sum(line.startswith('{"kind"') for line in lines) == len(whole_rows())
    assert json.loads("\n".join(lines)) == whole()


def test_a_card_is_written_again_only_over_itself_and_never_over_what_somebody_changed(tmp_path):
    card, later = whole(), whole() | {"date": "2027-01-01"}
    for each in (card, later):
        card_file.write(each, tmp_path)
        page, figure = card_file.draw(each, tmp_path)
    assert (page.name, figure.name) == ("whole.md", "whole.svg")
    assert page.read_text().count("(<whole.svg>)") == 1
    assert "<svg " in figure.read_text()
    assert card_file.read(tmp_path / "whole.json") == later
    other = stopped() | {"name": "whole"}
    other |= {"digest": card_file.digest_of(other)}
    refused = {r"whole\.json is another card, of 2027-01-01, and would be": (other, tmp_path)}
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "whole.json").write_text("{}")
    refused |= {
        "missing required field `schema`": (card, tmp_path / "none"),
        "digest is": (stopped() | {"digest": "0" * 64}, tmp_path),
        "cannot be made": (stopped(), tmp_path / "whole.json" / "cards"),
    }
    for sentence, (each, folder) in refused.items():
        with pytest.raises(ConfigError, match=sentence):
            card_file.write(each, folder)
    for name in ("whole.md", "whole.svg"):
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text("mine\n")
        with pytest.raises(ConfigError, match="is not as it was generated"):
            card_file.write(card, tmp_path)
        assert (tmp_path / name).read_text() == "mine\n"
        (tmp_path / name).write_text(before)
    assert card_file.read(tmp_path / "whole.json") == later
    assert not (tmp_path / "stopped.json").exists()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b'{"schema": 2, "name": NaN}', "is not valid JSON (JSON is malformed: invalid character"),
        (b'{"schema": -Infinity}', "is not valid JSON"),
        (b'{"schema": 1e999}', "is not valid JSON (Number out of range"),
        (b'{"schema": 2, "name": "ls', "is not valid JSON (Input data was truncated)"),
        (b'{"schema": "\xff\xfe"}', "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'{"schema": ' + b"1" * 5000 + b"}", "is not valid JSON"),
        (b'{"schema": ' + b"9" * 300 + b"}", "..., and this version of echo_jax reads 2 alone"),
        (b'{"schema": 1, "cell": {"a": 1, "a": 2}}', "is not valid JSON (a name stands twice"),
        (b"[]", "the card is wrong (expected `object`, got `array`)"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_card_is_refused_in_a_sentence(tmp_path, data, sentence):
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(ConfigError) as said:
        card_file.read(tmp_path / "a.json")
    assert sentence in str(said.value)
    assert str(said.value).startswith(f"{tmp_path / 'a.json'}")
    assert str(said.value).endswith(": use a card as probe wrote it")
