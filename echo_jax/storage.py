"""Files that are whole or not there: atomic and durable writes, suspicious reads, digests, locks.

A file is staged under another name, synced, renamed over the old one, and its folder synced: at
whatever moment the process, the disk or the power fails, the old file or the new one is there,
whole. What is read may come from a stranger: it is a regular file of bounded size, or refused.
"""

import contextlib
import csv
import errno
import fcntl
import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from echo_jax.config import ConfigError

JSON_LIMIT = 64 * 2**20
"""No JSON file of a run is longer, bytes."""

STAGED = ".part"
"""What the name of a file ends with, after a dot before it, until it is whole."""


class StorageError(ConfigError):
    """A file or folder that cannot be written, or cannot be believed."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, safe from a power cut; StorageError where it cannot be."""
    staged = path.with_name(f".{path.name}{STAGED}")
    try:
        staged.unlink(missing_ok=True)
        with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(staged, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written ({error.strerror}): make room for it, or use another place"
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe from a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(
    path: Path, limit: int, whole: bool = True, fix: str = "use the folder of a run"
) -> bytes:
    """The content of a regular file of at most `limit` bytes; not `whole`: the first `limit`.

    StorageError for anything else: no such file, a link, a folder, a pipe, a longer file. Its
    sentence ends with `fix`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        linked = getattr(error, "errno", None) == errno.ELOOP
        why = "it is a link" if linked else getattr(error, "strerror", "there is a NUL in its name")
        raise StorageError(f"{path} cannot be read ({why}): {fix}") from error
    info = os.fstat(descriptor)
    if not stat.S_ISREG(info.st_mode):  # `open` would fail on a folder, with another error
        os.close(descriptor)
        raise StorageError(f"{path} is no regular file: {fix}")
    with open(descriptor, "rb") as file:
        if whole and info.st_size > limit:
            raise StorageError(
                f"{path} has {info.st_size:,} bytes where at most {limit:,} can be right: "
                "it is not what the run wrote"
            )
        return file.read(min(limit, info.st_size))


def memory() -> int:
    """The memory of this machine, bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(size: int) -> None:
    """Raise ConfigError for more bytes than the machine has, before they are taken."""
    if size > memory():
        raise ConfigError(
            f"{size / 2**30:,.1f} GiB are needed at the least and this machine has "
            f"{memory() / 2**30:,.1f}: use smaller sizes or fewer seeds"
        )


def digest(data: bytes) -> str:
    """SHA-256, as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(values: Any) -> str:
    """The digest of plain values, whatever the order of their keys."""
    return digest(json.dumps(values, sort_keys=True, allow_nan=False).encode())


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file that ends with the digest of the rest of it, `file_digest`."""
    signed = values | {"file_digest": digest_of(values)}
    write_bytes(path, (json.dumps(signed, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path, fix: str = "restore it, or start a new run") -> dict[str, Any]:
    """What `write_json` wrote; StorageError, which ends with `fix`, where something else is."""
    data = read_bytes(path, JSON_LIMIT)
    try:
        values = json.loads(data)
        if values.pop("file_digest") == digest_of(values):
            return values
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        pass
    raise StorageError(f"{path} is damaged, its digest is not that of its content: {fix}")


def write_csv(path: Path, columns: dict[str, list]) -> None:
    """Write columns of equal length as a CSV file; None is an empty cell."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(columns)
    rows.writerows(zip(*columns.values(), strict=True))
    write_bytes(path, text.getvalue().encode())


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process out of a folder; StorageError where one is in it already.

    The lock is the system's: it ends with the process, however that ends.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StorageError(
            f"{folder} is no folder that can be read ({error.strerror}): use the folder of a run"
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StorageError(
                f"{folder} is in use by another process: wait until it has ended, or stop it"
            ) from error
        except OSError as error:
            raise StorageError(
                f"{folder} cannot be locked ({error.strerror}): use a folder on another file system"
            ) from error
        yield
    finally:
        os.close(descriptor)
