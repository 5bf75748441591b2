"""Grid points of many seeds, split into tasks of at most 64 of them, each with a row. No jax.

    1,000 seeds      parts of the seeds 0 to 63, 64 to 127, ... 960 to 999: 16 tasks for 16 workers
    until learned    one part of all seeds: training stops when the last of them has learned

The file of rows has the rows of the parts, which are read as one row. The borders depend on the
grid point alone, so it has the same bits for any number of workers and whenever it was stopped.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from echo_jax.config import changed
from echo_jax.grid import row_file
from echo_jax.report.number_formats import plain
from echo_jax.studies import result_rows
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.result_rows import BySeed, Failed, ResultRow, Seconds

MOST_SEEDS = 64  # of a part


def at_once(point: GridPoint) -> int:
    """The seeds that are trained side by side."""
    seeds = point.config.seeds
    return seeds if point.until_learned else min(seeds, MOST_SEEDS)


def parts_of(point: GridPoint) -> list[GridPoint]:
    """The parts in the order of their seeds, each a grid point; itself where it is one part."""
    if at_once(point) == point.config.seeds:
        return [point]
    end = point.config.seed + point.config.seeds
    parts = []
    for seed in range(point.config.seed, end, MOST_SEEDS):
        seeds = min(MOST_SEEDS, end - seed)
        labels = {**point.labels, "seeds": f"{seed} to {seed + seeds - 1}"}
        config = changed(point.config, seed=seed, seeds=seeds)
        parts.append(dataclasses.replace(point, labels=labels, config=config))
    return parts


def missing(points: Sequence[GridPoint], rows: Sequence[ResultRow]) -> list[GridPoint]:
    """The parts of grid points that have no row yet, of grid points without a row of the whole."""
    parts = [part for point in row_file.missing(points, rows) for part in parts_of(point)]
    return row_file.missing(parts, rows)


def finished(points: Sequence[GridPoint], rows: Sequence[ResultRow]) -> list[ResultRow]:
    """The rows of grid points, joined where all parts are there; see `result_rows.finished`."""
    made = []
    for point in row_file.missing(points, rows):
        if len(parts := parts_of(point)) > 1:
            there = result_rows.finished(parts, rows)
            made += [joined(point, there)] if len(there) == len(parts) else []
    return result_rows.finished(points, [*rows, *made])


def joined(point: GridPoint, rows: Sequence[ResultRow]) -> ResultRow:
    """The row of a grid point from those of its parts, in their order.

    Lists of seeds follow each other; times add up, but for that of compiling, as parts share their
    programs; memory is that of the largest part. ValueError where a seed is missing or there twice.
    """
    devices = dict.fromkeys(row.device for row in rows if row.device)
    times = [msgspec.to_builtins(row.seconds) for row in rows]
    seconds = {stage: sum(each[stage] or 0 for each in times) for stage in times[0]}
    seconds["compile"] = max(each["compile"] for each in times)
    versions = {
        name: " and ".join(dict.fromkeys(row.versions.get(name, "none") for row in rows))
        for name in rows[0].versions
    }
    return msgspec.structs.replace(
        result_rows.of_point(rows[0], point),
        config=point.config,
        bytes=max(row.bytes for row in rows),
        by_seed=BySeed(**_together([msgspec.to_builtins(row.by_seed) for row in rows])),
        accuracy_by_position=_mean_by_position(rows),
        measured=_together([row.measured for row in rows]),
        failed=Failed(**_together([msgspec.to_builtins(row.failed) for row in rows])),
        seconds=Seconds(**seconds),
        versions=versions,
        date=max(row.date for row in rows),
        device=" and ".join(devices),
    )


def _together(parts: Sequence[Any]) -> Any:
    if isinstance(parts[0], dict):
        return {name: _together([part[name] for part in parts]) for name in parts[0]}
    return list(itertools.chain(*parts))


def _mean_by_position(rows: Sequence[ResultRow]) -> list[float | None] | None:
    """The mean over all seeds that did not fail, None at a position without a target."""
    if rows[0].accuracy_by_position is None:
        return None
    seeds = [row.config.seeds - len(row.failed.seed) for row in rows]
    if not any(seeds):
        return rows[0].accuracy_by_position
    known = [(row.accuracy_by_position, n) for row, n in zip(rows, seeds, strict=True) if n]
    means, weights = zip(*known, strict=True)
    return plain(np.average(np.array(means, float), axis=0, weights=weights))
