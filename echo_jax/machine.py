"""This machine: its cores, their speed, its memory, and the versions installed."""

import contextlib
import functools
import hashlib
import math
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from echo_jax.config import GENERATOR, SETTINGS
from echo_jax.exceptions import ConfigError, reason, shown

REFUSED = (
    "JAX_DISABLE_JIT", "JAX_DEBUG_NANS", "JAX_DEBUG_INFS", "JAX_NO_TRACING", "JAX_NO_EXECUTION",
    "JAX_TRANSFER_GUARD", "JAX_TRANSFER_GUARD_HOST_TO_DEVICE", "JAX_TRANSFER_GUARD_DEVICE_TO_HOST",
    "JAX_TRANSFER_GUARD_DEVICE_TO_DEVICE", "JAX_ERROR_CHECKING_BEHAVIOR_NAN",
    "JAX_ERROR_CHECKING_BEHAVIOR_DIVIDE", "JAX_ERROR_CHECKING_BEHAVIOR_OOB",
    "JAX_RAISE_PERSISTENT_CACHE_ERRORS", "JAX_COMPILATION_CACHE_CHECK_CONTENTS",
)  # fmt: skip
"""Environment variables of jax for debugging, which end a command or make it a thousand times
slower."""

OFF = ("", "0", "false", "f", "no", "n", "off", "allow", "log", "ignore")


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


def processor() -> str:
    """Model and features of the processors; where the system lists none, the machine's name too."""
    names = "vendor_id|cpu family|model|model name|stepping|flags|features|isa|cpu|cpu [iavpr]\\w+"
    found: set[str] = set()
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        found |= set(re.findall(rf"^(?:{names})\s*:.*", text, re.M | re.I))
    if not re.search("^(flags|features|isa)", "\n".join(found), re.M | re.I):
        found.add(platform.node())
    return "\n".join([platform.machine(), *sorted(found)])


def device_kind() -> str:
    """The kind of device that jax computes on: "cpu, Intel Xeon"."""
    import jax

    backend, kind = jax.default_backend(), jax.devices()[0].device_kind
    return f"{backend}, {model() if backend == 'cpu' else kind}"


def device() -> str:
    """The device that jax computes on, and the cores: "cpu, Intel Xeon, 2 cores"."""
    return f"{device_kind()}, {cores()} cores"


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


def set_up_jax() -> None:
    """Give jax the `SETTINGS`, whatever the environment says; before it is used.

    ConfigError for a variable that is `REFUSED`. Processes that are started inherit the settings.
    """
    check_no_debugging()
    jax: Any = sys.modules.get("jax")
    for name, setting in SETTINGS.items():  # a wrong value would end the import of jax
        os.environ.pop(name.upper(), None)
        if setting is not None:
            os.environ[name.upper()] = str(setting)
        if jax and name in jax.config.values:  # not every version has all of them
            jax.config.update(name, setting)


def check_no_debugging() -> None:
    """Raise ConfigError for a variable of the environment that is `REFUSED`."""
    for name in REFUSED:
        value = os.environ.get(name, "")
        if value.lower() not in OFF:
            raise ConfigError(f"{name}={value} is for debugging and stops programs: unset it")


def check_settings(names: Iterable[str] = SETTINGS) -> None:
    """Raise ConfigError in a program that has given jax other settings than networks have."""
    import jax

    for name in names:  # not every version has all of them
        if (value := jax.config.values.get(name, SETTINGS[name])) != SETTINGS[name]:
            raise ConfigError(
                f"{name} is {value} in this program, and networks are trained and used with "
                f"{SETTINGS[name]}: set it to that"
            )


@functools.cache
def use_cpu_devices(count: int | None) -> None:
    """Start jax with the CPU split into so many devices, at its first use.

    None: as many as the variable JAX_NUM_CPU_DEVICES says, or one a core.
    In a program that has used jax already, it stays as it is. ConfigError where jax does not start
    with the settings in the environment.
    """
    check_xla_flags()
    import jax

    with contextlib.suppress(RuntimeError):  # jax was used already
        asked = count or max(0, jax.config.values["jax_num_cpu_devices"])
        jax.config.update("jax_num_cpu_devices", asked or cores())
    try:
        jax.devices()
    except Exception as error:
        raise ConfigError(
            f"jax cannot start ({reason(error)}): correct the variable JAX_PLATFORMS, or unset it"
        ) from error


def try_settings() -> None:
    """Start jax where the environment has settings that could stop it, before anything is made."""
    if {"XLA_FLAGS", "JAX_PLATFORMS"} & os.environ.keys():
        use_cpu_devices(None)


def check_xla_flags() -> None:
    """Raise ConfigError for flags over which XLA would end the process: another one tries them."""
    flags = os.environ.get("XLA_FLAGS")
    if flags:
        start = "from jaxlib import xla_client; xla_client.make_cpu_client()"
        try:
            tried = subprocess.run(  # -P: no file of the current folder is a module
                [sys.executable, "-P", "-c", start], check=False, capture_output=True, timeout=60
            )
            status, printed = tried.returncode, tried.stderr.decode(errors="replace")
        except subprocess.TimeoutExpired:
            status, printed = None, ""
        if status != 0:
            said = re.search(r"^[EF]\d+ .*?\] (.*)", printed, re.M)
            why = f"{said[1]:.200}" if said else "the process ends" if status else "it never starts"
            raise ConfigError(
                f"the variable XLA_FLAGS is {shown(flags)}, which XLA refuses ({why}): correct it, "
                "or unset it"
            )


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
    """Versions, generator and flags of XLA, which beside its inputs determine a result's bits."""
    found = {"python": platform.python_version(), **_installed()}
    found["generator"] = f"{GENERATOR}, partitionable"
    if flags := os.environ.get("XLA_FLAGS"):
        found["XLA_FLAGS"] = flags[:1000]
    return found


@functools.cache
def _installed() -> dict[str, str]:
    """The versions of the packages that determine a result's bits, found once a process."""
    import importlib.metadata

    packages = ("echo_jax", "jax", "jaxlib", "flax", "optax", "chex", "numpy")
    return {name: importlib.metadata.version(name) for name in packages}


@functools.cache
def software() -> dict[str, str]:
    """Versions, and a digest of the source of echo_jax: equal where the same bits are computed."""
    source = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source.update(path.read_bytes())
    return {**versions(), "source digest": source.hexdigest()[:16]}
