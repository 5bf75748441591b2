"""Train on the echo task, one seed or many, evaluate on fresh sequences, explain the outcome.

python scripts/train.py --lag 1 --window 5                # part 4 of the tutorial: learns
python scripts/train.py --lag 1 --window 5 --seeds 16     # the same, with an interval
python scripts/train.py --part no-context                 # part 3: stays at chance, and why
"""

import gc
import time

START = time.perf_counter()
gc.disable()  # until all is compiled: imports and tracing leave no garbage, and the search costs 5%

import dataclasses
import importlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, NoReturn

from echo_jax import checkpoint, cli, report
from echo_jax.config import PARTS, ConfigError, Part, RunConfig, to_dict

if TYPE_CHECKING:  # all that is slow to import waits until the command line was found valid
    import jax
    import numpy as np

    from echo_jax.config import Settings


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


class Programs(NamedTuple):
    """The compiled functions of a run, the sequences in a chunk, and the padded settings.

    `evaluate` is a future, with the seconds that it took: it is compiled while training goes on.
    """

    init: Any
    run_chunk: Any
    evaluate: "Future[tuple[Any, float]]"
    chunk: int
    settings: "Settings"
    devices: "list[jax.Device]"


class Trained(NamedTuple):
    """What training leaves: parameters, and loss (nats) and accuracy by sequence, `[S, N]`."""

    params: Any
    loss: "np.ndarray"
    accuracy: "np.ndarray"


def main() -> None:
    """Run the command of the command line."""
    command = cli.parse(TrainCommand)
    if command.devices is not None and command.devices < 1:
        cli.fail(f"devices {command.devices} is below 1: use 1 or more")
    with cli.refusals(), checkpoint.claimed_folder(command.out) as folder:
        run(command, folder)
        print(f"Run folder: {folder}", flush=True)


def run(command: TrainCommand, folder: Path) -> None:
    """Compile, train, evaluate, report; fill the run folder."""
    from echo_jax import network, results, seeds

    seconds = {"import": time.perf_counter() - START}
    config = command.run
    seeds.use_cpu_devices(min(command.devices or seeds.cores(), config.seeds))
    if command.compilation_cache:
        seeds.use_compilation_cache()
    network.build_network(config)  # refuses a cell before anything is compiled or written
    checkpoint.write_json(folder / "config.json", to_dict(config))
    print(report.describe(config), flush=True)

    with ThreadPoolExecutor(1) as background:  # what is needed last is made ready meanwhile
        programs, seconds["compile"] = timed(compile_programs, command, background)
        gc.enable()
        background.submit(importlib.import_module, "echo_jax.plots")
        print(report.describe_devices(programs.devices), flush=True)
        trained, seconds["train"] = timed(train, config, programs, folder)
        (program, compiling), waiting = timed(programs.evaluate.result)
        seconds |= {"compile_while_training": compiling, "wait_for_it": waiting}
        scored, seconds["evaluate"] = timed(evaluate, config, programs, program, trained)
    result = results.summarise(config, scored, trained.accuracy)
    result["seconds"] = {name: round(value, 3) for name, value in seconds.items()}
    result["devices"] = [device.device_kind for device in programs.devices]
    checkpoint.write_json(folder / "result.json", result)
    if config.seeds > 1:
        checkpoint.write_csv(folder / "seeds.csv", result["by_seed"])
    from echo_jax import plots

    title = report.curve_title(config)
    figure = plots.training_figure(trained.loss, trained.accuracy, result, title)
    plots.save(figure, folder / "curve.png")
    print(report.full_report(config, result))


def timed(function: Any, *arguments: Any) -> tuple[Any, float]:
    """What a function returns, and the seconds it took."""
    start = time.perf_counter()
    returned = function(*arguments)
    return returned, time.perf_counter() - start


def compile_programs(command: TrainCommand, background: ThreadPoolExecutor) -> Programs:
    """Compile the three functions of a run, each once; nothing is run yet.

    The first and the last are left to the background: on two cores a quarter of a second and a
    second less to wait for.
    """
    import jax

    from echo_jax import seeds

    config = command.run
    how = command.seed_map or seeds.default_seed_map()
    devices = seeds.devices_for(config.seeds, how, command.devices)
    runs = [dataclasses.replace(config, seed=config.seed + s, seeds=1) for s in range(config.seeds)]
    settings = seeds.pad(seeds.stack_settings(runs), len(devices))
    chunk = chunk_size(config, len(settings.seed) // len(devices))
    shapes = config.shapes
    init = jax.jit(seeds.init_runs(shapes, devices, how))
    run_chunk = jax.jit(seeds.run_chunks(shapes, chunk, devices, how), donate_argnums=1)
    evaluate = jax.jit(seeds.evaluate_runs(shapes, devices, how))
    state = jax.eval_shape(init, settings)
    init_program = background.submit(init.lower(settings).compile)
    chunk_program = run_chunk.lower(settings, state, chunk).compile()
    return Programs(
        init_program.result(),
        chunk_program,
        background.submit(timed, lambda: evaluate.lower(settings, state.params).compile()),
        chunk,
        settings,
        devices,
    )


def chunk_size(config: RunConfig, runs_a_device: int) -> int:
    """Sequences between two looks at the progress: 400 updates, fewer where seeds are many."""
    updates = max(100, min(400, 12800 // runs_a_device))
    return max(1, min(config.training.sequences, updates // config.task.updates_per_sequence))


def train(config: RunConfig, programs: Programs, folder: Path) -> Trained:
    """The host loop: chunk by chunk, with a progress bar, every sequence written down."""
    import jax
    import numpy as np

    from echo_jax.progress import TrainingProgress

    sequences = config.training.sequences
    state = programs.init(programs.settings)
    chunks = []
    with (
        checkpoint.MetricsFile(folder / "metrics.csv", config) as file,
        TrainingProgress(sequences) as bar,
    ):
        for first in range(0, sequences, programs.chunk):
            count = min(programs.chunk, sequences - first)
            state, metrics = programs.run_chunk(programs.settings, state, count)
            loss, accuracy = (
                np.mean(m[: config.seeds, :count], axis=-1) for m in jax.device_get(metrics)
            )
            chunks.append((loss, accuracy))
            file.append(loss, accuracy)
            check_finite(loss, f"sequences {first + 1} to {first + count}", config)
            if programs.evaluate.done():
                programs.evaluate.result()  # if it could not be compiled, nothing more is of use
            bar.update(first + count, float(np.mean(loss)), float(np.mean(accuracy)))
    return Trained(state.params, *(np.concatenate(part, axis=1) for part in zip(*chunks)))  # noqa: B905


def check_finite(loss: "np.ndarray", what: str, config: RunConfig) -> None:
    """Raise ConfigError where a loss `[S, N]` is no number: nothing after it means anything."""
    import numpy as np

    for seed, column in np.argwhere(~np.isfinite(loss))[:1]:
        raise ConfigError(
            f"the loss of {what} is {loss[seed, column]} with seed {config.seed + seed}: "
            f"use a learning rate below {config.training.learning_rate:g}; "
            "metrics.csv in the run folder has all of the training"
        )


def evaluate(config: RunConfig, programs: Programs, program: Any, trained: Trained) -> Any:
    """The `Evaluation` of every seed on sequences of its own, leaves `[S, ...]`."""
    import jax

    scored = jax.device_get(program(programs.settings, trained.params))
    scored = jax.tree.map(lambda leaf: leaf[: config.seeds], scored)
    check_finite(scored.loss[:, None], "the evaluation", config)
    return scored


def leave() -> NoReturn:
    """End the process at once: to free its compiled programs first takes half a second more.

    That is a tenth of all that is not training. Everything is written and flushed by now.
    """
    os._exit(0)


if __name__ == "__main__":
    main()
    leave()
