"""Say after a run why it missed its goal and what helps, or what to ask next. No jax here."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from msgspec import UNSET

from echo_jax.config import RunConfig, changed, flat
from echo_jax.echo.run import explanation
from echo_jax.echo.target_place import target_place
from echo_jax.exceptions import ConfigError

if TYPE_CHECKING:
    from echo_jax.echo.run.checkpoint import Finished
    from echo_jax.echo.run.result import Result

MOST_SEQUENCES = 10_000  # of a run that is advised

USUAL_RATES = (0.0005, 0.02)  # of learning: one between them is not what a run missed its goal by


class Step(NamedTuple):
    """A change of a run: words that say what it does, and the new values of fields."""

    words: str
    changes: dict[str, Any]


def after_run(finished: "Finished", command: Callable[[dict[str, Any]], str]) -> list[str]:
    """Return a list with at most one line: the run to make after `finished`, and its command.

    A run that missed 99% of its ceiling gets all the changes that its scores and its curve call
    for. The changes are in one command, as a single change need not help; the words name each
    change. A run that reached the goal, or about which the scores say nothing, gets a question. A
    run whose held-out values were mostly never trained on gets no line. `command` returns the
    command line, or the call, of the run with other values of some fields.
    """
    config, _, result, _ = finished
    if result.untrained and result.untrained.share > 0.5:
        return []
    if not explanation.made_it(config, result) and (steps := _cures(finished)):
        words = ", ".join(step.words for step in steps)
        if config.task.lag >= 0 and _foretells(config, result):
            words = f"to learn the echo instead of the order, {words}"
        return [f"Try: {words}: {command(_together(steps))}"]
    made = explanation.learned(config, result) or _foretells(config, result)
    words, changes = next(_valid(config, _questions(config, made)))
    return [f"Next: {words} {command(changes)}"]


def smaller_step(config: RunConfig) -> dict[str, Any]:
    """Return a smaller learning rate as a field to set, after a non-finite loss of `config`."""
    rate = config.training.learning_rate
    return {"learning_rate": 0.001 if rate > 0.001 else rate / 10}


def enough_sequences(config: RunConfig) -> int:
    """Return about how many sequences a run of `config` needs to learn a target in its window.

    The result is at most MOST_SEQUENCES. Part 4 needs 700 from a zero state and 1,600 with a
    carried state, at 4 updates each; longer lags and more values need more. Streams need a quarter
    of the updates, as they have a target at every step. Windows from a zero state need fewer for
    the sizes that published rows have.
    """
    task = config.task
    updates = (6000 + 2000 * abs(task.lag)) * max(task.vocab_size / 100, 1)
    small = task.window <= 10 and task.vocab_size <= 100 and task.batch_size > 1
    zero = task.layout == "windows" and not config.network.stateful
    if small and zero and config.network.hidden_size >= 50:
        updates = 4000 + 1000 * abs(task.lag)
    if task.in_streams:
        updates /= 4
    return min(math.ceil(updates / task.updates_per_sequence / 100) * 100, MOST_SEQUENCES)


def loss_falls(finished: "Finished") -> bool:
    """Return True if a run's loss still falls at the end of training.

    The loss falls if its mean over the last fifth of the sequences is more than two standard errors
    below its mean over the fifth before. A curve of fewer than 10 sequences counts as falling.
    """
    loss = finished.curves()[0].mean(axis=0)
    fifth = len(loss) // 5
    if fifth < 2:
        return True
    before = loss[-2 * fifth : -fifth]
    last = loss[-fifth:]
    return bool(before.mean() - last.mean() > 2 * math.hypot(before.std(), last.std()) / fifth**0.5)


def _cures(finished: "Finished") -> list[Step]:
    """Return the changes that help together, or an empty list if none is known to help."""
    config, _, result, _ = finished
    place = target_place(config)
    steps = []
    if result.failed.seed:
        steps.append(Step("take smaller steps, as a loss became non-finite", smaller_step(config)))
    if place == "future" and config.data.file is not None:
        return steps
    steps += _valid(config, _reaching(config))
    if steps:
        within = changed(config, **_together(steps))
        enough = enough_sequences(within)
        if config.training.sequences < enough and not _reached(result):
            steps.append(_train_longer(enough, _usual(within)))
        return steps
    fits = explanation.fits_training_only(config, result)
    longer = [] if fits and _is_learned_by_heart(config, result) else _longer(finished)
    at_end = _at_the_end(config, _reached(result))
    return longer if longer or fits else list(_valid(config, at_end))[:1]


def _reached(result: "Result") -> bool:
    """Return True if the running mean of the training curve reached 99%, or 99% of the ceiling.

    A run that reached this goal and still missed it in the evaluation had enough sequences.
    """
    goals = result.sequences_to_99, result.sequences_to_99_of_ceiling
    return any(sequences not in (None, UNSET) for sequences in goals)


def _is_learned_by_heart(config: RunConfig, result: "Result") -> bool:
    """Return True for own values that occur fewer than five times each in training, on average.

    More training hardly helps such columns. More training helps other columns, whose values drift
    or have no order.
    """
    task = config.task
    held_out = result.held_out_targets
    if held_out is UNSET:
        return False
    values = held_out + task.length - len(task.scored_times)
    return values * (1 / config.data.held_out - 1) < 5 * task.vocab_size


def _together(steps: list[Step]) -> dict[str, Any]:
    return {name: value for step in steps for name, value in step.changes.items()}


def _valid(config: RunConfig, steps: Iterator[Step]) -> Iterator[Step]:
    """Yield those of `steps` that change `config` and break none of its rules."""
    now = flat(config)
    for step in steps:
        changes = {name: value for name, value in step.changes.items() if value != now[name]}
        with contextlib.suppress(ConfigError):
            changed(config, **changes)
            if changes:
                yield step._replace(changes=changes)


def _from_zero(config: RunConfig) -> Step:
    """Return the change to a zero state for each batch, which is empty if no state is carried."""
    if not config.carries_state:
        return Step("", {})
    words = f"start each batch from a zero state{_cut(config)}"
    return Step(words, {"stateful": False, "bptt_batches": 1})


def _each_from_zero(config: RunConfig) -> Iterator[Step]:
    """Yield the change to a zero state if the carried state can harm; not for streams."""
    carried = target_place(config) == "window" and explanation.hands_on(config)
    if carried and not config.task.in_streams:
        yield _from_zero(config)


def _cut(config: RunConfig) -> str:
    return ", with the gradient through 1 batch" if config.training.bptt_batches > 1 else ""


def _reaching(config: RunConfig) -> Iterator[Step]:
    """Yield the changes that a run of `config` needs before more training can help.

    The changes bring the target to where the gradient reaches it, and undo settings that hinder
    learning.
    """
    if target_place(config) == "future":
        yield Step("ask for the value 1 step back", {"lag": 1})
        config = changed(config, lag=1)
    yield from _in_view(config)
    if config.training.frozen:
        yield Step("train the cell as well", {"frozen": False})
    if config.task.framing == "values":
        yield Step("predict classes", {"framing": "classes"})
    if config.training.learning_rate < USUAL_RATES[0]:
        yield Step("take larger steps", {"learning_rate": 0.001})


def _in_view(config: RunConfig) -> Iterator[Step]:
    """Yield the change, if any, that brings the target to where the gradient reaches it.

    The change puts the target into the window or the delay line, and drops the carried state. For a
    target that is in the window already, the change only drops the state.
    """
    task = config.task
    start, zero = _from_zero(config)
    if view := explanation.into_view(config):
        if view.get("window") == task.length and task.in_streams:
            start, zero = f"take whole sequences as one chunk{_cut(config)}", {"bptt_batches": 1}
        places = " and ".join(f"the {name.replace('_', ' ')}" for name in view)
        yield Step(f"put the target into {places}, {start}".removesuffix(", "), view | zero)
    elif task.lag > 1:
        yield from _each_from_zero(config)


def _longer(finished: "Finished") -> list[Step]:
    """Return a list with the change to more sequences, empty unless more training may help."""
    config = finished.config
    now = config.training.sequences
    falls = loss_falls(finished)
    enough = enough_sequences(config)
    few = now < enough and not _reached(finished.result)
    if now >= MOST_SEQUENCES or not (few or falls):
        return []
    why = "the loss still falls" if falls else f"{now:,} sequences may be too few"
    most = max(enough, min(3 * now, MOST_SEQUENCES))
    return [_train_longer(most, _usual(config) if now < enough else {}, f", as {why}")]


def _train_longer(sequences: int, rate: dict[str, Any], why: str = "") -> Step:
    """Return the change to `sequences` and to the learning rate in `rate`; `why` ends the words."""
    slower = " in smaller steps" if rate else ""
    return Step(f"train longer{slower}{why}", rate | {"sequences": sequences})


def _usual(config: RunConfig) -> dict[str, Any]:
    """Return the learning rate that `enough_sequences` assumes, as a field to set.

    The result is empty unless the rate of `config` is larger.
    """
    return {"learning_rate": 0.001} if config.training.learning_rate > USUAL_RATES[1] else {}


def _at_the_end(config: RunConfig, reached: bool) -> Iterator[Step]:
    """Yield a change that may help when more training does not.

    If `reached`, the training curve reached the goal: the layer is large enough, but smaller steps
    may keep what was learned.
    """
    if config.training.learning_rate > (0.001 if reached else USUAL_RATES[1]):
        yield Step("take smaller steps", {"learning_rate": 0.001})
    elif config.network.hidden_size < 50 and not reached:
        yield Step("use a larger layer", {"hidden_size": 50})
    else:
        yield from _each_from_zero(config)


def _foretells(config: RunConfig, result: "Result") -> bool:
    """Return True if the network beats a guess, and no simple predictor beats the network.

    The result is False if no simple predictor was scored.
    """
    best = max(explanation.simple_predictors(result).values(), default=math.inf)
    beats_guess = explanation.is_above(result.baseline_accuracy, config, result)
    return beats_guess and result.accuracy >= best


def _questions(config: RunConfig, made: bool) -> Iterator[Step]:
    task = config.task
    if config.seeds == 1 and made:
        yield Step("does it hold for other seeds?", {"seeds": 8})
    if task.lag < 0 and made:
        yield Step("can it predict a value one step further ahead?", {"lag": task.lag - 1})
    elif made:
        wide = {} if task.in_streams or task.window > task.lag + 1 else {"window": task.lag + 2}
        inside = f", in a window of {task.lag + 2}" if wide else ""
        words = f"can it echo a value one step further back{inside}?"
        yield Step(words, {"lag": task.lag + 1, **wide})
    yield Step("does another seed differ?", {"seed": 0 if config.seed else config.seeds})
