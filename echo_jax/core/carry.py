"""The state between batches: handed on or zeroed. Pure.

With batches of B = 2 the rows of a sequence continue each other like this:

    batch 0    rows 0 1
                    | |
    batch 1    rows 2 3      row 2 continues row 0, not row 1
"""

import chex
import jax
import jax.numpy as jnp

from echo_jax.cells.scan import Carry


def enter_batch(carry: Carry, zero: Carry, stateful: chex.Numeric) -> Carry:
    """The carry that a batch starts from, given the one that the batch before it left.

    Stateful (the Keras rule): row b continues row b of the batch before, so with batch size B row
    r of a sequence continues row r - B, *not* row r - 1. Otherwise every batch starts from zero, or
    from what else is the initial state of the cell.
    """
    return jax.tree.map(lambda old, new: jnp.where(stateful, old, new), carry, zero)
