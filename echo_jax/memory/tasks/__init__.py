"""Built-in tasks, by the names of their files; `by_task.checked_task` says what a task is.

selective_copy, noisy_recall    recite marked symbols; recall values by their keys
by_key                          recall values by keys; the level is the number of pairs
in_context                      predict a random automaton, a new one in each row
adding, parity                  compute with what was seen
digits, text                    handwritten digits pixel by pixel; characters of program text

In the tasks that draw random data, the present input alone tells nothing about an answer that
counts.
"""

from typing import NamedTuple

import chex


class TaskRows(NamedTuple):
    """Rows of a task, each array `[B, T]`.

    tokens   int, the inputs
    targets  int, the right answers
    scored   bool, True where a target is scored
    """

    tokens: chex.Array
    targets: chex.Array
    scored: chex.Array
