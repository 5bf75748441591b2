"""Is a trained cell's form over time still the cell of its steps?

A form may agree with the steps at the initial weights alone. So it is compared with them at the
weights that are the first to answer a lag, and what counts as a success is what the steps answer.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jax

from echo_jax.cells.check.cell_check import Trial
from echo_jax.cells.check.shape_check import Candidate
from echo_jax.cells.check.traced_programs import trace_programs
from echo_jax.memory_benchmark.lag_training import Training

CHANCE_GAP = 0.25
"""Share of answers by which an evaluation and its confirmation do not differ by chance."""


def check_answers(training: Training, row: Mapping[str, Any]) -> bool:
    """True if a run answered its lag; ConfigError if its `scan` did, and its steps did not.

    `row` is a raw row of the run, whose `accuracy` is by `scan` and `confirmed` by the steps.
    """
    answered = False
    for by_scan, by_steps in zip(row["accuracy"], row["confirmed"], strict=True):
        if by_scan is None or by_scan < max(training.protocol.thresholds):
            continue
        answered = True
        if training.cell.has_scan and (by_steps is None or by_scan - by_steps > CHANCE_GAP):
            _candidate(training).refuse(
                f"answers {by_scan:.1%} of {training.task} {row['lag']} by its scan and "
                f"{by_steps or 0:.1%} by its steps: let the scan agree with them, or leave it out",
                "scan",
            )
    return answered


def check_weights(training: Training, params: Any, runs: Collection[int]) -> None:
    """Raise ConfigError where `scan` differs from the steps at the trained weights of some runs.

    `params` are the weights of all networks, leaves `[S, ...]`. Tests do this for the cells of
    echo_jax.
    """
    source = training.cell.source
    home = getattr(source, "__module__", source.__name__)
    if not training.cell.has_scan or home.startswith("echo_jax.cells."):
        return
    candidate = _candidate(training)
    trial = Trial(candidate, trace_programs(candidate))
    for run in runs:
        weights = jax.tree.map(lambda leaf, i=run: leaf[i], params["cell"])
        with jax.default_matmul_precision("highest"):
            fault = trial.scan_fault(weights)
        if fault:
            candidate.refuse(
                f"{fault} at weights that are trained on {training.task}: let it agree with the "
                "steps, or leave it out",
                "scan",
            )


def _candidate(training: Training) -> Candidate:
    return Candidate(training.cell, training.cell.source.__name__, training.network.input_size)
