"""Compiled programs kept on disk, so that the next run of the same shapes starts sooner."""

import platform
import sys
import tempfile

from echo_jax.exceptions import printable


def use_compilation_cache() -> None:
    """Keep compiled programs in a folder of this user and this machine, readable by no one else.

    A program fits one kind of processor: shared by machines that differ, a cache would give
    programs that crash. So the machine's name is part of the folder's. Where the folder cannot be
    written to, a sentence says so, and all is compiled.
    """
    import jax
    import platformdirs

    folder = platformdirs.user_cache_path("echo_jax", appauthor=False) / platform.node()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        print(f"no compiled programs are kept: {printable(str(error))}", file=sys.stderr)
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
