"""Explain why a configuration can, or cannot, learn its task, and what a result shows.

No jax here, so `show` starts at once.
"""

import contextlib
import math
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from echo_jax.config import RunConfig
from echo_jax.echo.target_place import batches_back, knowable_share, target_place
from echo_jax.exceptions import Spelling, printable, shown, spell

if TYPE_CHECKING:
    from echo_jax.echo.run.result import Result


MARGIN = 0.05
"""Two accuracies on own values within this margin may be equal, as few values are held out."""

ECHOES = 0.9
"""A learned echo follows at least this share of the changes of its target."""

LITTLE = 0.1
"""Less than this share of the way from a guess to the ceiling is little."""

APART = 0.15
"""Accuracies of early and late rows that are further apart than this are pointed out."""

THERE = "The target, {value}, is in the window of {window}"
NOWHERE = "{value} is neither in the window of {window} nor in the state"
CHANCE = "{best} is the best possible: {why}. No amount of training helps; use {fix}.{also}"
CARRIED = " The state carried over from {earlier} is not needed for this and can do harm."
SENTENCES = {
    "window": f"{THERE}: the gradient reaches it.{{carried}}",
    "chunk": f"{THERE} for the later steps of each chunk, where the gradient reaches it.",
    "replayed": "The target, {value}, is not in the window of {window} but in {batch}. Each "
    "update goes back through {again} batches, so the gradient reaches it{partly}.",
    "state": "The target, {value}, is not in the window of {window}, only in the state left by "
    "{batch}, and the gradient is cut {cut}: a trained readout can read what the state holds, but "
    "no training rewards storing the value. Use {fix} to have the value in the window, or "
    "{{bptt_batches={enough}}} to let the gradient reach {batch}.",
    "delay line": "The target, {value}, is not in the window of {window}, but the delay line of "
    "{line} holds it.",
    "frozen": "The target, {value}, is in {where}. Only the readout is trained: it can read what "
    "the untrained cell keeps.",
    "future": "The target lies {ahead} ahead and has not been drawn yet, so no model can do better "
    "than chance.",
    "future value": "The target lies {ahead} ahead. If the values are independent of each other, "
    "no model can do better than the majority baseline; a better score comes from order in them.",
}
"""Sentences on where the target is, and what follows, by the place of the target."""

WHY_CHANCE = {
    "skipped": f"{NOWHERE}. With batches of {{rows}}, a row continues the state of {{earlier}}, "
    "which was never fed this value",
    "early": f"{NOWHERE}. The first row ends at time {{first}}, and the state never saw what came "
    "before its window",
    "zeroed": "{value} is not in the window of {window}, and every batch starts from a zero state",
    "delayed": "the cell mlp sees only {fed}, not {value}",
}
"""Reasons why the network cannot find its target anywhere, by the place of the target."""

RIGHT = "{accuracy:.2%} of the answers are right"
GUESSED = f"{RIGHT}; {{guessed}} reaches {{guess:.2%}}."
LEARNED = f"The echo was learned: {RIGHT}; the expected ceiling is {{ceiling:.2%}}."
KEPT = " The state keeps the value, though no training rewards that: many cells lose it later."
IN_PART = LEARNED.replace("learned", "learned in part")
LITTLE_LEARNED = (
    f"Little of the echo was learned: {RIGHT}. For comparison, {{guessed}} reaches {{guess:.2%}}, "
    "and the expected ceiling is {ceiling:.2%}."
)
SEEMS_LEARNED = (
    "The echo was learned only in part, although {accuracy:.2%} of the answers are right and the "
    "expected ceiling is {ceiling:.2%}: guesses and the order of the values give right answers too."
)
NOT_LEARNED = f"The echo was not learned: {GUESSED}"
UNTOLD = f"These {{count:,}} answers do not show whether any of the echo was learned: {GUESSED}"
UNTRAINED = "No answer can be right: the network was trained on none of the values asked for."
ORDER_LEARNED = (
    "The order of the values was learned, not the echo: {accuracy:.2%} of the held-out answers are "
    "right, but where the values come in random order, only {follows:.1%} of the answers follow a "
    "change of {value}."
)
GUESSES = "a guess", "a guess from the values of the window without their order"
"""The guess that reaches the baseline, and the guess that reaches the order-blind baseline."""
EXCEEDS = "The accuracy exceeds the ceiling only by chance, as the ceiling is an expected value."
BY_ROW = (
    " The accuracy by row shows why: {early:.1%} of the answers are right in {rows}, before which "
    "the state is zero, but {late:.1%} in the later rows, which continue the state of an earlier "
    "row. So the carried state does harm."
)
DRIFT = " If the numbers drift, the differences of consecutive numbers may be easier to learn."
FOLLOWS = (
    " Where values of the training part come in random order, {follows:.1%} of the answers follow "
    "a change of {value}, so about this share of such answers is an echo."
)
ORDER = (
    " In the order of the file, lucky guesses at the other answers make {lucky:.1%} of all answers "
    "right, and the order itself makes {order:.1%} right."
)


def explain(config: RunConfig, result: "Result | None" = None, spelling: Spelling = "flag") -> str:
    """Return text on where the target is, whether the gradient reaches it, and what was learned.

    `result` is None before a run. With a result on own values, the `findings` follow.
    `spelling` says how options are written in the text.
    """
    lines = [" ".join(spell(sentence, spelling) for sentence in sentences(config, result))]
    if result and config.data.file is not None:
        lines += findings(config, result)
    return "\n".join(lines)


def sentences(config: RunConfig, result: "Result | None") -> list[str]:
    """Return sentences on where the target is and, if it can be found, on what was learned.

    What was learned follows from `result`, which is None before a run. If the result shows that own
    values are predictable, there are only the sentences of `predictability`.
    """
    if result and is_predictable(config, result):
        return [predictability(config, result)]
    exceeds = [EXCEEDS] if result and _exceeds_ceiling(result) else []
    words = _words(config)
    place = "delay line" if in_delay_line(config) else str(target_place(config))
    task = config.task
    if place in WHY_CHANCE:
        return [CHANCE.format(why=WHY_CHANCE[place].format(**words), **words), *exceeds]
    if place == "future":
        own = " value" if config.data.file is not None else ""
        return [SENTENCES[place + own].format(**words), *exceeds]
    if config.training.frozen:
        place = "frozen"
    elif place == "window" and task.in_streams and task.lag and task.window < task.length:
        place = "chunk"
    where = SENTENCES[place].format(**words)
    if result and learned(config, result):
        where = where.partition(" Use ")[0]  # which is not needed
    return [where, outcome(config, result), *exceeds] if result else [where]


def _exceeds_ceiling(result: "Result") -> bool:
    """Return True if the accuracy is above a known ceiling by more than rounding."""
    most = result.ceiling_accuracy
    return most is not UNSET and result.accuracy > most + 5e-5


def outcome(config: RunConfig, result: "Result") -> str:
    """Return sentences on how much of the ceiling was learned, for a network fed its target."""
    most = ceiling(config, result)
    if not most:
        return UNTRAINED
    follows = 1.0 if result.follows is UNSET else result.follows
    guess = max(result.baseline_accuracy, result.order_blind_accuracy)
    # An answer that ignores the order is the changed value as often as such a guess is right, 1/W
    # of the time where all values of a window of W differ. The control has 200 sequences.
    blind = guess + 3 * standard_error(guess, 200)
    echoes = result.follows is not UNSET and follows >= min(max(blind, 0.25), ECHOES)
    if guess >= most - 1e-9:  # the order is not needed
        guess = result.baseline_accuracy
    words = _words(config) | {
        "accuracy": result.accuracy,
        "ceiling": most,
        "count": answers(config, result),
        "follows": follows,
        "guess": guess,  # baselines that are equal may differ by rounding
        "guessed": GUESSES[guess > result.baseline_accuracy + 1e-9],
    }
    also = _shares(follows, config, result, words) if follows < ECHOES else ""
    above = is_above(guess, config, result) or echoes
    if above and follows < result.accuracy / 4:
        return ORDER_LEARNED.format(**words)
    if not above and (result.accuracy > guess + MARGIN or guess >= 0.99 * most):
        return UNTOLD.format(**words)
    if learned(config, result):
        trained = not (config.training.frozen or config.values_in_line)
        kept = KEPT if trained and target_place(config) == "state" else ""
        return LEARNED.format(**words) + kept
    if above:
        said = _in_part(guess, config, result).format(**words) + also
    else:
        said = NOT_LEARNED.format(**words)
    return said + _by_row(config, result)


def _in_part(guess: float, config: RunConfig, result: "Result") -> str:
    """Return the sentence, to be filled in, on a network that learned some of the echo.

    An echo is little if less than the share LITTLE of the answers echoes (`follows`). If that was
    not measured, the accuracy must have come this share of the way from `guess` to the ceiling.
    """
    if made_it(config, result):
        return SEEMS_LEARNED
    share = result.follows
    if share is UNSET:
        share = (result.accuracy - guess) / (ceiling(config, result) - guess)
    return LITTLE_LEARNED if share < LITTLE else IN_PART


def _by_row(config: RunConfig, result: "Result") -> str:
    """Return sentences if the first batch is answered far better than later ones, or "".

    Only windows are compared that have their target in view, so that the rows of a sequence differ
    in the state alone. The difference must exceed APART and five standard errors.
    """
    task = config.task
    by_row = [share for share in result.accuracy_by_position if share is not None]
    batch = task.batch_size
    alike = task.layout == "windows" and target_place(config) == "window"
    if not (alike and config.carries_state and len(by_row) > batch):
        return ""
    early = sum(by_row[:batch]) / batch
    late = sum(by_row[batch:]) / (len(by_row) - batch)
    error = standard_error(0.5, max(answers(config, result) * batch // len(by_row), 1))
    if early - late <= max(APART, 5 * error):
        return ""
    rows = "row 0" if batch == 1 else f"rows 0 to {batch - 1}"
    return BY_ROW.format(early=early, late=late, rows=rows)


def _shares(follows: float, config: RunConfig, result: "Result", words: dict[str, object]) -> str:
    """Return sentences on the share of answers that echo, and on what the file's order adds.

    If a share f = `follows` of the answers echoes, these answers are right. Guesses about the other
    answers add (1 - f) times the majority share. Right answers beyond both come from the order.
    `words` fill in the sentences.
    """
    echo = FOLLOWS.format(**words)
    lucky = (1 - follows) * result.baseline_accuracy
    order = result.accuracy - follows - lucky
    if order <= noise(follows + lucky, config, result):
        return echo
    return echo + ORDER.format(order=order, lucky=lucky)


def is_above(share: float, config: RunConfig, result: "Result") -> bool:
    """Return True if the accuracy is above `share` by more than its `noise`."""
    return result.accuracy > share + noise(share, config, result)


def _words(config: RunConfig) -> dict[str, object]:
    task = config.task
    line = config.network.delay_line or task.window
    lag = abs(task.lag)
    steps = "1 step" if lag == 1 else f"{lag} steps"
    own = config.data.file is not None
    order = " This holds for independent values: order in the column may help."
    words = _earlier_batches(config)
    carries = config.carries_state
    read = hands_on(config) and (carries or line > task.window)
    changes = into_view(config)
    if carries and not task.in_streams:
        changes["stateful"] = False
    return words | {
        "value": f"the value {steps} back" if lag else "the current value",
        "ahead": steps,
        "window": task.window,
        "where": "the state" if batches_back(config) else f"the window of {task.window}",
        "line": line,
        "rows": task.batch_size,
        "first": task.row_times.start,
        "fed": "the current value" if line == 1 else f"the last {line} values that it was fed",
        "carried": CARRIED.format(**words) if read else "",
        "fix": " with ".join(f"{{{name}={value}}}" for name, value in changes.items()),
        "best": "The majority baseline" if own else "Chance",
        "also": order if own else "",
    }


def _earlier_batches(config: RunConfig) -> dict[str, object]:
    """Return, by name, the parts of sentences on a target that only an earlier batch was fed."""
    task = config.task
    again = config.training.bptt_batches
    back = farthest = batches_back(config)
    earlier = "the row before" if task.batch_size == 1 else f"{task.batch_size} rows before"
    if task.in_streams:
        farthest = min(-(-task.lag // task.window), task.updates_per_sequence - 1)
        earlier = "the chunk before"
    unit = "chunk" if task.in_streams else "batch"
    places = f"{back} or {farthest}" if farthest > back else f"{back}"
    return {
        "earlier": earlier,
        "batch": f"the {unit} {places} back".replace(" 1 back", " before"),
        "again": again,
        "partly": " for the later steps of a chunk" if again <= farthest else "",
        "enough": farthest + 1,
        "cut": "at the border between batches" if again == 1 else f"after {again} batches",
    }


def findings(config: RunConfig, result: "Result") -> list[str]:
    """Return a list with the texts of `gap` and of `untrained`, without empty ones."""
    return [printable(said) for said in (gap(config, result), untrained(result)) if said]


def predictability(config: RunConfig, result: "Result") -> str:
    """Return sentences on values that are predictable, with the scores that show this."""
    shares = {"the network": result.accuracy} | simple_predictors(result)
    count = answers(config, result)
    best = max(shares.values())
    error = standard_error((count * best + 1) / (count + 2), count)  # of 100% it is not 0
    named = ", ".join(f"{name} {share:.2%}" for name, share in shares.items())
    seeds = " The interval over seeds leaves this uncertainty out." if config.seeds > 1 else ""
    return (
        f"The values are predictable. These shares of the held-out answers are right: {named}. If "
        "the values did not depend on each other, no predictor could expect more than "
        f"{independent_ceiling(config, result):.2%}. The held-out part gives only {count:,} "
        f"answers, so the best share is uncertain by about {200 * error:.1f} points, which are two "
        f"standard errors.{seeds}"
    )


def gap(config: RunConfig, result: "Result") -> str:
    """Return a sentence if the training part is answered better than the held-out part, or ""."""
    if not fits_training_only(config, result):
        return ""
    return (
        "The network answers the end of the training part better than the held-out part, with "
        f"{result.training_accuracy:.2%} against {result.accuracy:.2%} right: it fits the values "
        "that it was trained on, or the values change towards the end."
    )


def untrained(result: "Result") -> str:
    """Return sentences on the values that occur only in the held-out part; "" if none do."""
    found = result.untrained
    if not found:
        return ""
    examples = ", ".join(map(shown, found.examples))
    more = " and others" if found.values > len(found.examples) else ""
    values = "1 value" if found.values == 1 else f"{found.values} values"
    share = f"{found.share:.2%} of the held-out targets"
    return (
        f"The training part lacks {values} of the held-out part ({examples}{more}), to which "
        f"{share} belong. No network was trained on such targets, and the ceiling leaves them out."
        f"{DRIFT if _are_numbers(found.examples) else ''}"
    )


def _are_numbers(words: list[str]) -> bool:
    with contextlib.suppress(ValueError):
        return bool([float(word) for word in words])
    return False


def independent_ceiling(config: RunConfig, result: "Result") -> float:
    """Return the ceiling for values that are independent of each other.

    Targets that were fed are answered right, and other answers are guesses at the baseline.
    """
    fed = knowable_share(config)
    return fed + (1 - fed) * result.baseline_accuracy


def simple_predictors(result: "Result") -> dict[str, float]:
    """Return, by name, the accuracy of simple predictors: persistence and a k-gram.

    The result is empty if neither was scored, as for a network that is fed its target.
    """
    if result.persistence_accuracy is UNSET or result.k_gram_accuracy is UNSET:
        return {}
    gram = f"a {result.k_gram}-gram"
    return {"persistence": result.persistence_accuracy, gram: result.k_gram_accuracy}


def is_predictable(config: RunConfig, result: "Result") -> bool:
    """Return True if the network or a simple predictor beats the ceiling of independent values.

    The best accuracy must be above the `independent_ceiling` by more than its `noise`. The result
    is False for random integers.
    """
    if config.data.file is None:
        return False
    best = max(result.accuracy, *simple_predictors(result).values(), 0.0)
    most = independent_ceiling(config, result)
    return best > most + noise(most, config, result)


def answers(config: RunConfig, result: "Result") -> int:
    """Return how many answers the accuracy of one seed averages.

    For own values, the count is at most the number of held-out targets, as sequences overlap.
    """
    task = config.task
    streams = task.batch_size if task.in_streams else 1
    count = config.evaluation_sequences * len(task.scored_times) * streams
    return count if result.held_out_targets is UNSET else min(count, result.held_out_targets)


def standard_error(share: float, count: int) -> float:
    """Return the standard error of `share`, a share of `count` independent answers."""
    return math.sqrt(share * (1 - share) / count)


def noise(share: float, config: RunConfig, result: "Result") -> float:
    """Return how far an accuracy may lie from `share` by chance: five standard errors.

    For own values, of which few are held out, the result is three standard errors, but at least
    MARGIN.
    """
    error = standard_error(min(share, 1.0), answers(config, result))
    return 5 * error if config.data.file is None else max(3 * error, MARGIN)


def fits_training_only(config: RunConfig, result: "Result") -> bool:
    """Return True if the training part is answered better than the held-out part.

    The difference must exceed the `noise`. Held-out targets whose value was never trained on count
    as answered right.
    """
    known = result.accuracy + (result.untrained.share if result.untrained else 0)
    training = result.training_accuracy
    return training is not UNSET and training > known + noise(known, config, result)


def ceiling(config: RunConfig, result: "Result") -> float:
    """Return the ceiling of `result`, or the `independent_ceiling` if own values have none."""
    if result.ceiling_accuracy is UNSET:
        return independent_ceiling(config, result)
    return result.ceiling_accuracy


def made_it(config: RunConfig, result: "Result") -> bool:
    """Return True if the accuracy is at least 99% of the ceiling, and anything can be known."""
    most = ceiling(config, result)
    return bool(most and knowable_share(config)) and result.accuracy >= 0.99 * most


def learned(config: RunConfig, result: "Result") -> bool:
    """Return True if the run of `config` learned its target.

    The accuracy in `result` must be near the ceiling (`made_it`). At least the share ECHOES of the
    answers must follow a change of their target (`result.follows`), where this was measured.
    """
    follows = result.follows
    return made_it(config, result) and (follows is UNSET or follows >= ECHOES)


def into_view(config: RunConfig) -> dict[str, Any]:
    """Return changed fields, if any, that bring the target into the window and delay line.

    In streams, the whole sequence becomes one chunk, as the first steps of a chunk find their
    target in the chunk before: a zero state hides that target, and a cut gradient does not reach
    it. The chunks are kept if the network is stateful and the lag is at most half the window, or
    the cell is mlp.
    """
    task = config.task
    line = config.network.delay_line
    cut = 2 * task.lag > task.window and not config.values_in_line
    whole = task.in_streams and task.lag > 0 and (cut or not config.network.stateful)
    if not whole and (in_delay_line(config) or target_place(config) in ("window", "replayed")):
        return {}
    wide = {"window": task.length if whole else task.lag + 1}
    longer = {"delay_line": task.lag + 1} if line is not None and line <= task.lag else {}
    return longer | (wide if wide["window"] > task.window else {})


def in_delay_line(config: RunConfig) -> bool:
    """Return True if the target is not in the window, but the delay line of the mlp holds it."""
    return bool(config.values_in_line) and target_place(config) in ("state", "replayed")


def hands_on(config: RunConfig) -> bool:
    """Return True if any batch of a sequence starts from the state of an earlier batch."""
    return config.network.stateful and config.task.updates_per_sequence > 1
