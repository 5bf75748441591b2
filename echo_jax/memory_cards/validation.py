"""Checks that the raw rows of a card fit its protocol and its seeds; their types are the schema's.

The checks refuse rows from which no summary can be computed, and cards that lack a seed, a lag or a
trial of a learning rate. A card of a measurement that was stopped early passes. No check allocates
memory by a number in the card, and each takes time in proportion to the rows.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.spans import Protocol
from echo_jax.memory_cards.schema import Row

EQUAL_LENGTHS = {
    "run": ("accuracy", "confirmed"),
    "curriculum": ("accuracy", "confirmed"),
    "bits": ("lags", "exact", "float16", "noise"),
    "linear": ("lags", "trained", "untrained", "trained_null", "untrained_null"),
    "beyond": ("times", "accuracy"),
    "jacobian": ("before", "after"),
    "copy": ("updates", "loss", "recall", "accuracy"),
}
"""Lists of a raw row that have an entry for each of the same things."""

EQUAL_FIELDS = {"bits": ("state_numbers",), "beyond": ("lag", "length"), "jacobian": ("lag",)}
"""Fields that do not depend on the seed."""

LADDERS = ("tune", "run", "copy")
"""Kinds of raw rows that go up a list of lags, from the first."""

OF_EVERY_SEED = (*LADDERS, "bits", "linear", "jacobian")
"""Kinds of raw rows that there are of every seed, where there is one."""


def fault(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> str | None:
    """The first contradiction between raw rows, seeds and protocol of a card; None if all fit."""
    return next(_faults(raw, seeds, protocol), None)


def _faults(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    if any(low >= high for low, high in pairwise(protocol["ladder"])):
        yield "protocol.ladder does not rise"
    yield from _seed_faults(seeds, protocol)
    first: dict[Any, int] = {}
    for i, row in enumerate(raw):
        for check in (_value_faults, _length_faults, _list_faults):
            yield from (f"raw[{i}]{said}" for said in check(row, seeds, protocol))
        like = first.setdefault(_identity(row), i)
        if like != i:
            yield f"raw[{i}] is of the same seed and lag as raw[{like}]"
        like = first.setdefault(row["kind"], i)
        for name in EQUAL_FIELDS.get(row["kind"], ()):
            if row[name] != raw[like][name]:
                yield f"raw[{i}].{name} is {row[name]}, and {raw[like][name]} in raw[{like}]"
    yield from _missing_rows(raw, seeds, protocol)
    yield from _rate_faults(raw, protocol)


def _seed_faults(seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    if not len(seeds) == len(set(seeds)) == protocol["seeds"]:
        yield f"seeds has {len(set(seeds))} different ones, and the protocol {protocol['seeds']}"
    used = set(seeds) & set(protocol["tuning_seeds"])
    if used:
        yield f"seed {min(used)} chose the learning rate, and may not be measured"


def _place(row: Row) -> tuple[str, str, int]:
    """The kind, task and lag of a raw row, `copy` and T of copy memory."""
    if row["kind"] == "copy":
        return "copy", "copy", row["T"]
    return row["kind"], row.get("task", ""), row.get("lag", 0)


def _identity(row: Row) -> tuple[Any, ...]:
    return (*_place(row), row.get("seed"), row["rate"] if row["kind"] == "tune" else None)


def _value_faults(row: Row, seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Seeds, rates and lags that are not among those of the card."""
    tune = row["kind"] == "tune"
    lags = protocol["tuning_lags"].get(row["task"], ()) if tune else protocol["ladder"]
    allowed = {
        "seed": protocol["tuning_seeds"] if tune else seeds,
        "rate": protocol["rates"],
        **dict.fromkeys(("lag", "T", "from"), lags),
    }
    for name, values in allowed.items():
        if name in row and row[name] not in values:
            yield f".{name} is {row[name]}, which is none of those of the protocol"


def _length_faults(row: Row, _: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Lists that are longer or shorter than they can be."""
    kind = row["kind"]
    first, *others = EQUAL_LENGTHS.get(kind, ("kind",))
    for other in others:
        if len(row[first]) != len(row[other]):
            yield f".{other} has {len(row[other])} entries where {first} has {len(row[first])}"
    if "accuracy" in row and kind != "beyond":
        updates = protocol["tuning_updates" if kind == "tune" else "budget"]
        most = updates // protocol["evaluate_every"]
        if len(row["accuracy"]) > most:
            yield f".accuracy has {len(row['accuracy'])} entries where the budget allows {most}"
    if kind == "jacobian" and len(row["before"]) != row["lag"] + 1:
        yield f".before has {len(row['before'])} entries where lag {row['lag']} has one more"


def _list_faults(row: Row, _: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Lags, factors and updates that are not those of the protocol."""
    kind, every = row["kind"], protocol["evaluate_every"]
    if kind in ("bits", "linear"):
        last = protocol["capacity_lags" if kind == "bits" else "linear_lags"]
        if row["lags"][-1] != last or row["lags"] != list(range(1, len(row["lags"]) + 1)):
            yield f".lags is not 1 to {last}, as in the protocol"
    if kind == "beyond" and row["times"] != protocol["beyond"]:
        yield ".times is not that of the protocol"
    if kind == "copy" and row["updates"] != [every * (i + 1) for i in range(len(row["updates"]))]:
        yield f".updates is not {every}, {2 * every} and so on"


def _missing_rows(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Seeds, trials and lags that were left out; no row is there twice."""
    trials = len(protocol["rates"]) * len(protocol["tuning_seeds"])
    counts = Counter(_place(row) for row in raw if row["kind"] in OF_EVERY_SEED)
    for (kind, task, lag), count in counts.items():
        expected = trials if kind == "tune" else len(seeds)
        if count != expected:
            words = " ".join(filter(None, (*{kind: 1, task: 1}, f"lag {lag}" * bool(lag))))
            yield f"raw has {count} rows of {words} where it needs {expected}"
    for kind, task in sorted({(k, t) for k, t, _ in counts if k in LADDERS}):
        lags = protocol["tuning_lags"][task] if kind == "tune" else protocol["ladder"]
        there = [(kind, task, lag) in counts for lag in lags]
        if not all(there[: sum(there)]):
            yield f"raw has no {kind} {task} at lag {lags[there.index(False)]}, but at later ones"


def _rate_faults(raw: Sequence[Row], protocol: Protocol) -> Iterator[str]:
    """Networks that were not trained at the rate chosen for their task."""
    tuned: dict[str, list[Row]] = {}
    for row in raw:
        if row["kind"] == "tune":
            tuned.setdefault(row["task"], []).append(row)
    chosen = {
        task: spans.best_rate(spans.last_tried(rows, protocol["tuning_lags"][task]))
        for task, rows in tuned.items()
    }
    for i, row in enumerate(raw):
        best = chosen.get(_place(row)[1])
        if row["kind"] in ("run", "curriculum", "copy") and row["rate"] != best:
            yield f"raw[{i}].rate is {row['rate']}, and {best} was chosen for its task"
