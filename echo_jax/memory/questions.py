"""Define the questions of a card: by lag, by key, and of a task. Imports no jax.

A new question also needs code in these modules:

bits, rows, card_contents             its bits, its row, and the field of a card
lag_measurement, key_measurement,
task_measurement                      its network, data and loss, see `learning.Measurement`
card.train_and_score                  `measurements`, from its name to its network
pages.figures                         its curves
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar
from typing import Protocol as Interface

import numpy as np
from msgspec import UNSET, UnsetType

from echo_jax.memory import bits
from echo_jax.memory.protocol import TASK_RATES, Configuration, Protocol, QuestionName
from echo_jax.memory.reading import PAIRS, PIXELS, SYMBOLS, VALUES
from echo_jax.memory.rows import KeyRow, LagRow, Row, TaskRow, TaskScore
from echo_jax.report.number_formats import plain


class Question(Interface):
    """A question that a card answers in bits, such as `BY_LAG`.

    Its network, data and loss, which need jax, are in a `learning.Measurement`.

    name         the name in configurations and rows; in the flag `--only` with a hyphen
    field        the field of a card that holds the bits
    absent       the value of that field if nothing was measured
    has_budgets  whether a full card also has runs with other numbers of updates
    long_pilot   whether only a full card has a pilot, because the pilot takes longer than the other
                 runs of a default card
    words        the words for the bits on pages
    suffix       the end of the table headings for the question's rates and numbers of updates

    A question with curves also sets:

    digits            the format of the values of a curve on the page on which cards are explored
    short             the name in the address of that page
    title             the title of the curves on that page
    curves            the name of the curves, and of the files of their figures
    x_label, y_label  the labels of the axes
    reading           how to read the figures; {most} in the text becomes the most bits of a token
    """

    name: ClassVar[QuestionName]
    field: ClassVar[str]
    absent: ClassVar[UnsetType | None] = None
    has_budgets: ClassVar[bool] = False
    long_pilot: ClassVar[bool] = False
    words: ClassVar[str]
    suffix: ClassVar[str]
    digits: ClassVar[str] = ""
    short: ClassVar[str] = ""
    title: ClassVar[str] = ""
    curves: ClassVar[str] = ""
    x_label: ClassVar[str] = ""
    y_label: ClassVar[str] = ""
    reading: ClassVar[str] = ""

    def pilot(self, protocol: Protocol, updates: int | None = None, /) -> list[Configuration]:
        """Return the configurations among which the pilot chooses, by the rates of `protocol`.

        On a task, their number of updates is `updates`, or the usual one; other questions ignore
        `updates`.
        """

    def least_bytes(self, protocol: Protocol) -> int:
        """Return a lower bound of the bytes that data sets and logits take under `protocol`."""

    def measure(self, rows: Sequence[Any], protocol: Protocol, /) -> bits.Bits:
        """Return the bits of `rows` of one configuration: one row for each seed, in order.

        The bits of a row depend on the numbers of `protocol`.
        """

    def tokens(self, _: Protocol, /) -> int:
        """Return how many different tokens a cell is fed; 0 on a task, which has its own number."""
        return 0

    def has_picture(self, _: Protocol, _seed: int = 0, /) -> bool:
        """Return True if a picture is drawn from the answers of a run, by its protocol and seed."""
        return False


class _ByLag(Question):
    name, field = "by lag", "bits_by_lag"
    has_budgets = True
    words, suffix, digits, short = "bits by lag", "", ".2f", "lag"
    title = "Bits about the token, by how many steps ago it came"
    curves, x_label, y_label = "forgetting", "steps back", "bits about the token"
    reading = (
        "Bits, of {most:.3g}, that the state holds about a token, by how many steps ago it came. "
        "The area under a curve is its bits by lag."
    )

    def pilot(self, protocol: Protocol, _: int | None = None, /) -> list[Configuration]:
        return [Configuration(self.name, protocol.pilot_updates, x) for x in protocol.rates]

    def least_bytes(self, protocol: Protocol) -> int:
        """Return the bytes of the tokens of all streams, and of all logits of one data set."""
        sets = (protocol.asked[-1] + 1) * (protocol.rows + 3 * protocol.streams)
        answers = protocol.asked_steps * protocol.lags * protocol.symbols
        return 4 * (sets + answers * max(protocol.rows, protocol.streams))

    def measure(self, rows: Sequence[LagRow], protocol: Protocol, /) -> bits.BitsByLag:
        """Return the bits of each seed: the sum of its curve over all lags."""
        curves = np.array([row.curve(protocol) for row in rows])
        most = protocol.lags * math.log2(protocol.symbols)
        return bits.BitsByLag(
            **bits.over_seeds(rows, curves.sum(axis=1), most, curves.mean(axis=0)),
            from_lag_4=plain(curves[:, bits.UNCONVOLVED - 1 :].sum(axis=1).mean(), bits.DECIMALS),
        )

    def tokens(self, protocol: Protocol, /) -> int:
        return protocol.symbols

    def has_picture(self, protocol: Protocol, seed: int = 0, /) -> bool:
        return seed == 0 and (protocol.symbols, protocol.lags) == (SYMBOLS, PIXELS)


class _ByKey(Question):
    name, field = "by key", "bits_by_key"
    long_pilot = True
    words, suffix, digits, short = "bits by key", " by key", ".3f", "key"
    title = "Values recalled by their keys, by the number of pairs"
    curves, x_label, y_label = "recall", "pairs of a key and a value", "values recalled"
    reading = (
        "How many values of so many pairs are recalled by their keys? The number is the bits at "
        "the number of pairs that is best on validation data. Dashed: a list of the values, which "
        "knows the values that occurred but not their keys."
    )

    def pilot(self, protocol: Protocol, _: int | None = None, /) -> list[Configuration]:
        return [Configuration(self.name, protocol.updates, x) for x in protocol.rates_by_key]

    def least_bytes(self, protocol: Protocol) -> int:
        """Return the bytes of all rows' tokens and of one batch's logits, at `pairs_of_small`."""
        most = protocol.pairs_of_small
        sets = 2 * len(protocol.pairs_up_to(most)) * protocol.recalls
        return 12 * most * (sets + protocol.rows * (1 + protocol.values))

    def measure(self, rows: Sequence[KeyRow], protocol: Protocol, /) -> bits.BitsByKey:
        """Return the accuracy bits of each seed at the K that is best on its validation data."""
        pairs = np.array(rows[0].pairs)
        validation = np.array([row.accuracy(row.validation) for row in rows])
        final = np.array([row.curve(protocol) for row in rows])
        # K is chosen on other rows than are scored: the best of up to 14 scores is too high by
        # chance.
        best = np.argmax(bits.accuracy_bits(pairs, validation, protocol.values), axis=1)
        by_seed = bits.accuracy_bits(pairs, final, protocol.values)[np.arange(len(rows)), best]
        most = pairs[-1] * math.log2(protocol.values)
        measured = bits.over_seeds(rows, by_seed, most, final.mean(axis=0))
        measured["at_least"] |= bool((best == len(pairs) - 1).any())
        known = [row for row in rows if row.associated and row.final is not None]
        failed = [row for row in rows if row.final is None]
        # A run that failed counts as never, but older rows do not know, and then nothing is said.
        until = [row.updates_until_associated(protocol) for row in [*known, *failed] if known]
        median = float(np.median(until)) if until else math.inf
        return bits.BitsByKey(
            **measured,
            pairs=pairs.tolist(),
            curves=plain(final, bits.DECIMALS),
            associated=plain(median, bits.DECIMALS),
            never=until.count(math.inf),
        )

    def tokens(self, protocol: Protocol, /) -> int:
        return protocol.tokens

    def has_picture(self, protocol: Protocol, _: int = 0, /) -> bool:
        """Return True for every seed if the numbers of `protocol` fit the picture.

        Every seed is read, as some seeds associate and some do not.
        """
        fewest = protocol.pairs_up_to(min(protocol.pairs_of_small, protocol.pairs_of_large))
        return (protocol.keys, protocol.values) == (PIXELS, VALUES) and PAIRS in fewest


class _ByTask(Question):
    name, field = "task", "bits_an_answer"
    absent = UNSET
    words, suffix = "bits an answer", ""

    def pilot(self, protocol: Protocol, updates: int | None = None, /) -> list[Configuration]:
        rates = protocol.rates[:TASK_RATES]
        return [Configuration(self.name, updates or protocol.updates, x) for x in rates]

    def least_bytes(self, protocol: Protocol) -> int:
        # The steps of a task are not known here, and count as one.
        return 4 * (protocol.rows + 3 * protocol.streams)

    def measure(self, rows: Sequence[TaskRow], protocol: Protocol, /) -> bits.BitsAnAnswer:
        """Return the bits per answer of each seed, at least 0; 0 for a row without a score."""
        finals = [row.final or TaskScore(0, 0, 0) for row in rows]
        by_seed = np.array([max(final.bits, 0.0) for final in finals])
        entropies = [final.entropy for final in finals if final.entropy]
        shares = [row.majority for row in rows if row.majority is not UNSET]
        baselines = [(row.baseline.bits, row.baseline.accuracy) for row in rows if row.baseline]
        return bits.BitsAnAnswer(
            **bits.over_seeds(rows, by_seed, math.inf, rows[0].curve(protocol)),
            accuracy=plain(np.mean([final.accuracy for final in finals]), bits.DECIMALS),
            entropy=plain(np.mean(entropies or [0.0]) / math.log(2), bits.DECIMALS),
            baseline=plain(np.mean(baselines, axis=0), bits.DECIMALS) if baselines else None,
            majority=plain(np.mean(shares), bits.DECIMALS) if shares else None,
        )


BY_LAG, BY_KEY, BY_TASK = _ByLag(), _ByKey(), _ByTask()

OF_MEMORY: tuple[Question, ...] = (BY_LAG, BY_KEY)
"""The questions of a card without a task; both have curves."""

EVERY: tuple[Question, ...] = (*OF_MEMORY, BY_TASK)
"""All questions, in the order in which a card lists them."""

NAMED: dict[QuestionName, Question] = {each.name: each for each in EVERY}


def order(question: QuestionName, updates: int) -> tuple[int, int]:
    """Return a key that sorts the runs of a card by `question`, then by number of `updates`."""
    return list(NAMED).index(question), updates


def bits_of(rows: Sequence[Row], protocol: Protocol) -> bits.Bits:
    """Return the bits of `rows` of one configuration, by the numbers of `protocol`.

    A seed whose run was not finite has 0 bits.
    """
    by_seed = sorted(rows, key=lambda row: row.seed)
    return NAMED[by_seed[0].configuration.question].measure(by_seed, protocol)
