"""List the questions of a card: by lag, by key, and of a task. Imports no jax.

A question is a folder, such as `by_lag`: the file `lag_rows_and_bits` has its rows, its bits and
its words, and `lag_measurement` has its network, data and score. A new question is also named here,
in `protocol.QuestionName`, for the flag `--only` in `protocol.CardPart`, among the fields of
`card_contents.Card`, in `card.train_and_score.InJax`, and in the contracts of `pyproject.toml`. Its
field is UNSET if absent, so that other cards keep their bytes in `card.json`.

A question that sets `Question.curves` has curves, which `pages.curve_figures` and
`pages/explore/explore.js` draw. No page needs to know another question.
"""

from collections.abc import Sequence

from echo_jax.memory.by_key.key_rows_and_bits import BY_KEY, BitsByKey, KeyRow
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG, BitsByLag, LagRow
from echo_jax.memory.by_task.task_rows_and_bits import BY_TASK, BitsAnAnswer, TaskRow
from echo_jax.memory.protocol import Protocol, QuestionName
from echo_jax.memory.question import Question

Row = LagRow | KeyRow | TaskRow

Bits = BitsByLag | BitsByKey | BitsAnAnswer

OF_MEMORY: tuple[Question, ...] = (BY_LAG, BY_KEY)
"""The questions of every card without a task.

Another question here gives every such card more runs, which changes the protocol, and a layer of
PyTorch is refused unless `torch_measurement` can measure it by the question.
"""

EVERY: tuple[Question, ...] = (*OF_MEMORY, BY_TASK)
"""All questions, in the order in which a card lists them."""

WITH_CURVES: tuple[Question, ...] = tuple(each for each in EVERY if each.curves)
"""The questions whose curves are drawn, in figures and on the page on which cards are explored."""

NAMED: dict[QuestionName, Question] = {each.name: each for each in EVERY}


def order(question: QuestionName, updates: int) -> tuple[int, int]:
    """Return a key that sorts the runs of a card by `question`, then by number of `updates`."""
    return list(NAMED).index(question), updates


def bits_of(rows: Sequence[Row], protocol: Protocol) -> Bits:
    """Return the bits of `rows` of one configuration, by the numbers of `protocol`.

    A seed whose run was not finite has 0 bits.
    """
    by_seed = sorted(rows, key=lambda row: row.seed)
    return NAMED[by_seed[0].configuration.question].measure(by_seed, protocol)
