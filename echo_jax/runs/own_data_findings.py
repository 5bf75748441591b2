"""What a run on the user's own values has shown, in sentences. No jax here."""

from typing import TYPE_CHECKING

from msgspec import UNSET

from echo_jax.config import RunConfig
from echo_jax.exceptions import printable, shown
from echo_jax.runs.advice import MARGIN, independent_ceiling, simple_predictors

if TYPE_CHECKING:
    from echo_jax.runs.result import Result


def findings(result: "Result") -> list[str]:
    """Sentences on the training part and on values that are not in it, those that hold."""
    return [printable(sentence) for sentence in (gap(result), untrained(result)) if sentence]


def predictability(config: RunConfig, result: "Result") -> str:
    """Say that the values have an order, and if the network uses more of it than simple baselines.

    Only an interval over seeds that lies above them shows that it does.
    """
    others = simple_predictors(result)
    best = max([result.accuracy, *others.values()])
    start = (
        f"The values are predictable: {best:.2%} can be right, and of independent values "
        f"{independent_ceiling(config, result):.2%} would be the most."
    )
    if not others:
        return f"{start} The network uses order in them."
    interval = result.accuracy_interval
    low, high = (interval.low, interval.high) if interval else (result.accuracy, result.accuracy)
    named = {name: f"{name} ({share:.2%})" for name, share in others.items()}
    if better := [named[x] for x, share in others.items() if high is not None and share > high]:
        more = " and ".join(better)
        return f"{start} The network is right in {result.accuracy:.2%}, less than {more}."
    as_good = " and ".join(named[x] for x, share in others.items() if low is None or share >= low)
    if as_good:
        who = as_good[0].upper() + as_good[1:]
        return f"{start} {who} may do as well: the network is not shown to use more."
    both = " and ".join(named.values())
    if interval and interval.coverage > 0.9:
        return f"{start} The network uses more than {both}: its interval lies above them."
    return f"{start} It is above {both}; whether that holds for other seeds, {{seeds=8}} tells."


def order_learned(config: RunConfig, result: "Result") -> str:
    """Say that answers are right without following the value that is asked for, if that is so."""
    right = result.accuracy
    lag = config.task.lag
    guess = right <= result.baseline_accuracy + MARGIN
    if result.follows is UNSET or guess or result.follows >= right / 4:
        return ""
    back = f"the value {lag} step{'s' if lag > 1 else ''} back" if lag else "the current value"
    return (
        f"The order of the values was learned, not the echo: {right:.2%} of the held-out answers "
        f"are right, but where the values come in random order, the answer follows a change of "
        f"{back} in {result.follows:.1%}."
    )


def gap(result: "Result") -> str:
    """Say that the training part is answered better than the held-out part, if it is."""
    known = result.accuracy + (result.untrained.share if result.untrained else 0)
    if result.training_accuracy is UNSET or result.training_accuracy <= known + MARGIN:
        return ""
    return (
        f"The end of the training part is answered better than the held-out part, "
        f"{result.training_accuracy:.2%} against {result.accuracy:.2%}: the network fits the "
        "values that it was trained on, or the values change towards their end."
    )


def untrained(result: "Result") -> str:
    """Say that values occur only in the held-out part, if any do."""
    found = result.untrained
    if not found:
        return ""
    examples = ", ".join(map(shown, found.examples))
    more = " and others" if found.values > len(found.examples) else ""
    return (
        f"Values that only the held-out part has: {found.values} ({examples}{more}), "
        f"{found.share:.2%} of its targets. No network was trained on them, and no ceiling counts "
        "them."
    )
