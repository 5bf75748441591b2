"""Why a configuration can, or cannot, learn its task. No jax here, so `show` starts at once."""

from typing import TYPE_CHECKING

from echo_jax.config import RunConfig
from echo_jax.core.target_place import batches_back, target_place
from echo_jax.exceptions import Spelling, spell
from echo_jax.runs.advice import independent_ceiling, into_view, is_predictable

if TYPE_CHECKING:
    from echo_jax.runs.result import Result


def explain(config: RunConfig, result: "Result | None" = None, spelling: Spelling = "flag") -> str:
    """Say where the target is, whether it can be learned, and the options that make it learnable.

    A result that shows that the values are predictable is explained by that.
    """
    if result and is_predictable(config, result):
        return (
            f"The values are predictable: {result.accuracy:.2%} are right, and of independent "
            f"values {independent_ceiling(config, result):.2%} would be the most. The network "
            "uses order in the column."
        )
    places = {"window": _in_window, "replayed": _in_replayed_batch, "state": _in_state}
    places |= {"future": _in_future}
    return spell(places.get(target_place(config), _nowhere)(config), spelling)


def _value(config: RunConfig) -> str:
    """The target in words."""
    lag = config.task.lag
    return f"the value {lag} step{'s' * (lag != 1)} back" if lag else "the current value"


def _nowhere(config: RunConfig) -> str:
    task, line = config.task, config.network.delay_line or config.task.window
    value, window = _value(config), f"the window of {config.task.window}"
    nowhere = f"{value} is neither in {window} nor in the state"
    fed = "the current value" if line == 1 else f"the last {line} values that it was fed"
    why = {
        "skipped": f"{nowhere}. With batches of {task.batch_size}, row r continues row r - "
        f"{task.batch_size}, not row r - 1, so the state never saw it",
        "early": f"{nowhere}. The first row ends at time {task.row_times.start}, and the state "
        "never saw what came before its window",
        "zeroed": f"{value} is not in {window}, and every batch starts from a zero state",
        "delayed": f"the cell mlp sees only {fed}, and {value} is not among them",
    }
    also = " This holds for independent values: order in the column may help."
    return (
        f"Chance is the best possible: {why[target_place(config)]}. No amount of training helps; "
        f"use {_fix(config)}.{also * (config.data.csv is not None)}"
    )


def _in_window(config: RunConfig) -> str:
    task = config.task
    place = f"The target, {_value(config)}, is in the window of {task.window}"
    if task.layout == "streams":
        return f"{place}, for the later steps of each chunk: the gradient reaches it there."
    carried = (
        f" The state, carried over from row r - {task.batch_size}, is not needed for it and can "
        "harm (see the study state)."
    )
    reached = f"{place}: the gradient reaches it, and it can be learned."
    return reached + carried * config.network.stateful


def _in_replayed_batch(config: RunConfig) -> str:
    task, back, again = config.task, batches_back(config), config.training.bptt_batches
    batch = "the batch before" if back == 1 else f"the batch {back} before"
    if task.lag % task.window and task.layout == "streams":
        batch += " (for the later steps of a chunk)"
    return (
        f"The target, {_value(config)}, is not in the window of {task.window} but in {batch}. "
        f"Every update goes back through {again} batches, so the gradient reaches it, and it can "
        "be learned."
    )


def _in_state(config: RunConfig) -> str:
    task, again = config.task, config.training.bptt_batches
    cut = "at the border between batches" if again == 1 else f"after {again} batches"
    return (
        f"The network is hardly trained to remember here: {_value(config)} is not in the window of "
        f"{task.window}, only in the state that an earlier batch left, and the gradient is cut "
        f"{cut}. Use {_fix(config)} to have it in the window, or "
        f"{{bptt_batches={batches_back(config) + 1}}} to let the gradient reach the earlier "
        "batch, which helps less."
    )


def _in_future(config: RunConfig) -> str:
    ahead = f"The target lies {-config.task.lag} step{'s' * (config.task.lag < -1)} ahead"
    if config.data.csv is None:
        return f"{ahead} and has not been drawn yet, so no model can do better than chance."
    return (
        f"{ahead}. If the values are independent of each other, no model can do better than the "
        "majority baseline; a better score comes from order in them."
    )


def _fix(config: RunConfig) -> str:
    """The options that show the target to the network."""
    return " with ".join(f"{{{name}={value}}}" for name, value in into_view(config).items())
