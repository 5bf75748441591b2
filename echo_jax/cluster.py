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
import itertools
import logging
import os
import queue
import re
import shlex
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from echo_jax import machine
from echo_jax.config import is_built_in
from echo_jax.exceptions import ConfigError, SchedulerLostError, reason
from echo_jax.host import compilation_cache
from echo_jax.host.interrupts import Interrupts

DEATHS = 3
"""Deaths of its workers that a task survives, among others and then once more alone."""

RETIRED = 20
"""Workers that joined later and do not fit that are sent away, before the command ends."""

YAML = (".yaml", ".yml")

CONNECT_SECONDS = 10
"""Seconds within which a scheduler must answer."""

PATIENCE_SECONDS = 10
"""Seconds without a worker after which it is said that one is waited for."""

LOOK_SECONDS = 0.2
"""Seconds between two looks at the interrupts while tasks run on workers."""

Report = Callable[[Any, float], None]
"""Called in this process with a task and the share of it that is done."""


class _Unused(NamedTuple):
    """A worker that computes something else, in place of the result of its task."""

    address: str
    sentence: str


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

    report   told the share of the running task that is done; may raise StoppedError
    prepare  told the tasks that come next, such as to compile their programs meanwhile
    """

    report: Report
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


class Workers:
    """The executor that is the workers of a Dask client.

    Args:
      client: connected to a scheduler.
      interrupts: asked while waiting whether to stop.
    """

    def __init__(self, client: Any, interrupts: Interrupts) -> None:
        """Refuse workers that would compute something else, or several tasks at once."""
        self._client, self._interrupts = client, interrupts
        self._expected = machine.software()
        try:
            found = client.run(machine.software)
        except Exception as error:  # whatever a worker without echo_jax raises
            raise ConfigError(
                f"a worker cannot import echo_jax ({reason(error)}): install the same there"
            ) from error
        self._resources, self._retired = {}, 0
        for address, worker in client.scheduler_info(n_workers=-1)["workers"].items():
            software = found.get(address, self._expected)
            if wrong := _unfit(address, worker["nthreads"], software, self._expected):
                raise ConfigError(wrong)
            if "GPU" in worker["resources"]:
                self._resources = {"GPU": 1}

    def map(self, function: Callable[..., Any], tasks: Sequence[Any]) -> Iterator[Outcome]:
        """Run the tasks on all workers; those whose worker kept dying once more, each alone."""
        suspects = []
        for outcome in self._run(function, tasks):
            if outcome.failure is _DIED:
                suspects.append(outcome.task)
            else:
                yield outcome
        for task in suspects:
            (outcome,) = self._run(function, [task])
            yield outcome

    def _run(self, function: Callable[..., Any], tasks: Sequence[Any]) -> Iterator[Outcome]:
        done: queue.SimpleQueue = queue.SimpleQueue()
        work = functools.partial(_work, function, self._expected)
        waiting = {}

        def submit(task: Any) -> None:
            """Give a task to whatever worker is free."""
            future = self._client.submit(work, task, pure=False, resources=self._resources)
            wait_for(future, task)

        def wait_for(future: Any, task: Any) -> None:
            """Have the future put into `done` as it is done."""
            waiting[future.key] = future, task
            future.add_done_callback(done.put)

        for task in tasks:
            submit(task)
        try:
            while waiting:
                self._interrupts.check()
                with contextlib.suppress(queue.Empty):
                    future, task = waiting.pop(done.get(timeout=LOOK_SECONDS).key)
                    if future.status == "lost":  # with the worker that held the result: done again
                        wait_for(future, task)
                    elif isinstance((outcome := _outcome(future, task)).result, _Unused):
                        self._retire(outcome.result)
                        submit(task)
                    else:
                        yield outcome
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                self._client.cancel([future for future, _ in waiting.values()], force=True)

    def _retire(self, worker: _Unused) -> None:
        """Send a worker away that joined later and does not fit; ConfigError after too many."""
        self._retired += 1
        if self._retired > RETIRED:  # a queue that replaces them would do so without end
            raise ConfigError(f"more than {RETIRED} workers were sent away: {worker.sentence}")
        print(f"{worker.sentence}; until then it gets no task", file=sys.stderr, flush=True)
        self._client.retire_workers([worker.address], close_workers=True)


_DIED = "its worker died each time that the task was tried, alone too: does it need more memory?"


def _outcome(future: Any, task: Any) -> Outcome:
    """The outcome of a future that is done; SchedulerLostError if its scheduler is gone."""
    from distributed.scheduler import KilledWorker

    if future.status == "cancelled":
        raise SchedulerLostError("the scheduler is gone, and with it the tasks that it held")
    error = future.exception() if future.status == "error" else None
    if error is None:
        return Outcome(task, future.result(), None)
    if isinstance(error, KilledWorker):
        return Outcome(task, None, _DIED)
    return Outcome(task, None, str(error) if isinstance(error, ConfigError) else reason(error))


def _work(function: Callable[..., Any], expected: dict[str, str], task: Any) -> Any:
    """A task on a worker; `_Unused` on one that joined later and does not fit."""
    from distributed import get_worker

    worker = get_worker()
    if wrong := _unfit(worker.address, worker.state.nthreads, machine.software(), expected):
        return _Unused(worker.address, wrong)
    return function(task, lambda _: None)


def _take_cores(count: int, cache: bool) -> None:
    """Let jax use as many devices and threads; before its first use in a worker."""
    os.environ["NPROC"] = str(count)  # the threads of XLA's pools
    machine.set_up_jax()
    machine.use_cpu_devices(count)
    if cache:  # an earlier client of this worker may have switched it off
        os.environ.pop(compilation_cache.SWITCH, None)
    compilation_cache.use_compilation_cache(cache)


def _unfit(
    worker: str, threads: int, found: dict[str, str], expected: dict[str, str]
) -> str | None:
    """A sentence on why a worker would compute something else, or several tasks at once."""
    if threads != 1:
        return (
            f"worker {worker} has {threads} threads, and a worker does one task on one core: start "
            "it with --nthreads 1, one for each core"
        )
    return _difference(worker, found, expected)


def _difference(worker: str, found: dict[str, str], expected: dict[str, str]) -> str | None:
    """A sentence on the first version or setting of a worker that is not the client's."""
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            return (
                f"worker {worker} has {name} {found.get(name)} and this process "
                f"{expected.get(name)}: install or set the same there"
            )
    return None


def run_all(
    executor: Executor,
    function: Callable[..., Any],
    tasks: Sequence[Any],
    keep: Callable[[Any, Any], None],
) -> list[str]:
    """Run tasks that have a `name`; returns a sentence for each that failed.

    `keep(task, result)` is called as each is done, with None for one that failed.
    """
    failures = []
    for task, result, failure in executor.map(function, tasks):
        if failure is not None:
            failures.append(f"{task.name}: {failure}")
        keep(task, result)
    return failures


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
    refused = _RefusedJobs()
    with dask.config.set(_settings()), contextlib.ExitStack() as stack:
        if Path(spec).suffix in YAML:
            tornado = logging.getLogger("tornado.application")
            stack.callback(setattr, tornado, "handlers", tornado.handlers)
            tornado.handlers = [refused]
        cluster, devices = _cluster(spec)
        if not isinstance(cluster, str):
            stack.callback(_close, cluster)
        try:
            client = stack.enter_context(distributed.Client(cluster, set_as_default=False))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"--cluster {spec} does not answer ({reason(error)}): start dask scheduler there, "
                "or use local:N"
            ) from error
        count = _wait_for_workers(client, spec, interrupts, refused)
        found = Workers(client, interrupts)
        _set_up(client, devices, _files(cells))
        print(f"Cluster {spec}: {count} worker{'s' * (count != 1)}{_dashboard(client)}", flush=True)
        yield found


def _close(cluster: Any) -> None:
    """Close a Dask cluster, also one whose jobs the queue refused."""
    with contextlib.suppress(AssertionError):  # it expects that each worker was started
        cluster.close()


def _set_up(client: Any, devices: int, files: Collection[Path]) -> None:
    """Give each worker, also those that come later, its cores, and then the user's files."""
    from distributed.diagnostics.plugin import UploadFile, WorkerPlugin

    cache = compilation_cache.switched_on()

    class Cores(WorkerPlugin):
        """Sets jax up before a user's file can use it."""

        def setup(self, worker: Any) -> None:  # noqa: ARG002  # Dask hands it over
            """Called by each worker as it starts."""
            _take_cores(devices, cache)

    client.register_plugin(Cores(), name="cores")
    for path in files:
        try:
            client.register_plugin(UploadFile(str(path)), name=f"upload {path.name}")
        except Exception as error:  # whatever the user's module raises there
            raise ConfigError(
                f"{path} cannot be imported on a worker ({reason(error)}): install what it needs "
                "there"
            ) from error


def _settings() -> dict[str, Any]:
    """Of Dask: a worker holds one task, and its log is silent."""
    return {
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.comm.timeouts.connect": f"{CONNECT_SECONDS}s",
        "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
    }


def check_spec(spec: str | None) -> None:
    """Raise ConfigError for a value of `--cluster` that cannot be used; nothing is imported."""
    if spec is None:
        return
    if not re.fullmatch(r"local:0*[1-9]\d{0,3}|(tcp|tls)://\S+:\d+", spec):
        if Path(spec).suffix not in YAML:
            raise ConfigError(
                f"--cluster {spec} is no cluster: use local:N with N workers, tcp://HOST:PORT or "
                "tls://HOST:PORT of a Dask scheduler, or a YAML file of dask-jobqueue"
            )
        if not Path(spec).is_file():
            raise ConfigError(f"--cluster {spec} is no file: name the YAML file of a job queue")
    for package in ("distributed", "dask_jobqueue"):
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"--cluster needs the package {package}: pip install -e '.[cluster]' brings it"
            )


def _cluster(spec: str) -> tuple[Any, int]:
    """The address or the new Dask cluster that a spec describes, and the devices of a worker."""
    if spec.startswith(("tcp://", "tls://")):
        return spec, 1
    if spec.startswith("local:"):
        count = int(spec.partition(":")[2])
        return _local(count), max(1, machine.cores() // count)
    return _jobqueue(Path(spec)), 1


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


def _jobqueue(path: Path) -> Any:
    """The cluster of a YAML file: the part `jobqueue` as dask-jobqueue has it, and `workers`.

    workers: 20
    jobqueue: {slurm: {cores: 1, memory: 4GB, queue: short, walltime: "01:00:00"}}
    """
    import dask
    import dask_jobqueue
    import yaml
    from dask_jobqueue.local import LocalCluster

    classes = {
        name.removesuffix("Cluster").lower(): found
        for name, found in vars(dask_jobqueue).items()
        if name.endswith("Cluster") and name != "JobQueueCluster"
    }
    classes["local"] = LocalCluster  # its jobs are run by the shell, at once: to try a file out
    try:
        contents = yaml.safe_load(path.read_text(encoding="utf-8"))
        count, ((system, settings),) = int(contents["workers"]), contents["jobqueue"].items()
        if count < 1:
            raise ValueError(f"workers is {count}")
        settings = {"python": f"{shlex.quote(sys.executable)} -P", **settings}
        dask.config.update(dask.config.config, {"jobqueue": {system: settings}})
        cluster = classes[system]()
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(
            f"--cluster {path} cannot be read ({reason(error)}): name a YAML file"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"--cluster {path} describes no cluster ({reason(error)}): it needs `workers`, a "
            f"number above 0, and `jobqueue` with settings of one of {', '.join(sorted(classes))}"
        ) from error
    cluster.adapt(minimum=count, maximum=count)  # submits again what ended or died
    return cluster


class _RefusedJobs(logging.Handler):
    """Keeps the error of a job that a queue refuses; dask-jobqueue only logs it."""

    error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the error of a log record."""
        if record.exc_info:
            self.error = record.exc_info[1]


def _wait_for_workers(client: Any, spec: str, interrupts: Interrupts, refused: _RefusedJobs) -> int:
    """Wait for the first worker, and say so if it takes long; returns the number of workers."""
    for waited in itertools.count():
        interrupts.check()
        if refused.error:
            said = (str(refused.error).strip().splitlines() or [reason(refused.error)])[-1]
            raise ConfigError(
                f"--cluster {spec} starts no worker ({said}): correct the settings in the file, or "
                "use a machine that submits jobs"
            ) from refused.error
        with contextlib.suppress(TimeoutError):
            client.wait_for_workers(1, timeout=LOOK_SECONDS)
            break
        if waited == round(PATIENCE_SECONDS / LOOK_SECONDS):
            print(f"Waiting for a worker of {spec}; Ctrl-C ends it.", file=sys.stderr, flush=True)
    return len(client.scheduler_info(n_workers=-1)["workers"])


def _dashboard(client: Any) -> str:
    """The address of the dashboard, where the scheduler has one."""
    with contextlib.suppress(Exception):
        return f"; dashboard {client.dashboard_link}" if client.dashboard_link else ""
    return ""


def _files(cells: Collection[str]) -> set[Path]:
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
                f"cell module {name} is a folder, and --cluster sends single files: put the cell "
                "into one file, or install the package on every worker"
            )
        paths.add(Path(place))
    return paths
