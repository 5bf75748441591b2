"""What a trained network does: which input its answers follow, and how long its accuracy lasts."""

import itertools
import math

import numpy as np

from echo_jax.report.text_tables import table
from echo_jax.runs.predictor import Trained
from echo_jax.statistics import summary_of

WINDOWS = 1000  # random sequences in which an input is changed


def follows_report(network: Trained) -> str:
    """The share of answers that follow each input, by its steps back: a bar for each position."""
    task = network.config.task
    positions = range(min(task.length, max(task.window, task.lag + 1) + 3))
    lines = [
        f"Which input does the answer follow? In {WINDOWS:,} random sequences, each input is "
        "changed in turn;\nhow often the answer then becomes the new value (by chance "
        f"{1 / task.vocab_size:.1%}):"
    ]
    for steps, share in enumerate(network.follows(positions, WINDOWS).tolist()):
        mark = f"  <- lag {task.lag}, what it was trained for" if steps == task.lag else ""
        lines.append(f"  {steps:3} back  {share:6.1%}  {'█' * round(40 * share)}{mark}".rstrip())
    if task.lag < 0:
        lines.append(f"  The lag it was trained for, {task.lag}, lies ahead: no input is right.")
    return "\n".join(lines)


def accuracy_report(networks: list[Trained], length: int) -> str:
    """The accuracy of the networks of one run along a stream of random integers.

    It is given for stretches, each ten times as long as all before it, beside its baseline.
    """
    config = networks[0].config
    edges = [0, config.task.length]
    while edges[-1] < length:
        edges.append(edges[-1] * 10)
    edges[-1] = length
    accuracy = np.array([network.accuracy_along(edges) for network in networks])
    seeds = "1 seed, no interval"
    rows = [["integers", "accuracy", *["interval"] * (len(networks) > 1), "chance baseline"]]
    for (first, end), shares in zip(itertools.pairwise(edges), accuracy.T, strict=True):
        if math.isnan(shares[0]):  # the stretch ends before the first answer
            continue
        median, interval = summary_of(shares)
        row = [f"{first:,} to {end:,}", f"{median:.2%}"]
        if interval:
            failed = f" of {config.seeds}, the others failed" * (len(networks) < config.seeds)
            seeds = f"median of {len(networks)} seeds{failed}, {interval.coverage:.1%} interval"
            row.append(f"{interval.low:.2%} to {interval.high:.2%}")
        rows.append([*row, f"{1 / config.task.vocab_size:.2%}"])
    return (
        f"One stream of {edges[-1]:,} random integers; trained on {config.task.length} at a time "
        f"({seeds}):\n{table(rows)}"
    )
