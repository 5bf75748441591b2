"""Memory cards: assembled, and their digest. No jax, so that they are read at once."""

from collections.abc import Mapping
from typing import Any

from echo_jax import storage
from echo_jax.card_rows import rows_of

SCHEMA = 1
"""The version of what a card is made of."""

NOT_OF_THE_CELL = ("device", "versions", "date", "seconds", "digest")
"""What a card holds that is not a function of its cell, and the digest of all that is."""

TIMES = ("train", "stream")
"""Times of a price, which are no such function either."""

Card = dict[str, Any]


def digest_of(card: Mapping[str, Any]) -> str:
    """The digest of what a card found: of all but the times, device, versions and date."""
    found = {name: value for name, value in card.items() if name not in NOT_OF_THE_CELL}
    raw = [_without_times(row) if row.get("kind") == "price" else row for row in card["raw"]]
    price = card["rows"]["price"]
    rows = card["rows"] | {"price": price and _without_times(price)}
    return storage.digest_of(found | {"raw": raw, "rows": rows})


def _without_times(price: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in price.items() if name not in TIMES}


def make(
    *,
    name: str,
    cell: dict[str, Any],
    protocol: dict[str, Any],
    seeds: list[int],
    raw: list[dict[str, Any]],
    not_measured: dict[str, str],
    made: dict[str, Any],
) -> Card:
    """A card of its parts.

    Args:
      name: of the card, and of its files.
      cell: its name, its arguments and the digest of its source, None of one that is built in.
      protocol: what was fixed.
      seeds: those that the rows are of.
      raw: what was measured, plain values.
      not_measured: why, by the name of a row.
      made: device, versions, date and seconds.
    """
    card: Card = {
        "schema": SCHEMA,
        "name": name,
        "cell": cell,
        "protocol": protocol,
        "protocol_hash": storage.digest_of(protocol),
        "seeds": seeds,
        "raw": raw,
        "rows": rows_of(raw, protocol),
        "not_measured": not_measured,
        **made,
    }
    return card | {"digest": digest_of(card)}
