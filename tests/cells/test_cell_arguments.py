import flax.linen as nn
import pytest

from echo_jax.cells import cell_arguments, known_memory
from echo_jax.cells.adapters.adapt import adapt
from echo_jax.cells.vector_state import delay_line_mlp, lstm
from echo_jax.exceptions import ConfigError


class OfEight(nn.RNNCellBase):
    """A cell with a default size of its own."""

    features: int = 8


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("", {}),
        ("features=64,rate=0.9,gated=True", {"features": 64, "rate": 0.9, "gated": True}),
        ("rate=-1e-3, shape=(2, 3)", {"rate": -0.001, "shape": (2, 3)}),
        ("kind=full,name='a, b',size=None", {"kind": "full", "name": "a, b", "size": None}),
    ],
)
def test_arguments_are_python_literals_and_bare_words(text, args):
    assert cell_arguments.parse(text) == args


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("64", r"cell args '64' are not of the form name=value,name=value: write them as in feat"),
        ("features:64", "cell args 'features:64' are not of the form name=value"),
        ("features=", "cell args 'features=' are not of the form name=value"),
        ("rate=1,**rate", "cell args .* are not of the form name=value"),
        ("a=1)(b=2", "cell args .* are not of the form name=value"),
        ("a=1)+f(b=2", "cell args .* are not of the form name=value"),
        ("\0", "cell args .* are not of the form name=value"),
        ("rate=1,rate=2", "cell args 'rate=1,rate=2' give rate twice: give it once"),
        ("rate=1/2", "cell args rate=1 / 2 is neither a number, a word, True, .*: put anything"),
        ("kind=print(1)", r"cell args kind=print\(1\) is neither a number"),
    ],
)
def test_other_arguments_are_refused(text, sentence):
    with pytest.raises(ConfigError, match=f"^{sentence}"):
        cell_arguments.parse(text)


@pytest.mark.parametrize(
    ("name", "args", "cell"),
    [
        ("lstm", {}, lstm.LSTMCell(50)),
        ("lstm-chrono", {"features": 7, "longest": 100}, lstm.ChronoLSTMCell(7, 100)),
        ("mlp", {"delay_line": 3}, delay_line_mlp.DelayLineMLP(50, 3)),
        ("echo_jax.controls:ShiftRegister", {"slots": 6}, known_memory.ShiftRegister(6)),
        ("flax.linen:GRUCell", {}, nn.GRUCell(50)),
        ("test_cell_arguments:OfEight", {}, OfEight()),
    ],
)
def test_a_cell_is_built_of_its_name_and_its_arguments(name, args, cell):
    assert cell_arguments.build(name, args) == adapt(cell)


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("lstn", {}, "cell 'lstn' is unknown: did you mean lstm"),
        ("lstm", {"feature": 7}, "cell 'lstm' has no field feature: use features; its fields are"),
        ("broken_cells:NeedsUnits", {"x": 1}, "cell .* has no field x: its fields are units, rate"),
        ("broken_cells:NeedsUnits", {"parent": 1}, "cell .* has no field parent: its fields"),
        ("broken_cells:NeedsUnits", {}, "cell .* has no value for units: give it as in --cell-arg"),
        ("echo_jax.controls:ShiftRegister", {"slots": 0}, "slots 0 is below 1: use 1 or more"),
        ("lstm", {"features": 0}, "cell 'lstm' cannot have features=0: use a whole number from 1"),
        ("lstm", {"features": "x"}, "cell 'lstm' cannot have features='x': use a whole number"),
        ("lstm", {"features": 2.0}, "cell 'lstm' cannot have features=2.0: use a whole number"),
        ("lstm-chrono", {"longest": "x"}, "cell 'lstm-chrono' cannot be built"),
        (
            "broken_cells:RefusesItsFields",
            {"gain": 2},
            r".*broken_cells.py:\d+: cell .* cannot be built \(ValueError: gain above 1\): give",
        ),
        ("broken_cells:NoSuchCell", {}, "cell 'broken_cells:NoSuchCell' cannot be imported"),
    ],
)
def test_a_cell_that_cannot_be_built_is_refused(name, args, sentence):
    with pytest.raises(ConfigError, match=f"^{sentence}") as refusal:
        cell_arguments.build(name, args)
    assert "\n" not in str(refusal.value)
