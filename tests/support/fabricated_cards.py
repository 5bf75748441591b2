"""Memory cards that no training made. No jax here, as in what reads cards.

CARDS                 names of made-up cells, and what a card of each looks like
card("lstm")          a whole, valid card, the same each time
raw_of("lstm")        its raw rows alone
"""

import functools
import json
import math

import numpy as np

from echo_jax import atomic_files
from echo_jax.memory_benchmark import spans
from echo_jax.memory_cards import card_file
from echo_jax.memory_cards.summary import summarize
from echo_jax.report.number_formats import plain

FULL = {
    "name": "full", "version": 1, "vocab_size": 2,
    "ladder": [1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500],
    "budget": 5000, "evaluate_every": 100, "thresholds": [0.99, 0.6], "seeds": 8,
    "rates": [0.003, 0.01, 0.03], "tuning_seeds": [1000, 1001], "clip": 1.0,
    "tuning_lags": {"stream": [5], "hold": [5]}, "tuning_updates": 200,
    "rows": ["stream", "hold", "capacity", "beyond", "cause", "price"],
    "shortest_stream": 48, "lags_per_stream": 3, "capacity_lags": 40, "linear_lags": 40,
    "beyond": [1, 2, 5, 10, 20, 50, 100],
}  # fmt: skip
QUICK = FULL | {
    "name": "quick", "ladder": FULL["ladder"][:7], "rows": ["stream", "hold", "price"],
}  # fmt: skip
COPY = FULL | {
    "name": "copy", "ladder": [100, 300, 1000], "budget": 20_000, "evaluate_every": 5_000,
    "tuning_lags": {"copy": [100]}, "tuning_updates": 10_000, "rows": ["copy"],
}  # fmt: skip
SMALL = FULL | {"ladder": [1, 2, 3], "seeds": 2, "rows": ["stream", "price", "cause"]}
LAGS = list(range(1, 41))
NEVER = math.inf

CARDS = {
    # everything measured; a limit that a curriculum lifts
    "lstm": {"stream": 20, "hold": 80, "bits": 26, "parameters": 10902, "state": 100,
             "cause": "could not learn", "args": {"features": 50}},
    "gru": {"stream": 12, "hold": 50, "bits": 14, "parameters": 8252, "state": 50,
            "cause": "undetermined"},
    # every rung of both ladders, for every seed
    "lru": {"stream": 500, "hold": 500, "bits": 48, "parameters": 15000, "state": 100,
            "cause": "no limit found"},
    # a limit near the end of the ladder: some seeds are past it
    "ssm": {"stream": 300, "hold": 300, "bits": 30, "parameters": 15000, "state": 100,
            "cause": "could not learn"},
    # exact: a gradient of 0 beyond
    "shift-5": {"stream": 5, "hold": 5, "bits": 6, "parameters": 26, "state": 6,
                "cause": "could not hold", "args": {"slots": 6},
                "cell": "echo_jax.controls:ShiftRegister"},
    # every row at its floor
    "no-memory": {"stream": 0, "hold": 0, "bits": 0, "parameters": 302, "state": 1,
                  "cause": "could not hold"},
    # two seeds failed, their loss no number
    "irnn": {"stream": 8, "hold": 12, "bits": 9, "parameters": 2752, "state": 50,
             "cause": "could not learn", "failed": [2, 5]},
    # quick: no capacity, cause, copy
    "lstm-quick": {"stream": 12, "hold": 20, "parameters": 10902, "state": 100, "cell": "lstm",
                   "protocol": QUICK, "args": {"features": 50}},
    # copy memory alone
    "lstm-copy": {"copy": {100: 0.4, 300: 1.6, 1000: 2.07}, "state": 100, "cell": "lstm",
                  "protocol": COPY, "args": {"features": 50}},
    # the cell of a stranger, cut short by its seconds
    "mine": {"stream": 5, "hold": 3, "parameters": 999, "state": 16, "protocol": QUICK,
             "cell": "mypackage.cells:MyCell", "source": "ab" * 32, "short": 8},
}  # fmt: skip


def card(name):
    """A card of `CARDS`, as it is read from its file; another object each time."""
    return json.loads(text_of(name))


def signed(made):
    """A card with the summary, hash and digest of what was changed in it."""
    made["protocol_hash"] = atomic_files.digest_of(made["protocol"])
    made["rows"] = summarize(made["raw"], made["protocol"])
    return made | {"digest": card_file.digest_of(made)}


@functools.cache
def text_of(name):
    """The JSON of a card of `CARDS`."""
    plan = CARDS[name]
    protocol = plan.get("protocol", FULL)
    cell = {
        "cell": plan.get("cell", name),
        "args": plan.get("args", {"features": plan["state"]}),
        "source": plan.get("source"),
    }
    identity = {"name": name, "cell": cell, "protocol": protocol, "seeds": list(range(8))}
    made = {
        "device": "cpu, made up, 2 cores",
        "versions": {"python": "3.11", "jax": "0.10"},
        "date": "2026-11-25",
        "seconds": {"all": 71.2, "compile": 12.5},
    }
    stopped = "its seconds were over" if "short" in plan else None
    return json.dumps(card_file.make(identity, raw_of(name), made, stopped))


def raw_of(name):
    """The raw rows of a card of `CARDS`."""
    plan = CARDS[name]
    protocol = plan.get("protocol", FULL)
    rng = np.random.default_rng(sum(map(ord, name)))
    if "copy" in plan:
        return plain(tuning_rows("copy", protocol) + copy_rows(plan, rng))
    rows = []
    for task in ("stream", "hold"):
        rows += tuning_rows(task, protocol) + ladder_rows(task, plan, protocol, rng)
    if protocol["name"] == "full":
        passed, failed = spans.halves(
            [row for row in rows if row["kind"] == "run" and row["task"] == "stream"],
            range(8), protocol,
        )  # fmt: skip
        rows += memory_rows(plan, rng)
        rows += beyond_rows(rows, passed, rng) if passed else []
        rows += cause_rows(plan, rows, failed, protocol, rng) if failed else []
    return plain([*rows, *([] if "short" in plan else [price_row(plan, rng)])])


def run(task, lag, seed, protocol, after=NEVER, **fields):
    """A run that succeeds after so many updates, confirmed, or never gets above 0.55."""
    curve = rising(min(after, protocol["budget"]) // protocol["evaluate_every"], 0.55)
    confirmed = [None] * len(curve)
    if after <= protocol["budget"]:
        curve[-1], confirmed[-1] = 0.9961, 0.9957
    return {
        "kind": "run", "task": task, "lag": lag, "rate": 0.01, "seed": seed,
        "accuracy": curve, "confirmed": confirmed, "failed": False,
    } | fields  # fmt: skip


def rising(evaluations, best):
    """Accuracies from chance to the best."""
    return np.round(np.linspace(0.5, best, int(evaluations)), 4).tolist()


def stream_runs(*after):
    """Runs of two seeds by SMALL: both pass lag 1, and lag 2 after so many updates."""
    passed = [run("stream", 1, seed, SMALL, 100) for seed in (0, 1)]
    return passed + [run("stream", 2, seed, SMALL, n) for seed, n in enumerate(after)]


def jacobian(seed, before, after=None, depends=False):
    curves = {"before": before, "after": after or before}
    return {"kind": "jacobian", "seed": seed, "lag": 2, "depends": depends} | curves


def curriculum(seed, after):
    return run("stream", 2, seed, SMALL, after) | {"kind": "curriculum", "from": 1}


def halfway(protocol):
    """The curve of a run that reaches 60% and never more, confirmed."""
    curve = rising(protocol["budget"] // protocol["evaluate_every"], 0.62)
    return {"accuracy": curve, "confirmed": [None if a < 0.6 else a for a in curve]}


def cut(evaluations):
    """The curve of a run that ended early, its seconds over or its loss no number."""
    return {"accuracy": rising(evaluations, 0.53), "confirmed": [None] * evaluations}


def tuning_rows(task, protocol):
    """The second rate is the best."""
    (lag,) = protocol["tuning_lags"][task]
    return [
        {"kind": "tune", "task": task, "lag": lag, "rate": rate, "seed": seed,
         "accuracy": [0.5, best], "failed": False}
        for rate, best in zip(protocol["rates"], (0.7, 0.9, 0.8), strict=True)
        for seed in protocol["tuning_seeds"]
    ]  # fmt: skip


def ladder_rows(task, plan, protocol, rng):
    """Runs up to the rung after the last that a seed reached; spans differ by seed."""
    rungs, rows = protocol["ladder"], []
    last = rungs.index(plan[task]) if plan[task] else -1
    lucky = plan.get("cause") in ("could not learn", "no limit found") and last + 1 < len(rungs)
    for i, lag in enumerate(rungs[: last + lucky + 2]):
        for seed in range(protocol["seeds"]):
            top = last + (lucky and seed % 4 == 3)
            if seed in plan.get("failed", ()) and i >= 2:
                rows.append(run(task, lag, seed, protocol, **cut(3), failed=True))
            elif i <= top:
                after = 100 * rng.integers(1 + i, 4 + 3 * i)
                rows.append(run(task, lag, seed, protocol, after))
            else:
                curve = halfway(protocol) if seed < 3 and plan["stream"] else {}
                curve = cut(plan["short"]) if "short" in plan and task == "hold" else curve
                rows.append(run(task, lag, seed, protocol, **curve))
    return rows


def memory_rows(plan, rng):
    """Bits and linear capacity of each seed, at lags up to about the span and then near nothing."""
    rows, lags = [], np.array(LAGS)
    shape = 1 / (1 + (lags / max(plan["stream"], 0.1)) ** 4)
    shape = shape / shape.sum()
    for seed in range(8):
        lost = seed in plan.get("failed", ())
        exact = plan["bits"] * shape * rng.uniform(0.9, 1.1) + rng.normal(0, 0.004, len(lags))
        exact = np.minimum(exact, 0.999)
        linear = np.clip(plan["state"] * shape / 2, 0, 1) * rng.uniform(0.8, 1, len(lags))
        linear = linear * bool(plan["bits"]) + rng.normal(0.002, 0.001, len(lags))
        linear = np.clip(linear, 0, 1)
        none = [None] * len(lags)
        rows.append(
            {"kind": "bits", "seed": seed, "lags": LAGS, "exact": none if lost else exact,
             "float16": none if lost else 0.98 * exact, "noise": none if lost else 0.6 * exact,
             "state_numbers": plan["state"]}
        )  # fmt: skip
        null = np.full(len(lags), 0.002)
        rows.append(
            {"kind": "linear", "seed": seed, "lags": LAGS, "trained": none if lost else linear,
             "untrained": linear / 3, "trained_null": none if lost else null,
             "untrained_null": null}
        )  # fmt: skip
    return rows


def succeeded(rows, seed, lag):
    return any(
        row["seed"] == seed and row["lag"] == lag and row["confirmed"][-1] == 0.9957
        for row in rows if row["kind"] == "run" and row["task"] == "stream"
    )  # fmt: skip


def beyond_rows(rows, lag, rng):
    times = FULL["beyond"]
    right = 0.5 + 0.495 / (1 + np.log(times) / 40)
    return [
        {"kind": "beyond", "seed": seed, "lag": lag, "length": max(48, 3 * lag), "times": times,
         "accuracy": right - rng.uniform(0, 0.004, len(times))}
        for seed in range(8) if succeeded(rows, seed, lag)
    ]  # fmt: skip


def cause_rows(plan, rows, lag, protocol, rng):
    """Jacobians at the first lag that most seeds miss, and a curriculum where it helps."""
    found = []
    for seed in range(8):
        curve = rng.uniform(0.88, 0.92) ** np.arange(lag + 1.0) * rng.uniform(0.5, 2)
        if plan["cause"] == "could not hold":
            curve = np.where(np.arange(lag + 1) > plan["stream"], 0, curve)
        before = curve * 0.9 ** np.arange(lag + 1)
        found.append(
            {
                "kind": "jacobian",
                "seed": seed,
                "lag": lag,
                "before": before,
                "after": curve,
                "depends": plan["cause"] != "could not hold",
            }
        )
        if plan["cause"] == "could not learn" and not succeeded(rows, seed, lag):
            after = 700 if seed < 5 else NEVER
            start = max(n for n in protocol["ladder"] if n < lag and succeeded(rows, seed, n))
            found.append(
                run("stream", lag, seed, protocol, after) | {"kind": "curriculum", "from": start}
            )
    return found


def price_row(plan, rng):
    us = {"1": 40 + rng.uniform(0, 2, 5), "16": 60 + rng.uniform(0, 2, 5)}
    return {
        "kind": "price", "parameters": plan["parameters"], "state_bytes": 4 * plan["state"],
        "train": {size: plan["state"] / 10 + 3 * times for size, times in us.items()},
        "stream": us,
    }  # fmt: skip


def copy_rows(plan, rng):
    rows = []
    for blanks, recall in plan["copy"].items():
        for seed in range(8):
            end = recall * rng.uniform(0.95, 1.05)
            curve = np.linspace(math.log(8), end, 4)
            rows.append(
                {"kind": "copy", "T": blanks, "seed": seed, "rate": 0.01,
                 "updates": [5000, 10000, 15000, 20000], "loss": 10 * curve / (blanks + 20),
                 "recall": curve, "accuracy": np.exp(-curve)}
            )  # fmt: skip
    return rows
