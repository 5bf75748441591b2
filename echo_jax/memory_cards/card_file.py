"""Memory cards as files: making, validating, reading and writing them.

A card contains its raw rows, so `validate` computes the summary again instead of trusting it.
"""

import itertools
import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError, shown
from echo_jax.memory_cards import beside_built_in, schema, validation
from echo_jax.memory_cards.card_page import markdown
from echo_jax.memory_cards.card_text import NOT_ASKED
from echo_jax.memory_cards.schema import PROTOCOL_1, SCHEMA
from echo_jax.memory_cards.summary import REST, summarize, unfinished
from echo_jax.report import styles

MEASURED = {"capacity": ("linear",), "ladders": ("ladders", "bits")}
"""The fields of a summary that come from an entry of a protocol's `rows`; others have its name."""

NO_SUCH_LAG = {
    "beyond": "there is no lag that half of the seeds passed",
    "cause": "it was not measured at the lag that half of the seeds missed",
}
"""Reasons why a measurement that was asked for and not stopped has no result."""

MADE = ("device", "versions", "date", "seconds")
"""The fields of a card that say where, with what, when and how long it was measured."""

FIX = "use a card as probe wrote it"
Card = dict[str, Any]


def make(
    identity: Mapping[str, Any],
    raw: list[dict[str, Any]],
    made: Mapping[str, Any],
    stopped: str | None = None,
) -> Card:
    """A card of its parts.

    Args:
      identity: name, cell, protocol and seeds.
      raw: the raw rows.
      made: device, versions, date and seconds.
      stopped: why the measurement ended early; None if it did not.
    """
    protocol = identity["protocol"]
    summary = summarize(raw, protocol)
    asked = {name for row in protocol["rows"] for name in MEASURED.get(row, (row,))}
    reasons = {}
    for name in [name for name, value in summary.items() if value is None]:
        reasons[name] = stopped or NO_SUCH_LAG.get(name, "its raw rows are missing")
        if name not in asked:
            reasons[name] = f"protocol {protocol['name']} {NOT_ASKED}"
    for name in unfinished(raw, protocol):
        reasons[name] = stopped or "its raw rows are missing"
    if stopped:
        reasons[REST] = stopped
    card: Card = {
        "schema": SCHEMA,
        "name": identity["name"],
        "cell": identity["cell"],
        "protocol": protocol,
        "protocol_hash": atomic_files.digest_of(protocol),
        "seeds": identity["seeds"],
        "raw": raw,
        "rows": summary,
        "not_measured": reasons,
        **{name: made[name] for name in MADE},
    }
    return signed(card)


def signed(card: Card) -> Card:
    """A card with its digest."""
    return card | {"digest": digest_of(card)}


def digest_of(card: Mapping[str, Any]) -> str:
    """The digest of what was measured: SHA-256 of the card without times, device and the like."""

    def without(names: Sequence[str], values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if name not in names}

    times, cost = ("train", "stream"), card["rows"]["price"]
    raw = [without(times, row) if row.get("kind") == "price" else row for row in card["raw"]]
    summary = card["rows"] | {"price": cost and without(times, cost)}
    found = without(("name", *MADE, "digest"), card)
    return atomic_files.digest_of(found | {"raw": raw, "rows": summary})


def validate(card: Any) -> None:
    """Raise ConfigError, one sentence about the first fault, if a card is not valid.

    In a valid card the fields fit the schema, the raw rows fit the protocol and the seeds, the
    summary is that of the raw rows, and the hash and the digest are those of the content. Of a card
    of protocol 1 the hash and the digest alone are checked.
    """
    if found := fault(card):
        raise ConfigError(f"{found}: {FIX}")


def fault(card: Any) -> str:
    """The first fault of a card, see `validate`; empty without one."""
    version = card.get("schema") if isinstance(card, dict) else None
    if is_protocol_1(card):
        found = _fault_of_protocol_1(card)
    elif type(version) is int and version != SCHEMA:
        found = f"schema is {shown(version)}, and this version of echo_jax reads {SCHEMA} alone"
    else:
        found = schema.fault(card) or validation.fault(card) or ""
    if not found and card["digest"] != digest_of(card):
        found = f"digest is {card['digest'][:12]}..., not that of the content"
    return found


def is_protocol_1(card: Any) -> bool:
    """True for a card of protocol 1, whose numbers never stand beside those of others."""
    version = card.get("schema") if isinstance(card, dict) else None
    return type(version) is int and version == PROTOCOL_1


def _fault_of_protocol_1(card: Card) -> str:
    """The first fault for which hash and digest of a card of protocol 1 cannot hold; or empty."""
    kinds: dict[str, type] = {"name": str, "cell": dict, "protocol": dict, "seeds": list}
    kinds |= {"raw": list, "rows": dict, "date": str, "not_measured": dict}
    kinds |= {"protocol_hash": str, "digest": str}
    for name, kind in kinds.items():
        if not isinstance(card.get(name), kind):
            return f"{name} is missing or of the wrong type"
    rows = [card["rows"].get("price") or {}, *card["raw"]]
    if "price" not in card["rows"] or not all(isinstance(row, dict) for row in rows):
        return "rows or raw are not those of a card"
    if card["protocol_hash"] != atomic_files.digest_of(card["protocol"]):
        return "protocol_hash is not that of the protocol in it"
    return ""


def comparable(card: Card, known: Collection[str]) -> str:
    """The cards that a valid card can be compared with; `known` are hashes of today's protocols."""
    protocol = card["protocol"]
    if is_protocol_1(card):
        return (
            f"{card['name']} is a card of protocol 1 ({protocol.get('name')}): its digest holds, "
            "and it cannot be compared with cards of protocol 2."
        )
    protocol = f"protocol {protocol['name']} ({protocol['track']}), version {protocol['version']}"
    if card["protocol_hash"] in known:
        return f"{card['name']} is a valid card, comparable with all others of {protocol}."
    return (
        f"{card['name']} is a valid card, but not comparable with those made here: this version of "
        f"echo_jax does not have its {protocol} ({card['protocol_hash'][:12]}...)."
    )


def read(path: Path) -> Card:
    """The card in a file; ConfigError, one sentence, if there is no valid one."""
    data = atomic_files.read_bytes(path, atomic_files.JSON_LIMIT, fix="use the NAME.json of a card")
    try:
        card = msgspec.json.decode(data)
        atomic_files.parse_json(data)  # refuses a name that stands twice
        validate(card)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not valid JSON ({error}): {FIX}") from error
    return card


def set_aside(path: Path) -> Path:
    """Rename the file of a card to NAME.json.cut-short, or NAME.json.cut-short-2; return that."""
    names = (f"{path.name}.cut-short{f'-{i}' * (i > 1)}" for i in itertools.count(1))
    free = next(name for name in names if not path.with_name(name).exists())
    try:
        return path.rename(path.with_name(free))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be renamed ({error.strerror}): use another {{out}}"
        ) from error


def write(card: Card, folder: Path) -> Path:
    """Write NAME.json; return its path.

    Nothing is written if a card of that name with another digest is there, or if its page or its
    figure was edited since it was generated.

    Raises:
      ConfigError: the card is not valid, or a file is in the way or cannot be written.
    """
    validate(card)
    path = folder / f"{card['name']}.json"
    if path.exists() and (other := read(path))["digest"] != card["digest"]:
        raise ConfigError(
            f"{path} is another card, of {other['date']}, and would be overwritten: move it, or "
            "give this one another name"
        )
    for suffix in ("md", "svg"):
        atomic_files.check_generated(folder / f"{card['name']}.{suffix}")
    make_folder(folder)
    atomic_files.write_bytes(path, dumped(card).encode())
    return path


def draw(card: Card, folder: Path, kind: styles.Format = "svg") -> list[Path]:
    """Write NAME.md, NAME.svg and with another kind NAME.KIND of a valid card; return their paths.

    ConfigError for a card of protocol 1, where the figure cannot be drawn, and where a file was
    edited since it was generated.
    """
    if is_protocol_1(card):
        raise ConfigError(
            f"{card['name']} is a card of protocol 1, which is no longer drawn: measure the cell "
            "again, or open the page that was made with it"
        )
    page, drawn = (folder / f"{card['name']}.{suffix}" for suffix in ("md", "svg"))
    with styles.drawing():
        from echo_jax.memory_cards.card_figure import card_figure

        others = beside_built_in.beside(card)
        figure = styles.svg(card_figure(card, others))
        content = styles.image(card_figure(card, others), kind) if kind != "svg" else b""
    atomic_files.write_generated(page, markdown(card, drawn.name).encode())
    atomic_files.write_generated(drawn, figure.encode())
    if not content:
        return [page, drawn]
    atomic_files.write_generated(drawn.with_name(f"{card['name']}.{kind}"), content)
    return [page, drawn, drawn.with_name(f"{card['name']}.{kind}")]


def check_place(folder: Path, names: Sequence[str], kind: styles.Format = "svg") -> None:
    """Raise ConfigError if a card of these names exists, or an edited page or figure."""
    for name in names:
        if (folder / f"{name}.json").exists():
            raise ConfigError(
                f"{folder / name}.json is there already: move it, give the card another {{name}}, "
                "or name another folder with {out}"
            )
        for suffix in ("md", "svg"):
            atomic_files.check_generated(folder / f"{name}.{suffix}")
        if kind != "svg":
            atomic_files.check_generated(folder / f"{name}.{kind}")


def make_folder(folder: Path) -> None:
    """Create a folder if it is not there; ConfigError if it cannot be created or written to."""
    doing = "made"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        doing = "written to"
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be {doing} ({error.strerror}): use another folder"
        ) from error


def dumped(card: Card) -> str:
    """A card as JSON, one line for each field and each raw row."""
    lines = []
    for name, value in card.items():
        text = json.dumps(value, allow_nan=False)
        if name == "raw":
            text = "[\n" + ",\n".join(json.dumps(row, allow_nan=False) for row in value) + "\n]"
        lines.append(f'"{name}": {text}')
    return "{\n" + ",\n".join(lines) + "\n}\n"
