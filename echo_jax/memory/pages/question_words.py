"""The bits of a card by question, and the words for them. No jax."""

from collections.abc import Sequence
from dataclasses import dataclass

from echo_jax.memory import questions
from echo_jax.memory.card_contents import BitsAnAnswer, BitsByKey, BitsByLag, Budget, Card
from echo_jax.memory.protocol import Configuration
from echo_jax.memory.questions import CardQuestion
from echo_jax.report.number_formats import three_digits

AT_LEAST = "\u2265"  # before a number that is a bound

UNKNOWN = "-"

Bits = BitsByLag | BitsByKey | BitsAnAnswer


@dataclass(frozen=True)
class QuestionShown:
    """A question of a card on pages.

    asks     the question itself
    words    the words for its bits
    short    its name in the address of the page on which cards are explored
    title    the title of its curves there
    curves   the name of its curves, and of the files of their figures; empty without curves
    x_label  the label of the x axis of its curves
    y_label  the label of the y axis of its curves
    reading  how to read its figures, with a place for the `most` bits of a token
    """

    asks: CardQuestion
    words: str
    short: str = ""
    title: str = ""
    curves: str = ""
    x_label: str = ""
    y_label: str = ""
    reading: str = ""

    def of(self, card: Card) -> Bits | None:
        """Return the bits of a card; None where they were not measured."""
        return getattr(card, self.asks.field) or None

    def known(self, card: Card) -> Bits:
        """Return the bits of a card that has them."""
        bits = self.of(card)
        assert bits is not None
        return bits

    def mean(self, card: Card) -> float:
        """Return the mean bits; -1 where they were not measured."""
        bits = self.of(card)
        return -1.0 if bits is None else bits.mean

    def configured(self, card: Card) -> set[Configuration]:
        """Return the configurations of a card's number for the question."""
        usual = card.numbers.updates
        return {x for x in card.configuration if (x.question, x.updates) == (self.asks.name, usual)}

    def budgets(self, card: Card) -> list[Budget]:
        """Return the bits after other numbers of updates."""
        return [x for x in card.budgets if x.question == self.asks.name]

    def measured(self, card: Card) -> list[tuple[int, Bits | Budget]]:
        """Return the bits after each number of updates, first after that of the card."""
        bits = self.of(card)
        usual = [(card.numbers.updates, bits)] if bits else []
        return [*usual, *((x.updates, x) for x in self.budgets(card))]

    def line(self, card: Card) -> tuple[Sequence[float], Sequence[float]]:
        """Return the mean curve of a card that has one, as its x and its y."""
        bits = self.known(card)
        lags = range(1, len(bits.curve) + 1)
        return (bits.pairs if isinstance(bits, BitsByKey) else lags), bits.curve

    def mean_text(self, card: Card) -> str:
        """Return the mean bits, as a bound where they are one: \u2265157."""
        bits = self.known(card)
        return f"{AT_LEAST if bits.at_least else ''}{three_digits(bits.mean)}"

    def brackets(self, card: Card) -> str:
        """Return the lowest and the highest seed, and how many seeds there are if some lack."""
        bits = self.known(card)
        more = []
        if bits.low is not None and bits.high is not None:
            more.append(f"{three_digits(bits.low)} to {three_digits(bits.high)}")
        if len(bits.seeds) < len(card.seeds):
            more.append(f"{len(bits.seeds)} of {len(card.seeds)}")
        return f" ({'; '.join(more)})" if more else ""

    def text(self, card: Card) -> str:
        """Return the bits in a table: 157 (150 to 164), or \u2265157 (3 of 4)."""
        known = self.of(card) is not None
        return f"{self.mean_text(card)}{self.brackets(card)}" if known else UNKNOWN

    def sentence(self, card: Card) -> str:
        """Return the bits of a card that has them: 157 bits by lag (150 to 164)."""
        return f"{self.mean_text(card)} {self.words}{self.brackets(card)}"


BY_LAG = QuestionShown(
    questions.BY_LAG,
    "bits by lag",
    "lag",
    "Bits about the token, by how many steps ago it came",
    "forgetting",
    "steps back",
    "bits about the token",
    "A curve shows the bits, at most {most:.3g}, that the state holds about a token, by how many "
    "steps ago it came. The area under the curve of a cell is its bits by lag.",
)
BY_KEY = QuestionShown(
    questions.BY_KEY,
    "bits by key",
    "key",
    "Values recalled by their keys, by the number of pairs",
    "recall",
    "pairs of a key and a value",
    "values recalled",
    "A curve shows how many values are recalled by their keys, for each number of pairs. The bits "
    "of a cell are taken at the number of pairs that is best on validation data. Dashed: a list of "
    "the values, which knows the values that occurred but not their keys.",
)
QUESTIONS = (BY_LAG, BY_KEY)
"""The questions of the memory, which have curves."""

BY_TASK = QuestionShown(questions.BY_TASK, "bits an answer")
EVERY = (*QUESTIONS, BY_TASK)
