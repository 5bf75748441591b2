"""Seconds of the parts of a program, by name."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Adds up wall-clock seconds under names, in the order in which they were first timed."""

    def __init__(self) -> None:
        """Nothing was timed yet."""
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Time what is done within it."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
