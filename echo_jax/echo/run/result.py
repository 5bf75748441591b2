"""The scores of a run, as `result.json` has them."""

from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType, field

from echo_jax import environment, statistics
from echo_jax.config import RunConfig, to_dict
from echo_jax.echo import chance
from echo_jax.echo.data import Corpus
from echo_jax.echo.evaluation import Evaluation
from echo_jax.echo.target_place import accuracy_ceiling, knowable_share
from echo_jax.report.number_formats import plain
from echo_jax.storage import atomic_files


class StoredInterval(msgspec.Struct):
    """An interval of a median or a share; None stands for a bound that is infinite, or never."""

    low: float | None
    high: float | None
    coverage: float


class Reached(msgspec.Struct):
    """Seeds that reached 99%, of all seeds; the Wilson interval of the share, None of one."""

    seeds: int
    of: int
    interval: StoredInterval | None


class SeedScores(msgspec.Struct, kw_only=True):
    """The scores of every seed, each a list `[S]`; None is an infinite loss or distance, or never.

    A seed that failed has accuracy 0 and an infinite loss.
    """

    seed: list[int]
    accuracy: list[float]
    loss: list[float | None]
    distance: list[float | None] | UnsetType = UNSET
    sequences_to_99: list[int | None]


class FailedSeeds(msgspec.Struct):
    """The seeds whose loss became non-finite, and at which sequence; None: in the evaluation."""

    seed: list[int] = []
    sequence: list[int | None] = []


class Untrained(msgspec.Struct):
    """Values that occur only in the held-out part: how many, a few, and their share of targets."""

    values: int
    examples: list[str]
    share: float


class OwnScores(NamedTuple):
    """The user's own values, and what was measured on them."""

    corpus: Corpus
    values: list[str]  # what the tokens of the corpus stand for
    fitted: Evaluation | None = None  # on the end of the training part; None where that is short
    follows: np.ndarray | None = None  # share of answers that follow the value asked for, [S]


class Result(msgspec.Struct, kw_only=True):
    """The scores of a run beside its baselines, each the median of its seeds.

    The baseline is chance, or for the user's own values the majority: always the most common
    value, and the entropy. An interval is None where there is one seed; a loss is None where it is
    infinite, and `sequences_to_99` where 99% was never reached. The ceiling is the highest accuracy
    possible with what the network was fed, and `sequences_to_99_of_ceiling` says how soon 99% of
    that was reached, `..._by_seed` for every seed.

    Of own values alone: persistence and a k-gram, see `echo.chance`, where the network is not fed
    its target; the training scores, on the end of the training part, as long as the held-out part;
    `follows`, the share of answers that follow a change of the value asked for where values come in
    random order; the number of `held_out_targets`, which all seeds share; and the values that are
    `untrained`, if there are any.

    `cores` are those that XLA has a thread for, which decide last bits of large networks.

    Fields that may be UNSET are not in every file: distances are for integers, recalled bits for
    classes, the ceiling is not known of values that may depend on each other, nothing is to be
    reached where no target can be known, and early versions of echo_jax wrote fewer fields.
    """

    # Keys of published results do not change (docs/formats.md), and these said floor_.
    baseline_accuracy: float = field(name="floor_accuracy")
    baseline_loss: float = field(name="floor_loss")
    order_blind_accuracy: float = field(name="floor_order_blind")
    order_blind_loss: float = field(name="floor_order_blind_loss")
    baseline_distance: float | UnsetType = field(default=UNSET, name="floor_distance")
    accuracy: float
    accuracy_interval: StoredInterval | None
    loss: float | None
    loss_interval: StoredInterval | None
    distance: float | UnsetType | None = UNSET
    distance_interval: StoredInterval | UnsetType | None = UNSET
    sequences_to_99: float | None
    sequences_to_99_interval: StoredInterval | None
    reached_99: Reached
    accuracy_by_position: list[float | None]
    answers_of_seed: int = 0
    expected: list[int | str]
    predicted: list[int | str]
    updates: int
    by_seed: SeedScores
    failed: FailedSeeds = field(default_factory=FailedSeeds)
    versions: dict[str, str]
    config: dict[str, Any]
    recalled_bits: float | UnsetType = UNSET
    ceiling_accuracy: float | UnsetType = UNSET
    sequences_to_99_of_ceiling: float | UnsetType | None = UNSET
    sequences_to_99_of_ceiling_interval: StoredInterval | UnsetType | None = UNSET
    sequences_to_99_of_ceiling_by_seed: list[int | None] | UnsetType = UNSET
    persistence_accuracy: float | UnsetType = UNSET
    k_gram: int | UnsetType = UNSET
    k_gram_accuracy: float | UnsetType = UNSET
    k_gram_loss: float | UnsetType = UNSET
    training_accuracy: float | UnsetType = UNSET
    training_loss: float | UnsetType | None = UNSET
    follows: float | UnsetType = UNSET
    held_out_targets: int | UnsetType = UNSET
    untrained: Untrained | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    seconds: dict[str, float] | UnsetType = UNSET
    devices: list[str] | UnsetType = UNSET
    cores: int | UnsetType = UNSET


NOT_OF_THE_RUN = ("seconds", "devices", "cores", "versions", "digest")
"""Fields that are not a function of configuration and seed, excluded from the digest."""

ADDED_TO_RESULTS = (
    "ceiling_accuracy", "sequences_to_99_of_ceiling", "sequences_to_99_of_ceiling_interval",
    "sequences_to_99_of_ceiling_by_seed", "persistence_accuracy", "k_gram", "k_gram_accuracy",
    "k_gram_loss", "training_accuracy", "training_loss", "follows", "untrained", "held_out_targets",
)  # fmt: skip
"""Fields that were added later and are excluded from the digest, which stays what it was."""


def summarise(
    config: RunConfig,
    scored: Evaluation,
    curves: tuple[np.ndarray, np.ndarray],
    own: OwnScores | None = None,
) -> Result:
    """The result of a run, without times and devices.

    The accuracy by position is a mean over the seeds that did not fail, the answers are those of
    the first. `scored` has a leading axis S; the curves are loss and accuracy, each `[S, N]`.
    """
    failed, good, by_seed = scores_of_seeds(config, scored, *curves)
    learned = sum(x is not None for x in by_seed["sequences_to_99"])
    runs = config.seeds
    share = statistics.wilson_interval(learned, runs) if runs > 1 else None
    # Some fields have another name in the file: baseline_accuracy is floor_accuracy there.
    in_file = dict(zip(Result.__struct_fields__, Result.__struct_encode_fields__, strict=True))
    fields: dict[str, Any] = {}
    for name, score in baselines(config, own and own.corpus).items():
        fields[in_file.get(f"baseline_{name}", in_file[name])] = score
    fields |= _answers(scored, good, own and own.values) | _of_own(config, own, curves, good)
    for name in by_seed.keys() - {"seed"}:
        fields |= _median(name, by_seed[name])
    ceiling = ceiling_of(config, fields["floor_accuracy"], own and own.corpus)
    fields |= _beside_the_ceiling(config, ceiling, curves[1], good)
    if np.isfinite(fields["loss"]) and config.task.framing == "classes":
        fields["recalled_bits"] = statistics.recalled_bits(fields["loss"], fields["floor_loss"])
    fields |= {
        "reached_99": {"seeds": learned, "of": runs, "interval": share and share._asdict()},
        "answers_of_seed": config.seed + int(np.argmax(good)),
        "updates": config.training.sequences * config.task.updates_per_sequence,
        "by_seed": by_seed,
        "failed": failed,
        "versions": environment.versions(),
        "config": to_dict(config),
    }
    # 17 digits give each float64 back exactly, so a digest can be computed again from the file.
    result = msgspec.convert(plain(fields, ".17g"), Result)
    result.digest = digest(result)
    return result


def digest(result: Result) -> str:
    """The digest of what a run found, without times, devices, versions and later fields."""
    fields = msgspec.to_builtins(result)
    for name in NOT_OF_THE_RUN + ADDED_TO_RESULTS:
        fields.pop(name, None)
    return atomic_files.digest_of(fields)


def failures(config: RunConfig, loss: np.ndarray, final: np.ndarray | None = None) -> dict:
    """The fields of `FailedSeeds`, from losses: of training `[S, N]`, of the evaluation `[S]`."""
    bad = ~np.isfinite(loss)
    failed = bad.any(axis=1) | (False if final is None else ~np.isfinite(final))
    rows = np.flatnonzero(failed).tolist()
    at = [int(np.argmax(bad[row])) + 1 if bad[row].any() else None for row in rows]
    return {"seed": [config.seed + row for row in rows], "sequence": at}


def baselines(config: RunConfig, corpus: Corpus | None) -> dict[str, float]:
    """Scores without a network; those of a corpus are of its held-out part."""
    task = config.task
    more = {}
    if corpus is None:
        baseline = chance.chance_baseline(task)
        blind = chance.order_blind_baseline(config)
        more = {"distance": chance.chance_distance(task.vocab_size)}
    else:
        baseline = chance.majority_baseline(corpus.held_out, corpus.untrained)
        blind = chance.order_blind_baseline_of(corpus.held_out, config, corpus.untrained)
        ceiling = ceiling_of(config, baseline.accuracy, corpus)
        if ceiling is not None:  # the first and last values held out are asked for less often
            baseline = baseline._replace(accuracy=min(baseline.accuracy, ceiling))
            blind = blind._replace(accuracy=min(blind.accuracy, ceiling))
        if not (knowable_share(config) or 0 <= task.lag < task.window):
            more = chance.ordered_baselines(*corpus, task)
    named = {f"order_blind_{name}": score for name, score in blind._asdict().items()}
    return {**baseline._asdict(), **named, **more}


def ceiling_of(config: RunConfig, baseline: float, corpus: Corpus | None) -> float | None:
    """The `accuracy_ceiling` of a run, on a corpus on values of the user's own."""
    untrained = corpus.untrained_share(config.task) if corpus else 0.0
    return accuracy_ceiling(config, baseline, untrained)


def _of_own(config: RunConfig, own: OwnScores | None, curves: Any, good: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if own:
        task = config.task
        fields["held_out_targets"] = len(own.corpus.held_out) - task.length + len(task.scored_times)
    if own and len(tokens := own.corpus.untrained):
        examples = [own.values[token] for token in tokens[:3]]
        share = own.corpus.untrained_share(config.task)
        fields["untrained"] = Untrained(len(tokens), examples, share)
    if own and own.fitted:
        _, _, of_training = scores_of_seeds(config, own.fitted, *curves)
        fields |= {f"training_{x}": np.median(of_training[x]) for x in ("accuracy", "loss")}
    if own and own.follows is not None:
        fields["follows"] = np.median(own.follows[good])
    return fields


def _beside_the_ceiling(
    config: RunConfig, ceiling: float | None, accuracy: np.ndarray, good: np.ndarray
) -> dict[str, Any]:
    """The fields of the ceiling, from the curves `[S, N]`, of the seeds that did not fail."""
    if not ceiling or not knowable_share(config):
        return {} if ceiling is None else {"ceiling_accuracy": ceiling}
    # a ceiling of own values is below 1 for those that no training sequence has
    goal = 0.99 * (ceiling if config.data.file is None else 1)
    reached = _sequences_until(goal, accuracy, good)
    name = "sequences_to_99_of_ceiling"
    return {"ceiling_accuracy": ceiling, f"{name}_by_seed": reached} | _median(name, reached)


def _sequences_until(goal: float, accuracy: np.ndarray, good: np.ndarray) -> list[int | None]:
    """The sequences until a goal, of every seed; None for never, and for a seed that failed."""
    curves = zip(accuracy, good, strict=True)
    return [statistics.sequences_until(curve, goal) if kept else None for curve, kept in curves]


def _median(name: str, values: list) -> dict[str, Any]:
    median, interval, _ = statistics.summary_of(values)
    return {name: median, f"{name}_interval": interval and interval._asdict()}


def scores_of_seeds(
    config: RunConfig, scored: Evaluation, loss: np.ndarray, accuracy: np.ndarray
) -> tuple[dict, np.ndarray, dict[str, list]]:
    """The fields of `FailedSeeds`, the good seeds, bool `[S]`, and the fields of `SeedScores`.

    The loss and accuracy are those of the training, `[S, N]`. Scores are infinite for None.
    """
    failed = failures(config, loss, scored.loss)
    seeds = range(config.seed, config.seed + config.seeds)
    good = ~np.isin(seeds, failed["seed"])
    fields = {
        "seed": list(seeds),
        "accuracy": np.where(good, scored.accuracy, 0.0).tolist(),
        "loss": np.where(good, scored.loss, np.inf).tolist(),
        "sequences_to_99": _sequences_until(0.99, accuracy, good),
    }
    if config.data.file is None:  # there is no distance between values of any kind
        fields["distance"] = np.where(good, scored.distance, np.inf).tolist()
    return failed, good, fields


def _answers(scored: Evaluation, good: np.ndarray, values: list[str] | None) -> dict[str, Any]:
    fields = {"accuracy_by_position": np.mean(scored.accuracy_by_position[good], axis=0).tolist()}
    shown = (np.argmax(good), 0)
    there = scored.first.scored[shown]
    for name in ("expected", "predicted"):
        tokens = getattr(scored.first, name)[shown][there].tolist()
        fields[name] = [values[token] for token in tokens] if values else tokens
    return fields
