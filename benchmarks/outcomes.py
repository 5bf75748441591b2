"""Outcomes of docs/what-a-bit-is-worth.md that are no built-in task of `echo_jax.memory`.

delay_16, delay_32  a digit of 4 x 4 pixels, then 16 or 32 random tokens; which digit?
appliances          the electric current of a household appliance; which appliance?
text                the next character of War and Peace, in the first study
"""

import bz2
import dataclasses
import functools
import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.exceptions import ConfigError
from echo_jax.memory.by_task.checked_task import PARTS
from echo_jax.memory.tasks import TaskRows, digits
from echo_jax.memory.tasks.text import Characters

LEVELS = 17

NOISE = 16
"""Different random tokens, which are none of the levels."""


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Sequences of 17 levels, `[rows, n]`, and their labels; the last step asks for the label.

    parts  the rows of training, validation and final
    delay  random tokens after each sequence
    """

    sequences: np.ndarray
    labels: np.ndarray
    parts: dict[str, np.ndarray]
    delay: int = 0
    tokens: ClassVar[int] = LEVELS + NOISE

    @property
    def answers(self) -> int:
        return int(self.labels.max()) + 1

    def draw(self, key: jax.Array, rows: int, part: str) -> TaskRows:
        """Rows `[B, n + delay]`."""
        for_rows, for_noise = jax.random.split(key)
        chosen = jax.random.choice(for_rows, jnp.asarray(self.parts[part]), (rows,))
        noise = jax.random.randint(for_noise, (rows, self.delay), LEVELS, LEVELS + NOISE)
        inputs = jnp.concatenate([jnp.asarray(self.sequences, jnp.int32)[chosen], noise], axis=1)
        targets = jnp.broadcast_to(jnp.asarray(self.labels, jnp.int32)[chosen, None], inputs.shape)
        last = jnp.arange(inputs.shape[1]) == inputs.shape[1] - 1
        return TaskRows(inputs, targets, jnp.broadcast_to(last, inputs.shape))


def delayed(delay: int) -> Labelled:
    """Digits of 4 x 4 pixels, of which each is the brightest of four, and a delay."""
    pixels = digits.PIXELS.reshape(-1, 4, 2, 4, 2).max(axis=(2, 4)).reshape(-1, 16).astype(int)
    return Labelled(pixels, digits.DIGITS, digits.PARTS, delay)


def appliances() -> Labelled:
    """The data set PLAID (Gao et al. 2014) as sktime brings it: 1,074 currents of 11 appliances.

    A current of 100 to 1,344 numbers becomes 64: the mean size in each of 64 pieces of one length.
    The levels have equal shares of all numbers of the training rows.
    """
    found = importlib.util.find_spec("sktime")
    if not (found and found.submodule_search_locations):
        fix = "run pip install 'echo_jax[study]', or leave the task out"
        raise ConfigError(None, "sktime", "is not installed, and has the appliances", fix)
    folder = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "PLAID"
    texts = ((folder / f"PLAID_{part}.ts").read_text("utf-8-sig") for part in ("TRAIN", "TEST"))
    lines = [line for text in texts for line in text.split("@data\n")[1].splitlines()]
    series = [np.abs(np.array(line.split(":")[0].split(","), float)) for line in lines]
    sizes = np.array([[piece.mean() for piece in np.array_split(x, 64)] for x in series])
    labels = np.array([int(line.split(":")[1]) for line in lines])
    order = np.random.default_rng(0).permutation(len(lines))
    parts = dict(zip(PARTS, np.split(order, [700, 874]), strict=True))
    bounds = np.quantile(sizes[parts["training"]], np.arange(1, LEVELS) / LEVELS)
    return Labelled(np.searchsorted(bounds, sizes), labels, parts)


@functools.cache
def text() -> Characters:
    """War and Peace, as Louise and Aylmer Maude translated it, in one task."""
    packed = Path(__file__).with_name("war_and_peace.txt.bz2").read_bytes()
    with tempfile.NamedTemporaryFile(suffix=".txt") as file:
        file.write(bz2.decompress(packed))
        file.flush()
        return Characters(file.name, 10**7)


OUTCOMES: dict[str, Callable[[], Labelled]] = {
    "delay_16": lambda: delayed(16),
    "delay_32": lambda: delayed(32),
    "appliances": appliances,
}
