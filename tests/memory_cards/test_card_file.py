"""Cards as files: what is in the digest, what is written, what is read."""

import copy

import pytest
from fabricated_cards import CARDS, FULL, QUICK, card, raw_of, signed

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import card_file


def test_the_digest_is_of_all_but_the_times_the_device_and_the_versions():
    made = card("lstm")
    for name, value in (
        ("name", "other"), ("device", "gpu"), ("versions", {}), ("date", "2027-01-01"),
        ("seconds", {}),
    ):  # fmt: skip
        assert card_file.digest_of(made | {name: value}) == made["digest"]
    slower = copy.deepcopy(made)
    slower["raw"][-1]["train"]["1"] = [900.0]
    assert card_file.digest_of(slower) == made["digest"]
    card_file.validate(signed(slower))
    for name in ("cell", "protocol", "seeds", "not_measured"):
        assert card_file.digest_of(made | {name: "other"}) != made["digest"]


def test_a_card_of_another_protocol_is_valid_and_not_comparable():
    made = card("lstm")
    known = {atomic_files.digest_of(FULL), atomic_files.digest_of(QUICK)}
    assert card_file.comparable(made, known) == (
        "lstm is a valid card, comparable with all others of protocol full, version 1."
    )
    made = signed(made | {"protocol": made["protocol"] | {"version": 2}})
    card_file.validate(made)
    assert "does not have its protocol full, version 2 (" in card_file.comparable(made, known)


def test_a_row_of_which_nothing_was_measured_has_its_reason():
    full = card("lstm")
    identity = {name: full[name] for name in ("name", "cell", "protocol", "seeds")}
    whole, stopped = (card_file.make(identity, [], full, stop) for stop in (None, "no time"))
    assert whole["not_measured"]["cause"].startswith("there is no lag that fewer than half")
    assert stopped["not_measured"]["cause"] == stopped["not_measured"]["price"] == "no time"
    assert stopped["not_measured"]["copy"] == "--task copy measures it"
    assert card("lstm-quick")["not_measured"]["capacity"] == "protocol quick does not ask for it"
    card_file.validate(stopped)


def test_a_card_that_is_written_comes_back(tmp_path):
    for name in CARDS:
        path = card_file.write(card(name), tmp_path / "cards")
        assert path.name == f"{name}.json"
        assert card_file.read(path) == card(name)
    lines = (tmp_path / "cards" / "lstm.json").read_text().splitlines()
    assert sum(line.startswith('{"kind"') for line in lines) == len(raw_of("lstm"))


def test_a_card_is_written_again_only_over_itself_and_never_over_what_somebody_changed(tmp_path):
    made, later = card("lstm"), card("lstm") | {"date": "2027-01-01"}
    for each in (made, later):
        card_file.write(each, tmp_path)
        page, figure = card_file.draw(each, tmp_path)
    assert (page.name, figure.name) == ("lstm.md", "lstm.svg")
    assert page.read_text().count("(<lstm.svg>)") == 1
    assert figure.read_text().startswith("<svg ")
    assert card_file.read(tmp_path / "lstm.json") == later
    other = card("gru") | {"name": "lstm"}
    other |= {"digest": card_file.digest_of(other)}
    refused = {r"lstm\.json is another card, of 2027-01-01, and would be": (other, tmp_path)}
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "lstm.json").write_text("{}")
    refused |= {
        "missing required field `schema`": (made, tmp_path / "none"),
        "digest is": (card("gru") | {"digest": "0" * 64}, tmp_path),
        "cannot be made": (card("gru"), tmp_path / "lstm.json" / "cards"),
    }
    for sentence, (each, folder) in refused.items():
        with pytest.raises(ConfigError, match=sentence):
            card_file.write(each, folder)
    for name in ("lstm.md", "lstm.svg"):
        before = (tmp_path / name).read_text()
        (tmp_path / name).write_text("mine\n")
        with pytest.raises(ConfigError, match="is not as it was generated"):
            card_file.write(made, tmp_path)
        assert (tmp_path / name).read_text() == "mine\n"
        (tmp_path / name).write_text(before)
    assert card_file.read(tmp_path / "lstm.json") == later
    assert not (tmp_path / "gru.json").exists()


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b'{"schema": 1, "name": NaN}', "is not valid JSON (JSON is malformed: invalid character"),
        (b'{"schema": -Infinity}', "is not valid JSON"),
        (b'{"schema": 1e999}', "is not valid JSON (Number out of range"),
        (b'{"schema": 1, "name": "ls', "is not valid JSON (Input data was truncated)"),
        (b'{"schema": "\xff\xfe"}', "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b'{"schema": ' + b"1" * 5000 + b"}", "is not valid JSON"),
        (b'{"schema": ' + b"9" * 300 + b"}", "..., and this version of echo_jax reads 1 alone"),
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
