"""Studies in a folder, for `study` and `sweep`: the missing is run, all is shown and written."""

import contextlib
import dataclasses
import itertools
from collections.abc import Mapping, Sequence

from echo_jax import environment
from echo_jax.commands.command_line import FigureWidth
from echo_jax.exceptions import printable
from echo_jax.grid.cluster import check_spec, executor_of
from echo_jax.grid.executors import Executor, Here
from echo_jax.grid.task_loop import TasksFailedError
from echo_jax.host import compilation_cache
from echo_jax.host.interrupts import Interrupts
from echo_jax.report import text_tables
from echo_jax.report.page import write_for_paper
from echo_jax.report.styles import Format, check_width
from echo_jax.studies import study_folder, study_pages
from echo_jax.studies.expected_time import COMPILE_SECONDS
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.study_folder import StudyFolder


@dataclasses.dataclass(frozen=True)
class GridOptions:
    """The options of a command that runs grid points."""

    cluster: str | None = None
    """Run on a Dask cluster: local:N (N workers here), tcp://HOST:PORT or tls://HOST:PORT (a
    scheduler), or a YAML file of dask-jobqueue (SLURM and others); see docs/cluster.md."""
    compilation_cache: bool = True
    """Keep compiled programs in your cache folder, so that the next run of the same shapes starts
    sooner."""
    format: Format = "svg"
    """A format of figures for a paper: pdf or png are written beside figures/NAME.svg."""
    figure_width: FigureWidth = None
    tables: tuple[text_tables.Kind, ...] = ()
    """Write tables for a paper into OUT/tables: csv, latex or both."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a cluster that is none, or a width that no figure has."""
        check_spec(self.cluster)
        check_width(self.figure_width, self.format)


def run_studies(
    folder: StudyFolder, names: Sequence[str], options: GridOptions, interrupts: Interrupts
) -> None:
    """Run what is missing, and write the page after each study; TasksFailedError at the end."""
    failures = list[str]()
    if not options.compilation_cache:
        compilation_cache.switch_off()
    with folder.claimed(bool(options.tables)):
        rows = folder.rows(folder.studies)
        waiting = {name: folder.missing(name) for name in names}
        print(plan(waiting, options.cluster), flush=True)
        sections = study_pages.sections(folder, rows)
        with executor_for(options.cluster, waiting, interrupts) as executor:
            for name, left in waiting.items():
                if left:
                    failures += run_and_keep_failures(folder, name, executor, interrupts)
                    now = folder.rows([name])
                    rows |= now
                    sections |= study_pages.sections(folder, now)
                    study_pages.write_folder(folder, rows, sections)
                if name in sections:
                    print(f"\n{sections[name].report()}", flush=True)
        if sections:
            study_pages.write_folder(folder, rows, sections)
            asked = (sections[name] for name in names if name in sections)
            shown = [dataclasses.replace(each, width=options.figure_width) for each in asked]
            for path in write_for_paper(folder.path, shown, options.format, options.tables):
                print(f"For a paper: {printable(str(path))}")
            print(f"Page: {printable(str(folder.path / study_folder.PAGE))}")
            interrupts.check(f"Stopped; {folder.path} has all rows and the page")
    if failures:
        raise TasksFailedError.of(failures)


def run_and_keep_failures(
    folder: StudyFolder, name: str, executor: Executor, interrupts: Interrupts
) -> Sequence[str]:
    """Run what a study lacks; a sentence for each task that failed, as other studies go on."""
    from echo_jax.studies.run_study import run_missing  # loads jax, which a page does not need

    try:
        run_missing(folder, name, executor, interrupts.say, interrupts)
    except TasksFailedError as error:
        return error.failures
    return ()


def plan(waiting: Mapping[str, Sequence[GridPoint]], cluster: str | None) -> str:
    """The tasks to run, and the estimated time in this process."""
    lines = [
        f"{name}: {len(points)} tasks, about {minutes(seconds_of(points))} min"
        for name, points in waiting.items()
        if points
    ]
    if not lines:
        return "All grid points have results already."
    total = minutes(sum(map(seconds_of, waiting.values())))
    where = f" of this machine; workers of {cluster} share it" if cluster else ""
    lines.append(f"To run: about {total} min in all, {environment.cores()} cores{where}.")
    return "\n".join(lines)


def executor_for(
    spec: str | None, waiting: Mapping[str, Sequence[GridPoint]], interrupts: Interrupts
) -> contextlib.AbstractContextManager[Executor]:
    """The executor of some grid points: the workers of `--cluster`, or this process."""
    points = list(itertools.chain(*waiting.values()))
    if points and spec is None:
        environment.use_cpu_devices(None)
        compilation_cache.use_compilation_cache()
    cells = {point.config.network.cell for point in points}
    return executor_of(spec, Here(), points, interrupts, cells)


def seconds_of(points: Sequence[GridPoint]) -> float:
    """Estimated seconds to run some grid points on as many cores as there are here."""
    programs = {point.program for point in points}
    return COMPILE_SECONDS * len(programs) + sum(point.work for point in points)


def minutes(seconds: float) -> str:
    """Seconds as minutes, at least a half."""
    return f"{seconds / 60:.0f}" if seconds > 90 else f"{max(seconds / 60, 0.5):.1f}"
