"""Independent tasks, in this process or on many machines: the same map with another executor.

    no --cluster   `Here`: one task after the other, in this process; Dask is not imported
    local:N        N worker processes on this machine
    tcp:// tls://  the workers of a Dask scheduler that stands somewhere
    FILE.yaml      workers that dask-jobqueue submits to SLURM, PBS, LSF, SGE ...

A task is a pure function of its arguments, so its result has the same bits wherever it ran. A
worker holds one task; if the worker dies it is replaced, and its task is tried again.
"""

import contextlib
import functools
import importlib.util
import logging
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

from echo_jax import machine
from echo_jax.config import is_built_in
from echo_jax.exceptions import ConfigError, SchedulerLostError, reason
from echo_jax.host import compilation_cache
from echo_jax.host.interrupts import Interrupts

DEATHS = 3
"""Deaths of its workers that a task survives."""

YAML = (".yaml", ".yml")

PATIENCE_SECONDS = 10
"""Seconds within which a scheduler must answer, and after which a wait for a worker is said."""

LOOK_SECONDS = 0.2
"""Seconds between two looks at the interrupts while tasks run on workers."""


class Outcome(NamedTuple):
    """The result of a task, or the sentence that says why it failed."""

    task: Any
    result: Any
    failure: str | None


class Executor(Protocol):
    """Maps a function over tasks; outcomes come as tasks are done, in any order."""

    def map(self, function: Callable[..., Any], tasks: Sequence[Any]) -> Iterator[Outcome]:
        """The outcome of each task; `function(task, report)` is importable on every worker."""


class Here(NamedTuple):
    """The executor that is this process.

    report   told a task and the share of it that is done; may raise StoppedError
    prepare  told the tasks that come next, such as to compile their programs meanwhile
    """

    report: Callable[[Any, float], None]
    prepare: Callable[[Sequence[Any]], None] = lambda _: None

    def map(self, function: Callable[..., Any], tasks: Sequence[Any]) -> Iterator[Outcome]:
        """Run the tasks in order."""
        for i, task in enumerate(tasks):
            self.prepare(tasks[i:])
            try:
                outcome = Outcome(task, function(task, functools.partial(self.report, task)), None)
            except ConfigError as error:
                outcome = Outcome(task, None, str(error))
            yield outcome


class UnfitWorkerError(ConfigError):
    """A worker, whose address is the value, would compute other bits or several tasks at once."""


class Workers:
    """The executor that is the workers of a Dask client.

    Args:
      client: connected to a scheduler.
      interrupts: asked while waiting whether to stop.
    """

    def __init__(self, client: Any, interrupts: Interrupts) -> None:
        """Refuse workers that do not fit; those that join later are sent away by their task."""
        self._client, self._interrupts = client, interrupts
        self._expected, self._sent_away = machine.software(), set[str]()
        try:
            software = client.run(machine.software)
        except Exception as error:  # whatever a worker without echo_jax raises
            raise ConfigError(
                f"a worker cannot import echo_jax ({reason(error)}): install the same there"
            ) from error
        for address, worker in client.scheduler_info(n_workers=-1)["workers"].items():
            theirs = software.get(address, self._expected)
            check_fit(address, worker["nthreads"], theirs, self._expected)

    def map(self, function: Callable[..., Any], tasks: Sequence[Any]) -> Iterator[Outcome]:
        """Run the tasks on all workers; one whose worker does not fit is given to another."""
        from distributed import as_completed

        work = functools.partial(_work, function, self._expected)
        futures = {self._client.submit(work, task, pure=False): task for task in tasks}
        running = as_completed(futures, loop=self._client.loop)
        try:
            for future in self._done(running):
                task, error = futures.pop(future), _error(future)
                if isinstance(error, UnfitWorkerError):
                    self._send_away(error)
                    again = self._client.submit(work, task, pure=False)
                    futures[again] = task
                    running.add(again)
                elif error:
                    yield Outcome(task, None, _sentence(error))
                else:
                    yield Outcome(task, future.result(), None)
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                self._client.cancel(list(futures), force=True)

    def _done(self, running: Any) -> Iterator[Any]:
        """The futures of an `as_completed` as they are done; StoppedError after an interrupt."""
        while not running.is_empty():
            self._interrupts.check()
            if not running.has_ready():
                time.sleep(LOOK_SECONDS)
            for future in running.next_batch(block=False):
                if future.status == "lost":  # with the worker that held its result: done again
                    running.add(future)
                else:
                    yield future

    def _send_away(self, error: UnfitWorkerError) -> None:
        """Close a worker that joined later and does not fit."""
        address = str(error.value)
        if address not in self._sent_away:
            print(f"{error}; until then it gets no task", file=sys.stderr, flush=True)
        self._sent_away.add(address)
        self._client.retire_workers([address], close_workers=True)


def _error(future: Any) -> BaseException | None:
    """The error of the task of a future that is done; SchedulerLostError if it is cancelled."""
    if future.status == "cancelled":
        raise SchedulerLostError("the scheduler is gone, and with it the tasks that it held")
    return future.exception() if future.status == "error" else None


def _sentence(error: BaseException) -> str:
    """The sentence that says why a task failed."""
    from distributed.scheduler import KilledWorker

    if isinstance(error, KilledWorker):
        return "its worker died each time that the task was tried: does it need more memory?"
    return str(error) if isinstance(error, ConfigError) else reason(error)


def _work(function: Callable[..., Any], expected: dict[str, str], task: Any) -> Any:
    """A task on a worker; UnfitWorkerError on one that joined later and does not fit."""
    from distributed import get_worker

    worker = get_worker()
    check_fit(worker.address, worker.state.nthreads, machine.software(), expected)
    return function(task, lambda _: None)


def check_fit(
    address: str, threads: int, software: dict[str, str], expected: dict[str, str]
) -> None:
    """Raise UnfitWorkerError for several threads, or a version or setting that is not ours."""
    if threads != 1:
        raise UnfitWorkerError(
            None, address, f"is a worker with {threads} threads, and does one task on one core",
            "start it with --nthreads 1, one worker for each core",
        )  # fmt: skip
    for name in sorted(expected.keys() | software.keys()):
        theirs, ours = software.get(name), expected.get(name)
        if theirs != ours:
            raise UnfitWorkerError(
                None, address, f"is a worker with {name} {theirs}, and this process has {ours}",
                "install or set the same there",
            )  # fmt: skip


@contextlib.contextmanager
def workers_of(
    spec: str | None, tasks: Sequence[Any], interrupts: Interrupts, cells: Collection[str] = ()
) -> Iterator[Workers | None]:
    """The workers of `--cluster`, with the files of the user's cells.

    None, for this process, without a cluster or where there is no task. Prints how many workers
    there are, and the address of the dashboard.

    Args:
      spec: local:N, tcp://HOST:PORT, tls://HOST:PORT, or a YAML file of dask-jobqueue.
      tasks: that are going to be run.
      interrupts: asked while waiting whether to stop.
      cells: names of cells; the module of each `module:Class` of the user's is sent to workers.

    Raises:
      ConfigError: no such scheduler, file or number; workers with other versions.
    """
    if spec is None or not tasks:
        yield None
        return
    check_spec(spec)
    import dask
    import distributed

    for name in ("distributed", "distributed.client"):  # what goes wrong is said in one sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(SETTINGS), contextlib.ExitStack() as stack:
        refused = stack.enter_context(_RefusedJobs())
        cluster = _cluster(spec)
        if not isinstance(cluster, str):
            stack.callback(_close, cluster)
        try:
            client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
        except (OSError, ValueError) as error:
            raise ConfigError(
                "cluster", spec, f"does not answer ({reason(error)})",
                "start dask scheduler there, or use local:N",
            ) from error  # fmt: skip
        _wait_for_worker(client, spec, interrupts, refused)
        count = len(client.scheduler_info(n_workers=-1)["workers"])
        workers = Workers(client, interrupts)
        _set_up(client, _cores_each(spec))
        _send(client, files_of(cells))
        link = getattr(cluster, "dashboard_link", None)  # of one that is started here
        seen = f"; dashboard {link}" if link else ""
        print(f"Cluster {spec}: {count} worker{'s' * (count != 1)}{seen}", flush=True)
        yield workers


SETTINGS = {
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.allowed-failures": DEATHS,
    "distributed.comm.timeouts.connect": f"{PATIENCE_SECONDS}s",
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
}
"""Settings of Dask: a worker holds one task, and its log is silent."""


def _close(cluster: Any) -> None:
    """Close a Dask cluster, also one whose jobs the queue refused."""
    with contextlib.suppress(AssertionError):  # it expects that each worker was started
        cluster.close()


def _set_up(client: Any, devices: int) -> None:
    """Give each worker, also those that come later, its cores and the compilation cache."""
    from distributed.diagnostics.plugin import WorkerPlugin

    cache = compilation_cache.switched_on()

    class Cores(WorkerPlugin):
        """Sets jax up as a worker starts, before a user's file can use it."""

        def setup(self, worker: Any) -> None:  # noqa: ARG002  # Dask hands it over
            """Give jax the cores of this worker, and its cache of compiled programs."""
            os.environ["NPROC"] = str(devices)  # the threads of XLA's pools
            machine.set_up_jax()
            machine.use_cpu_devices(devices)
            compilation_cache.use_compilation_cache(cache)

    client.register_plugin(Cores(), name="cores")


def _send(client: Any, files: Collection[Path]) -> None:
    """Send the user's files to each worker, also to those that come later."""
    from distributed.diagnostics.plugin import UploadFile

    for path in files:
        try:
            client.register_plugin(UploadFile(str(path)), name=f"upload {path.name}")
        except Exception as error:  # whatever the user's module raises there
            raise ConfigError(
                None, path, f"cannot be imported on a worker ({reason(error)})",
                "install what it needs there",
            ) from error  # fmt: skip


def check_spec(spec: str | None) -> None:
    """Raise ConfigError for a value of `--cluster` that cannot be used; nothing is imported."""
    if spec is None:
        return
    if not re.fullmatch(r"local:0*[1-9]\d{0,3}|(tcp|tls)://\S+:\d+", spec):
        if Path(spec).suffix not in YAML:
            raise ConfigError(
                "cluster", spec, "is no cluster",
                "use local:N with N workers, tcp://HOST:PORT or tls://HOST:PORT of a Dask "
                "scheduler, or a YAML file of dask-jobqueue",
            )  # fmt: skip
        if not Path(spec).is_file():
            raise ConfigError("cluster", spec, "is no file", "name the YAML file of a job queue")
    for package in ("distributed", "dask_jobqueue"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                "cluster", spec, f"needs the package {package}",
                "pip install -e '.[cluster]' brings it",
            )  # fmt: skip


def _cores_each(spec: str) -> int:
    """The cores of a worker: on this machine its share, elsewhere one."""
    return max(1, machine.cores() // int(spec[6:])) if spec.startswith("local:") else 1


def _cluster(spec: str) -> Any:
    """The address of a scheduler, or the new Dask cluster that a spec describes."""
    if spec.startswith(("tcp://", "tls://")):
        return spec
    if spec.startswith("local:"):
        return _local(int(spec[6:]))
    return _jobqueue(Path(spec))


def _local(count: int) -> Any:
    """Worker processes on this machine; they listen on 127.0.0.1 alone, and Ctrl-C is not theirs.

    A process inherits the blocked signals of the thread that starts it.
    """
    from distributed import LocalCluster

    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


OF_THE_SCHEDULER = ("scheduler_options", "scheduler_cls", "shared_temp_directory")
"""Settings of dask-jobqueue that are not those of a job."""


def _jobqueue(path: Path) -> Any:
    """The cluster of a YAML file: the part `jobqueue` as dask-jobqueue has it, and `workers`.

    workers: 20
    jobqueue: {slurm: {cores: 1, memory: 4GB, queue: short, walltime: "01:00:00"}}
    """
    import dask_jobqueue
    import yaml
    from dask_jobqueue.local import LocalCluster

    classes = {
        name.removesuffix("Cluster").lower(): kind
        for name, kind in vars(dask_jobqueue).items()
        if name.endswith("Cluster") and name != "JobQueueCluster"
    }
    classes["local"] = LocalCluster  # its jobs are run by the shell, at once: to try a file out
    try:
        contents = yaml.safe_load(path.read_text(encoding="utf-8"))
        count, ((system, settings),) = int(contents["workers"]), contents["jobqueue"].items()
        if count < 1:
            raise ValueError(f"workers is {count}")
        if unknown := contents.keys() - {"workers", "jobqueue"}:
            raise ValueError(f"{min(unknown)} is unknown")
        kwargs = {name.replace("-", "_"): value for name, value in settings.items()}
        of_jobs = {name: value for name, value in kwargs.items() if name not in OF_THE_SCHEDULER}
        classes[system].job_cls("tcp://", "trial", **of_jobs)  # TypeError for an unknown setting
        options = {"dashboard_address": ":0"}  # two commands on one machine have two dashboards
        cluster = classes[system](**{"scheduler_options": options, **kwargs})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            "cluster", path, f"cannot be read ({reason(error)})", "name a YAML file"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            "cluster", path, f"describes no cluster ({reason(error)})",
            "it needs `workers`, a number above 0, and `jobqueue` with settings of one of "
            f"{', '.join(sorted(classes))}, and nothing else",
        ) from error  # fmt: skip
    cluster.adapt(minimum=count, maximum=count)  # submits again what ended or died
    return cluster


class _RefusedJobs(logging.Handler):
    """Keeps the error of a job that a queue refuses, which dask-jobqueue only logs."""

    error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the error of a log record."""
        self.error = (record.exc_info or (None, self.error))[1]

    def __enter__(self) -> Self:
        """Take the place of the other handlers of the log."""
        log = logging.getLogger("tornado.application")
        self._others, log.handlers = log.handlers, [self]
        return self

    def __exit__(self, *_: object) -> None:
        """Put them back."""
        logging.getLogger("tornado.application").handlers = self._others


def _wait_for_worker(client: Any, spec: str, interrupts: Interrupts, refused: _RefusedJobs) -> None:
    """Wait for the first worker, and say so once if it takes long."""
    waiting = f"Waiting for a worker of {spec}; Ctrl-C ends it."
    patience = time.monotonic() + PATIENCE_SECONDS
    while not client.scheduler_info(n_workers=-1)["workers"]:
        interrupts.check()
        if refused.error:
            lines = str(refused.error).strip().splitlines() or [reason(refused.error)]
            raise ConfigError(
                "cluster", spec, f"starts no worker ({lines[-1]})",
                "correct the settings in the file, or use a machine that submits jobs",
            ) from refused.error  # fmt: skip
        with contextlib.suppress(TimeoutError):
            client.wait_for_workers(1, timeout=LOOK_SECONDS)
        if waiting and time.monotonic() > patience:
            print(waiting, file=sys.stderr, flush=True)
            waiting = ""


def files_of(cells: Collection[str]) -> set[Path]:
    """The files of the modules of the user's own cells; ConfigError for a package in a folder."""
    from echo_jax.cells.user_cell import is_the_users, module_of

    paths = set()
    for name in {module_of(cell)[0].partition(".")[0] for cell in cells if not is_built_in(cell)}:
        module = sys.modules.get(name)
        places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
        place = next(filter(None, places), None)
        if place is None or not is_the_users(place):
            continue  # installed: it must be on the workers too
        if hasattr(module, "__path__"):
            raise ConfigError(
                None, f"cell module {name}", "is a folder, and {cluster} sends single files",
                "put the cell into one file, or install the package on every worker",
            )  # fmt: skip
        paths.add(Path(place))
    return paths
