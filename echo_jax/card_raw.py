"""Whether the raw rows of a card are what its protocol and its seeds let them be. No jax."""

from collections.abc import Iterator, Sequence
from typing import Any

from echo_jax import ladder
from echo_jax.ladder import Protocol
from echo_jax.rows import Row

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

SAME_IN_ALL = {
    "bits": ("lags", "state_numbers"),
    "linear": ("lags",),
    "beyond": ("lag", "length", "times"),
    "jacobian": ("lag",),
}
"""Fields that do not depend on the seed."""

OF_EVERY_SEED = ("run", "bits", "linear", "copy")
"""Kinds of which there is a raw row of every seed, a run of the first lag, or none at all."""

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
        for check in (_empty, _lengths, _on_the_ladder, _of_the_seeds):
            yield from (f"raw[{i}]{said}" for said in check(row, seeds, protocol))
    yield from _not_the_same(raw)
    yield from _seeds_missing(raw, seeds, protocol)


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
    if row["kind"] == "beyond" and not row["times"]:
        yield ".times has no entry"
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
    if row["kind"] in ("run", "curriculum") and len(row["accuracy"]) > ladder.evaluations(protocol):
        yield (
            f".accuracy has {len(row['accuracy'])} entries where the budget is out after "
            f"{ladder.evaluations(protocol)}"
        )
    if row["kind"] == "jacobian" and len(row["before"]) != row["lag"] + 1:
        yield f".before has {len(row['before'])} entries where a lag of {row['lag']} has one more"


def _on_the_ladder(row: Row, _: Sequence[int], protocol: Protocol) -> Iterator[str]:
    if row["kind"] not in ("run", "curriculum"):
        return
    if row["lag"] not in protocol["ladder"]:
        yield f".lag is {row['lag']}, which is not on the ladder of the protocol"
    if row["rate"] not in protocol["rates"]:
        yield f".rate is {row['rate']}, which is none of the rates of the protocol"


def _of_the_seeds(row: Row, seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    if row["kind"] == "tune":
        if row["seed"] not in protocol["tuning_seeds"]:
            yield f".seed is {row['seed']}, which is none that chooses the learning rate"
    elif "seed" in row and row["seed"] not in seeds:
        yield f".seed is {row['seed']}, which is none of the seeds of the card"


def _not_the_same(raw: Sequence[Row]) -> Iterator[str]:
    first: dict[str, int] = {}
    for i, row in enumerate(raw):
        like = first.setdefault(row["kind"], i)
        for name in SAME_IN_ALL.get(row["kind"], ()):
            if row[name] != raw[like][name]:
                yield f"raw[{i}].{name} is not that of raw[{like}]"


def _seeds_missing(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Of what is measured of every seed or of none, the seeds that are not there."""
    first = protocol["ladder"][0]
    found: dict[tuple[Any, ...], set[int]] = {}
    for row in raw:
        if row["kind"] in OF_EVERY_SEED:
            there = found.setdefault((row["kind"], row.get("task"), row.get("T")), set())
            if row["kind"] != "run" or row["lag"] == first:
                there.add(row["seed"])
    for (kind, task, blanks), there in found.items():
        missing = set(seeds) - there
        if missing:
            what = " ".join(filter(None, (kind, task, blanks and f"T {blanks}")))
            at = f" at lag {first}" if kind == "run" else ""
            yield f"raw has no {what}{at} of seed {min(missing)}"
