"""Conclusions from all memory cards: who goes furthest, findings, and claims of the literature.

Each sentence is computed from the cards, and stands only where they are there. Two cells differ
where their intervals are disjoint.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from echo_jax.config import BLOCK
from echo_jax.memory_benchmark.published_cards import ORDER
from echo_jax.memory_cards import card_text
from echo_jax.memory_cards.all_cards_table import (
    Place,
    Sorted,
    differ,
    ladders_on,
    leaders,
    not_run,
    places,
)
from echo_jax.memory_cards.card_page import command_of
from echo_jax.memory_cards.card_text import ASKED, Card, capital, counted, ladder_name, listed
from echo_jax.memory_cards.summary import total_bytes
from echo_jax.report.number_formats import percent, three_digits

Ladder = Mapping[str, Any]


class Finding(NamedTuple):
    """A sentence, and the command of the card that shows it."""

    words: str
    command: str


def said(place: Place, unit: str = "") -> str:
    """A cell with its mean span and interval: lstm 2.83 keys (2 to 4)."""
    mean, interval = card_text.span_words(place.span)
    return f"{place.label} {mean}{' ' * bool(unit)}{unit} ({interval})"


def winner(cards: Sequence[Card], ladder: Ladder) -> Finding:
    """The cell that goes furthest on a ladder of some cards, and those not told apart from it."""
    found, unit = places(cards, ladder["name"]), ASKED[ladder["task"]][1]
    (best, *alike), others = leaders(found) or found[:1], counted(len(found) - 1, "other")
    if len(found) == 1:
        words = f"{said(best, unit)}, the only cell so far"
    elif card_text.none_passed(best.span):
        words = f"none of {len(found)} cells passed {ladder['rungs'][0]:,} {unit}"
    elif len(alike) == len(found) - 1:
        words = f"{said(best, unit)} goes furthest, not told apart from the {others}"
    elif alike:
        words = (
            f"{said(best, unit)} goes furthest, not told apart from {listed([*map(said, alike)])}"
        )
    else:
        words = f"{said(best, unit)} goes furthest; next is {said(found[1])}"
    return Finding(f"{capital(ladder_name(ladder))}: {words}.", command_of(best.card))


def winners(cards: Sequence[Card]) -> list[str]:
    """The winner of each ladder that recurrent cells were measured on."""
    known = [each for each in ladders_on(cards) if places(cards, each["name"])]
    return [winner(cards, ladder).words for ladder in known]


def findings(found: Sorted) -> list[Finding]:
    """The five findings; one whose cards are missing is left out."""
    block, cell = found.main("block"), found.main("cell")
    of_bits = _fullest(block, "in the block") or _fullest(cell, "of bare cells")
    five = (_best(block, "lag"), _best(block, "key"), _gain(block, cell), _pair(cell), of_bits)
    return [each for each in five if each]


def _hardest(cards: Sequence[Card], task: str) -> Ladder | None:
    """The ladder of a task with the largest V that some cards were measured on."""
    known = [each for each in ladders_on(cards) if each["task"] == task]
    return max(known, key=lambda each: each["vocab_size"], default=None)


def _best(cards: Sequence[Card], task: str) -> Finding | None:
    """The winner of the hardest ladder of a task, of two cells or more."""
    ladder = _hardest(cards, task)
    if ladder is None or len(places(cards, ladder["name"])) < 2:
        return None
    found = winner(cards, ladder)
    return found._replace(words=f"In the block, {found.words[0].lower()}{found.words[1:]}")


def _gain(block: Sequence[Card], cell: Sequence[Card]) -> Finding | None:
    """The cell whose mean span the block multiplies most, of those with disjoint intervals."""
    pairs = [
        (inside.span["mean"] / bare.span["mean"], differ(bare, inside), bare, inside, ladder)
        for ladder in ladders_on(block)
        for bare in places(cell, ladder["name"])
        for inside in places(block, ladder["name"])
        if bare.cell == inside.cell
        and not card_text.none_passed(inside.span)
        and not bare.span["at_least"]  # a longer ladder might show that the bare cell goes further
    ]
    gains = [each for each in pairs if each[0] > 1 and each[1]]
    if not pairs:
        return None
    *_, bare, inside, ladder = max(gains or pairs, key=lambda each: each[0])
    (low, below), (high, above) = (card_text.span_words(each.span) for each in (bare, inside))
    shown = "The block helps" if gains else "The block is shown to help no cell; nearest to it is"
    words = (
        f"{shown} {inside.cell}{' most' * bool(gains)}, {ladder_name(ladder)}, from {low} "
        f"{ASKED[ladder['task']][1]} ({below}) bare to {high} ({above}) in it; "
        f"{counted(len(pairs), 'pair')} compared."
    )
    return Finding(words, command_of(inside.card))


def _pair(cards: Sequence[Card]) -> Finding | None:
    """The finding about the bare LSTM and tanh RNN: told apart or not, ladder by ladder."""
    parts, command = [], ""
    for ladder in ladders_on(cards):
        known = {each.cell: each for each in places(cards, ladder["name"])}
        if "lstm" in known and "simple" in known:
            lstm, simple = known["lstm"], known["simple"]
            apart = "told apart" if differ(lstm, simple) else "not told apart"
            parts.append(f"{ladder_name(ladder)} {apart}, {said(lstm)} and {said(simple)}")
            command = command_of(lstm.card)
    words = f"The LSTM and the tanh RNN as bare cells: {'; '.join(parts)}."
    return Finding(words, command) if parts else None


def _fullest(cards: Sequence[Card], where: str) -> Finding | None:
    """The recurrent cell of a track with the largest share of the bits of its state held.

    Of full cards; None for fewer than two.
    """
    known = []
    for card in cards:
        bits, cost = card["rows"]["bits"], card["rows"]["price"]
        full = card["protocol"]["name"] == "full"
        if full and card_text.kind_of(card) == "recurrent" and bits and cost:
            known.append((bits["held"], 8 * total_bytes(cost), card))
    if len(known) < 2:
        return None
    held, whole, card = max(known, key=lambda each: each[0]["median"] / each[1])
    cell, most = card["cell"]["cell"].removeprefix(BLOCK), three_digits(held["median"])
    words = (
        f"Of {len(known)} states {where}, that of {cell} is shown to be used most: of its "
        f"{whole:,} bits at least {most} are held ({card_text.bounds(held, three_digits)}), "
        f"{percent(held['median'] / whole)}."
    )
    return Finding(words, command_of(card))


class Claim(NamedTuple):
    """A claim of the literature: some cells go further than others in a task of a track.

    less  the other cells; all others of the published table if there are none
    """

    words: str
    source: str
    track: str
    task: str
    more: tuple[str, ...]
    less: tuple[str, ...] = ()


MATRICES = ("gated-delta-net", "delta-net", "mlstm", "rwkv7", "gla", "mamba2")
REFERENCES = {"mlp"}
"""Cells of the table that are not recurrent; no claim is about them."""

CLAIMS = (
    Claim("A matrix as state, with gates or the delta rule, recalls more by key than LSTM and GRU.",
          "Beck et al. 2024; Yang et al. 2025", "block", "key", MATRICES, ("lstm", "gru")),
    Claim("Real numbers behind diagonal gates (minGRU, minLSTM, RG-LRU) recall less by key than a "
          "matrix.", "Dao & Gu 2024; De et al. 2024", "block", "key", MATRICES,
          ("mingru", "minlstm", "rg-lru")),
    Claim("The delta rule recalls more by key than sums of outer products (GLA, Mamba-2).",
          "Yang et al. 2024", "block", "key", ("delta-net", "gated-delta-net"), ("gla", "mamba2")),
    Claim("A linear recurrence with complex poles (LRU, S5) goes furthest by lag.",
          "Orvieto et al. 2023; Smith et al. 2023", "block", "lag", ("lru", "s5")),
    Claim("What was marked needs gates that see the input, which LRU and S5 do not have.",
          "Gu & Dao 2023", "block", "marked",
          ("mamba2", "gla", "gated-delta-net", "rwkv7", "mlstm", "rg-lru", "mingru", "minlstm"),
          ("lru", "s5")),
    Claim("The LSTM holds a value longer than a tanh RNN.", "Hochreiter & Schmidhuber 1997",
          "cell", "hold", ("lstm",), ("simple",)),
)  # fmt: skip
"""The claims that the page compares with the cards."""


def verdict(claim: Claim, found: Sorted) -> str:
    """The sentence of the cards about a claim: the best cell of each side, with its interval.

    Seen, or the opposite is, where these intervals are disjoint, and not seen where they are not.
    It cannot be judged where no seed of either passed the first rung. "So far": cells of the claim
    are not run yet.
    """
    cards = found.main(claim.track)
    ladder = _hardest(cards, claim.task)
    known = places(cards, ladder["name"]) if ladder else []
    more = [each for each in known if each.cell in claim.more]
    rest = [each for each in known if each not in more]
    less = [each for each in rest if each.cell in (claim.less or ORDER)]
    if not ladder or not more or not less:
        return "not measured yet"
    best, other = more[0], less[0]
    if card_text.none_passed(best.span) and card_text.none_passed(other.span):
        seen = "cannot be judged"
    elif differ(best, other):
        seen = "seen" if known.index(best) < known.index(other) else "the opposite is seen"
    else:
        seen = "not seen"
    asked = {*claim.more, *(claim.less or ORDER)} - REFERENCES
    left = [cell for cell in not_run(cards) if cell in asked]
    few = listed(left) if 0 < len(left) <= 3 else counted(len(left), "cell")
    so_far = f" so far ({few} not run yet)" * bool(left)
    return f"{seen}{so_far}, {ladder_name(ladder)}: {said(best)}, {said(other)}"
