"""The card of a cell: its rows, and what follows from them. No jax.

    NAME/card.json     one number a field; rewritten with every row
    NAME/rows.jsonl    a line for each run, added as it came
    NAME/card.md, .svg pages of these, and picture.svg

A card is a function of its cell and rows, so a measurement that was stopped can continue.
"""

import datetime
import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

from echo_jax.config import BLOCK_PREFIX
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.memory.protocol import (
    ASSOCIATES,
    CEILING,
    PILOT_SEED,
    SCANS_AGREE,
    STANDARD,
    Configuration,
    Protocol,
    QuestionName,
)
from echo_jax.memory.questions import NAMED, order
from echo_jax.memory.rows import (
    DECIMALS,
    Count,
    KeyRow,
    LagRow,
    MeasuredTask,
    Row,
    TaskRow,
    TaskScore,
    row_kind,
)
from echo_jax.report.number_formats import plain
from echo_jax.storage import atomic_files

CARD_FILE, ROWS_FILE = "card.json", "rows.jsonl"

MIXED_DEVICES = "its rows were made on several devices or numbers of cores, and bits may differ"

UNCONVOLVED = 4
"""The first lag that the convolution of a block does not see."""

Text = Annotated[str, Meta(min_length=1, max_length=1000)]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
DEVICE = r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?"  # of Windows, where no folder is called so
CardName = Annotated[str, Meta(pattern=NAME)]
Number = Annotated[float, Meta(ge=-1e9, le=1e9)]


class MeasuredCell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The cell that was measured.

    name    as after --cell
    args    its keyword arguments
    source  SHA-256 of the file of a user's cell; null for a cell of the package
    framework  the package that trained and ran it, as among the versions; absent for JAX
    """

    name: Text
    args: dict[str, Any]
    source: Text | None = None
    framework: Text | UnsetType = UNSET

    @property
    def in_block(self) -> bool:
        """True if the cell is in a block, the common block or another one."""
        return self.name.startswith(BLOCK_PREFIX)

    @property
    def bare(self) -> str:
        """The name of the cell without its block."""
        return self.name.removeprefix(BLOCK_PREFIX)


class Seeded(msgspec.Struct, forbid_unknown_fields=True):
    """A measure over seeds.

    mean       the mean bits
    low, high  the bits of the lowest and the highest seed, for 8 seeds an interval of 99% for the
               median; null for a single seed
    seeds      the seeds, in order
    by_seed    the bits of each seed
    at_least   whether the mean is within 5% of the most that can be measured, or by key a seed is
               best at Kmax
    curve      by lag the mean bits of each lag; by key the mean accuracy at each K
    """

    mean: Number
    low: Number | None
    high: Number | None
    seeds: list[Count]
    by_seed: list[Number]
    at_least: bool
    curve: list[Number]


class BitsByLag(Seeded):
    """The bits of the state about the tokens 1 .. 64 steps back.

    from_lag_4 the bits of lags 4 .. 64, as the convolution of a block sees lags 1 to 3
    """

    from_lag_4: Number


class BitsByKey(Seeded):
    """The bits about the values of K pairs, at the best K; `pairs` are the K of the curve.

    curves      the accuracy of each seed at each K
    associated  the median over the seeds of the first update at which a network associates, see
                `updates_until_associated`; null if half of the seeds never do, or it is unknown
    never       how many seeds never do
    """

    pairs: list[Count]
    curves: list[list[Number]]
    associated: Number | None
    never: Count


class BitsAnAnswer(Seeded):
    """The bits per answer of a task: the answers' entropy less the recalibrated cross-entropy.

    It has no curve, and is never `at_least`.

    accuracy  the mean accuracy over the seeds
    entropy   the entropy of the answers, in bits
    baseline  bits per answer and accuracy of the task's baseline on the same rows; null without one
    majority  the mean share of the most frequent answer; null in older rows
    """

    accuracy: Number
    entropy: Number
    baseline: tuple[Number, Number] | None = None
    majority: Number | None = None


class Budget(msgspec.Struct, forbid_unknown_fields=True):
    """The bits after another number of updates; `by_seed` of the `seeds`, in order."""

    question: QuestionName
    updates: Count
    mean: Number
    seeds: list[Count]
    by_seed: list[Number]


class PilotChoice(msgspec.Struct, forbid_unknown_fields=True):
    """The mean validation bits of the pilot with a configuration."""

    configuration: Configuration
    mean: Number


class Card(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A memory card.

    protocol       5, or all numbers of a protocol of the user's own
    state_bytes    bytes of the cells' state, in the question with the larger one
    state_numbers  how many numbers of each type that state has; a complex number is two
    conv_bytes     bytes of the state of a block's convolutions
    constant_bytes bytes of the arrays that the program by key holds beside its parameters
    keys, values   d_k and d_v of a matrix state
    parameters     how many numbers are trained by key, with the block and the readout
    seeds          seeds asked for last, or with a row; `bits_by_lag.seeds` are those that count
    configuration  configurations of the rows that count, one for a question and number of updates
    pilot          what the pilot measured; the configuration with the most bits counts
    budgets        bits after other numbers of updates
    devices        the devices on which rows were made
    remarks        sentences on what a reader should know
    task           the task that was asked, with its bits_an_answer; absent without a task
    file_digest    the digest of all other fields, in a file; absent elsewhere
    """

    protocol: Literal[5] | Protocol = 5
    name: CardName
    cell: MeasuredCell
    state_bytes: Count
    state_numbers: dict[str, Count] = {}
    conv_bytes: Count
    constant_bytes: Count = 0
    keys: Count | None = None
    values: Count | None = None
    parameters: Count
    seeds: list[Count]
    configuration: list[Configuration]
    bits_by_lag: BitsByLag | None = None
    bits_by_key: BitsByKey | None = None
    pilot: list[PilotChoice] = []
    budgets: list[Budget] = []
    date: datetime.date
    devices: list[str] = []
    versions: dict[str, str] = {}
    remarks: list[str] = []
    task: MeasuredTask | UnsetType = UNSET
    bits_an_answer: BitsAnAnswer | UnsetType = UNSET
    file_digest: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Name the standard protocol, also where its numbers are given."""
        if self.protocol == STANDARD:
            self.protocol = 5

    @property
    def numbers(self) -> Protocol:
        """The numbers of its protocol."""
        return self.protocol if isinstance(self.protocol, Protocol) else STANDARD


def protocol_of(cards: Iterable[Card]) -> Protocol:
    """Return the protocol of cards; raise ConfigError if they have several."""
    of = {card.numbers: card.name for card in cards} or {STANDARD: ""}
    if len(of) > 1:
        first, second, *_ = (f"{name} (protocol {key.name})" for key, name in of.items())
        rule = "cannot be shown together: use cards of one {protocol}"
        raise ConfigError(f"{first} and {second} {rule}")
    return next(iter(of))


def check_name(name: str, folder: Path | None = None) -> None:
    """Raise ConfigError unless `name`, of a `folder` if given, is a valid card name."""
    valid = isinstance(name, str) and re.fullmatch(NAME, name)
    if not valid or re.fullmatch(DEVICE, name, re.I):
        field = None if folder else "name"
        fix = "use up to 100 letters, digits, ., _ and -, but not a device of Windows such as CON"
        raise ConfigError(field, folder or name, "is not a valid name of a card", fix)


def lag_bits(nats: Sequence[float] | None, protocol: Protocol) -> np.ndarray:
    """Return the bits of each lag, at least 0, `[N]`; zeros for a run without a score."""
    if nats is None:
        return np.zeros(protocol.lags)
    bits = math.log2(protocol.symbols) - np.asarray(nats, np.float64) / math.log(2)
    # Tokens are uniform, so a factor of 0 makes each head a guess of log2 V bits: a value below 0
    # is noise of the recalibration.
    return np.maximum(bits, 0.0)


def accuracy(right: Sequence[int] | None, row: KeyRow) -> np.ndarray:
    """Return the share of right answers at each K; zeros for a run without a score."""
    return np.array(right or [0] * len(row.asked)) / np.array(row.asked)


def accuracy_bits(pairs: np.ndarray, accuracy: np.ndarray, values: int) -> np.ndarray:
    """Return the bits about the values of K pairs, each one of M, at this accuracy, by Fano.

        K (log2 M - h(e) - e log2(M - 1))       e = 1 - accuracy, at most 1 - 1/M

    h is the binary entropy in bits (Cover & Thomas 2006, section 2.10).
    """
    # Not by cross-entropy, in which a list of the values, without a key, has 35.6 bits at K = 16.
    wrong = np.clip(1 - np.asarray(accuracy, np.float64), 0.0, 1 - 1 / values)
    # 0 log 0 counts as 0.
    entropy = -sum(x * np.log2(np.where(x > 0, x, 1.0)) for x in (wrong, 1 - wrong))
    each = math.log2(values) - entropy - wrong * math.log2(values - 1)
    return np.asarray(pairs) * np.maximum(each, 0.0)


@functools.cache
def accuracy_of_list(pairs: int, values: int) -> float:
    """Return the accuracy of a list, which knows the values that occurred but not their keys.

    It answers each question with the most frequent value, so the accuracy is E[max count] / K for K
    independent values of M. P(max <= m) = K! / M^K times the coefficient of x^K in (sum_(j <= m)
    x^j / j!)^M.
    """
    at_most = []
    for most in range(pairs):
        term = np.array([1 / math.factorial(j) for j in range(most + 1)])
        power = np.ones(1)
        for _ in range(values):
            # No higher power of x than K is asked for.
            power = np.convolve(power, term)[: pairs + 1]
        share = power[pairs] if len(power) > pairs else 0.0
        at_most.append(share * math.factorial(pairs) / float(values) ** pairs)
    return (pairs - sum(at_most)) / pairs  # E[max] = sum over m of P(max > m), m = 0 .. K - 1


def validation_bits(row: Row, protocol: Protocol) -> float:
    """Return the bits on validation data; a run without a score has the fewest of all."""
    if row.validation is None:
        return -math.inf
    if isinstance(row, TaskRow):
        return row.validation.bits
    if isinstance(row, LagRow):
        return float(lag_bits(row.validation, protocol).sum())
    right = accuracy(row.validation, row)
    return float(accuracy_bits(np.array(row.pairs), right, protocol.values).max())


def bits_of(rows: Sequence[Row], protocol: Protocol) -> BitsByLag | BitsByKey | BitsAnAnswer:
    """Return the measure of some rows of one configuration; a seed without a score has 0 bits."""
    chosen: list[Any] = sorted(rows, key=lambda row: row.seed)
    if isinstance(chosen[0], TaskRow):
        return bits_an_answer(chosen)
    measure = bits_by_lag if isinstance(chosen[0], LagRow) else bits_by_key
    return measure(chosen, protocol)


def bits_by_lag(chosen: Sequence[LagRow], protocol: Protocol) -> BitsByLag:
    """Return the measure by lag, of a row for each seed."""
    curves = np.array([lag_bits(row.final, protocol) for row in chosen])
    most = protocol.lags * math.log2(protocol.symbols)
    return BitsByLag(
        **_seeded([row.seed for row in chosen], curves.sum(axis=1), most, curves.mean(axis=0)),
        from_lag_4=plain(curves[:, UNCONVOLVED - 1 :].sum(axis=1).mean(), DECIMALS),
    )


def bits_by_key(chosen: Sequence[KeyRow], protocol: Protocol) -> BitsByKey:
    """Return the measure by key, of a row for each seed.

    The K of a seed is that with the most accuracy bits on validation data.
    """
    pairs = np.array(chosen[0].pairs)
    validation = np.array([accuracy(row.validation, row) for row in chosen])
    final = np.array([accuracy(row.final, row) for row in chosen])
    # K is chosen on other rows than are scored: the best of up to 14 scores is too high by chance.
    best = np.argmax(accuracy_bits(pairs, validation, protocol.values), axis=1)
    by_seed = accuracy_bits(pairs, final, protocol.values)[np.arange(len(chosen)), best]
    most = pairs[-1] * math.log2(protocol.values)
    measured = _seeded([row.seed for row in chosen], by_seed, most, final.mean(axis=0))
    measured["at_least"] |= bool((best == len(pairs) - 1).any())
    known = [row for row in chosen if row.associated and row.final is not None]
    failed = [row for row in chosen if row.final is None]
    # A run that failed counts as never, but older rows do not know, and then nothing is said.
    until = [updates_until_associated(row, protocol) for row in [*known, *failed] if known]
    median = float(np.median(until)) if until else math.inf
    return BitsByKey(
        **measured,
        pairs=pairs.tolist(),
        curves=plain(final, DECIMALS),
        associated=plain(median, DECIMALS),
        never=until.count(math.inf),
    )


def bits_an_answer(chosen: Sequence[TaskRow]) -> BitsAnAnswer:
    """Return the measure of a task, of a row for each seed; one without a score has 0 bits."""
    finals = [row.final or TaskScore(0, 0, 0) for row in chosen]
    by_seed = np.array([max(final.bits, 0.0) for final in finals])
    entropies = [final.entropy for final in finals if final.entropy]
    shares = [row.majority for row in chosen if row.majority is not UNSET]
    baselines = [(row.baseline.bits, row.baseline.accuracy) for row in chosen if row.baseline]
    return BitsAnAnswer(
        **_seeded([row.seed for row in chosen], by_seed, math.inf, np.zeros(0)),
        accuracy=plain(np.mean([final.accuracy for final in finals]), DECIMALS),
        entropy=plain(np.mean(entropies or [0.0]) / math.log(2), DECIMALS),
        baseline=plain(np.mean(baselines, axis=0), DECIMALS) if baselines else None,
        majority=plain(np.mean(shares), DECIMALS) if shares else None,
    )


def updates_until_associated(row: KeyRow, protocol: Protocol) -> float:
    """Return the first update after which half of the answers about 4 pairs are right, twice.

    Twice means also at the next check. It is infinite if that never happens. A list of the values
    answers 27% right.
    """
    half = protocol.recalls * protocol.associated * ASSOCIATES
    checks = [right >= half for right in row.associated or []]
    twice = [a and b for a, b in itertools.pairwise(checks)]
    return (twice.index(True) + 1) * protocol.updates_at_once if True in twice else math.inf


def pilot_of(rows: Iterable[Row], protocol: Protocol) -> list[PilotChoice]:
    """Return the mean bits of the pilot with each configuration; non-finite runs have 0 bits."""
    found: dict[Configuration, list[float]] = {}
    for row in rows:
        if row.seed >= PILOT_SEED:
            # A run that is not finite has -inf, which would be the mean of its rate.
            bits = max(validation_bits(row, protocol), 0.0)
            found.setdefault(row.configuration, []).append(bits)

    def order(of: Configuration) -> tuple[str, int, float]:
        return of.question, of.updates, of.rate

    means = {of: plain(float(np.mean(found[of])), DECIMALS) for of in sorted(found, key=order)}
    return [PilotChoice(of, mean) for of, mean in means.items()]


def chosen_by(
    pilot: Iterable[PilotChoice], choices: Collection[Configuration]
) -> Configuration | None:
    """Return the configuration with the most bits in the pilot, the first of equal ones.

    None if the pilot has none of the `choices`.
    """
    # max keeps the first of equal ones, which is the smaller rate, as `pilot_of` sorts them.
    asked = [x for x in pilot if x.configuration in choices]
    return max(asked, key=lambda x: x.mean).configuration if asked else None


def rows_that_count(rows: Sequence[Row], card: Card) -> dict[tuple[QuestionName, int], list[Row]]:
    """Return the rows of a card's configurations by question and updates, sorted by seed.

    The rows of the pilot are left out, and rows of other configurations, which may precede a pilot.
    """
    kinds: dict[tuple[QuestionName, int], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row.seed):
        if row.configuration in card.configuration and row.seed < PILOT_SEED:
            kinds.setdefault((row.configuration.question, row.updates), []).append(row)
    return dict(sorted(kinds.items(), key=lambda kind: order(*kind[0])))


def with_rows(card: Card, rows: Sequence[Row]) -> Card:
    """Return the card that its rows show."""
    protocol = card.numbers
    counted = rows_that_count(rows, card)
    measured = {kind: bits_of(of, protocol) for kind, of in counted.items()}
    usual = protocol.updates
    others = [(kind, of) for kind, of in measured.items() if kind[1] != usual]
    return msgspec.structs.replace(
        card,
        **{x.field: measured.get((x.name, usual), x.absent) for x in NAMED.values()},
        pilot=pilot_of(rows, protocol),
        budgets=[Budget(*kind, of.mean, of.seeds, of.by_seed) for kind, of in others],
        # As the score carried the state from step to step: a cell could state any size.
        state_bytes=max((row.state_bytes for row in rows), default=0) or card.state_bytes,
        constant_bytes=max((getattr(x, "constant_bytes", 0) for x in rows), default=0),
        devices=list(dict.fromkeys(row.device for row in rows if row.device)),
        remarks=list(dict.fromkeys([*card.remarks, *remarks_of(rows)])),
    )


def remarks_of(rows: Sequence[Row]) -> list[str]:
    """Return sentences on a mixture of devices, and on forms of the cell that disagree."""
    mixed = len({row.device for row in rows if row.device}) > 1
    differ = [
        f"seed {row.seed} {row.configuration.question}: the accuracy by the cell's "
        f"scan differs from that by its steps by {row.difference:+.1%}; the steps count"
        for row in rows
        if abs(row.difference) > SCANS_AGREE
    ]
    return [MIXED_DEVICES, *differ] if mixed else differ


def read(folder: Path) -> tuple[Card, list[Row]]:
    """Return the card in a folder and its rows; raise StorageError unless they are valid.

    The card is computed from the rows, so it cannot claim other bits. Its name is that of the
    folder, which may have been copied or renamed. Raises ConfigError unless that is a valid card
    name.
    """
    check_name(folder.name, folder)
    path = folder / CARD_FILE
    fix = "use an unchanged card of protocol 5 or of your own protocol"
    values = atomic_files.read_json(path, fix)
    try:
        msgspec.json.encode(values)  # ValueError for half a pair of surrogates: it is no text
        card = msgspec.convert(values, Card)
    except (ValueError, RecursionError) as error:
        raise StorageError(None, path, f"is not valid ({error})", fix) from error
    card.name = folder.name
    rows = row_kind(card.numbers).read(folder / ROWS_FILE)
    check_together(rows, folder / ROWS_FILE, card.task)
    return with_rows(card, rows), rows


def check_together(rows: Sequence[Row], path: Path, task: MeasuredTask | UnsetType) -> None:
    """Raise StorageError unless the rows fit: each run once, equal pairs by key, and this task."""
    fix = "keep only the rows of one card, each once"
    twice = [key for key, count in Counter(row.key for row in rows).items() if count > 1]
    if twice:
        raise StorageError(None, path, f"has {twice[0]} twice", fix)
    if len({tuple(row.pairs) for row in rows if isinstance(row, KeyRow)}) > 1:
        raise StorageError(None, path, "has rows by key with different numbers of pairs", fix)
    if any(getattr(row, "task", UNSET) != task for row in rows):
        raise StorageError(None, path, "has rows that do not belong to the task of its card", fix)


def write(card: Card, rows: Sequence[Row], folder: Path) -> Card:
    """Update the card from its rows, write it into the folder, and return it."""
    shown = with_rows(card, rows)
    atomic_files.write_json(folder / CARD_FILE, msgspec.to_builtins(shown), indent=1)
    return shown


def write_whole(card: Card, rows: Sequence[Row], folder: Path) -> Card:
    """Write a card and all its rows, replacing existing ones."""
    row_kind(card.numbers).write(folder / ROWS_FILE, rows)
    return write(card, rows, folder)


def _seeded(seeds: list[int], values: np.ndarray, most: float, curve: np.ndarray) -> dict[str, Any]:
    several = len(values) > 1
    fields = {
        "mean": values.mean(),
        "low": values.min() if several else None,
        "high": values.max() if several else None,
        "seeds": seeds,
        "by_seed": values,
        "at_least": values.mean() >= CEILING * most,
        "curve": curve,
    }
    return plain(fields, DECIMALS)
