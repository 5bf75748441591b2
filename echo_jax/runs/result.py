"""What `result.json` and `seeds.csv` hold: scores of every seed, medians, floors, versions."""

import importlib.metadata
import platform
from typing import Any

import numpy as np

from echo_jax import atomic_files, statistics
from echo_jax.config import RunConfig, to_dict
from echo_jax.core.chance import (
    chance_baseline,
    chance_distance,
    majority_baseline,
    order_blind_baseline,
    order_blind_baseline_of,
)
from echo_jax.core.evaluation import Evaluation

PACKAGES = ("echo_jax", "jax", "jaxlib", "flax", "optax", "chex", "numpy")

NOT_OF_THE_RUN = ("seconds", "devices", "versions", "digest")
"""What a result holds that is not a function of configuration and seed."""


def summarise(
    config: RunConfig,
    scored: Evaluation,
    loss: np.ndarray,
    accuracy: np.ndarray,
    held_out: np.ndarray | None = None,
) -> dict:
    """The scores of a run, ready for JSON.

    A number that stands for many seeds is their median, but for the accuracy by position, which is
    their mean; the answers are those of the first seed. A seed whose loss became infinite or no
    number has failed: it counts as accuracy 0 and an infinite loss, and has no answers.

    Args:
      config: of the run.
      scored: `Evaluation` of every seed, its leaves with a leading axis S.
      loss: of every training sequence, nats (of framing values squared), `[S, N]`.
      accuracy: the same, in `[0, 1]`.
      held_out: the tokens that the evaluation was cut from, where they are the user's own.
    """
    failed = failures(config, loss, scored.loss)
    good = np.array([seed not in failed["seed"] for seed in seeds_of(config)])
    by_seed = {
        "seed": seeds_of(config),
        "accuracy": np.where(good, scored.accuracy, 0.0).tolist(),
        "loss": [_finite(x) for x in np.where(good, scored.loss, np.inf)],
        **_distances(config, scored, good),
        "sequences_to_99": [
            statistics.sequences_until(curve) if kept else None
            for curve, kept in zip(accuracy, good, strict=True)
        ],
    }
    result = {
        **_floors(config, held_out),
        **_medians(by_seed),
        **_reached_99(by_seed),
        **_answers(scored, good, by_seed["seed"]),
        "updates": config.training.sequences * config.task.updates_per_sequence,
        "by_seed": by_seed,
        "failed": failed,
        "versions": versions(),
        "config": to_dict(config),
    }
    if result["loss"] is not None and config.task.framing == "classes":
        bits = statistics.recalled_bits(result["loss"], result["floor_loss"])
        result["recalled_bits"] = bits
    return result


def failures(config: RunConfig, loss: np.ndarray, final: np.ndarray | None = None) -> dict:
    """Which seeds failed, and at which sequence (None: in the evaluation), both as lists.

    Args:
      config: of the run.
      loss: of every training sequence so far, `[S, N]`.
      final: of the evaluation, `[S]`, where there was one.
    """
    bad = ~np.isfinite(loss)
    at = [int(np.argmax(row)) + 1 if row.any() else None for row in bad]
    failed = bad.any(axis=1) | (False if final is None else ~np.isfinite(final))
    rows = np.flatnonzero(failed)
    return {"seed": [config.seed + int(s) for s in rows], "sequence": [at[s] for s in rows]}


def digest(result: dict[str, Any]) -> str:
    """The digest of what a run found: of a result all but the times, devices and versions."""
    ours = {name: value for name, value in result.items() if name not in NOT_OF_THE_RUN}
    return atomic_files.digest_of(ours)


def seeds_of(config: RunConfig) -> list[int]:
    """The seeds of a run."""
    return list(range(config.seed, config.seed + config.seeds))


def versions() -> dict[str, str]:
    """The versions that a result was made with."""
    installed = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **installed}


def _floors(config: RunConfig, held_out: np.ndarray | None) -> dict[str, float]:
    also = {}
    if held_out is None:
        floor, blind = chance_baseline(config.task), order_blind_baseline(config.task)
        also["floor_distance"] = chance_distance(config.task.vocab_size)
    else:
        floor, blind = majority_baseline(held_out), order_blind_baseline_of(held_out, config.task)
    return {
        "floor_accuracy": floor.accuracy,
        "floor_loss": floor.loss,
        "floor_order_blind": blind.accuracy,
        "floor_order_blind_loss": blind.loss,
        **also,
    }


def _distances(config: RunConfig, scored: Evaluation, good: np.ndarray) -> dict[str, list]:
    """How far off each seed is; the tokens of a user's own values are at no distance."""
    if config.data.csv is not None:
        return {}
    return {"distance": [_finite(x) for x in np.where(good, scored.distance, np.inf)]}


def _medians(by_seed: dict[str, list]) -> dict[str, Any]:
    """The median of each score and its interval: None for never, and for that of one seed."""
    found: dict[str, Any] = {}
    for name in [name for name in by_seed if name != "seed"]:
        median, interval = statistics.summary_of(by_seed[name])
        found[name] = _finite(median)
        found[f"{name}_interval"] = _interval(interval) if interval else None
    return found


def _reached_99(by_seed: dict[str, list]) -> dict[str, Any]:
    runs = len(by_seed["seed"])
    learned = sum(count is not None for count in by_seed["sequences_to_99"])
    interval = _interval(statistics.wilson_interval(learned, runs)) if runs > 1 else None
    return {"reached_99": {"seeds": learned, "of": runs, "interval": interval}}


def _answers(scored: Evaluation, good: np.ndarray, seeds: list[int]) -> dict[str, Any]:
    """Accuracy by position over the seeds that are good, and the answers of the first of them."""
    right = np.mean(scored.accuracy_by_position[good], axis=0).tolist()
    shown = int(np.argmax(good))
    first, there = scored.first, scored.first.scored[shown, 0]
    return {
        "accuracy_by_position": [None if np.isnan(x) else x for x in right],
        "answers_of_seed": seeds[shown],
        "expected": first.expected[shown, 0][there].tolist(),
        "predicted": first.predicted[shown, 0][there].tolist(),
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _interval(interval: statistics.Interval) -> dict[str, Any]:
    return {name: _finite(value) for name, value in interval._asdict().items()}
