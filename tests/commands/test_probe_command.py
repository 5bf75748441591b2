import dataclasses
import json
import re
import signal
import sys
import textwrap
import time
import types

import pytest
from fabricated_cards import card as made_up
from fabricated_cards import signed
from running import begin
from tiny_cards import TINY, ladder

from echo_jax.cells.cell_facts import FACTS
from echo_jax.commands import card_making
from echo_jax.exceptions import CellRefusedError
from echo_jax.host.interrupts import Interrupts, StoppedError
from echo_jax.memory_benchmark import protocol, published_cards
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
    assert (tmp_path / "cards" / "Last-quick.svg").read_text().startswith("<svg")
    assert re.search(r"^by lag, V 2 +1.41 steps back", said.stdout, re.M)
    assert "lag-2 2: 2 seeds at rate 0.1" in said.stderr
    again = probing("--cell", "mine:Last", status=2)
    assert "cards/Last-quick.json is there already: move it" in again.stderr
    valid = probing("--validate", "cards/Last-quick.json")
    assert "Last-quick is a valid card, comparable" in valid.stdout
    page = probing("--report", "cards", "--tables", "csv")
    assert page.stdout == "For a paper: cards/tables/cell.csv\nPage: cards/page.html\n"
    assert "<h2>Last</h2>" in (tmp_path / "cards" / "page.html").read_text()


def test_a_figure_for_a_paper_that_is_in_the_way_is_found_before_a_cell_is_measured(
    probing, tmp_path
):
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "Last-quick.pdf").write_text("mine")
    said = probing("--cell", "mine:Last", "--format", "pdf", status=2).stderr
    assert said.startswith("error: cards/Last-quick.pdf is not as it was generated, and would be")
    assert [path.name for path in (tmp_path / "cards").iterdir()] == ["Last-quick.pdf"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--cell", "lstmm"], "cell 'lstmm' is unknown: did you mean lstm, or"),
        (["--cell", "mine:Nothing"], "cell 'mine:Nothing' cannot be imported"),
        (["--cell", "mine:Drifts"], r"mine.py:\d+: cell 'mine:Drifts' .*float16"),
        (["--cell-args", "units=3"], "has no field.*units"),
        (["--cell", "lstm", "--cell", "gru", "--cell-args", "features=4"],
         '1 --cell-args for 2 cells: give one for each cell, in their order, "" where'),
        (["--cell", "lstm", "--cell", "lstm"],
         "lstm and lstm would both be called lstm-quick: give each a --name"),
        (["--name", "a/b"], "give the card another --name"),
        (["--cell", "lstm-chrono", "--cell-args", "longest=1e999"], "cannot be kept in a card"),
        (["--cell", "lru", "--cell-args", "r_max=1.2"], "0.9 and r_max 1.2 are no ring inside"),
        (["--protocol", "keys"], "keys is for cells in the block, .* use --cell block:lstm"),
        (["--cell", "block:lstm", "--protocol", "copy"], "copy is for bare cells, .* --cell lstm"),
        (["--state-bytes", "400", "--cell-args", "features=3"], "--state-bytes finds features"),
        (["--state-bytes", "0"], "error: state bytes 0 is not a count: use 1 or more, such as 400"),
        (["--published", "--seed", "3"], "--published decides all of each card: use it without"),
        (["--validate", "x", "--seed", "3"], "--validate makes no card: use it without --seed"),
        (["--readme", "README.md"], "--readme needs the folder of the cards: add --report"),
        (["--tables", "csv"], "--tables needs the folder of the cards: add --report FOLDER"),
        (["--out", "mine.py/x"], r"cannot be made \(Not a directory\): use another folder"),
        (["--cell", "mine:Last", "--out", "/proc"], r"/proc cannot be written to \(.*\): use"),
        (["--seed", "-1"], "error: --seed -1 is out of range: use 0 to 1,000,000,000"),
        (["--name", "a b"], "error: name is .a b. .expected `str` of 1 to 100"),
        (["--cell", "gru", "--cell-args", "features=1000000"], "^error: cell 'gru' has .* paramet"),
        (["--cell", "gru", "--cell-args", "gate_fn=relu"], "^error: cell 'gru' fails in a step"),
        (["--seconds", "0"], "error: --seconds 0 is not above 0: use more, or leave it out"),
        (["--protocol", "fast"], "--protocol fast is unknown: use one of quick, full, keys"),
        (["--report", "nowhere"], "nowhere"),
        (["--report", "x", "--cell", "gru"], "--report makes no card: use it without --cell"),
        (["--cells", "--cell", "gru"], "--cells makes no card: use it without --cell"),
        (["--validate", "nothing.json"], "nothing.json"),
        (["--validate", "edited.json"], "^error: edited.json: "),
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
    names = {path.name for path in (tmp_path / "cards").iterdir()}
    assert names == {"Last-quick.json", "Last-quick.md", "Last-quick.svg"}


def test_the_built_in_cells_are_listed_each_with_its_paper(probing):
    first, *lines = probing("--cells").stdout.splitlines()
    assert first.split() == ["--cell", "cell", "paper"]
    assert [line.split()[0] for line in lines] == [*FACTS, "block:CELL", "module:NAME,"]
    assert re.search(r"^mingru +minGRU +Feng et al. 2024$", "\n".join(lines), re.M)


@pytest.mark.slow
def test_remarks_come_before_the_card_and_a_cheat_that_is_found_late_leaves_nothing(
    probing, tmp_path
):
    said = probing("--cell", "awkward_cells:DecayByTime").stdout
    assert said.startswith("cell 'awkward_cells:DecayByTime' keeps int32 in its state: what is")
    path = tmp_path / "cards" / "DecayByTime-quick.json"
    (remark,) = card_file.read(path)["remarks"]
    assert f"cell 'awkward_cells:DecayByTime' {remark}" in said
    assert f"The check of the cell says that it {remark}." in path.with_suffix(".md").read_text()
    path.unlink()
    said = probing("--cell", "cheating_cells:PeeksWhereABiasIs", status=2).stderr
    assert "answers 100.0% of lag-2 1 by its scan and" in said.splitlines()[-1]
    left = {path.suffix for path in (tmp_path / "cards").iterdir()}
    assert left == {".md", ".svg"}  # of the first card


def test_of_nothing_there_is_no_card_that_is_in_the_way_of_the_next(probing, tmp_path):
    said = probing("--cell", "mine:Last", "--seconds", "1e-9", status=2)
    assert said.stderr.splitlines()[-1].startswith("error: nothing was measured within")
    assert not list((tmp_path / "cards").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("number", [None, signal.SIGINT, signal.SIGTERM])
def test_a_card_that_is_stopped_keeps_what_it_has_and_says_why_it_is_incomplete(
    probing, tmp_path, monkeypatch, number
):
    def stopped(*_):
        if number is None:
            monkeypatch.setattr(Interrupts, "requested", True)
        else:
            signal.raise_signal(number)
        raise StoppedError

    whole = dataclasses.replace(QUICK, rows=("ladders", "price"))
    monkeypatch.setitem(protocol.PROTOCOLS, ("quick", "cell"), whole)
    monkeypatch.setattr(step_time, "cost_row", stopped)
    said = probing("--cell", "mine:Last", "--seconds", "1000", status=128 + number if number else 0)
    why = "it was interrupted" if number else "its seconds were over"
    assert re.search(f"^cost +not measured +{why}", said.stdout, re.M)
    assert f"incomplete because {why}. Give cards/Last-quick.json another name" in said.stdout
    made = card_file.read(tmp_path / "cards" / "Last-quick.json")
    assert made["rows"]["ladders"] is not None
    assert made["not_measured"]["price"] == why


@pytest.mark.slow
def test_a_card_that_was_stopped_on_a_ladder_is_not_whole_and_goes_on(
    probing, tmp_path, monkeypatch
):
    """The price comes first in all protocols of users, so a ladder may be all that is cut."""
    longer = dataclasses.replace(QUICK, ladders=(ladder("lag", 2, (1, 30)),), budget=1_000_000)
    monkeypatch.setitem(protocol.PROTOCOLS, ("quick", "cell"), longer)
    card, journal = (tmp_path / "cards" / x for x in ("Last-quick.json", ".Last-quick.measuring"))
    said = probing("--cell", "mine:Last", "--seconds", "20").stdout
    assert "incomplete because its seconds were over" in said
    assert "what lies above was not reached, because its seconds were over" in said
    assert card_file.read(card)["not_measured"]["lag-2"] == "its seconds were over"
    assert journal.exists()
    card.rename(tmp_path / "cut.json")
    said = probing("--cell", "mine:Last", "--seconds", "20").stdout
    assert "Going on after 1 training, " in said


@pytest.mark.slow
def test_the_table_goes_on_from_a_card_that_was_cut_short_and_leaves_a_whole_one(
    probing, tmp_path, monkeypatch
):
    def stopped(*_):
        monkeypatch.setattr(Interrupts, "requested", True)
        raise StoppedError

    rules = dataclasses.replace(QUICK, rows=("ladders", "price"))
    monkeypatch.setitem(protocol.PROTOCOLS, ("quick", "cell"), rules)
    entry = published_cards.PublishedCard("mine:Last", None, "quick")
    monkeypatch.setattr(published_cards, "PUBLISHED_CARDS", (entry,))
    with monkeypatch.context() as once:
        once.setattr(step_time, "cost_row", stopped)
        probing("--cell", "mine:Last", "--seconds", "1000")
    monkeypatch.setattr(Interrupts, "requested", False)
    path = tmp_path / "cards" / "Last-quick.json"
    assert not card_file.read(path)["rows"]["price"]
    assert "Going on after 2 trainings, " in probing("--published").stdout
    assert not {"price", "lag-2"} & {*card_file.read(path)["not_measured"]}
    assert not card_file.read(path.with_suffix(".json.cut-short"))["rows"]["price"]
    whole = path.read_bytes()
    assert "Last-quick.json is there already, and stays" in probing("--published").stdout
    assert path.read_bytes() == whole


def test_a_card_has_the_time_of_its_protocol_and_says_what_ended_it():
    full, keys = protocol.BLOCK_FULL, protocol.KEYS
    limits = [card_making.time_limit_of(each, None) for each in (full, keys, protocol.BLOCK_QUICK)]
    assert limits == [None, 900, 90]
    assert card_making.time_limit_of(keys, 5) == 5
    for chosen, seconds, number, reason in (
        (keys, 900, 0, "the clock of keys was over"),
        (keys, 5, 0, "its seconds were over"),
        (full, 900, 0, "its seconds were over"),
        (keys, 900, 2, "it was interrupted"),
    ):
        stop = types.SimpleNamespace(requested=True, seconds=seconds, signal=number)
        assert card_making.why_stopped(chosen, stop) == reason
    assert card_making.why_stopped(keys, Interrupts(900)) is None


def test_a_cell_whose_measures_contradict_each_other_gets_no_card():
    made = made_up("lstm")
    card_making.check(made)
    for row in (row for row in made["raw"] if row["kind"] == "beyond"):
        row["accuracy"] = [0.5] * len(row["accuracy"])
    with pytest.raises(CellRefusedError, match=r"'lstm' gets no card, because its .* on fresh str"):
        card_making.check(signed(made))


@pytest.mark.slow
def test_the_clock_of_quick_ends_a_card_that_is_finished_all_the_same(
    probing, tmp_path, monkeypatch
):
    monkeypatch.setitem(card_making.CLOCKS, "quick", 15.0)
    longer = dataclasses.replace(
        QUICK, ladders=(ladder("lag", 2, (1, 30)),), rows=("ladders", "price"), budget=1_000_000
    )
    monkeypatch.setitem(protocol.PROTOCOLS, ("quick", "cell"), longer)
    said = probing("--cell", "mine:Last").stdout
    assert "incomplete" not in said
    assert "not reached" in said
    made = card_file.read(tmp_path / "cards" / "Last-quick.json")
    assert made["not_measured"]["price"] == "the clock of quick was over"
    assert not (tmp_path / "cards" / ".Last-quick.measuring").exists()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_an_interrupt_before_anything_is_measured_ends_the_process_at_once(tmp_path):
    slow = """
    def __call__(self, carry, inputs):
        pathlib.Path("stepping").touch()
        time.sleep(60)
"""
    (tmp_path / "mine.py").write_text(f"import pathlib\nimport time\n{CELL}{slow}")
    process = begin("probe.py", "--cell", "mine:Drifts", cwd=tmp_path)
    while not (tmp_path / "stepping").exists():
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert not (tmp_path / "cards").exists()


@pytest.mark.slow
def test_two_cells_stand_side_by_side(probing):
    said = probing("--cell", "mine:Last", "--cell", "lstm", "--cell-args", "", "--cell-args",
                   "features=6")  # fmt: skip
    assert re.search(r"baseline +Last-quick +lstm-features-6-quick", said.stdout)
    assert re.search(r"^by lag, V 2 +1/2 +1.41 steps back, \d", said.stdout, re.M)
    assert re.search(
        "By lag, V 2: (Last|lstm).* (are not told apart|remembers more than)", said.stdout
    )


@pytest.mark.slow
def test_the_cell_of_the_documentation_gets_a_card(root, probing, tmp_path):
    page = (root / "docs" / "your-own-cell.md").read_text()
    (cell,) = re.findall(r"```python\n(# mine\.py\n.*?)```", page, re.S)
    (tmp_path / "mine.py").write_text(textwrap.dedent(cell))
    assert cell.count("\n") <= 40
    command = re.findall(r"echo-jax probe (--cell mine:\w+)", page)[0]
    said = probing(*command.split())
    assert "by lag, V 2" in said.stdout
