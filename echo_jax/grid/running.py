"""How a grid is run: on which machines, what is said of it, and what stops it."""

import contextlib
import dataclasses
import functools
import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from echo_jax import environment
from echo_jax.exceptions import ConfigError, printable
from echo_jax.grid.task import Task
from echo_jax.grid.task_loop import UNSEEN, Progress
from echo_jax.host.compilation_cache import switch_off, use_compilation_cache
from echo_jax.host.interrupts import Interrupts
from echo_jax.host.progress import GridProgress


@dataclasses.dataclass(frozen=True)
class Running:
    """How a grid is run, by a command or a Python call.

    cluster        the workers, as after --cluster; None: this process
    say            gets lines of progress; None: nothing is shown
    interrupts     stop the grid where nothing is lost; by default nothing does
    keep_programs  let jax keep compiled programs in the user's cache folder
    """

    cluster: str | None = None
    say: Callable[[str], None] | None = None
    interrupts: Interrupts = dataclasses.field(default_factory=Interrupts)
    keep_programs: bool = False

    def tell(self, *lines: str) -> None:
        """Say some lines, where anything is shown."""
        if self.say:
            for line in lines:
                self.say(printable(line))

    def start_jax(self, devices: int | None, threads: int | None = None) -> None:
        """Start jax as `environment.use_cpu_devices` does, and the cache of its programs."""
        environment.use_cpu_devices(devices, threads)
        if self.keep_programs:
            use_compilation_cache()

    def progress(
        self, tasks: Sequence[Task], name: str = "", unit: str = ""
    ) -> contextlib.AbstractContextManager[Progress]:
        """The progress of tasks while it is open, with the arguments of `GridProgress`."""
        if not (self.say and tasks):
            return contextlib.nullcontext(UNSEEN)
        return GridProgress({task.name: task.work for task in tasks}, self.say, name, unit)


def of_call(cluster: str | None, progress: bool) -> Running:
    """How a Python call runs a grid; ConfigError for a cluster that is none."""
    check_spec(cluster)
    say: Any = functools.partial(print, flush=True) if progress else None
    return Running(None if cluster is None else str(cluster), say)


def of_command(cluster: str | None, compilation_cache: bool, interrupts: Interrupts) -> Running:
    """How a command runs a grid: with its lines and signals, and with programs kept or not."""
    if not compilation_cache:
        switch_off()
    return Running(cluster, interrupts.say, interrupts, keep_programs=True)


def check_spec(spec: str | None) -> None:
    """Raise ConfigError for a value of `--cluster` that cannot be used; nothing is imported."""
    if spec is None:
        return
    text = str(spec)
    address = re.fullmatch(r"local:0*[1-9]\d{0,3}|(tcp|tls)://\S+:\d+", text)
    if not address and not (text.endswith((".yaml", ".yml")) and Path(text).is_file()):
        raise ConfigError(
            "cluster", spec, "is no cluster",
            "use local:N with N workers, tcp://HOST:PORT or tls://HOST:PORT of a Dask scheduler, "
            "or the YAML file of a job queue",
        )  # fmt: skip
    if importlib.util.find_spec("dask_jobqueue") is None:  # it brings Dask
        raise ConfigError(
            "cluster", spec, "needs dask-jobqueue", "pip install -e '.[cluster]' brings it"
        )
