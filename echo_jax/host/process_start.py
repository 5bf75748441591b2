"""The time at which the process started, and settings that shorten its start."""

import gc
import os
import signal
import sys
import time

STARTED = time.perf_counter()


def begin() -> None:
    """Let Ctrl-C end the process at once, pause the garbage collector, and forget MPLBACKEND.

    A command with something to save installs its own handler later. Imports and tracing leave no
    garbage, and looking for it takes 5% of the start; `train` resumes the collector. Figures need
    no backend, and a wrong one would end the import of matplotlib.
    """
    os.environ.pop("MPLBACKEND", None)
    for name in ("stdout", "stderr"):  # closed: a file that is opened later would get its number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()
