"""Handle run folders, one for each run with one writer: their files, rules and own values.

`checkpoint` reads and writes the file that is the run. This module has the names of the files, the
rules of a folder and the user's own values. Nothing in a folder is executed, and no name in it is
used as a path. docs/formats.md lists the files.
"""

import datetime
import itertools
import os
import re
import types
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import msgspec

from echo_jax import machine
from echo_jax.config import RunConfig
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.storage import atomic_files

if TYPE_CHECKING:  # jax and numpy are imported after the command line was found valid
    import numpy as np
    import optax

    from echo_jax.cells.interface import Cell
    from echo_jax.echo.data import Corpus
    from echo_jax.storage.vocabulary import Vocabulary

RUNS = Path("runs")
"""The parent folder of runs for which no folder is given."""

CONFIG = "config.json"
VOCABULARY = "vocabulary.json"
TOKENS = "tokens.safetensors"
CHECKPOINT = "checkpoint.safetensors"
METRICS = "metrics.csv"
RESULT = "result.json"
SEEDS = "seeds.csv"
FIGURE = "curve.png"


class Begun(msgspec.Struct, frozen=True):
    """The versions, device and cores with which a run began; they can decide its last bits."""

    versions: dict[str, str]
    device: str
    cores: int


class StoredVocabulary(msgspec.Struct):
    """The content of `vocabulary.json`.

    values  the different values, in the order of their tokens
    length  the number of values in the column or text
    """

    values: list[str]
    length: Annotated[int, msgspec.Meta(gt=0)]


class RunSpec(NamedTuple):
    """The inputs of a run, whose results are a function of these inputs."""

    config: RunConfig
    values: list[str] | None = None  # the different ones of own data, in the order of their tokens
    tokens: "np.ndarray | None" = None  # all own data, int32 [M]; None where they were not read
    digests: Mapping[str, str] = types.MappingProxyType({})  # of the files of the two, by name
    seed_map: Literal["map", "vmap"] | None = None  # None: that of the device. It changes bits
    compute: Literal["literal", "fast"] | None = None  # None means fast
    cell_source: str | None = None  # SHA-256 of the file of a user's cell
    cell: "Cell | None" = None  # that a call was given, if the configuration only names it
    optimizer: "optax.GradientTransformation | None" = None  # likewise
    begun: Begun | None = None  # None: here

    @property
    def vocabulary(self) -> "Vocabulary":
        """The values that the tokens stand for, and which of them no network is trained on."""
        from echo_jax.storage.vocabulary import Vocabulary

        if self.values is not None:
            corpus = self.corpus()
            untrained = corpus.untrained.tolist() if corpus else []
            return Vocabulary(tuple(self.values), frozenset(untrained))
        size = self.config.task.vocab_size
        machine.check_memory(100 * size, "use a smaller {vocab_size}")
        return Vocabulary(tuple(map(str, range(size))))

    def corpus(self) -> "Corpus | None":
        """Return the user's values as a training part and a held-out part, or None without values.

        Raises ConfigError if one of the parts is shorter than a sequence.
        """
        if self.tokens is None:
            return None
        from echo_jax.echo.data import Corpus

        total = len(self.tokens)
        share = self.config.data.held_out
        held = round(total * share)
        trained = total - held
        length = self.config.task.length
        if min(held, trained) >= length:
            return Corpus(self.tokens[:trained], self.tokens[trained:])
        rule = (
            f"leaves {trained} of {total} values for training and {held} for evaluation, and each "
            f"part needs at least the {length} values of a sequence"
        )
        fix = "use more values or a shorter {length}"
        if total // 2 >= length:
            fix = "use more values, a shorter {length} or {held_out=0.5}"
        raise ConfigError("held_out", share, rule, fix)


def as_shown(path: Path) -> str:
    """Return `path` as text, relative to the current folder if it is below this folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def named_after_time(kind: str = "") -> Path:
    """Return an unused folder in RUNS, named after the time, `kind`, and if needed a number."""
    stem = f"{datetime.datetime.now():%Y%m%d-%H%M%S}{kind}"
    endings = itertools.chain([""], (f"-{i}" for i in itertools.count(2)))
    folders = (RUNS / (stem + ending) for ending in endings)
    return next(folder for folder in folders if not os.path.lexists(folder))


def check_unused(out: Path) -> None:
    """Raise ConfigError unless a run can be made in `out`: a new or an empty folder.

    A process that was killed may leave staged files and its lock, which do not count. Raises
    StorageError if `out` is the current folder.
    """
    atomic_files.check_not_current(out)
    if not os.path.lexists(out):
        return
    kind = "folder" if os.path.isdir(out) else "file"
    names = os.listdir(out) if kind == "folder" and os.access(out, os.R_OK) else ["unknown"]
    if not all(re.fullmatch(r"\..*\.part|\.lock", name) for name in names):
        rule = f"is an existing {kind}, and nothing is overwritten"
        raise ConfigError("out", str(out), rule, "use the name of a new folder")


def begun_here() -> Begun:
    """Return the versions, the device and the number of cores of this process."""
    return Begun(machine.versions(), machine.device_kind(), machine.threads())


def write_values(folder: Path, inputs: RunSpec) -> None:
    """Write the own values of `inputs`, if any, as `vocabulary.json` and `tokens.safetensors`.

    The files are written into `folder`.
    """
    if inputs.values is not None and inputs.tokens is not None:
        contents = {"values": inputs.values, "length": len(inputs.tokens)}
        atomic_files.write_json(folder / VOCABULARY, contents)
        from echo_jax.storage import tensor_files

        tensor_files.write(folder / TOKENS, "tokens", {"tokens": inputs.tokens}, {})


def with_values(folder: Path, inputs: RunSpec, to_train: bool) -> RunSpec:
    """Return `inputs` with the user's values and tokens, read from `folder`.

    Raises StorageError if a file is missing or damaged. For the tokens, this is an error only if
    `to_train` is True; otherwise they are left out.
    """
    vocabulary = _read_vocabulary(folder, inputs)
    inputs = inputs._replace(values=vocabulary.values)
    try:
        return inputs._replace(tokens=_read_tokens(folder, inputs, vocabulary.length))
    except StorageError:
        if to_train:
            raise
    return inputs


def changed_cell(folder: Path, inputs: RunSpec, source: str | None) -> str | None:
    """Return a sentence if the user's cell has changed since the run in `folder`, or None.

    `source` is the digest of the cell's text now; `inputs` state the digest at the start.
    """
    if inputs.cell_source == source:
        return None
    return f"the text of cell {inputs.config.network.cell} has changed since {folder} was started"


def _read_vocabulary(folder: Path, inputs: RunSpec) -> StoredVocabulary:
    from echo_jax.storage.vocabulary import LONGEST, Vocabulary

    path = folder / VOCABULARY
    size = inputs.config.task.vocab_size
    limit = 2**20 + 12 * LONGEST * size  # the bytes of a character, escaped as a pair, are 12
    machine.check_memory(limit, "read it on a machine with more memory")
    contents = atomic_files.read_json(path, limit=limit)
    # The file's own digest fits any vocabulary; that in the checkpoint says which is the run's.
    signed = [contents.get(name) for name in StoredVocabulary.__struct_fields__]
    if atomic_files.digest_of(signed) != inputs.digests.get(VOCABULARY):
        raise StorageError(None, path, "is not the vocabulary of the run", "restore it")
    try:
        stored = msgspec.convert(contents, StoredVocabulary)
        if len(Vocabulary(tuple(stored.values))) != size:
            raise ConfigError(f"{len(stored.values)} values for a network of {size}")
    except (ConfigError, msgspec.ValidationError) as error:
        rule = f"is not a valid vocabulary of the run ({error})"
        raise StorageError(None, path, rule, "restore it") from None
    return stored


def _read_tokens(folder: Path, inputs: RunSpec, length: int) -> "np.ndarray":
    import jax

    from echo_jax.storage import tensor_files

    path = folder / TOKENS
    fix = "restore it; predicting does not need it"
    shapes = {"tokens": jax.ShapeDtypeStruct((length,), "int32")}
    tokens = tensor_files.read(path, shapes, fix)[0]["tokens"]
    if atomic_files.digest(tokens.tobytes()) != inputs.digests.get(TOKENS):
        raise StorageError(None, path, "does not belong to the run", fix)
    if tokens.min() < 0 or tokens.max() >= inputs.config.task.vocab_size:
        raise StorageError(None, path, "has tokens without a value", fix)
    return tokens
