"""Heads that are fitted afterwards find what the heads found that were trained with the cell."""

import msgspec
import pytest
from probed_heads import own_and_probed

from echo_jax.cells import registry
from echo_jax.memory.protocol import STANDARD

PROTOCOL = msgspec.structs.replace(STANDARD, lags=16, symbols=8, streams=256)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["block:lru", "lstm"])
def test_a_probe_finds_the_bits_of_the_heads_of_the_same_run(cell):
    own, probed = own_and_probed(registry.build(cell, {}), PROTOCOL, 0.01, 300, 1536)
    assert own > 5
    assert probed > 0.97 * own
