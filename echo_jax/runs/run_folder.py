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
import math
import os
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from echo_jax import atomic_files
from echo_jax.config import CELL_NAMES, LARGEST, RunConfig, from_dict, to_dict
from echo_jax.exceptions import ConfigError, StorageError

if TYPE_CHECKING:  # jax and numpy wait until a command line was found valid
    import numpy as np

    from echo_jax.runs.csv_input import Vocabulary
    from echo_jax.runs.metrics_csv import History

RUNS = Path("runs")
"""Where runs go that are not told where to."""

CONFIG, VOCABULARY, TOKENS = "config.json", "vocabulary.json", "tokens.bin"
CHECKPOINT, METRICS = "checkpoint.msgpack", "metrics.csv"
RESULT, SEEDS, FIGURE = "result.json", "seeds.csv", "curve.png"

CHECKPOINT_FORMAT, ECHO_FORMAT = b"echo_jax checkpoint 1\n", b"echo_jax state 1\n"
"""How a file begins; then come the digest of the rest, a line, and the rest, msgpack."""

LINE = 80
"""No line of `metrics.csv` has more bytes: two whole numbers, two of 32 bits, commas."""

OVERHEAD = 2**20
"""At most so many bytes of a checkpoint are not those of its arrays."""


class Inputs(NamedTuple):
    """What a run is a function of.

    config   its configuration
    values   of the user's own numbers: the distinct ones, in the order of their tokens
    tokens   and the whole column as tokens, int32 `[M]`; None where it was not read
    digests  of the files that hold the two, by name
    seed_map how devices do their seeds, where that was said: it changes bits, so it stays
    """

    config: RunConfig
    values: list[str] | None = None
    tokens: "np.ndarray | None" = None
    digests: Mapping[str, str] = types.MappingProxyType({})
    seed_map: Literal["map", "vmap"] | None = None

    @property
    def identity(self) -> str:
        """The digest of all of it but for how long to train, the one thing that may change."""
        fixed = to_dict(self.config)
        del fixed["training"]["sequences"]
        return atomic_files.digest_of([fixed, dict(self.digests)])

    @property
    def vocabulary(self) -> "Vocabulary":
        """The values that its tokens stand for."""
        from echo_jax.runs.csv_input import Vocabulary

        if self.values is not None:
            return Vocabulary.from_list(self.values)
        size = self.config.task.vocab_size
        atomic_files.check_memory(100 * size)
        return Vocabulary.of_integers(size)


class Saved(NamedTuple):
    """How far a run is: the state of every seed, numpy leaves `[S, ...]`, and what led there."""

    state: Any
    history: "History"


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
    also = {"seed_map": inputs.seed_map, "files": dict(inputs.digests)}
    atomic_files.write_json(folder / CONFIG, to_dict(inputs.config) | also)


def read_inputs(folder: Path, with_tokens: bool = True) -> Inputs:
    """The inverse of `write_inputs`; StorageError where a file is missing or damaged.

    Args:
      folder: of a run.
      with_tokens: read the column too; it is needed to train, and not to predict.
    """
    written = atomic_files.read_json(folder / CONFIG)
    digests, seed_map = written.pop("files", None), written.pop("seed_map", None)
    try:
        config = from_dict(written)
        if seed_map not in (None, "map", "vmap"):
            raise ConfigError(f"seed map {seed_map!r} is unknown: use map or vmap")
    except ConfigError as error:
        raise StorageError(f"{folder / CONFIG} describes no run ({error})") from None
    if config.data.csv is None:
        return Inputs(config, seed_map=seed_map)
    contents = atomic_files.read_json(folder / VOCABULARY)
    values, length = contents.get("values"), contents.get("length")
    known = isinstance(digests, dict) and isinstance(values, list) and type(length) is int
    if not (known and atomic_files.digest_of([values, length]) == digests.get(VOCABULARY)):
        raise StorageError(f"{folder / VOCABULARY} is not that of the run: restore it")
    _check_vocabulary(folder / VOCABULARY, values, config.task.vocab_size)
    tokens = _read_tokens(folder, digests, values, length) if with_tokens else None
    return Inputs(config, values, tokens, digests, seed_map)


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


def save(folder: Path, inputs: Inputs, saved: Saved) -> None:
    """Write a checkpoint, and before it the lines of `metrics.csv` up to it."""
    from flax import serialization

    metrics = saved.history.text()
    atomic_files.write_bytes(folder / METRICS, metrics)
    contents = {
        "inputs": inputs.identity,
        "sequences": saved.history.sequences,
        "metrics_bytes": len(metrics),
        "metrics_digest": atomic_files.digest(metrics),
        "state": serialization.to_state_dict(saved.state),
    }
    atomic_files.write_bytes(folder / CHECKPOINT, _pack(CHECKPOINT_FORMAT, contents))


def load(folder: Path, inputs: Inputs, shapes: Any) -> Saved | None:
    """The last checkpoint of a run with its part of `metrics.csv`; None where there is none yet.

    Args:
      folder: of the run.
      inputs: what `read_inputs` found there.
      shapes: the state of every seed, a tree of shapes and types.

    Raises:
      StorageError: a file is damaged, or belongs to another run.
    """
    from echo_jax.runs.metrics_csv import History

    if not os.path.lexists(folder / CHECKPOINT):
        return None
    state, contents = load_state(folder, inputs, shapes)
    path = folder / METRICS
    size = contents["metrics_bytes"]
    if size > atomic_files.memory():
        raise StorageError(f"{path} would be larger than the memory: restore {CHECKPOINT}")
    metrics = atomic_files.read_bytes(path, size, whole=False)
    with contextlib.suppress(ValueError):
        if atomic_files.digest(metrics) == contents["metrics_digest"]:
            history = History.of_text(inputs.config, metrics)
            if history.sequences == contents["sequences"]:
                return Saved(state, history)
    raise StorageError(
        f"{path} is damaged before the line at which the checkpoint stands: restore it, or train "
        f"again with the configuration in {CONFIG}; to predict, it is not needed"
    )


def load_state(folder: Path, inputs: Inputs, shapes: Any) -> tuple[Any, dict[str, Any]]:
    """The state of every seed in the last checkpoint, and what else the checkpoint says.

    A file whose size is not that of the shapes is refused before it is read.
    """
    path = folder / CHECKPOINT
    if not os.path.lexists(path):
        raise StorageError(
            f"{folder} has no checkpoint yet: train on with scripts/train.py --resume {folder}, or "
            "start a new run"
        )
    fix = f"restore it, or train again with the configuration in {CONFIG}"
    contents = _unpack(path, CHECKPOINT_FORMAT, shapes, fix)
    numbers = [contents.get(name) for name in ("sequences", "metrics_bytes")]
    if not all(type(number) is int and number > 0 for number in numbers):
        raise StorageError(f"{path} is damaged: {fix}")
    lines = 1 + contents["sequences"] * inputs.config.seeds
    if contents["sequences"] > LARGEST or contents["metrics_bytes"] > LINE * lines:
        raise StorageError(f"{path} is damaged, its counts cannot be right: {fix}")
    if contents.get("inputs") != inputs.identity:
        raise StorageError(f"{path} is not of the run in {CONFIG}: restore the one or the other")
    return contents["state"], contents


def save_echo(path: Path, network: str, state: Any) -> None:
    """Write the state of a network that is fed integer by integer.

    Args:
      path: replaced if it is there.
      network: a digest that no other network has.
      state: `EchoState`.
    """
    from flax import serialization

    contents = {"network": network, "state": serialization.to_state_dict(state)}
    atomic_files.write_bytes(path, _pack(ECHO_FORMAT, contents))


def load_echo(path: Path, network: str, shapes: Any) -> Any:
    """The inverse of `save_echo`; StorageError for any other file, or another network's."""
    fix = "name another file, or none to start afresh"
    contents = _unpack(path, ECHO_FORMAT, shapes, fix)
    if contents.get("network") != network:
        raise StorageError(f"{path} is the state of another network: {fix}")
    return contents["state"]


def _pack(form: bytes, contents: dict[str, Any]) -> bytes:
    from flax import serialization

    payload = serialization.msgpack_serialize(contents)
    return form + atomic_files.digest(payload).encode() + b"\n" + payload


def _unpack(path: Path, form: bytes, shapes: Any, fix: str) -> dict[str, Any]:
    """What `_pack` wrote, its `state` of the same arrays as `shapes`; StorageError otherwise."""
    from flax import serialization

    size = size_of(shapes)
    atomic_files.check_memory(size)
    data = atomic_files.read_bytes(path, size + OVERHEAD, fix=fix)
    start = len(form) + len(atomic_files.digest(b"")) + 1
    try:
        if data[:start] != form + atomic_files.digest(data[start:]).encode() + b"\n":
            raise ValueError("the digest is not that of the content")
        contents = serialization.msgpack_restore(data[start:])
        contents["state"] = serialization.from_state_dict(shapes, contents["state"])
        if not _same_shapes(contents["state"], shapes):
            raise ValueError("its arrays are not those of the network")
    except Exception as error:  # whatever the bytes of a stranger make of their reader
        raise StorageError(f"{path} is damaged ({error}): {fix}") from error
    return contents


def size_of(shapes: Any) -> int:
    """The bytes of the arrays of a tree of shapes."""
    import jax

    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def _same_shapes(state: Any, shapes: Any) -> bool:
    import jax
    import numpy as np

    def same(leaf: Any, shape: Any) -> bool:
        return type(leaf) is np.ndarray and (leaf.shape, leaf.dtype) == (shape.shape, shape.dtype)

    try:
        return all(jax.tree.leaves(jax.tree.map(same, state, shapes)))
    except (ValueError, TypeError):  # not even the same tree
        return False


def _check_vocabulary(path: Path, values: Any, vocab_size: int) -> None:
    """Raise StorageError for anything but the values of the network, one for each answer."""
    from echo_jax.runs.csv_input import Vocabulary

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
    atomic_files.check_memory(8 * length)
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
