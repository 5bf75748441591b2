"""Compiled programs kept on disk, so that the next run of the same shapes starts sooner.

    ~/.cache/echo_jax/compiled/KEY/    one folder a kind of machine; XDG_CACHE_HOME names another
                                       cache folder

jax reads and writes the programs, and removes those that were used last longest ago.
"""

import hashlib
import os
import stat
import sys
from pathlib import Path

from echo_jax import environment
from echo_jax.exceptions import printable

SWITCH = "ECHO_JAX_COMPILATION_CACHE"  # a variable of the environment
OFF = ("0", "off", "no", "false")  # its values that turn the cache off
BYTES = 2**28  # of jax's programs of a machine, at most, and of `kept_programs`


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
    import jax  # commands that are refused before they compile need no jax

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
