"""The scores of a run: what `result.json` and `seeds.csv` hold."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType, field

from echo_jax import atomic_files, machine, statistics
from echo_jax.config import RunConfig, to_dict
from echo_jax.core import chance
from echo_jax.core.evaluation import Evaluation
from echo_jax.exceptions import StorageError
from echo_jax.runs.run_folder import RESULT, SEEDS


class Interval(msgspec.Struct):
    """An interval of a median or a share; None stands for a bound that is infinite, or never."""

    low: float | None
    high: float | None
    coverage: float


class Reached(msgspec.Struct):
    """Seeds that reached 99%, of all seeds; the Wilson interval of the share, None of one."""

    seeds: int
    of: int
    interval: Interval | None


class SeedScores(msgspec.Struct, kw_only=True):
    """The scores of every seed, each a list `[S]`; None is an infinite loss or distance, or never.

    A seed that failed has accuracy 0 and an infinite loss.
    """

    seed: list[int]
    accuracy: list[float]
    loss: list[float | None]
    distance: list[float | None] | UnsetType = UNSET
    sequences_to_99: list[int | None]


class Failed(msgspec.Struct):
    """The seeds whose loss became non-finite, and at which sequence; None: in the evaluation."""

    seed: list[int] = []
    sequence: list[int | None] = []


class Result(msgspec.Struct, kw_only=True):
    """The scores of a run beside its baselines, each the median of its seeds.

    The baseline is chance, or for the user's own numbers the majority: always the most common
    value, and the entropy. An interval is None where there is one seed; a loss is None where it is
    infinite, and `sequences_to_99` where 99% was never reached. Fields that may be UNSET are not
    in every file: distances are for integers, recalled bits for classes, and early versions of
    echo_jax wrote fewer fields.
    """

    baseline_accuracy: float = field(name="floor_accuracy")
    baseline_loss: float = field(name="floor_loss")
    order_blind_accuracy: float = field(name="floor_order_blind")
    order_blind_loss: float = field(name="floor_order_blind_loss")
    baseline_distance: float | UnsetType = field(default=UNSET, name="floor_distance")
    accuracy: float
    accuracy_interval: Interval | None
    loss: float | None
    loss_interval: Interval | None
    distance: float | UnsetType | None = UNSET
    distance_interval: Interval | UnsetType | None = UNSET
    sequences_to_99: float | None
    sequences_to_99_interval: Interval | None
    reached_99: Reached
    accuracy_by_position: list[float | None]
    answers_of_seed: int = 0
    expected: list[int | str]
    predicted: list[int | str]
    updates: int
    by_seed: SeedScores
    failed: Failed = field(default_factory=Failed)
    versions: dict[str, str]
    config: dict[str, Any]
    recalled_bits: float | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    seconds: dict[str, float] | UnsetType = UNSET
    devices: list[str] | UnsetType = UNSET


NOT_OF_THE_RUN = ("seconds", "devices", "versions", "digest")
"""Fields that are not a function of configuration and seed, excluded from the digest."""


def summarise(
    config: RunConfig,
    scored: Evaluation,
    curves: tuple[np.ndarray, np.ndarray],
    held_out: np.ndarray | None = None,
    values: list[str] | None = None,
) -> Result:
    """The result of a run, without times and devices.

    The accuracy by position is a mean over the seeds that did not fail, and the answers are those
    of the first of them.

    Args:
      config: of the run.
      scored: `Evaluation` of every seed, its leaves with a leading axis S.
      curves: loss (nats; of framing values squared) and accuracy of every training sequence, each
        `[S, N]`.
      held_out: the tokens that the evaluation was cut from, where they are the user's own.
      values: the values that these tokens stand for.
    """
    loss, accuracy = curves
    failed = failures(config, loss, scored.loss)
    good = np.array([seed not in failed["seed"] for seed in seeds_of(config)])
    by_seed = _by_seed(config, scored, accuracy, good)
    found = {
        **_baselines(config, held_out),
        **_medians(by_seed),
        "reached_99": _reached_99(by_seed["sequences_to_99"]),
        **_answers(scored, good, by_seed["seed"], values),
        "updates": config.training.sequences * config.task.updates_per_sequence,
        "by_seed": by_seed,
        "failed": failed,
        "versions": machine.versions(),
        "config": to_dict(config),
    }
    if found["loss"] is not None and config.task.framing == "classes":
        found["recalled_bits"] = statistics.recalled_bits(found["loss"], found["floor_loss"])
    result = msgspec.convert(found, Result)
    result.digest = digest(result)
    return result


def digest(result: Result) -> str:
    """The digest of what a run found, without times, devices and versions."""
    found = msgspec.to_builtins(result)
    return atomic_files.digest_of({k: v for k, v in found.items() if k not in NOT_OF_THE_RUN})


def write(folder: Path, result: Result) -> None:
    """Write `result.json` and, of several seeds, `seeds.csv`."""
    found = msgspec.to_builtins(result)
    if len(result.by_seed.seed) > 1:
        atomic_files.write_csv(folder / SEEDS, found["by_seed"])
    atomic_files.write_json(folder / RESULT, found)


def read(folder: Path) -> Result:
    """The inverse of `write`; StorageError for a file that is missing, damaged or no result."""
    path, fix = folder / RESULT, "train again to make it again"
    try:
        return msgspec.convert(atomic_files.read_json(path, fix), Result)
    except msgspec.ValidationError as error:
        raise StorageError(f"{path} is not the result of a run ({error}): {fix}") from None


def failures(config: RunConfig, loss: np.ndarray, final: np.ndarray | None = None) -> dict:
    """The seeds that failed, and at which sequence (None: in the evaluation), as two lists.

    Args:
      config: of the run.
      loss: of every training sequence so far, `[S, N]`.
      final: of the evaluation, `[S]`, once there is one.
    """
    bad = ~np.isfinite(loss)
    at = [int(np.argmax(row)) + 1 if row.any() else None for row in bad]
    failed = bad.any(axis=1) | (False if final is None else ~np.isfinite(final))
    rows = np.flatnonzero(failed)
    return {"seed": [config.seed + int(s) for s in rows], "sequence": [at[s] for s in rows]}


def seeds_of(config: RunConfig) -> list[int]:
    """The seeds of a run."""
    return list(range(config.seed, config.seed + config.seeds))


def _baselines(config: RunConfig, held_out: np.ndarray | None) -> dict[str, float]:
    if held_out is None:
        baseline = chance.chance_baseline(config.task)
        blind = chance.order_blind_baseline(config.task)
        distance = {"floor_distance": chance.chance_distance(config.task.vocab_size)}
    else:
        baseline = chance.majority_baseline(held_out)
        blind = chance.order_blind_baseline_of(held_out, config.task)
        distance = {}
    return {
        "floor_accuracy": baseline.accuracy,
        "floor_loss": baseline.loss,
        "floor_order_blind": blind.accuracy,
        "floor_order_blind_loss": blind.loss,
        **distance,
    }


def _by_seed(
    config: RunConfig, scored: Evaluation, accuracy: np.ndarray, good: np.ndarray
) -> dict[str, list]:
    """The fields of `SeedScores`."""
    found = {
        "seed": seeds_of(config),
        "accuracy": np.where(good, scored.accuracy, 0.0).tolist(),
        "loss": [_finite(x) for x in np.where(good, scored.loss, np.inf)],
        "sequences_to_99": [
            statistics.sequences_until(curve) if kept else None
            for curve, kept in zip(accuracy, good, strict=True)
        ],
    }
    if config.data.csv is None:  # there is no distance between values of any kind
        found["distance"] = [_finite(x) for x in np.where(good, scored.distance, np.inf)]
    return found


def _medians(by_seed: dict[str, list]) -> dict[str, Any]:
    """The median of each score and its interval."""
    found: dict[str, Any] = {}
    for name in by_seed.keys() - {"seed"}:
        median, interval = statistics.summary_of(by_seed[name])
        found[name] = _finite(median)
        found[f"{name}_interval"] = _interval(interval)
    return found


def _reached_99(sequences_to_99: list[int | None]) -> dict[str, Any]:
    runs = len(sequences_to_99)
    learned = sum(count is not None for count in sequences_to_99)
    interval = statistics.wilson_interval(learned, runs) if runs > 1 else None
    return {"seeds": learned, "of": runs, "interval": _interval(interval)}


def _answers(
    scored: Evaluation, good: np.ndarray, seeds: list[int], values: list[str] | None
) -> dict[str, Any]:
    """Accuracy by position, and the answers to one sequence, which are values or integers."""
    right = np.mean(scored.accuracy_by_position[good], axis=0).tolist()
    shown = int(np.argmax(good))
    first, there = scored.first, scored.first.scored[shown, 0]
    said = {name: getattr(first, name)[shown, 0][there].tolist() for name in first._fields[:2]}
    if values:
        said = {name: [values[token] for token in tokens] for name, tokens in said.items()}
    return {
        "accuracy_by_position": [None if np.isnan(x) else x for x in right],
        "answers_of_seed": seeds[shown],
        **said,
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _interval(interval: statistics.Interval | None) -> dict[str, Any] | None:
    if interval is None:
        return None
    return {name: _finite(value) for name, value in interval._asdict().items()}
