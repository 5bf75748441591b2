"""An external program that does the job as fast as can be, and prints its time."""

import math
import re
import shlex
import subprocess

from echo_jax.exceptions import ConfigError, shown
from echo_jax.speed_benchmark.worker import pinned


def run(command: str, core: int) -> float:
    """Run it on one core; the microseconds per update that it prints."""
    try:
        with pinned(core):
            done = subprocess.run(
                shlex.split(command), check=True, capture_output=True, text=True, timeout=300
            )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"the limit {command!r} failed ({error}): give a command that runs by itself"
        ) from error
    return microseconds(done.stdout)


def microseconds(printed: str) -> float:
    """Microseconds per update from the last line that was printed.

        us_per_update 22.60 min 22.45      22.60
        done in 3 s, 22.4 us               22.4

    Raises:
      ConfigError: the line has no number, or none above 0.
    """
    number = r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?"
    last = (printed.strip().splitlines() or [""])[-1]
    found = re.findall(rf"us_per_update\s+({number})", last) or re.findall(number, last)[-1:]
    if not found:
        raise ConfigError(
            f"the limit's last line {shown(last)} has no number: print microseconds per update"
        )
    if not 0 < (time := float(found[0])) < math.inf:
        raise ConfigError(
            f"the limit's last line {shown(last)} gives {time:g}, which is no time: print "
            "microseconds per update there, above 0"
        )
    return time
