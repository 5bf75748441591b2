"""The questions of a card: by lag, by key, and of a task. No jax.

A further question is also named in:

lag_question, key_question, task_question    the network that is asked, see `learning.Question`
rows, card_contents                          its row, and its bits in a card
card.train_and_score                         `kinds`, from the question to its network
pages.question_words, table, figures, explore_page    its words, columns and curves
"""

from typing import ClassVar
from typing import Protocol as Interface

from msgspec import UNSET, UnsetType

from echo_jax.memory.protocol import TASK_RATES, Configuration, Protocol, QuestionName
from echo_jax.memory.reading import PAIRS, PIXELS, SYMBOLS, VALUES


class CardQuestion(Interface):
    """A question of a card; each question is one object, such as `BY_LAG`.

    name         its name in configurations and rows; in the flag `--only` with a hyphen
    field        the field of a card that has its bits
    absent       the value of that field if nothing was measured
    has_budgets  whether a full card also has runs with other numbers of updates
    long_pilot   whether only a full card has a pilot, whose runs have the usual number of updates
    """

    name: ClassVar[QuestionName]
    field: ClassVar[str]
    absent: ClassVar[UnsetType | None] = None
    has_budgets: ClassVar[bool] = False
    long_pilot: ClassVar[bool] = False

    def pilot(self, protocol: Protocol, updates: int | None = None, /) -> list[Configuration]:
        """Return the configurations among which the pilot chooses, for runs of these updates."""

    def least_bytes(self, protocol: Protocol) -> int:
        """Return a lower bound of the bytes of its data sets and of its logits."""

    def tokens(self, _: Protocol, /) -> int:
        """Return how many different tokens a cell is fed; 0 for a task, which states its own."""
        return 0

    def has_picture(self, _: Protocol, _seed: int = 0, /) -> bool:
        """Return True if a run of a seed answers what a picture is drawn from, see `reading`."""
        return False


class _ByLag(CardQuestion):
    name, field = "by lag", "bits_by_lag"
    has_budgets = True

    def pilot(self, protocol: Protocol, _: int | None = None, /) -> list[Configuration]:
        return [Configuration(self.name, protocol.pilot_updates, x) for x in protocol.rates]

    def least_bytes(self, protocol: Protocol) -> int:
        """Count the tokens of all streams, and the logits of all lags of one set."""
        sets = (protocol.asked[-1] + 1) * (protocol.rows + 3 * protocol.streams)
        answers = protocol.asked_steps * protocol.lags * protocol.symbols
        return 4 * (sets + answers * max(protocol.rows, protocol.streams))

    def tokens(self, protocol: Protocol, /) -> int:
        return protocol.symbols

    def has_picture(self, protocol: Protocol, seed: int = 0, /) -> bool:
        return seed == 0 and (protocol.symbols, protocol.lags) == (SYMBOLS, PIXELS)


class _ByKey(CardQuestion):
    name, field = "by key", "bits_by_key"
    long_pilot = True

    def pilot(self, protocol: Protocol, _: int | None = None, /) -> list[Configuration]:
        return [Configuration(self.name, protocol.updates, x) for x in protocol.rates_by_key]

    def least_bytes(self, protocol: Protocol) -> int:
        """Count the tokens of all rows, and the logits of their values, at the most pairs."""
        most = protocol.pairs_of_small
        sets = 2 * len(protocol.pairs_asked(most)) * protocol.recalls
        return 12 * most * (sets + protocol.rows * (1 + protocol.values))

    def tokens(self, protocol: Protocol, /) -> int:
        return protocol.tokens

    def has_picture(self, protocol: Protocol, _: int = 0, /) -> bool:
        """Return True for every seed, as some seeds associate and some do not."""
        fewest = protocol.pairs_asked(min(protocol.pairs_of_small, protocol.pairs_of_large))
        return (protocol.keys, protocol.values) == (PIXELS, VALUES) and PAIRS in fewest


class _ByTask(CardQuestion):
    name, field = "task", "bits_an_answer"
    absent = UNSET

    def pilot(self, protocol: Protocol, updates: int | None = None, /) -> list[Configuration]:
        rates = protocol.rates[:TASK_RATES]
        return [Configuration(self.name, updates or protocol.updates, x) for x in rates]

    def least_bytes(self, protocol: Protocol) -> int:
        # The steps of a task are not known here, and count as one.
        return 4 * (protocol.rows + 3 * protocol.streams)


BY_LAG, BY_KEY, BY_TASK = _ByLag(), _ByKey(), _ByTask()

OF_MEMORY: tuple[CardQuestion, ...] = (BY_LAG, BY_KEY)
"""The questions of a card without a task."""

NAMED: dict[QuestionName, CardQuestion] = {each.name: each for each in (*OF_MEMORY, BY_TASK)}
"""All questions, in the order in which a card has them."""


def order(question: QuestionName, updates: int) -> tuple[int, int]:
    """Return a key that sorts the runs of a card by question and number of updates."""
    return list(NAMED).index(question), updates
