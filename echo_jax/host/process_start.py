"""The time at which the process started, and settings that shorten its start."""

import gc
import os
import signal
import sys
import time

STARTED = time.perf_counter()


def begin() -> None:
    """Let Ctrl-C end the process at once, and put the process in order.

    A command with something to save installs its own handler later. Imports and tracing leave no
    garbage, and looking for it takes 5% of the start: the collector pauses until `train` resumes
    it. Figures have settings of their own, and wrong ones would end the import of matplotlib.
    """
    for name in ("MPLBACKEND", "MATPLOTLIBRC"):
        os.environ.pop(name, None)
    os.environ["PYTHONSAFEPATH"] = "1"  # the current folder may be a stranger's: no child runs it
    for name in ("stdout", "stderr"):  # closed: a file that is opened later would get its number
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    gc.disable()
