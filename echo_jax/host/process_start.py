"""When the process started, and the settings that keep its start short."""

import gc
import signal
import time

STARTED = time.perf_counter()


def begin() -> None:
    """Let Ctrl-C end the process at once and pause the garbage collector.

    A command that has something to save installs its own handler later. Imports and tracing leave
    no garbage, and searching for it costs 5% of the start: `train` turns the collector on again.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()
