"""The running of grid points, shared by `study` and `sweep`: plan, workers, progress, failures."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from echo_jax import machine
from echo_jax.cluster import Workers, check_spec, workers_of
from echo_jax.exceptions import ConfigError
from echo_jax.host import compilation_cache
from echo_jax.host.interrupts import Interrupts
from echo_jax.report import paper_tables
from echo_jax.report.number_formats import percent
from echo_jax.report.styles import Format
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.scores import shown
from echo_jax.studies.study_folder import ForPaper
from echo_jax.studies.time_estimate import minutes, seconds_of


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
    tables: tuple[paper_tables.Kind, ...] = ()
    """Write tables for a paper into OUT/tables: csv, latex or both."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a cluster that is none."""
        check_spec(self.cluster)

    @property
    def for_paper(self) -> ForPaper:
        """The files for a paper."""
        return ForPaper(self.format, self.tables)

    def prepare(self) -> None:
        """Settings of the process, before anything is run."""
        if not self.compilation_cache:
            compilation_cache.switch_off()


def plan(waiting: Mapping[str, Sequence[GridPoint]], cluster: str | None = None) -> str:
    """The grid points to run, and the estimated time in this process."""
    lines, total = [], 0.0
    for name, points in waiting.items():
        seconds = seconds_of(points)
        total += seconds
        if points:
            lines.append(f"{name}: {len(points)} grid points, about {minutes(seconds)} min")
    if not lines:
        return "All grid points have results already."
    where = f" of this machine; workers of {cluster} share it" if cluster else ""
    lines.append(f"To run: about {minutes(total)} min in all, {machine.cores()} cores{where}.")
    return "\n".join(lines)


def workers_for(
    spec: str | None, points: Sequence[GridPoint], interrupts: Interrupts
) -> contextlib.AbstractContextManager[Workers | None]:
    """The workers of `--cluster` for some grid points; None without it, for this process."""
    if spec is None:
        machine.use_cpu_devices(None)
        compilation_cache.use_compilation_cache()
    return workers_of(spec, points, interrupts, {point.config.network.cell for point in points})


def run_points(
    path: Path, points: Sequence[GridPoint], interrupts: Interrupts, workers: Workers | None
) -> list[str]:
    """Run the parts of grid points, with a progress bar, and append rows to a file.

    Returns:
      A sentence for each part that failed.
    """
    from echo_jax.host.progress import GridProgress
    from echo_jax.studies import sweep

    failures, parts = [], sweep.tasks(points, path)
    with GridProgress({part.name: seconds_of([part]) for part in parts}) as bar:

        def report(part: GridPoint, share: float) -> None:
            interrupts.check()
            bar.at_work(part.name, share)

        for outcome in sweep.complete(points, path, workers or sweep.here(report)):
            if outcome.failure:
                failures.append(f"{outcome.task.name}: {outcome.failure}")
                bar.finished(outcome.task.name, "failed")
            else:
                accuracy = shown(outcome.result, "accuracy", percent)
                bar.finished(outcome.task.name, f"accuracy {accuracy}")
    return failures


def refuse_failures(failures: Sequence[str], out: Path) -> None:
    """Raise ConfigError for grid points that failed, once all others are shown and written."""
    if failures:
        why = "; ".join(failures)
        raise ConfigError(f"{len(failures)} tasks failed, {out} has all others: {why}")
