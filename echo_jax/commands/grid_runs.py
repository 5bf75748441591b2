"""What the commands `study` and `sweep` share: how grid points are run, and what is printed."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

from echo_jax.commands import command_line
from echo_jax.echo.studies.run_study import run_studies
from echo_jax.echo.studies.study_folder import StudyFolder
from echo_jax.engine.grid import Execution
from echo_jax.engine.process import Interrupts
from echo_jax.report.page import Paper
from echo_jax.report.section import Section


@dataclasses.dataclass(frozen=True)
class GridOptions:
    """The options of a command that runs grid points."""

    cluster: str | None = None
    """Run on a Dask cluster: local:N (N workers here), or tcp://HOST:PORT or tls://HOST:PORT (a
    scheduler); see docs/cluster.md."""
    paper: Annotated[Paper, command_line.FLAT] = dataclasses.field(default_factory=Paper)


def run_and_print(
    folder: StudyFolder, names: Sequence[str], options: GridOptions, interrupts: Interrupts
) -> None:
    """Run what studies of these names lack, and print each as soon as its rows are there."""
    running = Execution(options.cluster, interrupts=interrupts, keep_programs=True)

    def show(section: Section) -> None:
        print(f"\n{section.report()}", flush=True)

    run_studies(folder, names, running, options.paper, show)
