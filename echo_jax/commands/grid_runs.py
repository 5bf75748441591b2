"""Studies in a folder, for `study` and `sweep`: the missing is run, all is shown and written."""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from echo_jax import atomic_files, environment
from echo_jax.cluster import Here, Workers, check_spec, workers_of
from echo_jax.config import RunConfig
from echo_jax.exceptions import ConfigError, printable
from echo_jax.host import compilation_cache
from echo_jax.host.interrupts import Interrupts
from echo_jax.report import text_tables
from echo_jax.report.number_formats import percent
from echo_jax.report.page import Section
from echo_jax.report.styles import Format
from echo_jax.studies import result_rows, seed_parts, study_folder, study_pages
from echo_jax.studies.catalogue import Study
from echo_jax.studies.grid_point import GridPoint
from echo_jax.studies.result_rows import ResultRow
from echo_jax.studies.scores import shown


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
    tables: tuple[text_tables.Kind, ...] = ()
    """Write tables for a paper into OUT/tables: csv, latex or both."""

    def __post_init__(self) -> None:
        """Raise ConfigError for a cluster that is none."""
        check_spec(self.cluster)


class Folder(NamedTuple):
    """A folder of studies, and how its page shows them.

    path     of the folder
    kind     "all studies" or "a sweep"
    title    of the page
    studies  by name, in the order of the page
    command  the command that makes the section of a study, by its name
    remake   the command that makes the page
    """

    path: Path
    kind: str
    title: str
    studies: Mapping[str, Study]
    command: Callable[[str], str]
    remake: str

    def missing(self, name: str) -> list[GridPoint]:
        """The grid points of a study, or parts of them, that have no row yet."""
        there = result_rows.read(study_folder.rows_path(self.path, name))
        return seed_parts.missing(self.studies[name].points, there)

    def sections(self, rows: Mapping[str, list[ResultRow]]) -> dict[str, Section]:
        """The sections of the studies that have rows."""
        return {
            name: study_pages.section(name, self.studies[name], some, self.command(name))
            for name, some in rows.items()
            if some
        }

    def write_page(
        self, rows: Mapping[str, list[ResultRow]], sections: Mapping[str, Section]
    ) -> None:
        """Write the page of all studies that have rows."""
        ordered = [sections[name] for name in self.studies if name in sections]
        all_rows = list(itertools.chain(*rows.values()))
        if ordered:
            study_pages.write(self.path, self.title, all_rows, ordered, self.remake)


def run_studies(
    folder: Folder, names: Sequence[str], options: GridOptions, interrupts: Interrupts
) -> None:
    """Run what is missing, study by study; write the page after each that ran and at the end.

    ConfigError for grid points that failed, once all others are shown and written.
    """
    out, failures = folder.path, list[str]()
    if not options.compilation_cache:
        compilation_cache.switch_off()
    study_folder.claim(out, folder.kind, bool(options.tables))
    with atomic_files.locked(out):
        rows = study_folder.rows_of(out, folder.studies)
        waiting = {name: folder.missing(name) for name in names}
        print(plan(waiting, options.cluster), flush=True)
        sections = folder.sections(rows)
        points = list(itertools.chain(*waiting.values()))
        with workers_for(options.cluster, points, interrupts) as workers:
            for name, left in waiting.items():
                if left:
                    path = study_folder.rows_path(out, name)
                    failures += run_points(path, left, interrupts, workers)
                    now = study_folder.rows_of(out, {name: folder.studies[name]})
                    rows, sections = rows | now, sections | folder.sections(now)
                    folder.write_page(rows, sections)
                if name in sections:
                    print(study_pages.in_terminal(sections[name]), flush=True)
        if sections:
            folder.write_page(rows, sections)
            asked = [sections[name] for name in names if name in sections]
            for path in study_pages.write_for_paper(out, asked, options.format, options.tables):
                print(f"For a paper: {printable(str(path))}")
            print(f"Page: {printable(str(out / study_folder.PAGE))}")
            interrupts.check(f"Stopped; {out} has all rows and the page")
    if failures:
        why = "; ".join(failures)
        raise ConfigError(f"{len(failures)} tasks failed, {out} has all others: {why}")


def plan(waiting: Mapping[str, Sequence[GridPoint]], cluster: str | None) -> str:
    """The tasks to run, and the estimated time in this process."""
    lines, total = [], 0.0
    for name, points in waiting.items():
        seconds = seconds_of(points)
        total += seconds
        if points:
            lines.append(f"{name}: {len(points)} tasks, about {minutes(seconds)} min")
    if not lines:
        return "All grid points have results already."
    where = f" of this machine; workers of {cluster} share it" if cluster else ""
    lines.append(f"To run: about {minutes(total)} min in all, {environment.cores()} cores{where}.")
    return "\n".join(lines)


def workers_for(
    spec: str | None, points: Sequence[GridPoint], interrupts: Interrupts
) -> contextlib.AbstractContextManager[Workers | None]:
    """The workers of `--cluster` for some grid points; None for this process, and without any."""
    if points and spec is None:
        environment.use_cpu_devices(None)
        compilation_cache.use_compilation_cache()
    return workers_of(spec, points, interrupts, {point.config.network.cell for point in points})


def run_points(
    path: Path, points: Sequence[GridPoint], interrupts: Interrupts, workers: Workers | None
) -> list[str]:
    """Run grid points, with a progress bar, and append their rows to a file.

    Returns:
      A sentence for each that failed.
    """
    from echo_jax.host.progress import GridProgress
    from echo_jax.studies import sweep

    failures = []
    with GridProgress({point.name: seconds_of([point]) for point in points}) as bar:

        def report(point: GridPoint, share: float) -> None:
            interrupts.check()
            bar.at_work(point.name, share)

        here = Here(report, sweep.compile_next)
        for outcome in sweep.complete(points, path, workers or here):
            if outcome.failure:
                failures.append(f"{outcome.task.name}: {outcome.failure}")
                bar.finished(outcome.task.name, "failed")
            else:
                accuracy = shown(outcome.result, "accuracy", percent)
                bar.finished(outcome.task.name, f"accuracy {accuracy}")
    return failures


def seconds_of(points: Sequence[GridPoint]) -> float:
    """Estimated seconds to run some grid points on as many cores as there are here."""
    seconds = 3.5 * len({point.program for point in points})  # to compile
    for point in points:
        config = point.config
        measures = sum(0.5 if name == "probe" else 0.1 for name in point.measures)
        updates = config.training.sequences * config.task.updates_per_sequence
        rounds = -(-config.seeds // environment.cores())
        training = rounds * updates * _microseconds(config) / 1e6
        seconds += 1.0 + measures * config.seeds + training
    return seconds


def minutes(seconds: float) -> str:
    """Seconds as minutes, at least a half."""
    return f"{seconds / 60:.0f}" if seconds > 90 else f"{max(seconds / 60, 0.5):.1f}"


def _microseconds(config: RunConfig) -> float:
    """Of one update of one seed on one core: Adam for each weight, the products of each step."""
    task, network = config.task, config.network
    outputs = task.vocab_size if task.framing == "classes" else 1
    embedded = network.encoding == "embedding"
    features = network.embedding_dim if embedded else outputs
    hidden = network.hidden_size
    if network.cell == "mlp":
        line = network.delay_line or task.window
        cell, step = line * features * hidden, line * hidden
    else:
        gates = {"simple": 1, "gru": 3}.get(network.cell, 4)
        cell, step = gates * (features + hidden) * hidden, gates * hidden * hidden
    weights = cell + hidden * outputs + embedded * outputs * features
    again = (1 + min(config.training.bptt_batches, task.updates_per_sequence)) / 2
    read = task.batch_size * (task.window if task.layout == "streams" else 1) * hidden * outputs
    products = task.window * again * task.batch_size * step + read
    return 5 + 6e-4 * weights + task.window * again + 2e-4 * products
