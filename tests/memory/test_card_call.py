"""`echo_jax.card` and `cards`: what they return, show and refuse."""

import sys
import types

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx
from made_up_cards import card_with, stored
from tiny_memory import TINY

import echo_jax
from echo_jax.cells.cell_object import in_block, of_object
from echo_jax.exceptions import ConfigError
from echo_jax.memory import card_contents
from echo_jax.memory.card import card_call, train_and_score


@pytest.mark.slow
def test_a_card_is_kept_where_it_is_wanted_and_goes_on_there(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    given = {"args": {"hidden_features": 3}, "seeds": 1, "protocol": TINY}
    made = echo_jax.card(nnx.GRUCell, **given, progress=False)
    assert capfd.readouterr().out == ""
    assert [*tmp_path.iterdir()] == []
    assert made.card.name == TINY.card_name("GRUCell-hidden_features-3")
    paths = made.write("there")
    assert card_contents.read(paths[0].parent)[0] == made.card
    kept = echo_jax.card(nnx.GRUCell, **given, out="there")
    assert (kept.card, kept.rows) == (made.card, made.rows)
    assert made.figure._repr_png_().startswith(b"\x89PNG")


def test_the_cards_of_a_folder_are_rows_beside_built_in_ones(tmp_path, monkeypatch):
    made, rows = card_with(4, lags=9, cell="block:gla", name="mine")
    stored(made, rows, tmp_path)
    own, beside = (echo_jax.cards(tmp_path, beside=names) for names in ((), ["lstm"]))
    assert {row["cell"] for row in own.rows} == {"gla"}
    assert [row["cell"] for row in beside.rows[:2]] == ["gla", "gla"]
    assert {row["cell"] for row in beside.rows[2:]} == {"lstm"}
    assert beside.rows[1]["mean"] == made.bits_by_key.mean
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="pandas"):
        beside.to_pandas()
    monkeypatch.setitem(sys.modules, "pandas", types.SimpleNamespace(DataFrame=list))
    assert beside.to_pandas() == beside.rows
    with pytest.raises(ConfigError, match="has no rows"):
        beside["block-lstm-state-bytes-400"].write(tmp_path)
    with pytest.raises(ConfigError, match="is not built in"):
        echo_jax.cards(tmp_path, beside=["gruu"])
    with pytest.raises(ConfigError, match="has rows that this card lacks"):
        card_call.CardResult(made, rows[1:]).write(tmp_path)
    assert card_contents.read(tmp_path / "mine")[1] == rows


DOTTED = types.SimpleNamespace(
    init=lambda _, size: {"a.b": jnp.ones((size, 2)), "a": {"b": jnp.ones(2)}},
    initial_state=lambda _, rows, size: jnp.zeros((rows, 2)),
    step=lambda params, state, x: (x @ params["a.b"] + params["a"]["b"] * state,) * 2,
)


@pytest.mark.parametrize(
    ("cell", "options", "sentence"),
    [
        (DOTTED, {"name": "a", "keep": True, "out": "new"}, "does not have a unique"),
        (3, {}, "^3 is not a cell"),
        (eqx.nn.Lambda(abs), {}, "is already built"),
        (nn.GRUCell(4), {"args": {"features": 5}}, "and this GRUCell is already built"),
        (nn.GRUCell(4), {"state_bytes": 400}, "but this is an object"),
        ("gru", {"args": "features=5"}, "does not map"),
        ("gru", {"updates": 3 * 10**9}, "^updates=3000000000 is above 2147483647"),
        ("gru", {"only": "lag"}, "^only='lag' is unknown: use one of by-lag, by-key"),
        ("gru", {"keep": True}, "^keep=True needs a folder"),
        ("gru", {"protocol": {"updates": 500}}, "is not of type Protocol"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_before_anything_is_measured(
    tmp_path, monkeypatch, cell, options, sentence
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=sentence):
        echo_jax.card(cell, **options)
    assert not list(tmp_path.iterdir())


def test_numbers_of_numpy_among_the_options_are_numbers_of_the_card():
    found = train_and_score.named_cell("gru", {"features": np.int64(3)})
    assert (found.args, found.card_name) == ({"features": 3}, "gru-features-3")


def test_an_instance_keeps_its_options_in_a_block():
    found = of_object(in_block(nn.GRUCell(features=3)), None)
    assert (found.name, found.args) == ("block:flax.linen:GRUCell", {"features": 3})
    assert found.cell.cell.options.features == 3
    for cell in ("block:gru", found.cell):
        with pytest.raises(ConfigError, match=r"^block=True applies only"):
            echo_jax.card(cell, block=True)


def test_a_function_that_shares_its_name_is_kept_under_a_name_that_is_given(tmp_path):
    with pytest.raises(ConfigError, match=r"is defined within a function .*: give the card a name"):
        echo_jax.card(lambda size: None, out=tmp_path)
