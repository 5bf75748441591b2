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
    folder = out or _next_free(RUNS)
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        _create(folder)
        yield folder
    except BaseException:
        for path in missing:
            with contextlib.suppress(OSError):
                path.rmdir()
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


def _create(folder: Path) -> None:
    if os.path.lexists(folder):
        kind = "folder" if folder.is_dir() else "file"
        raise ConfigError(
            f"out {folder} is a {kind} that exists already, and nothing is overwritten: "
            "use the name of a new folder"
        )
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            f"out {folder} cannot be created ({error.strerror}): use a folder you may write to"
        ) from error


def _next_free(root: Path) -> Path:
    stem = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    names = (stem if i == 1 else f"{stem}-{i}" for i in range(1, 1000))
    return next(root / name for name in names if not os.path.lexists(root / name))
