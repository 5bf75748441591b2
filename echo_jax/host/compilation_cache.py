"""Compiled programs kept on disk, so that the next run of the same shapes starts sooner.

    CACHE/echo_jax/compiled/KEY/    CACHE: the user's cache folder, ~/.cache on Linux

jax reads and writes the programs, and removes those that were used last longest ago. Here are its
folder, the switch, and what happens where a program cannot be read or written.
"""

import contextlib
import hashlib
import os
import re
import shutil
import stat
import sys
import threading
import warnings
from pathlib import Path

from echo_jax import machine
from echo_jax.exceptions import printable

SWITCH = "ECHO_JAX_COMPILATION_CACHE"
"""The variable of the environment that turns the cache off, with one of the words `OFF`."""

OFF = ("0", "off", "no", "false")

BYTES = 2**28
"""Bound of the programs under one key; one shape of a run takes a third of a MB."""

KEYS = 4
"""Folders that are kept, those used last: a program fits one kind of processor and one jax."""


def switched_on() -> bool:
    """False where the environment turns the cache off."""
    return os.environ.get(SWITCH, "").lower() not in OFF


def switch_off() -> None:
    """Keep and read no programs, here and in the processes that are started, workers too."""
    os.environ[SWITCH] = "0"


def use_compilation_cache(wanted: bool = True) -> None:
    """Keep compiled programs in a folder of this user, which no one else can read; jax has started.

    Not wanted, or switched off: this process and those that it starts keep and read none. A folder
    that the user gave to jax (JAX_COMPILATION_CACHE_DIR) is used as it is. Where a folder or a
    program in it cannot be used, one sentence says so, and all is compiled.
    """
    import jax

    if not wanted:
        switch_off()
    if not switched_on():
        jax.config.update("jax_enable_compilation_cache", False)
        return
    folder = None
    if not jax.config.values["jax_compilation_cache_dir"]:
        try:
            folder = _folder()
        except OSError as error:
            print(f"no compiled programs are kept: {printable(str(error))}", file=sys.stderr)
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", BYTES)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    _go_on_without(folder)


def _folder() -> Path:
    """The folder of this machine's programs; OSError if it cannot be written, or is not ours."""
    import platformdirs

    top = platformdirs.user_cache_path("echo_jax", appauthor=False)
    kept = top / "compiled"
    for folder in (top, kept, kept / _key()):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise OSError(f"{folder} is a link: remove it")
        if found.st_uid != os.getuid():
            raise OSError(
                f"{folder} belongs to another user: set XDG_CACHE_HOME to a folder of yours"
            )
        if found.st_mode & 0o077:
            folder.chmod(0o700)
    os.utime(folder)  # used last; fails where nothing can be written
    with contextlib.suppress(OSError):  # another process removes them too
        others = sorted(kept.iterdir(), key=lambda each: each.stat().st_mtime)
        for each in others[:-KEYS]:
            shutil.rmtree(each, ignore_errors=True)
    return folder


def _key() -> str:
    """A digest of what a program depends on that jax does not hash into the name of its file.

    A program that is compiled for one processor can end the process on another, and home folders
    are shared. The number of threads decides how some of them are split.
    """
    import jax
    import jaxlib

    versions = jax.__version__, jaxlib.__version__
    flags = [os.environ.get(name) for name in ("XLA_FLAGS", "LIBTPU_INIT_ARGS", "NPROC")]
    parts = machine.processor(), machine.cores(), machine.device_kind(), versions, flags
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _go_on_without(folder: Path | None) -> None:
    """At the first program that cannot be read or written, compile all that follow, and say so.

    jax only warns, and a damaged or half-written file would stay: all in the `folder` are removed.
    """
    if warnings.showwarning.__name__ == "say_once":  # a second run in this process
        return
    import jax
    from filelock import FileLock
    from jax.experimental.compilation_cache import compilation_cache

    problem = "Error (?:reading|writing) persistent compilation cache entry for "
    once, show = threading.Lock(), warnings.showwarning

    def say_once(message: Warning | str, *details: object, **more: object) -> None:
        """Stands for `warnings.showwarning`."""
        if not re.match(problem, str(message)):
            show(message, *details, **more)  # type: ignore[arg-type]
        elif once.acquire(blocking=False):
            jax.config.update("jax_enable_compilation_cache", False)
            compilation_cache.reset_cache()
            if folder is not None and ": Timeout: " not in str(message):  # of a lock
                with contextlib.suppress(Exception), FileLock(folder / ".lockfile", timeout=1):
                    for each in folder.glob("*-*"):
                        each.unlink(missing_ok=True)
            what = printable(re.sub(problem, "", str(message)))
            print(f"kept compiled programs are not used: {what}", file=sys.stderr)

    warnings.filterwarnings("always", problem)
    warnings.showwarning = say_once
