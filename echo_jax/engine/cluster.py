"""Run tasks on a Dask cluster: the executor whose workers `--cluster` names.

    local:N        N worker processes on this machine
    tcp:// tls://  the workers of an existing Dask scheduler

A task is a pure function of its arguments, so its result is bit-identical on processors of one kind
with equal numbers of XLA's threads. A worker holds one task; if the worker dies, another worker
tries the task again.
"""

import contextlib
import functools
import logging
import queue
import signal
import sys
import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from echo_jax import compilation_cache, machine
from echo_jax.engine.grid import Execution, Executor, Job, Outcome, run_task
from echo_jax.engine.process import Interrupts
from echo_jax.exceptions import ConfigError, EchoError, SchedulerLostError, reason
from echo_jax.report.number_formats import counted

ANSWER_SECONDS = 10  # within which a scheduler must answer
LOOK_SECONDS = 0.2  # between two looks at the interrupts while tasks run on workers
TOPIC = "echo_jax"  # of what tasks at work report, as an event of Dask

SETTINGS = {
    # Dask blames the death of a worker on every task that it held (seen with distributed 2026.8.0),
    # and by default, 1.1, a worker of one thread holds two.
    "distributed.scheduler.worker-saturation": 1.0,  # a worker holds one task
    "distributed.scheduler.allowed-failures": 3,  # deaths of its workers that a task survives
    "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",
}

ENDED = "a worker ended while it started"
AGAIN = "run the same command again"


class Workers:
    """The executor with the workers of a Dask client, which checks for interrupts as it waits.

    On each worker, jax splits the CPU into as many devices as `cores`, and XLA has as many threads.
    """

    def __init__(self, client: Any, interrupts: Interrupts, cores: int = 1) -> None:
        """Start jax on the workers of the Dask `client`, with `cores` threads on each.

        `interrupts` are checked while tasks run. Raises ConfigError if a worker cannot start
        echo_jax or would compute other bits, and SchedulerLostError if a worker ends.
        """
        self._client = client
        self._interrupts = interrupts
        self._needed = _needed(cores)
        try:
            _start(client, cores)
            software = client.run(_software)
        except OSError as error:  # of Dask's connection to a worker that is gone
            interrupts.check()
            raise SchedulerLostError(f"{ENDED} ({reason(error)}): {AGAIN}") from error
        except Exception as error:  # whatever a worker without echo_jax raises
            raise ConfigError(
                f"a worker cannot start echo_jax ({reason(error)}): install it there as it is here"
            ) from error
        for address, theirs in software.items():
            check_software(address, theirs, self._needed)

    def map(
        self,
        job: Job,
        tasks: Sequence[Any],
        report: Callable[[Any, float], None] = lambda *_: None,
    ) -> Generator[Outcome]:
        """Yield the outcome of each of `tasks`, which `job` makes into rows, as the task finishes.

        `report` receives a task and the share that is done; an error that it raises ends all tasks.
        Raises StoppedError if a signal has come, and SchedulerLostError if the scheduler is gone.
        """
        from distributed import as_completed

        # Dask calls its handlers in a thread of its own. `report` is called in this one, as it may
        # raise what ends the loop.
        told = queue.SimpleQueue[Any]()
        self._client.subscribe_topic(TOPIC, told.put)
        work = functools.partial(_work, job, self._needed)
        # A pure task would share its key with equal calls, and get the result that another command
        # has left at the scheduler.
        futures = {self._client.submit(work, task, pure=False): task for task in tasks}
        by_key = {future.key: task for future, task in futures.items()}
        # Without a loop it would look for a default client, which ours is not.
        running = as_completed(futures, loop=self._client.loop)
        try:
            while not running.is_empty():
                self._interrupts.check()
                # Dask's own wait goes on when a signal was only noted, so this loop polls.
                if not running.has_ready():
                    time.sleep(LOOK_SECONDS)
                while not told.empty():
                    _, (key, reported) = told.get()
                    if key in by_key:  # and not of another command at the same scheduler
                        report(by_key[key], reported)
                for future in running.next_batch(block=False):
                    if future.status == "lost":  # with the worker that held its result: done again
                        running.add(future)
                    else:
                        yield _outcome(futures.pop(future), future)
        finally:
            # Also where the generator is closed early: workers would go on for nobody.
            with contextlib.suppress(Exception):  # the scheduler may be gone
                self._client.cancel(list(futures), force=True)


def _outcome(task: Any, future: Any) -> Outcome:
    """Return the outcome of `task`, whose `future` is finished.

    Raises SchedulerLostError if the task was cancelled.
    """
    if future.status == "cancelled":
        raise SchedulerLostError("the scheduler is gone, and with it the tasks that it held")
    if future.status == "finished":
        return Outcome(task, future.result(), None)
    error = future.exception()
    return Outcome(task, None, str(error) if isinstance(error, EchoError) else reason(error))


def _work(job: Job, needed: Mapping[str, str], task: Any) -> Any:
    """Return the row of `task`, which is run on this worker.

    A worker that joined late and lacks the software `needed` leaves the cluster instead.
    """
    from distributed import Reschedule, get_worker

    worker = get_worker()
    try:
        check_software(worker.address, _software(worker), needed)
    except ConfigError as error:
        _leave(worker, str(error))
        raise Reschedule from error
    key = worker.get_current_task()
    return run_task(job, task, lambda share: worker.log_event(TOPIC, (key, share)))


@functools.cache
def _leave(worker: Any, why: str) -> None:
    """Close this worker once, and print the reason `why` where the command runs."""
    import distributed

    distributed.print(why, file=sys.stderr, flush=True)
    worker.loop.add_callback(worker.close_gracefully)


def _needed(cores: int) -> dict[str, str]:
    """Return the software that every worker needs: that of this process, and `cores` threads."""
    return {**machine.software(), "threads": "1", "threads of XLA": str(cores)}


def _software(dask_worker: Any) -> dict[str, str]:
    """Return the software and the threads of this worker, which Dask passes as `dask_worker`.

    The software includes settings and the digest of the source, which Dask does not compare.
    """
    return _needed(machine.threads()) | {"threads": str(dask_worker.state.nthreads)}


def check_software(address: str, theirs: Mapping[str, str], needed: Mapping[str, str]) -> None:
    """Raise ConfigError unless `theirs`, the software of the worker at `address`, is `needed`."""
    for name in sorted(needed.keys() | theirs.keys()):
        if theirs.get(name) != needed.get(name):
            rule = f"is a worker with {name} {theirs.get(name)}, but must have {needed.get(name)}"
            fix = "give it the versions and settings used here, and restart it with --nthreads 1"
            raise ConfigError(None, address, rule, fix)


@contextlib.contextmanager
def executor_of(
    running: Execution,
    here: Executor,
    tasks: Sequence[Any],
    files: Callable[[], Collection[Path]] = tuple,
    cores: int | None = None,
) -> Iterator[Executor]:
    """Make a context with the executor of tasks: the workers of a cluster, or `here`.

    The number of workers and the address of the dashboard are printed.

    Args:
      running: how tasks are run; its cluster may be None.
      here: the executor without a cluster, or if there are no tasks.
      tasks: the tasks to run.
      files: returns the files of the user's code that the tasks need, which are sent to the
        workers; called only if there are workers.
      cores: the number of jax's threads on a worker. None means an equal share of this machine for
        each local worker, and one thread elsewhere.

    Raises:
      ConfigError: if there is no such scheduler, if workers have other versions, or if they cannot
        import a file; and what `files` raises.
      SchedulerLostError: if a worker ends while it starts.
    """
    if running.cluster is None or not tasks:
        yield here
        return
    spec = str(running.cluster)
    sent = files()  # refused before workers start, which takes seconds
    import dask  # an optional package, which takes 0.4 s to import
    import distributed  # sets defaults and handlers of its own, before ours

    for name in ("distributed", "distributed.client"):  # what goes wrong is said in one sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(SETTINGS), contextlib.ExitStack() as stack:
        stack.enter_context(_script_not_run_again())
        cluster = _cluster(spec)
        if not isinstance(cluster, str):
            stack.enter_context(cluster)
        try:
            client = distributed.Client(cluster, timeout=ANSWER_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            rule = f"does not answer ({reason(error)})"
            fix = "start dask scheduler there, or use local:N"
            raise ConfigError("cluster", spec, rule, fix) from error
        stack.enter_context(client)
        _wait_for_worker(client, spec, running.interrupts)
        share = max(1, machine.cores() // int(spec[6:])) if spec.startswith("local:") else 1
        workers = Workers(client, running.interrupts, cores or share)
        _send(client, sent)
        link = getattr(cluster, "dashboard_link", None)  # of one that is started here
        seen = f"; dashboard {link}" if link else ""
        running.tell(f"Cluster {spec}: {counted(len(client.nthreads()), 'worker')}{seen}")
        yield workers


@contextlib.contextmanager
def _script_not_run_again() -> Iterator[None]:
    """Keep processes that are started in this context from running the user's script again.

    Otherwise Python would run the script in each process, to define what the script defines. No
    worker needs these definitions, and the script would need a main guard.
    """
    names: dict[str, Any] = vars(sys.modules["__main__"])
    hidden: list[str] = [name for name in ("__file__", "__spec__") if name in names]
    before = {name: names.pop(name) for name in hidden}
    # multiprocessing reads the attribute without asking whether it is there (Python 3.11).
    names["__spec__"] = None
    try:
        yield
    finally:
        names.update(before)


def _start(client: Any, cores: int) -> None:
    """Start jax and its compilation cache on each worker, and on workers that join later.

    `cores` is the number of threads. If an earlier command started jax on a worker, jax stays as it
    is; `check_software` then compares its threads.
    """
    import jax
    from distributed import WorkerPlugin

    # Sent with the plugin: workers on other machines inherit no environment from here.
    cache = jax.config.values["jax_enable_compilation_cache"]

    class Start(WorkerPlugin):
        def setup(self, worker: Any) -> None:
            """Set jax, its cores and its cache up in a worker that starts."""
            del worker
            machine.set_up_jax()
            machine.use_cpu_devices(cores, cores)
            if cache:
                compilation_cache.use_compilation_cache()

    client.register_plugin(Start(), name="echo_jax")  # in the place of an earlier command's


def _send(client: Any, files: Collection[Path]) -> None:
    from distributed.diagnostics.plugin import UploadFile

    for path in files:
        try:
            client.register_plugin(UploadFile(str(path)), name=f"upload {path.name}")
        except Exception as error:  # whatever the user's module raises there
            rule = f"cannot be imported on a worker ({reason(error)})"
            raise ConfigError(None, path, rule, "install its requirements there") from error


def _cluster(spec: str) -> Any:
    """Return the cluster that `spec` names: a new Dask cluster for local:N, or else the address.

    Raises SchedulerLostError if a worker of a new cluster ends while it starts.
    """
    if not spec.startswith("local:"):
        return spec
    from distributed import LocalCluster

    # Port 0 is any free one, so several commands have a dashboard each, on this machine alone.
    options = {"dashboard_address": "127.0.0.1:0", "silence_logs": logging.CRITICAL}
    with contextlib.ExitStack() as stack:
        if hasattr(signal, "pthread_sigmask"):  # Ctrl-C is not theirs: they inherit what is blocked
            resource_tracker.ensure_running()  # it would unblock the signal as it starts
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            stack.callback(signal.pthread_sigmask, signal.SIG_UNBLOCK, {signal.SIGINT})
        try:
            return LocalCluster(n_workers=int(spec[6:]), threads_per_worker=1, **options)
        except RuntimeError as error:
            raise SchedulerLostError(f"{ENDED} ({reason(error)}): {AGAIN}") from error


def _wait_for_worker(client: Any, spec: str, interrupts: Interrupts) -> None:
    if not client.scheduler_info()["workers"]:
        print(f"Waiting for a worker of {spec}; Ctrl-C ends the wait.", file=sys.stderr, flush=True)
    while not client.scheduler_info()["workers"]:
        interrupts.check()
        with contextlib.suppress(TimeoutError):
            client.wait_for_workers(1, timeout=LOOK_SECONDS)
