"""A run of many seeds as blocks of seeds: trained apart, kept in the run folder, merged at the end.

blocks     consecutive seeds; their borders depend on the configuration alone
train      each block that the folder does not have yet: a task of an executor
merge      the blocks in order: the state, log and scores that one process would have
"""

import contextlib
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from echo_jax import atomic_files
from echo_jax.cells import registry
from echo_jax.cluster import Executor, run_all
from echo_jax.config import RunConfig, changed
from echo_jax.core import many_seeds
from echo_jax.core.data import Corpus
from echo_jax.core.evaluation import Evaluation, evaluate
from echo_jax.core.many_seeds import SeedMap
from echo_jax.core.network import Compute
from echo_jax.core.training import TrainState, init
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.host.chunk_loop import chunks
from echo_jax.host.compiled_programs import DevicePlan, compile_programs
from echo_jax.runs import checkpoint
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.prepared_run import PreparedRun

FORMAT = b"echo_jax block 1\n"
"""First line of the file of a block, see `checkpoint.write`."""

FOLDER = "blocks"
"""Folder of the finished blocks, in the run folder; removed once they are merged."""

UPDATES = 400_000
"""Updates of all seeds of a block, about: seconds for small networks, minutes for large ones."""

MOST_SEEDS = 64
"""Seeds of a block, at most."""


class Block(NamedTuple):
    """Some seeds of a run, as the task of an executor.

    config       of these seeds alone
    corpus       that sequences are cut from; None for random ones
    chunk        sequences of a chunk
    seed_map     None for the default of the platform
    compute      the literal or the fast form
    cell_source  SHA-256 of the file of a user's cell; None where the run does not state it
    """

    config: RunConfig
    corpus: Corpus | None
    chunk: int
    seed_map: SeedMap | None
    compute: Compute
    cell_source: str | None = None

    @property
    def name(self) -> str:
        """The seeds in words."""
        return f"seeds {self.config.seed} to {self.config.seed + self.config.seeds - 1}"


class TrainedBlock(NamedTuple):
    """The seeds of a block after training, numpy leaves `[S, ...]`; the curves are `[S, N]`."""

    state: TrainState
    loss: np.ndarray
    accuracy: np.ndarray
    scored: Evaluation


def blocks_of(run: PreparedRun) -> list[Block]:
    """The blocks of a job, in the order of its seeds."""
    config = run.config
    updates = config.training.sequences * config.task.updates_per_sequence
    size = max(1, min(MOST_SEEDS, UPDATES // updates))
    end, inputs = config.seed + config.seeds, run.inputs
    shared = (run.corpus, run.chunk, inputs.seed_map, run.plan.compute, inputs.cell_source)
    return [
        Block(changed(config, seed=seed, seeds=min(size, end - seed)), *shared)
        for seed in range(config.seed, end, size)
    ]


def train_block(block: Block, report: Callable[[float], None]) -> tuple[TrainedBlock, str]:
    """Train and evaluate the seeds of a block; returns the kind of the device too.

    ConfigError where the user's cell has another text here than the block states.
    """
    config, last = block.config, block.config.training.sequences
    registry.check_source(config.network.cell, block.cell_source)
    plan = DevicePlan(block.seed_map or many_seeds.default_seed_map(), None, block.compute)
    programs = compile_programs(config, block.chunk, plan, block.corpus)
    dynamic, log = programs.dynamic(config), History(config)
    step = functools.partial(programs.train, dynamic, corpus=block.corpus)
    state = programs.init(dynamic)
    for chunk in chunks(step, state, range(last), block.chunk):
        state = chunk.state
        log.append(chunk.output.loss, chunk.output.accuracy)
        report(chunk.done / last)
    scored = programs.score(dynamic, state.params, block.corpus)
    state = jax.tree.map(lambda leaf: np.asarray(leaf)[: config.seeds], state)
    return TrainedBlock(state, *log.curves(), scored), programs.devices[0].device_kind


def missing(run: PreparedRun) -> list[Block]:
    """The blocks that have no file yet.

    A file of other seeds or of another number of sequences is no block of the job any more: its
    block is trained again. StorageError for a file that is damaged or of another run.
    """
    return [block for block in blocks_of(run) if _read(run, block) is None]


def train(
    run: PreparedRun,
    blocks: Sequence[Block],
    executor: Executor,
    done: Callable[[Block, str], None],
) -> None:
    """Train blocks and write their files; `done` is told each, and its accuracy in words.

    Raises:
      ConfigError: some blocks failed; the files of all others are there.
    """
    folder = run.stored_in / FOLDER
    atomic_files.check_no_link(folder)
    folder.mkdir(exist_ok=True)

    def keep(block: Block, found: tuple[TrainedBlock, str] | None) -> None:
        """Write the file of a block that did not fail."""
        if found:
            trained, device = found
            about = {**_about(run, block), "device": device}
            checkpoint.write(_path(run, block), FORMAT, about, trained)
        done(block, f"accuracy {found[0].scored.accuracy.mean():.1%}" if found else "failed")

    if failures := run_all(executor, train_block, blocks, keep):
        raise ConfigError(
            f"{len(failures)} blocks of seeds failed, and {run.folder} has all others: "
            f"{'; '.join(failures)}"
        )


def merged(run: PreparedRun) -> tuple[TrainState, History, Evaluation, list[str]]:
    """The state, log and scores of all seeds from the files of their blocks, and the devices."""
    found = [_read(run, block) for block in blocks_of(run)]
    trained, devices = zip(*(each for each in found if each), strict=True)
    whole = jax.tree.map(lambda *leaves: np.concatenate(leaves), *trained)
    log = History(run.config)
    log.append(whole.loss, whole.accuracy)
    return whole.state, log, whole.scored, sorted(set(devices))


def remove_files(run: Path) -> None:
    """Remove the blocks of a run folder, which a checkpoint of all seeds has replaced."""
    for path in (run / FOLDER).glob("*.msgpack"):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (run / FOLDER).rmdir()


def _path(run: PreparedRun, block: Block) -> Path:
    """The file of a block: its name says what may change when a run is resumed."""
    config = block.config
    return (
        run.stored_in / FOLDER / f"{config.seed}-{config.seeds}-{config.training.sequences}.msgpack"
    )


def _read(run: PreparedRun, block: Block) -> tuple[TrainedBlock, str] | None:
    """A block and its device from its file, if there is one."""
    path, fix = _path(run, block), "remove it, and it is trained again"
    if not path.exists():
        return None
    contents = checkpoint.read(path, FORMAT, _shapes(block), fix)
    trained, device = contents.pop("state"), contents.pop("device", None)
    if contents != _about(run, block) or not isinstance(device, str):
        raise StorageError(f"{path} is not of the run beside it: {fix}")
    return trained, device


def _about(run: PreparedRun, block: Block) -> dict[str, Any]:
    """The inputs, seeds and sequences, which determine the arrays of a block."""
    config = block.config
    numbers = {"seed": config.seed, "seeds": config.seeds, "sequences": config.training.sequences}
    return {"inputs": run.inputs.identity, **numbers}


def _shapes(block: Block) -> TrainedBlock:
    """The shapes and types of a trained block."""
    config = block.config

    def of_all_seeds(leaf: Any) -> Any:
        return jax.ShapeDtypeStruct((config.seeds, *leaf.shape), leaf.dtype)

    def one() -> tuple[TrainState, Evaluation]:
        state = init(config.static_config, config.dynamic)
        return state, evaluate(config.static_config, config.dynamic, state.params, block.corpus)

    state, scored = jax.tree.map(of_all_seeds, jax.eval_shape(one))
    curve: Any = of_all_seeds(np.zeros(config.training.sequences, np.float32))
    return TrainedBlock(state, curve, curve, scored)
