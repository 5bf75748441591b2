"""`echo_jax.study`: the answer of a study from its rows, published or one's own; trains nothing."""

import dataclasses
import os

from echo_jax import atomic_files
from echo_jax.exceptions import ConfigError
from echo_jax.report.section import Section
from echo_jax.studies import published_answers, study_folder, study_pages
from echo_jax.studies.catalogue import STUDIES, check_name


def study(name: str, folder: str | os.PathLike[str] | None = None) -> Section:
    """The section of a study, which shows itself; nothing is trained.

        echo_jax.study("state")           # the published answer, with its tables
        echo_jax.study("state").figure    # in a notebook an output of its own
        echo_jax.study("state").to_pandas()

    Args:
      name: one of those that `echo-jax study` lists, such as "state".
      folder: of the command `echo-jax study`, which runs what a study needs; None for the answer
        and the rows that were published with this version.

    Raises:
      ConfigError: there is no such study, or the folder has no rows of it.
    """
    check_name(name)
    place = published_answers.folder() if folder is None else atomic_files.path_of("folder", folder)
    rows = study_folder.rows_of(place, {name: STUDIES[name]})[name]
    if not rows:
        fix = f"make them with echo-jax study {name} --out {place}"
        raise ConfigError(None, place, f"has no rows of study {name}", fix)
    section = study_pages.section(name, STUDIES[name], rows, study_pages.command_of(name))
    if folder is not None:
        return section
    return dataclasses.replace(section, answer=[published_answers.answer(name)])
