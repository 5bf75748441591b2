"""One training run: restored or initialised, trained by chunks, evaluated, explained, written."""

import functools
import importlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from echo_jax import environment
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
from echo_jax.runs.result import Finished, OwnScores

FOLLOWED = 200
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
            own = own_scores(run, programs, state.params)
    CheckpointWriter(run, log).refuse_divergence(scored.loss)
    scores = result.summarise(run.config, scored, log.curves(), own)
    scores.seconds = {name: round(value, 3) for name, value in watch.seconds.items()}
    scores.devices = [device.device_kind for device in programs.devices]
    scores.cores = environment.threads()
    if run.folder:
        result.write(run.folder, scores)
    say(run_report.full_report(run.config, scores))
    if run.folder:
        say(printable(f"Run folder: {run_folder.as_shown(run.folder)}"))
    return Finished(run.config, log, scores, state.params)


def own_scores(run: PreparedRun, programs: Programs, params: Params) -> OwnScores | None:
    """What is measured on the user's own values after training; None for random integers."""
    if run.corpus is None or run.inputs.values is None:
        return None
    fitted, follows, training = None, None, run.corpus.training
    if len(training) >= len(run.corpus.held_out):  # else the program that is compiled does not fit
        end = Corpus(training, training[-len(run.corpus.held_out) :])
        fitted = programs.score(programs.dynamic(run.config), params, end)
    known = knowable_share(run.config)
    if known == 1 or (known and run.config.task.layout != "streams"):  # the last target is fed
        follows = follows_its_target(run.config, params, training)
    return OwnScores(run.corpus, run.inputs.values, fitted, follows)


def follows_its_target(config: RunConfig, params: Params, training: np.ndarray) -> np.ndarray:
    """The share of last answers that follow a change of the value asked for, by seed.

    In FOLLOWED sequences of training tokens without an order, few at a time where they are long.
    """
    some = max(1, min(FOLLOWED, online.piece_size(config) // config.task.length))
    keys = jax.random.split(purpose_key(config.seed, Purpose.EVALUATION), FOLLOWED // some)
    lag, pool, host = np.array([config.task.lag]), np.asarray(training), jax.device_get(params)
    follows = jax.jit(functools.partial(online.follows, config, positions=lag, windows=some))
    seeds = (jax.tree.map(lambda leaf, s=s: leaf[s], host) for s in range(config.seeds))
    return np.array([np.mean([follows(one, key, pool=pool) for key in keys]) for one in seeds])


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
