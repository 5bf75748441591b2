"""Checks of a card that fits the schema: its parts fit each other.

The checks refuse rows from which no summary can be computed, and cards that lack a seed, a lag or a
trial of a learning rate. A card of a measurement that was stopped early passes. No check allocates
memory by a number in the card, and each takes time in proportion to the rows.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from echo_jax import atomic_files
from echo_jax.exceptions import shown
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.spans import Protocol
from echo_jax.memory_cards.schema import Row
from echo_jax.memory_cards.summary import grouped, summarize

EQUAL_FIELDS = {"bits": ("state_numbers",), "beyond": ("lag", "length"), "jacobian": ("lag",)}
"""Fields that do not depend on the seed."""

LADDERS = ("tune", "run", "copy")
"""Kinds of raw rows that go up a list of lags, from the first."""


def fault(card: Mapping[str, Any]) -> str | None:
    """The first contradiction in a card that fits the schema; None if all of it fits."""
    return next(_faults(card), None)


def _faults(card: Mapping[str, Any]) -> Iterator[str]:
    """The contradictions; each check needs that those before it found none."""
    raw, seeds, protocol = card["raw"], card["seeds"], card["protocol"]
    if card["protocol_hash"] != atomic_files.digest_of(protocol):
        yield f"protocol_hash is {card['protocol_hash'][:12]}..., not that of the protocol in it"
    if any(low >= high for low, high in pairwise(protocol["ladder"])):
        yield "protocol.ladder does not rise"
    if not len(seeds) == len(set(seeds)) == protocol["seeds"]:
        yield f"seeds has {len(set(seeds))} different ones, and the protocol {protocol['seeds']}"
    if used := set(seeds) & set(protocol["tuning_seeds"]):
        yield f"seed {min(used)} chose the learning rate, and may not be measured"
    yield from _row_faults(raw, seeds, protocol)
    yield from _missing_rows(raw, seeds, protocol)
    yield from _rate_faults(raw, protocol)
    if said := difference(card["rows"], summarize(raw, protocol), "rows"):
        yield said
    missing = {name for name, value in card["rows"].items() if value is None}
    for name in sorted(missing ^ set(card["not_measured"])):
        has = "has no reason for" if name in missing else "has a reason for"
        yield f"not_measured {has} {shown(name)}: it needs one for each null of rows, no other"


def difference(found: Any, expected: Any, where: str) -> str | None:
    """The first difference between a summary and that of the raw rows; None if there is none.

    Numbers have six digits, and one unit in the last of them is no difference.
    """
    if isinstance(expected, dict) and isinstance(found, dict):
        if odd := set(found) ^ set(expected):
            has = "lacks" if min(odd) in expected else "has"
            return f"{where} {has} {shown(min(odd))}, unlike the summary of the raw rows"
        parts = ((found[name], expected[name], f"{where}.{name}") for name in expected)
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = zip(found, expected, strict=True)
        parts = ((a, b, f"{where}[{i}]") for i, (a, b) in enumerate(pairs))
    else:
        near = type(found) is float and type(expected) is float
        if near and abs(found - expected) <= 1e-5 * abs(expected):
            return None
        if type(found) is type(expected) and found == expected:
            return None
        return f"{where} is {shown(found)} and the raw rows give {shown(expected)}"
    return next(filter(None, (difference(*part) for part in parts)), None)


def _place(row: Row) -> tuple[str, str, int]:
    """The kind, task and lag of a raw row, `copy` and T of copy memory."""
    if row["kind"] == "copy":
        return "copy", "copy", row["T"]
    return row["kind"], row.get("task", ""), row.get("lag", 0)


def _row_faults(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Rows that do not fit the protocol, that are there twice, or that differ from their like."""
    first: dict[Any, int] = {}
    for i, row in enumerate(raw):
        kind = row["kind"]
        for said in (*_value_faults(row, seeds, protocol), *_list_faults(row, protocol)):
            yield f"raw[{i}]{said}"
        rate = row["rate"] if kind == "tune" else None
        like = first.setdefault((*_place(row), row.get("seed"), rate), i)
        if like != i:
            yield f"raw[{i}] is of the same seed and lag as raw[{like}]"
        like = first.setdefault(kind, i)
        for name in EQUAL_FIELDS.get(kind, ()):
            if row[name] != raw[like][name]:
                yield f"raw[{i}].{name} is {row[name]}, and {raw[like][name]} in raw[{like}]"


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


def _list_faults(row: Row, protocol: Protocol) -> Iterator[str]:
    """Lists that are longer or shorter than they can be, or not those of the protocol."""
    kind, every = row["kind"], protocol["evaluate_every"]
    lengths = {name: len(value) for name, value in row.items() if isinstance(value, list)}
    for (first, length), (other, also) in pairwise(lengths.items()):
        if length != also:
            yield f".{other} has {also} entries where {first} has {length}"
    most = protocol["tuning_updates" if kind == "tune" else "budget"] // every
    if "accuracy" in row and kind != "beyond" and len(row["accuracy"]) > most:
        yield f".accuracy has {len(row['accuracy'])} entries where the budget allows {most}"
    if kind == "jacobian" and len(row["before"]) != row["lag"] + 1:
        yield f".before has {len(row['before'])} entries where lag {row['lag']} has one more"
    last = protocol["capacity_lags" if kind == "bits" else "linear_lags"]
    if kind in ("bits", "linear") and row["lags"] != list(range(1, last + 1)):
        yield f".lags is not 1 to {last}, as in the protocol"
    if kind == "beyond" and row["times"] != protocol["beyond"]:
        yield ".times is not that of the protocol"
    if kind == "copy" and row["updates"] != [every * (i + 1) for i in range(len(row["updates"]))]:
        yield f".updates is not {every}, {2 * every} and so on"


def _missing_rows(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Seeds, trials and lags that were left out; no row is there twice."""
    trials = len(protocol["rates"]) * len(protocol["tuning_seeds"])
    of_every_seed = (*LADDERS, "bits", "linear", "jacobian")
    counts = Counter(_place(row) for row in raw if row["kind"] in of_every_seed)
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
    tuned = grouped((row for row in raw if row["kind"] == "tune"), "task")
    chosen = {
        task: spans.best_rate(spans.last_tried(rows, protocol["tuning_lags"][task]))
        for task, rows in tuned.items()
    }
    for i, row in enumerate(raw):
        best = chosen.get(_place(row)[1])
        if row["kind"] in ("run", "curriculum", "copy") and row["rate"] != best:
            yield f"raw[{i}].rate is {row['rate']}, and {best} was chosen for its task"
