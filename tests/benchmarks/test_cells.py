import re

import cells
import jax
import pytest

from echo_jax.cell_names import CELLS
from echo_jax.cells.registry import build

INPUTS = 3


@pytest.mark.parametrize("name", CELLS)
def test_the_state_has_as_many_floats_as_the_formula_says(name):
    for features in (6, 50):
        cell = build(name, {"features": features})

        def start(key, cell=cell):
            return cell.initial_state(cell.init(key, INPUTS), 1, INPUTS)

        leaves = jax.tree.leaves(jax.eval_shape(start, jax.random.key(0)))
        expected = floats(cells.floats_of_state(name), cell.options)
        assert sum(leaf.size for leaf in leaves) == expected


def floats(formula, options):
    """A sum of products of numbers, F, H and attributes, which None makes H: `2 H + H states`."""
    names = re.findall(r"[a-z_]\w*", formula)
    values = {name: getattr(options, name) or options.features for name in names}
    products = re.sub(r"(?<=\w) (?=\w)", " * ", formula)
    return eval(products, {"F": INPUTS, "H": options.features, **values})
