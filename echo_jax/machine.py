"""This machine: its cores, their speed, its memory, and the versions installed."""

import contextlib
import functools
import hashlib
import math
import os
import platform
import time
from pathlib import Path

from echo_jax.exceptions import ConfigError


def cores() -> int:
    """The cores this process may use; where the system does not say, all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def model() -> str:
    """The name of the processor where the system gives it, else its architecture."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def device() -> str:
    """The device that jax computes on, and the cores: "cpu, Intel Xeon, 2 cores"."""
    import jax

    backend, kind = jax.default_backend(), jax.devices()[0].device_kind
    return f"{backend}, {model() if backend == 'cpu' else kind}, {cores()} cores"


def speed() -> float:
    """The speed of a core relative to the machine of `time_estimate`: 2 is twice as fast.

    From a hundredth of a second of products as small as those of an update: about right, no more.
    """
    import numpy as np  # not before: `cores` is wanted by commands that may end in a refusal

    kernel, seconds = np.full((50, 200), 0.01, np.float32), math.inf
    for _ in range(20):
        state, start = np.full((5, 50), 0.1, np.float32), time.perf_counter()
        for _ in range(200):
            state = np.tanh((state @ kernel)[:, :50])
        seconds = min(seconds, time.perf_counter() - start)
    return 6.2e-4 / seconds  # what they take on a core of that machine


def use_cpu_devices(count: int | None) -> None:
    """Split the CPU into so many devices (None: one a core); before the first use of jax."""
    import jax

    jax.config.update("jax_num_cpu_devices", count or cores())


def memory() -> int:
    """The memory of this machine, bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(size: int) -> None:
    """Raise ConfigError for more bytes than the machine has, before they are taken."""
    if size > memory():
        raise ConfigError(
            f"{size / 2**30:,.1f} GiB are needed at the least and this machine has "
            f"{memory() / 2**30:,.1f}: use smaller sizes or fewer seeds"
        )


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that determine a result."""
    import importlib.metadata

    packages = ("echo_jax", "jax", "jaxlib", "flax", "optax", "chex", "numpy")
    installed = {name: importlib.metadata.version(name) for name in packages}
    return {"python": platform.python_version(), **installed}


@functools.cache
def software() -> dict[str, str]:
    """Versions, and a digest of the source of echo_jax: equal where the same bits are computed."""
    source = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source.update(path.read_bytes())
    return {**versions(), "source digest": source.hexdigest()[:16]}
