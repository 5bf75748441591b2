"""Memory cards: made, written, read, and held to what was measured. No jax: they are read at once.

A card has its raw rows in it. Whoever reads one computes its rows again, and believes no other.
"""

import json
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError
from echo_jax.memory_cards import json_types, row_order, validation
from echo_jax.memory_cards.card_markdown import markdown
from echo_jax.memory_cards.card_text import glance
from echo_jax.memory_cards.json_types import shown
from echo_jax.memory_cards.schema import CARD, SCHEMA
from echo_jax.memory_cards.summary import rows_of

__all__ = [
    "Card", "comparable", "digest_of", "glance", "make", "markdown", "read", "rows_of", "validate",
    "write",
]  # fmt: skip

NOT_OF_THE_CELL = ("name", "device", "versions", "date", "seconds", "digest")
"""What a card holds that is not a function of its cell, and the digest of all that is."""

TIMES = ("train", "stream")
"""Times of a price, which are no such function either."""

FIX = "use a card as scripts/probe.py wrote it"
"""What ends the sentence about one that is not right."""

Card = dict[str, Any]


def make(
    identity: Mapping[str, Any],
    raw: list[dict[str, Any]],
    not_measured: Mapping[str, str],
    made: Mapping[str, Any],
) -> Card:
    """A card of its parts.

    Args:
      identity: name, cell, protocol and seeds, as docs/card.md describes them.
      raw: what was measured.
      not_measured: why, by the name of a row.
      made: device, versions, date and seconds.
    """
    rows = rows_of(raw, identity["protocol"])
    reasons = {
        name: not_measured.get(name, "it was not asked for")
        for name, row in rows.items()
        if row is None
    }
    card: Card = {
        "schema": SCHEMA,
        "name": identity["name"],
        "cell": identity["cell"],
        "protocol": identity["protocol"],
        "protocol_hash": atomic_files.digest_of(identity["protocol"]),
        "seeds": identity["seeds"],
        "raw": raw,
        "rows": rows,
        "not_measured": reasons,
        **{name: made[name] for name in ("device", "versions", "date", "seconds")},
    }
    return card | {"digest": digest_of(card)}


def digest_of(card: Mapping[str, Any]) -> str:
    """The digest of what a card found: of all but the times, device, versions and date."""
    found = {name: value for name, value in card.items() if name not in NOT_OF_THE_CELL}
    raw = [_without_times(row) if row["kind"] == "price" else row for row in card["raw"]]
    price = card["rows"]["price"]
    rows = card["rows"] | {"price": price and _without_times(price)}
    return atomic_files.digest_of(found | {"raw": raw, "rows": rows})


def _without_times(price: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in price.items() if name not in TIMES}


def validate(card: Any) -> None:
    """Raise ConfigError, one sentence about the first fault, unless a card can be believed.

    Its fields are those of the schema, its raw rows what its protocol and seeds let them be, its
    rows what the raw rows say, and its hash and digest right.
    """
    fault = _schema_fault(card) or _fault(card)
    if fault:
        raise ConfigError(f"{fault}: {FIX}")


def _schema_fault(card: Any) -> str | None:
    version = card.get("schema") if isinstance(card, dict) else None
    if type(version) is int and version != SCHEMA:
        return f"schema is {shown(version)}, and this version of echo_jax reads {SCHEMA} alone"
    return json_types.fault(card, CARD)


def _fault(card: Card) -> str | None:
    """The first thing in a card of the right fields that is not so."""
    protocol = card["protocol"]
    if card["protocol_hash"] != atomic_files.digest_of(protocol):
        return f"protocol_hash is {card['protocol_hash'][:12]}..., not that of the protocol in it"
    for check in (validation, row_order):
        found = check.fault(card["raw"], card["seeds"], protocol)
        if found:
            return found
    found = difference(card["rows"], rows_of(card["raw"], protocol), "rows")
    if found:
        return found
    absent = {name for name, row in card["rows"].items() if row is None}
    unlike = sorted(absent ^ set(card["not_measured"]))
    if unlike:
        without = f"has no {unlike[0]}" if unlike[0] in absent else f"has {shown(unlike[0])}"
        return f"not_measured {without}: it says why of each row that is null, and of no other"
    if card["digest"] != digest_of(card):
        return f"digest is {card['digest'][:12]}..., not that of what the card says"
    return None


def difference(found: Any, expected: Any, where: str) -> str | None:
    """The first place where values differ from those of the raw rows; None where none does.

    Numbers are of six digits, and one unit of the last of them is no difference.
    """
    if isinstance(expected, dict) and isinstance(found, dict) and set(found) == set(expected):
        parts = ((found[name], expected[name], f"{where}.{name}") for name in expected)
    elif isinstance(expected, list) and isinstance(found, list) and len(found) == len(expected):
        pairs = zip(found, expected, strict=True)
        parts = ((a, b, f"{where}[{i}]") for i, (a, b) in enumerate(pairs))
    elif found == expected or _nearly(found, expected):
        return None
    else:
        return f"{where} is {shown(found)} and the raw rows say {shown(expected)}"
    return next(filter(None, (difference(*part) for part in parts)), None)


def _nearly(found: Any, expected: Any) -> bool:
    if type(found) is not float or type(expected) is not float:
        return False
    return abs(found - expected) <= 1e-5 * abs(expected)


def comparable(card: Card, known: Collection[str]) -> str:
    """What a valid card can be compared with, in a sentence.

    Args:
      card: one that `validate` believes.
      known: hashes of the protocols that this version of echo_jax has.
    """
    protocol = f"protocol {card['protocol']['name']}, version {card['protocol']['version']}"
    if card["protocol_hash"] in known:
        return f"{card['name']} is a valid card, comparable with every other of {protocol}."
    return (
        f"{card['name']} is a valid card, but not comparable with those made here: its {protocol} "
        f"({card['protocol_hash'][:12]}...) is none that this version of echo_jax has."
    )


def read(path: Path) -> Card:
    """The card in a file; ConfigError, one sentence, where there is none that can be believed."""
    data = atomic_files.read_bytes(path, atomic_files.JSON_LIMIT, fix="use the NAME.json of a card")
    try:
        card = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        why = error if isinstance(error, ConfigError) else "it is no JSON"
        raise ConfigError(f"{path} cannot be read ({why}): {FIX}") from error
    try:
        validate(card)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return card


def _no_constant(name: str) -> None:
    raise ConfigError(f"it has {name} where a number or null stands")


def write(
    card: Card,
    folder: Path,
    figure: Callable[[Card], str] | None = None,
    *,
    replace: bool = False,
) -> list[Path]:
    """Write NAME.json, NAME.md and, where there is a figure, NAME.svg; return their paths.

    A card that says something else is not overwritten unless `replace`, nor is any page or figure
    that is not as it was generated; then nothing is written.

    Args:
      card: a whole one.
      folder: made where it is not there.
      figure: what draws the card, as SVG.
      replace: another card of that name.

    Raises:
      ConfigError: the card is not valid, or a file is in the way or cannot be written.
    """
    validate(card)
    name = card["name"]
    texts = {f"{name}.md": markdown(card, f"{name}.svg" if figure else None)}
    if figure:
        texts[f"{name}.svg"] = figure(card)
    path = folder / f"{name}.json"
    _check_same(path, card, replace)
    for file in texts:
        atomic_files.check_generated(folder / file)
    make_folder(folder)
    atomic_files.write_bytes(path, dumped(card).encode())
    for file, text in texts.items():
        atomic_files.write_generated(folder / file, text)
    return [path, *(folder / file for file in texts)]


def check_place(folder: Path, names: Sequence[str]) -> None:
    """ConfigError where a card is there already, or a page or figure not as it was generated."""
    for name in names:
        if (folder / f"{name}.json").exists():
            raise ConfigError(
                f"{folder / name}.json is there already: move it, give the card another --name, or "
                "name another folder with --out"
            )
        for suffix in ("md", "svg"):
            atomic_files.check_generated(folder / f"{name}.{suffix}")


def _check_same(path: Path, card: Card, replace: bool) -> None:
    if replace or not path.exists():
        return
    if read(path)["digest"] != card["digest"]:
        raise ConfigError(
            f"{path} is another card, of {read(path)['date']}, and would be overwritten: move it, "
            "or give this one another name"
        )


def make_folder(folder: Path) -> None:
    """Make it where it is not there; ConfigError where it cannot be, or not be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be made ({error.strerror}): use another folder"
        ) from error
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written to ({error.strerror}): use another folder"
        ) from error


def dumped(card: Card) -> str:
    """A card as JSON with a line for each field, and for each raw row."""
    lines = []
    for name, value in card.items():
        if name == "raw":
            text = "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in value) + "\n]"
        else:
            text = json.dumps(value, allow_nan=False)
        lines.append(f'"{name}": {text}')
    return "{\n" + ",\n".join(lines) + "\n}\n"
