"""A folder that one process at a time fills with rows, and with pages made of them."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from echo_jax import atomic_files


@contextlib.contextmanager
def claimed(
    folder: Path, inside: Iterable[str] = (), generated: Iterable[Path] = ()
) -> Iterator[None]:
    """Make a folder, and folders inside it, and lock it against every other process.

    FolderInUseError where another process has it. StorageError, before anything is made, where a
    link is in the place of one, or a generated file was edited since, or is somebody else's.
    """
    folders = [folder, *(folder / name for name in inside)]
    for each in folders:
        atomic_files.check_no_link(each)
    for path in generated:
        atomic_files.check_generated(path)
    for each in folders:
        atomic_files.make_folder(each)
    with atomic_files.locked(folder):
        yield
