"""Why a configuration can, or cannot, learn its task. No jax here, so it starts at once."""

from echo_jax.config import RunConfig
from echo_jax.core.target_place import batches_back, target_place


def explain(config: RunConfig) -> str:
    """Why this configuration can, or cannot, learn: where its target is to be found."""
    task, size = config.task, config.task.batch_size
    value = f"the value {task.lag} step{'s' * (task.lag != 1)} back" if task.lag else "the value"
    outside = f"{value} is not in the window of {task.window}"
    fix = _fix(config)
    why = {
        "window": _explain_window(config, value),
        "replayed": _explain_replayed(config, outside),
        "state": _explain_state(config, outside),
        "delayed": _explain_delayed(config, value),
        "skipped": (
            f"Chance is all there is: {outside}, nor in the state. Batches of {size} mean that "
            f"row r continues row r - {size}, not row r - 1, so the state never saw it. No amount "
            f"of training helps; {fix}."
        ),
        "early": (
            f"Chance is all there is: {outside}, nor in the state. The first row ends at time "
            f"{task.row_times[0]}, and what was over before it never entered the state. No amount "
            f"of training helps; {fix}."
        ),
        "zeroed": (
            f"Chance is all there is: {outside}, and every batch starts from a zero state. No "
            f"amount of training helps; {fix}."
        ),
        "future": _explain_future(config),
    }[target_place(config)]
    if config.data.csv is not None and why.startswith("Chance"):
        why += " That is so where the values are independent of each other: order in them may help."
    return why


def _explain_window(config: RunConfig, value: str) -> str:
    task = config.task
    seen = f"The target, {value if task.lag else 'the current value'}, is in the window"
    if task.layout == "streams":
        return f"{seen} of {task.window}, for the later steps of it: the gradient reaches it there."
    carried = (
        f" The state, carried over from row r - {task.batch_size}, is not needed for it."
        if config.network.stateful
        else ""
    )
    return f"{seen} of {task.window}: the gradient reaches it, and it can be learned.{carried}"


def _fix(config: RunConfig) -> str:
    """What puts the target where it can be learned."""
    task, line = config.task, config.network.delay_line
    flags = [f"--window {task.lag + 1}"] if task.lag >= task.window else []
    if line is not None and line <= task.lag:
        flags.append(f"--delay-line {task.lag + 1}")
    return f"{' with '.join(flags)} puts it where it can be learned"


def _explain_replayed(config: RunConfig, outside: str) -> str:
    back, again = batches_back(config), config.training.bptt_batches
    before = "the batch before" if back == 1 else f"what was fed {back} batches before"
    if config.task.lag % config.task.window and config.task.layout == "streams":
        before += " (for the later steps of a chunk)"
    return (
        f"The target can be learned from an earlier batch: {outside}, but in {before}, and every "
        f"update runs the {again - 1} before its own again: the gradient reaches it, through "
        f"{again} batches."
    )


def _explain_state(config: RunConfig, outside: str) -> str:
    again = config.training.bptt_batches
    cut = "at the border between batches" if again == 1 else f"after {again} batches"
    return (
        f"The network is hardly taught to remember here: {outside}, only in the state that an "
        f"earlier batch left, and the gradient is cut {cut}. What is right above chance happens to "
        f"be left in the state; {_fix(config)}, and --bptt-batches {batches_back(config) + 1} lets "
        "the gradient reach it where it is."
    )


def _explain_delayed(config: RunConfig, value: str) -> str:
    line = config.network.delay_line or config.task.window
    handed = "the current value alone" if line == 1 else f"the last {line} values that it was fed"
    return (
        f"Chance is all there is: the cell mlp is handed {handed}, and no more, and {value} is not "
        f"among them. No amount of training helps; {_fix(config)}."
    )


def _explain_future(config: RunConfig) -> str:
    ahead = f"The target lies {-config.task.lag} ahead"
    if config.data.csv is None:
        return (
            f"{ahead} and has not been drawn yet. The integers are independent of each other, so "
            "no model can do better than chance."
        )
    return (
        f"{ahead}. If the values are independent of each other, no model can do better than the "
        "majority floor; whatever is better comes from order in them."
    )
