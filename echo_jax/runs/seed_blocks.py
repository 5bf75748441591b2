"""A run of many seeds as blocks of seeds: trained apart, kept in the run folder, merged at the end.

blocks     consecutive seeds; their borders depend on the configuration alone
train      each block that the folder does not have yet: a task of an executor
merge      the blocks in order: the state, log and scores that one process would have
"""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from echo_jax.cluster import Executor
from echo_jax.config import RunConfig, changed
from echo_jax.core import many_seeds
from echo_jax.core.evaluation import Evaluation, evaluate
from echo_jax.core.training import TrainState
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.host.chunk_loop import chunks
from echo_jax.host.compiled_programs import Execution, compile_programs
from echo_jax.runs import checkpoint
from echo_jax.runs.job import Job
from echo_jax.runs.metrics_csv import History

FORMAT = b"echo_jax block 1\n"
"""First line of the file of a block, see `checkpoint.write`."""

FOLDER = "blocks"
"""Folder of the finished blocks, in the run folder; removed once they are merged."""

UPDATES = 400_000
"""Updates of all seeds of a block, about: seconds for small networks, minutes for large ones."""

MOST_SEEDS = 64
"""Seeds of a block, at most."""


class Block(NamedTuple):
    """Some seeds of a job, as the task of an executor: their own configuration, and the job."""

    config: RunConfig
    job: Job

    @property
    def name(self) -> str:
        """The seeds in words."""
        config = self.config
        return f"seeds {config.seed} to {config.seed + config.seeds - 1}"

    @property
    def path(self) -> Path:
        """The file of the trained block."""
        return self.job.folder / FOLDER / f"{self.config.seed}.msgpack"


class TrainedBlock(NamedTuple):
    """The seeds of a block after training, numpy leaves `[S, ...]`; the curves are `[S, N]`."""

    state: TrainState
    loss: np.ndarray
    accuracy: np.ndarray
    scored: Evaluation


def blocks_of(job: Job) -> list[Block]:
    """The blocks of a job, in the order of its seeds."""
    config = job.config
    updates = config.training.sequences * config.task.updates_per_sequence
    size = max(1, min(MOST_SEEDS, UPDATES // updates))
    end = config.seed + config.seeds
    return [
        Block(changed(config, seed=seed, seeds=min(size, end - seed)), job)
        for seed in range(config.seed, end, size)
    ]


def train_block(block: Block, report: Callable[[float], None]) -> TrainedBlock:
    """Train and evaluate the seeds of a block."""
    config, job, last = block.config, block.job, block.config.training.sequences
    seed_map = job.inputs.seed_map or many_seeds.default_seed_map()
    execution = Execution(seed_map, None, job.execution.compute)
    programs = compile_programs(config, job.chunk, execution, job.corpus)
    traced, log = programs.traced(config), History(config)

    def step(state: TrainState, count: int) -> tuple[TrainState, Any]:
        return programs.train(traced, state, count, job.corpus)

    state = programs.init(traced)
    for chunk in chunks(step, state, range(last), job.chunk):
        state = chunk.state
        log.append(chunk.output.loss, chunk.output.accuracy)
        report(chunk.done / last)
    scored = programs.score(traced, state.params, job.corpus)
    state = jax.tree.map(lambda leaf: np.asarray(leaf)[: config.seeds], state)
    return TrainedBlock(state, *log.curves(), scored)


def train_missing(
    job: Job, executor: Executor, finished: Callable[[Block, float | None], None]
) -> None:
    """Train the blocks that have no file yet, and write their files.

    Args:
      job: of all seeds.
      executor: runs the blocks.
      finished: told each block that is done, and its mean accuracy; None if it failed.

    Raises:
      ConfigError: some blocks failed; the files of all others are there.
    """
    missing = [block for block in blocks_of(job) if not block.path.exists()]
    (job.folder / FOLDER).mkdir(exist_ok=True)
    failures = []
    for block, trained, failure in executor.map(train_block, missing):
        if failure:
            failures.append(f"{block.name}: {failure}")
            finished(block, None)
        else:
            checkpoint.write(block.path, FORMAT, _identity(block), trained)
            finished(block, float(trained.scored.accuracy.mean()))
    if failures:
        raise ConfigError(
            f"{len(failures)} blocks of seeds failed ({'; '.join(failures)}): all others are in "
            f"{job.folder}, and --resume {job.folder} tries these again"
        )


def merged(job: Job) -> tuple[TrainState, History, Evaluation]:
    """The state, log and scores of all seeds, from the files of their blocks."""
    trained = [_read(block) for block in blocks_of(job)]
    whole = jax.tree.map(lambda *leaves: np.concatenate(leaves), *trained)
    log = History(job.config)
    log.append(whole.loss, whole.accuracy)
    return whole.state, log, whole.scored


def remove_files(job: Job) -> None:
    """Remove the files of the blocks, which a checkpoint of all seeds has replaced."""
    for block in blocks_of(job):
        block.path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        (job.folder / FOLDER).rmdir()


def _read(block: Block) -> TrainedBlock:
    """A block from its file; StorageError for a file that is damaged or of another run."""
    fix = "remove it, and it is trained again"
    contents = checkpoint.read(block.path, FORMAT, _shapes(block), fix)
    trained = contents.pop("state")
    if contents != _identity(block):
        raise StorageError(f"{block.path} is not of the run beside it: {fix}")
    return trained


def _identity(block: Block) -> dict[str, Any]:
    """The inputs, seeds and sequences, which determine the arrays of a block."""
    config = block.config
    numbers = {"seed": config.seed, "seeds": config.seeds, "sequences": config.training.sequences}
    return {"inputs": block.job.inputs.identity, **numbers}


def _shapes(block: Block) -> TrainedBlock:
    """The shapes and types of a trained block."""
    config, corpus = block.config, block.job.corpus
    state = many_seeds.state_shapes(config)
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), state.params)
    scored = jax.eval_shape(
        lambda params: evaluate(config.shapes, config.traced, params, corpus), one
    )
    scored = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((config.seeds, *leaf.shape), leaf.dtype), scored
    )
    curve: Any = jax.ShapeDtypeStruct(
        (config.seeds, config.training.sequences), np.dtype("float32")
    )
    return TrainedBlock(state, curve, curve, scored)
