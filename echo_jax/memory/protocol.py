"""Define the numbers of the measure, which are equal for all cells, so that only the cell differs.

docs/protocol.md explains the numbers. The numbers of Adam are in `learner.update.ADAM`. This module
does not import jax, so cards can be read where jax is missing.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from echo_jax.config import checked, unknown
from echo_jax.exceptions import ConfigError, shown
from echo_jax.storage import atomic_files

QuestionName = Literal["by lag", "by key", "task"]
CardPart = Literal["by-lag", "by-key"]
"""A question to which a card can be limited by `only`."""

MOST_SEEDS = 1000

PILOT_SEED = MOST_SEEDS
"""The first seed of the pilot; all other runs of a card have smaller seeds."""

CEILING = 0.95
"""The share of the most measurable bits from which a mean is marked "at least"."""

ASSOCIATES = 0.5
"""The least share of right answers of a network that associates, see `updates_until_associated`."""

TASK_RATES = 3
"""How many rates the pilot tries on a task; these are the first rates of `Protocol.rates`."""

SCANS_AGREE = 0.01
"""The largest difference between the accuracies by scan and by steps that needs no remark."""

Rate = Annotated[float, Meta(gt=0, le=1e6)]
Whole = Annotated[int, Meta(ge=1, le=10**9)]
Positive = Annotated[float, Meta(gt=0, le=1e6)]
Share = Annotated[float, Meta(gt=0, le=1)]
Values = Annotated[int, Meta(ge=2, le=127)]  # so each token is one byte, and 255 is free
Pairs = Annotated[tuple[Whole, ...], Meta(min_length=1, max_length=100)]
Seeds = Annotated[int, Meta(ge=1, le=MOST_SEEDS)]


class Configuration(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """The question, the number of updates and the first learning rate of a run."""

    question: QuestionName
    updates: Whole
    rate: Rate

    def __str__(self) -> str:
        """Return the configuration in words, such as: by key, rate 0.01, 3000 updates."""
        return f"{self.question}, rate {self.rate}, {self.updates} updates"

    def run(self, seed: int) -> str:
        """Return the key of the run with this `seed`: seed 0, by key, rate 0.01, 3000 updates."""
        return f"seed {seed}, {self}"


Budgets = Annotated[tuple[Whole, ...], Meta(max_length=20)]
Rates = Annotated[tuple[Rate, ...], Meta(min_length=1, max_length=20)]


class RefusesUnknown(msgspec.StructMeta):
    """The class of a Struct whose constructor refuses an unknown number with ConfigError."""

    def __call__(self, *given: Any, **numbers: Any) -> Any:
        """Return the Struct with these numbers; msgspec itself would raise TypeError."""
        known = self.__struct_fields__
        for name in numbers:
            if name not in known:
                raise unknown(name, name, known, f"help(echo_jax.{self.__name__})")
        return super().__call__(*given, **numbers)


class Protocol(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    metaclass=RefusesUnknown,
):
    """All numbers on which the rows of a card depend, checked when the protocol is made.

    symbols            V, the number of different tokens of a stream by lag
    lags               N; there is a head for each lag of 1 .. N steps
    asked_steps        the number of steps after which the state is read by lag; the first is step
                       N, counted from 0, so a token at every lag lies before it
    asked_every        the number of steps from one asked step to the next
    keys               the number of different keys
    values             M, the number of different values
    fillers            the number of fillers by key before the first query: for each layer of a
                       block, or for a bare cell
    pairs              the numbers of pairs K that are scored, up to Kmax
    small_state        the bytes of the largest state for which Kmax is `pairs_of_small`
    pairs_of_small     Kmax for a state of up to `small_state` bytes
    pairs_of_large     Kmax for a larger state
    largest_state      the bytes of the largest state that is measured by lag
    updates            the number of updates of the runs whose bits a card states
    updates_at_once    the number of updates of one compiled call
    budgets            other numbers of updates by lag, on a full card
    rates              the learning rates that the pilot tries by lag; on a task, the pilot tries
                       the first three
    rates_by_key       the learning rates that the pilot tries by key, on a full card; other cards
                       take the rate that is published for the cell, or the middle rate
    pilot_seeds        the number of seeds of the pilot, for each rate
    pilot_updates      the number of updates of a run of the pilot by lag; by key, the pilot makes
                       `updates`, and on a task as many as the runs for which it chooses a rate
    rows               B, the number of sequences in a batch, which is used for one update
    largest_norm       the norm to which gradients are clipped
    smallest_variance  the number that is added to the variance when a number of the state is
                       standardised
    largest_factor     the largest factor of recalibration
    halvings           how often the range of this factor is halved
    ramp               the share of the updates during which K by key, or the level of a task, rises
    streams            the number of streams by lag, or of rows of a task, in each data set
    recalls            the number of rows by key for each K, in each data set
    associated         the number of pairs K that the checks ask about; a network associates when
                       half of these answers are right
    default_seeds      the number of seeds of a default card
    full_seeds         the number of seeds of a full card

    Raises:
      ConfigError: a number is unknown, has a wrong type, is out of range, or does not fit the other
        numbers.
    """

    symbols: Annotated[int, Meta(ge=2, le=256)] = 16
    lags: Annotated[int, Meta(ge=1, le=10_000)] = 64
    asked_steps: Annotated[int, Meta(ge=1, le=10_000)] = 8
    asked_every: Annotated[int, Meta(ge=1, le=10_000)] = 4
    keys: Values = 64
    values: Values = 64
    fillers: Annotated[int, Meta(ge=0, le=1000)] = 3
    pairs: Pairs = (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)
    small_state: Whole = 800
    pairs_of_small: Values = 24
    pairs_of_large: Values = 64
    largest_state: Whole = 2**16
    updates: Whole = 3000
    updates_at_once: Whole = 100
    budgets: Budgets = (1000, 10_000)
    rates: Rates = (0.003, 0.01, 0.03, 0.1, 0.3)
    rates_by_key: Rates = (0.001, 0.003, 0.01, 0.03, 0.1)
    pilot_seeds: Seeds = 3
    pilot_updates: Whole = 300
    rows: Annotated[int, Meta(ge=2, le=10**6)] = 16
    largest_norm: Positive = 1.0
    smallest_variance: Positive = 1e-12
    largest_factor: Positive = 100.0
    halvings: Annotated[int, Meta(ge=1, le=100)] = 30
    ramp: Share = 0.6
    streams: Whole = 512
    recalls: Whole = 256
    associated: Whole = 4
    default_seeds: Seeds = 4
    full_seeds: Seeds = 8

    def __post_init__(self) -> None:
        """Raise ConfigError unless all numbers are valid; lists, as in files, become tuples."""
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            try:
                # A Struct checks types where it is decoded and not where it is constructed.
                plain = msgspec.convert(msgspec.to_builtins(value), field.type)
            except (msgspec.ValidationError, TypeError) as error:
                fix = "use a value that docs/card.schema.json allows"
                raise ConfigError(field.name, value, f"is refused ({error})", fix) from error
            if isinstance(plain, tuple) and len(set(plain)) < len(plain):
                raise ConfigError(field.name, value, "has a value twice", "give each value once")
            # The struct is frozen.
            msgspec.structs.force_setattr(self, field.name, plain)
        self._check_together()

    def _check_together(self) -> None:
        for name in ("updates", "pilot_updates"):
            self.check_updates(getattr(self, name), name)
        for updates in self.budgets:
            self.check_updates(updates, "budgets")
        if list(self.pairs) != sorted(set(self.pairs)):
            raise ConfigError("pairs", list(self.pairs), "are not in rising order", "sort them")
        if self.associated > self.keys:
            rule = f"is more than the {self.keys} keys"
            raise ConfigError("associated", self.associated, rule, "use a smaller {associated}")
        for name in ("pairs_of_small", "pairs_of_large"):
            most = getattr(self, name)
            if most > self.keys:
                raise ConfigError(name, most, f"is more than the {self.keys} keys", "use fewer")
            if most not in self.pairs:
                rule = f"is not among the pairs {shown(list(self.pairs))}"
                raise ConfigError(name, most, rule, "add it to {pairs}, or use one of them")

    def check_updates(self, updates: int, name: str = "updates") -> None:
        """Raise ConfigError, about the field `name`, unless a run can make this many `updates`.

        The number must be a multiple of `updates_at_once`.
        """
        checked(name, int, updates)
        at_once = self.updates_at_once
        if updates % at_once:
            rule = f"is not a multiple of the {at_once} updates that are compiled as one call"
            next_one = -(-updates // at_once) * at_once
            fix = f"use {next_one}, or another updates_at_once of the protocol"
            raise ConfigError(name, updates, rule, fix)

    @property
    def asked(self) -> range:
        """The steps, counted from 0, after which the state is read by lag."""
        return range(self.lags, self.lags + self.asked_steps * self.asked_every, self.asked_every)

    @property
    def tokens(self) -> int:
        """The number of different tokens by key: the keys, then the values, then the filler."""
        return self.keys + self.values + 1

    @property
    def digest(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of all numbers."""
        return atomic_files.digest_of(msgspec.to_builtins(self))[:12]

    @property
    def name(self) -> str:
        """The name of the protocol: 5, or for a user's own protocol its digest."""
        return self.digest if self.own else "5"

    @property
    def own(self) -> dict[str, Any]:
        """The numbers that differ from protocol 5, by name."""
        standard = msgspec.to_builtins(STANDARD)
        return {key: x for key, x in msgspec.to_builtins(self).items() if x != standard[key]}

    def card_name(self, name: str) -> str:
        """Return the default name of a card: `name`, with the digest of a user's own protocol."""
        return f"{name}-{self.digest}" if self.own else name

    def pairs_up_to(self, most: int) -> tuple[int, ...]:
        """Return the numbers of pairs that are scored up to `most` = Kmax."""
        return tuple(pairs for pairs in self.pairs if pairs <= most)

    def most_pairs(self, state_bytes: int) -> int:
        """Return Kmax for a cell whose state has `state_bytes` bytes."""
        return self.pairs_of_small if state_bytes <= self.small_state else self.pairs_of_large


STANDARD = Protocol()
"""Protocol 5, with which the published cards were made."""


def read_protocol(path: Path | None) -> Protocol:
    """Return the protocol in the TOML file `path`, or `STANDARD` if `path` is None.

    The file sets only the numbers that differ from the standard protocol.

    Raises:
      ConfigError: the file is not TOML, or a number in it is refused.
      StorageError: the file cannot be read.
    """
    if path is None:
        return STANDARD
    if not path.name:  # an empty argument is the path "."
        rule = "is not a file"
        raise ConfigError("protocol", path, rule, "name a TOML file, or leave {protocol} out")
    fix = "use lines such as updates = 1000, with names of Protocol in docs/card.schema.json"
    data = atomic_files.read_bytes(path, atomic_files.JSON_LIMIT, fix=fix)
    data = data.removeprefix("\ufeff".encode())  # as editors of Windows write it
    try:
        return Protocol(**msgspec.toml.decode(data))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise ConfigError(None, path, f"is not a protocol ({error})", fix) from error


def check_seeds(count: int | None) -> None:
    """Raise ConfigError unless `count`, a number of seeds, is None or from 1 to `MOST_SEEDS`."""
    if (checked("seeds", int | None, count) or 1) > MOST_SEEDS:
        raise ConfigError("seeds", count, "is out of range", f"use 1 to {MOST_SEEDS:,}")
