"""Checks of a card that fits the schema: its parts fit each other.

The checks refuse rows from which no summary can be computed, cards that lack a seed or a rate, and
cards that contradict themselves. A card of a measurement that was stopped early passes. No check
allocates memory by a number in the card, and each takes time in proportion to the rows.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

from echo_jax import atomic_files
from echo_jax.exceptions import shown
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.spans import Protocol
from echo_jax.memory_cards import bits_held
from echo_jax.memory_cards.schema import Row
from echo_jax.memory_cards.summary import REST, summarize, total_bytes, unfinished

ROUNDED = 1e-6
"""The largest difference of a share in a raw row from the one that was measured."""

CLOSE = 0.1
"""A network that passed a rung may score at most this much below it on other fresh streams."""

EQUAL_FIELDS = {"beyond": ("lag", "length"), "jacobian": ("lag",), "curriculum": ("ladder", "rung")}
"""Fields that do not depend on the seed."""


def fault(card: Mapping[str, Any]) -> str | None:
    """The first contradiction in a card that fits the schema; None if all of it fits."""
    return next(_faults(card), None)


def _faults(card: Mapping[str, Any]) -> Iterator[str]:
    """The contradictions; each check needs that those before it found none."""
    raw, seeds, protocol = card["raw"], card["seeds"], card["protocol"]
    if card["protocol_hash"] != atomic_files.digest_of(protocol):
        yield f"protocol_hash is {card['protocol_hash'][:12]}..., not that of the protocol in it"
    yield from _ladder_faults(protocol)
    if not len(seeds) == len(set(seeds)) == protocol["seeds"]:
        yield f"seeds has {len(set(seeds))} different ones, and the protocol {protocol['seeds']}"
    yield from _row_faults(raw, seeds, protocol)
    yield from _missing_rows(raw, seeds, protocol)
    if said := difference(card["rows"], summarize(raw, protocol), "rows"):
        yield said
    missing = {name for name, value in card["rows"].items() if value is None}
    missing |= {*unfinished(raw, protocol)}
    for name in sorted(missing ^ ({*card["not_measured"]} - {REST})):
        has = "has no reason for" if name in missing else "has a reason for"
        needs = "it needs one for each null of rows and each ladder that was cut short"
        yield f"not_measured {has} {shown(name)}: {needs}, and no other"
    whole = "price" in protocol["rows"] and REST not in card["not_measured"]
    if whole and not card["rows"]["price"] and _passing(raw, protocol):
        yield "raw has no price row, so nothing says how many bits its state has"
    yield from _bit_faults(card["rows"], raw, protocol)
    yield from _contradictions(raw, protocol)
    if REST not in card["not_measured"]:
        yield from _missing_measures(raw, protocol)


def _ladder_faults(protocol: Protocol) -> Iterator[str]:
    """Ladders that do not rise, that cannot be told apart, or that no sequence can ask."""
    names = [ladder["name"] for ladder in protocol["ladders"]]
    if len(set(names)) < len(names):
        yield "protocol.ladders has two of one name"
    for i, ladder in enumerate(protocol["ladders"]):
        if any(low >= high for low, high in pairwise(ladder["rungs"])):
            yield f"protocol.ladders[{i}].rungs does not rise"
        known = protocol["marked_among"]
        if ladder["task"] == "marked" and any(str(rung) not in known for rung in ladder["rungs"]):
            yield f"protocol.marked_among lacks a rung of ladders[{i}]"
        if ladder["task"] == "key" and ladder["rungs"][-1] > ladder["vocab_size"] // 2:
            yield f"protocol.ladders[{i}].rungs has more keys than half of its vocab_size"


def _bit_faults(rows: Mapping[str, Any], raw: Sequence[Row], protocol: Protocol) -> Iterator[str]:
    """More bits than the whole state has."""
    price = rows["price"]
    for name, claimed in _claims(rows["bits"], raw, protocol) if price else ():
        if claimed > 8 * total_bytes(price):
            yield (
                f"{name} shows {claimed:,.1f} bits, and the whole state of {total_bytes(price)} "
                f"bytes has {8 * total_bytes(price):,}"
            )


def _claims(
    bits: Mapping[str, Any] | None, raw: Sequence[Row], protocol: Protocol
) -> Iterator[tuple[str, float]]:
    """The bits that each passed run shows, and the median of each capacity network."""
    runs = [
        (
            f"the {row['kind']} of seed {row['seed']} on {row['ladder']} {row['rung']}",
            bits_held.held_by(row, protocol),
        )
        for row in _passing(raw, protocol)
    ]
    yield from sorted(runs, key=lambda run: -run[1])
    for name, found in (bits or {"networks": {}})["networks"].items():
        yield f"rows.bits ({name})", found["exact"]["median"]


def _passing(raw: Sequence[Row], protocol: Protocol) -> list[Row]:
    """The runs that passed their rung, those of a curriculum too."""
    runs = (row for row in raw if row["kind"] in ("run", "curriculum"))
    return [row for row in runs if spans.passed(row, protocol)]


def _missing_measures(raw: Sequence[Row], protocol: Protocol) -> Iterator[str]:
    """Networks of the first ladder that the protocol asks about, and that have no row."""
    name = protocol["ladders"][0]["name"]
    runs = [row for row in raw if row["kind"] == "run" and row["ladder"] == name]
    climbs = spans.climbs(raw, name, protocol) if runs else {}
    last, first = spans.span_of_half(climbs) if runs else (None, None)
    at_last = {
        row["seed"]
        for row in runs
        if last
        and row["rung"] == last <= climbs[row["seed"]].passed
        and spans.passed(row, protocol)
    }
    at_first = {row["seed"] for row in runs if row["rung"] == first}
    for kind, of, lag, seeds in (
        ("beyond", "beyond", last, at_last),
        ("jacobian", "cause", first, at_first),
    ):
        there = {row["seed"] for row in raw if row["kind"] == kind and row["lag"] == lag}
        if of in protocol["rows"] and (lacking := seeds - there):
            yield f"raw has no {kind} row of seed {min(lacking)} at lag {lag}"


def _contradictions(raw: Sequence[Row], protocol: Protocol) -> Iterator[str]:
    """Measures of a trained network that cannot be of the one that passed its rung.

    On fresh streams of the length of training it answers as well as in its confirmation, and its
    answers depend on the token that was asked for.
    """
    name = protocol["ladders"][0]["name"]
    threshold = protocol["ladders"][0]["threshold"]
    passed = {
        (row["seed"], row["rung"])
        for row in _passing(raw, protocol)
        if row["ladder"] == name and row["kind"] == "run"
    }
    for i, row in enumerate(raw):
        if (row.get("seed"), row.get("lag")) not in passed:
            continue
        for times, share in zip(row.get("times", ()), row.get("accuracy", ()), strict=True):
            if times == 1 and (share or 0.0) < threshold - CLOSE:
                yield (
                    f"raw[{i}].accuracy is {share} on fresh streams as long as in training, and "
                    f"seed {row['seed']} passed {name} {row['lag']}"
                )
        if row.get("change") == 0:
            yield (
                f"raw[{i}].change is 0, so no answer depends on the token that is asked for, and "
                f"seed {row['seed']} passed {name} {row['lag']}"
            )


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


def _place(row: Row) -> tuple[Any, ...]:
    """The fields that no two raw rows share."""
    names = ("kind", "ladder", "rung", "lag", "T", "seed")
    bits = (row["lags"],) if row["kind"] == "bits" else ()
    rate = (row["rate"],) if row["kind"] in ("run", "copy") else ()
    return (*(row.get(name) for name in names), *bits, *rate)


def _row_faults(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Rows that do not fit the protocol, that are there twice, or that differ from their like."""
    first: dict[Any, int] = {}
    for i, row in enumerate(raw):
        for said in chain(_value_faults(row, seeds, protocol), _list_faults(row, protocol)):
            yield f"raw[{i}]{said}"
        like = first.setdefault(_place(row), i)
        if like != i:
            yield f"raw[{i}] is of the same run as raw[{like}]"
        like = first.setdefault(row["kind"], i)
        for name in EQUAL_FIELDS.get(row["kind"], ()):
            if row[name] != raw[like][name]:
                yield f"raw[{i}].{name} is {row[name]}, and {raw[like][name]} in raw[{like}]"


def _value_faults(row: Row, seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Seeds, rates, ladders and rungs that are not among those of the card."""
    ladders = {ladder["name"]: ladder for ladder in protocol["ladders"]}
    copied = [
        rung for each in protocol["ladders"] if each["task"] == "copy" for rung in each["rungs"]
    ]
    allowed = {"seed": seeds, "rate": protocol["rates"], "ladder": ladders, "T": copied}
    for name, values in allowed.items():
        if name in row and row[name] not in values:
            yield f".{name} is {shown(row[name])}, which is none of those of the protocol"
            return
    if row["kind"] == "bits" and row["lags"] not in _capacity_lags(protocol):
        yield f".lags is {row['lags']}, which is none of those of the protocol"
    if "rung" in row:
        ladder = ladders[row["ladder"]]
        asks_any = ladder["task"] in ("lag", "hold")
        rungs = [*ladder["rungs"], *(protocol["exact_lags"] if asks_any else ())]
        between = protocol["refine"] and asks_any and row["rung"] < rungs[-1]
        if row["rung"] not in rungs and not between:
            yield f".rung is {row['rung']}, which is none of those of the protocol"


def _capacity_lags(protocol: Protocol) -> list[int]:
    """The numbers of lags that a capacity network may have."""
    found = [protocol["capacity_lags"]]
    while found[-1] < protocol["capacity_most"]:
        found.append(min(2 * found[-1], protocol["capacity_most"]))
    return found


def _list_faults(row: Row, protocol: Protocol) -> Iterator[str]:
    """Lists that are longer or shorter than they can be, or not those of the protocol."""
    kind, lists = row["kind"], {name: x for name, x in row.items() if isinstance(x, list)}
    if kind in ("run", "curriculum"):
        yield from _evaluation_faults(row, protocol)
        return
    expected = {
        "jacobian": row.get("lag", 0) + 1,
        "bits": row.get("lags"),
        "linear": protocol["linear_lags"],
        "beyond": len(protocol["beyond"]),
        "copy": min(len(row.get("updates", ())), protocol["budget"] // protocol["evaluate_every"]),
    }.get(kind)
    for name, values in lists.items():
        if len(values) != expected:
            yield f".{name} has {len(values)} entries, and not {expected}"
    every = protocol["evaluate_every"]
    numbers = {
        ("linear", "lags"): list(range(1, protocol["linear_lags"] + 1)),
        ("beyond", "times"): protocol["beyond"],
        ("copy", "updates"): [every * (i + 1) for i in range(len(row.get("updates", ())))],
    }
    for (of_kind, name), values in numbers.items():
        if kind == of_kind and row[name] != values:
            yield f".{name} is not that of the protocol"


def _evaluation_faults(row: Row, protocol: Protocol) -> Iterator[str]:
    """More evaluations than the budget or a pass allows, and wrong confirmations."""
    count, most = len(row["accuracy"]), protocol["budget"] // protocol["evaluate_every"]
    if count > most:
        yield f".accuracy has {count} entries where the budget allows {most}"
    numbers = [number for number, _ in row["confirmed"]]
    if any(number >= count for number in numbers):
        yield f".confirmed is of evaluation {max(numbers)}, of {count}"
    if any(low >= high for low, high in pairwise(numbers)):
        yield ".confirmed does not rise"
    yield from _confirmation_faults(row, numbers, protocol)
    used = spans.passed(row, protocol)
    if used and used < count * protocol["evaluate_every"]:
        yield f".accuracy has {count} entries, and the run passed after {used} updates"


def _confirmation_faults(row: Row, numbers: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Confirmations of evaluations below the threshold, and none of one that reaches it.

    Accuracies are rounded, so one that is rounded to the threshold may be confirmed or not.
    """
    threshold, confirmed = spans.ladder_of(protocol, row["ladder"])["threshold"], {*numbers}
    for number, share in enumerate(row["accuracy"]):
        margin = (share or 0.0) - threshold
        if margin < -ROUNDED and number in confirmed:
            yield f".confirmed is of evaluation {number}, which is below the threshold"
        if margin > ROUNDED and number not in confirmed:
            yield f".confirmed lacks evaluation {number}, which reaches the threshold"


def _missing_rows(raw: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> Iterator[str]:
    """Ladders and measures that lack a seed, and rungs that were skipped without reason."""
    bits = [row for row in raw if row["kind"] == "bits"]
    for ladder in protocol["ladders"]:
        rows = [row for row in raw if row.get("ladder") == ladder["name"]]
        runs = [row for row in rows if row["kind"] == "run"]
        if runs and (lacking := {*seeds} - {row["seed"] for row in runs}):
            yield f"raw has no run of seed {min(lacking)} on {ladder['name']}"
        for row in rows:
            if row["kind"] == "skipped" and not _is_skippable(row["rung"], runs, seeds, protocol):
                yield (
                    f"raw skips {ladder['name']} {row['rung']}, and not all seeds passed the next "
                    "coarse rung in its place"
                )
    of_all: list[list[Row]] = [
        *(
            of_m
            for rows in spans.grouped(bits, "ladder").values()
            for of_m in spans.grouped(rows, "lags").values()
        ),
        [row for row in raw if row["kind"] == "linear"],
        *spans.grouped((row for row in raw if row["kind"] == "copy"), "T").values(),
    ]
    for rows in of_all:
        if rows and (lacking := {*seeds} - {row["seed"] for row in rows}):
            yield f"raw has no {rows[0]['kind']} row of seed {min(lacking)}"


def _is_skippable(rung: int, runs: Sequence[Row], seeds: Sequence[int], protocol: Protocol) -> bool:
    """True if all seeds passed the next coarse rung above one that is not coarse and has no run."""
    ladder = spans.ladder_of(protocol, runs[0]["ladder"]) if runs else None
    if ladder is None or rung in ladder["coarse"] or any(row["rung"] == rung for row in runs):
        return False
    above = [each for each in (*ladder["coarse"], *protocol["exact_lags"][-1:]) if each > rung]
    passed = {
        row["seed"]
        for row in runs
        if above and row["rung"] == above[0] and spans.passed(row, protocol)
    }
    return passed == {*seeds}
