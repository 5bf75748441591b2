"""The built-in tasks, by their files; `memory.task_measurement` says what a task is.

selective_copy, noisy_recall    recite marked symbols; recall values by their keys
by_key                          the same at a level, the number of pairs; a card has each
in_context                      predict a random automaton that each row has anew
adding, parity                  compute with what was seen
digits, text                    handwritten digits pixel by pixel; characters of program text

In the tasks that draw random data, the present input alone tells nothing about an answer that
counts.
"""

from typing import NamedTuple

import chex


class TaskRows(NamedTuple):
    """Rows of a task, each `[B, T]`: tokens and targets int, and where a target is scored, bool."""

    tokens: chex.Array
    targets: chex.Array
    scored: chex.Array
