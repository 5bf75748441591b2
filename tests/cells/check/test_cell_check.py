import inspect
import re
import sys
from pathlib import Path

import awkward_cells
import broken_cells
import cheating_cells
import jax
import numpy as np
import pytest

from echo_jax.cells import cell_arguments
from echo_jax.cells.adapters.adapt import adapt, options_of
from echo_jax.cells.check import cell_check
from echo_jax.cells.check.shape_check import Candidate, check_shapes
from echo_jax.cells.check.traced_programs import Parameter, some_of, trace_programs
from echo_jax.cells.registry import CELLS
from echo_jax.cells.scan import recurrences
from echo_jax.exceptions import ConfigError

BATCH_FIRST = "keep numbers in it, and give every array of it the batch axis first"
SAME_CARRY = "return a carry of the same tree, shapes and types as initialize_carry"
NOT_CONCRETE = "cannot be compiled, as it asks for the value of an array .*: use jnp.where"
NOT_THE_SAME = r"is not the same function each time it is compiled .*: leave out what differs"
ROW_BY_ROW = "compute every row from its own carry and input"
GUARD = "at its initial weights: guard"
ONE_OUTPUT = "return one array of real floating-point numbers"
OTHER_NUMBERS = "has a scan that gives other numbers than its steps"
IN_THE_CARRY = "leave that out, and keep all memory in the carry"

SHAPES = {
    "DriftsToFloat16": rf"turns its carry float32\[2, 4\] into float16\[2, 4\]: {SAME_CARRY}",
    "ReturnsATreeOfAnotherKind": rf"turns its carry .* into \('float32.*\): {SAME_CARRY}",
    "ReturnsThree": r"returns \(.*\) from a step: return two, the carry and the output",
    "GivesATuple": rf"returns an output \(.*\) for a batch of 2: {ONE_OUTPUT}",
    "GivesOneNumberARow": rf"returns an output float32\[2\] for a batch of 2: {ONE_OUTPUT}",
    "GivesIntegers": rf"returns an output int32\[2, 4\] for a batch of 2: {ONE_OUTPUT}",
    "StartsWithoutABatch": rf"starts from a carry with float32\[4\] for .*: {BATCH_FIRST}",
    "StartsWithAShapeOfTheBatch": r"has the carry float32\[2, 3\] for .* and float32\[1, 2\] for",
    "StartsWithAKey": rf"starts from a carry with key<fry>\[2\] for .*: {BATCH_FIRST}",
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
    "MixesOneWay": f"mixes the rows of a batch, as row 1 changes with .* others: {ROW_BY_ROW}",
    "MixesTheCarryAlone": f"mixes the rows of a batch, as row 0 changes .*: {ROW_BY_ROW}",
    "DividesByTheBatch": "gives other numbers for a row alone than .* not .*: let no value depend",
    "TakesALogarithm": f"has NaN or infinity in its carry or output at step 1 of .* {GUARD}",
    "Explodes": f"has NaN or infinity in its carry or output at step 1[0-9] of .* {GUARD}",
    "HasNoSlopeAtZero": f"has NaN or infinity in the gradient of Dense_0/bias {GUARD} roots",
    "LearnsIntegers": r"has no gradient \(TypeError: .*int32.*\): leave out .* integer parameters",
    "ScansToSomethingElse": rf"{OTHER_NUMBERS} \(the output at step 2 is .*\): let it agree",
    "FailsToScan": r"fails in scan \(.*\): let it take",
}
"""Cells that running them refuses; those after the fourth only in the slow tests."""

CHEATS = {
    "Peeks": rf"{OTHER_NUMBERS} \(the output at step 3 is 0, not 1\): let it agree with",
    "HostMemo": rf"calls Python from its compiled program \(jax.pure_callback\): {IN_THE_CARRY}",
    "MixesLater": f"mixes the rows of a batch, as row 0 changes with .* others: {ROW_BY_ROW}",
    "Prints": rf"prints from its compiled program \(jax.debug.print\): {IN_THE_CARRY}",
    "TellsTheHost": rf"prints or calls Python .* \(jax.debug\): {IN_THE_CARRY}",
    "CallsBackInItsRule": rf"calls Python .* \(io_callback\): {IN_THE_CARRY}",
    "KeepsARef": r"has effects beside its results \(ReadEffect, WriteEffect\): keep all memory in",
    "DrawsByACounter": r"draws random numbers in a step \(random_.*\): make it deterministic",
    "GrowsItsState": r"turns its carry float32\[2, 4\] into float32\[2, 9\]: return a carry of the",
    "ScansToAnotherType": r"has a scan that returns .*bfloat16\[3, 2, 4\].*: return the last carry",
    "DrawsWhenPrepared": NOT_THE_SAME,
    "PeeksOneAhead": r"has a scan whose outputs depend on later inputs \(the output at step 128 is",
    "ForgetsWhereItIs": rf"{OTHER_NUMBERS} from the same state \(.*\): let it agree",
    "IgnoresItsMask": rf"{OTHER_NUMBERS} where some are masked \(.*\): let it agree",
    "StartsAnew": rf"{OTHER_NUMBERS} from the same state \(the output at step 1 is .*\): let it",
    "MixesInItsScan": rf"{OTHER_NUMBERS} \(.*\): let it agree",
    "ScansInHalfPrecision": rf"{OTHER_NUMBERS} \(.*\): let it agree",
}
"""Cells whose card would be worth nothing; those from `DrawsWhenPrepared` on only in slow tests."""

GOOD = ("Good", "GoodWithCounter", "GoodInHalfPrecision", "GoodOnItsOwnLayer", "LearnsNothing")


def check(cell, input_size, module="broken_cells", **others):
    name = f"{module}:{cell}"
    args = {"features": 4} if options_of(getattr(sys.modules[module], cell)) else {}
    return cell_check.check(cell_arguments.build(name, args), name, input_size, **others)


def wrong_line(module, cell):
    """The number of the first line from the class on that ends in `# wrong`."""
    _, first = inspect.getsourcelines(getattr(sys.modules[module], cell))
    lines = Path(sys.modules[module].__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if n >= first and line.endswith("# wrong"))


def own_classes(module):
    return {name for name, x in vars(module).items() if inspect.getmodule(x) is module}


def slow_after(cases, fast):
    return [*cases[:fast], *(pytest.param(each, marks=pytest.mark.slow) for each in cases[fast:])]


def assert_refused(module, cell, sentences):
    with pytest.raises(ConfigError) as refusal:
        check(cell, 5, module)
    said, line = str(refusal.value), wrong_line(module, cell)
    where = f"tests/support/{module}.py:{line}: cell '{module}:{cell}' "
    assert re.search(f"^(.*/)?{re.escape(where)}{sentences[cell]}", said), said
    assert "\n" not in said


@pytest.mark.parametrize("cell", [*SHAPES, *slow_after(list(NUMBERS), 4)])
def test_a_broken_cell_is_refused_in_one_sentence_that_names_the_line(cell):
    assert_refused("broken_cells", cell, SHAPES | NUMBERS)


@pytest.mark.parametrize("cell", slow_after(list(CHEATS), list(CHEATS).index("DrawsWhenPrepared")))
def test_a_cheating_cell_is_refused_in_one_sentence_that_names_the_line(cell):
    assert_refused("cheating_cells", cell, CHEATS)


def test_every_broken_and_every_cheating_cell_is_tried():
    elsewhere = {"Unrolled", "NeverEnds", "NeedsUnits", "RefusesItsFields"}
    assert own_classes(broken_cells) == {*SHAPES, *NUMBERS, *GOOD, *elsewhere}
    cheats = {x for x in own_classes(cheating_cells) if x[0].isupper() and x != "TABLE"}
    assert cheats == {*CHEATS, "Leaky", "PeeksWhereABiasIs"}


REMARKS = {
    "DecayByTime": "keeps int32 in its state: what is packed in an integer cannot be read linearly",
    "PackedBits": "keeps int32 in its state: what is packed in an integer cannot be read linearly",
    "Overflows": "overflows at step 128 of random inputs at its initial weights",
    "Reservoir": "has 144 parameters, of which 80 are frozen, as no gradient reaches frozen",
}
AWKWARD = [x for x in own_classes(awkward_cells) if inspect.isclass(vars(awkward_cells)[x])]


@pytest.mark.parametrize("cell", slow_after(sorted(sorted(AWKWARD), key="NestedState".__ne__), 1))
def test_an_honest_cell_is_accepted_however_awkward_it_is(cell):
    remarks = check(cell, 5, "awkward_cells")
    assert [each for each in remarks if REMARKS.get(cell, "?") in each] == remarks[:1]


def test_a_remark_names_five_and_counts_the_rest():
    names = [f"w{i}" for i in range(7)]
    assert some_of(names[:5]) == "w0, w1, w2, w3, w4"
    assert some_of(names) == "w0, w1, w2, w3, w4 and 2 more"


def test_what_is_frozen_or_the_same_for_all_seeds_is_said():
    candidate = Candidate(adapt(awkward_cells.Reservoir), "Reservoir", 5)
    programs = trace_programs(candidate)
    parameters = programs.parameters()
    assert parameters == {"frozen": Parameter(80, False, True), "read": Parameter(64, True, True)}
    said = "has float32[16, 16] fixed in its code: the same for all seeds"
    assert programs.remarks()[1:] == [said]
    biased = Candidate(adapt(cheating_cells.PeeksWhereABiasIs), "biased", 5)
    assert trace_programs(biased).parameters()["bias"] == Parameter(4, True, False)  # slope 1


def scan_faults(cell, factors, seeds):
    """The faults of the scan of a cell at weights larger than initial ones, as training makes."""
    candidate = Candidate(cell, "cell", 3)
    trial = cell_check.Trial(candidate, trace_programs(candidate))
    for seed in range(seeds):
        params = jax.device_get(jax.jit(candidate.init)(jax.random.key(seed)))
        for factor in factors:
            larger = jax.tree.map(lambda leaf, by=factor: by * np.asarray(leaf), params)
            yield trial.scan_fault(larger)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [*(name for name, cell in CELLS.items() if hasattr(cell, "scan")), "awkward_cells:Chaotic",
     "awkward_cells:LogSpaceGates", "awkward_cells:Stabilised", "block:gru"],
)  # fmt: skip
def test_a_scan_in_parallel_agrees_with_its_steps_at_larger_weights_as_after_training(name):
    with recurrences("parallel"):
        assert set(scan_faults(cell_arguments.build(name, {}), (1, 3), seeds=3)) == {""}


@pytest.mark.slow
def test_a_cheat_that_waits_for_other_weights_is_found_at_them_and_not_at_the_initial_ones():
    assert check("PeeksWhereABiasIs", 3, "cheating_cells") == []
    candidate = Candidate(adapt(cheating_cells.PeeksWhereABiasIs), "cheat", 3)
    trial = cell_check.Trial(candidate, trace_programs(candidate))
    params = jax.device_get(trial.init())
    assert not trial.scan_fault(params)
    assert OTHER_NUMBERS in trial.scan_fault(params | {"bias": np.float32([0, 0, 0.01, 0])})


def test_train_refuses_a_scan_that_does_not_fit_in_one_sentence():
    cell = adapt(cheating_cells.ScansToAnotherType)
    with pytest.raises(ConfigError, match=CHEATS["ScansToAnotherType"]):
        check_shapes(cell, "cheating_cells:ScansToAnotherType", 5)


OWN_CELLS = [
    *((f"broken_cells:{cell}", {"features": 4}) for cell in GOOD),
    ("echo_jax.controls:ShiftRegister", {"slots": 6}),
    ("echo_jax.controls:LeakyIntegrator", {}),
    ("echo_jax.controls:Memoryless", {}),
    ("echo_jax.controls:CausalConvolution", {"features": 4, "window": 3}),
    ("echo_jax.cells.known_memory:SlidingWindowAttention", {"features": 4, "window": 3}),
    ("mlp", {"delay_line": 3}),
    *((name, {"features": 4}) for name in CELLS),
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
