"""Is a cell that passed a rung the cell that was checked, and whose state is counted?

A form over time may agree with the steps at the initial weights alone. So it is compared with them
at the weights that are the first to pass a rung, and what counts as a success is what the steps
answer. The steps must be the same program in the batches of training and of evaluation.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jax

from echo_jax.cells import known_memory, registry
from echo_jax.cells.check import batch_sizes
from echo_jax.cells.check.cell_check import Trial
from echo_jax.cells.check.shape_check import Candidate
from echo_jax.cells.check.traced_programs import trace_programs
from echo_jax.memory_benchmark.training import Training

CHANCE_GAP = 0.25
"""Share of answers by which an evaluation and its confirmation do not differ by chance."""


def check_answers(training: Training, row: Mapping[str, Any]) -> bool:
    """True if an evaluation of a run passed its rung; ConfigError if its steps do not answer it.

    `row` is a raw row of the run, whose `accuracy` is by `scan` and `confirmed` by the steps.
    """
    for number, by_steps in row["confirmed"]:
        by_scan = row["accuracy"][number]
        if training.cell.has_scan and by_scan - by_steps > CHANCE_GAP:
            _candidate(training).refuse(
                f"answers {by_scan:.1%} of {row['ladder']} {row['rung']} by its scan and "
                f"{by_steps:.1%} by its steps: let the scan agree with them, or leave it out",
                "scan",
            )
    return bool(row["confirmed"])


def check_batches(training: Training, sizes: Collection[int]) -> None:
    """Raise ConfigError where the steps are another program in batches of some of these sizes.

    Those of the size 2 are what a check has seen. Tests do this for the cells of echo_jax.
    """
    if sizes and not _is_ours(training):
        batch_sizes.check_programs(_candidate(training), sorted({2, *sizes} - {1}))


def check_weights(training: Training, params: Any, runs: Collection[int]) -> None:
    """Raise ConfigError where `scan` differs from the steps at the trained weights of some runs.

    `params` are the weights of all networks, leaves `[S, ...]`. Tests do this for the cells of
    echo_jax.
    """
    if not training.cell.has_scan or _is_ours(training):
        return
    candidate = _candidate(training)
    trial = Trial(candidate, trace_programs(candidate))
    for run in runs:
        weights = jax.tree.map(lambda leaf, i=run: leaf[i], params["cell"])
        with jax.default_matmul_precision("highest"):
            fault = trial.scan_fault(weights)
        if fault:
            candidate.refuse(
                f"{fault} at weights that are trained on {training.name}: let it agree with the "
                "steps, or leave it out",
                "scan",
            )


def _is_ours(training: Training) -> bool:
    """True for the built-in cells and those of known memory."""
    source = training.cell.source
    return registry.built_in_name(source) is not None or source in vars(known_memory).values()


def _candidate(training: Training) -> Candidate:
    return Candidate(training.cell, training.cell.source.__name__, training.network.input_size)
