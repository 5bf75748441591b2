"""Compute the scores that are stored, from an evaluation and the curves of a training."""

from typing import Any, NamedTuple

import msgspec
import numpy as np

from echo_jax import machine, statistics
from echo_jax.config import RunConfig, to_dict
from echo_jax.echo import chance
from echo_jax.echo.data import Corpus
from echo_jax.echo.evaluation import Evaluation
from echo_jax.echo.run.result import Result, digest
from echo_jax.echo.target_place import accuracy_ceiling, knowable_share
from echo_jax.report.number_formats import plain


class OwnScores(NamedTuple):
    """The user's own values, and the scores that were measured on these values only."""

    corpus: Corpus
    values: list[str]  # what the tokens of the corpus stand for
    fitted: Evaluation | None = None  # on the end of the training part; None where that is short
    follows: np.ndarray | None = None  # share of answers that follow the value asked for, [S]


def summarise(
    config: RunConfig,
    scored: Evaluation,
    curves: tuple[np.ndarray, np.ndarray],
    own: OwnScores | None = None,
) -> Result:
    """Return the result of a run of `config`, without times and devices.

    The answers in the result come from the first seed that did not fail. `scored` has a leading
    axis S. `curves` are loss and accuracy of every training sequence, each `[S, N]`. `own` has the
    user's own values and their scores.
    """
    corpus = own and own.corpus
    fields = scores_of_seeds(config, scored, curves, corpus)
    by_seed = fields["by_seed"]
    good = ~np.isin(by_seed["seed"], fields["failed"]["seed"])
    learned = sum(x is not None for x in by_seed["sequences_to_99"])
    runs = config.seeds
    share = statistics.wilson_interval(learned, runs) if runs > 1 else None
    fields |= _answers(scored, good, own and own.values) | _of_own(config, own, good)
    for name in by_seed.keys() - {"seed"}:
        fields |= _median(name, by_seed[name])
    ceiling = ceiling_of(config, fields["baseline_accuracy"], corpus)
    fields |= _beside_the_ceiling(config, ceiling, curves[1], good)
    fields |= {
        "reached_99": {"seeds": learned, "of": runs, "interval": share and share._asdict()},
        "answers_of_seed": config.seed + int(np.argmax(good)),
        "config": to_dict(config),
    }
    # Six digits, as in rows: the last digits of a baseline depend on the processor, and the digest
    # has them all.
    written = plain({name: value for name, value in fields.items() if name != "config"})
    result = msgspec.convert(fields | written, Result)
    result.digest = digest(result)
    return result


def scores_of_seeds(
    config: RunConfig,
    scored: Evaluation,
    curves: tuple[np.ndarray, np.ndarray],
    corpus: Corpus | None,
) -> dict[str, Any]:
    """Return the fields of `Scores` except the seconds, and `accuracy_by_position`.

    A score that is None in `Scores` is infinite or NaN here. `config` is the configuration of the
    run or the grid point. `scored` has a leading axis S, and `curves` are loss and accuracy of
    every training sequence, each `[S, N]`. `corpus` has the user's own values, if any.
    """
    loss, accuracy = curves
    failed = failures(config, loss, scored.loss)
    seeds = list(range(config.seed, config.seed + config.seeds))
    good = ~np.isin(seeds, failed["seed"])
    guesses = baselines(config, corpus)
    by_seed = {"seed": seeds, **_of_seeds(scored, good)}
    by_seed["sequences_to_99"] = _sequences_until(0.99, accuracy, good)
    if corpus is None:  # there is no distance between values of any kind
        by_seed["distance"] = np.where(good, scored.distance, np.inf).tolist()
    if config.task.framing == "classes":
        bits = statistics.recalled_bits(scored.loss, guesses["baseline_loss"])
        by_seed["recalled_bits"] = np.where(good, bits, 0.0).tolist()
    by_position = scored.accuracy_by_position
    # NaN in the place of no seed at all, whose mean NumPy would warn of.
    kept = by_position[good] if good.any() else np.full_like(by_position, np.nan)
    return guesses | {
        "by_seed": by_seed,
        "accuracy_by_position": np.mean(kept, axis=0),
        "failed": failed,
        "updates": loss.shape[1] * config.task.updates_per_sequence,
        "versions": machine.versions(),
    }


def failures(config: RunConfig, loss: np.ndarray, final: np.ndarray | None = None) -> dict:
    """Return the fields of `FailedSeeds`: the seeds with a non-finite loss, and at which sequence.

    `loss` is `[S, N]`, of every training sequence, and `final` is `[S]`, of the evaluation.
    """
    bad = ~np.isfinite(loss)
    failed = bad.any(axis=1) | (False if final is None else ~np.isfinite(final))
    rows = np.flatnonzero(failed).tolist()
    at = [int(np.argmax(bad[row])) + 1 if bad[row].any() else None for row in rows]
    return {"seed": [config.seed + row for row in rows], "sequence": at}


def baselines(config: RunConfig, corpus: Corpus | None) -> dict[str, float]:
    """Return the fields of `Scores` on the baselines of `config`.

    With a `corpus`, the baselines are those of its held-out part. Persistence and a k-gram are
    scored for a corpus if the network is not fed its target.
    """
    task = config.task
    more = {}
    if corpus is None:
        baseline = chance.chance_baseline(task)
        blind = chance.order_blind_baseline(config)
        more = {"baseline_distance": chance.chance_distance(task.vocab_size)}
    else:
        baseline = chance.majority_baseline(corpus.held_out, corpus.untrained)
        blind = chance.order_blind_baseline_of(corpus.held_out, config, corpus.untrained)
        ceiling = ceiling_of(config, baseline.accuracy, corpus)
        if ceiling is not None:  # the first and last values held out are asked for less often
            baseline = baseline._replace(accuracy=min(baseline.accuracy, ceiling))
            blind = blind._replace(accuracy=min(blind.accuracy, ceiling))
        if not (knowable_share(config) or 0 <= task.lag < task.window):
            more = chance.ordered_baselines(*corpus, task)
    kinds = {"baseline": baseline, "order_blind": blind}
    named = {f"{kind}_{x}": y for kind, of in kinds.items() for x, y in of._asdict().items()}
    return named | more


def ceiling_of(config: RunConfig, baseline: float, corpus: Corpus | None) -> float | None:
    """Return the `accuracy_ceiling` of a run, None if it is unknown.

    `baseline` is the accuracy of a guess, and `corpus` has the user's own values, if any.
    """
    untrained = corpus.untrained_share(config.task) if corpus else 0.0
    return accuracy_ceiling(config, baseline, untrained)


def _of_own(config: RunConfig, own: OwnScores | None, good: np.ndarray) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if own:
        task = config.task
        fields["held_out_targets"] = len(own.corpus.held_out) - task.length + len(task.scored_times)
    if own and len(tokens := own.corpus.untrained):
        examples = [own.values[token] for token in tokens[:3]]
        share = own.corpus.untrained_share(config.task)
        fields["untrained"] = {"values": len(tokens), "examples": examples, "share": share}
    if own and own.fitted:
        of_training = _of_seeds(own.fitted, good & np.isfinite(own.fitted.loss))
        fields |= {f"training_{x}": np.median(of_training[x]) for x in ("accuracy", "loss")}
    if own and own.follows is not None:
        fields["follows"] = np.median(own.follows[good])
    return fields


def _beside_the_ceiling(
    config: RunConfig, ceiling: float | None, accuracy: np.ndarray, good: np.ndarray
) -> dict[str, Any]:
    """Return the fields of `Result` on the ceiling; no field if `ceiling` is None.

    `accuracy` has the training curves, `[S, N]`; `good`, bool `[S]`, is False for failed seeds.
    """
    if not ceiling or not knowable_share(config):
        return {} if ceiling is None else {"ceiling_accuracy": ceiling}
    # a ceiling of own values is below 1 for those that no training sequence has
    goal = 0.99 * (ceiling if config.data.file is None else 1)
    reached = _sequences_until(goal, accuracy, good)
    name = "sequences_to_99_of_ceiling"
    return {"ceiling_accuracy": ceiling, f"{name}_by_seed": reached} | _median(name, reached)


def _sequences_until(goal: float, accuracy: np.ndarray, good: np.ndarray) -> list[int | None]:
    """Return, by seed, the sequences until the accuracy `goal`; None for never or a failed seed."""
    curves = zip(accuracy, good, strict=True)
    return [statistics.sequences_until(curve, goal) if kept else None for curve, kept in curves]


def _median(name: str, values: list) -> dict[str, Any]:
    median, interval, _ = statistics.summary_of(values)
    return {name: median, f"{name}_interval": interval and interval._asdict()}


def _of_seeds(scored: Evaluation, good: np.ndarray) -> dict[str, list]:
    """Return accuracy and loss of every seed as lists; a failed seed gets 0 and infinity."""
    accuracy = np.where(good, scored.accuracy, 0.0)
    return {"accuracy": accuracy.tolist(), "loss": np.where(good, scored.loss, np.inf).tolist()}


def _answers(scored: Evaluation, good: np.ndarray, values: list[str] | None) -> dict[str, Any]:
    fields = {}
    shown = (np.argmax(good), 0)
    there = scored.first.scored[shown]
    for name in ("expected", "predicted"):
        tokens = getattr(scored.first, name)[shown][there].tolist()
        fields[name] = [values[token] for token in tokens] if values else tokens
    return fields
