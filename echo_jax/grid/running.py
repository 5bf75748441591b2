"""How a grid is run: on which machines, what is said of it, and what stops it."""

import dataclasses
import importlib.util
import re
from collections.abc import Sequence

from echo_jax import environment
from echo_jax.exceptions import ConfigError, printable
from echo_jax.grid.task import Task
from echo_jax.host.compilation_cache import use_compilation_cache
from echo_jax.host.interrupts import Interrupts
from echo_jax.host.progress import GridProgress


@dataclasses.dataclass(frozen=True)
class Running:
    """How a grid is run, by a command or a Python call.

    cluster        the workers, as after --cluster; None: this process
    progress       show lines of it, or a bar
    interrupts     stop the grid where nothing is lost; by default nothing does
    keep_programs  in the user's cache folder; otherwise as jax is set
    """

    cluster: str | None = None
    progress: bool = True
    interrupts: Interrupts = dataclasses.field(default_factory=Interrupts)
    keep_programs: bool = False

    def __post_init__(self) -> None:
        """Raise ConfigError for a cluster that cannot be used; nothing is imported."""
        spec = self.cluster
        if spec is None:
            return
        if not re.fullmatch(r"local:0*[1-9]\d{0,3}|(tcp|tls)://\S+:\d+", str(spec)):
            raise ConfigError(
                "cluster", spec, "is no cluster",
                "use local:N with N workers, or tcp://HOST:PORT or tls://HOST:PORT of a Dask "
                "scheduler",
            )  # fmt: skip
        # Looked up and not imported, which takes 0.4 s and is not needed for this sentence.
        if importlib.util.find_spec("distributed") is None:
            fix = "pip install -e '.[cluster]' brings it"
            raise ConfigError("cluster", spec, "needs Dask distributed", fix)

    def tell(self, line: str) -> None:
        """Print a line of progress."""
        if self.progress:
            self.interrupts.say(printable(line))

    def start_jax(self, devices: int | None, threads: int | None = None) -> None:
        """Start jax as `environment.use_cpu_devices` does, and the cache of its programs."""
        environment.use_cpu_devices(devices, threads)
        if self.keep_programs:
            use_compilation_cache()

    def bar(self, tasks: Sequence[Task], name: str = "", unit: str = "") -> GridProgress:
        """The progress of tasks while it is open, with the arguments of `GridProgress`."""
        say = self.interrupts.say if self.progress and tasks else None
        return GridProgress({task.name: task.work for task in tasks}, say, name, unit)
