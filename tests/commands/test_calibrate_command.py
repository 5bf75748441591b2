import dataclasses
import re

from fabricated_cards import card, fabricated
from tiny_cards import TINY, ladder

from echo_jax.memory_benchmark import protocol
from echo_jax.memory_cards import card_file

REGISTER = "echo_jax.cells.known_memory:ShiftRegister"


def test_repeats_of_different_registers_are_told_apart(call, tmp_path, monkeypatch):
    quick = dataclasses.replace(
        TINY, name="quick", ladders=(ladder("lag", 2, (1, 3)),), rows=("ladders",),
        rates=(0.1,), refine=False,
    )  # fmt: skip
    monkeypatch.setitem(protocol.PROTOCOLS, ("quick", "cell"), quick)
    cells = ["--cell", REGISTER, "--cell", REGISTER, "--cell-args", "slots=2", "--cell-args"]
    said = call("calibrate.py", *cells, "slots=4", "--repeats", "1", "--out", "x", cwd=tmp_path)
    assert re.findall(r"(\d+)\.0%$", said.stdout, re.M) == ["100", "100"]
    cards = [card_file.read(path) for path in (tmp_path / "x").glob("*.json")]
    assert len({seed for made in cards for seed in made["seeds"]}) == 4


def test_a_calibration_that_cannot_be_made_ends_in_a_sentence(call, tmp_path):
    cards = {"whole": card("lstm"), "block": card("block-lstm"), "cut": fabricated("gru", {})}
    for name, made in cards.items():
        (tmp_path / f"{name}.json").write_text(card_file.dumped(made))
    for arguments, sentence in (
        (["--repeats", "0"], "--repeats 0 is out of range"),
        (["--cell", "lstm"], "1 --cell are given: give two"),
        (["--cards", "cut.json", "cut.json"], "gru-full was cut short"),
        (["--cards", "whole.json", "block.json"], "lstm and block-lstm are of different"),
    ):
        said = call("calibrate.py", *arguments, cwd=tmp_path, status=2)
        assert said.stderr.startswith(f"error: {sentence}")
    assert not (tmp_path / "calibration").exists()
