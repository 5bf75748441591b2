import pytest

from echo_jax.cells import registry
from echo_jax.config import NetworkConfig
from echo_jax.exceptions import ConfigError


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
    assert registry.options_in(text) == args


@pytest.mark.parametrize(
    "text",
    ["64", "features:64", "features=", "rate=1,**rate", "a=1)(b=2", "a=1)+f(b=2", "\0",
     "rate=1,rate=2", "rate=1/2", "kind=print(1)"],
)  # fmt: skip
def test_other_arguments_are_refused(text):
    with pytest.raises(ConfigError) as refusal:
        registry.options_in(text)
    assert refusal.value.field == "cell_args"


@pytest.mark.parametrize(
    ("name", "args", "rule"),
    [
        ("lstn", {}, "is unknown: did you mean lstm"),
        ("rnn", {}, "is unknown: did you mean simple"),
        ("block:Elman_RNN", {}, "is unknown: did you mean block:simple"),
        ("lstm", {"feature": 7}, "has no field feature: use one of features"),
        ("broken_cells:NeedsUnits", {"parent": 1}, "has no field parent: use one of"),
        ("broken_cells:NeedsUnits", {}, "has no value for units"),
        ("lstm", {"features": 0}, "cannot have features=0"),
        ("lstm", {"features": "x"}, "cannot have features='x'"),
        ("lstm", {"features": 2.0}, "cannot have features=2.0"),
        (
            "broken_cells:RefusesItsFields",
            {"gain": 2},
            r"cannot be built \(.*broken_cells.py:\d+: ValueError: gain above 1\)",
        ),
    ],
)
def test_a_cell_that_cannot_be_built_is_refused(name, args, rule):
    with pytest.raises(ConfigError, match=f"^cell='{name}' {rule}") as refusal:
        registry.build(name, args)
    assert "\n" not in str(refusal.value)


def test_the_delay_line_of_the_mlp_is_the_window_unless_it_is_set():
    for given, line in ((None, 5), (2, 2)):
        config = NetworkConfig("mlp", 4, delay_line=given)
        assert registry.build_cell(config, window=5).module.delay_line == line


def test_the_units_of_a_run_are_those_of_the_cell_by_the_name_that_it_gives_them():
    config = NetworkConfig("flax.nnx:GRUCell", 7)
    assert registry.build_cell(config, window=5).options.hidden_features == 7
