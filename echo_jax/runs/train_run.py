"""One training run: restored or initialised, trained by chunks, evaluated, explained, written."""

import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from echo_jax import machine
from echo_jax.core.training import TrainState
from echo_jax.exceptions import printable
from echo_jax.host.compiled_programs import Programs, compile_programs
from echo_jax.host.interrupts import Interrupts
from echo_jax.host.progress import TrainingProgress
from echo_jax.host.stopwatch import Stopwatch
from echo_jax.runs import result, run_folder, run_report
from echo_jax.runs.checkpoint import CheckpointWriter
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.prepared_run import PreparedRun
from echo_jax.runs.result import Finished


def train_run(
    run: PreparedRun, interrupts: Interrupts, watch: Stopwatch, say: Callable[[str], None]
) -> Finished:
    """Compile, train, evaluate and report a run, and fill its folder, but for the figure.

    StoppedError where a signal ended it, and the checkpoint holds what was trained; DivergedError
    where the loss of every seed became non-finite.
    """
    say(run_report.describe(run.config))
    with ThreadPoolExecutor(2) as background:  # prepares what is needed last while training goes on
        with watch.time("compile"):
            programs = compile_programs(
                run.config, run.chunk, run.plan, run.corpus, not run.saved, background
            )
        background.submit(importlib.import_module, "matplotlib.figure")  # takes 0.3 s; needed last
        say(run_report.describe_devices(programs.devices))
        with watch.time("train"):
            state, log = train(run, programs, interrupts, say)
        with watch.time("wait_for_it"):
            watch.seconds["compile_while_training"] = programs.evaluate.result().seconds
        with watch.time("evaluate"):
            scored = programs.score(programs.dynamic(run.config), state.params, run.corpus)
    CheckpointWriter(run, log).refuse_divergence(scored.loss)
    held_out = run.corpus.held_out if run.corpus else None
    scores = result.summarise(run.config, scored, log.curves(), held_out, run.inputs.values)
    scores.seconds = {name: round(value, 3) for name, value in watch.seconds.items()}
    scores.devices = [device.device_kind for device in programs.devices]
    scores.cores = machine.threads()
    if run.folder:
        result.write(run.folder, scores)
    say(run_report.full_report(run.config, scores))
    if run.folder:
        say(printable(f"Run folder: {run_folder.as_shown(run.folder)}"))
    return Finished(run.config, log, scores, state.params)


def train(
    run: PreparedRun, programs: Programs, interrupts: Interrupts, say: Callable[[str], None]
) -> tuple[TrainState, History]:
    """The training loop: the state of every seed after the last sequence, and the log of all."""
    dynamic, last = programs.dynamic(run.config), run.config.training.sequences
    if run.saved:
        state, log = programs.placed(run.saved.state), run.saved.history
    else:
        state, log = programs.init(dynamic), History(run.config)
    writer = CheckpointWriter(run, log)
    with TrainingProgress(last, log.sequences, say) as bar:
        left = range(log.sequences, last)
        task, every = run.config.task, run.checkpoint_every
        for chunk in programs.train(dynamic, state, left, task, run.corpus, every):
            state = chunk.state
            log.append(chunk.loss, chunk.accuracy)
            writer.refuse_divergence()
            bar.update(chunk.done, float(chunk.loss.mean()), float(chunk.accuracy.mean()))
            if programs.evaluate.done():
                programs.evaluate.result()  # raises what its compilation failed with
            if interrupts.signal or writer.is_due():
                writer.save(state)
            interrupts.check(f"Stopped after {chunk.done:,} of {last:,} sequences")
    return state, log
