"""Why a configuration can, or cannot, learn its task. No jax here, so `show` starts at once."""

from typing import TYPE_CHECKING

from echo_jax.config import RunConfig
from echo_jax.core.target_place import batches_back, target_place
from echo_jax.exceptions import Spelling, spell
from echo_jax.runs.advice import into_view, is_predictable

if TYPE_CHECKING:
    from echo_jax.runs.result import Result


THERE = "The target, {value}, is in the window of {window}"
NOWHERE = "{value} is neither in the window of {window} nor in the state"
CHANCE = "Chance is the best possible: {why}. No amount of training helps; use {fix}.{also}"
CARRIED = (
    " The state, carried over from row r - {rows}, is not needed for it and can harm (see the "
    "study state)."
)
SENTENCES = {
    "window": f"{THERE}: the gradient reaches it, and it can be learned.{{carried}}",
    "chunk": f"{THERE}, for the later steps of each chunk: the gradient reaches it there.",
    "replayed": "The target, {value}, is not in the window of {window} but in {batch}. Every "
    "update goes back through {again} batches, so the gradient reaches it, and it can be learned.",
    "state": "The network is hardly trained to remember here: {value} is not in the window of "
    "{window}, only in the state that an earlier batch left, and the gradient is cut {cut}. Use "
    "{fix} to have it in the window, or {{bptt_batches={enough}}} to let the gradient reach the "
    "earlier batch, which helps less.",
    "future": "The target lies {ahead} ahead and has not been drawn yet, so no model can do better "
    "than chance.",
    "future value": "The target lies {ahead} ahead. If the values are independent of each other, "
    "no model can do better than the majority baseline; a better score comes from order in them.",
}
"""Where the target is, and what follows."""

WHY_CHANCE = {
    "skipped": f"{NOWHERE}. With batches of {{rows}}, row r continues row r - {{rows}}, not row "
    "r - 1, so the state never saw it",
    "early": f"{NOWHERE}. The first row ends at time {{first}}, and the state never saw what came "
    "before its window",
    "zeroed": "{value} is not in the window of {window}, and every batch starts from a zero state",
    "delayed": "the cell mlp sees only {fed}, and {value} is not among them",
}
"""Why a target can be found nowhere."""


def explain(config: RunConfig, result: "Result | None" = None, spelling: Spelling = "flag") -> str:
    """Say where the target is, whether it can be learned, and the options that make it learnable.

    A result that shows that the values are predictable is explained by that.
    """
    if result and is_predictable(config, result):
        from echo_jax.runs import own_data_findings  # not loaded for random integers

        return own_data_findings.predictability(config, result, spelling)
    words, place = _words(config), str(target_place(config))
    if place in WHY_CHANCE:
        return spell(CHANCE.format(why=WHY_CHANCE[place].format(**words), **words), spelling)
    if place == "window" and config.task.layout == "streams":
        place = "chunk"
    if place == "future" and config.data.file is not None:
        place = "future value"
    return spell(SENTENCES[place].format(**words), spelling)


def _words(config: RunConfig) -> dict[str, object]:
    """The words of the sentences about a configuration, by name."""
    task, back, again = config.task, batches_back(config), config.training.bptt_batches
    line, lag = config.network.delay_line or task.window, abs(task.lag)
    steps = f"{lag} step{'s' * (lag != 1)}"
    batch = "the batch before" if back == 1 else f"the batch {back} before"
    if task.lag % task.window and task.layout == "streams":
        batch += " (for the later steps of a chunk)"
    carries = config.network.stateful and config.network.cell != "mlp"  # noise, see study state
    changes = into_view(config) | ({"stateful": False} if carries else {})
    options = (f"{{{name}={value}}}" for name, value in changes.items())
    order = " This holds for independent values: order in the column may help."
    return {
        "value": f"the value {steps} back" if lag else "the current value",
        "ahead": steps,
        "window": task.window,
        "rows": task.batch_size,
        "first": task.row_times.start,
        "fed": "the current value" if line == 1 else f"the last {line} values that it was fed",
        "batch": batch,
        "again": again,
        "enough": back + 1,
        "cut": "at the border between batches" if again == 1 else f"after {again} batches",
        "carried": CARRIED.format(rows=task.batch_size) * config.network.stateful,
        "fix": " with ".join(options),
        "also": order * (config.data.file is not None),
    }
