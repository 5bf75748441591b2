"""Atomic and durable writes, suspicious reads, digests and locks.

A file is staged under another name, synced, renamed over the old one, and its folder synced: at
whatever moment the process, the disk or the power fails, the old file or the new one is there,
whole. What is read may come from a stranger: it is a regular file of bounded size, or refused.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from echo_jax.exceptions import ConfigError, StorageError, printable
from echo_jax.jax_settings import __version__

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FORMAT = 3  # of run folders and states
JSON_LIMIT = 64 * 2**20  # bytes, of a JSON or generated file
LEDGER = ".generated"  # the digests of the generated files beside it, by their names
BY_HAND = re.compile(rb"(?<=<!-- findings -->).*?(?=<!-- end of findings -->)", re.S)
"""The part of a generated page that is written by hand and kept."""

LOCK = ".lock"  # a file in a folder, which is locked where the folder itself cannot be


def path_of(field: str, value: Any) -> Path:
    """Return the path that `value` names.

    Raises ConfigError, which blames the argument `field` of a call, if the value is not a path.
    """
    try:
        if "\0" not in os.fsdecode(os.fsencode(value)):
            return Path(value)
    except (TypeError, UnicodeEncodeError):  # no path; a surrogate that no file system has
        pass
    raise ConfigError(field, value, "is not a path", "use the name of a file or folder")


def check_not_current(out: Path) -> None:
    """Raise StorageError if `out` is the current folder, which an empty path names too."""
    if os.path.abspath(out) == os.getcwd():
        fix = "name another folder with {out}"
        raise StorageError(None, "the current folder", "cannot be used for results", fix)


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` as a whole file or not at all, safe from a power cut.

    Raises StorageError if that fails.
    """
    staged = path.with_name(f".{path.name}.part")
    try:
        # A killed process may have left its staged file. O_EXCL makes a new one and follows no link
        # that somebody else put there.
        staged.unlink(missing_ok=True)
        with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb") as file:
            file.write(data)
            file.flush()
            # The content has to be on the disk before the name is: after a power cut the name could
            # stand for an empty file.
            os.fsync(file.fileno())
        os.replace(staged, path)
        # The rename is an entry of the folder, which the sync of the file does not cover.
        sync_folder(path.parent)
    except OSError as error:
        # On a full disk the staged file would take the room that the next attempt needs.
        with contextlib.suppress(OSError):
            staged.unlink(missing_ok=True)
        rule = f"cannot be written ({error.strerror})"
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        fix = "make room for it, or use another place" if full else "use another place"
        raise StorageError(None, path, rule, fix) from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe from a power cut, on systems that can open a folder."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_bytes(
    path: Path, limit: int, whole: bool = True, fix: str = "use the folder of a run"
) -> bytes:
    """Return the bytes of a regular file, but no more than the first `limit` bytes.

    Raises StorageError, whose sentence ends in `fix`, if the path is a link, a folder or a pipe, or
    cannot be read. With `whole`, a file of more than `limit` bytes is refused too.
    """
    try:
        # Before it is opened: opening a pipe waits for a writer, perhaps for ever.
        info = path.lstat()
        if not stat.S_ISREG(info.st_mode):
            raise StorageError(None, path, "is not a regular file", fix)
        if whole and info.st_size > limit:
            raise StorageError(None, path, f"is larger than the allowed {limit:,} bytes", fix)
        with path.open("rb") as file:
            # read(n) takes n bytes of memory at once, and the limit may be all there is. The size
            # is that of the file that was opened, which may be another one by now.
            return file.read(min(limit, os.fstat(file.fileno()).st_size))
    except OSError as error:
        raise StorageError(None, path, f"cannot be read ({error.strerror})", fix) from error


def check_no_link(path: Path) -> None:
    """Raise StorageError if `path`, where a folder or file is to be written, is a link."""
    if os.path.islink(path):
        rule = "is a link, and the target of a link is never changed"
        raise StorageError(None, path, rule, "remove the link")


def make_folder(folder: Path) -> None:
    """Make `folder`, with its parents, unless it exists.

    Raises StorageError if the folder cannot be made, or is not readable and writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        rule = f"cannot be created as a folder ({error.strerror})"
        raise StorageError(None, folder, rule, "use another {out}, or move it") from error


def write_json(path: Path, values: dict[str, Any], indent: int = 2) -> None:
    """Write `values` to `path` as JSON, with their digest as the last field, `file_digest`."""
    signed = values | {"file_digest": digest_of(values)}
    write_bytes(path, (json.dumps(signed, indent=indent, allow_nan=False) + "\n").encode())


def read_json(
    path: Path, fix: str = "restore it, or start a new run", limit: int = JSON_LIMIT
) -> dict[str, Any]:
    """Return the values that `write_json` wrote, without the digest.

    Raises StorageError, whose sentence ends in `fix`, if the file is not as it was written, or has
    more than `limit` bytes.
    """
    data = read_bytes(path, limit, fix=fix)
    try:
        values = parse_json(data)
        if values.pop("file_digest") == digest_of(values):
            return values
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
        # Raised, in this order, for no JSON, a list, a number, no digest, too many open brackets.
        pass
    raise StorageError(None, path, "is damaged, as its digest does not match its content", fix)


def parse_json(data: bytes | str) -> Any:
    """Return the value of the JSON text `data`.

    Raises ValueError if the text is not JSON, or if an object repeats a name.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return the pairs of an object; raise ValueError if a name occurs twice."""
        # Python keeps the last of two equal names and another reader may keep the first.
        values = dict(pairs)
        if len(values) < len(pairs):
            raise ValueError("a name occurs twice in an object")
        return values

    return json.loads(data, object_pairs_hook=unique)


def write_generated(path: Path, data: bytes) -> None:
    """Write `data`, a page, figure or table, over its earlier generated version at `path`.

    Raises StorageError if that file was edited, or if somebody else made it. The part `BY_HAND` of
    the earlier version is kept. The ledger gets the new digest beside the old one before the file
    is replaced. So whatever fails, the old or new file counts as generated.
    """
    old = check_generated(path, data)
    if kept := BY_HAND.search(old):
        # As a function, because backslashes in a replacement text would be read as groups.
        data = BY_HAND.sub(lambda _: kept[0], data)
    digests = {path.name: sorted({_generated_digest(each) for each in (old or data, data)})}
    write_json(path.with_name(LEDGER), _ledger(path.parent) | digests)
    write_bytes(path, data)


def check_generated(path: Path, new: bytes = b"") -> bytes:
    """Return the content of the generated file at `path`, or b"" if there is no file.

    Raises StorageError if the file was edited since it was generated, or if somebody else made it,
    unless its content equals the content `new`.
    """
    if not os.path.lexists(path):
        return b""
    old = read_bytes(path, JSON_LIMIT, fix="use another name")
    known = _ledger(path.parent).get(path.name)
    found = _generated_digest(old)
    if found != _generated_digest(new) and not (isinstance(known, list) and found in known):
        rule = "has been edited since it was generated, and would be overwritten"
        raise StorageError(None, path, rule, "rename it")
    return old


def _generated_digest(data: bytes) -> str:
    """Return the digest of a file without the part that is written by hand."""
    return digest(BY_HAND.sub(b"", data))


def write_generated_folder(folder: Path, contents: Mapping[str, str | bytes]) -> list[Path]:
    """Write generated files, `contents` by name, into `folder`, and return their paths.

    The folder is made if needed. Raises StorageError, before any file is written, if one of the
    files was edited or is not ours, or if the folder is a link or cannot be made.
    """
    check_no_link(folder)
    make_folder(folder)
    for name in contents:
        check_generated(folder / name)
    for name, content in contents.items():
        write_generated(folder / name, content.encode() if isinstance(content, str) else content)
    return [folder / name for name in contents]


def _ledger(folder: Path) -> dict[str, Any]:
    """Return the digests of the generated files of a folder, by their names."""
    path = folder / LEDGER
    fix = "remove it, and move the pages and figures beside it to another folder"
    return read_json(path, fix) if os.path.lexists(path) else {}


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def digest_of(values: Any) -> str:
    """Return the digest of the plain `values`; it does not depend on the order of keys."""
    return digest(json.dumps(values, sort_keys=True, allow_nan=False).encode())


def other_version(path: Path, version: object) -> StorageError:
    """Return the error for a file or folder at `path` that another `version` wrote."""
    by = f"echo_jax {printable(version)[:20]}" if isinstance(version, str) else "another echo_jax"
    rule = f"was written by {by} in a format that {__version__} does not read"
    return StorageError(None, path, rule, "use that version, or make it again with this version")


@contextlib.contextmanager
def claimed(
    folder: Path, inside: Iterable[str] = (), generated: Iterable[Path] = ()
) -> Iterator[None]:
    """Make a folder with the folders `inside` it, and lock it against other processes.

    The lock lasts until the context ends. Raises StorageError if another process holds the lock.
    The error is also raised, before anything is made, if a link is in the place of a folder, or if
    one of the files `generated` was edited or is not ours.
    """
    folders = [folder, *(folder / name for name in inside)]
    for each in folders:
        check_no_link(each)
    for path in generated:
        check_generated(path)
    for each in folders:
        make_folder(each)
    with locked(folder):
        yield


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep every other process out of a folder until the context or this process ends.

    Raises StorageError if another process holds the folder, or if `folder` is not a folder that can
    be read and locked.
    """
    # What is no folder is told apart from a folder that cannot be locked: both raise OSError.
    try:
        os.scandir(folder).close()
    except OSError as error:
        rule = f"is not a folder that can be read ({error.strerror})"
        raise StorageError(None, folder, rule, "use the folder of a run") from error
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(_lock_of(folder) if fcntl else _lock_in(folder))
        except (BlockingIOError, TimeoutError) as error:
            # The first is raised by flock, the second by filelock.
            fix = "wait until it has ended, or stop it"
            raise StorageError(None, folder, "is in use by another process", fix) from error
        except OSError as error:
            rule = f"cannot be locked ({error.strerror})"
            raise StorageError(None, folder, rule, "use a folder on another file system") from error
        yield


@contextlib.contextmanager
def _lock_of(folder: Path) -> Iterator[None]:
    """Lock the folder itself, so that no file is left in it, or opened through a link."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # The kernel unlocks it when the process ends, also by a kill, so no stale lock is left.
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _lock_in(folder: Path) -> AbstractContextManager[Any]:
    """Return the lock of a file in `folder`, for systems that cannot lock a folder.

    Raises StorageError if the file is a link.
    """
    # Only Windows gets here: elsewhere the folder itself is locked.
    import filelock

    check_no_link(folder / LOCK)
    return filelock.FileLock(folder / LOCK).acquire(timeout=0)
