"""The compilation cache of jax in a folder of this user, so that a later run starts sooner.

    ~/.cache/echo_jax/compiled/KEY/    one folder a kind of machine

XDG_CACHE_HOME, an absolute path, names another place than ~/.cache.
"""

import hashlib
import os
import stat
import sys
from pathlib import Path

from echo_jax import environment
from echo_jax.exceptions import printable

BYTES = 2**28  # of programs of a kind of machine, at most; those used last longest ago go


def use_compilation_cache() -> None:
    """Let jax keep its compiled programs in a folder that only this user can read; jax has started.

    Nothing is kept where the user turned the cache of jax off (JAX_ENABLE_COMPILATION_CACHE=0) or,
    after one warning, where the folder cannot be used. A folder that the user gave to jax
    (JAX_COMPILATION_CACHE_DIR) is used as it is.
    """
    import jax

    given = jax.config.values["jax_compilation_cache_dir"]
    if given or not jax.config.values["jax_enable_compilation_cache"]:
        return
    try:
        folder = _folder()
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        print(f"no compiled programs are kept: {printable(str(error))}", file=sys.stderr)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", BYTES)
    # By default jax keeps only what took a second to compile; short programs add up as well.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    # With 0, and not -1, jax may set a least size of its own for the file system.
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _folder() -> Path:
    """The folder of this machine's programs; OSError if it cannot be written, or is not ours.

    A program from another user could do anything, so the folders on the way are checked too.
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # the XDG specification ignores a relative path: it would be below whatever folder is current
    top = (given if given.is_absolute() else Path.home() / ".cache") / "echo_jax"
    folders = top, top / "compiled", top / "compiled" / _key()
    # From the top: whoever owns a folder can put another one below it into its place.
    for folder in folders:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()  # of a link itself
        others = hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o22)
        if others or not stat.S_ISDIR(status.st_mode):
            raise OSError(f"{folder} is a link, another user's or open to others: remove it")
        # mkdir keeps the mode of a folder that is there already.
        folder.chmod(0o700)
    os.utime(folders[-1])  # fails where nothing can be written
    return folders[-1]


def _key() -> str:
    """A digest of what a program depends on that jax does not hash into the name of its file.

    A program that is compiled for one processor can end the process on another, and home folders
    are shared. The number of threads decides how some of them are split.
    """
    machine = environment.processor(), environment.threads(), environment.device_kind()
    versions = [environment.versions()[name] for name in ("jax", "jaxlib")]
    flags = [os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS")]
    return hashlib.sha256(repr((*machine, versions, flags)).encode()).hexdigest()[:16]
