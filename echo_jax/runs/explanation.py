"""Why a configuration can, or cannot, learn its task. No jax here, so `show` starts at once."""

from echo_jax.config import RunConfig
from echo_jax.core.target_place import batches_back, target_place
from echo_jax.runs.advice import LONGER_GRADIENT, WIDER

NOWHERE = "{value} is neither in the window of {window} nor in the state. "

WHY_CHANCE = {
    "skipped": NOWHERE + "With batches of {batch}, row r continues row r - {batch}, not row r - 1, "
    "so the state never saw it",
    "early": NOWHERE + "The first row ends at time {first}, and the state never saw what came "
    "before its window",
    "zeroed": "{value} is not in the window of {window}, and every batch starts from a zero state",
    "delayed": "the cell mlp sees only {fed}, and {value} is not among them",
}
"""Why chance is the best possible, by the place of the target."""

HELPS_LESS = (
    f", which helps less (measured at lag 5: {WIDER.before} to {LONGER_GRADIENT.after} by it, to "
    f"{WIDER.after} by the window; echo-jax study advice)"
)
"""The gain of a gradient through more batches beside a wider window, of windows above 1."""


def explain(config: RunConfig) -> str:
    """Say where the target is, whether it can be learned, and the flags that make it learnable."""
    place, task = target_place(config), config.task
    if place == "future":
        return _in_future(config)
    value = "the current value"
    if task.lag:
        value = f"the value {task.lag} step{'s' * (task.lag != 1)} back"
    if place not in WHY_CHANCE:
        reachable = {"window": _in_window, "replayed": _in_replayed_batch, "state": _in_state}
        return reachable[place](config, value)
    line = config.network.delay_line or task.window
    reason = WHY_CHANCE[place].format(
        value=value,
        window=task.window,
        batch=task.batch_size,
        first=task.row_times.start,
        fed="the current value" if line == 1 else f"the last {line} values that it was fed",
    )
    also = " This holds for independent values: order in the column may help."
    return (
        f"Chance is the best possible: {reason}. No amount of training helps; use {_fix(config)}."
        f"{also * (config.data.csv is not None)}"
    )


def _in_window(config: RunConfig, value: str) -> str:
    task = config.task
    found = f"The target, {value}, is in the window of {task.window}"
    if task.layout == "streams":
        return f"{found}, for the later steps of each chunk: the gradient reaches it there."
    carried = ""
    if config.network.stateful:
        carried = (
            f" The state, carried over from row r - {task.batch_size}, is not needed for it and "
            "can harm (echo-jax study state)."
        )
    return f"{found}: the gradient reaches it, and it can be learned.{carried}"


def _in_replayed_batch(config: RunConfig, value: str) -> str:
    task, back, again = config.task, batches_back(config), config.training.bptt_batches
    batch = "the batch before" if back == 1 else f"the batch {back} before"
    if task.lag % task.window and task.layout == "streams":
        batch += " (for the later steps of a chunk)"
    return (
        f"The target can be learned from an earlier batch: {value} is not in the window "
        f"of {task.window} but in {batch}. Every update runs the {again - 1} before its own again, "
        f"so the gradient reaches it, through {again} batches."
    )


def _in_state(config: RunConfig, value: str) -> str:
    task, again = config.task, config.training.bptt_batches
    cut = "at the border between batches" if again == 1 else f"after {again} batches"
    less = task.layout == "windows" and task.window > 1 and config.network.cell != "mlp"
    return (
        f"The network is hardly trained to remember here: {value} is not in the window of "
        f"{task.window}, only in the state that an earlier batch left, and the gradient is "
        f"cut {cut}. Accuracy above chance comes from what happens to remain in the state; use "
        f"{_fix(config)} to have the target in the window, or --bptt-batches "
        f"{batches_back(config) + 1} to let the gradient reach the earlier batch"
        f"{HELPS_LESS * less}."
    )


def _in_future(config: RunConfig) -> str:
    ahead = f"The target lies {-config.task.lag} step{'s' * (config.task.lag < -1)} ahead"
    if config.data.csv is None:
        return (
            f"{ahead} and has not been drawn yet. The integers are independent of each other, so "
            "no model can do better than chance."
        )
    return (
        f"{ahead}. If the values are independent of each other, no model can do better than the "
        "majority baseline; a better score comes from order in them."
    )


def _fix(config: RunConfig) -> str:
    """The flags that put the target into the window, and into the delay line of the cell mlp."""
    task, line = config.task, config.network.delay_line
    flags = [f"--window {task.lag + 1}"] if task.lag >= task.window else []
    if line is not None and line <= task.lag:
        flags.append(f"--delay-line {task.lag + 1}")
    return " with ".join(flags)
