"""Trees of arrays as safetensors files: PyTorch, NumPy and the hubs read them, nothing is executed.

An array is named by its path in the tree, its keys joined by dots: `params.cell.kernel`. The
metadata has one text, JSON: the kind and format of the file, what the writer says about the tree,
and the SHA-256 of the whole file with zeros in the place of that digest, because safetensors
itself takes a flipped bit.
"""

import json
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
from safetensors import numpy as safetensors

from echo_jax import environment
from echo_jax.exceptions import ConfigError, StorageError, shown
from echo_jax.jax_settings import __version__
from echo_jax.storage import atomic_files

DTYPES = frozenset(
    f"bool complex64 float16 float32 float64 {' '.join(f'int{n} uint{n}' for n in (8, 16, 32, 64))}"
    .split()
)  # fmt: skip
"""Types of array that NumPy reads back from safetensors; it has no bfloat16 and no int4."""

OVERHEAD = 2**20
"""Bytes of a file beyond those of its arrays, at most."""

METADATA = "__metadata__"  # of safetensors: texts by their names, of which there is one
ABOUT = "echo_jax"
DIGEST = "sha256"
ZEROS = b"0" * 64  # in the place of the digest, as it is computed


def named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their names.

    ConfigError for a name that two leaves have or none can have, and for a type that is not in
    `DTYPES`.
    """
    leaves: dict[str, Any] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        # The header of safetensors lists its metadata among the arrays, under this name.
        if name in leaves or name == METADATA or not name.isprintable():
            rule = "has no name of its own"
            raise ConfigError(None, f"array {shown(name)}", rule, "use other keys, without dots")
        if str(leaf.dtype) not in DTYPES:
            rule = f"is {leaf.dtype}, which no file holds"
            raise ConfigError(None, f"array {name}", rule, "use float32")
        leaves[name] = leaf
    return leaves


def size_of(shapes: Any) -> int:
    """The bytes of the arrays of a tree of shapes."""
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))


def write(path: Path, kind: str, tree: Any, about: dict[str, Any]) -> None:
    """Write a tree of arrays and plain values about it, replacing the file that is there."""
    # contiguous, in the order of C: safetensors takes the bytes of a slice or transpose as they lie
    arrays = {name: np.asarray(leaf, order="C") for name, leaf in named(tree).items()}
    stated = {"kind": kind, "format": atomic_files.FORMAT, "version": __version__}
    # The digest is the first text of the header, so no other zeros are taken for its own: those of
    # an array follow, and those of a name, such as that of a column, too.
    text = json.dumps({DIGEST: ZEROS.decode(), **stated, **about})
    data = safetensors.save(arrays, {ABOUT: text})  # one text: of several their order varies
    atomic_files.write_bytes(path, data.replace(ZEROS, atomic_files.digest(data).encode(), 1))


def read_about(path: Path, fix: str) -> dict[str, Any]:
    """The plain values of a file, of which nothing else is read; its digest is not checked."""
    return _about(path, atomic_files.read_bytes(path, OVERHEAD, whole=False, fix=fix), fix)


def read(path: Path, shapes: Any, fix: str, others: bool = False) -> tuple[Any, dict[str, Any]]:
    """The inverse of `write` for a tree of these shapes: numpy arrays, and what is about them.

    The shapes may be a function of what is about them. StorageError, ending in `fix`, for any other
    file; one that is larger than the shapes allow is refused before it is read. With `others` it
    may hold more arrays, and be as large as the memory.
    """
    # The metadata is read by itself first: it gives the shapes, and they bound how much is read.
    size = size_of(shapes(read_about(path, fix)) if callable(shapes) else shapes)
    environment.check_memory(size)
    limit = environment.memory() if others else size + OVERHEAD
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
    """The arrays of a file; any error where it is damaged."""
    if atomic_files.digest(data.replace(digest.encode(), ZEROS, 1)) != digest:
        raise ValueError("another digest")
    return safetensors.load(data)


def _about(path: Path, data: bytes, fix: str) -> dict[str, Any]:
    """The plain values of a file of this format, which its first bytes hold."""
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
    return StorageError(None, path, "is damaged, its digest is not that of its content", fix)


def _differs(leaf: Any, array: Any) -> bool:
    return array is None or (leaf.shape, leaf.dtype) != (array.shape, array.dtype)
