"""One training run: restored or initialised, trained by chunks, evaluated, written."""

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from echo_jax import environment
from echo_jax.core.training import TrainState
from echo_jax.host.compiled_programs import NONE_KEPT, Programs, Stopwatch, start_compiling
from echo_jax.host.interrupts import Interrupts
from echo_jax.host.kept_programs import KeptPrograms
from echo_jax.host.progress import TrainingProgress
from echo_jax.report.number_formats import counted
from echo_jax.runs import result
from echo_jax.runs.checkpoint import CheckpointWriter
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.prepared_run import PreparedRun
from echo_jax.runs.result import Finished

OnChunk = Callable[[int, np.ndarray, np.ndarray], object]
"""Told after each chunk: the sequences trained on so far, and the loss and the accuracy of each
sequence of the chunk, both float32 `[S, count]`."""


def train_run(
    run: PreparedRun,
    interrupts: Interrupts,
    watch: Stopwatch,
    say: Callable[[str], None],
    on_chunk: OnChunk | None = None,
    kept: KeptPrograms = NONE_KEPT,
) -> Finished:
    """Compile, train and evaluate a run, and fill its folder, but for the figure.

    `say` gets the devices, and progress where there is no bar. StoppedError where a signal ended
    it; DivergedError where the loss of every seed became non-finite.
    """
    with ThreadPoolExecutor(2) as background:  # prepares what is needed last while training goes on
        with watch.time("compile"):
            what = run.config, run.learner, run.chunk, run.plan, run.corpus
            programs = start_compiling(*what, background, not run.saved, kept)
        background.submit(importlib.import_module, "matplotlib.figure")  # takes 0.3 s; needed last
        kinds = [device.device_kind for device in programs.devices]
        say(f"on {counted(len(kinds), 'device')}: {', '.join(sorted(set(kinds)))}")
        with watch.time("train"):
            state, log = train(run, programs, interrupts, say, on_chunk)
        with watch.time("wait_for_it"):
            watch.seconds["compile_while_training"] = programs.evaluate.result().seconds
        with watch.time("evaluate"):
            scored = programs.score(programs.dynamic(run.config), state.params, run.corpus)
            own = None
            if run.corpus and (values := run.inputs.values):
                from echo_jax.runs.own_data_scores import measure  # not for random integers

                own = measure(run.config, run.corpus, values, programs, state.params)
    CheckpointWriter(run, log).refuse_divergence(scored.loss)
    scores = result.summarise(run.config, scored, log.curves(), own)
    scores.seconds = {name: round(value, 3) for name, value in watch.seconds.items()}
    scores.devices = kinds
    scores.cores = environment.threads()
    if run.folder:
        result.write(run.folder, scores)
    return Finished(run.config, log, scores, state.params)


def train(
    run: PreparedRun,
    programs: Programs,
    interrupts: Interrupts,
    say: Callable[[str], None],
    on_chunk: OnChunk | None,
) -> tuple[TrainState, History]:
    """The training loop: the state of every seed after the last sequence, and the log of all."""
    last = run.config.training.sequences
    dynamic = programs.dynamic(run.config)
    if run.saved:
        log = run.saved.history
        state = programs.placed(run.saved.state)
    else:
        log = History(run.config)
        state = programs.init(dynamic)
    writer = CheckpointWriter(run, log)
    with TrainingProgress(last, log.sequences, say) as bar:
        left = range(log.sequences, last)
        task = run.config.task
        for chunk in programs.train(dynamic, state, left, task, run.corpus, run.checkpoint_every):
            state = chunk.state
            log.append(chunk.loss, chunk.accuracy)
            writer.refuse_divergence()
            bar.update(chunk.done, float(chunk.loss.mean()), float(chunk.accuracy.mean()))
            if programs.evaluate.done():
                programs.evaluate.result()  # raises what its compilation failed with
            if interrupts.signal or writer.is_due():
                writer.save(state)
            if on_chunk:
                on_chunk(chunk.done, chunk.loss, chunk.accuracy)
            interrupts.check(f"Stopped after {chunk.done:,} of {last:,} sequences")
    return state, log
