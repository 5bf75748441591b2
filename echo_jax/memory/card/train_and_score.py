"""Make a run of a card: train and score a network around a cell, and return its row.

named_cell              a name, arguments and bytes of state ─► a cell
InJax                   makes the runs of a cell, unless `InTorch` does
measurable              checks the rules of a cell that is measured
compile_run, make_row   a run ─► its programs ─► its row
"""

import contextlib
import dataclasses
import hashlib
import json
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import chex
import jax
import msgspec
import numpy as np
from msgspec import UNSET

from echo_jax import machine
from echo_jax.cells import registry, user_cell
from echo_jax.cells.adapt import size_of
from echo_jax.cells.cell_object import check_args, of_object
from echo_jax.cells.interface import Cell
from echo_jax.cells.state_numbers import flat_state, state_bytes
from echo_jax.cells.state_search import sized
from echo_jax.cells.user_cell_check import Candidate, check_shapes
from echo_jax.config import check_named, is_built_in
from echo_jax.engine import process
from echo_jax.engine.grid import Job, Report
from echo_jax.exceptions import ConfigError, shown
from echo_jax.jax_settings import GENERATOR
from echo_jax.learner import network
from echo_jax.learner.network import Params
from echo_jax.learner.update import train_chunks
from echo_jax.memory.all_questions import NAMED, OF_MEMORY, Row
from echo_jax.memory.by_key.key_measurement import KeyMeasurement
from echo_jax.memory.by_lag.lag_measurement import LagMeasurement
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG
from echo_jax.memory.by_task.checked_task import TaskObject
from echo_jax.memory.by_task.task_measurement import TaskMeasurement
from echo_jax.memory.by_task.task_rows_and_bits import BY_TASK
from echo_jax.memory.card_contents import MeasuredCell
from echo_jax.memory.face_answers import packed
from echo_jax.memory.measurement import Measurement, MeasurementPrograms, RunInputs, by_steps
from echo_jax.memory.protocol import PILOT_SEED, STANDARD, Configuration, Protocol, QuestionName
from echo_jax.memory.question import DECIMALS, NATS
from echo_jax.report.number_formats import plain
from echo_jax.storage import tensor_files


class NamedCell(NamedTuple):
    """A cell with its name and arguments.

    name      the name of the cell, as after --cell
    args      the arguments of the cell, as JSON values
    cell      the cell itself
    named_by  the arguments in the name of its card; wanted bytes stand in place of the option that
              gives them
    remarks   sentences on the size of its state
    """

    name: str
    args: dict[str, Any]
    cell: Cell
    named_by: dict[str, Any]
    remarks: Sequence[str] = ()

    @property
    def card_name(self) -> str:
        """The default name of the cell's card, such as MyCell-rate-0.9."""
        own = ("block-" if self.measured.in_block else "") + Path(self.name.rpartition(":")[2]).stem
        words = [own, *(f"{name}-{x}" for name, x in self.named_by.items())]
        return re.sub(r"[^\w.-]+", "-", "-".join(words))

    @property
    def measured(self) -> MeasuredCell:
        """The cell as its card and its runs state it."""
        stated = MeasuredCell(self.name, self.args, framework=self.cell.framework or UNSET)
        if stated.bare.startswith("echo_jax.") or is_built_in(self.name):
            return stated
        source = user_cell.source_digest(self.cell.source)
        return msgspec.structs.replace(stated, source=source)


def named_cell(
    cell: Any,
    args: Mapping[str, Any] | None = None,
    target: int | None = None,
    protocol: Protocol = STANDARD,
) -> NamedCell:
    """Return a cell, given by its name or as an object, with its arguments.

    Args:
      cell: a name, or an object as for `echo_jax.card`.
      args: the options of the cell.
      target: for a name, the bytes of the state by key for which options are found; a remark says
        if none is within 10%.
      protocol: the numbers of the measure, which limit the size.

    Raises:
      ConfigError: the cell cannot be built, or an object is given with a target.
    """
    check_args(args)
    if not isinstance(cell, str):
        if target is None:
            return stated(*of_object(cell, args))
        raise ConfigError(
            f"state_bytes {target} needs a cell given by its name, but this is an object: give "
            "its options with args, or leave state_bytes out"
        )
    cell = str.__str__(cell)  # JSON takes no subclass, such as a member of an enumeration
    given = dict(args or {})
    found = registry.cell_class(cell)
    if target is None:
        return stated(cell, given, registry.build(cell, given, found), size_of(found))
    of_size = sized(cell, given, target, protocol.tokens, protocol.largest_state)
    named = stated(cell, of_size.args, registry.build(cell, of_size.args, found), size_of(found))
    remark = f"no size is within 10% of {target:,} bytes; the largest below has {of_size.bytes:,}"
    by = {**given, "state-bytes": target}
    return named._replace(named_by=by, remarks=() if of_size.fits else (remark,))


def cell_of_file(place: Path, of_file: MeasuredCell, cell: str | None) -> NamedCell:
    """Return the cell `of_file` that the file `place`, of a card or of weights, states.

    A stranger may have written the file. Raises ConfigError, before any text of a user's cell is
    executed, unless `cell` names this cell and the cell has the text that was measured.
    """
    check_named(place, of_file.name, cell)
    changed = cell and user_cell.digest_on_disk(cell) not in (None, of_file.source)
    named = None if changed else named_cell(of_file.name, of_file.args)
    if named is None or named.measured != of_file:
        rule = f"was made with another version of {of_file.name}"
        raise ConfigError(None, place, rule, "restore the version that it was made with")
    return named


def stated(name: str, given: dict[str, Any], cell: Cell, size: str | None) -> NamedCell:
    """Return a built `cell` with its `name` and the arguments `given`.

    `size` is the option that sets the number of units, which becomes an argument too. Raises
    ConfigError if a card cannot state the arguments.
    """
    units = getattr(cell.options, size, None) if size else None
    args = given | ({} if units is None else {size: units})
    try:
        # As a card that is read has them: a tuple is a list there, and both must be equal.
        args = json.loads(json.dumps(args, allow_nan=False, default=_number_of))
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"cell args {shown(args)} cannot be kept in a card ({error}): use numbers, "
            "words, True, False, None, and lists of them, or set them in a class of your own"
        ) from error
    return NamedCell(name, args, cell, given)


def _number_of(scalar: Any) -> Any:
    """Return a NumPy `scalar` as a number of Python; raise TypeError for any other object."""
    if isinstance(scalar, np.generic):
        return scalar.item()
    raise TypeError(f"{type(scalar).__name__} is no JSON value")


@dataclasses.dataclass(frozen=True)
class CardRun:
    """A run of a card: its row is a function of cell, protocol, configuration, seed and task.

    cell           the cell, as its card states it
    protocol       the numbers of the measure
    configuration  the question, the number of updates and the first learning rate
    seed           the seed; from `PILOT_SEED` on, the run is one of the pilot
    built          the cell itself; None on a worker, which builds the cell
    task           the task that is measured; None by lag and by key
    """

    cell: MeasuredCell
    protocol: Protocol
    configuration: Configuration
    seed: int
    built: Cell | None = dataclasses.field(default=None, compare=False, repr=False)
    task: TaskObject | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return the state that is sent to a worker, without the cell, which the worker builds."""
        return vars(self) | {"built": None}

    @property
    def key(self) -> str:
        """The key of the run, unique in its card."""
        return self.configuration.run(self.seed)

    @property
    def name(self) -> str:
        """The name of the run in progress lines; only a run of the pilot names its rate."""
        of = self.configuration
        if self.seed >= PILOT_SEED:
            return self.key
        return f"seed {self.seed}, {of.question}, {of.updates} updates"

    @property
    def program(self) -> Hashable:
        """The key of the run's programs: cell, protocol, question, task, the cell's address.

        The address distinguishes cells that share a name.
        """
        question = self.configuration.question
        of_task = self.task and self.task.measured
        return msgspec.json.encode(self.cell), self.protocol, question, of_task, id(self.built)

    @property
    def work(self) -> float:
        """The number of updates of the run."""
        return self.configuration.updates


class InJax:
    """How JAX makes the runs of a cell; `torch_measurement.InTorch` has the same members.

    measurements  the measurements that JAX can make, by the names of their questions
    check         raises ConfigError unless a step of a cell can be scanned
    settings      the context in which a cell is trained, which changes nothing for JAX
    """

    measurements: Mapping[QuestionName, Any] = {
        x.question.name: x for x in (LagMeasurement, KeyMeasurement, TaskMeasurement)
    }
    check = staticmethod(check_shapes)
    settings = contextlib.nullcontext  # with any cluster there are none beside those of jax

    def arrays(self, cell: Cell, about: Any) -> Params:
        """Return the shapes of the arrays of `cell` in a file of its weights.

        `about` is what the file states of its run.
        """
        key = jax.random.key(0, impl=GENERATOR)
        return {"cell": jax.eval_shape(lambda: cell.init(key, about.tokens))}

    def states(self, cell: Cell, about: Any, params: Params, streams: np.ndarray) -> Any:
        """Return the flat states of `cell` after each token of `streams`, float32 `[S, T, D]`.

        `params` are its trained parameters, and `about` is what their file states.
        """
        net = network.around(cell, about.tokens, 1)

        def states(params: Params) -> chex.Array:
            return by_steps(net, params, streams, lambda x, _: flat_state(cell, x, 1)[0])[0]

        return jax.jit(states)(params)


def made_by(cell: Cell) -> Any:
    """Return the object that makes runs of `cell`: an `InJax`, or for PyTorch an `InTorch`."""
    if cell.framework:
        # Imports PyTorch, which is optional.
        from echo_jax.memory.torch_measurement import InTorch

        return InTorch()
    return InJax()


def measurement_of(
    name: QuestionName, cell: Cell, protocol: Protocol, task: TaskObject | None = None
) -> Measurement:
    """Return the measurement of `cell` by the question called `name`; nothing is compiled.

    `protocol` has the numbers of the measure, and `task` is the task that is measured, if any.
    """
    return made_by(cell).measurements[name](cell, protocol, *([task] if task else []))


def input_sizes(protocol: Protocol, task: TaskObject | None) -> dict[QuestionName, int]:
    """Return how many different tokens a cell is fed under `protocol`, for each question of a card.

    The questions are by lag and by key, or only the `task` if one is given.
    """
    if task:
        return {BY_TASK.name: task.tokens}
    return {question.name: question.tokens(protocol) for question in OF_MEMORY}


def measurable(
    name: str, cell: Cell, protocol: Protocol, task: TaskObject | None = None
) -> dict[QuestionName, int]:
    """Return the bytes of the state of `cell` under `protocol`, for each question of its card.

    The questions are by lag and by key, or only the `task` if one is given. Raises ConfigError,
    which calls the cell `name`, if its step cannot be scanned, its state is too large, or a
    question cannot be measured in its framework.
    """
    inputs = input_sizes(protocol, task)
    maker = made_by(cell)
    if not inputs.keys() <= maker.measurements.keys():
        possible = " and ".join(maker.measurements)
        rule = f"is of {cell.framework}, whose layers are measured only {possible}"
        raise ConfigError(None, f"cell {name!r}", rule, "leave out {task}")
    if not is_built_in(name):  # the steps of the built-in cells can be, by test
        for features in inputs.values():
            maker.check(cell, name, features)
    sizes: dict[QuestionName, int] = Candidate(cell, name).attempt(
        lambda: {question: state_bytes(cell, n) for question, n in inputs.items()}, "initial_state"
    )
    if (size := sizes.get(BY_LAG.name, 0)) > protocol.largest_state:
        raise ConfigError(
            None, f"cell {name!r}", f"has a state of {size:,} bytes, but the head of a lag reads "
            f"at most {protocol.largest_state:,}", "give it fewer units, or {state_bytes=4000}",
        )  # fmt: skip
    return sizes


def compile_run(run: CardRun) -> MeasurementPrograms:
    """Return the compiled programs for the cell and the question of `run`.

    Raises ConfigError if the user's cell has another text than the run states, or breaks a rule.
    """
    cell = run.built
    if cell is None:  # on a worker
        cell = registry.build(run.cell.name, run.cell.args)
        registry.check_source(run.cell.name, cell, run.cell.source)
    measurement = measurement_of(run.configuration.question, cell, run.protocol, run.task)
    programs = measurement.programs(run.cell.name)
    process.give_back_memory()  # before training, which needs most
    return programs


class TrainedCell(NamedTuple):
    """A trained run.

    row      the row of the run
    weights  the trained weights by their names
    tokens   how many different tokens the cell was fed
    """

    row: Row
    weights: dict[str, Any]
    tokens: int


def make_row(run: CardRun, programs: MeasurementPrograms, report: Report) -> Row:
    """Train the network of `run`, score it unless a loss was not finite, and return the row.

    `programs` are from `compile_run`; `report` gets the share of the updates made.
    """
    return train(run, programs, report)[0]


def make_row_and_keep(run: CardRun, programs: MeasurementPrograms, report: Report) -> TrainedCell:
    """Train and score `run` as `make_row` does; return the row and the weights that are scored.

    `programs` are from `compile_run`; `report` gets the share of the updates made.
    """
    row, params = train(run, programs, report)
    weights = jax.device_get(tensor_files.named(params))
    return TrainedCell(row, weights, programs.measurement.network.input_size)


def train(run: CardRun, programs: MeasurementPrograms, report: Report) -> tuple[Row, Params]:
    """Train the network of `run`, score it, and return its row and its trained parameters.

    If a loss is not finite, training ends there and the network is not scored. `programs` are from
    `compile_run`; `report` gets the share of the updates made.
    """
    of = run.configuration
    inputs = RunInputs(np.int32(run.seed), np.float32(of.rate), np.int32(of.updates))
    associated, losses = list[int](), list[float]()
    blocks = train_chunks(
        lambda progress, _: programs.block(inputs, progress),
        programs.init(inputs),
        range(of.updates),
        run.protocol.updates_at_once,
    )
    for chunk in blocks:
        finite = bool(np.isfinite(chunk.metrics.losses).all())
        associated.append(int(chunk.metrics.associated))
        # The updates that are left out count as done, or the bar would never be full.
        report(chunk.done / of.updates if finite else 1.0)
        if not finite:
            break
        losses.append(float(np.mean(chunk.metrics.losses, dtype=np.float64)))
    params = chunk.state.params
    scores = score(run, programs, params) if finite else {}
    fields = {
        "seed": run.seed,
        "rate": of.rate,
        "updates": of.updates,
        "validation": None,
        "final": None,
        "device": machine.device(programs.measurement.platform),
        "version": machine.own_version(),
        "losses": plain(losses, NATS),
        "associated": associated if finite else None,
        **scores,
    }
    return programs.measurement.row(fields), params


def score(run: CardRun, programs: MeasurementPrograms, params: Any) -> dict[str, Any]:
    """Return the scores of the trained `params` of `run` as fields of its row.

    `programs` are from `compile_run`. The fields `validation` and `final` are left out if a score
    is not finite.
    """
    digest = weights_digest(params)
    sets = programs.draw(np.int32(run.seed), digest)
    scores = jax.device_get(programs.score(params, sets))
    constants = {"constant_bytes": programs.constants}
    fields: dict[str, Any] = {"state_bytes": int(scores.bytes), **constants}
    if np.isfinite([*scores.validation, *scores.final]).all():
        fields["validation"] = plain(scores.validation, NATS)
        fields["final"] = plain(scores.final, NATS)
    if run.task:
        fields["baseline"] = run.task.baseline(sets.final)
        fields["majority"] = plain(run.task.majority(sets.final), NATS)
    if programs.scan_accuracy:
        fields["difference"] = plain(programs.scan_accuracy(params, sets) - scores.accuracy)
    if programs.at_once and fields.get("final") and has_reading(run):
        found = programs.at_once(params, sets)
        bits, certainty = programs.measurement.told_at_once(found, fields["final"])
        bits = plain(float(bits), DECIMALS)
        fields["reading"] = packed(digest.tobytes(), bits, found.values, certainty)
    return fields


def has_reading(run: CardRun) -> bool:
    """Return True if a picture is drawn from `run`.

    The question of the run must have a picture for its protocol and seed. No picture is drawn from
    a run of the pilot, or from one with an unusual number of updates.
    """
    of = run.configuration
    usual = run.seed < PILOT_SEED and of.updates == run.protocol.updates
    return usual and NAMED[of.question].has_picture(run.protocol, run.seed)


JOB = Job(compile_run, make_row)  # the way to make the row of a run
KEEPING = Job(compile_run, make_row_and_keep)  # and to keep its weights


def runs_at_once() -> int:
    """Return how many runs are trained at once: on a CPU, the smaller of cores and XLA threads.

    On other devices, only one run is trained.
    """
    return min(machine.cores(), machine.threads()) if jax.default_backend() == "cpu" else 1


def weights_digest(params: Any) -> np.ndarray:
    """Return the SHA-256 of the trained weights `params`, in the order of leaves, uint32 `[8]`."""
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(jax.device_get(params)):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return np.frombuffer(digest.digest(), np.uint32)
