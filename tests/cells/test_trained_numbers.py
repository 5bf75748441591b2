import functools

import jax
import numpy as np
import pytest
from tiny_memory import TINY

from echo_jax.cells import known_memory, registry
from echo_jax.cells.block import Block
from echo_jax.cells.trained_numbers import trained_arrays, trained_numbers
from echo_jax.exceptions import ConfigError
from echo_jax.memory.by_key.key_measurement import KeyMeasurement
from echo_jax.memory.measurement import RunInputs, init, train_updates

FROZEN = Block(known_memory.FrozenDeltaNet(6, key_size=4, value_size=4), width=8)


@pytest.mark.parametrize(
    ("cell", "trained"),
    [
        (known_memory.OrthogonalReservoir(5), 0),
        (known_memory.ProjectedRegister(5, 2, "int8"), 0),
        (known_memory.ProjectedRegister(5, 2), 3 * 2),
        (known_memory.FrozenDeltaNet(6, key_size=4, value_size=4), 4 + 4 * 6),
        (known_memory.FrozenLinearAttention(6, key_size=4, value_size=4), (3 + 1) * 4 + 4 * 6),
        (known_memory.FirstWeights(5), 4 * 5 * (3 + 5 + 1)),
        (registry.build("simple", {"features": 5}), 5 * (3 + 5 + 1)),
    ],
)
def test_numbers_without_a_gradient_are_not_trained(cell, trained):
    assert trained_numbers(cell, 3) == trained


@pytest.mark.parametrize("cell", [FROZEN, registry.build("block:mamba2", {"features": 4})])
def test_the_arrays_that_count_are_those_that_training_changes(cell):
    measurement = KeyMeasurement(cell, TINY, 4)
    run = RunInputs(np.int32(0), np.float32(0.01), np.int32(4))
    first = jax.jit(functools.partial(init, measurement))(run)
    later, _ = jax.jit(functools.partial(train_updates, measurement))(run, first)
    before, after = (jax.tree.leaves(state.params["cell"]) for state in (first, later))
    moved = [bool((a != b).any()) for a, b in zip(before, after, strict=True)]
    assert moved == trained_arrays(cell, TINY.tokens)


def test_a_block_has_as_many_trained_numbers_as_one_asks_for_without_those_of_its_inputs():
    block = registry.build("block:gru", {"features": 20, "parameters": 60_000})
    params = jax.eval_shape(lambda key: block.init(key, 7), jax.random.key(0))
    count = sum(x.size for x in jax.tree.leaves(params)) - 7 * block.width
    assert abs(count - 60_000) <= 600
    assert trained_numbers(block, 7) == count + 7 * block.width
    wider = Block(FROZEN.cell, parameters=60_000)
    assert trained_numbers(wider, 7) - 7 * wider.width == pytest.approx(60_000, rel=0.01)


def test_a_number_that_no_width_has_is_refused_with_one_that_it_has():
    with pytest.raises(ConfigError, match="parameters 100 is not within 1% of any") as refused:
        Block(FROZEN.cell, parameters=100)
    fitting = int(str(refused.value).rpartition(" ")[2])
    assert Block(FROZEN.cell, parameters=fitting).width == 3
    with pytest.raises(ConfigError, match="parameters 0 is below 1"):
        Block(FROZEN.cell, parameters=0)
    with pytest.raises(ConfigError, match="leave width out"):
        Block(FROZEN.cell, width=5, parameters=60_000)
