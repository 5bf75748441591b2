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
from echo_jax.memory_benchmark.protocol import SYMBOLS, memoryless_loss
from echo_jax.memory_benchmark.spans import Protocol, grouped
from echo_jax.memory_cards import bits_held
from echo_jax.memory_cards.schema import Row
from echo_jax.report.number_formats import plain

REST = "rest"
"""What a card gives the reason for which its measurement ended early, whatever it has by then."""

ROUNDING = 1e-6
"""A change of the answer below this share of the largest logit is taken for rounding."""


def summarize(raw: Sequence[Row], protocol: Protocol) -> dict[str, Any]:
    """The summary of raw rows, in any order; None for what was not measured."""
    linear, beyond, price, copy = (_of(raw, kind) for kind in ("linear", "beyond", "price", "copy"))
    climbed = {
        ladder["name"]: _ladder(raw, ladder, protocol)
        for ladder in protocol["ladders"]
        if _of(raw, "run", ladder=ladder["name"])
    }
    summary = {
        "ladders": climbed or None,
        "bits": _bits(raw, climbed, protocol),
        "linear": _linear(linear) if linear else None,
        "beyond": _beyond(beyond) if beyond else None,
        "cause": _cause(raw, climbed, protocol),
        "price": _cost(price[0]) if price else None,
        "copy": [_copy(blanks, rows) for blanks, rows in grouped(copy, "T").items()] or None,
    }
    return plain(summary)


def unfinished(raw: Sequence[Row], protocol: Protocol) -> list[str]:
    """The names of the ladders on which some seed neither missed a rung nor came to the end.

    Copy memory has no rungs to miss: every run of it ends with its budget.
    """
    found = []
    for ladder in protocol["ladders"]:
        name, seeds = ladder["name"], protocol["seeds"]
        if ladder["task"] == "copy":
            ends = [row for row in _of(raw, "copy") if row["updates"][-1] == protocol["budget"]]
            whole = len(ends) == len(ladder["rungs"]) * len(protocol["rates"]) * seeds
        else:
            climbs = spans.climbs(raw, name, protocol).values()
            ended = [each.missed or each.passed >= ladder["rungs"][-1] for each in climbs]
            whole = len(ended) == seeds and all(ended)
        found += [name] * (not whole)
    return found


def estimate(values: Iterable[float | None], missing: float = math.nan) -> Row:
    """The values of the seeds, their median and its order-statistic interval.

    Args:
      values: one for each seed; None if there is none.
      missing: what None counts as: infinity (never reached) or 0; NaN leaves it out.
    """
    by_seed = list(values)
    counted = [missing if value is None else value for value in by_seed]
    known = [value for value in counted if not math.isnan(value)]
    found: dict[str, Any] = {
        "by_seed": by_seed,
        "median": None,
        "low": None,
        "high": None,
        "coverage": None,
    }
    if known:
        median, interval = statistics.summary_of(known)
        found["median"] = _finite(median)
        if interval is not None:
            found |= {name: _finite(value) for name, value in interval._asdict().items()}
    return found


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _of(raw: Sequence[Row], kind: str, **fields: Any) -> list[Row]:
    """The raw rows of a kind that have these values, in the order of their seeds."""
    wanted = {"kind": kind, **fields}.items()
    found = [row for row in raw if all(row.get(name) == value for name, value in wanted)]
    return sorted(found, key=lambda row: row.get("seed", 0))


def _ladder(raw: Sequence[Row], ladder: Row, protocol: Protocol) -> Row:
    """The geometric mean span of a ladder, the climb of each seed, and a line for each rung."""
    name = ladder["name"]
    climbs = spans.climbs(raw, name, protocol)
    runs = _of(raw, "run", ladder=name)
    updates = sum(len(row["accuracy"]) for row in runs) * protocol["evaluate_every"]
    by_seed = [{"seed": seed, **climb._asdict()} for seed, climb in climbs.items()]
    found = {
        "by_seed": by_seed,
        **spans.mean_span([*climbs.values()], ladder["rungs"][0])._asdict(),
    }
    skipped = sorted(row["rung"] for row in _of(raw, "skipped", ladder=name))
    rungs = [_rung(rung, rows, protocol) for rung, rows in grouped(runs, "rung").items()]
    return found | {"rungs": rungs, "skipped": skipped, "updates": updates}


def _rung(rung: int, rows: list[Row], protocol: Protocol) -> Row:
    """The seeds that tried and that passed a rung, the median of their updates, the best misses."""
    by_seed = grouped(rows, "seed").values()
    passed = [[n for row in of_seed if (n := spans.passed(row, protocol))] for of_seed in by_seed]
    best = [max(_or_zero(x for row in of_seed for x in row["accuracy"])) for of_seed in by_seed]
    missed = [share for share, updates in zip(best, passed, strict=True) if not updates]
    known = [updates[0] for updates in passed if updates]
    return {
        "rung": rung,
        "seeds": len(passed),
        "passed": len(known),
        "updates": float(np.median(known)) if known else None,
        "closest": float(np.median(missed)) if missed else None,
    }


def _bits(raw: Sequence[Row], climbed: Row, protocol: Protocol) -> Row | None:
    """The bits held between two steps: by ladder, by capacity network, and the largest of these."""
    by_ladder = {
        name: estimate(bits_held.of_ladder(raw, name, protocol))
        for name, span in climbed.items()
        if any(each["passed"] or each["missed"] for each in span["by_seed"])
    }
    networks = {
        f"{name}, {lags} lags": _network(rows)
        for name, of_v in grouped(_of(raw, "bits"), "ladder").items()
        for lags, rows in grouped(of_v, "lags").items()
    }
    every = {**by_ladder, **{name: each["exact"] for name, each in networks.items()}}
    if not every:
        return None
    best = max(every, key=lambda name: every[name]["median"])
    return {"shown_by": best, "held": every[best], "ladders": by_ladder, "networks": networks}


def _network(rows: list[Row]) -> Row:
    """Recalled bits summed over lags: of the state as it is, rounded, and with noise."""
    sums = {
        name: estimate(max(0.0, math.fsum(_or_zero(row[name]))) for row in rows)
        for name in ("exact", "float16", "noise")
    }
    by_lag = _medians([_or_zero(row["exact"]) for row in rows])
    return {**sums, "by_lag": by_lag, "state_numbers": rows[0]["state_numbers"]}


def _linear(linear: list[Row]) -> Row:
    """The linear memory capacity: r squared less that of unrelated tokens, summed over lags."""
    found: dict[str, Any] = {"by_lag": {"lags": linear[0]["lags"]}}
    for name in ("trained", "untrained"):
        less = [
            np.subtract(_or_zero(row[name]), _or_zero(row[f"{name}_null"])).tolist()
            for row in linear
        ]
        found[name] = estimate(map(math.fsum, less))
        found["by_lag"][name] = _medians(less)
    return found


def _or_zero(values: Iterable[float | None]) -> list[float]:
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


def _cause(raw: Sequence[Row], climbed: Row, protocol: Protocol) -> Row | None:
    """The reason why the first ladder is not climbed further, at the first lag that half missed."""
    name = protocol["ladders"][0]["name"]
    if "cause" not in protocol["rows"] or name not in climbed:
        return None
    climbs = spans.climbs(raw, name, protocol)
    jacobians, curricula = _of(raw, "jacobian"), _of(raw, "curriculum")
    last, lag = spans.span_of_half(climbs)
    at = lag or last
    if at is None or (lag and not jacobians):
        return None
    found: dict[str, Any] = {"lag": at, **_tries(raw, climbs, curricula, at, protocol)}
    changes = [row["change"] for row in jacobians]
    found["change"] = max(changes, key=lambda x: math.inf if x is None else x) if changes else None
    curves = {which: [row[which] for row in jacobians] for which in ("before", "after")}
    found["profile"] = {which: _profile(of) for which, of in curves.items()} if jacobians else None
    return found | {"verdict": _verdict(found, curves, raw, protocol)}


def _verdict(found: Row, curves: Row, raw: Sequence[Row], protocol: Protocol) -> str:
    """Could not hold, could not learn, and the doubtful cases, see docs/protocol.md."""
    if not found["missed"]:
        return "no limit found"
    if found["passed"] or found["learned"]:
        return "could not learn"
    slopes = [curve[-1] for curve in (*curves["before"], *curves["after"])]
    price, vocab_size = _of(raw, "price"), protocol["ladders"][0]["vocab_size"]
    if price and found["lag"] * math.log2(vocab_size) > 8 * total_bytes(price[0]):
        return "could not hold"
    if found["change"] == 0 and not any(slopes):
        return "could not hold"
    if found["change"] is not None and found["change"] < ROUNDING:
        return "not held at any tested weights"
    return "undetermined"


def total_bytes(price: Row) -> int:
    """Bytes of the whole state of one stream: of the cells and of the convolutions."""
    return price["state_bytes"] + price["convolution_bytes"]


def _tries(
    raw: Sequence[Row], climbs: Any, curricula: list[Row], lag: int, protocol: Protocol
) -> Row:
    """Counts of seeds: that passed a lag, that missed it or a shorter one, that a curriculum had.

    closest  the best accuracy of each seed that never passed it; None if there are none
    """
    missed = [seed for seed, climb in climbs.items() if climb.missed and climb.missed <= lag]
    passed = [seed for seed, climb in climbs.items() if climb.passed >= lag]
    learned = {row["seed"] for row in curricula if spans.passed(row, protocol)}
    name = protocol["ladders"][0]["name"]
    tried = [*_of(raw, "run", ladder=name, rung=lag), *curricula]
    best = [
        max(_or_zero(x for row in tried if row["seed"] == seed for x in row["accuracy"]))
        for seed in missed
        if seed not in learned and climbs[seed].missed == lag
    ]
    return {
        "passed": len(passed),
        "missed": len(missed),
        "tried": len(curricula),
        "learned": len(learned),
        "closest": estimate(best) if best else None,
    }


def _profile(curves: list[list[float]]) -> list[float | None]:
    """The gradient of each input relative to that of the current one, median over seeds."""
    ratios = ([value / curve[0] if curve[0] else None for value in curve] for curve in curves)
    known = ([value for value in place if value is not None] for place in zip(*ratios, strict=True))
    return [float(np.median(values)) if values else None for values in known]


def _cost(price: Row) -> Row:
    """Sizes, and median times by batch size."""
    times = {
        name: {size: float(np.median(us)) for size, us in price[name].items()}
        for name in ("train", "stream")
    }
    sizes = ("parameters", "state_bytes", "convolution_bytes")
    return {name: price[name] for name in sizes} | times


def _copy(blanks: int, rows: list[Row]) -> Row:
    """Losses on copy memory at the last evaluation, beside those without memory.

    Each seed at the rate that ends with its smallest loss of recall.
    """
    best = [
        min(of_seed, key=lambda row: math.inf if row["recall"][-1] is None else row["recall"][-1])
        for of_seed in grouped(rows, "seed").values()
    ]
    return {
        "T": blanks,
        "seeds": len(best),
        "rates": [row["rate"] for row in best],
        "recall": estimate((row["recall"][-1] for row in best), math.inf),
        "accuracy": estimate(row["accuracy"][-1] for row in best),
        "floor": math.log(SYMBOLS),
        "loss": estimate((row["loss"][-1] for row in best), math.inf),
        "loss_floor": memoryless_loss(blanks),
        "updates": max(row["updates"][-1] for row in best),
    }
