"""Describe the machine of a run, and set up jax on it: cores, memory, devices, versions."""

import contextlib
import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from echo_jax.exceptions import ConfigError, reason, shown
from echo_jax.jax_settings import GENERATOR, SETTINGS, __version__


def cores() -> int:
    """Return how many cores this process may use, or all cores if the system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def model() -> str:
    """Return the name, family and model of the processor, as far as the system states them.

    The architecture replaces a name that is not stated. Processors of one name, such as "AMD EPYC",
    may belong to families that compute different last bits.
    """
    stated = dict(re.findall(r"^(.+?)\s*:\s*(.*)", processor(), re.M))
    name = stated.get("model name", platform.machine())
    kinds = ("cpu family", "model", "CPU implementer", "CPU part")
    named = [f"{kind.split()[-1]} {stated[kind]}" for kind in kinds if kind in stated]
    return f"{name} ({', '.join(named)})" if named else name


def processor() -> str:
    """Return lines that state the architecture, and the models and features of the processors.

    The name of the machine is added if the system lists no features.
    """
    names = "vendor_id|cpu family|model|model name|stepping|flags|features|isa|cpu|cpu [iavpr]\\w+"
    lines: set[str] = set()
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        lines |= set(re.findall(rf"^(?:{names})\s*:.*", text, re.M | re.I))
    if not re.search("^(flags|features|isa)", "\n".join(lines), re.M | re.I):
        # Without a list of features no other machine is sure to have the same instructions.
        lines.add(platform.node())
    return "\n".join([platform.machine(), *sorted(lines)])


def device_kind(backend: str | None = None) -> str:
    """Return the kind of device that `backend` computes on, such as "cpu, Intel Xeon".

    By default, the backend is that of jax. If a flag of XLA limits the instructions that it uses on
    a CPU, the text names the limit too, because results then have other last bits.
    """
    # Imported here and below only where it is asked: `--help` and refusals answer without jax.
    import jax

    backend = backend or jax.default_backend()
    if backend != "cpu":
        return f"{backend}, {jax.devices()[0].device_kind}"
    limits = re.findall(r"--xla_cpu_max_isa=(\w+)", os.environ.get("XLA_FLAGS", ""))
    limit = f", XLA limited to {limits[-1].upper()}" if limits else ""
    return f"cpu, {model()}{limit}"


def device(backend: str | None = None) -> str:
    """Return the `device_kind` of `backend` and the number of XLA's threads.

    The text calls the threads cores: "cpu, Xeon, 2 cores". By default, the backend is that of jax.
    """
    return f"{device_kind(backend)}, {threads()} cores"


MOST_THREADS = 1024


@functools.cache
def threads() -> int:
    """Return the number of XLA's threads, which is fixed when jax starts.

    It is the variable NPROC, or else the number of cores, but at least one per device. The number
    decides the last bits of results.
    """
    import jax

    # XLA reads NPROC once, and has a thread for each device at least (seen with jaxlib 0.10.2).
    given = os.environ.get("NPROC", "")
    return max(int(given) if given.isdecimal() else cores(), jax.local_device_count())


def _check_threads(given: str) -> None:
    """Raise ConfigError unless `given`, the value of NPROC, is empty or a number of threads."""
    # XLA starts as many threads as it reads, and with 100,000 it never ends.
    if given and not (given.isascii() and given.isdecimal() and 1 <= int(given) <= MOST_THREADS):
        rule = f"is not a whole number from 1 to {MOST_THREADS:,}"
        raise ConfigError(None, f"NPROC={shown(given)}", rule, "unset it, or use the cores")


def has_wide_vectors() -> bool:
    """Return True if jax computes on a CPU with AVX-512, and no flag of XLA limits its vectors."""
    import jax

    said = re.search("xla_cpu_(max_isa|prefer_vector_width)", os.environ.get("XLA_FLAGS", ""))
    return jax.default_backend() == "cpu" and not said and "avx512f" in processor()


def set_up_jax() -> None:
    """Give jax the `SETTINGS` before its first use, whatever the environment says.

    Processes that are started later inherit the settings.
    """
    # The lines of Python that each operation comes from, which nobody reads, take 0.05 s.
    os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
    # Not imported here: settings in the environment are enough, unless jax has read them before.
    jax: Any = sys.modules.get("jax")
    for name, setting in SETTINGS.items():  # a wrong value would end the import of jax
        os.environ.pop(name.upper(), None)
        if setting is not None:
            os.environ[name.upper()] = str(setting)
        if jax and name in jax.config.values:  # not every version has all of them
            jax.config.update(name, setting)


def check_settings(names: Iterable[str] = SETTINGS) -> None:
    """Raise ConfigError if a setting of jax in `names` differs from its value in `SETTINGS`.

    A setting that this version of jax does not have is skipped.
    """
    import jax

    for name in names:  # not every version has all of them
        if (value := jax.config.values.get(name, SETTINGS[name])) != SETTINGS[name]:
            rule = f"is {value}, but results are computed with {SETTINGS[name]}"
            raise ConfigError(None, name, rule, f"set it to {SETTINGS[name]}")


@functools.cache
def use_cpu_devices(count: int | None, pool: int | None = None) -> None:
    """Start jax with the CPU split into `count` devices, and `pool` threads.

    If `count` is None, the variable JAX_NUM_CPU_DEVICES gives the count, or else there is one
    device per core. If `pool` is None, there are as many threads as `threads` returns. If the
    program has used jax already, nothing changes. Raises ConfigError if NPROC is no number of
    threads, or if jax cannot start, as with a platform in JAX_PLATFORMS that this machine lacks.
    """
    import jax

    _check_threads(os.environ.get("NPROC", ""))
    with contextlib.suppress(RuntimeError):  # jax was used already, and its threads stay too
        asked = count or max(0, jax.config.values["jax_num_cpu_devices"])
        # Where jax runs already this raises first, and NPROC stays what its pool was made with.
        jax.config.update("jax_num_cpu_devices", asked or cores())
        if pool:
            os.environ["NPROC"] = str(pool)
    try:
        # The first question about devices starts jax.
        threads()
    except Exception as error:
        rule = f"cannot start ({reason(error)})"
        fix = f"correct JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')}, or unset it"
        raise ConfigError(None, "jax", rule, fix) from error


def memory() -> int:
    """Return the memory of this machine in bytes, or `sys.maxsize` if the system does not say."""
    if not hasattr(os, "sysconf"):
        return sys.maxsize
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(size: int, fix: str = "use smaller sizes or fewer seeds") -> None:
    """Raise ConfigError if this machine has less than `size` bytes of memory.

    Call this function before memory is taken. `fix`, what the user can do, ends the sentence of the
    error.
    """
    if size > memory():
        rule = f"is needed, more than the {memory() / 2**30:,.1f} GiB that this machine has"
        raise ConfigError(None, f"{size / 2**30:,.1f} GiB of memory", rule, fix)


def versions(framework: str | None = None) -> dict[str, str]:
    """Return, by name, the versions and settings that decide the bits of results.

    These are the versions of Python and of packages, the random generator, and the flags of XLA if
    there are any. `framework` is the name of one more package, such as torch. Besides these, the
    inputs and the machine decide the bits.
    """
    found = {"python": platform.python_version(), "echo_jax": own_version(), **_installed()}
    if framework:
        found[framework] = importlib.metadata.version(framework)
    found["generator"] = f"{GENERATOR}, partitionable"
    if flags := os.environ.get("XLA_FLAGS"):
        found["XLA_FLAGS"] = flags[:1000]
    return found


@functools.cache
def _installed() -> dict[str, str]:
    packages = ("jax", "jaxlib", "flax", "optax", "chex", "numpy")
    return {name: importlib.metadata.version(name) for name in packages}


@functools.cache
def own_version() -> str:
    """Return the release of echo_jax and, between releases, the commit: "0.2.0.dev0+g1b16d22c".

    If the source is not in a git checkout, or was changed there, the digest of the source replaces
    the commit: "0.2.0.dev0+source.DIGEST".
    """
    if ".dev" not in __version__:
        return __version__
    commit = _git("log", "-1", "--abbrev=8", "--format=%h")
    source = f"source.{source_digest()}"
    return f"{__version__}+{source if not commit or _git('status', '-s') else f'g{commit}'}"


def _git(*command: str) -> str:
    """Return what git prints for `command` in the package's folder, or "" if git fails.

    Git fails outside a checkout, if it is not installed, or if it takes more than 5 seconds.
    """
    line = ["git", *command, "--", "."]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        folder = Path(__file__).parent
        said = subprocess.run(line, cwd=folder, capture_output=True, timeout=5, check=False)
        return said.stdout.decode(errors="replace").strip()
    return ""


@functools.cache
def source_digest() -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the Python files of echo_jax."""
    source = hashlib.sha256()
    # Sorted, because a file system lists its files in any order.
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        source.update(path.read_bytes())
    return source.hexdigest()[:16]


def software() -> dict[str, str]:
    """Return, by name, the result of `versions` and the digest of the source of echo_jax.

    The version of echo_jax is given without the commit, which a machine without git cannot name.
    """
    return {**versions(), "echo_jax": __version__, "source digest": source_digest()}


def apart(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Return a phrase for each name whose version differs between two environments.

        jax 0.11.0 here, 0.10.2 before

    `before` and `now` hold versions by name, as `software` returns them. A name without a version
    has the version "none".
    """
    return [
        f"{name} {now.get(name, 'none')} here, {shown(before.get(name, 'none'))} before"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]
