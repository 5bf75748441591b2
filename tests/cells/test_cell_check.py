import inspect
import re
from pathlib import Path

import broken_cells
import pytest

from echo_jax.cells import cell_arguments, cell_check
from echo_jax.config import CELL_NAMES
from echo_jax.exceptions import ConfigError

BATCH_FIRST = "give every array of it the batch axis first"
SAME_CARRY = "return a carry of the same tree, shapes and types as initialize_carry"
NOT_CONCRETE = "cannot be compiled, as it asks for the value of an array .*: use jnp.where"
NOT_THE_SAME = r"is not the same function each time it is compiled .*: leave out what differs"
ROW_BY_ROW = "compute every row from its own carry and input"
GUARD = "at its initial weights: guard"

SHAPES = {
    "DriftsToFloat16": rf"turns its carry float32\[2, 4\] into float16\[2, 4\]: {SAME_CARRY}",
    "ReturnsATreeOfAnotherKind": rf"turns its carry .* into \('float32.*\): {SAME_CARRY}",
    "ReturnsThree": r"returns \(.*\) from a step: return two, the carry and the output",
    "GivesATuple": r"returns an output \(.*\): return one array, \[batch, features\]",
    "GivesOneNumberARow": r"returns an output of shape \(2,\) .*: return \[batch, features\]",
    "GivesIntegers": "returns an output of type int32, which has no gradient: return real",
    "StartsWithoutABatch": rf"starts from a carry .* of shape \(4,\) .*: {BATCH_FIRST}",
    "StartsWithAShapeOfTheBatch": r"has the carry float32\[2, 3\] for .* and float32\[1, 2\] for",
    "StartsWithAKey": r"starts from a carry with an array of type key<.*: keep numbers in it",
    "CannotStart": r"fails in initialize_carry \(ValueError: not enough values .*: define it to",
    "NeverStarts": r"fails in initialize_carry \(NotImplementedError\): define it to return an",
    "NeverSteps": r"fails in a step \(AttributeError: .* no attribute \"__call__\".*\): mend it",
    "KeepsACache": "keeps variables in cache: move what it learns to `params`",
    "DropsOut": r"draws random numbers in a step \(make_rng, dropout\): make it deterministic",
    "BranchesOnAValue": NOT_CONCRETE,
    "KeepsAList": "keeps an array of an earlier step outside its carry: return it in its carry",
    "SetsAnAttribute": "sets an attribute of itself in a step: return what it remembers in the",
    "FailsInAStep": r"fails in a step \(TypeError: dot_general .*\): mend it",
    "LearnsABatch": r"fails in a step \(ScopeParamShapeError: .*\): mend it",
    "FitsTwoInputs": r"fails in a step \(TypeError: dot_general .*\): mend it",
}
"""Cells that tracing refuses, and the sentence about each."""

NUMBERS = {
    "StartsAnywhere": "does not start from the same carry twice: make it a function of its",
    "DrawsItsWeightsFromNumpy": "does not start from the same weights twice for one key: draw them",
    "DrawsFromNumpy": NOT_THE_SAME,
    "LoopsWhile": r"has no gradient \(ValueError: Reverse-mode .*\): leave out what jax does not",
    "MixesOneWay": f"mixes the rows of a batch, as row 1 changes .* row 0: {ROW_BY_ROW}",
    "MixesTheCarryAlone": f"mixes the rows of a batch, as row 0 changes .*: {ROW_BY_ROW}",
    "DividesByTheBatch": "gives other numbers for a row alone than .*: let no value depend on the",
    "TakesALogarithm": f"has NaN or infinity in its carry or output at step 1 of .* {GUARD}",
    "Explodes": f"has NaN or infinity in its carry or output at step 1[0-9] of .* {GUARD}",
    "HasNoSlopeAtZero": f"has NaN or infinity in the gradient of Dense_0/bias {GUARD} roots",
    "LearnsIntegers": r"has no gradient \(TypeError: .*int32.*\): leave out .* integer parameters",
    "ScansToSomethingElse": "has a scan that gives other numbers than its steps: let them agree",
    "FailsToScan": r"fails in scan \(.*\): let it take",
}
"""Cells that running them refuses; those after the fourth only in the slow tests."""

GOOD = ("Good", "GoodWithCounter", "GoodInHalfPrecision", "GoodOnItsOwnLayer", "LearnsNothing")


def check(cell, input_size, **others):
    name = f"broken_cells:{cell}"
    cell_check.check(cell_arguments.build(name, {"features": 4}), name, input_size, **others)


def wrong_line(cell):
    """The number of the first line from the class on that ends in `# wrong`."""
    _, first = inspect.getsourcelines(getattr(broken_cells, cell))
    lines = Path(broken_cells.__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if n >= first and line.endswith("# wrong"))


@pytest.mark.parametrize(
    "cell",
    [
        *SHAPES,
        *list(NUMBERS)[:4],
        *(pytest.param(cell, marks=pytest.mark.slow) for cell in list(NUMBERS)[4:]),
    ],
)
def test_a_broken_cell_is_refused_in_one_sentence_that_names_the_line(cell):
    with pytest.raises(ConfigError) as refusal:
        check(cell, input_size=5)
    sentence = str(refusal.value)
    where = f"tests/support/broken_cells.py:{wrong_line(cell)}: cell 'broken_cells:{cell}' "
    assert re.search(f"^(.*/)?{re.escape(where)}{(SHAPES | NUMBERS)[cell]}", sentence), sentence
    assert "\n" not in sentence


def test_every_broken_cell_is_tried():
    own = {name for name, x in vars(broken_cells).items() if inspect.getmodule(x) is broken_cells}
    elsewhere = {"Unrolled", "NeverEnds", "NeedsUnits", "RefusesItsFields"}
    assert own == {*SHAPES, *NUMBERS, *GOOD, *elsewhere}


OWN_CELLS = [
    *((f"broken_cells:{cell}", {"features": 4}) for cell in GOOD),
    ("echo_jax.controls:ShiftRegister", {"slots": 6}),
    ("echo_jax.controls:LeakyIntegrator", {}),
    ("echo_jax.controls:Memoryless", {}),
    ("echo_jax.controls:CausalConvolution", {"features": 4, "window": 3}),
    ("echo_jax.cells.known_memory:SlidingWindowAttention", {"features": 4, "window": 3}),
    ("mlp", {"delay_line": 3}),
    *((name, {"features": 4}) for name in CELL_NAMES),
]


@pytest.mark.parametrize(
    ("name", "args"),
    [OWN_CELLS[0], *(pytest.param(*cell, marks=pytest.mark.slow) for cell in OWN_CELLS[1:])],
)
def test_good_cells_and_our_own_pass(name, args):
    cell_check.check(cell_arguments.build(name, args), name, input_size=2)


def test_every_size_that_a_cell_will_be_fed_is_tried_also_of_one_number():
    with pytest.raises(ConfigError, match=SHAPES["FitsTwoInputs"]):
        check("FitsTwoInputs", input_size=2, other_sizes=[5])
    with pytest.raises(ConfigError, match="mixes the rows of a batch"):
        check("MixesOneWay", input_size=1)


def test_a_cell_too_large_for_a_card_is_refused():
    cell = cell_arguments.build("gru", {"features": 10_000})
    with pytest.raises(ConfigError, match=r"^cell 'gru' has 300,\d{3},000 parameters, and 100,000"):
        cell_check.check(cell, "gru", input_size=2)
