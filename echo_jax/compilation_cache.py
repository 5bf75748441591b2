"""Keep programs that jax compiled in a folder of the user, for later processes."""

import hashlib
import os
import stat
import sys
from pathlib import Path

from echo_jax.exceptions import printable
from echo_jax.machine import device_kind, processor, threads, versions

PROGRAM_BYTES = 2**28  # of programs of a kind of machine, at most; those used last longest ago go


def use_compilation_cache() -> None:
    """Let jax, which has started, keep its compiled programs in a folder of this user alone.

        ~/.cache/echo_jax/compiled/KEY/    one folder for each kind of machine

    XDG_CACHE_HOME, if it is an absolute path, replaces ~/.cache. A folder that the user gave to jax
    (JAX_COMPILATION_CACHE_DIR) is used as it is. Nothing is kept if the user turned jax's cache off
    (JAX_ENABLE_COMPILATION_CACHE=0), or if the folder cannot be used; then one warning is printed.
    """
    import jax

    given = jax.config.values["jax_compilation_cache_dir"]
    if given or not jax.config.values["jax_enable_compilation_cache"]:
        return
    try:
        folder = _program_folder()
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        print(f"compiled programs are not kept: {printable(str(error))}", file=sys.stderr)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", PROGRAM_BYTES)
    # By default jax keeps only what took a second to compile; short programs add up as well.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # With 0, and not -1, jax may set a least size of its own for the file system.
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _program_folder() -> Path:
    """Return the folder of the programs of this kind of machine, and make it if it is missing.

    Raises OSError if the folder, or one of the two folders above it, is a link or is open to other
    users: a compiled program that another user put there could do anything.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # the XDG specification ignores a relative path: it would be below whatever folder is current
    top = (given if given.is_absolute() else Path.home() / ".cache") / "echo_jax"
    folders = top, top / "compiled", top / "compiled" / _machine_key()
    # From the top: whoever owns a folder can put another one below it into its place.
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()  # of a link itself
        others = hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o22)
        if others or not stat.S_ISDIR(status.st_mode):
            raise OSError(f"{folder} is a link, or others own it or can write to it: remove it")
        # mkdir keeps the mode of a folder that is there already.
        folder.chmod(0o700)
    os.utime(folders[-1])  # fails where nothing can be written
    return folders[-1]


def _machine_key() -> str:
    """Return a digest of what a compiled program depends on but jax leaves out of its file name.

    A program that is compiled for one processor can end the process on another, and home folders
    are shared. The number of threads decides how some programs are split.
    """
    machine = processor(), threads(), device_kind()
    packages = [versions()[name] for name in ("jax", "jaxlib")]
    flags = [os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")]
    return hashlib.sha256(repr((*machine, packages, flags)).encode()).hexdigest()[:16]
