"""What a run says in words and tables. No jax here, so it starts at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from echo_jax.config import RunConfig

if TYPE_CHECKING:
    import numpy as np

ROWS_SHOWN = 60
"""Positions whose accuracy is printed; `result.json` has them all."""


def describe(config: RunConfig) -> str:
    """One line that says what is run."""
    task, network, training = config.task, config.network, config.training
    state = "stateful" if network.stateful else "stateless"
    return (
        f"Echo with lag {task.lag}: {task.layout} of {task.window} from {task.length} integers "
        f"below {task.vocab_size}, batch size {task.batch_size}; {state} {network.cell} of "
        f"{network.hidden_size} units; {training.sequences:,} sequences, "
        f"{training.sequences * task.updates_per_sequence:,} updates, seed {config.seed}"
    )


def explain(config: RunConfig) -> str:
    """Why this configuration can, or cannot, learn: where its target is to be found."""
    task = config.task
    value = f"the value {task.lag} step{'s' * (task.lag != 1)} back"
    fix = f"--window {task.lag + 1} puts it where it can be learned"
    place = config.target_place
    if place == "window":
        return _explain_window(config, value)
    if place == "future":
        return (
            f"The target lies {-task.lag} ahead and is not drawn yet. The integers are independent "
            "of each other, so no model can do better than chance, and none that is fair does."
        )
    if not config.network.stateful:
        return (
            f"Chance is all there is: {value} is not in the window of {task.window}, and every "
            f"batch starts from a zero state. No amount of training helps; {fix}."
        )
    if place == "absent":
        return (
            f"Chance is all there is: {value} is neither in the window of {task.window} nor in "
            f"the state. Batches of {task.batch_size} mean that row r continues row "
            f"r - {task.batch_size}, not row r - 1, so the state never saw it. No amount of "
            f"training helps; {fix}."
        )
    return (
        f"The network is hardly taught to remember here: {value} is not in the window of "
        f"{task.window}, only in the state that an earlier batch left, and the gradient is cut at "
        f"the border between batches. What is right above chance happens to be left in the state; "
        f"{fix}."
    )


def answers(expected: Sequence[int | None], predicted: Sequence[int | None]) -> str:
    """The two lines of the tutorial, and how many of them agree."""
    right = sum(a == b for a, b in zip(expected, predicted, strict=True))
    return (
        f"Expected:  {_integers(expected)}\nPredicted: {_integers(predicted)}\n"
        f"           {right} of {len(expected)} right, on one fresh sequence"
    )


def scores(result: dict[str, Any]) -> str:
    """Accuracy and loss beside their floors."""
    network = (result["accuracy"], result["loss"])
    blind = (result["floor_order_blind"], result["floor_order_blind_loss"])
    chance = (result["floor_accuracy"], result["floor_loss"])
    header = f"{'':12}{'network':>10}{'order-blind floor':>20}{'chance floor':>15}"
    accuracy = f"accuracy    {network[0]:10.2%}{blind[0]:20.2%}{chance[0]:15.2%}"
    loss = f"loss (nats) {network[1]:10.4f}{blind[1]:20.4f}{chance[1]:15.4f}"
    count = result["config"]["evaluation_sequences"]
    return (
        f"On {count:,} fresh sequences (1 seed, no interval):\n{header}\n{accuracy}\n{loss}\n"
        "The order-blind floor knows which values the window holds, but not where."
    )


def accuracy_by_position(result: dict[str, Any], config: RunConfig) -> str:
    """Accuracy in percent at each row of a sequence, a batch a line; in streams at each step."""
    task = config.task
    streams = task.layout == "streams"
    unit, width = ("step", task.window) if streams else ("row", task.batch_size)
    values = result["accuracy_by_position"]
    lines = [f"Accuracy in percent by {unit}, {'a chunk' if streams else 'a batch'} a line:"]
    width = min(width, 20)
    for start in range(0, min(len(values), ROWS_SHOWN), width):
        cells = ("    -" if v is None else f"{100 * v:5.1f}" for v in values[start : start + width])
        lines.append(f"  {unit} {start:3}: {' '.join(cells)}")
    if len(values) > ROWS_SHOWN:
        lines.append(f"  ... all {len(values)} are in result.json")
    return "\n".join(lines)


def learning_time(result: dict[str, Any]) -> str:
    """How many sequences it took to learn, and the seconds apart."""
    reached = result["sequences_to_99"]
    when = "never" if reached is None else f"after {reached:,} sequences"
    seconds = ", ".join(f"{name} {value:.2f}" for name, value in result["seconds"].items())
    return f"A running mean of 20 training sequences reached 99%: {when}.\nSeconds: {seconds}"


def one_hot_view(vectors: "np.ndarray", shown: int = 30) -> str:
    """One-hot vectors `[L, V]`, a vector a line, cut after `shown` entries."""
    rest = vectors.shape[1] - shown
    cut = f" ... {rest} more" if rest > 0 else ""
    return "\n".join(f"  [{' '.join(str(int(x)) for x in row[:shown])}{cut}]" for row in vectors)


def batch_table(
    inputs: "np.ndarray",
    mask: "np.ndarray",
    targets: "np.ndarray",
    config: RunConfig,
    rows: int,
) -> str:
    """The rows of a sequence as `window => target`, its batches drawn in, and their state.

    Args:
      inputs: `[K, B, W]`.
      mask: bool `[K, B, W]`, False where a step is masked.
      targets: `[K, B, T]`, -1 where there is none.
      config: task and network.
      rows: print whole batches until so many rows are out.
    """
    batches, size = inputs.shape[:2]
    digits = len(str(config.task.vocab_size - 1))
    lines = []
    for k in range(min(batches, -(-rows // size))):
        lines.append(
            f"batch {k}" + (": state zero" if k == 0 or not config.network.stateful else "")
        )
        for b in range(size):
            window = " ".join(
                f"{x:{digits}}" if seen else "-" * digits
                for x, seen in zip(inputs[k, b], mask[k, b], strict=True)
            )
            target = " ".join(f"{y:{digits}}" if y >= 0 else "-" * digits for y in targets[k, b])
            row = k * size + b
            source = f"   row {row} <- row {row - size}" if config.network.stateful and k else ""
            lines.append(f"  row {row:3}   {window} => {target}{source}")
    if len(lines) - min(batches, -(-rows // size)) < batches * size:
        lines.append(f"... {batches * size} rows in all; --rows shows more")
    return "\n".join(lines)


def _explain_window(config: RunConfig, value: str) -> str:
    task = config.task
    seen = f"The target, {value if task.lag else 'the current value'}, is in the window"
    if task.layout == "streams":
        return f"{seen} of {task.window}, for the later steps of it: the gradient reaches it there."
    carried = (
        f" The state, carried over from row r - {task.batch_size}, has nothing to add."
        if config.network.stateful
        else ""
    )
    return f"{seen} of {task.window}: the gradient reaches it, and it can be learned.{carried}"


def _integers(values: Sequence[int | None]) -> str:
    return "[" + ", ".join("-" if v is None else str(v) for v in values) + "]"
