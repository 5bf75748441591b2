"""Protocols small enough to run in seconds, and a card of the raw rows that they give."""

import dataclasses

from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.protocol import CELL_FULL, COPY, Ladder
from echo_jax.memory_cards import card_file


def ladder(task, vocab_size, rungs, coarse=(), threshold=0.99):
    return Ladder(f"{task}-{vocab_size}", task, vocab_size, rungs, coarse, threshold)


TINY = dataclasses.replace(
    CELL_FULL,
    ladders=(ladder("lag", 2, (1, 2, 3), (1, 3)), ladder("hold", 2, (1, 2, 3), (1, 3))),
    exact_lags=(),
    seeds=2,
    rates=(0.1, 0.01),
    budget=150,
    evaluate_every=25,
    answers=128,
    shortest_lag=12,
    shortest_hold=6,
    capacity_vocabs=(2,),
    capacity_lags=4,
    capacity_most=4,
    capacity_more=4,
    capacity_updates=100,
    capacity_sequences=256,
    linear_lags=6,
    linear_steps=2000,
    beyond=(1, 3),
    gradient_sequences=4,
)

TINY_COPY = dataclasses.replace(
    COPY,
    ladders=(ladder("copy", 10, (1, 3)),),
    budget=4,
    evaluate_every=2,
    rates=(0.01,),
    seeds=2,
)


def made_card(raw, chosen, seed=0, stopped=None):
    identity = {
        "name": "x",
        "cell": {"cell": "lstm", "args": {}, "source": None},
        "protocol": protocol.to_dict(chosen),
        "seeds": list(range(seed, seed + chosen.seeds)),
    }
    made = {"device": "cpu", "versions": {}, "date": "2026-01-01", "seconds": {"all": 1.0}}
    return card_file.make(identity, raw, made, stopped)
