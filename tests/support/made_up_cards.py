"""Cards of protocol 5 with made-up rows, for tests of what follows from them."""

import datetime
import math
import zlib

import msgspec
import numpy as np
from card_runs import by_key, by_lag

from echo_jax.memory import card_contents as cards
from echo_jax.memory.by_key.key_rows_and_bits import KeyRow, accuracy_of_list
from echo_jax.memory.by_lag.lag_rows_and_bits import LagRow
from echo_jax.memory.protocol import STANDARD

WHOLE = math.log(STANDARD.symbols)
DEFAULT = [by_lag(0.01), by_key(0.003)]
"""The configurations of a default card."""


def nats_of(known):
    """The nats of so many bits at each of the nearest lags, and of none at others."""
    curve = np.zeros(STANDARD.lags)
    curve[: len(known)] = known
    return (WHOLE - curve * math.log(2)).clip(0).tolist()


def lag_row(bits, seed=0, rate=0.01, validation=None, updates=3000):
    """A run by lag with so many bits at each of the nearest lags, and none at others."""
    if bits is None:
        return LagRow(seed, rate, updates, None, None)
    known = nats_of(bits if validation is None else validation)
    return LagRow(seed, rate, updates, known, nats_of(bits))


def key_row(accuracy, seed=0, rate=0.003, validation=None, **fields):
    """A run by key with an accuracy at each K, a function of K, and other fields of a row."""
    pairs = list(STANDARD.pairs_up_to(fields.pop("most", 24)))
    asked = [STANDARD.recalls * k for k in pairs]

    def right(of):
        return [round(n * of(k)) for k, n in zip(pairs, asked, strict=True)]

    answers = (right(validation or accuracy), right(accuracy)) if accuracy else (None, None)
    row = KeyRow(seed, rate, 3000, pairs, asked, *answers)
    return msgspec.structs.replace(row, **fields)


def listing(pairs):
    """The accuracy of a list of the values."""
    return accuracy_of_list(pairs, STANDARD.values)


def held(slots):
    """The accuracy of one that holds so many pairs, and guesses beyond."""
    return lambda pairs: min(1.0, slots / pairs + (1 - min(1.0, slots / pairs)) / STANDARD.values)


def card(rows, cell="gru", seeds=4, state_bytes=400, **fields):
    """The card of some rows: of their configurations, or else of the default ones."""
    every = list(dict.fromkeys(row.configuration for row in rows if row.seed < 1000)) or DEFAULT
    made = cards.Card(
        name=fields.pop("name", f"{cell.rpartition(':')[2]}-{state_bytes}"),
        cell=cards.MeasuredCell(cell, fields.pop("args", {})),
        state_bytes=state_bytes,
        state_numbers={"float32": state_bytes // 4},
        conv_bytes=0,
        parameters=9684,
        seeds=list(range(seeds)),
        configuration=fields.pop("configuration", every),
        date=datetime.date(2026, 11, 28),
        **fields,
    )
    return cards.with_rows(made, rows)


def card_with(slots, spread=0.02, lags=None, seeds=4, cell="gru", state_bytes=400, **fields):
    """The card of a cell that holds about so many pairs and lags, and its rows."""
    random, rows = np.random.default_rng(zlib.crc32(f"{cell} {state_bytes}".encode())), []
    most = STANDARD.most_pairs(state_bytes)
    for seed in range(seeds):
        noise = 1 + spread * random.standard_normal(2)
        if lags:
            lag = np.arange(1, STANDARD.lags + 1)
            rows.append(lag_row(4 / (1 + np.exp((lag - lags * noise[0]) / (1 + lags / 6))), seed))
        accuracy = held(slots * noise[1]) if slots else listing
        rows.append(key_row(accuracy, seed, most=most))
    return card(rows, cell, seeds, state_bytes, **fields), rows


def stored(made, rows, place):
    """The folder of a card and its rows, which is made in a place."""
    folder = place / made.name
    folder.mkdir()
    cards.write_whole(made, rows, folder)
    return folder
