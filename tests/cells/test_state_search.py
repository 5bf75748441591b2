import jax
import pytest
from broken_cells import Good

from echo_jax.cell_names import CELLS
from echo_jax.cells import registry
from echo_jax.cells.state_numbers import state_bytes
from echo_jax.cells.state_search import sized
from echo_jax.exceptions import ConfigError


class OnlyEven(Good):
    """Half of the units are of each kind."""

    def __post_init__(self):
        if self.features % 2:
            raise ValueError("odd")
        super().__post_init__()


class Halved(Good):
    """The states of 2 n - 1 and of 2 n units are of one size."""

    def initialize_carry(self, rng, input_shape):
        return super().initialize_carry(rng, input_shape)[..., ::2]


def real_bytes(cell, input_size):
    """The bytes of the arrays of one stream, which no value of a parameter changes."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    params = jax.eval_shape(lambda key: cell.init(key, input_size), key)
    return sum(leaf.nbytes for leaf in jax.tree.leaves(cell.initial_state(params, 1, input_size)))


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_comes_within_a_tenth_of_400_bytes(name):
    found = sized(name, {}, 400, 2)
    assert found.fits
    assert 360 <= found.bytes == real_bytes(registry.build(name, found.args), 2) <= 440


CACHE = "echo_jax.cells.known_memory:AttentionCache"
REGISTER = "echo_jax.cells.known_memory:ProjectedRegister"
SHIFT_REGISTER = "echo_jax.cells.known_memory:ShiftRegister"


@pytest.mark.parametrize(
    ("name", "keys"),
    {
        "mamba2": (10, 20, 32),
        "gla": (10, 20, 32),
        "delta-net": (10, 20, 32),
        "gated-delta-net": (10, 20, 32),
        "mlstm": (9, 19, 31),  # n n + n + 1
        "rwkv7": (8, 19, 31),  # 32 + n n
        CACHE: None,
    }.items(),
)
def test_blocks_of_three_sizes_have_as_many_keys_as_values_within_a_tenth(name, keys):
    for at, target in enumerate((400, 1600, 4000)):
        found = sized(f"block:{name}", {}, target, 7)
        assert found.fits
        assert abs(found.bytes - target) <= target / 10
        cell = registry.build(f"block:{name}", found.args)
        carried = real_bytes(cell, 7) - cell.bytes_apart(7)
        assert state_bytes(cell, 7) == found.bytes == carried
        assert cell.key_value_sizes == cell.cell.key_value_sizes == (keys and (keys[at],) * 2)


def test_each_layer_of_a_block_carries_three_inputs_that_are_not_its_state():
    cell = registry.build("block:gru", {"features": 5, "layers": 2})
    assert cell.bytes_apart(7) == 2 * 3 * 32 * 4
    assert real_bytes(cell, 7) - cell.bytes_apart(7) == state_bytes(cell, 7) == 2 * 5 * 4


def test_defaults_of_a_matrix_state_are_those_of_its_authors():
    assert registry.build("gated-delta-net", {"features": 12}).key_value_sizes == (9, 18)
    assert registry.build("block:gla", {"features": 12}).key_value_sizes == (6, 12)
    assert registry.build("rwkv7", {"features": 12, "heads": 3}).key_value_sizes == (4, 4)
    assert registry.build("flax.linen:GRUCell", {"features": 12}).key_value_sizes is None


INT8 = {"numbers": 2, "dtype": "int8"}
SIZED = [
    ("broken_cells:Good", {"gain": 2.0}, 400, {"features": 100}, 400),
    ("block:broken_cells:Good", {"layers": 3}, 400, {"features": 33}, 396),
    ("broken_cells:GoodInHalfPrecision", {}, 400, {"features": 200}, 400),
    ("block:test_state_search:OnlyEven", {"layers": 3}, 400, {"features": 34}, 408),
    ("test_state_search:Halved", {}, 402, {"features": 199}, 400),
    ("slstm", {"heads": 3}, 400, {"features": 24}, 384),  # 3 divides 24 and 27: 384 and 432 bytes
    ("rwkv7", {"heads": 4}, 400, {"features": 20}, 408),  # 2 + 4 5 5
    ("mlstm", {"key_size": 4}, 400, {"features": 24, "value_size": 24}, 404),  # 4 24 + 4 + 1
    ("s5", {"blocks": 4}, 400, {"features": 48}, 384),
    ("mlp", {"delay_line": 6}, 400, {"features": 20}, 400),
    ("mamba2", {}, 250, {"features": 8}, 256),
    ("mamba2", {}, 17, {"features": 2}, 16),
    (CACHE, {"size": 5}, 400, {"slots": 20}, 400),  # slots of four numbers of four bytes
    (f"block:{REGISTER}", INT8, 128, {"slots": 64}, 128),  # a byte for each number
]


@pytest.mark.parametrize(("name", "given", "target", "found", "reached"), SIZED)
def test_the_size_nearest_to_a_number_of_bytes_is_found_beside_what_is_given(
    name, given, target, found, reached
):
    assert sized(name, given, target, 2) == (given | found, reached, True)


def test_a_state_above_the_target_fits_only_within_a_tenth():
    assert sized("mamba2", {}, 30, 2) == ({"features": 2}, 16, False)  # 36 is nearer, above
    assert sized("mamba2", {}, 3920, 2).bytes == 3844  # 31 31, 32 32 being 4096


@pytest.mark.parametrize(
    ("name", "given", "target", "field"),
    [
        ("lstm", {"features": 7}, 400, None),
        (SHIFT_REGISTER, {"slots": 3}, 400, "cell"),  # no option for its size
        ("lru", {"state_size": 9}, 400, "state_bytes"),  # with any features
        ("mlstm", {}, 4, "state_bytes"),  # 12 are the least
        ("block:rwkv7", {"layers": 4}, 400, "state_bytes"),
        ("lstm", {}, 0, "state_bytes"),
        (REGISTER, {"numbers": 3, "dtype": "int8"}, 400, None),
        ("broken_cells:CannotStart", {}, 400, "cell"),
    ],
)
def test_a_size_that_cannot_be_found_is_refused(name, given, target, field):
    with pytest.raises(ConfigError) as refusal:
        sized(name, given, target, 2)
    assert refusal.value.field == field
