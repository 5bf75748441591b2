"""A run about to start or to go on, checked against its folder before anything is compiled."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from echo_jax import environment
from echo_jax.cells import registry
from echo_jax.cells.cell_object import cell_of, with_cell_stated
from echo_jax.config import RunConfig, TrainOptions, changed, check_named
from echo_jax.echo import many_seeds, training
from echo_jax.echo.data import Corpus
from echo_jax.echo.programs import DevicePlan
from echo_jax.echo.run import checkpoint, run_folder
from echo_jax.echo.run.checkpoint import Saved
from echo_jax.echo.run.run_folder import RunSpec
from echo_jax.echo.training import Learner
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.storage import atomic_files, tensor_files


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


def new_inputs(config: RunConfig) -> RunSpec:
    """Return the inputs of a new run, for which the file that the configuration names is read."""
    if config.data.file is None:
        return RunSpec(config)
    from echo_jax.echo.run import own_data  # not loaded for random integers

    return own_data.read_inputs(config)


@contextlib.contextmanager
def new_run(inputs: RunSpec, out: Path | None, options: TrainOptions) -> Iterator[PreparedRun]:
    """Return a run in a new folder, locked against other processes; without `out`, in none.

    Raises ConfigError, before anything is compiled or written, if the run cannot be trained.
    """
    inputs = inputs._replace(seed_map=options.seed_map, compute=options.compute)
    if out is None:
        yield _checked(inputs, options)
        return
    # Here to refuse before a network is built, and once more with the lock.
    run_folder.check_unused(out)
    folder = out.absolute()
    run = _checked(inputs, options)
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
    """Return the run in a folder, which is locked against every other process.

    The seed map and the form are those of the folder; the number of sequences may be larger. Raises
    ConfigError, before anything is compiled, if the run cannot continue or its cell is not named.
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
        run = _checked(inputs._replace(config=wanted), options)
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


def _checked(inputs: RunSpec, options: TrainOptions) -> PreparedRun:
    """Return a run from its first sequence on, with the source of its cell; jax is started here."""
    limit = options.devices
    environment.use_cpu_devices(min(limit or environment.cores(), inputs.config.seeds))
    config = with_cell_stated(inputs.config)
    cell = cell_of(config, inputs.cell)
    compute = inputs.compute or "fast"
    learner = training.build_learner(config, cell, compute, inputs.optimizer)
    source = registry.source_digest(config.network.cell, cell)
    inputs = inputs._replace(config=config, cell_source=source)
    shapes = many_seeds.state_shapes(config, learner)
    tensor_files.named(shapes)  # refuses what could not be saved
    environment.check_memory(tensor_files.size_of(shapes) + config.least_bytes)
    seed_map = inputs.seed_map or many_seeds.default_seed_map()
    devices = many_seeds.devices_for(config.seeds, seed_map, limit)
    runs_a_device = -(-config.seeds // len(devices))  # that it does one after the other
    updates = max(100, min(400, 12800 // runs_a_device))  # about, between two looks at the progress
    return PreparedRun(
        inputs=inputs,
        learner=learner,
        corpus=inputs.corpus(),
        chunk=max(1, min(config.training.sequences, updates // config.task.updates_per_sequence)),
        plan=DevicePlan(seed_map, limit),
        checkpoint_every=options.checkpoint_every,
    )


def _saved(folder: Path, inputs: RunSpec, wanted: int, learner: Learner) -> Saved | None:
    """Return the last checkpoint of a run, if there is one; raise ConfigError if it is done."""
    saved, result = checkpoint.read(folder, inputs, many_seeds.state_shapes(inputs.config, learner))
    done = saved.history.sequences if saved else 0
    shown = run_folder.as_shown(folder)
    if done > wanted:
        rule = f"is below the {done} sequences that {shown} was trained on"
        raise ConfigError("sequences", wanted, rule, "use more, or start a new run")
    if done == wanted and result:
        fix = (
            "use a larger {sequences} to continue, predict with it, or write its files again by "
            f"echo-jax show --curve {shown}"
        )
        raise ConfigError(None, shown, f"is finished, with all {done} sequences", fix)
    return saved
