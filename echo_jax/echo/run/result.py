"""The scores of a run or a grid point, as `result.json` and the files of rows have them. No jax."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from echo_jax.storage import atomic_files
from echo_jax.storage.row_file import Count

Share = Annotated[float, Meta(ge=0, le=1)]


class StoredInterval(msgspec.Struct):
    """An interval of a median or a share; a bound is None if it is infinite or was not reached."""

    low: float | None
    high: float | None
    coverage: float


class Reached(msgspec.Struct):
    """The share of the seeds that reached 99%.

    seeds     the number of seeds that reached 99%
    of        the number of all seeds
    interval  the Wilson interval of the share, or None for one seed
    """

    seeds: int
    of: int
    interval: StoredInterval | None


class SeedScores(msgspec.Struct, kw_only=True):
    """The scores of every seed, each a list `[S]`.

    None means an infinite loss or distance, or that the seed never reached 99%. A seed that failed
    has accuracy 0, an infinite loss and 0 recalled bits.
    """

    seed: list[Count]
    accuracy: list[Share]
    loss: list[float | None]
    distance: list[float | None] | UnsetType = UNSET  # between integers
    sequences_to_99: list[Count | None]
    recalled_bits: list[float] | UnsetType = UNSET  # of classes


class FailedSeeds(msgspec.Struct):
    """The seeds whose loss became non-finite, and at which sequence; None means the evaluation."""

    seed: list[Count] = []
    sequence: list[Count | None] = []


class Scores(msgspec.Struct, kw_only=True):
    """The scores of every seed beside the baselines, of a run or a grid point.

    The baseline is chance for random integers. For the user's own values it is the majority
    baseline, the share of the most common value and the entropy, and there is no distance. If the
    network is not fed its target, own values also have the scores of persistence and a k-gram
    (`echo.chance`).
    """

    baseline_accuracy: Share
    baseline_loss: float
    baseline_distance: float | UnsetType = UNSET
    order_blind_accuracy: Share
    order_blind_loss: float
    persistence_accuracy: Share | UnsetType = UNSET
    k_gram: Count | UnsetType = UNSET
    k_gram_accuracy: Share | UnsetType = UNSET
    k_gram_loss: float | UnsetType = UNSET
    by_seed: SeedScores
    failed: FailedSeeds
    updates: Annotated[int, Meta(ge=1)]
    seconds: dict[str, float] = {}  # wall time of each stage, all seeds
    versions: dict[str, str]


class Untrained(msgspec.Struct):
    """The values that occur only in the held-out part.

    values    the number of different values
    examples  up to 3 of these values
    share     the share of the targets that have such a value
    """

    values: int
    examples: list[str]
    share: float


class Result(Scores, kw_only=True):
    """The scores of a run beside its baselines, each the median of its seeds.

    An interval is None if there is one seed. A loss or a distance is None if it is infinite, and
    `sequences_to_99` is None if 99% was never reached. The answers to one sequence are given for
    one seed:

    answers_of_seed  the first seed that did not fail
    expected         the targets of this seed's first sequence in the evaluation
    predicted        the answers to them

    The ceiling is the highest accuracy possible with what the network was fed.
    `sequences_to_99_of_ceiling` is the number of sequences until 99% of the ceiling, and
    `..._by_seed` has this number for every seed.

    Only own values have these fields:

    training_*        the scores on the end of the training part, which is as long as the held-out
                      part; left out if the training part is shorter
    follows           the share of answers that follow a change of the value asked for if the
                      values come in random order
    held_out_targets  the number of held-out values that can be targets, equal for all seeds
    untrained         the values that occur only in the held-out part, if there are any

    `config` has the fields of the configuration. `digest` is the digest of all other fields except
    seconds, devices, cores and versions. `devices` names the kind of each device. `cores` is the
    number of XLA's threads, which decides last bits of large networks.

    Fields that may be UNSET are not in every file. Distances are for integers, and recalled bits
    are for classes. The ceiling is left out if values may depend on each other. The sequences until
    99% of the ceiling are left out if no target can be known.
    """

    accuracy: Share
    accuracy_interval: StoredInterval | None
    loss: float | None
    loss_interval: StoredInterval | None
    distance: float | UnsetType | None = UNSET
    distance_interval: StoredInterval | UnsetType | None = UNSET
    sequences_to_99: float | None
    sequences_to_99_interval: StoredInterval | None
    recalled_bits: float | UnsetType = UNSET
    recalled_bits_interval: StoredInterval | UnsetType | None = UNSET
    reached_99: Reached
    accuracy_by_position: list[Share | None]  # the mean over the seeds that did not fail
    answers_of_seed: Count
    expected: list[int | str]
    predicted: list[int | str]
    config: dict[str, Any]
    ceiling_accuracy: Share | UnsetType = UNSET
    sequences_to_99_of_ceiling: float | UnsetType | None = UNSET
    sequences_to_99_of_ceiling_interval: StoredInterval | UnsetType | None = UNSET
    sequences_to_99_of_ceiling_by_seed: list[Count | None] | UnsetType = UNSET
    training_accuracy: Share | UnsetType = UNSET
    training_loss: float | UnsetType | None = UNSET
    follows: Share | UnsetType = UNSET
    held_out_targets: Count | UnsetType = UNSET
    untrained: Untrained | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    devices: list[str] | UnsetType = UNSET
    cores: Count | UnsetType = UNSET


NOT_OF_THE_RUN = ("seconds", "devices", "cores", "versions", "digest")
"""Fields that are not a function of configuration and seed, excluded from the digest."""


def digest(result: Result) -> str:
    """Return the digest of the scores in `result`, without times, devices and versions."""
    fields = msgspec.to_builtins(result)
    for name in NOT_OF_THE_RUN:
        fields.pop(name, None)
    return atomic_files.digest_of(fields)
