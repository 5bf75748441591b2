"""`echo_jax.study`: the answer of a study from its rows, published or one's own; trains nothing."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from echo_jax import atomic_files
from echo_jax.commands.study import StudyCommand, command_of
from echo_jax.exceptions import ConfigError
from echo_jax.report.section import Section, TidyRow
from echo_jax.studies import study_folder, study_pages
from echo_jax.studies.catalogue import STUDIES
from echo_jax.studies.result_rows import ResultRow


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class StudyAnswer(Section):
    """The section of a study, which shows itself in a notebook; its figure is an output of its own.

    results  a row for each grid point that was run: its configuration, and the scores of each seed
    """

    results: Sequence[ResultRow] = ()

    @property
    def seeds(self) -> Sequence[TidyRow]:
        """A dictionary for each grid point and seed: its scores."""
        return self.tidy["-seeds"]()


def study(name: str, folder: str | Path | None = None) -> StudyAnswer:
    """The answer of a study, in about a second: nothing is trained.

        echo_jax.study("state")           # the published answer, with its tables
        echo_jax.study("state").figure
        echo_jax.study("state").to_pandas()

    Args:
      name: one of those that `echo-jax study` lists, such as "state".
      folder: of the command `echo-jax study`, which runs what a study needs; None for the answer
        and the rows that were published with this version.

    Raises:
      ConfigError: there is no such study, or the folder has no rows of it.
    """
    StudyCommand(names=(str(name),))  # refuses a name that no study has
    place = study_folder.published() if folder is None else atomic_files.path_of("folder", folder)
    rows = study_folder.rows_of(place, {name: STUDIES[name]})[name]
    if not rows:
        fix = f"make them with echo-jax study {name} --out {place}"
        raise ConfigError(None, place, f"has no rows of study {name}", fix)
    section = study_pages.section(name, STUDIES[name], rows, command_of(name))
    answer = StudyAnswer(**vars(section), results=rows)
    if folder is not None:
        return answer
    return dataclasses.replace(answer, answer=[study_folder.published_answer(name)])
