import dataclasses
import re

import pytest
from fabricated_cards import card, fabricated
from tiny_cards import TINY, ladder

from echo_jax.memory_benchmark import protocol
from echo_jax.memory_cards import card_file

REGISTER = "echo_jax.cells.known_memory:ShiftRegister"


@pytest.fixture
def tiny(monkeypatch):
    """The protocol quick of seconds."""
    quick = dataclasses.replace(
        TINY,
        name="quick",
        ladders=(ladder("lag", 2, (1, 2, 3, 4)),),
        rows=("ladders",),
        rates=(0.1,),
        refine=False,
    )
    monkeypatch.setitem(protocol.PROTOCOLS, ("quick", "cell"), quick)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_repeats_of_twins_are_never_called_different_and_those_of_other_registers_always(
    call, tmp_path
):
    def shares(slots):
        cells = ["--cell", REGISTER, "--cell", REGISTER, "--out", f"of-{slots}"]
        sizes = ["--cell-args", "slots=2", "--cell-args", f"slots={slots}"]
        said = call("calibrate.py", *cells, *sizes, "--repeats", "2", cwd=tmp_path).stdout
        return said, re.findall(r"(\d+)\.0%$", said, re.M)

    said, found = shares(2)
    assert found == ["0", "0"]
    assert re.search(r"^measured +4 ", said, re.M)
    assert re.search(r"^resampled +400 ", said, re.M)
    _, found = shares(4)
    assert found == ["100", "100"]
    cards = sorted((tmp_path / "of-4").glob("*.json"))
    assert len(cards) == 4
    seeds = [tuple(card_file.read(card)["seeds"]) for card in cards]
    assert len(set(sum(seeds, ()))) == 8
    again, _ = shares(4)
    assert not re.search(r"^ShiftRegister.* s$", again, re.M)  # all were there
    cells = ["--cell", REGISTER, "--cell", "lstm", "--out", "of-4", "--repeats", "2"]
    other = card_file.read(cards[0])
    other["cell"]["args"]["slots"] = 3
    cards[0].write_text(card_file.dumped(other | {"digest": card_file.digest_of(other)}))
    said = call("calibrate.py", *cells, "--cell-args", "slots=2", "--cell-args", "", cwd=tmp_path,
                status=2).stderr  # fmt: skip
    assert "of another cell or protocol: move it, or use another --out" in said


def test_a_calibration_that_cannot_be_made_ends_in_a_sentence(root, call, tmp_path):
    cards = {"whole": card("lstm"), "block": card("block-lstm"), "cut": fabricated("gru", {})}
    for name, made in cards.items():
        (tmp_path / f"{name}.json").write_text(card_file.dumped(made))
    (old,) = (root / "docs" / "cards" / "protocol-1").glob("lstm-full.json")
    (tmp_path / "old.json").write_text(old.read_text())
    for arguments, sentence in (
        (["--repeats", "0"], "--repeats 0 is out of range: use 1 to 1,000"),
        (["--cell", "lstm"], "1 --cell are given: give two, or none"),
        (["--cell-args", "features=3"], "1 --cell-args are given: give two"),
        (["--futility", "cards", "--repeats", "3"], "--futility measures nothing: use it without"),
        (["--cards", "a", "b", "--protocol", "full"], "--cards measures nothing: use"),
        (["--cell", "lstm", "--cell", "lstmm"], "cell 'lstmm' is unknown: did you mean lstm"),
        (
            ["--cards", "old.json", "old.json"],
            "lstm-full is a card of protocol 1: use",
        ),
        (
            ["--cards", "cut.json", "cut.json"],
            "gru-full was cut short: use a whole card",
        ),
        (
            ["--cards", "whole.json", "block.json"],
            "lstm and block-lstm are of different",
        ),
    ):
        said = call("calibrate.py", *arguments, cwd=tmp_path, status=2)
        assert said.stderr.startswith(f"error: {sentence}")
    assert not (tmp_path / "calibration").exists()
