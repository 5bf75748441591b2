"""Protocols small enough to run in seconds, and a card of the raw rows that they give."""

import dataclasses

from echo_jax.memory_benchmark import protocol
from echo_jax.memory_benchmark.protocol import COPY, FULL
from echo_jax.memory_cards import card_file

TINY = dataclasses.replace(
    FULL,
    ladder=(1, 2, 3),
    budget=150,
    seeds=2,
    tuning_seeds=(1_000_000,),
    tuning_lags={"stream": (1,), "hold": (1,)},
    tuning_updates=25,
    rates=(0.01, 0.1),
    shortest_stream=12,
    shortest_hold=6,
    evaluation={"stream": 16, "hold": 32},
    capacity_lags=4,
    capacity_length=8,
    capacity_updates=100,
    capacity_sequences=256,
    linear_lags=6,
    linear_steps=2000,
    beyond=(1, 3),
    gradient_sequences=4,
)

TINY_COPY = dataclasses.replace(
    COPY,
    ladder=(1, 3),
    tuning_lags={"copy": (1,)},
    tuning_updates=2,
    budget=4,
    evaluate_every=2,
    rates=(0.01,),
    tuning_seeds=(1_000_000,),
    seeds=2,
)


def made_card(raw, chosen, seed=0):
    identity = {
        "name": "x",
        "cell": {"cell": "lstm", "args": {}, "source": None},
        "protocol": protocol.to_dict(chosen),
        "seeds": list(range(seed, seed + chosen.seeds)),
    }
    made = {"device": "cpu", "versions": {}, "date": "2026-01-01", "seconds": {"all": 1.0}}
    return card_file.make(identity, raw, made)
