"""What is handed over in Python has the name, arguments and source that the command gives it."""

import dataclasses
import sys
import types

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from flax import linen as nn
from flax import nnx

from echo_jax.cells import cell_object, known_memory
from echo_jax.cells.adapt import BlockOf, adapt
from echo_jax.cells.block import Block
from echo_jax.cells.registry import options_in
from echo_jax.cells.vector_state.delay_line_mlp import DelayLineMLP
from echo_jax.cells.vector_state.flax_rnns import GRUCell
from echo_jax.config import NetworkConfig
from echo_jax.exceptions import ConfigError
from echo_jax.memory.card.train_and_score import named_cell


def init(key, input_size):
    return {}


def initial_state(params, batch_size, input_size):
    return jnp.zeros((batch_size, input_size))


def step(params, state, x, rate=1.0):
    return x, jnp.concatenate([state, rate * x], axis=-1)


@dataclasses.dataclass(frozen=True)
class Functions:
    width: int = 3

    init, initial_state, step = (staticmethod(each) for each in (init, initial_state, step))


REGISTER = "echo_jax.cells.known_memory:ShiftRegister"
PRESENT = "echo_jax.cells.known_memory:PresentInput"


@pytest.mark.parametrize(
    ("given", "name", "arguments", "fields"),
    [
        ((GRUCell,), "gru", "", {"hidden_size": 50}),
        ((GRUCell(4),), "gru", "features=4", {"hidden_size": 4}),
        ((nn.GRUCell,), "flax.linen:GRUCell", "", {}),
        ((nnx.GRUCell, {"hidden_features": 4}), "flax.nnx:GRUCell", "hidden_features=4",
         {"hidden_size": 4}),
        ((eqx.nn.LSTMCell,), "equinox.nn:LSTMCell", "", {}),
        ((known_memory.ShiftRegister(3),), REGISTER, "slots=3", {"cell_args": "slots=3"}),
        ((known_memory.PresentInput(4),), PRESENT, "features=4", {"hidden_size": 4}),
        ((BlockOf(GRUCell), {"layers": 2}), "block:gru", "layers=2", {"cell_args": "layers=2"}),
        ((Block(adapt(GRUCell(4)), layers=2),), "block:gru", "features=4,layers=2",
         {"hidden_size": 4, "cell_args": "layers=2"}),
        (("mlp", {"delay_line": 2}), "mlp", "delay_line=2", {"cell_args": "delay_line=2"}),
        ((DelayLineMLP(4, 2),), "mlp", "features=4,delay_line=2",
         {"hidden_size": 4, "delay_line": 2}),
        ((Functions(5),), "test_cell_object:Functions", "width=5", None),
    ],
)  # fmt: skip
def test_an_object_is_the_cell_of_its_name_also_in_a_configuration(given, name, arguments, fields):
    """Where the name and the fields of a configuration cannot state it, it is handed on."""
    ours, named = named_cell(*given), named_cell(name, options_in(arguments))
    assert ours.measured == named.measured
    assert ours.card_name == named.card_name
    shapes = [
        jax.eval_shape(lambda cell=x.cell: cell.init(jax.random.key(0), 2)) for x in (ours, named)
    ]
    assert jax.tree.map(jnp.shape, shapes[0]) == jax.tree.map(jnp.shape, shapes[1])
    stated, cell = cell_object.in_config(*given)
    assert (cell is None) == (fields is not None)
    if fields is not None:
        assert NetworkConfig(**stated) == NetworkConfig(name, **fields)


def test_options_that_no_text_states_make_an_object_of_a_name():
    args = {"kernel_init": nn.initializers.zeros}
    fields, cell = cell_object.in_config("flax.linen:GRUCell", args)
    assert fields["cell"] == "object:GRUCell"
    assert cell == adapt(nn.GRUCell(50, **args))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ((sys.modules[__name__], None, 12), "hidden_size"),
        ((GRUCell(4), None, 5), "hidden_size"),
        ((GRUCell(4), {"features": 4}), "args"),
        ((3,), None),
        ((types.ModuleType("empty"),), "cell"),
    ],
)
def test_an_object_that_is_no_cell_or_has_another_size_is_refused(given, field):
    with pytest.raises(ConfigError) as refusal:
        cell_object.in_config(*given)
    assert refusal.value.field == field
