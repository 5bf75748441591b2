"""Store trees of arrays as safetensors files, which PyTorch reads too and which run no code.

An array is named by its path in the tree, with its keys joined by dots: `params.cell.kernel`. The
metadata holds one JSON text: the kind and format of the file, the values that the writer adds, and
the SHA-256 of the whole file with zeros in the place of that digest. The digest is needed because
safetensors itself accepts a flipped bit.
"""

import json
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import numpy as safetensors

from echo_jax import machine
from echo_jax.exceptions import ConfigError, StorageError, shown
from echo_jax.jax_settings import __version__
from echo_jax.storage import atomic_files

DTYPES = frozenset(
    f"bool complex64 float16 float32 float64 {' '.join(f'int{n} uint{n}' for n in (8, 16, 32, 64))}"
    .split()
)  # fmt: skip
"""The types of arrays that NumPy reads back from safetensors; bfloat16 and int4 are missing."""

OVERHEAD = 2**20
"""The most bytes of a file besides those of its arrays."""

METADATA = "__metadata__"  # of safetensors: texts by their names, of which there is one
ABOUT = "echo_jax"
DIGEST = "sha256"
ZEROS = b"0" * 64  # in the place of the digest, as it is computed


def named(tree: Any) -> dict[str, Any]:
    """Return the leaves of `tree` by their names, such as `params.cell.kernel`.

    Raises ConfigError unless every leaf has a unique, printable name and a type in `DTYPES`.
    """
    leaves: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        # The header of safetensors lists its metadata among the arrays, under this name.
        if name in leaves or name == METADATA or not name.isprintable():
            rule = "does not have a unique, printable name"
            raise ConfigError(None, f"array {shown(name)}", rule, "use other keys, without dots")
        if str(leaf.dtype) not in DTYPES:
            rule = f"is {leaf.dtype}, which a file cannot hold"
            raise ConfigError(None, f"array {name}", rule, "use float32")
        leaves[name] = leaf
    return leaves


def size_of(shapes: Any) -> int:
    """Return the size in bytes of the arrays of a tree, whose leaves have shapes and types."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def write(path: Path, kind: str, tree: Any, about: dict[str, Any]) -> None:
    """Write the arrays of `tree` and the plain values `about` it to `path`, over an existing file.

    `kind` is the kind of the file, which is stored too.
    """
    # contiguous, in the order of C: safetensors takes the bytes of a slice or transpose as they lie
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in named(tree).items()}
    stated = {"kind": kind, "format": atomic_files.FORMAT, "version": __version__}
    # The digest is the first text of the header, so no other zeros are taken for its own: those of
    # an array follow, and those of a name, such as that of a column, too.
    text = json.dumps({DIGEST: ZEROS.decode(), **stated, **about})
    data = safetensors.save(arrays, {ABOUT: text})  # one text: of several their order varies
    atomic_files.write_bytes(path, data.replace(ZEROS, atomic_files.digest(data).encode(), 1))


def read_about(path: Path, fix: str) -> dict[str, Any]:
    """Return the plain values of a file without reading its arrays or checking its digest.

    Raises StorageError, whose sentence ends in `fix`, if the values cannot be read.
    """
    return _about(path, atomic_files.read_bytes(path, OVERHEAD, whole=False, fix=fix), fix)


def read(path: Path, shapes: Any, fix: str, others: bool = False) -> tuple[Any, dict[str, Any]]:
    """Return what `write` stored at `path`: a tree of NumPy arrays, and the plain values.

    `shapes` is the expected tree, whose leaves have shapes and types, or a function from the plain
    values to this tree. With `others`, the file may hold more arrays, up to the memory of the
    machine; they are not returned. Raises StorageError, whose sentence ends in `fix`, if the file
    is damaged or has other arrays. A file that is larger than the shapes allow is refused before it
    is read.
    """
    # The metadata is read by itself first: it gives the shapes, and they bound how much is read.
    size = size_of(shapes(read_about(path, fix)) if callable(shapes) else shapes)
    machine.check_memory(size, "read it on a machine with more memory")
    limit = machine.memory() if others else size + OVERHEAD
    data = atomic_files.read_bytes(path, limit, fix=fix)
    stated = _about(path, data, fix)
    if callable(shapes):  # of what is there now: a run that trains writes its file again
        shapes = shapes(stated)
    try:
        arrays = _arrays(data, stated.pop(DIGEST))
    except Exception:  # anyone can write a file: its bytes may break their reader in any way
        raise _damaged(path, fix) from None
    leaves = named(shapes)
    more = len(arrays) > len(leaves) and not others
    if more or any(map(_differs, leaves.values(), map(arrays.get, leaves))):
        raise StorageError(None, path, "does not hold the arrays of the network", fix)
    tree = jax.tree.unflatten(jax.tree.structure(shapes), [arrays[name] for name in leaves])
    return tree, stated


def _arrays(data: bytes, digest: str) -> dict[str, np.ndarray]:
    """Return the arrays of the file content `data` by name; any error means a damaged file.

    `digest` is the SHA-256 that the file states.
    """
    if atomic_files.digest(data.replace(digest.encode(), ZEROS, 1)) != digest:
        raise ValueError("another digest")
    return safetensors.load(data)


def _about(path: Path, data: bytes, fix: str) -> dict[str, Any]:
    """Return the plain values in `data`, which holds at least the first bytes of a file.

    Raises StorageError if they cannot be read.
    """
    # safetensors begins with the length of its header in 8 bytes. Its own reader wants the whole
    # file, and here are the first bytes.
    end = 8 + int.from_bytes(data[:8], "little")
    try:
        if end > OVERHEAD:
            raise ValueError("a header longer than any")
        header = atomic_files.parse_json(data[8:end])
        stated = dict(atomic_files.parse_json(header[METADATA][ABOUT]))
        readable = stated["format"] == atomic_files.FORMAT
    except Exception:  # as in `read`
        raise _damaged(path, fix) from None
    if not readable:
        raise atomic_files.other_version(path, stated.get("version"))
    return stated


def _damaged(path: Path, fix: str) -> StorageError:
    return StorageError(None, path, "is damaged, as its digest does not match its content", fix)


def _differs(leaf: Any, array: Any) -> bool:
    return array is None or (leaf.shape, leaf.dtype) != (array.shape, array.dtype)
