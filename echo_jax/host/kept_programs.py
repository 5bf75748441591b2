"""The compiled programs of a run, kept on disk: a later run loads them and traces nothing.

The cache of jax spares the compiler alone: jax traces and lowers a program before it looks for it
there, and that takes as long as the training of part 4. Here a program is found by a digest of all
that it is made from, the source of echo_jax included.
"""

import contextlib
import hashlib
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import serialize_executable
from jaxlib import lapack

from echo_jax import atomic_files, environment
from echo_jax.config import RunConfig, is_built_in
from echo_jax.exceptions import StorageError
from echo_jax.host import compilation_cache, process_start

Program = jax.stages.Compiled

DIGEST = 32  # bytes of the SHA-256 before a program


class KeptPrograms:
    """Programs in a folder; without a folder none is kept.

    The folder must be the user's alone: who writes to it decides what this process executes.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """The programs in a folder, which is there."""
        self._folder = folder
        self._compiled: dict[Path, Program] = {}  # in this process

    def program(
        self, jitted: Any, devices: Sequence[jax.Device], made_from: object, *arguments: Any
    ) -> Callable[[], Program]:
        """A call that loads or compiles a jitted function for arguments of these shapes.

        What is not kept is traced here. The `repr` of what the function is `made_from` states all
        that decides its code, but for the source of echo_jax, versions and settings.
        """
        if not self._folder:
            return jitted.lower(*arguments).compile
        around = environment.software(), sorted(jax.config.values.items()), len(devices)
        key = repr((made_from, jax.tree.map(jax.typeof, arguments), around)).encode()
        path = self._folder / f"{hashlib.sha256(key).hexdigest()[:DIGEST]}.program"

        def compiled(lowered: Any) -> Program:
            """The program, noted to be kept."""
            self._compiled[path] = lowered.compile()
            return self._compiled[path]

        def loaded() -> Program:
            """The program of the file; another build of a version of jaxlib may not load it."""
            try:
                return _load(data, devices)
            except Exception:
                return compiled(jitted.lower(*arguments))

        if data := _read(path):
            return loaded
        lowered = jitted.lower(*arguments)
        return lambda: compiled(lowered)

    def write(self) -> None:
        """Keep what was compiled here; the programs that were used last longest ago make room.

        What cannot be written is compiled again by the next run. Nothing is kept where the source
        of echo_jax has changed since the process began, as its digest may be of the later text.
        """
        if not (self._folder and self._compiled):
            return
        if max(path.stat().st_mtime for path in environment.source_files()) > process_start.BEGAN:
            return
        with contextlib.suppress(Exception):
            for path, program in self._compiled.items():
                data = pickle.dumps(serialize_executable.serialize(program))
                atomic_files.write_bytes(path, _digest(path, data) + data)
            _make_room(self._folder)


@contextlib.contextmanager
def of_run(config: RunConfig, wanted: bool) -> Iterator[KeptPrograms]:
    """The kept programs of a run, written at its end; where there are none, jax gets its cache.

    A user's cell has sources that no digest here covers; values of a file need further programs.
    jax cannot write a program again that came from its cache, so it is the one or the other.
    """
    coverable = is_built_in(config.network.cell) and config.data.file is None
    if not (coverable and jax.default_backend() == "cpu"):
        compilation_cache.use_compilation_cache(wanted)
        yield KeptPrograms()
        return
    kept = KeptPrograms(compilation_cache.program_folder(wanted))
    try:
        yield kept
    finally:  # also of a run that was stopped: the next one goes on with the same programs
        kept.write()


def _read(path: Path) -> bytes:
    """The content of a program's file; empty where there is none of ours, whole, by this name."""
    with contextlib.suppress(OSError, StorageError):
        if not compilation_cache.is_ours(path):
            return b""
        content = atomic_files.read_bytes(path, compilation_cache.BYTES)
        path.touch()  # it was used last now
        if _digest(path, content[DIGEST:]) == content[:DIGEST]:
            return content[DIGEST:]
    return b""


def _digest(path: Path, data: bytes) -> bytes:
    """The digest of a program and of its name: another program under that name has another."""
    return hashlib.sha256(path.name.encode() + hashlib.sha256(data).digest()).digest()


def _load(data: bytes, devices: Sequence[jax.Device]) -> Program:
    lapack.prepare_lapack_call("geqrf", np.dtype(np.float32))  # else one that calls it ends jax
    program, in_tree, out_tree = pickle.loads(data)
    return serialize_executable.deserialize_and_load(
        program, in_tree, out_tree, execution_devices=devices
    )


def _make_room(folder: Path) -> None:
    """Remove the programs that were used last longest ago, until the others have `BYTES`."""
    found = {path: path.lstat() for path in folder.glob("*.program")}
    left = compilation_cache.BYTES
    for path in sorted(found, key=lambda path: found[path].st_mtime, reverse=True):
        left -= found[path].st_size
        if left < 0:
            path.unlink(missing_ok=True)
