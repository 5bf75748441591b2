"""The base of cells whose state maps keys to values."""

import dataclasses
from typing import ClassVar

from echo_jax.cells.cell_args import at_least
from echo_jax.cells.matrix_state.chunk_shapes import WIDE
from echo_jax.cells.projected_cell import ProjectedCell


@dataclasses.dataclass(frozen=True)
class KeyValueCell(ProjectedCell):
    """A cell of H outputs, whose state is a matrix for keys of K and values of V numbers."""

    features: int
    key_size: int | None = None
    value_size: int | None = None
    sized_with: ClassVar[tuple[str, ...]] = ("key_size", "value_size")

    def __post_init__(self) -> None:
        at_least(1, self, "key_size", "value_size")

    @property
    def keys(self) -> int:
        """K; H unless it is set."""
        return self.features if self.key_size is None else self.key_size

    @property
    def values(self) -> int:
        """V; H unless it is set."""
        return self.features if self.value_size is None else self.value_size

    @property
    def parallel_on_cpu(self) -> bool:
        """True for a state of at least `WIDE` numbers."""
        return self.keys * self.values >= WIDE

    @property
    def key_value_sizes(self) -> tuple[int, int]:
        return self.keys, self.values
