"""The cards of the published table, in the order in which one command makes them."""

from typing import Literal, NamedTuple

from echo_jax.cell_table import CELLS
from echo_jax.config import BLOCK

FIRST = (
    *("lstm", "gru", "lru", "mingru", "mlstm", "gated-delta-net", "rg-lru", "mamba2", "slstm"),
    *("gla", "rwkv7", "s5"),
)
LATER = tuple(name for name in CELLS if name not in (*FIRST, "optimized-lstm"))
ORDER = (*FIRST, *LATER)
"""The built-in cells; `optimized-lstm` is the LSTM in another layout."""

KNOWN = "echo_jax.cells.known_memory"
"""Controls: the block without a memory in its cell is its convolution alone."""


class PublishedCard(NamedTuple):
    """A card of the table; `arguments` as after --cell-args, `state_bytes` as after --state-bytes.

    The bytes are summed over the layers; None for the size that the arguments give.
    """

    cell: str
    state_bytes: int | None
    protocol: Literal["full", "keys"]
    arguments: str = ""


PUBLISHED_CARDS = (
    *(PublishedCard(BLOCK + cell, 400, "full") for cell in FIRST),
    PublishedCard(f"{BLOCK}{KNOWN}:Memoryless", None, "full", "features=32"),
    *(PublishedCard(cell, 400, "full") for cell in FIRST),
    PublishedCard(f"{KNOWN}:ShiftRegister", None, "full", "slots=9"),
    PublishedCard(f"{KNOWN}:LeakyIntegrator", None, "full"),
    *(PublishedCard(BLOCK + cell, 400, "full") for cell in LATER),
    *(PublishedCard(cell, 400, "full") for cell in LATER),
    *(PublishedCard(BLOCK + cell, 4000, "keys") for cell in ORDER),
    *(PublishedCard(BLOCK + cell, 400, "full", "layers=2") for cell in ORDER),
    PublishedCard(f"{BLOCK}{KNOWN}:Memoryless", None, "full", "features=32,layers=2"),
)
