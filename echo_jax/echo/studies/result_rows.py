"""The row of a grid point: its configuration and the scores of every seed. No jax.

Functions return a score by its name: as values of the seeds, as a median with its interval, or as
text.
"""

import datetime
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import UNSET, Meta

from echo_jax import statistics
from echo_jax.config import RunConfig, TaskConfig, from_dict
from echo_jax.echo.run.result import Scores, Share
from echo_jax.echo.studies.grid_point import GridPoint, Label
from echo_jax.statistics import Summary
from echo_jax.storage.row_file import Count, RowKind

TIMING = ("seconds", "versions", "date", "device", "bytes")  # left out by the digest of a row

MeasuredOfSeed = int | float | None | Annotated[list[int | float | None], Meta(max_length=1000)]


def shapes_of(task: TaskConfig) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return, for each of `measures.MEASURES`, the names of its results and shapes for one seed.

    The shapes depend on the length and the window of `task`.
    """
    steps = (min(task.length, 2 * task.window),)
    return {
        "other_state": {"accuracy": ()},
        "rows_apart": {"missing": (), "full": ()},
        "follows": {"trained": steps, "untrained": steps},
        "probe": {"network": (), "before": (9,), "after": (9,)},
        "newest": {"variance": (), "explained": ()},
        "fed_back": {"answers": (50,), "distinct": (8,), "repeats": ()},
    }


class ResultRow(Scores, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The scores of a grid point, its labels and its configuration.

    `cell_source` is the SHA-256 of the file of a user's cell, and `data_digest` is the digest of
    the user's own values. Rows without a user's cell or own values lack these fields.
    """

    point: str  # the name of the grid point
    labels: dict[str, Label]
    config: RunConfig
    until_learned: bool
    parameters: Count  # trainable numbers of one seed
    bytes: Count  # memory of a chunk of training, all seeds, by the compiler's analysis
    # the mean over the seeds that did not fail; None where a sequence has more than 64 rows
    accuracy_by_position: list[Share | None] | None
    measured: dict[str, dict[str, list[MeasuredOfSeed]]]  # by measure and what it finds, `[S, ...]`
    date: datetime.date
    device: str | None  # that computed it; None: unknown
    cell_source: str | None = None
    data_digest: str | None = None

    def __post_init__(self) -> None:
        """Raise ValueError unless the scores fit the configuration, and the training time is there.

        The lists of scores must have the seeds, the positions and the shapes of the configuration.
        """
        seeds = self.config.seeds
        task = self.config.task
        if self.by_seed.seed != list(range(self.config.seed, self.config.seed + seeds)):
            raise ValueError("the seeds differ from the seeds of the configuration")
        if "train" not in self.seconds:
            raise ValueError("the seconds of the training are missing")
        lists = list(msgspec.structs.asdict(self.by_seed).items())
        for measure, measured in self.measured.items():
            lists += [(f"{measure} {what}", values) for what, values in measured.items()]
        for name, values in lists:
            if values is not UNSET and len(values) != seeds:
                raise ValueError(f"{name} has {len(values)} values for {seeds} seeds")
        positions = task.length if task.in_streams else len(task.row_times)
        if self.accuracy_by_position and len(self.accuracy_by_position) != positions:
            raise ValueError(f"accuracy_by_position does not have {positions} positions")
        self._check_shapes()

    def _check_shapes(self) -> None:
        """Raise ValueError unless every measure has results of its names and shapes."""
        shapes = shapes_of(self.config.task)
        for measure, found in self.measured.items():
            expected = shapes.get(measure, {})
            if found.keys() != expected.keys():
                raise ValueError(f"{measure} does not measure {', '.join(found)}")
            for what, values in found.items():
                if any(np.array(value).shape != expected[what] for value in values):
                    rule = f"does not have shape {expected[what]} for each seed"
                    raise ValueError(f"{measure} {what} {rule}")

    @property
    def key(self) -> str:
        """The key of the row's grid point."""
        return self.grid_point.key

    @property
    def grid_point(self) -> GridPoint:
        """The row's grid point, without the tokens of own values."""
        digests = self.cell_source, self.data_digest
        return GridPoint(
            self.labels, self.config, tuple(self.measured), self.until_learned, *digests
        )

    @property
    def sequences(self) -> int:
        """The number of sequences that each seed was trained on."""
        return self.updates // self.config.task.updates_per_sequence

    @property
    def cut_short(self) -> bool:
        """True if training until 99% ended at its limit, before every seed had reached 99%."""
        return self.until_learned and None in self.by_seed.sequences_to_99


def _decoded(values: dict[str, Any]) -> ResultRow:
    # msgspec would take the default for any field of the configuration that is missing
    config = from_dict(values.get("config", {}))
    return msgspec.convert(values | {"config": config}, ResultRow)


RESULT_ROWS = RowKind("a row of results", _decoded, msgspec.to_builtins, TIMING)


def finished(points: Sequence[GridPoint], rows: Iterable[ResultRow]) -> list[ResultRow]:
    """Return the `rows` that belong to `points`, in the order and with the labels of `points`.

    A point without a row is left out. If several rows have the key of a point, the last row with
    the name of the point counts, or the last of these rows if none has this name.
    """
    by_key = {row.key: row for row in rows}
    by_name = {(row.key, row.point): row for row in rows}
    there = []
    for point in points:
        key = point.key
        if key in by_key:
            row = by_name.get((key, point.name), by_key[key])
            labels = dict(point.labels)
            there.append(msgspec.structs.replace(row, point=point.name, labels=labels))
    return there


def scores(row: ResultRow, name: str) -> list:
    """Return the score `name` of every seed of `row`, or an empty list if it was not measured.

    A seed that never reached the score has None. `name` is a field of `by_seed`, updates_to_99 or
    rows_to_99; or a measure and one of its results, such as "rows_apart missing", perhaps at one
    place, as in "probe before 1".
    """
    if name.endswith("_to_99"):
        times = _in_a_sequence(row, name)
        return [None if n is None else n * times for n in row.by_seed.sequences_to_99]
    measure, *what = name.split()
    if what:
        values: list = row.measured.get(measure, {}).get(what[0], [])
        return [value[int(what[1])] for value in values] if what[1:] else values
    return getattr(row.by_seed, name, None) or []


def _in_a_sequence(row: ResultRow, name: str) -> int:
    task = row.config.task
    updates = task.updates_per_sequence
    return {"updates_to_99": updates, "rows_to_99": updates * task.batch_size}.get(name, 1)


def limit(row: ResultRow, name: str) -> float:
    """Return the largest score `name` that the training of `row` could show, or infinity.

    A score that counts until 99%, such as updates_to_99, is bounded by the end of training.
    """
    trained = row.sequences * _in_a_sequence(row, name)
    return trained if name.endswith("_to_99") else math.inf


def summary(row: ResultRow, name: str) -> Summary:
    """Return the median of the score `name` over the seeds; one seed gives no interval."""
    return statistics.summary_of(scores(row, name))._replace(cut_short=row.cut_short)


def shown(row: ResultRow, name: str, pattern: Callable[[float], str]) -> str:
    """Return the median of the score `name` and its interval as text; "-" if it was not measured.

    `pattern` writes a number: "99.73% (99.70 to 99.77)". A score that was not reached is above the
    limit of training: ">2,000", or "1,489 (1,450 to >2,000)".
    """
    if not scores(row, name):
        return "-"
    most = limit(row, name)

    def write(value: float) -> str:
        return f">{pattern(most)}" if value > most else pattern(value)

    middle, interval, _ = summary(row, name)
    if interval is None or math.isinf(interval.low):
        return write(middle)
    low = write(interval.low).removesuffix("%")
    high = write(interval.high).removesuffix("%")
    return f"{write(middle)} ({low} to {high})"


def places(row: ResultRow, name: str) -> tuple[int, list[float]]:
    """Return the first of P places, and the mean over the seeds of the score `name` at each place.

    For accuracy_by_position, a place is a time in the sequence. The first place is the time at
    which the first row ends, or 0 in streams. For a measure, a place is an index from 0.
    """
    if name == "accuracy_by_position":
        task = row.config.task
        first = 0 if task.in_streams else task.row_times[0]
        return first, [math.nan if x is None else x for x in row.accuracy_by_position or []]
    return 0, np.array(scores(row, name), float).mean(axis=0).tolist()
