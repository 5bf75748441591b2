"""Every built-in cell of ours, with few units: gradients, and a long run."""

import cell_reference
import pytest

from echo_jax.cell_table import CELLS
from echo_jax.cells import projected_cell
from echo_jax.cells.cell_arguments import build
from echo_jax.cells.matrix_state import delta_net, mamba2, xlstm

OURS = {name: cell.load() for name, cell in CELLS.items() if not cell.home.startswith("flax.")}
FORMS = [
    *OURS,
    *(f"{name} in parallel" for name, cell in OURS.items() if getattr(cell, "has_parallel", False)),
]
SMALL = {
    "slstm": {"heads": 2},
    "rwkv7": {"heads": 2, "head_size": 3, "rank": 2, "gate_rank": 5},
    "lmu": {"order": 3, "theta": 6.5, "memories": 2},
    "gla": {"key_size": 2, "value_size": 3, "rank": 2},
}


@pytest.fixture(params=FORMS)
def cell(request, monkeypatch):
    """A cell of 4 units; its parallel form in chunks of 3 steps."""
    name, _, parallel = request.param.partition(" ")
    for module in (delta_net, xlstm):
        monkeypatch.setattr(module, "CHUNK", 3)
    monkeypatch.setattr(mamba2.Mamba2Cell, "chunk", 3)
    monkeypatch.setattr(projected_cell, "in_parallel", lambda *_: bool(parallel))
    return build(name, {"features": 4} | SMALL.get(name, {}))


@pytest.mark.slow
def test_gradients_are_finite_differences(cell):
    cell_reference.check_gradients(cell)


@pytest.mark.slow
def test_state_and_outputs_stay_finite(cell):
    cell_reference.check_long_run(cell)
