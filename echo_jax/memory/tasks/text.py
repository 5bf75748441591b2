"""Predict the next character of a text, by default of Python's standard library (Elman 1990).

The first 80% of the first million characters are for training, the next 10% for validation, and the
last 10% for the final score. A text of your own becomes a task by a file of two lines, such as
my_text.py for `--task my_text.py:mine`:

    from echo_jax.memory.tasks.text import Characters
    mine = Characters("my.txt")
"""

import sysconfig
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.exceptions import ConfigError
from echo_jax.learner.token_frequencies import interpolated
from echo_jax.memory.tasks import TaskRows
from echo_jax.storage.csv_and_text import content

STEPS = 128

CONTEXT = 5
"""The number of characters before the next one that the n-gram model uses."""


class Characters:
    """The task of predicting the characters of a file, or of all files *.py of a folder.

    The 99 most frequent characters are tokens; all other characters share one token.
    """

    def __init__(self, place: str, most: int = 1_000_000) -> None:
        """Read at most `most` characters of `place`, a file or a folder.

        Raises ConfigError if the characters are unreadable or too few.
        """
        files = sorted(Path(place).glob("*.py")) if Path(place).is_dir() else [Path(place)]
        text = "".join(map(content, files))[:most]
        if len(text) < 20 * STEPS:
            rule = f"has only {len(text):,} characters, too few for sequences of {STEPS + 1}"
            fix = f"use a text of at least {20 * STEPS:,} characters"
            raise ConfigError(None, place, rule, fix)
        known = {letter: i for i, (letter, _) in enumerate(Counter(text).most_common(99))}
        self.tokens = self.answers = len(known) + 1
        codes = np.array([known.get(letter, len(known)) for letter in text], np.uint8)
        ends = len(codes) * 8 // 10, len(codes) * 9 // 10
        parts = "training", "validation", "final"
        self.parts = dict(zip(parts, np.split(codes, ends), strict=True))

    def draw(self, key: jax.Array, rows: int, part: str) -> TaskRows:
        """Return `rows` rows `[B, 128]` of the text of `part`, drawn from `key`."""
        codes = jnp.asarray(self.parts[part])
        starts = jax.random.randint(key, (rows, 1), 0, len(codes) - STEPS)
        drawn = codes[starts + jnp.arange(STEPS + 1)].astype(jnp.int32)
        return TaskRows(drawn[:, :-1], drawn[:, 1:], jnp.ones((rows, STEPS), bool))

    def baseline(self, inputs: np.ndarray) -> np.ndarray:
        """Return an n-gram's shares of the next characters, float64 `[B, T, tokens]`.

        `inputs` `[B, T]` are the characters. The n-gram is counted in the training part, and its
        shares are interpolated with the shares after shorter contexts.
        """
        shares = np.full((*inputs.shape, self.tokens), 1 / self.tokens)
        for length in range(1, CONTEXT + 1):
            known, counts = np.unique(
                self.joined(self.parts["training"], length + 1), return_counts=True
            )
            contexts = self.joined(inputs, length)[..., None]
            wanted = contexts * self.tokens + np.arange(self.tokens)
            place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            found = np.where(known[place] == wanted, counts[place], 0)
            shares[:, length - 1 :] = interpolated(found, shares[:, length - 1 :])
        return shares

    def joined(self, codes: np.ndarray, length: int) -> np.ndarray:
        """Return each `length` consecutive `codes` as one number, int64 `[..., T - length + 1]`."""
        windows = np.lib.stride_tricks.sliding_window_view(codes, length, axis=-1)
        return windows @ self.tokens ** np.arange(length)[::-1]


library = Characters(sysconfig.get_path("stdlib"))
tokens, answers = library.tokens, library.answers
draw, baseline = library.draw, library.baseline
