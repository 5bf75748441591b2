"""Run a grid of tasks: an executor makes each task into a row, whatever the task computes.

`Here` is the executor of this process. While one task trains, it compiles the programs of the next
task in a thread. `engine.cluster` has the executor that is a Dask cluster.
"""

import contextlib
import dataclasses
import importlib.util
import re
import threading
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple, Protocol, TypeVar

from echo_jax import compilation_cache, machine
from echo_jax.engine.process import Interrupts
from echo_jax.engine.progress import GridProgress, Load
from echo_jax.exceptions import ConfigError, EchoError, TasksFailedError, printable
from echo_jax.storage.row_file import KeyedRow

Report = Callable[[float], None]
"""A function that gets the share of a task that is done; an error that it raises ends the task."""


class Task(Protocol):
    """A run that is to be made.

    key      the digest of what is run, which the row of the task has too
    name     the name that progress and failures show
    program  what the compiled programs depend on; tasks of a job with equal values share programs
    work     the expected work, in a unit that all tasks of a grid share
    """

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def program(self) -> Hashable: ...  # noqa: D102
    @property
    def work(self) -> float: ...  # noqa: D102


T = TypeVar("T", bound=Task)


def missing(tasks: Iterable[T], rows: Iterable[KeyedRow]) -> list[T]:
    """Return the tasks whose key no row has; if several have an equal key, only the first."""
    there = {row.key for row in rows}
    first = dict[str, T]()
    for task in tasks:
        first.setdefault(task.key, task)
    return [task for key, task in first.items() if key not in there]


class Job(NamedTuple):
    """The two functions of a kind of task, which workers import by name."""

    compile: Callable[[Any], Any]  # a task to its programs; ConfigError if they cannot be made
    run: Callable[[Any, Any, Report], Any]  # a task, its programs and a report to its row; pure


class Outcome(NamedTuple):
    """The outcome of a task: its row, or the sentence that says why the task failed."""

    task: Any
    row: Any
    failure: str | None


KEPT = 2  # programs that are kept: those asked for last

# Two threads and two programs: `compile_ahead` asks for those of a task and of the next one.
_COMPILERS = ThreadPoolExecutor(2)
# Guards `_programs`: the threads of `Here` ask for the same programs, which are compiled once.
_LOCK = threading.Lock()
_programs: dict[Hashable, Future[Any]] = {}


class Executor(Protocol):
    """An executor runs tasks, and yields their outcomes as they are done, in any order."""

    def map(
        self, job: Job, tasks: Sequence[Any], report: Callable[[Any, float], None]
    ) -> Generator[Outcome]:
        """Yield the outcome of each of `tasks`, which `job` makes into rows.

        `report` receives a task and the share of the task that is done.
        """


class Here(NamedTuple):
    """The executor of this process, which runs a given number of tasks at once, in threads.

    While a task runs, this executor compiles the programs of the next task that needs others.
    """

    at_once: int = 1

    def map(
        self,
        job: Job,
        tasks: Sequence[Task],
        report: Callable[[Any, float], None] = lambda *_: None,
    ) -> Generator[Outcome]:
        """Yield the outcome of each of `tasks`, which `job` makes into rows, as the task finishes.

        `report` receives a task and the share of the task that is done. An EchoError of a task or
        of `report` is the outcome of that task; any other error ends all tasks.
        """
        # A thread cannot be ended from outside, so each task ends by itself at its next report.
        stopped = threading.Event()

        def outcome(place: int) -> Outcome:
            """Return the outcome of the task at `place`; an error except EchoError stops all."""
            task = tasks[place]

            def unless_stopped(share: float) -> None:
                """Report the share that is done, or raise CancelledError if all tasks end."""
                if stopped.is_set():
                    raise CancelledError
                report(task, share)

            compile_ahead(job, tasks[place:])
            try:
                return Outcome(task, run_task(job, task, unless_stopped), None)
            except EchoError as error:
                return Outcome(task, None, str(error))
            except BaseException:
                stopped.set()
                raise

        with ThreadPoolExecutor(self.at_once) as pool:
            futures = [pool.submit(outcome, place) for place in range(len(tasks))]
            try:
                yield from outcomes_of(futures)
            finally:
                # The pool waits for its threads when it closes: they are told to end before that.
                stopped.set()
                for future in futures:
                    future.cancel()


def outcomes_of(futures: Sequence[Future[Outcome]]) -> Generator[Outcome]:
    """Yield the outcomes of `futures` as they come.

    An error of a future is raised after the outcomes that came with it; a CancelledError is not
    raised.
    """
    left = list(futures)
    while left:
        done = wait(left, return_when=FIRST_COMPLETED).done
        # `done` is a set, and rows that end together are stored in the order of their tasks.
        ended = [future for future in left if future in done]
        left = [future for future in left if future not in done]
        yield from (future.result() for future in ended if not future.exception())
        for future in ended:
            if not isinstance(future.exception(), CancelledError):  # what stopped it comes too
                future.result()


def run_task(job: Job, task: Task, report: Report) -> Any:
    """Return the row of `task`, whose programs are compiled first unless they are there already.

    `report` receives the share of the task that is done.
    """
    return job.run(task, compiled(job, task).result(), report)


def compile_ahead(job: Job, tasks: Sequence[Task]) -> None:
    """Start to compile the programs of the first of `tasks`, and of the next that needs others.

    `job` has the function that compiles.
    """
    first = tasks[0]
    following = (task for task in tasks if task.program != first.program)
    for task in (first, next(following, first), first):  # the one asked for last is kept
        compiled(job, task)


def compiled(job: Job, task: Task) -> Future[Any]:
    """Return the future of the programs of `task`, which a thread compiles by `job.compile`.

    The last KEPT futures that were asked for are kept, so that their programs are compiled once.
    """
    key = job.compile, task.program
    with _LOCK:
        future = _programs.pop(key, None) or _COMPILERS.submit(job.compile, task)
        _programs[key] = future  # now the newest
        for oldest in list(_programs)[:-KEPT]:
            del _programs[oldest]
    return future


def complete(
    job: Job,
    tasks: Sequence[Task],
    executor: Executor,
    store: Callable[[Any], str],
    progress: GridProgress,
    interrupts: Interrupts,
) -> None:
    """Run the tasks of `job` by `executor`, and store the row of each task as it comes.

    An interruption loses only the tasks at work. Tasks begin in their order. `store` keeps a row
    and returns its result in a few words, which `progress` shows. Interrupts are checked whenever a
    task reports, and StoppedError ends the loop. If tasks failed, TasksFailedError is raised at the
    end, when the rows of all other tasks are stored.
    """
    failures = []

    def report(task: Task, share: float) -> None:
        interrupts.check()
        progress.at_work(task.name, share)

    # A generator that an error leaves open ends its tasks only when Python collects it.
    with contextlib.closing(executor.map(job, tasks, report)) as outcomes:
        for task, row, failure in outcomes:
            if failure:
                failures.append(f"{task.name}: {failure}")
                progress.finished(task.name, "failed")
            else:
                progress.finished(task.name, store(row))
    if failures:
        raise TasksFailedError.of(failures)


@dataclasses.dataclass(frozen=True)
class Execution:
    """How a grid is run, by a command or a Python call.

    cluster        the workers, as after --cluster; None for this process
    progress       whether progress is shown, as lines or as a bar
    interrupts     what can stop the grid, which loses only the tasks at work; by default nothing
                   does
    keep_programs  whether compiled programs are kept in the user's cache folder; if not, jax's own
                   settings decide
    """

    cluster: str | None = None
    progress: bool = True
    interrupts: Interrupts = dataclasses.field(default_factory=Interrupts)
    keep_programs: bool = False

    def __post_init__(self) -> None:
        """Raise ConfigError if the cluster cannot be used; nothing is imported."""
        spec = self.cluster
        if spec is None:
            return
        if not re.fullmatch(r"local:0*[1-9]\d{0,3}|(tcp|tls)://\S+:\d+", str(spec)):
            raise ConfigError(
                "cluster", spec, "is not a cluster",
                "use local:N with N workers, or tcp://HOST:PORT or tls://HOST:PORT of a Dask "
                "scheduler",
            )  # fmt: skip
        # Looked up and not imported, which takes 0.4 s and is not needed for this sentence.
        if importlib.util.find_spec("distributed") is None:
            fix = "install it by pip install -e '.[cluster]'"
            raise ConfigError("cluster", spec, "needs Dask distributed", fix)

    def tell(self, line: str) -> None:
        """Print a line of progress, unless progress is hidden."""
        if self.progress:
            self.interrupts.say(printable(line))

    def start_jax(self, devices: int | None, threads: int | None = None) -> None:
        """Start jax with `devices` and `threads`, as `machine.use_cpu_devices` does.

        If `keep_programs` is True, compiled programs are kept in the user's cache folder.
        """
        machine.use_cpu_devices(devices, threads)
        if self.keep_programs:
            compilation_cache.use_compilation_cache()

    def bar(self, tasks: Sequence[Task], name: str = "", unit: str = "") -> GridProgress:
        """Return the progress of `tasks`, which is shown while it is open as a context.

        `name` and `unit` are arguments of `GridProgress`.
        """
        say = self.interrupts.say if self.progress and tasks else None
        loads = {task.name: Load(task.work, task.program) for task in tasks}
        return GridProgress(loads, say, name, unit)
