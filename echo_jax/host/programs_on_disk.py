"""Compiled programs kept on disk, so that the next run of the same shapes starts sooner.

    ~/.cache/echo_jax/compiled/KEY/    one folder a kind of machine; XDG_CACHE_HOME names another
                                       cache folder

The cache of jax spares the compiler alone: jax traces and lowers a program before it looks for it
there, and that takes as long as the training of part 4. So the programs of a run of a built-in cell
are found here by a digest of all that they are made from, the source of echo_jax included. All
others are in the cache of jax, in the same folder. Each removes those that were used last longest
ago.
"""

import contextlib
import hashlib
import os
import pickle
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echo_jax import atomic_files, environment
from echo_jax.config import RunConfig, is_built_in
from echo_jax.exceptions import StorageError, printable
from echo_jax.host import process_start

if TYPE_CHECKING:  # commands that are refused before they compile need no jax
    import jax

SWITCH = "ECHO_JAX_COMPILATION_CACHE"  # a variable of the environment
OFF = ("0", "off", "no", "false")  # its values that turn the cache off
BYTES = 2**28  # of programs of a machine, at most, those of jax and those kept here apart


def switched_on() -> bool:
    """False where the environment turns the cache off."""
    return os.environ.get(SWITCH, "").lower() not in OFF


def switch_off() -> None:
    """Keep and read no programs, here and in the processes that are started, workers too."""
    os.environ[SWITCH] = "0"


def program_folder(wanted: bool = True) -> Path | None:
    """The folder of this user's programs, which no one else can read; jax has started.

    None where none are kept: not wanted, turned off, in a folder that was given to jax, or in one
    that cannot be used, which is one warning.
    """
    import jax

    if not wanted:
        switch_off()
    if not switched_on():
        jax.config.update("jax_enable_compilation_cache", False)
    given = jax.config.values["jax_compilation_cache_dir"]
    if given or not jax.config.values["jax_enable_compilation_cache"]:
        return None
    try:
        return _folder()
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        print(f"no compiled programs are kept: {printable(str(error))}", file=sys.stderr)
        switch_off()
        return None


def use_compilation_cache(wanted: bool = True) -> None:
    """Let jax keep its compiled programs in the `program_folder`; jax has started.

    A folder that the user gave to jax (JAX_COMPILATION_CACHE_DIR) is used as it is.
    """
    import jax

    if folder := program_folder(wanted):
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", BYTES)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _folder() -> Path:
    """The folder of this machine's programs; OSError if it cannot be written, or is not ours.

    A program from another user could do anything, so the folders on the way are checked too.
    """
    top = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "echo_jax"
    folders = top, top / "compiled", top / "compiled" / _key()
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (stat.S_ISDIR(folder.lstat().st_mode) and is_ours(folder)):
            raise OSError(f"{folder} is a link, another user's or open to others: remove it")
        folder.chmod(0o700)
    os.utime(folders[-1])  # fails where nothing can be written
    return folders[-1]


def is_ours(path: Path) -> bool:
    """True where no other user can have written a file, or into a folder; links not followed."""
    status = path.lstat()
    return not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o22)


def _key() -> str:
    """A digest of what a program depends on that jax does not hash into the name of its file.

    A program that is compiled for one processor can end the process on another, and home folders
    are shared. The number of threads decides how some of them are split.
    """
    machine = environment.processor(), environment.threads(), environment.device_kind()
    versions = [environment.versions()[name] for name in ("jax", "jaxlib")]
    flags = [os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")]
    return hashlib.sha256(repr((*machine, versions, flags)).encode()).hexdigest()[:16]


DIGEST = 32  # bytes of the SHA-256 before a program


class KeptPrograms:
    """Programs in a folder; without a folder none is kept.

    The folder must be the user's alone: who writes to it decides what this process executes.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """The programs in a folder, which is there."""
        self._folder = folder
        self._compiled: dict[Path, jax.stages.Compiled] = {}  # in this process

    def program(
        self, jitted: Any, devices: Sequence["jax.Device"], made_from: object, *arguments: Any
    ) -> Callable[[], "jax.stages.Compiled"]:
        """A call that loads or compiles a jitted function for arguments of these shapes.

        What is not kept is traced here. The `repr` of what the function is `made_from` states all
        that decides its code, but for the source of echo_jax, versions and settings.
        """
        import jax

        if not self._folder:
            return jitted.lower(*arguments).compile
        around = environment.software(), sorted(jax.config.values.items()), len(devices)
        key = repr((made_from, jax.tree.map(jax.typeof, arguments), around)).encode()
        path = self._folder / f"{hashlib.sha256(key).hexdigest()[:DIGEST]}.program"

        def compiled(lowered: Any) -> "jax.stages.Compiled":
            """The program, noted to be kept."""
            self._compiled[path] = lowered.compile()
            return self._compiled[path]

        def loaded() -> "jax.stages.Compiled":
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
        from jax.experimental import serialize_executable

        with contextlib.suppress(Exception):
            for path, program in self._compiled.items():
                data = pickle.dumps(serialize_executable.serialize(program))
                atomic_files.write_bytes(path, hashlib.sha256(data).digest() + data)
            _make_room(self._folder)


@contextlib.contextmanager
def of_run(config: RunConfig, wanted: bool) -> Iterator[KeptPrograms]:
    """The kept programs of a run, written at its end; where there are none, jax gets its cache.

    A user's cell has sources that no digest here covers; values of a file need further programs.
    jax cannot write a program again that came from its cache, so it is the one or the other.
    """
    import jax

    coverable = is_built_in(config.network.cell) and config.data.file is None
    if not (coverable and jax.default_backend() == "cpu"):
        use_compilation_cache(wanted)
        yield KeptPrograms()
        return
    kept = KeptPrograms(program_folder(wanted))
    try:
        yield kept
    finally:  # also of a run that was stopped: the next one goes on with the same programs
        kept.write()


def _read(path: Path) -> bytes:
    """The content of a program's file; empty where there is none of ours that is whole."""
    with contextlib.suppress(OSError, StorageError):
        if not is_ours(path):
            return b""
        content = atomic_files.read_bytes(path, BYTES)
        path.touch()  # it was used last now
        if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
            return content[DIGEST:]
    return b""


def _load(data: bytes, devices: Sequence["jax.Device"]) -> "jax.stages.Compiled":
    import numpy as np
    from jax.experimental import serialize_executable
    from jaxlib import lapack

    lapack.prepare_lapack_call("geqrf", np.dtype(np.float32))  # else one that calls it ends jax
    program, in_tree, out_tree = pickle.loads(data)
    return serialize_executable.deserialize_and_load(
        program, in_tree, out_tree, execution_devices=devices
    )


def _make_room(folder: Path) -> None:
    """Remove the programs that were used last longest ago, until the others have `BYTES`."""
    found = {path: path.lstat() for path in folder.glob("*.program")}
    left = BYTES
    for path in sorted(found, key=lambda path: found[path].st_mtime, reverse=True):
        left -= found[path].st_size
        if left < 0:
            path.unlink(missing_ok=True)
