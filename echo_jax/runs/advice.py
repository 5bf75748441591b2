"""After a run: why it missed its goal and what helps, or what to ask next. No jax here."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET

from echo_jax.config import RunConfig, changed, flat
from echo_jax.core.target_place import batches_back, knowable_share, target_place
from echo_jax.exceptions import ConfigError

if TYPE_CHECKING:
    from echo_jax.runs.result import Result

MOST_BATCHES = 8  # of a gradient that is advised: each makes an update longer
MOST_SEQUENCES = 6000  # of a run that is advised to train longer: no more were measured

MARGIN = 0.05
"""Two accuracies of own values within it may be equal, as few values are held out."""

IN_A_PAGE = {"cell": "lstm", "encoding": "one-hot", "framing": "classes"}
"""The fields of a network that `show --play` can show."""

PAGE_BYTES = 400_000
"""Of a page that `show --play` makes, at most; all in it but weights and values take 70,000."""

MEASURED = {
    "zero state": "at lag 3: 30.05% to 100%, 10 seeds; study advice",
    "longer": "at lag 3, 2,000 to 6,000 sequences: 30.05% to 44.85%, 10 seeds; study advice",
    "wider": "at lag 5: 2.55% to 100%, 10 seeds; study advice",
    "longer gradient": "at lag 5: 2.55% to 10.28%, 10 seeds; study advice",
    "larger step": "at lag 9 in a window of 10: 62.36% to 97.23%, 10 seeds; study advice",
    "faster": "at a learning rate of 0.0001: 16.93% to 99.74%, 10 seeds; study advice",
    "slower": "at a learning rate of 0.03: 92.88% to 99.74%, 10 seeds; study advice",
    "one row": "on part 3, batches of 6: 0.98% to 95.83%, 16 seeds; study mistake",
    "through chunks": "at lag 5: 7.18% to 38.17%, 8 seeds; study streams",
    "whole streams": "at lag 5: 7.18% to 30.62%, 8 seeds; study streams",
    "extra token": "at lag 3: 94.92% to 100%, 16 seeds; study masking",
    "larger layer": "with 20 units: 40.31% to 99.73%, 8 seeds; study size",
    "classes": "on part 4: 56.36% to 99.73%, 16 seeds; study framing",
}
"""The median accuracy without and with a change, where, of how many seeds, in which study."""


class Step(NamedTuple):
    """A change of a run: what it does, the fields that it sets, and which of `MEASURED` shows it.

    Without a measurement it is plain arithmetic that more can be known or reached with it.
    """

    words: str
    changes: dict[str, Any]
    measured: str | None = None


def after_run(
    config: RunConfig, result: "Result", command: Callable[[dict[str, Any]], str]
) -> list[str]:
    """The next runs, each a line that ends with its command: what helps, or one question.

    A run that missed 99% of its ceiling gets one or two changes; one on predictable values, or
    whose held-out values were all never trained on, gets nothing. `explain` says why it missed.
    `command` writes the command line, or the call, of the run with other values of some fields.
    """
    if is_predictable(config, result) or result.ceiling_accuracy == 0:
        return []
    if made_it(config, result):
        lines = []
        starts = ["Next"]
        steps = _questions(config)
    else:
        lines = _why(config, result)
        starts = ["Try", "Or"]
        steps = _cures(config, bool(result.failed.seed))
    chosen = list(itertools.islice(_valid(config, steps), len(starts)))
    if not chosen:
        others = {"seeds": 8} if config.seeds == 1 else {"seed": 0 if config.seed else config.seeds}
        chosen = [Step("no change that was measured is left, do other seeds do better?", others)]
    for start, (words, changes, measured) in zip(starts, chosen, strict=False):
        shown = f" (measured {MEASURED[measured]})" if measured else ""
        colon = "" if words.endswith("?") else ":"
        lines.append(f"{start}: {words}{shown}{colon} {command(changes)}")
    return lines


def has_page(config: RunConfig, values: Sequence[str]) -> bool:
    """True where `show --play` makes a page of a run with these different values."""
    given = flat(config)
    units = config.network.hidden_size
    weights = (len(values) + units + 1) * 4 * units + (units + 1) * len(values)
    bytes_of_values = sum(len(ascii(value)) + 2 for value in values)
    fits = 70_000 + weights * 16 / 3 + bytes_of_values < PAGE_BYTES
    return fits and all(given[field] == right for field, right in IN_A_PAGE.items())


def independent_ceiling(config: RunConfig, result: "Result") -> float:
    """The highest accuracy possible of independent values: those fed, and guesses of the others."""
    fed = knowable_share(config)
    return fed + (1 - fed) * result.baseline_accuracy


def simple_predictors(result: "Result") -> dict[str, float]:
    """The accuracy of predictors of values in order; none where the network is fed its target."""
    if result.persistence_accuracy is UNSET or result.k_gram_accuracy is UNSET:
        return {}
    gram = f"a {result.k_gram}-gram"
    return {"persistence": result.persistence_accuracy, gram: result.k_gram_accuracy}


def is_predictable(config: RunConfig, result: "Result") -> bool:
    """True where the network, or a simple predictor, does better than independent values allow."""
    if config.data.file is None:
        return False
    best = max(result.accuracy, *simple_predictors(result).values(), 0.0)
    return best > independent_ceiling(config, result) + MARGIN


def _why(config: RunConfig, result: "Result") -> list[str]:
    """A line where rows that start from zero are right, and those with a carried state are not."""
    task = config.task
    if task.layout != "windows" or target_place(config) != "window" or not config.network.stateful:
        return []
    right = [share or 0.0 for share in result.accuracy_by_position]
    first = right[: task.batch_size]
    later = right[task.batch_size :]
    if not later or min(first) - max(later) < 0.1:
        return []
    return [
        f"Why: {sum(first) / len(first):.0%} are right in rows 0 to {len(first) - 1}, which start "
        f"from a zero state, and {sum(later) / len(later):.0%} in the others, which start from a "
        "carried state."
    ]


def ceiling(config: RunConfig, result: "Result") -> float:
    """The ceiling of a result; where own values have none, that of independent ones."""
    if result.ceiling_accuracy is UNSET:
        return independent_ceiling(config, result)
    return result.ceiling_accuracy


def made_it(config: RunConfig, result: "Result") -> bool:
    """True for an accuracy of at least 99% of the ceiling, where anything can be known."""
    most = ceiling(config, result)
    return bool(most and knowable_share(config)) and result.accuracy >= 0.99 * most


def smaller_step(config: RunConfig) -> dict[str, Any]:
    """The change after a loss that became non-finite."""
    rate = config.training.learning_rate
    return {"learning_rate": 0.001 if rate > 0.001 else rate / 10}


def _valid(config: RunConfig, steps: Iterator[Step]) -> Iterator[Step]:
    """The steps that change the configuration and break none of its rules."""
    now = flat(config)
    for step in steps:
        changes = {name: value for name, value in step.changes.items() if value != now[name]}
        with contextlib.suppress(ConfigError):
            changed(config, **changes)
            if changes:
                yield step._replace(changes=changes)


def _cures(config: RunConfig, failed: bool) -> Iterator[Step]:
    place = target_place(config)
    if place == "future":
        yield Step("only a value that was seen can be echoed", {"lag": 1, "window": 5})
        return
    if failed:
        yield Step("take smaller steps, as a loss became non-finite", smaller_step(config))
    if config.training.frozen:
        yield Step("train the cell as well", {"frozen": False})
    elif place in ("window", "replayed"):
        yield from _easier(config)
    elif config.task.in_streams and config.network.cell != "mlp":
        yield from _reaching_further_in_streams(config)
    else:
        yield _wider(config)
        yield from _reaching_further(config)


def _easier(config: RunConfig) -> Iterator[Step]:
    """Steps where the gradient reaches the target."""
    task = config.task
    rate = config.training.learning_rate
    if not 0.0005 <= rate <= 0.02:
        measured = "faster" if rate < 0.001 else "slower"
        yield Step("use the default learning rate", {"learning_rate": 0.001}, measured)
    yield Step("predict classes", {"framing": "classes"}, "classes")
    if task.in_streams:
        yield from _reaching_further_in_streams(config)
    elif task.lag >= task.window:
        yield _wider(config)
    elif config.network.cell != "mlp":
        yield Step("leave out the carried state, which is noise here", _ZERO, "zero state")
    yield Step("show missing values as a token", {"missing": "token"}, "extra token")
    larger = {"hidden_size": max(50, config.network.hidden_size)}
    yield Step("use a larger layer", larger, "larger layer")
    if task.window >= 10 and 0.0005 <= rate <= 0.001:
        yield Step("take larger steps", {"learning_rate": 0.003}, "larger step")
    now = config.training.sequences
    words = "train longer: part 4 needs about 1,500 sequences" if now < 2000 else "train longer"
    longer = {"sequences": max(now, 2000, min(3 * now, MOST_SEQUENCES))}
    yield Step(words, longer, "longer")


_ZERO = {"stateful": False, "bptt_batches": 1}


def into_view(config: RunConfig) -> dict[str, Any]:
    """The changes that put the target into the window, and into the delay line of the cell mlp."""
    line = config.network.delay_line
    wide = config.task.lag + 1
    changes = {"window": wide} if wide > config.task.window else {}
    if line is not None and line < wide:
        changes["delay_line"] = wide
    return changes


def _wider(config: RunConfig) -> Step:
    if config.network.cell != "mlp":
        words = "put the target into the window, from a zero state"
        return Step(words, into_view(config) | _ZERO, "wider")
    return Step(f"show it {config.task.lag + 1} values, the target among them", into_view(config))


def _reaching_further(config: RunConfig) -> Iterator[Step]:
    for rows in dict.fromkeys((config.task.batch_size, 1)):
        carried = {"stateful": True, "batch_size": rows}
        again = batches_back(changed(config, **carried)) + 1
        changes = carried | {"bptt_batches": again}
        if again <= MOST_BATCHES and target_place(changed(config, **changes)) == "replayed":
            task = config.task
            asked = task.window, task.lag, rows
            measured = {(1, 1, 1): "one row", (5, 5, 5): "longer gradient"}.get(asked)
            words = "let the gradient reach the batch that saw the target"
            yield Step(words if measured else f"{words}, not measured here", changes, measured)


def _reaching_further_in_streams(config: RunConfig) -> Iterator[Step]:
    task = config.task
    if config.training.bptt_batches < task.updates_per_sequence <= MOST_BATCHES:
        changes = {"stateful": True, "bptt_batches": task.updates_per_sequence}
        yield Step("let the gradient reach all chunks", changes, "through chunks")
    whole = {"window": task.length, "bptt_batches": 1}
    yield Step("take whole sequences as one chunk", whole, "whole streams")


def _questions(config: RunConfig) -> Iterator[Step]:
    task = config.task
    if config.seeds == 1:
        yield Step("does it hold for other seeds?", {"seeds": 8})
    if config.network.stateful and task.lag < task.window and not task.in_streams:
        yield Step("does it learn sooner without the carried state?", _ZERO)
    wide = {} if task.in_streams else {"window": max(task.window, task.lag + 2)}
    yield Step("can it echo a value one step further back?", {"lag": task.lag + 1, **wide})
    yield Step("does another seed agree?", {"seed": 1 - min(config.seed, 1)})
