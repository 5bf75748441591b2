"""The cell of a card in a run: its options, given or found for the bytes of its state."""

import pytest

import echo_jax
from echo_jax.cells.cell_object import cell_of, with_cell_stated
from echo_jax.cells.known_memory import ShiftRegister
from echo_jax.cells.registry import options_in
from echo_jax.cells.vector_state.flax_rnns import GRUCell
from echo_jax.config import RunConfig, changed
from echo_jax.exceptions import ConfigError
from echo_jax.memory.card.train_and_score import named_cell

SMALL = {
    "length": 8, "window": 2, "batch_size": 2, "evaluation_sequences": 5, "stateful": False,
}  # fmt: skip


def test_options_are_those_of_a_card_of_the_same_flags():
    asked = ("lru", None, 400), ("block:delta-net", None, 400), ("block:mlstm", "layers=2", 344)
    for cell, args, size in (*asked, ("mlp", "features=9", 960)):
        config = changed(RunConfig(), cell=cell, cell_args=args, state_bytes=size, vocab_size=16)
        again = with_cell_stated(with_cell_stated(config))
        built = cell_of(config)
        assert built == cell_of(again)
        assert built == named_cell(cell, options_in(args or ""), size).cell
        assert again.network.state_bytes is None


def test_options_of_a_call_are_kept_in_a_folder_where_a_name_finds_the_cell(tmp_path):
    by_size = echo_jax.train(**SMALL, sequences=2, cell="gru", hidden_size=4)
    for cell, args in (("gru", {"features": 4}), (GRUCell, {"features": 4}), (GRUCell(4), None)):
        run = echo_jax.train(**SMALL, sequences=2, cell=cell, args=args)
        assert (run.config, run.result.digest) == (by_size.config, by_size.result.digest)
    register = echo_jax.train(**SMALL, sequences=2, cell=ShiftRegister(3), out=tmp_path / "run")
    assert register.config.network.cell_args == "slots=3"
    loaded = echo_jax.load(tmp_path / "run", cell=register.config.network.cell)
    assert loaded.network.cell == ShiftRegister(3)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"cell": GRUCell, "state_bytes": 400}, "^state_bytes=400 needs a cell given by its name"),
        ({"cell": GRUCell, "cell_args": "features=4"}, "^cell_args=.* needs a cell given by"),
        ({"cell_args": "features=4", "args": {}}, "^args=.* cannot be used with cell_args"),
    ],
)
def test_options_that_go_with_no_object_are_refused(fields, sentence):
    with pytest.raises(ConfigError, match=sentence):
        echo_jax.train(**SMALL, **fields)
