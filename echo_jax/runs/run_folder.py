"""Run folders: what was run, how far it came, what it found. One folder a run, one writer.

config.json          what was run, and the digests of the two files below
vocabulary.json      of a run on the user's own numbers: the values, in the order of their tokens
tokens.bin           and the column as tokens, int32, little-endian
checkpoint.msgpack   the state of every seed after so many sequences
metrics.csv          sequence, loss, accuracy: a line for every training sequence (of every seed)
result.json          scores with their floors, times, versions
seeds.csv            the scores of every seed, where there are several
curve.png            loss and accuracy over training

A run is a function of its configuration, so a folder with no checkpoint yet stands for a run of no
sequences yet. The checkpoint is the one file that says how far the run is: it holds the digest of
the lines of `metrics.csv` up to it, which is written first; what is beyond them is written again.
Nothing in a folder is executed, and no name in it is a path.
"""

import contextlib
import datetime
import itertools
import os
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from echo_jax import atomic_files, machine
from echo_jax.config import CELL_NAMES, RunConfig, from_dict, to_dict
from echo_jax.exceptions import ConfigError, StorageError

if TYPE_CHECKING:  # jax and numpy wait until a command line was found valid
    import numpy as np

    from echo_jax.runs.vocabulary import Vocabulary

RUNS = Path("runs")
"""Where runs go that are not told where to."""

CONFIG, VOCABULARY, TOKENS = "config.json", "vocabulary.json", "tokens.bin"
CHECKPOINT, METRICS = "checkpoint.msgpack", "metrics.csv"
RESULT, SEEDS, FIGURE = "result.json", "seeds.csv", "curve.png"


class Inputs(NamedTuple):
    """What a run is a function of.

    config   its configuration
    values   of the user's own numbers: the distinct ones, in the order of their tokens
    tokens   and the whole column as tokens, int32 `[M]`; None where it was not read
    digests  of the files that hold the two, by name
    seed_map how devices do their seeds, where that was said: it changes bits, so it stays
    compute  the literal form of the network and of Adam; None, and absent in a folder, means fast
    """

    config: RunConfig
    values: list[str] | None = None
    tokens: "np.ndarray | None" = None
    digests: Mapping[str, str] = types.MappingProxyType({})
    seed_map: Literal["map", "vmap"] | None = None
    compute: Literal["literal", "fast"] | None = None

    @property
    def identity(self) -> str:
        """The digest of all of it but for how long to train, the one thing that may change."""
        fixed = to_dict(self.config)
        del fixed["training"]["sequences"]
        return atomic_files.digest_of([fixed, dict(self.digests)])

    @property
    def vocabulary(self) -> "Vocabulary":
        """The values that its tokens stand for."""
        from echo_jax.runs.vocabulary import Vocabulary

        if self.values is not None:
            return Vocabulary.from_list(self.values)
        size = self.config.task.vocab_size
        machine.check_memory(100 * size)
        return Vocabulary.of_integers(size)


@contextlib.contextmanager
def claimed_folder(out: Path | None) -> Iterator[Path]:
    """A new, empty, locked folder for a run; ConfigError, and no trace, where there can be none.

    Args:
      out: the folder to create, with its parents; None for a new one under `runs/`, named after
        the time. If what happens inside fails before it wrote anything, it is removed again.
    """
    try:
        folder, made = _make_next_free(RUNS) if out is None else (out, _make(out))
    except FileExistsError:
        kind = "folder" if out and out.is_dir() else "file"
        raise ConfigError(
            f"out {out} is a {kind} that exists already, and nothing is overwritten: "
            "use the name of a new folder"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"out {out or RUNS} cannot be created ({error.strerror}): use a folder you may write to"
        ) from error
    try:
        with atomic_files.locked(folder):
            yield folder
    except BaseException:
        _remove_empty(made)
        raise


def column_inputs(config: RunConfig, values: list[str], tokens: "np.ndarray") -> Inputs:
    """The inputs of a run on the user's own numbers."""
    digests = {
        VOCABULARY: atomic_files.digest_of([values, len(tokens)]),
        TOKENS: atomic_files.digest(tokens.astype("<i4").tobytes()),
    }
    return Inputs(config, values, tokens, digests)


def write_inputs(folder: Path, inputs: Inputs) -> None:
    """Write what the run is a function of; `config.json` comes last, and makes it a run."""
    try:
        if inputs.values is not None and inputs.tokens is not None:
            contents = {"values": inputs.values, "length": len(inputs.tokens)}
            atomic_files.write_json(folder / VOCABULARY, contents)
            atomic_files.write_bytes(folder / TOKENS, inputs.tokens.astype("<i4").tobytes())
        write_config(folder, inputs)
    except StorageError:
        for name in (VOCABULARY, TOKENS, CONFIG):
            (folder / name).unlink(missing_ok=True)
        raise


def write_config(folder: Path, inputs: Inputs) -> None:
    """Write `config.json` alone, for a run that is to go on for longer."""
    also: dict[str, Any] = {"seed_map": inputs.seed_map, "files": dict(inputs.digests)}
    if inputs.compute == "literal":
        also["compute"] = inputs.compute
    atomic_files.write_json(folder / CONFIG, to_dict(inputs.config) | also)


def read_inputs(folder: Path, with_tokens: bool = True) -> Inputs:
    """The inverse of `write_inputs`; StorageError where a file is missing or damaged.

    Args:
      folder: of a run.
      with_tokens: read the column too; it is needed to train, and not to predict.
    """
    written = atomic_files.read_json(folder / CONFIG)
    digests, seed_map = written.pop("files", None), written.pop("seed_map", None)
    compute = written.pop("compute", None)
    try:
        config = from_dict(written)
        if seed_map not in (None, "map", "vmap"):
            raise ConfigError(f"seed map {seed_map!r} is unknown: use map or vmap")
        if compute not in (None, "literal", "fast"):
            raise ConfigError(f"compute {compute!r} is unknown: use literal or fast")
    except ConfigError as error:
        raise StorageError(f"{folder / CONFIG} describes no run ({error})") from None
    if config.data.csv is None:
        return Inputs(config, seed_map=seed_map, compute=compute)
    contents = atomic_files.read_json(folder / VOCABULARY)
    values, length = contents.get("values"), contents.get("length")
    known = isinstance(digests, dict) and isinstance(values, list) and type(length) is int
    if not (known and atomic_files.digest_of([values, length]) == digests.get(VOCABULARY)):
        raise StorageError(f"{folder / VOCABULARY} is not that of the run: restore it")
    _check_vocabulary(folder / VOCABULARY, values, config.task.vocab_size)
    tokens = _read_tokens(folder, digests, values, length) if with_tokens else None
    return Inputs(config, values, tokens, digests, seed_map, compute)


def check_cell_named(folder: Path, inputs: Inputs, cell: str | None) -> None:
    """Raise ConfigError where a run has a cell of the user's own that the user does not name.

    Or where the user names another one than the run has.

    A folder may come from a stranger: what it names is imported only if the caller names it too.
    """
    needed = inputs.config.network.cell
    if needed not in CELL_NAMES and cell != needed:
        raise ConfigError(
            f"{folder} needs the cell {needed}, and no folder decides what is imported: add "
            f"--cell {needed}"
        )
    if cell is not None and cell != needed:
        raise ConfigError(
            f"cell {cell!r} is not that of {folder}, which has {needed}: leave it out"
        )


def _check_vocabulary(path: Path, values: Any, vocab_size: int) -> None:
    """Raise StorageError for anything but the values of the network, one for each answer."""
    from echo_jax.runs.vocabulary import Vocabulary

    try:
        found = len(Vocabulary.from_list(values))
    except ConfigError as error:
        raise StorageError(f"{path} is no vocabulary ({error}): restore it") from None
    if found != vocab_size:
        raise StorageError(
            f"{path} has {found} values for a network of {vocab_size}: restore it, or {CONFIG}"
        )


def _read_tokens(
    folder: Path, digests: Mapping[str, str], values: Any, length: Any
) -> "np.ndarray":
    """The column as tokens, each the place of a value; StorageError for anything else."""
    import numpy as np

    path = folder / TOKENS
    machine.check_memory(8 * length)
    data = atomic_files.read_bytes(path, max(4 * length, 0))
    if atomic_files.digest(data) != digests.get(TOKENS) or len(data) != 4 * length:
        raise StorageError(f"{path} is damaged: restore it; to predict, it is not needed")
    tokens = np.frombuffer(data, "<i4").astype(np.int32)
    if len(tokens) == 0 or tokens.min() < 0 or tokens.max() >= len(values):
        raise StorageError(f"{path} has tokens without a value: restore it")
    return tokens


def _make(folder: Path) -> list[Path]:
    """Create a folder and its missing parents: all of them, innermost first, or none (OSError)."""
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        folder.mkdir(parents=True)
    except OSError:
        _remove_empty(missing[1:])
        raise
    try:
        for path in missing:
            atomic_files.sync_folder(path.parent)
    except OSError:
        _remove_empty(missing)
        raise
    return missing


def _make_next_free(root: Path) -> tuple[Path, list[Path]]:
    """`_make` a folder named after the time, with a number behind it where that one is taken."""
    stem = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    for i in itertools.count(1):
        folder = root / (stem if i == 1 else f"{stem}-{i}")
        with contextlib.suppress(FileExistsError):
            return folder, _make(folder)
    raise AssertionError("itertools.count ended")


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
