"""Cells of every kind of arithmetic, with few units: gradients, and a long run."""

import cell_reference
import pytest

from echo_jax.cells.block import Block
from echo_jax.cells.registry import build

CACHE = "echo_jax.cells.known_memory:AttentionCache"
BLOCK = "block:minlstm"
FORMS = (
    CACHE, "mlp", "lru in parallel", "s5", "slstm", "lmu", "exprnn", "rwkv7", "gla in parallel",
    "mlstm in parallel", "gated-delta-net in parallel", "mamba2 in parallel",
    "rwkv7 in parallel", BLOCK,
)  # fmt: skip
LONG = ("s5", "slstm", "lmu", "exprnn", "rwkv7", "mlstm", "gated-delta-net in parallel", BLOCK)
SMALL = {
    CACHE: {"slots": 3, "size": 2},
    BLOCK: {"width": 6, "layers": 2},
    "slstm": {"heads": 2},
    "rwkv7": {"heads": 2, "head_size": 3, "rank": 2, "gate_rank": 5},
    "lmu": {"order": 3, "theta": 6.5, "memories": 2},
    "gla": {"key_size": 2, "value_size": 3, "rank": 2},
}


@pytest.fixture
def cell(request, monkeypatch):
    """A cell of 4 units; its parallel form in chunks of 3 steps."""
    name, _, parallel = request.param.partition(" ")
    cell_reference.in_parallel(monkeypatch, bool(parallel))
    return build(name, {"features": 4} | SMALL.get(name, {}))


@pytest.mark.slow
@pytest.mark.parametrize("cell", FORMS, indirect=True)
def test_gradients_are_finite_differences(cell):
    cell_reference.check_gradients(cell, atol=1e-4 if isinstance(cell, Block) else 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("cell", LONG, indirect=True)
def test_state_and_outputs_stay_finite(cell):
    cell_reference.check_long_run(cell)
