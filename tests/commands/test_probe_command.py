import dataclasses
import json
import re
import signal
import sys

import pytest
from fabricated_cards import card as made_up
from fabricated_cards import signed
from tiny_cards import TINY, ladder

from echo_jax.commands import card_making
from echo_jax.exceptions import CellRefusedError
from echo_jax.host.interrupts import StoppedError
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.measures import step_time
from echo_jax.memory_cards import card_file

CELL = '''
import jax.numpy as jnp
from flax import linen as nn

class Last(nn.RNNCellBase):
    """Remembers its last input."""

    def __call__(self, carry, inputs):
        return inputs, jnp.concatenate([carry, inputs], axis=-1)

    def initialize_carry(self, rng, input_shape):
        return jnp.zeros(input_shape)

    @property
    def num_feature_axes(self):
        return 1

class Drifts(Last):
    def __call__(self, carry, inputs):
        return inputs.astype(jnp.float16), jnp.concatenate([carry, inputs], axis=-1)
'''


QUICK = dataclasses.replace(
    TINY,
    name="quick",
    ladders=(ladder("lag", 2, (1, 2)),),
    rows=("price", "ladders"),
    rates=(0.1,),
    refine=False,
)


@pytest.fixture
def probing(call, tmp_path, monkeypatch):
    """Runs probe.py under a protocol of a few updates."""
    monkeypatch.setitem(protocol.PROTOCOLS, ("quick", "cell"), QUICK)
    (tmp_path / "mine.py").write_text(CELL)
    edited = made_up("lstm") | {"seeds": [1, 2, 3, 4, 5, 6, 7, 8]}
    (tmp_path / "edited.json").write_text(json.dumps(edited))
    monkeypatch.delitem(sys.modules, "mine", raising=False)  # that of another folder

    def run(*arguments, status=0):
        return call("probe.py", *arguments, cwd=tmp_path, status=status)

    return run


def test_a_cell_of_the_current_folder_gets_a_card(probing, tmp_path):
    said = probing("--cell", "mine:Last")
    made = card_file.read(tmp_path / "cards" / "Last-quick.json")
    assert [each["passed"] for each in made["rows"]["ladders"]["lag-2"]["by_seed"]] == [1, 1]
    assert made["cell"]["cell"] == "mine:Last"
    assert re.fullmatch("[0-9a-f]{64}", made["cell"]["source"])
    assert made["not_measured"]["linear"] == "protocol quick does not ask for it"
    assert (tmp_path / "cards" / "Last-quick.svg").read_text().count("<svg") == 1
    assert re.search(r"^by lag, V 2 +1.41 steps back", said.stdout, re.M)
    assert "lag-2 2: 2 seeds at rate 0.1" in said.stderr
    again = probing("--cell", "mine:Last", status=2)
    assert "cards/Last-quick.json is there already: move it" in again.stderr
    valid = probing("--validate", "cards/Last-quick.json")
    assert "Last-quick is a valid card, comparable" in valid.stdout
    page = probing("--report", "cards", "--tables", "csv")
    assert page.stdout == "For a paper: cards/tables/cell.csv\nPage: cards/README.md\n"
    assert "## Last" in (tmp_path / "cards" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--cell", "lstmm"], "lstmm"),
        (["--cell", "mine:Drifts"], r"mine.py:\d+: cell 'mine:Drifts' .*float16"),
        (["--cell-args", "units=3"], "has no field.*units"),
        (["--cell", "lstm", "--cell", "gru", "--cell-args", "features=4"], "for 2 cells"),
        (["--name", "a/b"], "another --name"),
        (["--protocol", "keys"], "keys is for cells in the block"),
        (["--state-bytes", "0"], "--state-bytes 0 is not a count"),
        (["--validate", "x", "--seed", "3"], "--validate makes no card: use it without --seed"),
        (["--out", "mine.py/x"], "cannot be made"),
        (["--seed", "-1"], "--seed -1 is out of range"),
        (["--seconds", "0"], "--seconds 0.0 is not above 0"),
        (["--report", "nowhere"], "nowhere"),
        (["--validate", "edited.json"], "edited.json: "),
    ],
)  # fmt: skip
def test_bad_input_is_told_in_one_sentence(probing, tmp_path, arguments, sentence):
    said = probing(*arguments, status=2)
    assert re.search(sentence, said.stderr)
    assert said.stderr.startswith("error: ")
    assert said.stderr.count("\n") == 1
    assert not (tmp_path / "cards").exists()


def test_a_card_whose_figure_cannot_be_drawn_is_there_and_a_command_draws_it(
    probing, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "matplotlib", None)
        said = probing("--cell", "mine:Last")
    assert said.stdout.splitlines()[-1] == "Card: cards/Last-quick.json"
    assert "the figure cannot be drawn (ModuleNotFoundError" in said.stderr
    assert said.stderr.endswith("probe.py --draw cards/Last-quick.json makes it\n")
    probing("--draw", "cards/Last-quick.json")
    names = {path.name for path in (tmp_path / "cards").glob("Last*")}
    assert names == {"Last-quick.json", "Last-quick.md", "Last-quick.svg"}


def test_of_nothing_there_is_no_card_that_is_in_the_way_of_the_next(probing, tmp_path):
    said = probing("--cell", "mine:Last", "--seconds", "1e-9", status=2)
    assert said.stderr.splitlines()[-1].startswith("error: nothing was measured within")
    assert not list((tmp_path / "cards").iterdir())


def test_a_card_that_is_stopped_keeps_what_it_has_and_says_why_it_is_incomplete(
    probing, tmp_path, monkeypatch
):
    def stopped(*_):
        signal.raise_signal(signal.SIGINT)
        raise StoppedError

    whole = dataclasses.replace(QUICK, rows=("ladders", "price"))
    monkeypatch.setitem(protocol.PROTOCOLS, ("quick", "cell"), whole)
    monkeypatch.setattr(step_time, "cost_row", stopped)
    said = probing("--cell", "mine:Last", status=128 + signal.SIGINT)
    assert "incomplete because it was interrupted" in said.stdout
    made = card_file.read(tmp_path / "cards" / "Last-quick.json")
    assert made["rows"]["ladders"] is not None
    assert made["not_measured"]["price"] == "it was interrupted"


def test_a_cell_whose_measures_contradict_each_other_gets_no_card():
    made = made_up("lstm")
    card_making.check(made)
    for row in (row for row in made["raw"] if row["kind"] == "beyond"):
        row["accuracy"] = [0.5] * len(row["accuracy"])
    with pytest.raises(CellRefusedError, match=r"'lstm' gets no card, because its .* on fresh str"):
        card_making.check(signed(made))
