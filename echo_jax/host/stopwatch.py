"""Seconds of the parts of a program, by name."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Keeps wall-clock seconds under names, in the order in which they were timed."""

    def __init__(self) -> None:
        """Nothing was timed yet."""
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Time what is done within it."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start
