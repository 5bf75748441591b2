"""One training run: restored or initialised, trained by chunks, evaluated, explained, written."""

import functools
import gc
import importlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from echo_jax.cluster import Executor
from echo_jax.core.evaluation import Evaluation
from echo_jax.core.network import Params
from echo_jax.core.training import TrainState
from echo_jax.exceptions import printable
from echo_jax.host.chunk_loop import chunks
from echo_jax.host.compiled_programs import Programs, compile_programs
from echo_jax.host.interrupts import Interrupts
from echo_jax.host.progress import GridProgress, TrainingProgress
from echo_jax.host.stopwatch import Stopwatch
from echo_jax.runs import result, run_report, seed_blocks
from echo_jax.runs.checkpoint_writer import CheckpointWriter
from echo_jax.runs.job import Job
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.result import Result
from echo_jax.runs.seed_blocks import Block


class Finished(NamedTuple):
    """A run that has ended: the weights of every seed `[S or more, ...]`, its log and scores."""

    params: Params
    history: History
    result: Result


def train_run(
    job: Job, interrupts: Interrupts, watch: Stopwatch, say: Callable[[str], None]
) -> Finished:
    """Compile, train, evaluate and report a run, and fill its folder, but for the figure.

    StoppedError where a signal ended it, and the checkpoint holds what was trained; DivergedError
    where the loss of every seed became non-finite.
    """
    say(run_report.describe(job.config))
    with ThreadPoolExecutor(2) as background:  # prepares what is needed last while training goes on
        with watch.time("compile"):
            programs = compile_programs(
                job.config, job.chunk, job.execution, job.corpus, not job.saved, background
            )
        gc.enable()
        background.submit(importlib.import_module, "matplotlib.figure")
        say(run_report.describe_devices(programs.devices))
        with watch.time("train"):
            state, log = train(job, programs, interrupts, say)
        with watch.time("wait_for_it"):
            watch.seconds["compile_while_training"] = programs.evaluate.result().seconds
        with watch.time("evaluate"):
            scored = programs.score(programs.traced(job.config), state.params, job.corpus)
    CheckpointWriter(job, log).refuse_divergence(scored.loss)
    devices = [device.device_kind for device in programs.devices]
    return Finished(state.params, log, finish(job, log, scored, watch, devices, say))


def train_blocks(
    job: Job,
    blocks: Sequence[Block],
    executor: Executor,
    bar: GridProgress,
    watch: Stopwatch,
    say: Callable[[str], None],
) -> None:
    """The same run by blocks of seeds: an executor trains those that the folder lacks."""
    with watch.time("train"), bar:
        seed_blocks.train(job, blocks, executor, lambda block, how: bar.finished(block.name, how))
    state, log, scored, devices = seed_blocks.merged(job)
    writer = CheckpointWriter(job, log)
    writer.refuse_divergence(scored.loss)
    writer.save(state)
    finish(job, log, scored, watch, devices, say)
    seed_blocks.remove_files(job.stored_in)


def finish(
    job: Job,
    log: History,
    scored: Evaluation,
    watch: Stopwatch,
    devices: list[str],
    say: Callable[[str], None],
) -> Result:
    """Write the result, with the seconds and the kinds of the devices, and say what it is."""
    found = write_result(job, log, scored, watch, devices)
    say(run_report.full_report(job.config, found))
    if job.folder:
        say(printable(f"Run folder: {job.folder}"))
    return found


def train(
    job: Job, programs: Programs, interrupts: Interrupts, say: Callable[[str], None]
) -> tuple[TrainState, History]:
    """The training loop: the state of every seed after the last sequence, and the log of all."""
    traced, last = programs.traced(job.config), job.config.training.sequences
    if job.saved:
        state, log = programs.placed(job.saved.state), job.saved.history
    else:
        state, log = programs.init(traced), History(job.config)
    writer = CheckpointWriter(job, log)
    step = functools.partial(programs.train, traced, corpus=job.corpus)
    with TrainingProgress(last, log.sequences, say) as bar:
        work = range(log.sequences, last)
        for chunk in chunks(step, state, work, job.chunk, writer.next_border):
            state, metrics = chunk.state, chunk.output
            log.append(metrics.loss, metrics.accuracy)
            writer.refuse_divergence()
            bar.update(chunk.done, float(metrics.loss.mean()), float(metrics.accuracy.mean()))
            if programs.evaluate.done():
                programs.evaluate.result()  # raises what its compilation failed with
            if interrupts.requested or writer.is_due():
                writer.save(state)
            interrupts.check(f"Stopped after {chunk.done:,} of {last:,} sequences")
    return state, log


def write_result(
    job: Job, log: History, scored: Evaluation, watch: Stopwatch, devices: list[str]
) -> Result:
    """The scores; in the folder, if there is one, and of several seeds their table."""
    held_out = job.corpus.held_out if job.corpus else None
    found = result.summarise(job.config, scored, log.curves(), held_out, job.inputs.values)
    found.seconds = {name: round(value, 3) for name, value in watch.seconds.items()}
    found.devices = devices
    if job.folder:
        result.write(job.folder, found)
    return found
