import functools
import inspect
import re
import subprocess
import sys
import time
from pathlib import Path

import broken_cells
import pytest

from echo_jax.cells import cell_check, lstm, user_cell
from echo_jax.config import CELL_NAMES
from echo_jax.exceptions import ConfigError

BATCH_FIRST = "give every array of it the batch axis first"
SAME_CARRY = "return a carry of the same tree, shapes and types as initialize_carry"
NOT_CONCRETE = "cannot be compiled, as it asks for the value of an array .*: use jnp.where"
NOT_THE_SAME = r"is not the same function each time it is compiled .*: leave out what differs"
ROW_BY_ROW = "compute every row from its own carry and input"
GUARD = "at its initial weights: guard"

BROKEN = {
    "DriftsToFloat16": rf"turns its carry float32\[2, 4\] into float16\[2, 4\]: {SAME_CARRY}",
    "DriftsFromIntegers": rf"turns its carry int32\[2, 4\] into float32\[2, 4\]: {SAME_CARRY}",
    "GrowsItsCarry": rf"turns its carry float32\[2, 4\] into float32\[2, 9\]: {SAME_CARRY}",
    "ReturnsATreeOfAnotherKind": rf"turns its carry .* into \('float32.*\): {SAME_CARRY}",
    "ReturnsThree": r"returns \(.*\) from a step: return two, the carry and the output",
    "GivesATuple": r"returns an output \(.*\): return one array, \[batch, features\]",
    "GivesOneNumberARow": r"returns an output of shape \(2,\) .*: return \[batch, features\]",
    "GivesIntegers": "returns an output of type int32, which has no gradient: return real",
    "StartsWithoutABatch": rf"starts from a carry .* of shape \(4,\) .*: {BATCH_FIRST}",
    "StartsWithTheBatchLast": rf"starts from a carry .* of shape \(4, 2\) .*: {BATCH_FIRST}",
    "StartsForABatchOf2": rf"starts from .* \(2, 4\) for inputs of shape \(3, 5\): {BATCH_FIRST}",
    "StartsWithAShapeOfTheBatch": r"starts from .* for a batch of 2 and .*: let nothing but the",
    "StartsWithAKey": r"starts from a carry with an array of type key<.*: keep numbers in it",
    "CannotStart": r"fails in initialize_carry \(ValueError: not enough values .*: return an array",
    "StartsAnywhere": "does not start from the same carry twice for one rng: draw what is random",
    "NeverStarts": r"has no initialize_carry: define initialize_carry\(self, rng, input_shape\)",
    "NeverSteps": r"has no __call__: define __call__\(self, carry, inputs\)",
    "KeepsStatistics": "keeps variables in batch_stats: move what it learns to `params`",
    "KeepsACache": "keeps variables in cache: move what it learns to `params`",
    "DropsOut": r"draws random numbers in a step \(make_rng, dropout\): make it deterministic",
    "DrawsFromNumpy": NOT_THE_SAME,
    "TossesACoin": NOT_THE_SAME,
    "ReadsTheClock": NOT_THE_SAME,
    "DrawsItsWeightsFromNumpy": "does not start from the same weights twice for one key: draw them",
    "BranchesOnAValue": NOT_CONCRETE,
    "ReadsANumber": NOT_CONCRETE,
    "UsesNumpy": NOT_CONCRETE,
    "KeepsAList": "keeps an array of an earlier step outside its carry: return it in its carry",
    "SetsAnAttribute": "sets an attribute of itself in a step: return what it remembers in the",
    "FailsInAStep": r"fails in a step \(TypeError: dot_general .*\): mend it",
    "MixesTheBatch": f"mixes the rows of a batch, as row 0 changes .* row 1: {ROW_BY_ROW}",
    "MixesOneWay": f"mixes the rows of a batch, as row 1 changes .* row 0: {ROW_BY_ROW}",
    "MixesTheCarryAlone": f"mixes the rows of a batch, as row 0 changes .*: {ROW_BY_ROW}",
    "DividesByTheBatch": "gives other numbers for a row alone than .*: let no value depend on the",
    "LearnsABatch": r"has parameters .*\[2, 4\] for a batch of 2 and .*: let their shapes depend",
    "TakesTwoRows": r"takes a batch of 2 and fails with one of 1 .*: take the batch size from the",
    "FitsTwoInputs": r"fails in a step \(TypeError: dot_general .*\): mend it",
    "TakesALogarithm": f"has NaN or infinity in its output at step 1 of random inputs {GUARD}",
    "Explodes": f"has NaN or infinity in its carry at step 1[0-9] of random inputs {GUARD}",
    "HasNoSlopeAtZero": f"has NaN or infinity in the gradient of Dense_0/bias {GUARD} roots",
    "LearnsIntegers": "has the parameter order of type int32, which has no gradient: make it one",
    "LoopsWhile": r"has no gradient \(ValueError: Reverse-mode .*\): leave out what jax does not",
    "ProjectsSomethingElse": "has a project and an unroll that give other numbers .*: let them",
    "FailsToProject": r"fails in project or unroll \(.*\): let them take",
}


GOOD = ("Good", "GoodWithCounter", "GoodInHalfPrecision", "GoodOnItsOwnLayer")


def built(cell, **args):
    name = f"broken_cells:{cell}"
    return user_cell.build(name, {"features": 4, **args}), name


def wrong_line(cell):
    """The number of the first line from the class on that says of itself that it is wrong."""
    _, first = inspect.getsourcelines(getattr(broken_cells, cell))
    lines = Path(broken_cells.__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if n >= first and line.endswith("# wrong"))


RUN_BY_THE_SLOW_TESTS = {
    "TossesACoin", "ReadsTheClock", "MixesOneWay", "MixesTheCarryAlone", "TakesALogarithm",
    "ProjectsSomethingElse", "FailsToProject", "Explodes", "HasNoSlopeAtZero", "LearnsIntegers",
    "MixesTheBatch", "DividesByTheBatch",
}  # fmt: skip


def slow_if(condition, value):
    return pytest.param(value, marks=pytest.mark.slow) if condition else value


@pytest.mark.parametrize("cell", [slow_if(x in RUN_BY_THE_SLOW_TESTS, x) for x in BROKEN])
def test_a_broken_cell_is_refused_in_one_sentence_that_names_the_line(cell):
    with pytest.raises(ConfigError) as refusal:
        cell_check.check(*built(cell), input_size=5)
    sentence = str(refusal.value)
    where = f"tests/support/broken_cells.py:{wrong_line(cell)}: cell 'broken_cells:{cell}' "
    assert re.search(f"^(.*/)?{re.escape(where)}{BROKEN[cell]}", sentence), sentence
    assert "\n" not in sentence


def test_every_broken_cell_is_tried():
    own = {
        name
        for name, found in vars(broken_cells).items()
        if isinstance(found, type) and found.__module__ == "broken_cells"
    }
    elsewhere = {"Unrolled", "NeverEnds", "NeedsUnits", "RefusesItsFields"}
    assert own == {*BROKEN, *GOOD, *elsewhere}


@pytest.mark.parametrize(
    "cell",
    [slow_if(x != "Good", x) for x in GOOD],
)
def test_a_good_cell_passes(cell):
    cell_check.check(*built(cell), input_size=2)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("echo_jax.controls:ShiftRegister", {"slots": 6}),
        pytest.param("echo_jax.controls:LeakyIntegrator", {}, marks=pytest.mark.slow),
        pytest.param("echo_jax.controls:Memoryless", {}, marks=pytest.mark.slow),
        pytest.param("mlp", {"delay_line": 3}, marks=pytest.mark.slow),
        *(pytest.param(name, {"features": 4}, marks=pytest.mark.slow) for name in CELL_NAMES),
    ],
)
def test_a_control_and_a_cell_of_ours_pass(name, args):
    cell_check.check(user_cell.build(name, args), name, input_size=2)


def test_every_size_that_a_cell_will_be_fed_is_tried():
    with pytest.raises(ConfigError, match=BROKEN["FitsTwoInputs"]):
        cell_check.check(*built("FitsTwoInputs"), input_size=2, also=[5])


@pytest.mark.slow
def test_inputs_of_one_number_are_checked_too():
    cell_check.check(*built("Good"), input_size=1)
    with pytest.raises(ConfigError, match="mixes the rows of a batch"):
        cell_check.check(*built("MixesOneWay"), input_size=1)


def test_what_is_no_cell_is_refused():
    with pytest.raises(ConfigError, match=r"cell 'x' is no flax.linen.RNNCellBase: derive it"):
        cell_check.check(lstm.nn.Dense(4), "x", input_size=5)


def test_what_compiles_in_time_is_returned_and_what_it_raises_is_raised():
    cell, name = built("Good")
    assert cell_check.compile_within(60, lambda: 7, cell, name) == 7

    def own_error():
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        cell_check.compile_within(60, own_error, cell, name)


def test_what_does_not_compile_in_time_ends_with_a_sentence():
    cell, name = built("Unrolled")
    line = wrong_line("Unrolled")
    sentence = (
        rf"broken_cells.py:{line}: cell 'broken_cells:Unrolled' is not traced and compiled within "
        r"0\.01 s: put a loop over many operations into jax\.lax\.scan"
    )
    with pytest.raises(cell_check.TooLongError, match=sentence):
        cell_check.compile_within(0.01, functools.partial(time.sleep, 0.3), cell, name)


ENDLESS = """
import sys
from echo_jax import cell_check, cli, user_cell
name = "broken_cells:" + sys.argv[1]
print("first")
try:
    cell_check.check(user_cell.build(name, {}), name, 2, seconds=float(sys.argv[2]))
except cell_check.TooLongError as error:
    print(error, end="")
    cli.leave(2)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "seconds"), [("Unrolled", 8), ("NeverEnds", 1)])
def test_a_program_ends_at_once_though_a_compilation_goes_on(cell, seconds):
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", ENDLESS, cell, str(seconds)],
        check=False, capture_output=True, text=True, timeout=100,
        cwd=Path(broken_cells.__file__).parent,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "")
    where = rf"broken_cells\.py:\d+: cell 'broken_cells:{cell}'"
    sentence = f"{where} is not traced and compiled within {seconds} s: .*"
    assert re.fullmatch(f"first\n{sentence}", done.stdout)
    assert time.monotonic() - began < seconds + 25
