"""A disk that fails: the k-th system call of a write raises an error."""

import errno
import os


class Faults:
    """Counts the system calls that write, and fails one of them.

    Args:
      monkeypatch: undoes it.
      fails: which call fails, counted from 0; None for none.
      error: of the call.
    """

    def __init__(self, monkeypatch, fails=None, error=errno.ENOSPC):
        self.log, self._fails, self._error = [], fails, error
        for name in ("open", "fsync", "replace"):
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name)))
        monkeypatch.setattr("builtins.open", self._wrap_file(open))

    def _count(self, name, what):
        self.log.append((name, what))
        if len(self.log) - 1 == self._fails:
            raise OSError(self._error, os.strerror(self._error))

    def _wrap(self, name, call):
        def wrapped(first, *rest, **options):
            writes = name != "open" or rest[0] & (os.O_WRONLY | os.O_DIRECTORY)
            if writes:
                target = os.readlink(f"/proc/self/fd/{first}") if name == "fsync" else first
                self._count(name, os.path.basename(str(target)))
            return call(first, *rest, **options)

        return wrapped

    def _wrap_file(self, call):
        def wrapped(file, mode="r", *rest, **options):
            opened = call(file, mode, *rest, **options)
            return TornFile(opened, self._count) if mode == "wb" else opened

        return wrapped


class TornFile:
    """Half of the bytes reach the disk before it is found to be full."""

    def __init__(self, file, count):
        self._file, self._count = file, count
        self._name = os.path.basename(os.readlink(f"/proc/self/fd/{file.fileno()}"))

    def write(self, data):
        self._file.write(data[: len(data) // 2])
        self._count("write", self._name)
        self._file.write(data[len(data) // 2 :])

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self._file.close()
