"""Raw rows and cards of protocol 2 that no training made, small enough to be derived by hand.

whole()      a valid card with every kind of measurement but copy memory
stopped()    one whose time was over on the first ladder
copied()     one of copy memory
run, missed, skipped, bits, linear, jacobian, curriculum, price   single raw rows
"""

import copy
import dataclasses
import math

from tiny_cards import ladder

from echo_jax import atomic_files
from echo_jax.memory_benchmark.protocol import CELL_FULL, COPY, to_dict
from echo_jax.memory_cards import card_file
from echo_jax.memory_cards.summary import summarize, unfinished

SMALL = to_dict(dataclasses.replace(
    CELL_FULL,
    ladders=(
        ladder("lag", 2, (1, 2, 3, 4, 6, 8), (1, 4, 8)),
        ladder("key", 16, (2, 4, 6), (2, 4, 6), 0.9),
        ladder("hold", 2, (1, 2), (1, 2)),
    ),
    exact_lags=(), seeds=2, rates=(0.01, 0.003), budget=500, evaluate_every=100, refine=False,
    capacity_lags=2, capacity_most=4, linear_lags=2, beyond=(1, 10),
))  # fmt: skip
SMALL_COPY = to_dict(dataclasses.replace(
    COPY, ladders=(ladder("copy", 10, (100, 1000)),), seeds=2, rates=(0.01, 0.003),
    budget=1000, evaluate_every=500,
))  # fmt: skip
EVALUATIONS = SMALL["budget"] // SMALL["evaluate_every"]


def run(rung, seed, ladder="lag-2", rate=0.01, after=200, share=1.0):
    """A run that passes after so many updates, with this share of right answers."""
    accuracy = [0.5] * (after // SMALL["evaluate_every"] - 1) + [share]
    return {"kind": "run", "ladder": ladder, "rung": rung, "rate": rate, "seed": seed,
            "accuracy": accuracy, "confirmed": [[len(accuracy) - 1, share]],
            "failed": False}  # fmt: skip


def missed(rung, seed, ladder="lag-2", rates=(0.01, 0.003), best=0.75):
    """Runs at all rates that end their budget at an accuracy below the threshold."""
    accuracy = [0.5] * (EVALUATIONS - 1) + [best]
    return [run(rung, seed, ladder, rate) | {"accuracy": accuracy, "confirmed": []}
            for rate in rates]  # fmt: skip


def skipped(rung, ladder="lag-2"):
    return {"kind": "skipped", "ladder": ladder, "rung": rung}


def curriculum(rung, seed, shorter, passes):
    row = run(rung, seed) if passes else missed(rung, seed)[0]
    return row | {"kind": "curriculum", "from": shorter}


def bits(seed, exact, lags=2, **fields):
    row = {"kind": "bits", "ladder": "lag-2", "seed": seed, "rate": 0.01, "lags": lags,
           "exact": exact, "float16": exact, "noise": exact, "state_numbers": 5}  # fmt: skip
    return row | fields


def linear(seed, trained, untrained=(0.0, 0.0)):
    return {"kind": "linear", "seed": seed, "lags": [1, 2], "trained": [*trained],
            "untrained": [*untrained], "trained_null": [0.125, 0.0625],
            "untrained_null": [0.0, 0.25]}  # fmt: skip


def jacobian(seed, lag, before, after=None, change=0.5):
    return {"kind": "jacobian", "seed": seed, "lag": lag, "before": before,
            "after": after or before, "change": change}  # fmt: skip


def price(state_bytes=20, convolution_bytes=0):
    return {"kind": "price", "parameters": 70, "state_bytes": state_bytes,
            "convolution_bytes": convolution_bytes, "train": {"1": [3.0, 9.0, 4.0]},
            "stream": {"1": [1.0, 2.0], "16": [8.0]}}  # fmt: skip


def lag_rows():
    """Seed 0 passes 6 and misses 8, seed 1 passes 4 and misses 6; 2 and 3 were skipped."""
    leaps = [run(1, 0), run(1, 1, after=100), run(4, 0), run(4, 1), skipped(2), skipped(3)]
    leaps += [missed(8, seed)[0] for seed in (0, 1)]
    return [*leaps, run(6, 0, rate=0.003, after=300), missed(6, 0)[0], *missed(6, 1),
            missed(8, 0)[1]]  # fmt: skip


def whole_rows():
    below = list(range(9, 0, -1))
    return [
        *lag_rows(),
        run(2, 0, "key-16", share=0.95), run(2, 1, "key-16"), run(4, 0, "key-16"),
        *missed(4, 1, "key-16"), *missed(6, 0, "key-16"),
        *(run(rung, seed, "hold-2") for rung in (1, 2) for seed in (0, 1)),
        price(),
        {"kind": "beyond", "seed": 0, "lag": 6, "length": 48, "times": [1, 10],
         "accuracy": [1.0, 0.75]},
        *(jacobian(seed, 8, [x / 8 for x in below], below) for seed in (0, 1)),
        curriculum(8, 0, 6, passes=False),
        *(bits(seed, [1.0, 0.5 + seed / 4]) for seed in (0, 1)),
        *(linear(seed, (0.875, 0.5)) for seed in (0, 1)),
    ]  # fmt: skip


def copy_rows():
    return [
        {"kind": "copy", "T": blanks, "seed": seed, "rate": rate, "updates": [500, 1000],
         "loss": [0.02, 0.01], "recall": [2.0, 1.0 + seed + 100 * rate], "accuracy": [0.25, 0.5]}
        for blanks in (100, 1000) for rate in (0.01, 0.003) for seed in (0, 1)
    ]  # fmt: skip


def made(raw, protocol=SMALL, name="x", stopped=None):
    """A card of raw rows, each part of it a copy."""
    identity = {
        "name": name,
        "cell": {"cell": "lstm", "args": {"features": 5}, "source": None},
        "protocol": protocol,
        "seeds": list(range(protocol["seeds"])),
    }
    measured = {
        "device": "cpu, made up, 2 cores", "versions": {"python": "3.11"}, "date": "2026-11-25",
        "seconds": {"all": 71.5},
    }  # fmt: skip
    return copy.deepcopy(card_file.make(identity, raw, measured, stopped))


def whole():
    return made(whole_rows(), name="whole")


def stopped():
    return made(lag_rows()[:6], name="stopped", stopped="its seconds were over")


def copied():
    return made(copy_rows(), SMALL_COPY, name="copied")


def signed(card):
    """A card with the summary, reasons, hash and digest of what was changed in it."""
    card["protocol_hash"] = atomic_files.digest_of(card["protocol"])
    card["rows"] = summarize(card["raw"], card["protocol"])
    gaps = [name for name, value in card["rows"].items() if value is None]
    gaps += unfinished(card["raw"], card["protocol"])
    card["not_measured"] = {name: card["not_measured"].get(name, "no time") for name in gaps}
    return card | {"digest": card_file.digest_of(card)}


def wilson(wrong, asked):
    """The upper end of the 95% interval of a share, for z 1.96."""
    p, z = wrong / asked, 1.96**2 / asked
    return (p + z / 2 + math.sqrt(z * (p * (1 - p) + z / 4))) / (1 + z)
