"""Whether each raw row of a card is what its protocol and its seeds let it be. No jax.

Whether the rows fit each other is for `card_course`.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.spans import Protocol
from echo_jax.memory_cards.json_types import Row

SAME_LENGTH = {
    "run": ("accuracy", "confirmed"),
    "curriculum": ("accuracy", "confirmed"),
    "bits": ("lags", "exact", "float16", "noise"),
    "linear": ("lags", "trained", "untrained", "trained_null", "untrained_null"),
    "beyond": ("times", "accuracy"),
    "jacobian": ("before", "after"),
    "copy": ("updates", "loss", "recall", "accuracy"),
}
"""Lists of a raw row that have an entry for each of the same things."""

ROUNDING = 2e-6
"""More than numbers of a raw row are rounded by."""

IDENTITY = ("kind", "task", "lag", "from", "T", "rate", "seed")
"""Fields that say what a raw row is of; the rate only of one that tunes it."""


def fault(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> str | None:
    """The first thing that disagrees; the fields of all of them are as the schema declares.

    Args:
      raw: of a card.
      seeds: of the card.
      protocol: of the card.
    """
    return next(_faults(raw, seeds, protocol), None)


def _faults(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    yield from _seed_faults(seeds, protocol)
    yield from _twice(raw)
    for i, row in enumerate(raw):
        for check in (_empty, _lengths, _places, _curves, _bounds, _of_the_seeds):
            yield from (f"raw[{i}]{said}" for said in check(row, seeds, protocol))
    yield from _state_sizes(raw)


def _seed_faults(seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    if not len(seeds) == len(set(seeds)) == protocol["seeds"]:
        yield f"seeds is {list(seeds)}, and the protocol has {protocol['seeds']}, all different"
    used = set(seeds) & set(protocol["tuning_seeds"])
    if used:
        yield f"seed {min(used)} chose the learning rate, and may not be measured"


def _twice(raw: Sequence[Row]) -> Iterator[str]:
    seen: dict[tuple[Any, ...], int] = {}
    for i, row in enumerate(raw):
        names = [name for name in IDENTITY if name != "rate" or row["kind"] == "tune"]
        of = tuple(row.get(name) for name in names)
        if of in seen:
            yield f"raw[{i}] is of the same as raw[{seen[of]}]"
        seen[of] = i


def _empty(row: Row, _: Sequence[int], __: Protocol) -> Iterator[str]:
    """Lists without an entry, where one is needed to say anything."""
    if not row.get("accuracy", ["not asked for"]):
        yield ".accuracy has no entry"
    if row["kind"] == "price":
        for name in ("train", "stream"):
            if not all(row[name].values()):
                yield f".{name} has a list without an entry"


def _lengths(row: Row, _: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Lists that have too many entries, too few, or not as many as each other."""
    first, *others = SAME_LENGTH.get(row["kind"], ("kind",))
    for other in others:
        if len(row[first]) != len(row[other]):
            yield f".{other} has {len(row[other])} entries where {first} has {len(row[first])}"
    if row["kind"] in ("run", "curriculum", "tune"):
        updates = protocol["tuning_updates" if row["kind"] == "tune" else "budget"]
        most = updates // protocol["evaluate_every"]
        if len(row["accuracy"]) > most:
            yield (
                f".accuracy has {len(row['accuracy'])} entries where the budget is out after {most}"
            )
    if row["kind"] == "jacobian" and len(row["before"]) != row["lag"] + 1:
        yield f".before has {len(row['before'])} entries where a lag of {row['lag']} has one more"


def _places(row: Row, _: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Lags, rates, lengths and times that are none of those of the protocol."""
    rungs, tuned_at = protocol["ladder"], protocol["tuning_lags"].get(row.get("task"), ())
    allowed = {
        "run": {"lag": rungs, "rate": protocol["rates"]},
        "curriculum": {"lag": rungs, "rate": protocol["rates"], "from": rungs},
        "tune": {"lag": tuned_at, "rate": protocol["rates"]},
        "jacobian": {"lag": rungs},
        "beyond": {"lag": rungs},
        "copy": {"T": rungs, "rate": protocol["rates"]},
    }
    said = {"rate": "none of the rates", "from": "not on the ladder", "T": "not on the ladder"}
    said["lag"] = "no lag to choose a rate at" if row["kind"] == "tune" else "not on the ladder"
    for name, values in allowed.get(row["kind"], {}).items():
        if row[name] not in values:
            yield f".{name} is {row[name]}, which is {said[name]} of the protocol"
    exact = {
        "bits": ("lags", list(range(1, protocol["capacity_lags"] + 1))),
        "linear": ("lags", list(range(1, protocol["linear_lags"] + 1))),
        "beyond": ("times", protocol["beyond"]),
    }
    if row["kind"] in exact:
        name, values = exact[row["kind"]]
        if row[name] != values:
            yield f".{name} is not {values[0]} to {values[-1]}, as the protocol has it"


def _curves(row: Row, _: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Runs that go on where they have ended, or were confirmed where there was nothing to."""
    every = protocol["evaluate_every"]
    if row["kind"] == "copy" and row["updates"] != [
        every * (i + 1) for i in range(min(len(row["updates"]), spans.evaluations(protocol)))
    ]:
        yield f".updates are not {every}, {2 * every} and so on to at most {protocol['budget']:,}"
    if row["kind"] not in ("run", "curriculum"):
        return
    success = spans.reached(row, max(protocol["thresholds"]), protocol)
    if success is not None and success != every * len(row["accuracy"]):
        yield f".accuracy goes on after success at {success} updates"
    for i, (first, second) in enumerate(zip(row["accuracy"], row["confirmed"], strict=True)):
        margin = (first or 0.0) - min(protocol["thresholds"])
        if abs(margin) > ROUNDING and (margin > 0) != (second is not None):
            yield f".confirmed[{i}] is {second} where the accuracy is {first}"


def _bounds(row: Row, _: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Numbers that no measurement gives."""
    bits = (-math.inf, math.log2(protocol["vocab_size"]))
    for name, (low, high) in {
        "bits": dict.fromkeys(("exact", "float16", "noise"), bits),
        "linear": dict.fromkeys(SAME_LENGTH["linear"][1:], (0.0, 1.0)),
        "jacobian": dict.fromkeys(("before", "after"), (0.0, math.inf)),
        "copy": dict.fromkeys(("loss", "recall"), (0.0, math.inf)),
    }.get(row["kind"], {}).items():
        for i, value in enumerate(row[name]):
            if value is not None and not low - ROUNDING <= value <= high + ROUNDING:
                yield f".{name}[{i}] is {value}, and it lies from {low:g} to {high:g}"


def _of_the_seeds(row: Row, seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    if row["kind"] == "tune":
        if row["seed"] not in protocol["tuning_seeds"]:
            yield f".seed is {row['seed']}, which is none that chooses the learning rate"
    elif "seed" in row and row["seed"] not in seeds:
        yield f".seed is {row['seed']}, which is none of the seeds of the card"


def _state_sizes(raw: Sequence[Row]) -> Iterator[str]:
    """All seeds have a state of the same size."""
    bits = [i for i, row in enumerate(raw) if row["kind"] == "bits"]
    for i in bits:
        if raw[i]["state_numbers"] != raw[bits[0]]["state_numbers"]:
            yield f"raw[{i}].state_numbers is not that of raw[{bits[0]}]"
