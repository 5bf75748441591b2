"""Say which cards may be compared: by track, protocol, task and size. Imports no jax."""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import UnsetType

from echo_jax.memory.all_questions import EVERY
from echo_jax.memory.by_task.task_rows_and_bits import MeasuredTask
from echo_jax.memory.card_contents import Card
from echo_jax.memory.protocol import Protocol
from echo_jax.report.number_formats import number

TRACKS = ("block", "bare")
"""The tracks in their order; a block with other layers or width has its own track after these."""

SAME_SIZE = 1.1 / 0.9
"""The largest ratio between the sizes of two states that count as of one size."""

BLOCK_OPTIONS = {"width": 32, "layers": 1, "parameters": None}
"""The options of the common block."""


def track(card: Card) -> str:
    """Return the track of `card`: `block`, `bare`, or another block in words.

    Cards of different tracks are not compared.
    """
    cell = card.cell
    if not cell.in_block:
        return "bare"
    given = {name: cell.args.get(name, usual) for name, usual in BLOCK_OPTIONS.items()}
    changed = [f"{name} {x}" for name, x in given.items() if x != BLOCK_OPTIONS[name]]
    return ", ".join(["block", *changed])


def place(of_track: str) -> tuple[int, str]:
    """Return a key that sorts cards by their track, `of_track`; the `TRACKS` come first."""
    return (TRACKS.index(of_track) if of_track in TRACKS else len(TRACKS)), of_track


def kind(card: Card) -> tuple[str, Protocol, MeasuredTask | UnsetType]:
    """Return the track, protocol and task of `card`; only cards with equal kinds are compared."""
    return track(card), card.numbers, card.task


def comparable(cards: Sequence[Card]) -> bool:
    """Return True if the `cards` are of one kind, with states of one type and of about one size.

    On a task, the states may differ.
    """
    return len(set(map(kind, cards))) == 1 and of_one_size(cards)


def of_one_size(cards: Sequence[Card]) -> bool:
    """Return True if the states of `cards` are of one type and of about one size.

    On a task, cells are compared at any size, so the result is True; the table states the sizes.
    """
    if all(card.task for card in cards):
        return True
    counts = [numbers_of(card) for card in cards]
    same_types = len({frozenset(of) for of in counts}) == 1
    totals = [sum(of.values()) for of in counts]
    return same_types and max(totals) <= SAME_SIZE * min(totals)


def numbers_of(card: Card) -> dict[str, int]:
    """Return how many numbers of each type the state of `card` has.

    For a card without these numbers, such as the card of a cell without a state, the result is its
    bytes.
    """
    return card.state_numbers or {"bytes": card.state_bytes}


def size_of(card: Card) -> int:
    """Return how many numbers the state of `card` has, of all types."""
    return sum(numbers_of(card).values())


def size_text(card: Card) -> str:
    """Return how many numbers the state of `card` has, and of which type: 100 float32."""
    return " and ".join(f"{number(n)} {name}" for name, n in numbers_of(card).items())


def differences(pair: Sequence[Card]) -> list[str]:
    """Return the properties in which the cards of `pair` differ, such as track (bare and block)."""
    sizes = [""] if of_one_size(pair) else [size_text(card) for card in pair]
    of_each = {
        "track": [track(card) for card in pair],
        "protocol": [card.numbers.name for card in pair],
        "task": [task_words(card) for card in pair],
        "state": sizes,
    }
    return [f"{x} ({' and '.join(of)})" for x, of in of_each.items() if len(set(of)) > 1]


def task_words(card: Card) -> str:
    """Return the task of `card` with its digests, or "none" for a card without a task.

    The digests distinguish tasks of one name: of what the task draws, and of a user's text.
    """
    if not card.task:
        return "none"
    digests = card.task.drawn, card.task.source or ""
    return " ".join([card.task.name, *(x[:6] for x in digests if x)])


def groups(cards: Iterable[Card]) -> list[list[Card]]:
    """Return the `cards` in groups of comparable cards; in a group, the most bits come first.

    Groups in the block come before bare cells. Cards that are comparable with no other card form
    one group for each kind, of several sizes.
    """

    def order(card: Card) -> tuple[Any, ...]:
        return task_words(card), place(track(card)), sorted(numbers_of(card)), size_of(card)

    found: list[list[Card]] = []
    for card in sorted(cards, key=order):
        if found and comparable([found[-1][0], card]):
            found[-1].append(card)
        else:
            found.append([card])
    kinds = dict.fromkeys(kind(group[0]) for group in found)
    single = [[x for (x, *more) in found if not more and kind(x) == each] for each in kinds]
    found = [group for group in found if len(group) > 1] + [group for group in single if group]
    for group in found:
        group.sort(key=lambda x: [-x.mean(question) for question in EVERY])
    return sorted(found, key=lambda group: (place(track(group[0])), -len(group)))
