"""The summary of a memory card, as a pure function of its raw rows and its protocol.

A raw row is a measurement of one seed, or of the cell; the summary is what they say about the cell.
A card holds both, so a reader can compute the summary again. Its JSON key is "rows", and
docs/card.md describes its fields.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from echo_jax import statistics
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.protocol import SYMBOLS, TASKS, memoryless_loss
from echo_jax.memory_benchmark.spans import Protocol
from echo_jax.memory_cards.schema import Row
from echo_jax.report.number_formats import plain

UNDERFLOW = 1e-30
"""If other gradients are smaller, a gradient of exactly 0 may be one that was rounded to 0."""


def summarize(raw: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    """The summary of raw rows, in any order; None for what was not measured."""
    runs = {task: _of(raw, "run", task=task) for task in TASKS}
    learning = {task: _learning(runs[task], protocol) for task in TASKS}
    tuned, bits, linear, beyond, price, copy = (
        _of(raw, kind) for kind in ("tune", "bits", "linear", "beyond", "price", "copy")
    )
    summary = {
        "rates": _rates(tuned, protocol) if tuned else None,
        **{f"{t}_span": _spans(runs[t], protocol) if runs[t] else None for t in TASKS},
        "learning": learning if any(learning.values()) else None,
        "capacity": _capacity(bits) if bits else None,
        "linear": _linear(linear, bits) if linear else None,
        "beyond": _beyond(beyond) if beyond else None,
        "cause": _cause(raw, protocol),
        "price": _cost(price[0]) if price else None,
        "copy": [_copy(blanks, rows) for blanks, rows in grouped(copy, "T").items()] or None,
    }
    return plain(summary)


def estimate(values: Iterable[float | None], missing: float = math.nan) -> Row:
    """The values of the seeds, their median and its order-statistic interval.

    Args:
      values: one for each seed; None if there is none.
      missing: what None counts as: infinity (never reached) or 0; NaN leaves it out.
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
    """`estimate`, with the lower middle value as median of an even number: a lag that was run."""
    found = estimate(lags)
    middle = sorted(found["by_seed"])[(len(found["by_seed"]) - 1) // 2]
    return found | {"median": _finite(float(middle))}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _of(raw: Sequence[Row], kind: str, **fields: Any) -> list[Row]:
    """The raw rows of a kind that have these values, in the order of their seeds."""
    wanted = {"kind": kind, **fields}.items()
    found = [row for row in raw if all(row.get(name) == value for name, value in wanted)]
    return sorted(found, key=lambda row: row.get("seed", 0))


def grouped(rows: Iterable[Row], name: str) -> dict[Any, list[Row]]:
    """Rows by the value of a field, the smallest value first."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return dict(sorted(groups.items()))


def _rates(tuned: list[Row], protocol: Protocol) -> Row:
    """The best rate of each task at the last lag that was tried."""
    found = {}
    for task, tried in grouped(tuned, "task").items():
        last = spans.last_tried(tried, protocol["tuning_lags"][task])
        decided = spans.is_decided(last, protocol)
        found[task] = {"rate": spans.best_rate(last), "lag": last[0]["lag"], "decided": decided}
    return found


def _spans(runs: list[Row], protocol: Protocol) -> Row:
    """The span at each threshold, by names as in "0.99"."""
    found = {}
    for threshold in protocol["thresholds"]:
        reached = spans.spans(runs, list(grouped(runs, "seed")), threshold, protocol)
        span = span_estimate(each.lag for each in reached)
        found[str(threshold)] = span | {
            "at_least": [each.at_least for each in reached],
            "next": spans.next_lag(span["median"], protocol),
        }
    return found


def _learning(runs: list[Row], protocol: Protocol) -> list[Row]:
    """Updates to the highest threshold, a line for each lag that was run."""
    success, lines = max(protocol["thresholds"]), []
    for lag, at_lag in grouped(runs, "lag").items():
        arrivals = [spans.arrival(run, success, protocol) for run in at_lag]
        reached = [arrival.reached for arrival in arrivals]
        found = statistics.survival_median([arrival.updates for arrival in arrivals], reached)
        line = {"lag": lag, "seeds": len(arrivals), "reached": sum(reached)}
        lines.append(line | {name: _finite(value) for name, value in found._asdict().items()})
    return lines


def _capacity(bits: list[Row]) -> Row:
    """Recalled bits summed over lags: of the state as it is, rounded, and with noise."""
    sums = {
        name: estimate(math.fsum(_or_zero(row[name])) for row in bits)
        for name in ("exact", "float16", "noise")
    }
    median = _medians([_or_zero(row["exact"]) for row in bits])
    by_lag = {"lags": bits[0]["lags"], "median": median}
    return {**sums, "by_lag": by_lag, "state_numbers": bits[0]["state_numbers"]}


def _linear(linear: list[Row], bits: list[Row]) -> Row:
    """The linear memory capacity: r squared less that of unrelated tokens, summed over lags."""
    found: Row = {"by_lag": {"lags": linear[0]["lags"]}}
    for name in ("trained", "untrained"):
        less = [
            np.subtract(_or_zero(row[name]), _or_zero(row[f"{name}_null"])).tolist()
            for row in linear
        ]
        found[name] = estimate(map(math.fsum, less))
        found["by_lag"][name] = _medians(less)
    return found | {"state_numbers": bits[0]["state_numbers"] if bits else None}


def _or_zero(values: Sequence[float | None]) -> list[float]:
    """Values in which a seed whose training failed counts as 0."""
    return [0.0 if value is None else value for value in values]


def _medians(rows: Sequence[Sequence[float]]) -> list[float]:
    """The median over the rows, column by column."""
    return np.median(np.array(rows, np.float64), axis=0).tolist()


def _beyond(beyond: list[Row]) -> Row:
    """The accuracy on longer streams, by how many times longer they are."""
    by_factor = zip(*(_or_zero(row["accuracy"]) for row in beyond), strict=True)
    shared = {name: beyond[0][name] for name in ("lag", "length", "times")}
    return shared | {"accuracy": [estimate(values) for values in by_factor]}


def _cause(raw: Sequence[Row], protocol: Protocol) -> Row | None:
    """The reason why the stream span is not longer: the cell could not hold, or not learn to."""
    runs, jacobians = _of(raw, "run", task="stream"), _of(raw, "jacobian")
    curricula, ladder = _of(raw, "curriculum", task="stream"), protocol["ladder"]
    seeds, success = list(grouped(runs, "seed")), max(protocol["thresholds"])
    reached = [span.lag for span in spans.spans(runs, seeds, success, protocol)]
    whole = "cause" in protocol["rows"] and set(reached) == {ladder[-1]}
    if not (jacobians or curricula or whole):
        return None
    lag = min([row["lag"] for row in jacobians or curricula] or ladder[-1:])
    found = {"lag": lag} | _arrivals(runs, curricula, lag, protocol)
    curves = {name: [row[name] for row in jacobians] for name in ("before", "after")}
    for name, of_seeds in curves.items():
        ratios = [_ratio(curve[-1], curve[0]) for curve in of_seeds]
        found[name] = estimate(ratios) if ratios else None
    profile = {name: _profile(of_seeds) for name, of_seeds in curves.items()}
    found["profile"] = profile if jacobians else None
    every = curves["before"] + curves["after"]
    smallest = min((value for curve in every for value in curve if value), default=0.0)
    independent = all(curve[-1] == 0 for curve in every) and smallest > UNDERFLOW
    found["verdict"] = "undetermined"
    if whole:
        found["verdict"] = "no limit found"
    elif found["failed"] and found["arrived"] + found["learned"]:
        found["verdict"] = "could not learn"
    elif found["failed"] and independent and not any(row["depends"] for row in jacobians):
        found["verdict"] = "could not hold"
    return found


def _arrivals(runs: list[Row], curricula: list[Row], lag: int, protocol: Protocol) -> Row:
    """Counts of seeds at a lag: successes from scratch, failures, successes by a curriculum.

    closest  the best accuracy of each seed that never succeeded; None if there are none
    """
    from_scratch = [run for run in runs if run["lag"] == lag and spans.decided(run, protocol)]
    failed = {run["seed"] for run in from_scratch if not spans.succeeded(run, protocol)}
    tried = [run for run in curricula if run["lag"] == lag and run["seed"] in failed]
    learned = {run["seed"] for run in tried if spans.succeeded(run, protocol)}
    best = dict.fromkeys(sorted(failed - learned), 0.0)
    for run in (*from_scratch, *tried):
        if run["seed"] in best:
            best[run["seed"]] = max([best[run["seed"]], *_or_zero(run["accuracy"])])
    return {
        "arrived": sum(spans.succeeded(run, protocol) for run in from_scratch),
        "failed": len(failed),
        "tried": len({run["seed"] for run in tried}),
        "learned": len(learned),
        "closest": estimate(best.values()) if best else None,
    }


def _ratio(value: float | None, of: float | None) -> float | None:
    """A ratio; None where a value is unknown or the divisor is 0."""
    return None if value is None or not of else value / of


def _profile(curves: list[list[float]]) -> list[float | None]:
    """The gradient of each input relative to that of the current one, median over seeds."""
    places = zip(*([_ratio(value, curve[0]) for value in curve] for curve in curves), strict=True)
    known = ([value for value in place if value is not None] for place in places)
    return [float(np.median(values)) if values else None for values in known]


def _cost(price: Row) -> Row:
    """Sizes, and median times by batch size."""
    times = {
        name: {size: float(np.median(us)) for size, us in price[name].items()}
        for name in ("train", "stream")
    }
    return {name: price[name] for name in ("parameters", "state_bytes")} | times


def _copy(blanks: int, rows: list[Row]) -> Row:
    """Losses on copy memory at the last evaluation, beside those without memory."""
    return {
        "T": blanks,
        "seeds": len(rows),
        "recall": estimate((row["recall"][-1] for row in rows), math.inf),
        "floor": math.log(SYMBOLS),
        "loss": estimate((row["loss"][-1] for row in rows), math.inf),
        "loss_floor": memoryless_loss(blanks),
        "updates": max(row["updates"][-1] for row in rows),
    }
