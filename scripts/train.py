"""Train on the echo task, one seed or many, evaluate on fresh sequences, explain the outcome.

python scripts/train.py --lag 1 --window 5                # part 4 of the tutorial: learns
python scripts/train.py --lag 1 --window 5 --seeds 16     # the same, with an interval
python scripts/train.py --part no-context                 # part 3: stays at chance, and why
python scripts/train.py --csv my.csv --column n           # the numbers in a column of your own
python scripts/train.py --resume runs/part4               # go on where a run was stopped
"""

import gc
import time

START = time.perf_counter()
gc.disable()  # until all is compiled: imports and tracing leave no garbage, and the search costs 5%

import contextlib
import dataclasses
import importlib
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NoReturn, Self

from echo_jax import checkpoint, cli, report, storage
from echo_jax.checkpoint import Inputs, Saved
from echo_jax.config import LARGEST, PARTS, ConfigError, Part, RunConfig
from echo_jax.storage import StorageError

if TYPE_CHECKING:  # all that is slow to import waits until the command line was found valid
    import jax
    import numpy as np

    from echo_jax.config import Settings
    from echo_jax.history import History
    from echo_jax.task import Corpus

CHECKPOINT_SECONDS = 10.0
"""About so many seconds of training are lost at most, where --checkpoint-every says nothing."""

MAY_CHANGE = {
    "--resume", "--sequences", "--cell", "--checkpoint-every", "--devices", "--compilation-cache",
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
    run: Annotated[RunConfig, cli.FLAT] = PARTS["context"]

    def __post_init__(self) -> None:
        """Raise ConfigError for a count below 1, or what cannot be said beside --resume."""
        for name in ("devices", "checkpoint_every"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name.replace('_', ' ')} {value} is below 1: use 1 or more")


class Programs(NamedTuple):
    """The compiled functions of a run, the sequences in a chunk, and the padded settings.

    `evaluate` is a future, with the seconds that it took: it is compiled while training goes on.
    `init` is None where the state comes from a checkpoint.
    """

    init: Any
    run_chunk: Any
    evaluate: "Future[tuple[Any, float]]"
    chunk: int
    settings: "Settings"
    corpus: "Corpus | None"
    devices: "list[jax.Device]"


class StoppedError(Exception):
    """A signal asked the run to end, and the chunk that was under way is saved."""


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
    """Run the command of the command line."""
    command = cli.parse(TrainCommand)
    with cli.refusals(), Stop() as stop:
        if command.resume is None:
            inputs = new_inputs(command)
            with checkpoint.claimed_folder(command.out) as folder:
                run(command, inputs, folder, stop)
        else:
            with storage.locked(command.resume):
                run(command, resumed_inputs(command, command.resume), command.resume, stop)


def new_inputs(command: TrainCommand) -> Inputs:
    """What a new run is a function of; the user's own numbers are read here."""
    config = command.run
    if config.data.csv is None:
        return Inputs(config, seed_map=command.seed_map)
    from echo_jax import values

    own = values.tokenize(config)
    inputs = checkpoint.column_inputs(own.config, own.vocabulary.to_list(), own.tokens)
    return inputs._replace(seed_map=command.seed_map)


def resumed_inputs(command: TrainCommand, folder: Path) -> Inputs:
    """What the run of a folder is a function of, for as many sequences as are asked for now."""
    given = cli.given_flags() - MAY_CHANGE
    if given:
        raise ConfigError(
            f"{min(given)} cannot be changed in a run that is resumed: leave it out, or start a "
            "new run without --resume"
        )
    inputs = checkpoint.read_inputs(folder)
    checkpoint.check_cell_named(folder, inputs, command.run.network.cell)
    if "--sequences" not in cli.given_flags():
        return inputs
    training = dataclasses.replace(inputs.config.training, sequences=command.run.training.sequences)
    return inputs._replace(config=dataclasses.replace(inputs.config, training=training))


def corpus_of(inputs: Inputs) -> "Corpus | None":
    """The user's own numbers, parted into what is trained on and what is held out."""
    if inputs.tokens is None:
        return None
    from echo_jax import values
    from echo_jax.task import Corpus

    task, data = inputs.config.task, inputs.config.data
    return Corpus(*values.split(inputs.tokens, task.length, data.held_out))


def run(command: TrainCommand, inputs: Inputs, folder: Path, stop: Stop) -> None:
    """Compile, train, evaluate, report; fill the run folder."""
    from echo_jax import network, seeds
    from echo_jax.history import History

    seconds = {"import": time.perf_counter() - START}
    config = inputs.config
    seeds.use_cpu_devices(min(command.devices or seeds.cores(), config.seeds))
    if command.compilation_cache:
        seeds.use_compilation_cache()
    network.build_network(config)  # refuses a cell before anything is compiled or written
    saved = begin(command, inputs, folder)
    print(report.describe(config), flush=True)
    keeper = Keeper(
        folder, inputs, saved.history if saved else History(config), command.checkpoint_every
    )
    with resumable(keeper, stop), ThreadPoolExecutor(1) as background:
        # what is needed last is made ready meanwhile
        programs, seconds["compile"] = timed(compile_programs, command, inputs, saved, background)
        gc.enable()
        background.submit(importlib.import_module, "echo_jax.plots")
        print(report.describe_devices(programs.devices), flush=True)
        state, seconds["train"] = timed(train, programs, saved, keeper, stop)
        (program, compiling), waiting = timed(programs.evaluate.result)
        seconds |= {"compile_while_training": compiling, "wait_for_it": waiting}
        scored, seconds["evaluate"] = timed(evaluate, programs, program, state, keeper)
        result = write_results(keeper, scored, {
            "seconds": {name: round(value, 3) for name, value in seconds.items()},
            "devices": [device.device_kind for device in programs.devices],
        })  # fmt: skip
    print(report.full_report(config, result))
    print(f"Run folder: {folder}", flush=True)


@contextlib.contextmanager
def resumable(keeper: "Keeper", stop: Stop) -> Iterator[None]:
    """Say how to go on, where a signal or the disk ends the run within it."""
    resume = f"python scripts/train.py --resume {keeper.folder}"
    try:
        yield
    except StoppedError:
        done, all_of_them = keeper.history.sequences, keeper.inputs.config.training.sequences
        print(
            f"Stopped after {done:,} of {all_of_them:,} sequences; to go on: {resume}",
            file=sys.stderr,
        )
        sys.exit(128 + stop.signal)
    except StorageError as error:
        raise StorageError(f"{error}; then {resume} goes on from the last checkpoint") from error


def begin(command: TrainCommand, inputs: Inputs, folder: Path) -> Saved | None:
    """Make the folder that of this run, or find how far the run in it is; refuse what cannot be."""
    from echo_jax import seeds

    config = inputs.config
    shapes = seeds.state_shapes(config)
    storage.check_memory(checkpoint.size_of(shapes) + config.least_bytes)
    if command.resume is None:
        checkpoint.write_inputs(folder, inputs)
        return None
    saved = checkpoint.load(folder, inputs, shapes)
    done, wanted = saved.history.sequences if saved else 0, config.training.sequences
    if done > wanted:
        raise ConfigError(
            f"sequences {wanted} is below the {done} that {folder} has done: use more, or start a "
            "new run"
        )
    if done == wanted and (folder / checkpoint.RESULT).exists():
        storage.read_json(folder / checkpoint.RESULT)
        raise ConfigError(
            f"{folder} is finished, all {done} sequences: use a larger --sequences to go on, or "
            "scripts/predict.py to use what it learned"
        )
    checkpoint.write_config(folder, inputs)
    return saved


def timed(function: Any, *arguments: Any) -> tuple[Any, float]:
    """What a function returns, and the seconds it took."""
    start = time.perf_counter()
    returned = function(*arguments)
    return returned, time.perf_counter() - start


def compile_programs(
    command: TrainCommand, inputs: Inputs, saved: Saved | None, background: ThreadPoolExecutor
) -> Programs:
    """Compile the three functions of a run, each once; nothing is run yet.

    The first and the last are left to the background: on two cores a quarter of a second and a
    second less to wait for.
    """
    import jax

    from echo_jax import seeds

    config = inputs.config
    how = inputs.seed_map or seeds.default_seed_map()
    devices = seeds.devices_for(config.seeds, how, command.devices)
    runs = [dataclasses.replace(config, seed=config.seed + s, seeds=1) for s in range(config.seeds)]
    settings = seeds.pad(seeds.stack_settings(runs), len(devices))
    corpus = corpus_of(inputs)
    chunk = chunk_size(config, len(settings.seed) // len(devices))
    shapes = config.shapes
    init = jax.jit(seeds.init_runs(shapes, devices, how))
    run_chunk = jax.jit(seeds.run_chunks(shapes, chunk, devices, how), donate_argnums=1)
    evaluate = jax.jit(seeds.evaluate_runs(shapes, devices, how))
    state = jax.eval_shape(init, settings)
    init_program = None if saved else background.submit(init.lower(settings).compile)
    chunk_program = run_chunk.lower(settings, state, chunk, corpus).compile()
    return Programs(
        init_program and init_program.result(),
        chunk_program,
        background.submit(timed, lambda: evaluate.lower(settings, state.params, corpus).compile()),
        chunk,
        settings,
        corpus,
        devices,
    )


def chunk_size(config: RunConfig, runs_a_device: int) -> int:
    """Sequences between two looks at the progress: 400 updates, fewer where seeds are many."""
    updates = max(100, min(400, 12800 // runs_a_device))
    return max(1, min(config.training.sequences, updates // config.task.updates_per_sequence))


def train(programs: Programs, saved: Saved | None, keeper: "Keeper", stop: Stop) -> Any:
    """The host loop: chunk by chunk, with a progress bar, checkpoints, and an ear for signals.

    Returns the state of every seed on the devices; the keeper has the rest.
    """
    import jax
    import numpy as np

    from echo_jax.progress import TrainingProgress

    config, history = keeper.inputs.config, keeper.history
    state = place(saved.state, programs) if saved else programs.init(programs.settings)
    with TrainingProgress(config.training.sequences, history.sequences) as bar:
        while history.sequences < config.training.sequences:
            count = min(programs.chunk, keeper.next_stop() - history.sequences)
            state, metrics = programs.run_chunk(programs.settings, state, count, programs.corpus)
            loss, accuracy = (
                np.mean(m[: config.seeds, :count], axis=-1) for m in jax.device_get(metrics)
            )
            history.append(loss, accuracy)
            keeper.refuse_failure()
            if programs.evaluate.done():
                programs.evaluate.result()  # if it could not be compiled, nothing more is of use
            bar.update(history.sequences, float(np.mean(loss)), float(np.mean(accuracy)))
            if stop.signal or keeper.due():
                keeper.save(state)
            if stop.signal:
                raise StoppedError
    return state


def place(state: Any, programs: Programs) -> Any:
    """A state of every seed, numpy `[S, ...]`, padded for the devices and copied to them."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    padded = len(programs.settings.seed)
    return jax.tree.map(
        lambda leaf: jnp.array(leaf[np.minimum(np.arange(padded), len(leaf) - 1)]), state
    )


class Keeper:
    """What a run leaves while it trains: when a checkpoint is due, and that none is of no use."""

    def __init__(self, folder: Path, inputs: Inputs, history: "History", every: int | None) -> None:
        """Keep the run of a folder, every so many sequences (None: by the clock)."""
        self.folder, self.inputs, self.history = folder, inputs, history
        self._every = every
        self._saved, self._clock = history.sequences, time.perf_counter()

    def next_stop(self) -> int:
        """The sequence at which a chunk must end: a checkpoint is due there, or it is the last."""
        last = self.inputs.config.training.sequences
        if self._every is None:
            return last
        return min(last, (self.history.sequences // self._every + 1) * self._every)

    def due(self) -> bool:
        """Whether it is time for a checkpoint."""
        if self.history.sequences == self.inputs.config.training.sequences:
            return True
        if self._every is None:
            return time.perf_counter() - self._clock > CHECKPOINT_SECONDS
        return self.history.sequences % self._every == 0

    def save(self, state: Any) -> None:
        """Write a checkpoint of the state of every seed, unless no seed's is of any use."""
        import jax
        import numpy as np

        seeds = self.inputs.config.seeds
        state = jax.tree.map(lambda leaf: leaf[:seeds], jax.device_get(state))
        bad = [~np.isfinite(leaf.reshape(seeds, -1)).all(axis=1) for leaf in jax.tree.leaves(state)]
        if not np.any(bad, axis=0).all():
            checkpoint.save(self.folder, self.inputs, Saved(state, self.history))
            self._saved, self._clock = self.history.sequences, time.perf_counter()

    def refuse_failure(self, final: "np.ndarray | None" = None) -> None:
        """Raise ConfigError where the loss of every seed is infinite or no number.

        Args:
          final: the losses of the evaluation, `[S]`, where there was one.
        """
        import numpy as np

        from echo_jax import results

        config, bad = self.inputs.config, self.history.bad
        if not (bad if final is None else bad | ~np.isfinite(final)).all():
            return
        failed = results.failures(config, self.history.curves()[0], final)
        storage.write_bytes(self.folder / checkpoint.METRICS, self.history.text())
        first = min(failed["sequence"], key=lambda at: at or LARGEST)
        seed = failed["seed"][failed["sequence"].index(first)]
        what = f"sequence {first}" if first else "the evaluation"
        kept = f"the checkpoint of sequence {self._saved}" if self._saved else "metrics.csv"
        raise ConfigError(
            f"the loss of {what} is infinite or no number with seed {seed}: use a learning rate "
            f"below {config.training.learning_rate:g}; {self.folder} keeps {kept}"
        )


def evaluate(programs: Programs, program: Any, state: Any, keeper: Keeper) -> Any:
    """The `Evaluation` of every seed on sequences of its own, leaves `[S, ...]`."""
    import jax

    seeds = keeper.inputs.config.seeds
    scored = jax.device_get(program(programs.settings, state.params, programs.corpus))
    scored = jax.tree.map(lambda leaf: leaf[:seeds], scored)
    keeper.refuse_failure(scored.loss)
    return scored


def write_results(keeper: Keeper, scored: Any, also: dict[str, Any]) -> dict[str, Any]:
    """Put the scores, and what else is known, into the run folder; returns them."""
    import numpy as np

    from echo_jax import plots, results

    folder, config, corpus = keeper.folder, keeper.inputs.config, corpus_of(keeper.inputs)
    loss, accuracy = keeper.history.curves()
    held_out = corpus.held_out if corpus else None
    result = results.summarise(config, scored, loss, accuracy, held_out)
    if own := keeper.inputs.values:
        for name in ("expected", "predicted"):
            result[name] = [own[token] for token in result[name]]
    result["digest"] = results.digest(result)
    result |= also
    good = ~np.isin(result["by_seed"]["seed"], result["failed"]["seed"])
    figure = plots.training_figure(loss[good], accuracy[good], result, report.curve_title(config))
    storage.write_bytes(folder / checkpoint.FIGURE, plots.png(figure))
    if config.seeds > 1:
        storage.write_csv(folder / checkpoint.SEEDS, result["by_seed"])
    storage.write_json(folder / checkpoint.RESULT, result)
    return result


def leave() -> NoReturn:
    """End the process at once: to free its compiled programs first takes half a second more.

    That is a tenth of all that is not training. Everything is written and flushed by now.
    """
    os._exit(0)


if __name__ == "__main__":
    main()
    leave()
