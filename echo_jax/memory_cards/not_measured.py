"""The reasons why a card lacks parts of its summary."""

from collections.abc import Mapping
from typing import Any

from echo_jax.memory_cards.schema import SUMMARY

PARTS = {
    "stream": ("stream_span", "learning", "rates"),
    "hold": ("hold_span",),
    "capacity": ("capacity", "linear"),
    "beyond": ("beyond",),
    "cause": ("cause",),
    "price": ("price",),
    "copy": ("copy", "rates"),
}
"""The parts of a summary that come from each entry of a protocol's `rows`."""

NO_SUCH_LAG = {
    "beyond": "there is no lag that half of the seeds passed",
    "cause": "there is no lag that fewer than half of the seeds passed",
}


def reasons(protocol: Mapping[str, Any], stopped: str | None) -> dict[str, str]:
    """A reason for each part of the summary, in case it is missing.

    Args:
      protocol: of the card.
      stopped: why the measurement ended early; None if it did not.
    """
    asked = [part for name in protocol["rows"] for part in PARTS[name]]
    found = dict.fromkeys(SUMMARY, f"protocol {protocol['name']} does not ask for it")
    if "copy" not in asked:
        found["copy"] = "--task copy measures it"
    if stopped:
        return found | dict.fromkeys(asked, stopped)
    return found | {part: reason for part, reason in NO_SUCH_LAG.items() if part in asked}
