"""The numbers that the measure fixes, so that only the cell differs; see docs/protocol.md.

Adam's are in `core.training.ADAM`. No jax: cards are read without it.
"""

from typing import Annotated, Any, Literal, get_args

import msgspec

from echo_jax.exceptions import ConfigError

QuestionName = Literal["by lag", "by key"]
Schedule = Literal["ramp", "adaptive"]
CardPart = Literal["by-lag", "by-key", "ramp"]
"""A question, or by key the schedule, to which a card can be limited."""

SYMBOLS = 16
"""V, the different tokens of a stream by lag."""

LAGS = 64
"""N: the lags asked for are 1 .. 64."""

ASKED = range(LAGS, 96, 4)
"""The steps, from 0, after which the state is asked; each has a token at every lag."""

STEPS = ASKED[-1] + 1
"""T, the steps of a stream by lag."""

KEYS = 64
"""M, the different keys, and the different values."""

PAIRS = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)
"""The numbers of pairs K that are asked, up to Kmax."""

SMALL_STATE = 800
"""Bytes of state up to which Kmax is `PAIRS_OF_SMALL`."""

PAIRS_OF_SMALL, PAIRS_OF_LARGE = 24, 64
"""Kmax of small states, and of larger ones."""

LARGEST_STATE = 2**16
"""Bytes of state up to which the heads by lag are trained."""

UPDATES, UPDATES_AT_ONCE = 3000, 250
"""Updates of a run, and those that are compiled as one call."""

ROWS = 16
"""B, the sequences of an update."""

LARGEST_NORM = 1.0
"""The norm that gradients are clipped to."""

SMALLEST_VARIANCE = 1e-12
"""Added to the variance of a number of the state before it is standardised."""

LARGEST_FACTOR, HALVINGS = 100.0, 30
"""Recalibration: the factors of logits are between 0 and this one, and so often halved."""

RAMP = 0.6
"""Share of the updates over which the ramp rises."""

LEARNED, PAST = 0.8, 0.97
"""Of the adaptive schedule: the running accuracy that adds a pair, and the weight of its past."""

STREAMS = 512
"""Streams by lag of each data set."""

RECALLS = 256
"""Rows by key of each K and data set."""

PLATEAU_FROM, PLATEAU_WITHIN = 4, 0.1
"""A seed is on the plateau if at every K from 4 its accuracy is so near to a list of the values."""

CEILING = 0.95
"""Share of the most bits that can be measured from which a value reads "at least"."""

SCANS_AGREE = 0.01
"""Largest difference of the accuracies by scan and by steps that a card does not mention."""


Rate = Annotated[float, msgspec.Meta(gt=0, le=1e6)]


class Configuration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first rate of a run, and by key how the number of pairs rises."""

    question: QuestionName
    rate: Rate
    schedule: Schedule | None = None


DEFAULT = (Configuration("by lag", 0.01), Configuration("by key", 0.01, "ramp"))
"""The configurations of the default card."""

FULL = (
    *(Configuration("by lag", rate) for rate in (0.01, 0.03, 0.1)),
    *(Configuration("by key", rate, x) for x in get_args(Schedule) for rate in (0.01, 0.003)),
)
"""The configurations of a full card, of which a seed takes its best one for each question."""

DEFAULT_SEEDS, FULL_SEEDS, MOST_SEEDS = 4, 8, 1000


def is_count(value: Any) -> bool:
    """True for a whole number from 1, also of numpy."""
    return hasattr(value, "__index__") and not isinstance(value, bool) and value >= 1


def check_seeds(count: int | None) -> None:
    """Raise ConfigError for a number of seeds that is out of range; None is that of the card."""
    if count is not None and not (is_count(count) and count <= MOST_SEEDS):
        raise ConfigError("seeds", count, "is out of range", f"use 1 to {MOST_SEEDS:,}")


def pairs_asked(most: int) -> tuple[int, ...]:
    """The numbers of pairs that are asked up to Kmax."""
    return tuple(pairs for pairs in PAIRS if pairs <= most)


def most_pairs(state_bytes: int) -> int:
    """Kmax of a cell, from the bytes of its state."""
    return PAIRS_OF_SMALL if state_bytes <= SMALL_STATE else PAIRS_OF_LARGE
