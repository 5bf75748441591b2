"""One training run: restored or initialised, trained by chunks, evaluated, explained, written."""

import functools
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.config import RunConfig
from echo_jax.core import online
from echo_jax.core.data import Corpus, Purpose, purpose_key
from echo_jax.core.network import Params
from echo_jax.core.target_place import knowable_share
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
from echo_jax.runs.result import Finished, Result

FOLLOWED = 500
"""Random sequences in which the value asked for is changed."""


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
    scores = result.summarise(run.config, scored, log.curves(), run.corpus, run.inputs.values)
    if run.corpus:
        with watch.time("measure"):
            measure_own_data(run, programs, state.params, scores)
    scores.seconds = {name: round(value, 3) for name, value in watch.seconds.items()}
    scores.devices = [device.device_kind for device in programs.devices]
    if run.folder:
        result.write(run.folder, scores)
    say(run_report.full_report(run.config, scores))
    if run.folder:
        say(printable(f"Run folder: {run_folder.as_shown(run.folder)}"))
    return Finished(run.config, log, scores, state.params)


def measure_own_data(run: PreparedRun, programs: Programs, params: Params, scores: Result) -> None:
    """Add to the scores those of the training part, and how often the answer follows its target."""
    assert run.corpus, "a run on random integers has no training part"
    training, held_out = run.corpus
    good = ~np.isin(scores.by_seed.seed, scores.failed.seed)
    if len(training) >= len(held_out):  # else the program that is compiled does not fit
        end = Corpus(training, training[-len(held_out) :])
        fitted = programs.score(programs.dynamic(run.config), params, end)
        scores.training_accuracy = float(np.median(np.where(good, fitted.accuracy, 0.0)))
        loss = np.median(np.where(good, fitted.loss, np.inf))
        scores.training_loss = float(loss) if np.isfinite(loss) else None
    if knowable_share(run.config):
        follows = follows_its_target(run.config, params, training)
        scores.follows = float(np.median(follows[: len(good)][good]))


def follows_its_target(config: RunConfig, params: Params, training: np.ndarray) -> np.ndarray:
    """The share of last answers that follow a change of the value asked for, by seed.

    In FOLLOWED sequences of training tokens without an order, few at a time where they are long.
    """
    at_once = max(1, min(100, online.piece_size(config) // config.task.length))
    keys = jax.random.split(purpose_key(config.seed, Purpose.EVALUATION), FOLLOWED // at_once)
    lag, pool = jnp.array([config.task.lag]), jnp.asarray(training)

    def share(of_seed: Params) -> jax.Array:
        """That of one seed."""
        some = functools.partial(online.follows, config, of_seed)
        return jnp.mean(jax.lax.map(lambda key: some(key, lag, at_once, pool), keys))

    mapped = jax.jit(lambda params: jax.lax.map(share, params))
    return np.asarray(mapped(jax.device_get(params)))


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
