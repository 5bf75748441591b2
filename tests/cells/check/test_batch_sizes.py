import awkward_cells
import exact_cells
import jax.numpy as jnp
import numpy as np
import pytest

from echo_jax.cells import cell_arguments
from echo_jax.cells.adapters.adapt import adapt
from echo_jax.cells.check import batch_sizes
from echo_jax.cells.check.batch_sizes import check_programs
from echo_jax.cells.check.shape_check import Candidate
from echo_jax.cells.registry import CELLS
from echo_jax.exceptions import CellRefusedError

SIZES = (2, 3, 16, 37, 64, 256)
HONEST = [
    f"{module.__name__}:{name}"
    for module in (awkward_cells, exact_cells)
    for name, found in vars(module).items()
    if getattr(found, "__module__", None) == module.__name__ and hasattr(found, "initial_state")
]
ALL = [*HONEST, *CELLS, *(f"block:{name}" for name in CELLS)]


@pytest.mark.parametrize(
    "name",
    [*HONEST[:3], "lstm", "block:delta-net",
     *(pytest.param(x, marks=pytest.mark.slow) for x in ALL)],
)  # fmt: skip
def test_an_honest_cell_is_the_same_program_in_batches_of_any_size(name):
    check_programs(Candidate(cell_arguments.build(name, {}), name, 5), SIZES)


class Same:
    """A running sum."""

    @staticmethod
    def init(key, input_size):
        return {}

    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, input_size))

    @staticmethod
    def step(params, state, x):
        return state + x, state * np.ones((len(x), 1), np.float32)  # a row as often as rows are


class HasATypeByTheBatch(Same):
    @staticmethod
    def initial_state(params, batch_size, input_size):
        return jnp.zeros((batch_size, input_size), jnp.int16 if batch_size == 37 else jnp.float32)


class BranchesByTheBatch(Same):
    @staticmethod
    def step(params, state, x):
        return (state + x if len(x) < 100 else x - state), state


class HasRowsByTheBatch(Same):
    @staticmethod
    def step(params, state, x):
        return state + x, state * np.arange(len(x), dtype=np.float32)[:, None]


def refusal(cell, sizes):
    with pytest.raises(CellRefusedError) as said:
        check_programs(Candidate(adapt(cell), "mine", 5), sizes)
    return str(said.value)


@pytest.mark.parametrize(
    ("cell", "size"),
    [(HasATypeByTheBatch, 37), (BranchesByTheBatch, 2), (HasRowsByTheBatch, 64)],
)
def test_a_cell_that_looks_at_the_size_of_its_batch_is_refused_with_the_size(cell, size):
    rows = f"cell 'mine' is another program in batches of {size} rows than of 9,973: let nothing"
    assert rows in refusal(cell, [size])
    check_programs(Candidate(adapt(Same), "mine", 5), SIZES)


def test_a_number_that_is_not_a_multiple_of_the_batch_must_be_the_same():
    assert batch_sizes._same_token("9973", "64", 64)
    assert batch_sizes._same_token(str(9973 * 4), "256", 64)
    assert batch_sizes._same_token("64", "64", 64)  # so many units
    assert not batch_sizes._same_token("9973", "65", 64)
    assert not batch_sizes._same_token("128", "64", 64)
    assert not batch_sizes._same_token("mul", "add", 64)
