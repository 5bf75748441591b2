"""Train on the echo task, one seed or many, evaluate on fresh sequences, explain the outcome.

python scripts/train.py --lag 1 --window 5                # part 4 of the tutorial: learns
python scripts/train.py --lag 1 --window 5 --seeds 16     # the same, with an interval
python scripts/train.py --part no-context                 # part 3: stays at chance, and why
python scripts/train.py --csv my.csv --column n           # the numbers in a column of your own
python scripts/train.py --resume runs/part4               # go on where a run was stopped
"""

import contextlib
import dataclasses
import gc
import importlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from echo_jax import atomic_files, machine, processes
from echo_jax.commands import command_line
from echo_jax.config import LARGEST, PARTS, Part, RunConfig, from_dict, to_dict
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.host import process_start
from echo_jax.processes import Group, Processes
from echo_jax.runs import checkpoint, run_folder, run_report
from echo_jax.runs.checkpoint import Saved
from echo_jax.runs.run_folder import Inputs

if TYPE_CHECKING:  # all that is slow to import waits until the command line was found valid
    import jax
    import numpy as np

    from echo_jax.config import TracedParameters
    from echo_jax.core.data import Corpus
    from echo_jax.core.many_seeds import SeedMap
    from echo_jax.host.progress import TrainingProgress
    from echo_jax.runs.metrics_csv import History

CHECKPOINT_SECONDS = 10.0
"""About so many seconds of training are lost at most, where --checkpoint-every says nothing."""

MAY_CHANGE = {
    "--resume", "--sequences", "--cell", "--checkpoint-every", "--devices", "--compilation-cache",
    "--coordinator", "--processes", "--process",
}  # fmt: skip
"""What a command line may say beside --resume; all else the run folder knows."""


@dataclasses.dataclass(frozen=True)
class TrainCommand:
    """Train a network to say the integer it saw some steps ago, and see whether it learned to.

    `--lag 1 --window 5` is part 4 of the tutorial, and the default.
    """

    part: Part = "context"
    """Base configuration that the other options change: current (part 2 of the tutorial),
    no-context (part 3) or context (part 4)."""
    out: Path | None = None
    """Folder of the run, which must not exist yet; by default a new one under runs/."""
    resume: Path | None = None
    """Go on with the run of this folder from its last checkpoint; with --sequences N above what
    it was made for, up to N. It ends with the bits of a run that was never stopped."""
    checkpoint_every: int | None = None
    """Sequences between two checkpoints; by default as many as take about ten seconds. Ctrl-C
    makes one too, and so does the end of training."""
    devices: int | None = None
    """At most so many devices, by default all there are, on a CPU one a core. Never more than
    seeds, and on a CPU with --seed-map vmap one."""
    seed_map: Literal["map", "vmap"] | None = None
    """How a device does its seeds: map, one after the other (the default on a CPU: each seed is
    bit for bit what it is alone), or vmap, all at once (the default elsewhere)."""
    compilation_cache: bool = False
    """Keep compiled programs in your cache folder, so that the next run of the same shapes starts
    sooner. Not for a folder that machines of different kinds share."""
    processes: Annotated[Processes, command_line.FLAT] = dataclasses.field(
        default_factory=Processes
    )
    run: Annotated[RunConfig, command_line.FLAT] = PARTS["context"]

    def __post_init__(self) -> None:
        """Raise ConfigError for a count below 1, or what cannot be said beside --resume."""
        for name in ("devices", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name.replace('_', ' ')} {value} is below 1: use 1 or more")


class Job(NamedTuple):
    """What all processes of a run know: where, what, how far it is, and sequences in a chunk."""

    folder: Path
    inputs: Inputs
    saved: Saved | None
    chunk: int


class Programs(NamedTuple):
    """The compiled functions for the seeds of this process, and their settings, padded.

    `evaluate` is a future, with the seconds that it took: it is compiled while training goes on.
    `init` is None where the state comes from a checkpoint.
    """

    init: Any
    run_chunk: Any
    evaluate: "Future[tuple[Any, float]]"
    mine: range
    settings: "TracedParameters"
    corpus: "Corpus | None"
    devices: "list[jax.Device]"


class StoppedError(Exception):
    """A signal asked the run to end; the chunk that was under way is saved."""


class Stop:
    """While it is open, a first Ctrl-C or SIGTERM is noted down, and a second one ends at once."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Listen."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the signals to who had them before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: object) -> None:
        self.signal = number
        for each in self._before:
            signal.signal(each, signal.SIG_DFL)


def main() -> None:
    """Run the command of the command line; with --coordinator as the child of a small parent."""
    command = command_line.parse(TrainCommand)
    if command.processes.several and not processes.is_child():
        sys.exit(processes.supervise())
    stop = Stop()
    with (
        stop,
        processes.joined(command.processes) as group,
        command_line.refusals(),
        locked_folder(command, group) as (folder, inputs),
        contextlib.suppress(StoppedError),
    ):
        run(command, folder, inputs, group, stop)
        stop.signal = -128  # to free the compiled programs first takes a tenth of all but training
    command_line.leave(128 + stop.signal)  # the processes have left each other by now


@contextlib.contextmanager
def locked_folder(
    command: TrainCommand, group: Group
) -> Iterator[tuple[Path | None, Inputs | None]]:
    """In process 0 the folder of the run, kept from every other program, and its inputs."""
    if not group.writes:
        yield None, None
    elif command.resume is None:
        inputs = new_inputs(command)
        with run_folder.claimed_folder(command.out) as folder:
            yield folder, inputs
    else:
        with atomic_files.locked(command.resume):
            yield command.resume, resumed_inputs(command, command.resume)


def new_inputs(command: TrainCommand) -> Inputs:
    """What a new run is a function of; the user's own numbers are read here."""
    config = command.run
    if config.data.csv is None:
        return Inputs(config, seed_map=command.seed_map)
    from echo_jax.runs import csv_input

    own = csv_input.tokenize(config)
    inputs = run_folder.column_inputs(own.config, own.vocabulary.to_list(), own.tokens)
    return inputs._replace(seed_map=command.seed_map)


def resumed_inputs(command: TrainCommand, folder: Path) -> Inputs:
    """What the run of a folder is a function of, for as many sequences as are asked for now."""
    flags = command_line.given_flags()
    for flag in sorted(flags - MAY_CHANGE)[:1]:
        raise ConfigError(
            f"{flag} cannot be changed in a run that is resumed: leave it out, or start a new run "
            "without --resume"
        )
    inputs = run_folder.read_inputs(folder)
    cell = command.run.network.cell if "--cell" in flags else None
    run_folder.check_cell_named(folder, inputs, cell)
    if "--sequences" not in flags:
        return inputs
    training = dataclasses.replace(inputs.config.training, sequences=command.run.training.sequences)
    return inputs._replace(config=dataclasses.replace(inputs.config, training=training))


def corpus_of(inputs: Inputs) -> "Corpus | None":
    """The user's own numbers, parted into what is trained on and what is held out."""
    if inputs.tokens is None:
        return None
    from echo_jax.core.data import Corpus
    from echo_jax.runs import csv_input

    task, data = inputs.config.task, inputs.config.data
    return Corpus(*csv_input.split(inputs.tokens, task.length, data.held_out))


def run(
    command: TrainCommand, folder: Path | None, inputs: Inputs | None, group: Group, stop: Stop
) -> None:
    """Compile, train, evaluate, report; process 0 fills the run folder and prints."""
    job = shared_job(command, folder, inputs, group)
    seconds = {"import": time.perf_counter() - process_start.STARTED}
    say = print if group.writes else lambda *_, **__: None
    say(run_report.describe(job.inputs.config), flush=True)
    with resumable(job, group), ThreadPoolExecutor(1) as background:
        # what is needed last is made ready meanwhile
        programs, seconds["compile"] = timed(compile_programs, command, job, group, background)
        gc.enable()
        background.submit(importlib.import_module, "echo_jax.runs.curve_figure")
        say(run_report.describe_devices(programs.devices), flush=True)
        keeper = Keeper(job, command.checkpoint_every)
        state, seconds["train"] = timed(train, job, programs, keeper, group, stop)
        (program, compiling), waiting = timed(programs.evaluate.result)
        seconds |= {"compile_while_training": compiling, "wait_for_it": waiting}
        scored, seconds["evaluate"] = timed(evaluate, programs, program, state, group)
        if group.writes:
            keeper.refuse_failure(scored.loss)
            result = write_results(job, keeper.history, scored, {
                "seconds": {name: round(value, 3) for name, value in seconds.items()},
                "devices": [device.device_kind for device in programs.devices],
            })  # fmt: skip
            print(run_report.full_report(job.inputs.config, result))
            print(f"Run folder: {job.folder}", flush=True)


@contextlib.contextmanager
def resumable(job: Job, group: Group) -> Iterator[None]:
    """Say how to go on, where a signal or the disk ends the run within it."""
    resume = f"python scripts/train.py --resume {job.folder}"
    try:
        yield
    except StoppedError as stopped:
        if group.writes:
            print(f"{stopped}; to go on: {resume}", file=sys.stderr)
        raise
    except StorageError as error:
        raise StorageError(f"{error}; then {resume} goes on from the last checkpoint") from error


def is_finished(folder: Path, config: RunConfig) -> bool:
    """Whether the result of this very configuration is there, and not that of a shorter run."""
    path = folder / run_folder.RESULT
    if not os.path.lexists(path):
        return False
    result = atomic_files.read_json(path, fix="remove it, and this command makes it again")
    return result.get("config") == to_dict(config)


def shared_job(
    command: TrainCommand, folder: Path | None, inputs: Inputs | None, group: Group
) -> Job:
    """The job that process 0 finds or begins in its folder, told to all processes.

    ConfigError where it cannot be done, before anything is compiled or written.
    """
    asked = [to_dict(command.run), str(command.resume), command.checkpoint_every, command.seed_map]
    mine = json.dumps(asked).encode()
    if group.any_of(group.broadcast(mine if group.writes else None) != mine):
        raise ConfigError(
            "the processes were started with different options: start the same command in each, "
            "but for --process"
        )
    folder, inputs = shared_inputs(folder, inputs, group)
    group.resume_with(folder)
    prepare(command, inputs.config, group)
    job = begin(command, folder, inputs, group) if group.writes else None
    return shared_progress(job, folder, inputs, group)


def shared_inputs(folder: Path | None, inputs: Inputs | None, group: Group) -> tuple[Path, Inputs]:
    """The folder and the inputs that process 0 has, told to all processes."""
    if folder and inputs:
        known = [str(folder), to_dict(inputs.config), inputs.values, inputs.seed_map]
        group.broadcast_values({"known": json.dumps(known), "tokens": inputs.tokens})
        return folder, inputs
    told = group.broadcast_values(None)
    name, config, values, how = json.loads(told["known"])
    return Path(name), Inputs(from_dict(config), values, told["tokens"], seed_map=how)


def shared_progress(job: Job | None, folder: Path, inputs: Inputs, group: Group) -> Job:
    """How far the run is and how long its chunks are, told by process 0 to all processes."""
    from flax import serialization

    from echo_jax.core import many_seeds
    from echo_jax.runs.metrics_csv import History

    if job:
        state = job.saved and serialization.to_state_dict(job.saved.state)
        text = job.saved and job.saved.history.text()
        group.broadcast_values({"chunk": job.chunk, "state": state, "history": text})
        return job
    told, saved = group.broadcast_values(None), None
    if told["state"] is not None:
        state = serialization.from_state_dict(many_seeds.state_shapes(inputs.config), told["state"])
        saved = Saved(state, History.of_text(inputs.config, told["history"]))
    return Job(folder, inputs, saved, told["chunk"])


def prepare(command: TrainCommand, config: RunConfig, group: Group) -> None:
    """Refuse a cell that cannot be used, and start jax: of several processes all at once."""
    import jax

    from echo_jax.core import network

    runs = len(group.share(config.seeds))
    machine.use_cpu_devices(min(command.devices or machine.cores(), runs))
    if command.compilation_cache:
        machine.use_compilation_cache()
    network.build_network(config)
    if group.processes > 1:
        jax.devices()


def begin(command: TrainCommand, folder: Path, inputs: Inputs, group: Group) -> Job:
    """Make the folder that of this run, or find how far the run in it is; refuse what cannot be."""
    from echo_jax.core import many_seeds

    config = inputs.config
    shapes = many_seeds.state_shapes(config)
    machine.check_memory(checkpoint.size_of(shapes) + config.least_bytes)
    devices = many_seeds.devices_for(
        len(group.share(config.seeds)), seed_map(inputs), command.devices
    )
    chunk = chunk_size(config, -(-len(group.share(config.seeds)) // len(devices)))
    if command.resume is None:
        run_folder.write_inputs(folder, inputs)
        return Job(folder, inputs, None, chunk)
    saved = checkpoint.load(folder, inputs, shapes)
    done, wanted = saved.history.sequences if saved else 0, config.training.sequences
    if done > wanted:
        raise ConfigError(
            f"sequences {wanted} is below the {done} that {folder} has done: use more, or start a "
            "new run"
        )
    if done == wanted and is_finished(folder, config):
        raise ConfigError(
            f"{folder} is finished, all {done} sequences: use a larger --sequences to go on, or "
            "scripts/predict.py to use what it learned"
        )
    run_folder.write_config(folder, inputs)
    return Job(folder, inputs, saved, chunk)


def seed_map(inputs: Inputs) -> "SeedMap":
    """How devices do their seeds."""
    from echo_jax.core import many_seeds

    return inputs.seed_map or many_seeds.default_seed_map()


def timed(function: Any, *arguments: Any) -> tuple[Any, float]:
    """What a function returns, and the seconds it took."""
    start = time.perf_counter()
    returned = function(*arguments)
    return returned, time.perf_counter() - start


def compile_programs(
    command: TrainCommand, job: Job, group: Group, background: ThreadPoolExecutor
) -> Programs:
    """Compile the three functions of a run, each once; nothing is run yet.

    The first and the last are left to the background: on two cores a quarter of a second and a
    second less to wait for.
    """
    import jax

    from echo_jax.core import many_seeds

    config, how = job.inputs.config, seed_map(job.inputs)
    mine = group.share(config.seeds)
    devices = many_seeds.devices_for(len(mine), how, command.devices)
    runs = [dataclasses.replace(config, seed=config.seed + s, seeds=1) for s in mine]
    settings = many_seeds.pad(many_seeds.stack_settings(runs), len(devices))
    corpus = corpus_of(job.inputs)
    init = jax.jit(many_seeds.init_runs(config.shapes, devices, how))
    run_chunk = jax.jit(
        many_seeds.run_chunks(config.shapes, job.chunk, devices, how), donate_argnums=1
    )
    evaluate = jax.jit(many_seeds.evaluate_runs(config.shapes, devices, how))
    state = jax.eval_shape(init, settings)
    init_program = None if job.saved else background.submit(init.lower(settings).compile)
    chunk_program = run_chunk.lower(settings, state, job.chunk, corpus).compile()
    return Programs(
        init=init_program and init_program.result(),
        run_chunk=chunk_program,
        evaluate=background.submit(
            timed, lambda: evaluate.lower(settings, state.params, corpus).compile()
        ),
        mine=mine,
        settings=settings,
        corpus=corpus,
        devices=devices,
    )


def chunk_size(config: RunConfig, runs_a_device: int) -> int:
    """Sequences between two looks at the progress: 400 updates, fewer where seeds are many."""
    updates = max(100, min(400, 12800 // runs_a_device))
    return max(1, min(config.training.sequences, updates // config.task.updates_per_sequence))


def train(job: Job, programs: Programs, keeper: "Keeper", group: Group, stop: Stop) -> Any:
    """The host loop: chunk by chunk, with a progress bar, checkpoints, and an ear for signals.

    Every process trains its seeds; process 0 has the keeper of all and says what is done next.
    Returns the state of the seeds of this process, on its devices.
    """
    import jax
    import numpy as np

    from echo_jax.host.progress import TrainingProgress

    mine, last = programs.mine, job.inputs.config.training.sequences
    state = place(job.saved.state, programs) if job.saved else programs.init(programs.settings)
    done = job.saved.history.sequences if job.saved else 0
    with TrainingProgress(last, done, silent=not group.writes) as bar:
        while done < last:
            count = min(job.chunk, keeper.next_stop(done) - done)
            state, metrics = programs.run_chunk(programs.settings, state, count, programs.corpus)
            curves = [np.mean(m[: len(mine), :count], axis=-1) for m in jax.device_get(metrics)]
            done += count
            order = keeper.order(group.gather([*curves, np.array([stop.signal])]), bar)
            save, stopped_by = json.loads(group.broadcast(order))
            if programs.evaluate.done():
                programs.evaluate.result()  # if it could not be compiled, nothing more is of use
            if save:
                keeper.save(group.gather(jax.tree.map(lambda leaf: leaf[: len(mine)], state)))
            if stopped_by:
                stop.signal = stopped_by  # of whichever process it was
                raise StoppedError(f"Stopped after {done:,} of {last:,} sequences")
    return state


def place(state: Any, programs: Programs) -> Any:
    """Of a state of every seed, numpy `[S, ...]`, the rows of this process, on its devices."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    padded = np.arange(len(programs.settings.seed)) + programs.mine.start
    rows = np.minimum(padded, programs.mine.stop - 1)
    return jax.tree.map(lambda leaf: jnp.array(leaf[rows]), state)


class Keeper:
    """What a run leaves while it trains; all but `next_stop` is for process 0 alone."""

    def __init__(self, job: Job, every: int | None) -> None:
        """Keep the run of a folder, every so many sequences (None: by the clock)."""
        from echo_jax.runs.metrics_csv import History

        self.history = job.saved.history if job.saved else History(job.inputs.config)
        self._job, self._every = job, every
        self._saved, self._clock = self.history.sequences, time.perf_counter()

    def next_stop(self, done: int) -> int:
        """The sequence at which a chunk must end: a checkpoint is due there, or it is the last."""
        last = self._job.inputs.config.training.sequences
        return last if self._every is None else min(last, (done // self._every + 1) * self._every)

    def order(self, gathered: "list[np.ndarray] | None", bar: "TrainingProgress") -> bytes | None:
        """Note down what a chunk gave; say what comes next: whether to save, the signal to stop.

        Args:
          gathered: loss and accuracy `[S, N]`, and the last signal of every process.
          bar: shows them.
        """
        if gathered is None:
            return None
        loss, accuracy, signals = gathered
        self.history.append(loss, accuracy)
        self.refuse_failure()
        bar.update(self.history.sequences, float(loss.mean()), float(accuracy.mean()))
        return json.dumps([bool(signals.any()) or self._due(), int(signals.max())]).encode()

    def _due(self) -> bool:
        if self.history.sequences == self._job.inputs.config.training.sequences:
            return True
        if self._every is None:
            return time.perf_counter() - self._clock > CHECKPOINT_SECONDS
        return self.history.sequences % self._every == 0

    def save(self, state: Any) -> None:
        """Write a checkpoint of the state of every seed, unless no seed's is of any use.

        Args:
          state: numpy leaves `[S, ...]`; None in other processes than process 0.
        """
        import jax
        import numpy as np

        if state is None:
            return
        bad = [~np.isfinite(x.reshape(len(x), -1)).all(axis=1) for x in jax.tree.leaves(state)]
        if not np.any(bad, axis=0).all():
            checkpoint.save(self._job.folder, self._job.inputs, Saved(state, self.history))
            self._saved, self._clock = self.history.sequences, time.perf_counter()

    def refuse_failure(self, final: "np.ndarray | None" = None) -> None:
        """Raise ConfigError where the loss of every seed is infinite or no number.

        Args:
          final: the losses of the evaluation, `[S]`, where there was one.
        """
        import numpy as np

        from echo_jax.runs import result

        folder, config, bad = self._job.folder, self._job.inputs.config, self.history.bad
        if not (bad if final is None else bad | ~np.isfinite(final)).all():
            return
        failed = result.failures(config, self.history.curves()[0], final)
        atomic_files.write_bytes(folder / run_folder.METRICS, self.history.text())
        first = min(failed["sequence"], key=lambda at: at or LARGEST)
        seed = failed["seed"][failed["sequence"].index(first)]
        what = f"sequence {first}" if first else "the evaluation"
        kept = f"the checkpoint of sequence {self._saved}" if self._saved else "metrics.csv"
        raise ConfigError(
            f"the loss of {what} is infinite or no number with seed {seed}: use a learning rate "
            f"below {config.training.learning_rate:g}; {folder} keeps {kept}"
        )


def evaluate(programs: Programs, program: Any, state: Any, group: Group) -> Any:
    """The `Evaluation` of every seed on sequences of its own, leaves `[S, ...]`, in process 0."""
    import jax

    scored = program(programs.settings, state.params, programs.corpus)
    return group.gather(jax.tree.map(lambda leaf: leaf[: len(programs.mine)], scored))


def write_results(
    job: Job, history: "History", scored: Any, also: dict[str, Any]
) -> dict[str, Any]:
    """Put the scores, and what else is known, into the run folder; returns them."""
    import numpy as np

    from echo_jax.report import styles
    from echo_jax.runs import curve_figure
    from echo_jax.runs import result as results

    folder, config, corpus = job.folder, job.inputs.config, corpus_of(job.inputs)
    loss, accuracy = history.curves()
    held_out = corpus.held_out if corpus else None
    result = results.summarise(config, scored, loss, accuracy, held_out)
    if own := job.inputs.values:
        for name in ("expected", "predicted"):
            result[name] = [own[token] for token in result[name]]
    result["digest"] = results.digest(result)
    result |= also
    good = ~np.isin(result["by_seed"]["seed"], result["failed"]["seed"])
    figure = curve_figure.training_figure(
        loss[good], accuracy[good], result, run_report.curve_title(config)
    )
    atomic_files.write_bytes(folder / run_folder.FIGURE, styles.png(figure))
    if config.seeds > 1:
        atomic_files.write_csv(folder / run_folder.SEEDS, result["by_seed"])
    atomic_files.write_json(folder / run_folder.RESULT, result)
    return result
