"""Run folders: one new folder for each run, written atomically, nothing ever overwritten.

config.json   what was run
metrics.csv   sequence, loss, accuracy: a line for every training sequence (of every seed)
seeds.csv     the scores of every seed, where there are several
result.json   scores with their floors, times, versions
curve.png     loss and accuracy over training
"""

import contextlib
import csv
import datetime
import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from echo_jax.config import ConfigError, RunConfig

if TYPE_CHECKING:
    import numpy as np

RUNS = Path("runs")
"""Where runs go that are not told where to."""


@contextlib.contextmanager
def claimed_folder(out: Path | None) -> Iterator[Path]:
    """A new, empty folder for a run; ConfigError, and no trace, where there can be none.

    Args:
      out: the folder to create, with its parents; None for a new one under `runs/`, named after
        the time. If what happens inside fails before it wrote anything, it is removed again.
    """
    try:
        folder, made = _make_next_free(RUNS) if out is None else (out, _make(out))
    except FileExistsError:
        kind = "folder" if out and out.is_dir() else "file"
        raise ConfigError(
            f"out {out} is a {kind} that exists already, and nothing is overwritten: "
            "use the name of a new folder"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"out {out or RUNS} cannot be created ({error.strerror}): use a folder you may write to"
        ) from error
    try:
        yield folder
    except BaseException:
        _remove_empty(made)
        raise


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    staged = path.with_name(path.name + ".part")
    staged.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")
    os.replace(staged, path)


def write_csv(path: Path, columns: dict[str, list]) -> None:
    """Write columns of equal length as a CSV file; None is an empty cell."""
    staged = path.with_name(path.name + ".part")
    with staged.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(columns)
        rows.writerows(zip(*columns.values(), strict=True))
    os.replace(staged, path)


class MetricsFile:
    """`metrics.csv`, one line for each sequence; lines reach the file chunk by chunk.

    Its columns are sequence, loss and accuracy, and before them the seed where there are several.
    """

    def __init__(self, path: Path, config: RunConfig) -> None:
        """Create the file with its header; FileExistsError where there is one."""
        self._file = path.open("x", encoding="ascii")
        self._labels = [""]
        if config.seeds > 1:
            self._labels = [f"{config.seed + s}," for s in range(config.seeds)]
        self._file.write(f"{'seed,' * (config.seeds > 1)}sequence,loss,accuracy\n")
        self._sequences = 0

    def append(self, loss: "np.ndarray", accuracy: "np.ndarray") -> None:
        """Add the mean loss (nats) and accuracy of the next sequences, each float `[S, N]`."""
        for label, *curves in zip(self._labels, loss.tolist(), accuracy.tolist(), strict=True):
            for i, pair in enumerate(zip(*curves, strict=True), start=self._sequences + 1):
                self._file.write("{}{},{:.6g},{:.6g}\n".format(label, i, *pair))
        self._sequences += loss.shape[1]
        self._file.flush()

    def __enter__(self) -> "MetricsFile":
        """The file itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._file.close()


def _make(folder: Path) -> list[Path]:
    """Create a folder and its missing parents: all of them, innermost first, or none (OSError)."""
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        folder.mkdir(parents=True)
    except OSError:
        _remove_empty(missing[1:])
        raise
    return missing


def _make_next_free(root: Path) -> tuple[Path, list[Path]]:
    """`_make` a folder named after the time, with a number behind it where that one is taken."""
    stem = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    for i in itertools.count(1):
        folder = root / (stem if i == 1 else f"{stem}-{i}")
        with contextlib.suppress(FileExistsError):
            return folder, _make(folder)
    raise AssertionError("itertools.count ended")


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()
