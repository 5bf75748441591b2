"""`echo_jax.study` and `echo_jax.sweep`: studies as Python calls."""

import contextlib
import dataclasses
import difflib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from echo_jax import atomic_files, environment
from echo_jax.config import DataConfig, Part, RunConfig, flat
from echo_jax.exceptions import ConfigError, printable
from echo_jax.grid.executors import Here
from echo_jax.report.section import Section
from echo_jax.studies import published_answers, study_folder, study_pages
from echo_jax.studies.catalogue import STUDIES, check_name
from echo_jax.studies.run_study import run_missing
from echo_jax.studies.study_folder import StudyFolder
from echo_jax.studies.sweep import NAME, checked, command_of_sweep, sweep_study


def study(name: str, folder: str | os.PathLike[str] | None = None) -> Section:
    """The section of a study, which shows itself, in about a second: nothing is trained.

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


def sweep(
    *,
    part: Part = "context",
    seeds: int = 8,
    until_learned: bool = False,
    out: str | os.PathLike[str] | None = None,
    progress: bool = True,
    **values: Any,
) -> Section:
    """Train every combination of some values, evaluate, and show what was learned.

        echo_jax.sweep(lag=[0, 1, 2, 5], hidden_size=[20, 50])
        echo_jax.sweep(cell=["lstm", "gru"], stateful=False, seeds=4, out="cells")

    It is the command `echo-jax sweep`: with the same values it has the same rows. A list, tuple or
    range has several values of a field; each value of the last such field is compared with its
    first, in pairs of seeds.

    Args:
      part: of the tutorial, whose configuration the values change.
      seeds: of each combination.
      until_learned: stop training a combination when all its seeds have reached 99%.
      out: folder of the rows, the figure and the page, in which the same call goes on; without one,
        nothing is kept.
      progress: show what is done and the time left, in a terminal or a notebook.
      **values: fields of a configuration, as in `echo_jax.train`.

    Returns:
      The section of the sweep, which shows itself: tables, figure, rows of each seed.

    Raises:
      ConfigError: a name is no field, a combination is invalid, or `out` is not of a sweep.
      TasksFailedError: some combinations failed; the others have rows in `out`.
    """
    environment.check_settings()
    several, fixed, data = _divided(values)
    fixed |= {"seeds": seeds}
    made = checked(sweep_study(several, part, data, until_learned, **fixed))
    command = command_of_sweep(part, several, fixed | (vars(data) if data.file else {}))
    place = None if out is None else atomic_files.path_of("out", out)
    environment.use_cpu_devices(None)
    say = (lambda line: print(printable(line))) if progress else None
    with contextlib.nullcontext(place) if place else tempfile.TemporaryDirectory() as path:
        folder = StudyFolder(
            Path(path), "a sweep", "A sweep", {NAME: made}, lambda _: command, command
        )
        with folder.claimed():
            run_missing(folder, NAME, Here(), say)
            rows = folder.rows([NAME])
            sections = study_pages.sections(folder, rows)
            if place:
                study_pages.write_folder(folder, rows, sections)
    return sections[NAME]


def _divided(
    values: Mapping[str, Any],
) -> tuple[dict[str, list[Any]], dict[str, Any], DataConfig]:
    """The values of each field, fields that no sweep varies, and the user's own values."""
    whole = flat(RunConfig())
    for name in values:
        if name not in whole:
            near = difflib.get_close_matches(name, whole, 1, 0.7)
            fix = f"use {near[0]}" if near else "see help(echo_jax.train) for all of them"
            raise ConfigError(None, name, "is no field of a configuration", fix)
    alone = {"seed", "evaluation_sequences"}
    own = {field.name for field in dataclasses.fields(DataConfig)}
    data = DataConfig(**{name: value for name, value in values.items() if name in own})
    fixed = {name: value for name, value in values.items() if name in alone}
    several = {
        name: list(value) if isinstance(value, (list, tuple, range)) else [value]
        for name, value in values.items()
        if name not in alone | own
    }
    return several, fixed, data
