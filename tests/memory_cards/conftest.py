import pytest

from echo_jax.memory_cards import beside_built_in


@pytest.fixture(autouse=True)
def no_built_in_cells(monkeypatch):
    """Pages and figures do not change as more built-in cells are measured."""
    monkeypatch.setattr(beside_built_in, "built_in", lambda: {"cell": {}, "block": {}})
