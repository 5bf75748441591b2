import flax.linen as nn
import pytest

from echo_jax.cells import delay_line_mlp, known_memory, lstm, user_cell
from echo_jax.exceptions import ConfigError


class OfEight(nn.RNNCellBase):
    """A cell with a size of its own."""

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
    assert user_cell.parse_args(text) == args


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
        user_cell.parse_args(text)


@pytest.mark.parametrize(
    ("name", "args", "cell"),
    [
        ("lstm", {}, lstm.LSTMCell(50)),
        ("lstm-chrono", {"features": 7, "longest": 100}, lstm.ChronoLSTMCell(7, 100)),
        ("mlp", {"delay_line": 3}, delay_line_mlp.DelayLineMLP(50, 3)),
        ("echo_jax.controls:ShiftRegister", {"slots": 6}, known_memory.ShiftRegister(6)),
        ("echo_jax.controls:LeakyIntegrator", {}, known_memory.LeakyIntegrator(0.9)),
        ("flax.linen:GRUCell", {}, nn.GRUCell(50)),
        ("test_user_cell:OfEight", {}, OfEight()),
    ],
)
def test_a_cell_is_built_of_its_name_and_its_arguments(name, args, cell):
    assert user_cell.build(name, args) == cell


@pytest.mark.parametrize(
    ("name", "args", "sentence"),
    [
        ("lstn", {}, "cell 'lstn' is unknown: use one of lstm"),
        ("lstm", {"feature": 7}, "cell 'lstm' has no field feature: use features; its fields are"),
        ("broken_cells:NeedsUnits", {"gate": 1}, "cell .* has no field gate: use gated"),
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
        ("no_such_module:Cell", {}, "cell 'no_such_module:Cell' cannot be imported"),
        ("broken_cells:NoSuchCell", {}, "cell 'broken_cells:NoSuchCell' cannot be imported"),
        ("flax.linen:Dense", {}, "cell 'flax.linen:Dense' is no flax.linen.RNNCellBase"),
    ],
)
def test_a_cell_that_cannot_be_built_is_refused(name, args, sentence):
    with pytest.raises(ConfigError, match=f"^{sentence}") as refusal:
        user_cell.build(name, args)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("module", "source", "said"),
    [
        ("cell_unread", "import jax\n\nclass Mine(:\n", "cell_unread.py:3: .* imported .SyntaxErr"),
        ("cell_unrun", "import jax\n\njax.nothing_here\n", "cell_unrun.py:3: .*AttributeError"),
        ("cell_inside", "def f():\n    1 / 0\nf()\n", "cell_inside.py:2: .*ZeroDivisionError"),
        (
            "cell_other",
            "x = 1\n\nclass Mine:\n    pass\n",
            "cell_other.py:3: .* is no flax.linen.R",
        ),
        ("cell_plain", "def Mine():\n    pass\n", "cell 'cell_plain:Mine' is no flax.linen.RNN"),
    ],
)
def test_the_line_that_keeps_a_file_from_being_imported_is_named(
    tmp_path, monkeypatch, module, source, said
):
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=f"^{said}"):
        user_cell.build(f"{module}:Mine", {})


def test_a_class_that_inherits_its_steps_is_located_by_itself(tmp_path, monkeypatch):
    source = "import flax.linen as nn\n\n\nclass Mine(nn.GRUCell):\n    pass\n"
    (tmp_path / "cell_that_inherits.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    cell = user_cell.build("cell_that_inherits:Mine", {})
    assert user_cell.location(type(cell)) == "cell_that_inherits.py:4"
