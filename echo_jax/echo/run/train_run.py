"""One training run: checked, restored or initialised, trained by chunks, evaluated, written.

A run is checked against its folder before anything is compiled.
"""

import contextlib
import dataclasses
import importlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from echo_jax import machine
from echo_jax.cells import registry
from echo_jax.cells.cell_object import cell_of, with_cell_stated
from echo_jax.config import LARGEST, RunConfig, TrainOptions, changed, check_named, is_built_in
from echo_jax.echo import many_seeds, training
from echo_jax.echo.compiled_programs import Programs, Stopwatch, start_compiling
from echo_jax.echo.data import Corpus
from echo_jax.echo.many_seeds import DevicePlan
from echo_jax.echo.run import checkpoint, run_folder, scoring
from echo_jax.echo.run.checkpoint import Finished, History, Saved
from echo_jax.echo.run.result import Result
from echo_jax.echo.run.run_folder import RunSpec
from echo_jax.echo.training import Learner
from echo_jax.engine.process import Interrupts
from echo_jax.engine.progress import TrainingProgress
from echo_jax.exceptions import ConfigError, DivergedError, StorageError
from echo_jax.learner.update import TrainState
from echo_jax.report.number_formats import counted
from echo_jax.storage import atomic_files, tensor_files

OnChunk = Callable[[int, np.ndarray, np.ndarray], object]
"""A function that is called after each chunk with the number of sequences trained on so far and
the loss and the accuracy of each sequence of the chunk, both float32 `[S, count]`."""


class PreparedRun(NamedTuple):
    """Everything that the training loop needs to know."""

    inputs: RunSpec
    learner: Learner
    corpus: Corpus | None  # the user's own values; None for random sequences
    chunk: int  # its sequences
    plan: DevicePlan  # the seed map and form that the folder states, else the default ones
    folder: Path | None = None  # absolute, as a cell may change the current one; None: no files
    saved: Saved | None = None  # None for a new run
    checkpoint_every: int | None = None  # sequences; None for about ten seconds
    note: str | None = None  # why a run that goes on may have other bits

    @property
    def config(self) -> RunConfig:
        """The configuration of the run."""
        return self.inputs.config


@dataclasses.dataclass(frozen=True)
class Running:
    """How a run is shown and stopped, by a command or a Python call.

    say         a function that gets the devices, and progress without a bar; None for silence
    on_chunk    a function that is called after each chunk
    interrupts  what can stop the run after a chunk; by default nothing does
    watch       the clock of the seconds in `result.json`
    """

    say: Callable[[str], None] | None = None
    on_chunk: OnChunk | None = None
    interrupts: Interrupts = dataclasses.field(default_factory=Interrupts)
    watch: Stopwatch = dataclasses.field(default_factory=Stopwatch)


def new_inputs(config: RunConfig) -> RunSpec:
    """Return the inputs of a new run of `config`, with the user's values if it names a file.

    Raises ConfigError if the file cannot be read, or if its values do not suit the run.
    """
    if config.data.file is None:
        return RunSpec(config)
    from echo_jax.echo.run import own_data  # not loaded for random integers

    return own_data.read_inputs(config)


@contextlib.contextmanager
def new_run(inputs: RunSpec, out: Path | None, options: TrainOptions) -> Iterator[PreparedRun]:
    """Yield a new run with `inputs` in the new folder `out`, locked against other processes.

    Without `out`, the run has no folder. `options` say how the run is computed. Raises ConfigError,
    before anything is compiled or written, if the run cannot be trained, and StorageError if the
    folder cannot be created.
    """
    inputs = inputs._replace(seed_map=options.seed_map, compute=options.compute)
    if out is None:
        yield _prepare(inputs, options)
        return
    # This check refuses a used folder early, before a network is built. It is repeated below, with
    # the lock, where no other process can interfere.
    run_folder.check_unused(out)
    folder = out.absolute()
    run = _prepare(inputs, options)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # What is written into the folder syncs it, and not its name in the parent.
        atomic_files.sync_folder(folder.parent)
    except OSError as error:
        rule = f"cannot be created ({error.strerror})"
        raise StorageError("out", str(out), rule, "use a folder you may write to") from error
    with atomic_files.locked(folder):
        run_folder.check_unused(folder)  # another process may have been there first
        checkpoint.begin(folder, run.inputs)
        yield run._replace(folder=folder)


@contextlib.contextmanager
def resumed_run(
    folder: Path,
    options: TrainOptions,
    sequences: int | None = None,
    cell: str | None = None,
) -> Iterator[PreparedRun]:
    """Yield the run in `folder`, which is locked against every other process.

    The folder states the seed map and the form of computation, and `options` state the devices and
    when checkpoints are due. `sequences` is the number of training sequences, which may be larger
    than before; None keeps it. `cell` names the user's cell of the run, if any. Raises ConfigError,
    before anything is compiled, if the run cannot continue or its cell is not named, and
    StorageError if the folder is in use or damaged.
    """
    # Before anything is read: another process may be training the run.
    with atomic_files.locked(folder):
        inputs = checkpoint.read_inputs(folder)
        stored_in = folder.absolute()  # before a cell is imported
        # Before the network is built, which imports its cell: a stranger may have written the
        # folder.
        check_named(folder, inputs.config.network.cell, cell)
        wanted = inputs.config
        if sequences:
            wanted = changed(wanted, sequences=sequences)
        run = _prepare(inputs._replace(config=wanted), options)
        if other_text := run_folder.changed_cell(folder, inputs, run.inputs.cell_source):
            raise ConfigError(
                f"{other_text}, but a continued run must be bit-identical to an uninterrupted "
                "one: restore that text, or start a new run"
            )
        saved = _saved(stored_in, inputs, wanted.training.sequences, run.learner)
        # Before training: after a kill the next --resume knows the new number of sequences.
        if wanted != inputs.config:
            checkpoint.write(stored_in, run.inputs, saved)
        checkpoint.write_config(stored_in, run.inputs)
        note = checkpoint.other_bits(inputs.begun) if inputs.begun else None
        yield run._replace(folder=stored_in, saved=saved, note=note)


def _prepare(inputs: RunSpec, options: TrainOptions) -> PreparedRun:
    """Start the devices, build the network, and return the run as the training loop needs it.

    Folder and checkpoint are not filled in. `options` say how the run is computed. The inputs of
    the result state all options of the cell and the digest of the cell's text. Raises ConfigError
    if the run cannot be trained.
    """
    limit = options.devices
    machine.use_cpu_devices(min(limit or machine.cores(), inputs.config.seeds))
    inputs, learner = _build(inputs)
    seed_map = inputs.seed_map or many_seeds.default_seed_map()
    devices = many_seeds.devices_for(inputs.config.seeds, seed_map, limit)
    return PreparedRun(
        inputs=inputs,
        learner=learner,
        corpus=inputs.corpus(),
        chunk=_sequences_of_chunk(inputs.config, len(devices)),
        plan=DevicePlan(seed_map, limit),
        checkpoint_every=options.checkpoint_every,
    )


def _build(inputs: RunSpec) -> tuple[RunSpec, Learner]:
    """Build the cell and the network of `inputs`, and return the inputs with the cell stated.

    The network is not initialised. Raises ConfigError if its state could not be saved or does not
    fit into the memory.
    """
    config = with_cell_stated(inputs.config)
    cell = cell_of(config, inputs.cell)
    learner = training.build_learner(config, cell, inputs.compute or "fast", inputs.optimizer)
    source = registry.source_digest(config.network.cell, cell)
    if inputs.optimizer:
        training.check_transformation(learner)
    shapes = training.state_shapes(config, learner)
    tensor_files.named(shapes)  # refuses what could not be saved
    machine.check_memory(tensor_files.size_of(shapes) + config.least_bytes)
    return inputs._replace(config=config, cell_source=source), learner


def _sequences_of_chunk(config: RunConfig, devices: int) -> int:
    """Return the sequences of a chunk of training, for `config` on this number of `devices`.

    A chunk has about 100 to 400 updates of each seed, so that the progress is soon shown again.
    """
    runs_a_device = -(-config.seeds // devices)  # that it does one after the other
    updates = max(100, min(400, 12800 // runs_a_device))
    return max(1, min(config.training.sequences, updates // config.task.updates_per_sequence))


def _saved(folder: Path, inputs: RunSpec, wanted: int, learner: Learner) -> Saved | None:
    """Return the last checkpoint of the run in `folder`, or None before the first.

    `wanted` is the number of sequences to train on in all. Raises ConfigError if the run was
    trained on more sequences, or if it was trained on this number and is finished.
    """
    saved, result = checkpoint.read(folder, inputs, training.state_shapes(inputs.config, learner))
    done = saved.history.sequences if saved else 0
    shown = run_folder.as_shown(folder)
    if done > wanted:
        rule = f"is below the {done} sequences that {shown} was trained on"
        raise ConfigError("sequences", wanted, rule, f"use more than {done}, or start a new run")
    if done == wanted and result:
        fix = (
            "use a larger {sequences} to continue it, or make its figure and tables again by "
            f"echo-jax show --curve {shown}"
        )
        raise ConfigError(None, shown, f"is finished, with all {done} sequences", fix)
    return saved


def train_run(run: PreparedRun, running: Running) -> Finished:
    """Compile, train and evaluate `run`, write the files of its folder, and return its outcome.

    The figure is not written. `running` says how the run is shown and stopped. Raises StoppedError
    if a signal ended the run, and DivergedError if the loss of every seed became non-finite.
    """
    log = run.saved.history if run.saved else History(run.config)
    writer = CheckpointWriter(run, log)
    watch = running.watch
    with ThreadPoolExecutor(2) as background:  # prepares what is needed last while training goes on
        with watch.time("compile"):
            what = run.config, run.learner, run.chunk, run.plan, run.corpus
            programs = start_compiling(*what, background, not run.saved)
        background.submit(importlib.import_module, "matplotlib.figure")  # takes 0.3 s; needed last
        kinds = [machine.device_kind()] * len(programs.devices)
        if running.say:
            running.say(f"on {counted(len(kinds), 'device')}: {', '.join(sorted(set(kinds)))}")
        with watch.time("train"):
            state = train(run, programs, writer, running)
        with watch.time("wait_for_it"):
            watch.seconds["compile_while_training"] = programs.evaluate.result().seconds
        with watch.time("evaluate"):
            scored = programs.score(programs.dynamic(run.config), state.params, run.corpus)
            own = None
            if run.corpus and (values := run.inputs.values):
                from echo_jax.echo.run.own_data import measure  # not for random integers

                own = measure(run.config, run.corpus, values, programs, state.params)
    writer.refuse_divergence(scored.loss)
    scores = scoring.summarise(run.config, scored, log.curves(), own)
    scores.seconds = {name: round(value, 3) for name, value in watch.seconds.items()}
    scores.devices = kinds
    scores.cores = machine.threads()
    finished = Finished(run.config, log, scores, state.params)
    if run.folder:
        # The one file first: all others are made from it, by `show --curve` too after a kill.
        writer.save(state, scores)
        checkpoint.write_finished(run.folder, finished)
    return finished


def train(
    run: PreparedRun, programs: Programs, writer: "CheckpointWriter", running: Running
) -> TrainState:
    """Run the training loop, and return the state of every seed after the last sequence.

    `writer` writes the checkpoints, and its log gets the curves. Raises StoppedError and
    DivergedError as `train_run` does.
    """
    last = run.config.training.sequences
    dynamic = programs.dynamic(run.config)
    log = writer.log
    interrupts = running.interrupts
    state = programs.placed(run.saved.state) if run.saved else programs.init(dynamic)
    with TrainingProgress(last, log.sequences, running.say) as bar:
        left = range(log.sequences, last)
        task = run.config.task
        for chunk in programs.train(dynamic, state, left, task, run.corpus, run.checkpoint_every):
            state = chunk.state
            log.append(chunk.loss, chunk.accuracy)
            # Before the checkpoint: where every seed has failed, the last good one stays.
            writer.refuse_divergence()
            bar.update(chunk.done, float(chunk.loss.mean()), float(chunk.accuracy.mean()))
            if programs.evaluate.done():
                programs.evaluate.result()  # raises what its compilation failed with
            # Asked once: a signal that comes after it ends the next chunk, or that would be lost.
            stopping = interrupts.signal
            if stopping or writer.is_due():
                writer.save(state)
            if stopping:
                writer.write_metrics()
            if running.on_chunk:
                running.on_chunk(chunk.done, chunk.loss, chunk.accuracy)
            if stopping:
                interrupts.check(f"Stopped after {chunk.done:,} of {last:,} sequences")
    return state


class CheckpointWriter:
    """The writer of the checkpoints of a run, whose training loop appends to `log`."""

    def __init__(self, run: PreparedRun, log: History) -> None:
        """Start the clock that says when a checkpoint is due."""
        self._run = run
        self.log = log
        self._saved = log.sequences
        self._clock = time.perf_counter()

    def is_due(self) -> bool:
        """Return True if a checkpoint is due after the chunk that was logged last."""
        if self._run.checkpoint_every:
            # No chunk goes past a multiple, see `train_chunks`, so none is missed.
            return self.log.sequences % self._run.checkpoint_every == 0
        return time.perf_counter() - self._clock > 10.0  # seconds

    def save(self, state: Any, finished: Result | None = None) -> None:
        """Write `state`, leaves `[S or more, ...]`, and the result `finished`, if there is one.

        Without a result, nothing is written if the state of every seed is non-finite. Nothing is
        written for a run without a folder.
        """
        if self._run.folder is None:
            return
        seeds = self._run.config.seeds
        # Further rows only fill up the devices.
        state = jax.tree.map(lambda leaf: np.asarray(leaf)[:seeds], state)
        # States that are not finite would take the place of the last checkpoint that can go on.
        bad = [~np.isfinite(x.reshape(len(x), -1)).all(axis=1) for x in jax.tree.leaves(state)]
        if finished or not np.any(bad, axis=0).all():
            checkpoint.write(self._run.folder, self._run.inputs, Saved(state, self.log), finished)
            self._saved = self.log.sequences
            self._clock = time.perf_counter()

    def write_metrics(self) -> None:
        """Write `metrics.csv`, if the run has a folder."""
        if self._run.folder:
            atomic_files.write_bytes(self._run.folder / run_folder.METRICS, self.log.text())

    def refuse_divergence(self, final: np.ndarray | None = None) -> None:
        """Raise DivergedError if every seed has had a non-finite loss.

        `final`, `[S]`, are the losses of the evaluation, which count too. Before the error is
        raised, `metrics.csv` is written.
        """
        bad = self.log.bad if final is None else self.log.bad | ~np.isfinite(final)
        if not bad.all():
            return
        config = self._run.config
        failed = scoring.failures(config, self.log.curves()[0], final)
        pairs = zip(failed["sequence"], failed["seed"], strict=True)
        first, seed = min(pairs, key=lambda pair: pair[0] or LARGEST)
        place = f"sequence {first}" if first else "the evaluation"
        fix = f"use a {{learning_rate}} below {config.training.learning_rate:g}"
        if config.training.of_optax:
            fix = "use an {optimizer} that takes smaller steps"
        if first == 1 and not is_built_in(config.network.cell):
            fix = "guard every division, root and logarithm in the code of the cell"
        if folder := self._run.folder:
            self.write_metrics()
            kept = f"the checkpoint of sequence {self._saved}" if self._saved else "metrics.csv"
            fix += f"; {run_folder.as_shown(folder)} keeps {kept}"
        raise DivergedError(None, f"the loss of {place}", f"is non-finite with seed {seed}", fix)
