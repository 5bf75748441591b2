import jax
import pytest

from echo_jax.cell_table import CELLS
from echo_jax.cells.registry import build

FEATURES = 3


@pytest.mark.parametrize("name", CELLS)
def test_the_state_has_as_many_floats_as_the_formula_says(name):
    for features in (6, 50):
        cell = build(name, {"features": features})

        def start(key, cell=cell):
            return cell.initial_state(cell.init(key, FEATURES), 1, FEATURES)

        leaves = jax.tree.leaves(jax.eval_shape(start, jax.random.key(0)))
        assert sum(leaf.size for leaf in leaves) == floats(CELLS[name].state, cell.options)


def floats(formula, options):
    """A sum of products of numbers, H and attributes: `2 H + H states - H`."""
    total = 0
    for term in formula.replace(" - ", " + -1 ").split(" + "):
        product = 1
        for factor in term.split(" "):
            product *= int(factor) if factor.lstrip("-").isdigit() else value(factor, options)
        total += product
    return total


def value(name, options):
    if name == "F":
        return FEATURES
    found = None if name == "H" else getattr(options, name)
    return options.features if found is None else found
