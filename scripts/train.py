"""Train one network on the echo task, evaluate it on fresh sequences, explain the outcome.

python scripts/train.py --lag 1 --window 5       # part 4 of the tutorial: learns
python scripts/train.py --part no-context        # part 3: stays at chance, and says why
"""

import time

START = time.perf_counter()

import dataclasses
import functools
import importlib.metadata
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from echo_jax import checkpoint, cli, report
from echo_jax.config import PARTS, ConfigError, Part, RunConfig, to_dict

if TYPE_CHECKING:  # all that is slow to import waits until the command line was found valid
    import numpy as np

    from echo_jax.evaluation import Evaluation
    from echo_jax.training import TrainState

UPDATES_A_CHUNK = 400
PACKAGES = ("echo_jax", "jax", "jaxlib", "flax", "optax", "chex", "numpy")


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
    run: Annotated[RunConfig, cli.FLAT] = PARTS["context"]


class Trained(NamedTuple):
    """What training leaves: the state, and loss (nats) and accuracy of every sequence, `[N]`."""

    state: "TrainState"
    loss: "np.ndarray"
    accuracy: "np.ndarray"


class Programs(NamedTuple):
    """The compiled functions of a run, and how many sequences a chunk holds."""

    init: Any
    run_chunk: Any
    evaluate: Any
    chunk: int


def main() -> None:
    """Run the command of the command line."""
    command = cli.parse(TrainCommand)
    with cli.refusals(), checkpoint.claimed_folder(command.out) as folder:
        run(command.run, folder)
    print(f"Run folder: {folder}")


def run(config: RunConfig, folder: Path) -> None:
    """Compile, train, evaluate, report; fill the run folder."""
    import jax

    from echo_jax import evaluation, network, plots, training  # noqa: F401  their time is measured

    seconds = {"import": time.perf_counter() - START}
    network.build_network(config)  # refuses a cell before anything is compiled or written
    checkpoint.write_json(folder / "config.json", to_dict(config))
    print(report.describe(config))
    print(f"on {jax.devices()[0].device_kind}, {jax.default_backend()}", flush=True)

    programs, seconds["compile"] = timed(compile_programs, config)
    trained, seconds["train"] = timed(train, config, programs, folder)
    scored, seconds["evaluate"] = timed(
        lambda: jax.device_get(programs.evaluate(config.settings, trained.state.params))
    )
    result = result_of(config, trained, scored, seconds)
    checkpoint.write_json(folder / "result.json", result)
    plots.training_curve(
        folder / "curve.png", trained.loss, trained.accuracy, result, curve_title(config)
    )
    print_report(config, result)


def timed(function: Any, *arguments: Any) -> tuple[Any, float]:
    """What a function returns, and the seconds it took."""
    start = time.perf_counter()
    returned = function(*arguments)
    return returned, time.perf_counter() - start


def compile_programs(config: RunConfig) -> Programs:
    """Compile the three functions of a run, each once; nothing is run yet."""
    import jax

    from echo_jax import evaluation, training

    settings = config.settings
    chunk = max(1, UPDATES_A_CHUNK // config.task.updates_per_sequence)
    chunk = min(chunk, config.training.sequences)
    init = jax.jit(functools.partial(training.init, config))
    run_chunk = jax.jit(functools.partial(training.run_chunk, config, size=chunk))
    evaluate = jax.jit(functools.partial(evaluation.evaluate, config))
    state = jax.eval_shape(init, settings)
    return Programs(
        init.lower(settings).compile(),
        run_chunk.lower(settings, state, count=chunk).compile(),
        evaluate.lower(settings, state.params).compile(),
        chunk,
    )


def train(config: RunConfig, programs: Programs, folder: Path) -> Trained:
    """The host loop: chunk by chunk, with a progress bar, every sequence written down."""
    import jax
    import numpy as np

    from echo_jax.progress import TrainingProgress

    sequences = config.training.sequences
    state = programs.init(config.settings)
    loss, accuracy = [], []
    with checkpoint.MetricsFile(folder / "metrics.csv") as file, TrainingProgress(sequences) as bar:
        for first in range(0, sequences, programs.chunk):
            count = min(programs.chunk, sequences - first)
            state, metrics = programs.run_chunk(config.settings, state, count=count)
            means = [np.mean(m[:count], axis=1) for m in jax.device_get(metrics)]
            loss.append(means[0])
            accuracy.append(means[1])
            file.append(*means)
            check_finite(means[0], first, config)
            bar.update(first + count, float(np.mean(means[0])), float(np.mean(means[1])))
    return Trained(state, np.concatenate(loss), np.concatenate(accuracy))


def check_finite(loss: "np.ndarray", first: int, config: RunConfig) -> None:
    """Raise ConfigError where a loss is no number: nothing that follows would mean anything."""
    import numpy as np

    if not np.all(np.isfinite(loss)):
        sequence = first + int(np.argmin(np.isfinite(loss))) + 1
        raise ConfigError(
            f"the loss of sequence {sequence} is {loss[sequence - first - 1]} with seed "
            f"{config.seed}: use a learning rate below {config.training.learning_rate:g}"
        )


def result_of(
    config: RunConfig, trained: Trained, scored: "Evaluation", seconds: dict[str, float]
) -> dict[str, Any]:
    """All that `result.json` holds."""
    import numpy as np

    from echo_jax.metrics import recalled_bits, sequences_until
    from echo_jax.task import chance_floor, order_blind_floor

    chance = chance_floor(config.task)
    blind = order_blind_floor(config.task, config.network.stateful)
    loss = float(scored.loss)
    positions = scored.accuracy_by_position.tolist()
    first = scored.first
    return {
        "accuracy": float(scored.accuracy),
        "loss": loss,
        "recalled_bits": recalled_bits(loss, config.task.vocab_size),
        "floor_accuracy": chance.accuracy,
        "floor_loss": chance.loss,
        "floor_order_blind": blind.accuracy,
        "floor_order_blind_loss": blind.loss,
        "sequences_to_99": sequences_until(trained.accuracy),
        "seconds": {name: round(value, 3) for name, value in seconds.items()},
        "updates": int(trained.state.step),
        "accuracy_by_position": [None if np.isnan(value) else value for value in positions],
        "expected": first.expected[0][first.scored[0]].tolist(),
        "predicted": first.predicted[0][first.scored[0]].tolist(),
        "versions": versions(),
        "config": to_dict(config),
    }


def versions() -> dict[str, str]:
    """The versions that a result was made with."""
    installed = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"python": platform.python_version(), **installed}


def curve_title(config: RunConfig) -> str:
    """What the figure shows."""
    task = config.task
    return (
        f"Echo of lag {task.lag}, window {task.window}, batch size {task.batch_size}, "
        f"{'stateful' if config.network.stateful else 'stateless'} {config.network.cell}"
    )


def print_report(config: RunConfig, result: dict[str, Any]) -> None:
    """Everything a user reads after training."""
    paragraphs = (
        report.answers(result["expected"], result["predicted"]),
        report.scores(result),
        report.accuracy_by_position(result, config),
        report.explain(config),
        report.learning_time(result),
    )
    print("\n" + "\n\n".join(paragraphs))


if __name__ == "__main__":
    main()
