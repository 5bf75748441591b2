"""Counts over many cards: how often two cells are called different, what a futility stop would do.

Of repeats with other seeds of two layouts of one cell, the pairs that are called different are
false; of cells that do differ, they are the power of the benchmark. A futility stop would end a run
early that is near the accuracy without memory; runs that were not ended show what it would lose.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.protocol import floor_of
from echo_jax.memory_benchmark.spans import Climb, are_disjoint, mean_span
from echo_jax.memory_cards.card_text import Card, climbs_in, kind_of, ladders_of

Repeat = Mapping[str, Sequence[Climb]]
"""The climbs of the seeds of one card, by ladder."""


class Share(NamedTuple):
    """Pairs of cards that were called different, of those that were compared.

    by_ladder  the pairs that were called different on each ladder
    any_ladder on any of them
    pairs      all pairs
    """

    by_ladder: dict[str, int]
    any_ladder: int
    pairs: int


def repeat_of(card: Card) -> Repeat:
    """The climbs in a card."""
    return {ladder["name"]: climbs_in(span) for ladder, span in ladders_of(card)}


def called_different(pairs: Sequence[tuple[Repeat, Repeat]], first: Mapping[str, int]) -> Share:
    """Count the pairs whose intervals do not overlap; `first` is the first rung of each ladder."""
    by_ladder, any_ladder = dict.fromkeys(first, 0), 0
    for one, other in pairs:
        apart = [
            name
            for name, rung in first.items()
            if are_disjoint(mean_span(one[name], rung), mean_span(other[name], rung))
        ]
        any_ladder += bool(apart)
        for name in apart:
            by_ladder[name] += 1
    return Share(by_ladder, any_ladder, len(pairs))


def resampled(
    ones: Sequence[Repeat], others: Sequence[Repeat], pairs: int, seeds: int
) -> list[tuple[Repeat, Repeat]]:
    """Pairs of cards whose seeds are drawn with replacement from all repeats of each cell."""
    generator = np.random.default_rng(0)

    def drawn(repeats: Sequence[Repeat]) -> Repeat:
        """A card of some seeds, each with all its ladders."""
        pool = [
            {name: climbs[i] for name, climbs in repeat.items()}
            for repeat in repeats
            for i in range(len(next(iter(repeat.values()))))
        ]
        chosen = generator.integers(len(pool), size=seeds)
        return {name: [pool[i][name] for i in chosen] for name in repeats[0]}

    return [(drawn(ones), drawn(others)) for _ in range(pairs)]


STOP_AFTER, STOP_MEAN, STOP_BELOW = 1000, 8, 0.1
"""The futility stop that was considered: from so many updates on, where the mean of the last so
many evaluations exceeds the accuracy without memory by less than so much of what is above that."""


class Futility(NamedTuple):
    """The effect of a futility stop on the runs of a ladder.

    stopped  failures that it would end early
    lost     later passes that it would end
    saved    share of all evaluations that it would save
    """

    runs: int
    failures: int
    stopped: int
    lost: int
    saved: float


def futility(cards: Iterable[Card]) -> dict[str, Futility]:
    """The effect of a futility stop on the runs of recurrent cells, by track and ladder.

    A run that a quick and a full card of one cell both have counts once, and one that the time
    ended not at all.
    """
    counts: dict[str, list[tuple[bool, bool, int, int]]] = {}
    seen = set()
    recurrent = (card for card in cards if kind_of(card) == "recurrent")
    for card in sorted(recurrent, key=lambda card: card["protocol"]["track"]):
        protocol = card["protocol"]
        runs = (row for row in card["raw"] if row["kind"] == "run")
        for row in (row for row in runs if spans.is_over(row, protocol)):
            if (run := json.dumps([protocol["track"], card["cell"], row])) in seen:
                continue
            seen.add(run)
            stop = _stops_at(row, protocol)
            ended = len(row["accuracy"]) if stop is None else stop
            one = (spans.passed(row, protocol) is not None, stop is not None)
            name = f"{protocol['track']}, {row['ladder']}"
            counts.setdefault(name, []).append((*one, ended, len(row["accuracy"])))
    return {
        name: Futility(
            len(runs),
            sum(not passed for passed, *_ in runs),
            sum(stopped and not passed for passed, stopped, *_ in runs),
            sum(stopped and passed for passed, stopped, *_ in runs),
            1 - sum(run[2] for run in runs) / sum(run[3] for run in runs),
        )
        for name, runs in counts.items()
    }


def _stops_at(row: Mapping[str, Any], protocol: Mapping[str, Any]) -> int | None:
    """The number of evaluations after which a run would be stopped; None for never."""
    ladder = spans.ladder_of(protocol, row["ladder"])
    floor = floor_of(ladder["task"], ladder["vocab_size"], row["rung"])
    enough = floor + STOP_BELOW * (1 - floor)
    shares = [share or 0.0 for share in row["accuracy"]]
    for end in range(STOP_AFTER // protocol["evaluate_every"], len(shares) + 1):
        last = shares[max(0, end - STOP_MEAN) : end]
        if sum(last) / len(last) < enough:
            return end
    return None
