"""Tasks that are built in, by the names of their files; `memory.task_object` says what a task is.

selective_copy, noisy_recall    recite marked symbols; recall values by their keys
in_context                      predict a random automaton that each row has anew
adding, parity                  compute with what was seen
digits, text                    handwritten digits pixel by pixel; characters of program text

Of those that draw anew, the present input alone tells nothing about an answer that counts.
"""

import jax

Rows = tuple[jax.Array, jax.Array, jax.Array]
"""Inputs and targets, int `[B, T]`, and where a target counts, bool `[B, T]`."""
