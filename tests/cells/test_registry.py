from flax import linen as nn

from echo_jax.cells import registry
from echo_jax.cells.vector_state import delay_line_mlp
from echo_jax.config import NetworkConfig


def build(name, features=4):
    return registry.build_cell(NetworkConfig(cell=name, hidden_size=features), window=5)


def test_the_delay_line_of_the_mlp_is_the_window_unless_it_is_set():
    assert build("mlp").module == delay_line_mlp.DelayLineMLP(4, 5)
    config = NetworkConfig("mlp", delay_line=2)
    assert registry.build_cell(config, window=5).module.delay_line == 2


class WithItsOwnName(nn.RNNCellBase):
    hidden_size: int


def test_the_units_of_a_run_are_those_of_the_cell_by_the_name_that_it_gives_them():
    assert build("test_registry:WithItsOwnName", features=7).options.hidden_size == 7
