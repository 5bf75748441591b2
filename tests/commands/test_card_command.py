import os
import re
import signal
import sys
import time

import msgspec
import pytest
from made_up_cards import card as made_up
from run_folders import AVERAGE
from running import assert_one_sentence
from tiny_memory import TINY, toml_of

from echo_jax import machine
from echo_jax.engine.progress import GridProgress
from echo_jax.memory import card_contents

MINE = TINY.card_name("mine")
HALVES = "jax.lax.while_loop(lambda s: s[0, 0] > 9, lambda s: s / 2, state)"
ROUNDS = f"import jax\n{AVERAGE.replace('0.5 * state', HALVES)}"
"""A cell that has no gradient."""


@pytest.fixture
def carding(call, tmp_path, monkeypatch):
    """Runs card.py, or cards.py with one of its words, in this process; with a few updates."""
    (tmp_path / "mine.py").write_text(AVERAGE)
    (tmp_path / "rounds.py").write_text(ROUNDS)
    (tmp_path / "tiny.toml").write_text(toml_of())
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # that of another folder

    def run(*arguments, status=0, protocol=("--protocol", "tiny.toml")):
        words = [] if arguments[0].startswith("--") else [arguments[0]]
        line = [*words, *protocol, *arguments[len(words) :]]
        return call("cards.py" if words else "card.py", *line, cwd=tmp_path, status=status)

    return run


BY_LAG = ("--only", "by-lag")


def rows_of(folder):
    """The lines of the rows, in no order: runs end as they can."""
    return sorted((folder / "rows.jsonl").read_text().splitlines())


def test_a_card_is_made_stays_and_takes_more_seeds(carding, tmp_path):
    line = ("--cell", "mine.py", *BY_LAG)
    carding(*line, "--seeds", "1")
    folder = tmp_path / "cards" / MINE
    made, rows = card_contents.read(folder)
    assert sorted(row.seed for row in rows) == [0, 1000, 1000, 1001, 1001]
    assert (made.cell.name, made.bits_by_lag.seeds) == ("mine.py", [0])
    assert re.fullmatch("[0-9a-f]{64}", made.cell.source)
    assert made.devices == [machine.device()]
    assert {"picture.svg", "card.md", "card.svg"} < {path.name for path in folder.iterdir()}
    before = (folder / "card.json").read_bytes()
    carding(*line, "--seeds", "1")
    assert (folder / "card.json").read_bytes() == before
    first = rows_of(folder)
    more = carding(*line, "--seeds", "2", "--cell", "mine.py", "--name", MINE, "--name", "b")
    assert f"{MINE}: mine.py, 1 run to make" in more.stdout
    assert rows_of(folder) == rows_of(tmp_path / "cards" / "b")
    assert set(first) < set(rows_of(folder))
    two_runs_are_verified(carding, folder)


def two_runs_are_verified(carding, folder):
    """Of a card of two seeds: as it is, with other numbers, and with those from elsewhere."""

    def told(status):
        said = carding(
            "verify", f"cards/{folder.name}", "--cell", "mine.py", protocol=(), status=status
        ).stdout
        return [line for line in said.splitlines() if line.startswith("seed ")]

    assert [line.partition(": ")[2] for line in told(0)] == ["the same numbers"] * 2
    made, rows = card_contents.read(folder)
    forged = [msgspec.structs.replace(row, final=[0.1] * len(row.final)) for row in rows]
    card_contents.write_whole(made, forged, folder)
    assert all("other numbers" in line and "same kind" in line for line in told(1))
    elsewhere = [msgspec.structs.replace(x, device="cpu, A", version="0.1.0") for x in forged]
    card_contents.write_whole(made, elsewhere, folder)
    for line in told(0):
        assert all(f" here, '{value}' before" in line for value in ("cpu, A", "0.1.0"))


def test_a_card_that_is_stopped_shows_its_seeds_and_goes_on_to_the_same_rows(
    carding, tmp_path, monkeypatch
):
    monkeypatch.setattr(machine, "cores", lambda: 1)
    stops = ["seed 1001, by lag, rate 0.01, 2 updates", "seed 1, by lag, 4 updates"]

    def advance(bar, run, share):
        if run in stops:
            stops.remove(run)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.5)

    line = ["--cell", "mine.py", "--seeds", "2", *BY_LAG]
    shown = [(r"seeds +0 of 2", 3), (r"seeds +1 of 2\nbits by lag +\S+ \(1 of 2\)", 5)]
    with monkeypatch.context() as patch:
        patch.setattr(GridProgress, "at_work", advance)
        for words, count in shown:
            said = carding(*line, status=128 + signal.SIGINT)
            assert re.search(f"^{words}\n", said.stdout, re.M)
            stopped = rows_of(tmp_path / "cards" / MINE)
            assert len(stopped) == count
    again = f"--protocol tiny.toml {' '.join(line)}"
    assert re.search(f"\nStopped; to go on: .*card.py {again}\n$", said.stderr)
    assert f"{MINE}: mine.py, 1 run to make" in carding(*line).stdout
    carding(*line, "--out", "undisturbed")
    rows = rows_of(tmp_path / "undisturbed" / MINE)
    assert rows == rows_of(tmp_path / "cards" / MINE)
    assert set(stopped) < set(rows)
    one, other = (card_contents.read(tmp_path / out / MINE)[0] for out in ("cards", "undisturbed"))
    assert one == other


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--cell", "simple", "--cell", "rounds.py"], r"'rounds.py' .*everse-mode different"),
        (["--cell", "lstm", "--cell-args", "features=9000"], "72,000 bytes"),
        (["--cell", "lstm", "--cell", "gru", "--cell-args", "features=4"], "for 2 cells"),
        (["--cell", "lstm", "--cell", "lstm"], "would both be called lstm-.*: give each a --name"),
        (["report", "cards", "--cell", "x"], "--cell is not an option.*cards.py report --help"),
        (["--report", "cards"], "--report is not an option: use echo-jax cards"),
        (["--out", "mine.py"], "mine.py/lstm-.* cannot be created as a folder"),
        (["--seeds", "1001"], "--seeds 1001 is out of range: use 1 to 1,000"),
        (["--updates", "3"], "--updates 3 is not a multiple of the 2 .*: use 4, or another"),
        (["report", "nowhere"], "nowhere"),
        (["--protocol", "nowhere.toml"], "nowhere.toml cannot be read"),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_one_sentence(carding, tmp_path, arguments, sentence):
    said = carding(*arguments, status=2)
    assert re.search(sentence, said.stderr)
    assert_one_sentence(said.stderr, "")
    assert not (tmp_path / "cards").exists()


def test_the_card_of_another_cell_or_protocol_is_kept(carding, tmp_path):
    folder = tmp_path / "cards" / "mine"
    folder.mkdir(parents=True)
    card_contents.write(made_up([], "gru", name="mine", protocol=TINY), [], folder)
    before = (folder / "card.json").read_bytes()
    said = carding("--cell", "simple", "--name", "mine", status=2).stderr
    assert "cards/mine is the card of another cell, gru," in said
    said = carding("--cell", "gru", "--name", "mine", status=2, protocol=()).stderr
    assert f"cards/mine is a card of protocol {TINY.digest}, not of 5: give" in said
    assert (folder / "card.json").read_bytes() == before
