"""The words in which a network answers tokens as they come."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from echo_jax import tensor_files
from echo_jax.config import RunConfig
from echo_jax.core.online import piece_size
from echo_jax.runs.predictor import Trained
from echo_jax.runs.vocabulary import UNSEEN


class Answers:
    """A network with its state, that of a file if it exists; each call moves the state on."""

    def __init__(self, network: Trained, path: Path | None) -> None:
        """Load the state, or start from zero."""
        self.network = network
        exists = path is not None and os.path.lexists(path)
        self.state = network.load_state(path) if path and exists else network.start()
        if path:
            tensor_files.named(self.state)  # refuses what could not be saved
        size = len(network.vocabulary)
        self.words = [str(network.vocabulary.value(token)) for token in range(size)]
        self.words.append("-")  # -1 is no answer: the window is not full yet, the value was skipped

    def __call__(self, tokens: np.ndarray) -> list[str]:
        """The words that answer tokens, int32 `[N]`, UNSEEN ones included."""
        seen, places = tokens != UNSEEN, np.full(len(tokens), -1)
        self.state, answer = self.network.feed(self.state, tokens[seen])
        places[seen] = np.where(answer.exists, answer.token, -1)
        return [self.words[place] for place in places.tolist()]


def blocks_of(
    arriving: Iterable[tuple[np.ndarray, bool]], config: RunConfig
) -> Iterator[np.ndarray]:
    """Tokens that arrive, as whole blocks while more is waiting, and otherwise all at once."""
    piece, waiting = piece_size(config), np.zeros(0, np.int32)
    for tokens, more in arriving:
        waiting = np.concatenate([waiting, tokens])
        now = len(waiting) - len(waiting) % piece if more else len(waiting)
        yield waiting[:now]
        waiting = waiting[now:]
