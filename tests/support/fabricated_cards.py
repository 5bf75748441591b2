"""Memory cards that no training made. No jax here, as in what reads cards.

CARDS                            names of made-up cells, and what a card of each looks like
card("lstm")                     a whole, valid card, the same each time
raw_of("lstm")                   its raw rows alone
fabricated("gru", {"lag-2": 20}) a valid card of a cell whose seeds climb as asked
run, missed, bits, linear, ...   single raw rows
"""

import functools
import json
import math

import numpy as np

from echo_jax import atomic_files
from echo_jax.memory_benchmark import spans
from echo_jax.memory_benchmark.protocol import PROTOCOLS, to_dict
from echo_jax.memory_cards import card_file
from echo_jax.memory_cards.summary import summarize
from echo_jax.report.number_formats import plain

FULL, QUICK, COPY, BLOCK, BLOCK_QUICK, KEYS = (
    to_dict(PROTOCOLS[each])
    for each in (("full", "cell"), ("quick", "cell"), ("copy", "cell"), ("full", "block"),
                 ("quick", "block"), ("keys", "block"))
)  # fmt: skip
SMALL = FULL | {
    "ladders": [
        {"name": name, "task": task, "vocab_size": 2, "rungs": [1, 2, 3], "coarse": [],
         "threshold": 0.99}
        for name, task in (("lag-2", "lag"), ("hold-2", "hold"))
    ],
    "seeds": 2, "rates": [0.01, 0.003], "budget": 500, "capacity_lags": 2, "linear_lags": 2,
    "beyond": [1, 10], "refine": False, "exact_lags": [],
}  # fmt: skip
NEVER = math.inf

CARDS = {
    # everything measured; a limit that a curriculum lifts, and spans that differ by seed
    "lstm": {"lag-2": [20, 20, 25, 20, 20, 25, 20, 20], "lag-16": [5, 6] * 4, "hold-2": 40,
             "bits": 22, "args": {"features": 50}, "cause": "could not learn"},
    "simple": {"lag-2": [20, 20, 16, 20, 20, 16, 20, 20], "lag-16": 8, "hold-2": [8, 10] * 4,
               "bits": 20, "args": {"features": 100}, "cause": "undetermined"},
    # every rung of both ladders, for every seed
    "lru": {"lag-2": 200, "lag-16": [32, 40] * 4, "hold-2": 200, "bits": 150,
            "cause": "no limit found"},
    # exact: a gradient of 0 beyond, and more rungs
    "shift-6": {"lag-2": 5, "lag-16": 5, "hold-2": 5, "bits": 6, "parameters": 26, "state": 48,
                "cause": "could not hold", "args": {"slots": 6},
                "cell": "echo_jax.cells.known_memory:ShiftRegister"},
    "no-memory": {"lag-2": 0, "lag-16": 0, "hold-2": 0, "bits": 0, "state": 4,
                  "cause": "could not hold", "cell": "echo_jax.cells.known_memory:Memoryless"},
    # two seeds failed, their loss no number
    "identity-rnn": {"lag-2": [8, 10, 2, 8, 8, 2, 8, 10], "lag-16": 2, "hold-2": 12, "bits": 9,
                     "cause": "undetermined", "failed": [2, 5]},
    "lstm-quick": {"lag-16": [5, 6, 5, 5], "hold-2": 16, "cell": "lstm",
                   "protocol": QUICK, "args": {"features": 50}},
    "block-lstm": {"lag-16": [8, 8, 12, 12] * 2, "marked-16": 4, "key-16": 6, "key-64": 2,
                   "protocol": BLOCK, "args": {"features": 50},
                   "convolution": 384},
    "block-quick": {"lag-16": 8, "key-16": 4, "cell": "block:gru", "protocol": BLOCK_QUICK},
    # copy memory alone
    "lstm-copy": {"copy": {100: 0.4, 300: 1.6, 1000: 2.07}, "cell": "lstm", "protocol": COPY,
                  "args": {"features": 50}},
    # the cell of a stranger, which the clock of quick cut short
    "mine": {"lag-16": [3, 3, 4, 3], "protocol": QUICK, "cell": "mypackage.cells:MyCell",
             "source": "ab" * 32, "remarks": ["keeps int32 in its state"]},
    # interrupted before all else
    "stopped": {"lag-2": 5, "cell": "gru", "short": True},
}  # fmt: skip
SPANS = {"lag-2", "lag-16", "hold-2", "marked-16", "key-16", "key-64"}


def card(name):
    """A card of `CARDS`, as it is read from its file; another object each time."""
    return json.loads(text_of(name))


def raw_of(name):
    """The raw rows of a card of `CARDS`."""
    return card(name)["raw"]


@functools.cache
def text_of(name):
    """The JSON of a card of `CARDS`."""
    plan = CARDS[name]
    cell = plan.get("cell", name.replace("block-", "block:"))
    climbs = {ladder: plan[ladder] for ladder in SPANS & set(plan)}
    options = {key: plan[key] for key in plan if key not in {*climbs, "cell"}}
    return json.dumps(fabricated(cell, climbs, name=name, **options))


def fabricated(cell, climbs, protocol=FULL, name=None, args=None, **plan):
    """A valid card of a cell whose seeds climb as asked.

    climbs    by ladder, the last rung that each seed passed, or that of all seeds; 0 for none
    protocol  its fields, as in a card
    plan      state, convolution (bytes), parameters; bits, the sum over lags that a capacity
              network recalls; cause, the verdict; failed, seeds whose loss became non-finite;
              copy, the loss of a recalled symbol by T; remarks, of the check of the cell;
              short, True for a card that lacks the price
    """
    name = name or f"{cell.replace(':', '-')}-{protocol['name']}"
    cell = {"cell": cell, "args": args or {"features": 10}, "source": plan.get("source")}
    seeds = list(range(protocol["seeds"]))
    identity = {"name": name, "cell": cell, "protocol": protocol, "seeds": seeds}
    made = {
        "device": "cpu, made up, 2 cores",
        "versions": {"python": "3.11", "jax": "0.10"},
        "date": "2026-11-25",
        "seconds": {"all": 71.2, "compile": 12.5},
    }
    stopped = "it was interrupted" if plan.get("short") else None
    raw = raw_rows(climbs, protocol, plan | {"seed": sum(map(ord, name))})
    card = card_file.make(identity, raw, made, stopped)
    card |= {"remarks": plan["remarks"]} if "remarks" in plan else {}
    return json.loads(json.dumps(card_file.signed(card)))


def signed(made):
    """A card with the summary, hash and digest of what was changed in it."""
    made["protocol_hash"] = atomic_files.digest_of(made["protocol"])
    made["rows"] = summarize(made["raw"], made["protocol"])
    return made | {"digest": card_file.digest_of(made)}


def raw_rows(climbs, protocol, plan):
    """The raw rows of a fabricated card."""
    rng = np.random.default_rng(plan["seed"])
    rows = []
    for ladder in protocol["ladders"]:
        if ladder["name"] in climbs:
            rows += climb_rows(ladder, climbs[ladder["name"]], protocol, plan, rng)
    if "copy" in plan:
        rows += copy_rows(plan["copy"], protocol, rng)
    elif not plan.get("short"):
        rows.append(price(plan, rng))
    if "bits" in plan:
        rows += memory_rows(plan["bits"], protocol, rng)
    if "cause" in plan:
        rows += cause_rows(rows, plan["cause"], protocol, rng)
    return plain(rows)


def climb_rows(ladder, last, protocol, plan, rng):
    """Runs of every seed up to its last rung, and at all rates on the next one."""
    rows, seeds = [], range(protocol["seeds"])
    tops = last if isinstance(last, list) else [last] * len(seeds)
    for rung in ladder["rungs"]:
        below = max((each for each in ladder["rungs"] if each < rung), default=0)
        for seed, top in zip(seeds, tops, strict=True):
            if rung <= top:
                after = min(50 * int(rng.integers(2, 12)), protocol["budget"])
                rows.append(run(ladder["name"], rung, seed, protocol, after))
            elif below == top:
                rows += missed(ladder["name"], rung, seed, protocol, seed in plan.get("failed", ()))
    return rows


def run(ladder, rung, seed, protocol, after=NEVER, **fields):
    """A run that passes its rung after so many updates, or never gets above chance and a bit."""
    chance = 1 / spans.ladder_of(protocol, ladder)["vocab_size"]
    every, budget = protocol["evaluate_every"], protocol["budget"]
    count = int(min(after, budget)) // every
    curve = np.round(np.linspace(chance, chance + 0.2, count), 4).tolist()
    confirmed = []
    if after <= budget:
        curve[-1], confirmed = 0.9961, [[count - 1, 0.9957]]
    return {
        "kind": "run", "ladder": ladder, "rung": rung, "rate": protocol["rates"][0], "seed": seed,
        "accuracy": curve, "confirmed": confirmed, "failed": False,
    } | fields  # fmt: skip


def missed(ladder, rung, seed, protocol, failed=False):
    """Runs of a seed that misses a rung at all rates; those that failed end early."""
    after = {"after": 3 * protocol["evaluate_every"], "failed": True, "confirmed": []}
    found = [run(ladder, rung, seed, protocol, **after if failed else {}) for _ in "x"]
    if failed:
        found[0]["accuracy"][-1] = None
    return [each | {"rate": rate} for each in found for rate in protocol["rates"]]


def memory_rows(bits_in_all, protocol, rng):
    """Bits of the capacity networks of both V, and linear memory, at lags up to a limit."""
    rows, lags = [], np.arange(1, protocol["capacity_lags"] + 1)
    by_lag = [each for each in protocol["ladders"] if each["task"] == "lag"]
    for ladder in by_lag:
        for seed in range(protocol["seeds"]):
            most = math.log2(ladder["vocab_size"])
            shape = (bits_in_all > 0) / (1 + np.exp((lags - bits_in_all / most) / 2))
            exact = most * shape * rng.uniform(0.9, 1)
            rows.append(bits(ladder["name"], seed, exact, protocol))
    for seed in range(protocol["seeds"]):
        lags = np.arange(1, protocol["linear_lags"] + 1)
        shape = (bits_in_all > 0) / (1 + (lags / max(bits_in_all, 1)) ** 4)
        trained = 0.002 + rng.uniform(0.8, 0.99) * shape
        rows.append(linear(seed, trained, trained / 3 + 0.001))
    return rows


def bits(ladder, seed, exact, protocol):
    """The row of a capacity network with a head for each of the bits."""
    exact = np.asarray(exact)
    return {"kind": "bits", "ladder": ladder, "seed": seed, "rate": protocol["rates"][0],
            "lags": len(exact), "exact": exact, "float16": 0.98 * exact, "noise": 0.6 * exact,
            "state_numbers": 100}  # fmt: skip


def linear(seed, trained, untrained):
    """The row of a linear readout; unrelated tokens have an r squared of 0.002."""
    null = np.full(len(trained), 0.002)
    return {"kind": "linear", "seed": seed, "lags": list(range(1, len(trained) + 1)),
            "trained": trained, "untrained": untrained, "trained_null": null,
            "untrained_null": null}  # fmt: skip


def cause_rows(rows, verdict, protocol, rng):
    """Longer streams, and gradients and curricula at the first lag that half of the seeds miss."""
    name = protocol["ladders"][0]["name"]
    climbs = spans.climbs(rows, name, protocol)
    last, lag = spans.span_of_half(climbs)
    right = 0.5 + 0.495 / (1 + np.log(protocol["beyond"]) / 40)
    found = [
        {"kind": "beyond", "seed": seed, "lag": last, "length": max(48, 3 * last),
         "times": protocol["beyond"], "accuracy": right - rng.uniform(0, 0.004, len(right))}
        for seed, each in climbs.items() if last and each.passed >= last
    ]  # fmt: skip
    for seed, each in climbs.items() if lag else ():
        curve = rng.uniform(0.88, 0.92) ** np.arange(lag + 1.0) * rng.uniform(0.5, 2)
        holds = verdict != "could not hold"
        curve = curve if holds else np.where(np.arange(lag + 1) > (last or 0), 0, curve)
        found.append(jacobian(seed, lag, curve * 0.9 ** np.arange(lag + 1), curve, 0.3 * holds))
        if verdict == "could not learn" and each.missed == lag and each.passed:
            after = 700 if seed < 5 else NEVER
            found.append(curriculum(run(name, lag, seed, protocol, after), each.passed))
    return found


def jacobian(seed, lag, before, after=None, change=0.0):
    """The row of the gradients at a lag; `change` is that of the answer for another token."""
    return {"kind": "jacobian", "seed": seed, "lag": lag, "before": before,
            "after": before if after is None else after, "change": change}  # fmt: skip


def curriculum(row, start):
    """A run that starts from the weights of a shorter lag."""
    return row | {"kind": "curriculum", "from": start}


def price(plan, rng):
    """The row of sizes and times."""
    us = {"1": 40 + rng.uniform(0, 2, 5), "16": 60 + rng.uniform(0, 2, 5)}
    return {
        "kind": "price", "parameters": plan.get("parameters", 10902),
        "state_bytes": plan.get("state", 400), "convolution_bytes": plan.get("convolution", 0),
        "train": {size: 20 + 3 * times for size, times in us.items()}, "stream": us,
    }  # fmt: skip


def copy_rows(recall_by_blanks, protocol, rng):
    """Copy memory at all rates, the first of which ends with the smallest loss."""
    rows, every = [], protocol["evaluate_every"]
    updates = list(range(every, protocol["budget"] + 1, every))
    for blanks, recall in recall_by_blanks.items():
        for seed in range(protocol["seeds"]):
            end = recall * rng.uniform(0.95, 1.05)
            for number, rate in enumerate(protocol["rates"]):
                curve = np.linspace(math.log(8), end + 0.1 * number, len(updates))
                rows.append(
                    {"kind": "copy", "T": blanks, "seed": seed, "rate": rate,
                     "updates": updates, "loss": 10 * curve / (blanks + 20), "recall": curve,
                     "accuracy": np.clip(np.exp(-curve), 0, 1)}
                )  # fmt: skip
    return rows
