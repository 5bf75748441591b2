"""`echo_jax.card` is the command `probe`: the same card, files and sentences. What it shows."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import pytest
from fabricated_cards import QUICK, card, raw_of
from flax import linen as nn
from flax import nnx
from tiny_cards import TINY, ladder

import echo_jax
from echo_jax.exceptions import ConfigError
from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.chosen_cell import ChosenCell
from echo_jax.memory_cards import card_file
from echo_jax.notebook.card_call import MemoryCard


@pytest.fixture(autouse=True)
def as_in_a_program_of_ones_own(monkeypatch):
    monkeypatch.setattr("echo_jax.machine.use_cpu_devices", lambda *_: None)


@pytest.fixture
def measured(monkeypatch):
    """Nothing is checked and trained: raw rows that were made up come at once."""
    monkeypatch.setattr(ChosenCell, "check", lambda *_: ["keeps int32 in its state"])
    monkeypatch.setattr(protocol, "to_dict", lambda _: QUICK)
    asked = []

    def raw_rows(*arguments):
        asked.append(arguments)
        rows = raw_of("lstm-quick")
        return (
            row | {"seed": row["seed"] + arguments[2]} if "seed" in row else row for row in rows
        )

    monkeypatch.setattr("echo_jax.memory_benchmark.measure_cell.raw_rows", raw_rows)
    return asked


def test_a_card_shows_itself():
    made = MemoryCard(card("lstm"))
    first, *lines = repr(made).splitlines()
    assert first.startswith("lstm: protocol full 2 of the cell track (")
    assert first.endswith("), 8 seeds")
    assert lines[0].startswith("by lag, V 2  ")
    said = made.report()
    assert said.startswith("How long can lstm remember?\n\nBy lag, V 2: ")
    assert "geometric mean" in said
    assert said.endswith("0 to 7, on cpu, made up, 2 cores.\n")


def test_a_card_is_written_where_it_is_said_and_nowhere_else(
    measured, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    made = echo_jax.card("gru", args={"features": 8}, progress=False)
    assert not list(tmp_path.iterdir())
    cell, rules, seed, *_ = measured[0]
    assert (cell.options.features, rules, seed) == (8, protocol.CELL_QUICK, 0)
    assert made.card["cell"] == {"cell": "gru", "args": {"features": 8}, "source": None}
    assert made.card["remarks"] == ["keeps int32 in its state"]
    paths = made.write("here")
    assert [path.name for path in paths] == [
        f"gru-features-8-quick.{suffix}" for suffix in ("json", "md", "svg")
    ]
    assert card_file.read(paths[0]) == made.card
    again = echo_jax.card("gru", name="mine", out="here", progress=False)
    assert card_file.read(tmp_path / "here" / "mine.json") == again.card
    with pytest.raises(ConfigError, match=r"mine.json is there already: move it, give the card an"):
        echo_jax.card("gru", name="mine", out="here")
    assert len(list((tmp_path / "here").glob("[!.]*"))) == 6
    assert capsys.readouterr().out == ""
    assert echo_jax.card("gru", seed=3).card["seeds"] == list(range(3, 7))
    assert "cell 'gru' keeps int32 in its state" in capsys.readouterr().out
    assert measured[-1][2] == 3


def test_an_interrupt_is_an_exception_and_leaves_nothing(measured, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("echo_jax.memory_benchmark.measure_cell.raw_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        echo_jax.card("gru", out=tmp_path)
    assert not list(tmp_path.iterdir())


class Drifts(nn.SimpleCell):
    def __call__(self, carry, inputs):
        return carry.astype(jnp.float16), inputs


@pytest.mark.parametrize(
    ("cell", "options", "sentence"),
    [
        ("lstmm", {}, "is unknown"),
        (nn.Dense, {}, "is no cell"),
        (3, {}, "^3 is no cell"),
        (eqx.nn.Lambda(abs), {}, "is built already"),
        (nn.GRUCell(4), {"args": {"features": 5}}, "and this GRUCell is built already"),
        (Drifts, {}, r"call.py:\d+: cell 'test_card_call:Drifts' turns its carry .*float16"),
        ("gru", {"args": {"units": 5}}, "has no field units"),
        ("gru", {"args": "features=5"}, "is no mapping"),
        ("gru", {"protocol": "fast"}, "^protocol 'fast' is unknown"),
        ("gru", {"seed": 1.5}, "^seed=1.5 is no whole number"),
        ("gru", {"seconds": 0}, "^seconds=0 is not above 0"),
        ("gru", {"out": 3}, "^out=3 is no path"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_before_anything_is_measured(cell, options, sentence):
    with pytest.raises(ConfigError, match=sentence):
        echo_jax.card(cell, **options)


@pytest.fixture
def tiny(monkeypatch):
    """The protocol quick of seconds."""
    quick = dataclasses.replace(
        TINY,
        name="quick",
        ladders=(ladder("lag", 2, (1, 2)),),
        rows=("price", "ladders"),
        rates=(0.1,),
        budget=50,
        refine=False,
    )
    monkeypatch.setitem(protocol.PROTOCOLS, ("quick", "cell"), quick)


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_fast")
def test_a_call_and_the_command_make_the_same_card(tiny, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name, text = "flax.nnx:GRUCell", "hidden_features=3"
    call("probe.py", "--cell", name, "--cell-args", text, "--name", "command", cwd=tmp_path)
    command = card_file.read(tmp_path / "cards" / "command.json")
    made = echo_jax.card(nnx.GRUCell, args={"hidden_features": 3})
    card_file.validate(made.card)
    assert made.card["digest"] == command["digest"]
