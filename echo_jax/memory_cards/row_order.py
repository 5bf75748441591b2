"""Whether the raw rows of a card could have come one after the other, as a prober goes. No jax.

tuning  every rate on every seed that chooses it, lag after lag until one of them learns
climb   the chosen rate and every seed at every lag, to where no seed has an unbroken prefix
order   what comes later only where the ladder was climbed to its end
places  far streams, gradients and the curriculum at the lags that the climb leaves for them
"""

from collections.abc import Iterator, Sequence
from typing import Any

from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.spans import Protocol
from echo_jax.memory_cards.json_types import Row

ORDER = ("stream", "hold", "price", "beyond", "jacobian", "curriculum", "bits", "linear")
"""Measures one after the other: tasks, and kinds of raw rows that have none."""


def fault(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> str | None:
    """The first thing that could not have been so; each row by itself is what it may be.

    Args:
      raw: of a card.
      seeds: of the card.
      protocol: of the card.
    """
    return next(_faults(raw, seeds, protocol), None)


def _faults(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    for task in sorted({row["task"] for row in raw if row["kind"] == "tune"}):
        yield from _tuning(task, _of(raw, "tune", task), protocol)
    yield from _rates(raw, protocol)
    for task in ("stream", "hold"):
        yield from _climb(task, _of(raw, "run", task), seeds, protocol)
    yield from _copies(_of(raw, "copy"), seeds, protocol)
    for kind in ("bits", "linear", "jacobian"):
        yield from _missing(kind, _of(raw, kind), seeds)
    yield from _order(raw, seeds, protocol)
    yield from _places(raw, seeds, protocol)


def _of(raw: Sequence[Row], kind: str, task: str | None = None) -> list[Row]:
    return [row for row in raw if row["kind"] == kind and row.get("task") == task]


def _missing(what: str, rows: Sequence[Row], seeds: Sequence[int]) -> Iterator[str]:
    """What is measured of every seed or of none has all of them."""
    absent = set(seeds) - {row["seed"] for row in rows}
    if rows and absent:
        yield f"raw has no {what} of seed {min(absent)}"


def _tuning(task: str, rows: Sequence[Row], protocol: Protocol) -> Iterator[str]:
    """All trials of each lag, and no further lag once the best rate has learned one."""
    trials = [(rate, seed) for rate in protocol["rates"] for seed in protocol["tuning_seeds"]]
    lags = [lag for lag in protocol["tuning_lags"][task] if any(row["lag"] == lag for row in rows)]
    if lags != protocol["tuning_lags"][task][: len(lags)]:
        yield f"raw chooses the rate of {task} at lag {lags[0]}, without those before"
    for lag in lags:
        tried = [row for row in rows if row["lag"] == lag]
        absent = set(trials) - {(row["rate"], row["seed"]) for row in tried}
        for rate, seed in sorted(absent):
            yield f"raw has no tune {task} at lag {lag} of rate {rate} and seed {seed}"
        if lag != lags[-1] and spans.is_decided(tried, protocol):
            yield f"raw chooses the rate of {task} again after lag {lag}, where it was decided"


def _rates(raw: Sequence[Row], protocol: Protocol) -> Iterator[str]:
    """All is trained at the rate that was chosen for its task."""
    for i, row in enumerate(raw):
        if row["kind"] not in ("run", "curriculum", "copy"):
            continue
        task = row.get("task", "copy")
        tuned = _of(raw, "tune", task)
        if not tuned:
            yield f"raw[{i}] is trained at a rate that nothing in raw chooses"
            return
        rate = spans.best_rate(spans.last_tried(tuned, protocol["tuning_lags"][task]))
        if row["rate"] != rate:
            yield f"raw[{i}].rate is {row['rate']}, and that chosen for {task} is {rate}"


def _climb(
    task: str, runs: Sequence[Row], seeds: Sequence[int], protocol: Protocol
) -> Iterator[str]:
    """Lags of the ladder without a gap, every seed at each, each to its end but for the last."""
    lags = sorted({run["lag"] for run in runs})
    if lags != protocol["ladder"][: len(lags)]:
        skipped = min(set(protocol["ladder"]) - set(lags))
        yield f"raw has no run {task} at lag {skipped}, and some at lag {lags[-1]}"
    for i, lag in enumerate(lags):
        at = [run for run in runs if run["lag"] == lag]
        yield from _missing(f"run {task} at lag {lag}", at, seeds)
        if lag == lags[-1]:
            return
        if not all(spans.decided(run, protocol) for run in at):
            yield f"raw goes on to lag {lags[i + 1]} of {task} with runs of lag {lag} undecided"
        if not spans.unbroken([run for run in runs if run["lag"] <= lag], seeds, protocol):
            yield f"raw goes on to lag {lags[i + 1]} of {task}, which no seed has come to"


def _copies(rows: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """T after T, all seeds for as long, and but for the last T to the end of the budget."""
    reached = sorted({row["T"] for row in rows})
    if reached != protocol["ladder"][: len(reached)]:
        yield f"raw has no copy T {min(set(protocol['ladder']) - set(reached))}"
    for blanks in reached:
        of = [row for row in rows if row["T"] == blanks]
        yield from _missing(f"copy T {blanks}", of, seeds)
        lengths = {len(row["updates"]) for row in of}
        if len(lengths) > 1 or (blanks != reached[-1] and lengths != {spans.evaluations(protocol)}):
            yield f"raw has copies of T {blanks} that end before the others"


def _order(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Nothing comes after a ladder that was left before its end, its time being over."""
    measured = [row["task"] if row["kind"] in ("tune", "run") else row["kind"] for row in raw]
    places = [ORDER.index(name) for name in measured if name in ORDER]
    for task in ("stream", "hold"):
        asked = task in protocol["rows"]
        later = max(places, default=-1) > ORDER.index(task)
        if asked and later and not _is_whole(_of(raw, "run", task), seeds, protocol):
            yield f"raw leaves {task} before its end, and goes on with {ORDER[max(places)]}"


def _is_whole(runs: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> bool:
    """Whether a ladder was climbed to where it ends, or to where no seed goes on."""
    if not runs or not all(spans.decided(run, protocol) for run in runs):
        return False
    at_the_end = max(run["lag"] for run in runs) == protocol["ladder"][-1]
    return at_the_end or not spans.unbroken(runs, seeds, protocol)


def _places(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Rows that look into networks of the climb are of those that it says."""
    runs = _of(raw, "run", "stream")
    success = spans.successes(runs, protocol)
    passed, failed = spans.halves(runs, seeds, protocol)
    for i, row in enumerate(raw):
        if row["kind"] == "beyond":
            yield from _place(f"raw[{i}]", row, passed, row["seed"] in success.get(row["lag"], ()))
            # as `protocol.length` has it
            steps = max(protocol["shortest_stream"], protocol["lags_per_stream"] * row["lag"])
            if row["length"] != steps:
                yield f"raw[{i}].length is {row['length']}, and streams of that lag have {steps}"
        elif row["kind"] == "jacobian":
            yield from _place(f"raw[{i}]", row, failed, True)
        elif row["kind"] == "curriculum":
            yield from _place(
                f"raw[{i}]", row, failed, row["seed"] not in success.get(row["lag"], ())
            )
            below = [lag for lag, of in success.items() if lag < row["lag"] and row["seed"] in of]
            if row["from"] != max(below, default=None):
                yield f"raw[{i}].from is {row['from']}, not the last lag that the seed had passed"


def _place(where: str, row: Row, lag: Any, is_its_seed: bool) -> Iterator[str]:
    if row["lag"] != lag:
        yield f"{where}.lag is {row['lag']}, and the climb leaves {lag or 'none'} for {row['kind']}"
    elif not is_its_seed:
        yield f"{where}.seed is {row['seed']}, of which there is no {row['kind']} at that lag"
