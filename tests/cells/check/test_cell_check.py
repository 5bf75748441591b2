import inspect
import sys
from pathlib import Path

import awkward_cells
import broken_cells  # noqa: F401 - by its name
import cheating_cells
import jax
import numpy as np
import pytest

from echo_jax.cells import registry
from echo_jax.cells.adapters.adapt import adapt, options_of
from echo_jax.cells.check import cell_check
from echo_jax.cells.check.shape_check import Candidate
from echo_jax.cells.check.traced_programs import Parameter, trace_programs
from echo_jax.exceptions import ConfigError

OTHER_NUMBERS = "has a scan that gives other numbers than its steps"
REFUSED = {
    "broken_cells:DriftsToFloat16": "turns its carry float32",
    "broken_cells:BranchesOnAValue": "cannot be compiled",
    "broken_cells:TakesALogarithm": "has NaN or infinity in its carry or output at step 1",
    "cheating_cells:Peeks": OTHER_NUMBERS,
    "cheating_cells:MixesLater": "mixes the rows of a batch",
}


def check(name, input_size):
    module, _, cell = name.partition(":")
    has_size = module not in sys.modules or options_of(getattr(sys.modules[module], cell))
    built = registry.build(name, {"features": 4} if has_size else {})
    return cell_check.check(built, name, input_size)


def wrong_line(name):
    """The number of the first line from the class on that ends in `# wrong`."""
    module, _, cell = name.partition(":")
    _, first = inspect.getsourcelines(getattr(sys.modules[module], cell))
    lines = Path(sys.modules[module].__file__).read_text().splitlines()
    return next(n for n, line in enumerate(lines, 1) if n >= first and line.endswith("# wrong"))


@pytest.mark.parametrize("name", REFUSED)
def test_a_cell_that_is_broken_or_cheats_is_refused_by_its_line(name):
    with pytest.raises(ConfigError) as refusal:
        check(name, 5)
    said = str(refusal.value)
    assert f"{name.partition(':')[0]}.py:{wrong_line(name)}: cell '{name}' {REFUSED[name]}" in said


def test_a_cell_that_calls_python_is_refused():
    with pytest.raises(ConfigError, match="calls Python from its compiled program"):
        check("cheating_cells:HostMemo", 5)


def test_a_good_cell_passes():
    assert check("broken_cells:GoodWithCounter", 5)[1:] == []


def test_an_integer_in_the_state_is_a_remark():
    (remark,) = check("awkward_cells:DecayByTime", 5)
    assert "keeps int32 in its state" in remark


def test_frozen_weights_and_weights_in_the_code_are_said():
    programs = trace_programs(Candidate(adapt(awkward_cells.Reservoir), "Reservoir", 5))
    assert programs.parameters() == {
        "frozen": Parameter(80, False, True), "read": Parameter(64, True, True),
    }  # fmt: skip
    assert "fixed in its code" in programs.remarks()[1]


def test_a_cheat_that_waits_for_other_weights_is_found_at_them_and_not_at_the_initial_ones():
    candidate = Candidate(adapt(cheating_cells.PeeksWhereABiasIs), "cheat", 3)
    trial = cell_check.Trial(candidate, trace_programs(candidate))
    params = jax.device_get(trial.init())
    assert not trial.scan_fault(params)
    assert OTHER_NUMBERS in trial.scan_fault(params | {"bias": np.float32([0, 0, 0.01, 0])})


def test_a_cell_too_large_for_a_card_is_refused():
    cell = registry.build("gru", {"features": 10_000})
    with pytest.raises(ConfigError, match=r"^cell 'gru' has 300,\d{3},000 parameters"):
        cell_check.check(cell, "gru", input_size=2)
