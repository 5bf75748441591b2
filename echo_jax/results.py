"""What `result.json` and `seeds.csv` hold: scores of every seed, medians, floors, versions."""

import importlib.metadata
import platform
from collections.abc import Sequence
from typing import Any

import numpy as np

from echo_jax.config import RunConfig, to_dict
from echo_jax.evaluation import Evaluation
from echo_jax.metrics import Interval, median_interval, recalled_bits, sequences_until
from echo_jax.metrics import wilson_interval as wilson
from echo_jax.task import chance_floor, order_blind_floor

PACKAGES = ("echo_jax", "jax", "jaxlib", "flax", "optax", "chex", "numpy")


def summarise(config: RunConfig, scored: Evaluation, training_accuracy: np.ndarray) -> dict:
    """The scores of a run, ready for JSON.

    A number that stands for many seeds is their median, but for the accuracy by position, which is
    their mean; the answers are those of the first seed.

    Args:
      config: of the run.
      scored: `Evaluation` of every seed, its leaves with a leading axis S.
      training_accuracy: of every training sequence, `[S, N]`.
    """
    reached = [sequences_until(curve) for curve in training_accuracy]
    learned = sum(count is not None for count in reached)
    right_by_position = np.mean(scored.accuracy_by_position, axis=0).tolist()
    first = scored.first
    result = {
        **_floors(config),
        "accuracy": float(np.median(scored.accuracy)),
        "loss": float(np.median(scored.loss)),
        "sequences_to_99": _finite(np.median(_never_as_infinity(reached))),
        "reached_99": {
            "seeds": learned,
            "of": config.seeds,
            "interval": _interval(wilson(learned, config.seeds)) if config.seeds > 1 else None,
        },
        "accuracy_by_position": [None if np.isnan(x) else x for x in right_by_position],
        "expected": first.expected[0, 0][first.scored[0, 0]].tolist(),
        "predicted": first.predicted[0, 0][first.scored[0, 0]].tolist(),
        "updates": config.training.sequences * config.task.updates_per_sequence,
        "by_seed": {
            "seed": list(range(config.seed, config.seed + config.seeds)),
            "accuracy": scored.accuracy.tolist(),
            "loss": scored.loss.tolist(),
            "sequences_to_99": reached,
        },
        "versions": versions(),
        "config": to_dict(config),
    }
    result["recalled_bits"] = recalled_bits(result["loss"], config.task.vocab_size)
    return result | _median_intervals(result["by_seed"])


def versions() -> dict[str, str]:
    """The versions that a result was made with."""
    installed = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **installed}


def _floors(config: RunConfig) -> dict[str, float]:
    chance = chance_floor(config.task)
    blind = order_blind_floor(config.task)
    return {
        "floor_accuracy": chance.accuracy,
        "floor_loss": chance.loss,
        "floor_order_blind": blind.accuracy,
        "floor_order_blind_loss": blind.loss,
    }


def _median_intervals(by_seed: dict[str, list]) -> dict[str, dict | None]:
    """An interval for each median; None where there is one seed, which has none."""
    return {
        f"{name}_interval": _interval(median_interval(_never_as_infinity(by_seed[name])))
        if len(by_seed["seed"]) > 1
        else None
        for name in ("accuracy", "loss", "sequences_to_99")
    }


def _never_as_infinity(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.inf if value is None else value for value in values])


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _interval(interval: Interval) -> dict[str, Any]:
    return {name: _finite(value) for name, value in interval._asdict().items()}
