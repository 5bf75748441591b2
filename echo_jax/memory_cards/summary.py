"""The rows of a memory card, as a pure function of its raw rows and its protocol. No jax.

Whoever has a card can compute its rows again. A raw row is what was measured, of one seed or of the
cell; a row is what is said about the cell. docs/card.md describes every field of both.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from echo_jax import statistics
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.protocol import SYMBOLS, TASKS, memoryless_loss
from echo_jax.memory_benchmark.spans import Protocol
from echo_jax.memory_cards.json_types import Row
from echo_jax.report.number_formats import plain

UNDERFLOW = 1e-30
"""A gradient of exactly 0 beside others that are smaller than this may be one that was rounded."""


def rows_of(raw: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    """What a card says; None for a row of which nothing was measured.

    Args:
      raw: as in docs/card.md, in any order.
      protocol: what was fixed.
    """
    rows: dict[str, Any] = {"rates": _rates(_of(raw, "tune"), protocol)}
    for task in TASKS:
        rows[f"{task}_span"] = _spans(_of(raw, "run", task=task), protocol)
    learning = {task: _learning(_of(raw, "run", task=task), protocol) for task in TASKS}
    rows["learning"] = learning if any(learning.values()) else None
    rows["capacity"] = _capacity(_of(raw, "bits"))
    rows["linear"] = _linear(_of(raw, "linear"), _of(raw, "bits"))
    rows["beyond"] = _beyond(_of(raw, "beyond"))
    rows["cause"] = _cause(raw, protocol)
    rows["price"] = _price(_of(raw, "price"))
    rows["copy"] = _copy(_of(raw, "copy"))
    return plain(rows)


def estimate(values: Iterable[float | None], missing: float = math.nan) -> Row:
    """A value of each seed, their median and its interval.

    Args:
      values: a seed each, None for what is not there.
      missing: what None counts as: infinity for never, 0 for nothing; NaN leaves it out.
    """
    by_seed = list(values)
    counted = [missing if value is None else value for value in by_seed]
    known = [value for value in counted if not math.isnan(value)]
    found: Row = {"by_seed": by_seed, "median": None, "low": None, "high": None, "coverage": None}
    if known:
        median, interval = statistics.summary_of(known)
        found["median"] = _finite(median)
        if interval is not None:
            found |= {name: _finite(value) for name, value in interval._asdict().items()}
    return found


def span_estimate(lags: Iterable[float]) -> Row:
    """`estimate` whose median is a lag that was run: of an even number, the lower middle one."""
    found = estimate(lags)
    middle = sorted(found["by_seed"])[(len(found["by_seed"]) - 1) // 2]
    return found | {"median": _finite(float(middle))}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _of(raw: Sequence[Row], kind: str, **fields: Any) -> list[Row]:
    """The raw rows of a kind with some fields, by seed."""
    wanted = {"kind": kind, **fields}
    found = [row for row in raw if all(row.get(name) == wanted[name] for name in wanted)]
    return sorted(found, key=lambda row: row.get("seed", 0))


def _seeds(rows: Iterable[Row]) -> list[int]:
    return sorted({row["seed"] for row in rows})


def _rates(tuned: list[Row], protocol: Protocol) -> Row | None:
    """The rate of each task: of the last lag that was tried, the largest mean accuracy."""
    found = {}
    for task in sorted({row["task"] for row in tuned}):
        tried = [row for row in tuned if row["task"] == task]
        last = spans.last_tried(tried, protocol["tuning_lags"][task])
        decided = spans.is_decided(last, protocol)
        rate = spans.best_rate(last)
        found[task] = {"rate": rate, "lag": last[0]["lag"], "decided": decided}
    return found or None


def _spans(runs: list[Row], protocol: Protocol) -> Row | None:
    """By threshold, as in "0.99"."""
    if not runs:
        return None
    found = {}
    for threshold in protocol["thresholds"]:
        reached = spans.spans(runs, _seeds(runs), threshold, protocol)
        span = span_estimate(each.lag for each in reached)
        found[str(threshold)] = span | {
            "at_least": [each.at_least for each in reached],
            "next": spans.next_lag(span["median"], protocol),
        }
    return found


def _learning(runs: list[Row], protocol: Protocol) -> list[Row]:
    """Updates to the highest threshold, a line for each lag that was run."""
    success, lines = max(protocol["thresholds"]), []
    for lag in sorted({run["lag"] for run in runs}):
        arrivals = [spans.arrival(r, success, protocol) for r in runs if r["lag"] == lag]
        reached = [arrival.reached for arrival in arrivals]
        found = statistics.survival_median([arrival.updates for arrival in arrivals], reached)
        line = {"lag": lag, "seeds": len(arrivals), "reached": sum(reached)}
        lines.append(line | {name: _finite(value) for name, value in found._asdict().items()})
    return lines


def _capacity(bits: list[Row]) -> Row | None:
    """Sums over the lags, as they are and after the state was rounded or disturbed."""
    if not bits:
        return None
    found: Row = {
        name: estimate(_sum(row[name]) for row in bits) for name in ("exact", "float16", "noise")
    }
    found["by_lag"] = {
        "lags": bits[0]["lags"],
        "median": _medians([_or_zero(row["exact"]) for row in bits]),
    }
    return found | {"state_numbers": bits[0]["state_numbers"]}


def _linear(linear: list[Row], bits: list[Row]) -> Row | None:
    """The linear memory capacity, less that of shuffled targets."""
    if not linear:
        return None
    found: Row = {"by_lag": {"lags": linear[0]["lags"]}}
    for name in ("trained", "untrained"):
        less = [
            np.subtract(_or_zero(row[name]), _or_zero(row[f"{name}_null"])).tolist()
            for row in linear
        ]
        found[name] = estimate(map(_sum, less))
        found["by_lag"][name] = _medians(less)
    return found | {"state_numbers": bits[0]["state_numbers"] if bits else None}


def _or_zero(values: Sequence[float | None]) -> list[float]:
    """What could not be measured of a seed, because it failed, counts as nothing."""
    return [0.0 if value is None else value for value in values]


def _sum(values: Sequence[float | None]) -> float:
    return math.fsum(_or_zero(values))


def _medians(rows: Sequence[Sequence[float]]) -> list[float]:
    """Of each place, over the seeds."""
    return np.median(np.array(rows, np.float64), axis=0).tolist()


def _beyond(beyond: list[Row]) -> Row | None:
    """The accuracy on streams of so many times the length."""
    if not beyond:
        return None
    first = beyond[0]
    by_time = zip(*(_or_zero(row["accuracy"]) for row in beyond), strict=True)
    return {
        "lag": first["lag"],
        "length": first["length"],
        "times": first["times"],
        "accuracy": [estimate(values) for values in by_time],
    }


def _cause(raw: Sequence[Row], protocol: Protocol) -> Row | None:
    """Why the stream span is no longer: could the cell not hold the value, or not learn to?"""
    runs, jacobians = _of(raw, "run", task="stream"), _of(raw, "jacobian")
    curricula = _of(raw, "curriculum", task="stream")
    whole = bool(runs) and "cause" in protocol["rows"] and _climbed(runs, protocol)
    if not (jacobians or curricula or whole):
        return None
    looked_at = jacobians or curricula
    lag = min([row["lag"] for row in looked_at] or protocol["ladder"][-1:])
    found = {"lag": lag} | _arrivals(runs, curricula, lag, protocol)
    curves = {name: [row[name] for row in jacobians] for name in ("before", "after")}
    for name, of_seeds in curves.items():
        ratios = [_ratio(curve[-1], curve[0]) for curve in of_seeds]
        found[name] = estimate(ratios) if ratios else None
    profile = {name: _profile(of_seeds) for name, of_seeds in curves.items()}
    found["profile"] = profile if jacobians else None
    depends = any(row["depends"] for row in jacobians)
    never = not depends and _never_held(curves["before"] + curves["after"])
    return found | {"verdict": _verdict(found, whole, never)}


def _arrivals(runs: list[Row], curricula: list[Row], lag: int, protocol: Protocol) -> Row:
    """How many seeds arrived at a lag from scratch or did not, and what became of these."""
    success = max(protocol["thresholds"])

    def arrived(run: Row) -> bool:
        return spans.reached(run, success, protocol) is not None

    from_scratch = [run for run in runs if run["lag"] == lag and spans.decided(run, protocol)]
    failed = {run["seed"] for run in from_scratch if not arrived(run)}
    tried = [run for run in curricula if run["lag"] == lag and run["seed"] in failed]
    tried_seeds = {run["seed"] for run in tried}
    learned = {run["seed"] for run in tried if arrived(run)}
    return {
        "arrived": sum(map(arrived, from_scratch)),
        "failed": len(failed),
        "tried": len(tried_seeds),
        "learned": len(learned),
        "closest": _closest([*from_scratch, *tried], failed - learned),
    }


def _closest(runs: list[Row], seeds: set[int]) -> Row | None:
    """The best accuracy of each of some seeds at an evaluation; None of no seeds."""
    best = dict.fromkeys(sorted(seeds), 0.0)
    for run in [run for run in runs if run["seed"] in seeds]:
        best[run["seed"]] = max([best[run["seed"]], *(x or 0.0 for x in run["accuracy"])])
    return estimate(best.values()) if best else None


def _climbed(runs: list[Row], protocol: Protocol) -> bool:
    """Whether every seed reached every lag of the ladder."""
    reached = spans.spans(runs, _seeds(runs), max(protocol["thresholds"]), protocol)
    return all(span.lag == protocol["ladder"][-1] for span in reached)


def _verdict(found: Row, whole: bool, never: bool) -> str:
    """No more than what something shows."""
    if whole:
        return "no limit found"
    if found["failed"] and found["arrived"] + found["learned"]:
        return "could not learn"
    if found["failed"] and never:
        return "could not hold"
    return "undetermined"


def _never_held(curves: list[list[float]]) -> bool:
    """Whether the gradient of that input is 0, and that is not underflow."""
    positive = [value for curve in curves for value in curve if value and value > 0]
    return bool(positive) and min(positive) > UNDERFLOW and all(curve[-1] == 0 for curve in curves)


def _ratio(value: float | None, of: float | None) -> float | None:
    """None where either is unknown or there is nothing to compare with."""
    return None if value is None or not of else value / of


def _profile(curves: list[list[float]]) -> list[float | None]:
    """The median over the seeds of each gradient as a share of that of the input just now."""
    places = zip(*([_ratio(value, curve[0]) for value in curve] for curve in curves), strict=True)
    known = ([value for value in place if value is not None] for place in places)
    return [float(np.median(values)) if values else None for values in known]


def _price(price: list[Row]) -> Row | None:
    """Sizes as they are, and median times, by batch size."""
    if not price:
        return None
    found = {name: price[0][name] for name in ("parameters", "state_bytes")}
    for name in ("train", "stream"):
        found[name] = {size: float(np.median(us)) for size, us in price[0][name].items()}
    return found


def _copy(copy: list[Row]) -> list[Row] | None:
    """The copy-memory task, a line for each T: the last losses, beside those of no memory."""
    lines = []
    for blanks in sorted({row["T"] for row in copy}):
        of_task = [row for row in copy if row["T"] == blanks]
        lines.append(
            {
                "T": blanks,
                "seeds": len(of_task),
                "recall": estimate((row["recall"][-1] for row in of_task), math.inf),
                "floor": math.log(SYMBOLS),
                "loss": estimate((row["loss"][-1] for row in of_task), math.inf),
                "loss_floor": memoryless_loss(blanks),
                "updates": max(row["updates"][-1] for row in of_task),
            }
        )
    return lines or None
