"""Write and read the trained weights of the runs of a card: `echo-jax card --keep`.

The file of a run is written before the row of the run:

NAME/weights/seed-0-by-lag-rate-0.03-3000-updates.safetensors

The arrays of a file are named by their paths: `cell.kernel`, and `heads.kernel` by lag or
`readout.kernel` otherwise. The arrays of a layer of PyTorch have the names of its state dict.
"""

import contextlib
import dataclasses
import os
import re
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from echo_jax.cells.interface import Cell
from echo_jax.exceptions import ConfigError, StorageError, reason
from echo_jax.learner.network import Params
from echo_jax.memory.card.train_and_score import TrainedCell, cell_of_file, made_by
from echo_jax.memory.card_contents import Card, MeasuredCell
from echo_jax.memory.protocol import Protocol, QuestionName
from echo_jax.storage import atomic_files, tensor_files

FIX = "use a file that card wrote with {keep}"


def path_of(folder: Path, run: str) -> Path:
    """Return the file of the run with the key `run`, in the `folder` of its card."""
    name = re.sub(r"[^\w.]+", "-", run)
    return folder / "weights" / f"{name}.safetensors"


def write(folder: Path, card: Card, trained: TrainedCell) -> None:
    """Write the weights of a `trained` run of `card` into its `folder`, replacing older weights."""
    path = path_of(folder, trained.row.key)
    atomic_files.check_no_link(path.parent)
    atomic_files.make_folder(path.parent)
    about = Stated(
        cell=card.cell,
        protocol=card.numbers,
        task=card.task.name if card.task else None,
        run=trained.row.key,
        question=trained.row.configuration.question,
        seed=trained.row.seed,
        tokens=trained.tokens,
    )
    tensor_files.write(path, "weights", trained.weights, msgspec.to_builtins(about))


class Stated(msgspec.Struct, frozen=True):
    """What a file of weights states about its run.

    cell      the cell, as its card states it
    protocol  the numbers of the measure
    task      the name of the task; None by lag and by key
    run       the key of the run, which names seed, question, rate and updates
    question  the question of the run
    seed      the seed of the run
    tokens    the number of different tokens that the cell was fed, as one-hot vectors
    """

    cell: MeasuredCell
    protocol: Protocol
    task: str | None
    run: str
    question: QuestionName
    seed: int
    tokens: Annotated[int, msgspec.Meta(ge=1)]


@dataclasses.dataclass(frozen=True)
class KeptCell:
    """A trained cell that `read` returns.

    about   what the file of its weights states
    cell    the cell itself
    params  `{"cell": its parameters}`; for a layer of PyTorch, the parameters of its whole network
    """

    about: Stated
    cell: Cell
    params: Params

    def states(self, tokens: Any) -> np.ndarray:
        """Return the state after each token, float32 `[S, T, D]`, as heads by lag read a state.

        The `tokens` are integers `[S, T]` below `about.tokens`. Each of the S streams starts from
        the initial state.

        Raises:
          ConfigError: the tokens are not such integers.
        """
        streams = np.empty(0)
        with contextlib.suppress(Exception):  # an object of another package may raise anything
            streams = np.asarray(tokens)
        whole = streams.ndim == 2 and streams.dtype.kind in "iu" and streams.size
        if not whole or streams.min() < 0 or streams.max() >= self.about.tokens:
            rule = f"are not integers [streams, T] from 0 to {self.about.tokens - 1}"
            fix = "use an array of two axes with tokens in this range"
            raise ConfigError(None, "tokens", rule, fix)
        return np.asarray(made_by(self.cell).states(self.cell, self.about, self.params, streams))


def read(path: str | os.PathLike[str], cell: str | None = None) -> KeptCell:
    """Return the trained cell of a run from the file `path`.

    `cell` must name a user's own cell, as a stranger may have written the file.

    Raises:
      ConfigError: `cell` does not name the user's cell, or the cell is missing or has another text.
      StorageError: the file is not a file of weights, or does not fit the cell.
    """
    place = atomic_files.path_of("path", path)
    try:
        about = msgspec.convert(tensor_files.read_about(place, FIX), Stated)
    except msgspec.ValidationError as error:
        raise StorageError(None, place, "does not hold the weights of a card", FIX) from error
    named = cell_of_file(place, about.cell, cell)
    try:
        shapes = made_by(named.cell).arrays(named.cell, about)
    except Exception as error:  # anyone can write a file: sizes in it may break a cell in any way
        rule = f"states sizes that no cell can have ({reason(error)})"
        raise StorageError(None, place, rule, FIX) from error
    # The file has the heads or the readout as well, which the cell does not need.
    params, _ = tensor_files.read(place, shapes, FIX, others=True)
    return KeptCell(about, named.cell, params)
