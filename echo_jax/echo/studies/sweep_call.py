"""`echo_jax.sweep`, a study of every combination of some values."""

import contextlib
import dataclasses
import math
import os
import shlex
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from echo_jax import machine
from echo_jax.config import (
    PARTS,
    SHORT_NAMES,
    DataConfig,
    Part,
    RunConfig,
    changed,
    check_call,
    flat,
    unknown,
)
from echo_jax.echo.studies.catalogue import SCORES, Chart, Study
from echo_jax.echo.studies.grid_point import grid
from echo_jax.echo.studies.study_call import run_studies
from echo_jax.echo.studies.study_folder import StudyFolder
from echo_jax.engine.grid import Execution
from echo_jax.exceptions import ConfigError
from echo_jax.report.page import PLAIN
from echo_jax.report.section import Section
from echo_jax.report.styles import SERIES
from echo_jax.storage import atomic_files

NAME = "sweep"  # of the study, its rows and its figure

OWN_SCORES = (
    "accuracy", "majority", "persistence", "k-gram", "recalled bits", "reached 99%",
    "sequences to 99%",
)  # fmt: skip
"""The columns of a sweep on own values."""


def sweep(
    *,
    part: Part = "context",
    seeds: int = 8,
    until_learned: bool = False,
    out: str | os.PathLike[str] | None = None,
    cluster: str | None = None,
    progress: bool = True,
    **values: Any,
) -> Section:
    """Train every combination of some values, evaluate, and show what was learned.

        echo_jax.sweep(lag=[0, 1, 2, 5], hidden_size=[20, 50])
        echo_jax.sweep(cell=["lstm", "gru"], stateful=False, seeds=4, out="cells")

    The command `echo-jax sweep` makes equal rows from equal values. A list, tuple, range or array
    gives several values of a field: numbers, names, True and False. In the last field with several
    values, each value is compared with the first, in pairs of seeds.

    Args:
      part: the part of the tutorial whose configuration the values change.
      seeds: the number of seeds of each combination.
      until_learned: stop training a combination when all its seeds have reached 99%.
      out: the folder of the rows, the figure and the page; an equal call goes on there. Without a
        folder, nothing is kept.
      cluster: train on the workers of a Dask cluster, such as "local:4" (docs/cluster.md).
      progress: show what is done and the time left, in a terminal or a notebook.
      **values: fields of a configuration, as in `echo_jax.train`. The seed, the number of
        evaluation sequences and the user's own data are equal in all combinations.

    Returns:
      The section of the sweep, which shows itself: tables, figure, rows of each seed.

    Raises:
      ConfigError: an argument breaks a rule, or a combination of values does.
      StorageError: `out` is not the folder of a sweep, is damaged or in use, or cannot be written.
      TasksFailedError: some combinations failed; the others have rows in `out`.
      SchedulerLostError: the scheduler of the cluster is gone; `out` has the rows made so far.
    """
    machine.check_settings()
    check_call(sweep, locals())
    running = Execution(cluster, progress)
    several, fixed, data = _divided(values)
    fixed |= {"seeds": seeds}
    study = sweep_study(several, part, data, until_learned, **fixed)
    stated = fixed | (vars(data) if data.file else {})
    command = command_of_sweep(part, several, stated, until_learned)
    place = None if out is None else atomic_files.path_of("out", out)
    with contextlib.nullcontext(place) if place else tempfile.TemporaryDirectory() as path:
        folder = sweep_folder(Path(path), study, command)
        return run_studies(folder, [NAME], running, PLAIN if place else None)[NAME]


def sweep_folder(path: Path, study: Study, command: str) -> StudyFolder:
    """Return `path` as the folder of the sweep `study`, which the command line `command` makes.

    Raises ConfigError for the reasons of `checked`.
    """
    studies = {NAME: checked(study)}
    return StudyFolder(path, "a sweep", "A sweep", studies, lambda _: command, command)


def _divided(
    values: Mapping[str, Any],
) -> tuple[dict[str, list[Any]], dict[str, Any], DataConfig]:
    """Return, from `values`, lists of values by field, fields that no sweep varies, and own data.

    Raises ConfigError if a name is not a field of a configuration, or a value cannot be swept.
    """
    whole = flat(RunConfig())
    for name in values:
        if name not in whole:
            raise unknown(name, name, whole, "help(echo_jax.train)")
    alone = {"seed", "evaluation_sequences"}
    own = {field.name for field in dataclasses.fields(DataConfig)}
    data = DataConfig(**{name: value for name, value in values.items() if name in own})
    fixed = {name: value for name, value in values.items() if name in alone}
    several = {name: _several(name, of) for name, of in values.items() if name not in alone | own}
    return several, fixed, data


def _several(name: str, given: Any) -> list[Any]:
    """Return `given`, one or several values of the field `name`, as a list.

    Raises ConfigError unless each value is a number, a name, True or False, or None alone.
    """
    if hasattr(given, "tolist"):  # of numpy
        given = given.tolist()
    several = given if isinstance(given, list | tuple | range) else [given]
    found = [each.item() if hasattr(each, "item") else each for each in several]
    for value in found:
        if not (isinstance(value, bool | int | float | str) or found == [None]):
            fix = "use numbers, names, True or False, alone or in a list"
            raise ConfigError(name, value, "is not a value of a sweep", fix)
    return found


def sweep_study(
    values: Mapping[str, Sequence[Any]],
    part: Part,
    data: DataConfig,
    until_learned: bool,
    **fixed: Any,
) -> Study:
    """Return the study of every combination of `values`, which has a list of values by field.

    The combinations change the configuration of `part`, on the user's own `data`; `fixed` has
    fields that all combinations share. Each value of the last field with several values is compared
    with the first value, with equal other fields. With `until_learned`, the training of a
    combination ends when all its seeds have reached 99%. Raises ConfigError if a field has no
    value, or a combination is invalid.
    """
    for field, given in values.items():
        if not given:
            raise ConfigError(f"{{{field}}} has no value: give one or several values")
    alone = {field: given[0] for field, given in values.items() if len(given) == 1}
    varied = {field: given for field, given in values.items() if len(given) > 1}
    if not varied:
        # A table needs an axis: without several values it is the lag alone.
        varied = {"lag": [alone.pop("lag", PARTS[part].task.lag)]}
    same = alone | fixed | vars(data)
    axes = {
        name_of(field): {label(value): {**same, field: value} for value in given}
        for field, given in varied.items()
    }
    points = grid(PARTS[part], axes, until_learned=until_learned)
    named = [f"{name} {', '.join(map(str, labels))}" for name, labels in axes.items()]
    source = "" if data.file is None else f" of {data.file}"
    question = f"What is learned{source} with {'; '.join(named)}?"
    size = len(list(axes.values())[-1])
    names = [point.name for point in points]
    pairs = tuple((names[i - i % size], names[i]) for i in range(len(names)) if i % size)
    columns = SCORES if data.file is None else OWN_SCORES
    return Study(question, points, columns, chart_of(varied), pairs)


def command_of_sweep(
    part: Part,
    values: Mapping[str, Sequence[Any]],
    fixed: Mapping[str, Any],
    until_learned: bool,
) -> str:
    """Return the command line of a sweep of `values` and `fixed` fields, as its page shows it."""
    words = ["--part", part, *(["--until-learned"] if until_learned else [])]
    for field, given in [*values.items(), *((name, [value]) for name, value in fixed.items())]:
        if given != [None]:
            words += [f"--{field.replace('_', '-')}", *(str(label(value)) for value in given)]
    return f"echo-jax sweep {shlex.join(words)}"


def chart_of(varied: Mapping[str, Sequence[Any]]) -> Chart:
    """Return the chart of a sweep: lines over a field of `varied`, or otherwise dots.

    `varied` has a list of values by field. Lines need a field of numbers whose other fields have at
    most 6 combinations, one for each line. The first such field is taken.
    """
    for field, values in varied.items():
        others = [other for other in varied if other != field]
        # Not isinstance, by which True and False are numbers.
        numeric = all(type(value) in (int, float) for value in values)
        if numeric and math.prod(len(varied[other]) for other in others) <= len(SERIES):
            return Chart("lines", x=name_of(field), series=",".join(map(name_of, others)))
    return Chart()


def name_of(field: str) -> str:
    """Return the name of `field` in tables."""
    return SHORT_NAMES.get(field, field.replace("_", " "))


def label(value: Any) -> Any:
    """Return `value` as tables show it: True and False as yes and no."""
    return ("no", "yes")[value] if isinstance(value, bool) else value


def checked(study: Study) -> Study:
    """Return `study` with the user's own values, and with the options and digests of its cells.

    Only a user's cell has a digest, that of its text. Raises ConfigError if a file cannot be read,
    or a network is too large or cannot be built.
    """
    # These import jax and Flax; the values of the sweep were checked without them.
    from echo_jax.cells import registry
    from echo_jax.cells.cell_object import cell_of, with_cell_stated

    for point in study.points:
        machine.check_memory(point.config.seeds * point.config.least_bytes)
    machine.use_cpu_devices(None)  # before a user's file uses jax
    points = study.points
    if points[0].config.data.file is not None:
        from echo_jax.echo.run import own_data

        own = own_data.read_inputs(points[0].config)
        points = tuple(point.on(own_data.on_values(own, point.config)) for point in points)
    points = tuple(dataclasses.replace(x, config=with_cell_stated(x.config)) for x in points)
    shapes = [changed(point.config, seeds=1, seed=0, sequences=1) for point in points]
    cells = {config: cell_of(config) for config in dict.fromkeys(shapes)}
    with_source = (
        dataclasses.replace(
            point,
            cell_source=registry.source_digest(config.network.cell, cells[config]),
        )
        for point, config in zip(points, shapes, strict=True)
    )
    return dataclasses.replace(study, points=tuple(with_source))
