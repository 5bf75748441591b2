"""Define the result of a probe: bits by lag with their interval, as table, figure and text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echo_jax.report.charts import NotebookFigure, lines_figure
from echo_jax.report.number_formats import decimals, number
from echo_jax.report.section import Section
from echo_jax.report.text_tables import Table
from echo_jax.statistics import Interval, Summary

TOLD = 0.05
"""The bits from which a sentence says that the states tell something about a token."""

ENOUGH = 4
"""The number of examples for each weight of a head that is enough.

With twice as many examples, heads find less than 3% more bits. This was measured on 100 numbers of
a state, with 16 and with 100 different tokens.
"""


@dataclass(frozen=True, repr=False, eq=False, kw_only=True)
class ProbeResult(Section):
    """The bits that states tell about the token n steps before the last one, for lags n = 1 .. N.

    by_lag  arrays float64 `[N]`, in bits:
              bits       what the states tell beyond the `given` last tokens; never below 0
              low, high  an interval of 95% for the mean over streams, which may be below 0
              left       what is left to be known: the cross-entropy of an answer by the given
                         tokens alone
              entropy    the entropy of the token, from how frequent the tokens are
              untrained  the bits of the network before training; absent without its states
    given   how many last tokens are given
    total   the sum of the bits over all lags; None if tokens predict one another
    total_interval  an interval of 95% for the mean of the total over streams; None without a total.
                    Lags with 0 bits are left out
    """

    by_lag: dict[str, np.ndarray]
    given: int
    total: float | None
    total_interval: Interval | None


def result_of(
    found: Sequence[np.ndarray],
    left: np.ndarray,
    entropy: np.ndarray,
    given: int,
    *,
    independent: bool,
    per_weight: float,
) -> ProbeResult:
    """Return the result of a probe, with its sentences, table and figure.

    Args:
      found: arrays of the bits of each stream and lag, `[S, N]`: one for the states, and perhaps
        one for the untrained states.
      left: the bits that the given tokens leave to be known at each lag, `[N]`.
      entropy: the entropy of the token at each lag, `[N]`, in bits.
      given: how many last tokens are given.
      independent: whether tokens tell nothing about one another.
      per_weight: the number of examples to which each weight of a head was fitted.
    """
    # 0 is the least after the mean over streams; before it noise would become bits.
    bits, *others = (np.maximum(of.mean(axis=0), 0) for of in found)
    low, high = interval_of(found[0])
    by_lag = {"bits": bits, "low": low, "high": high, "left": left, "entropy": entropy}
    by_lag |= dict(zip(["untrained"], others, strict=False))
    # The total leaves out lags below 0, so its interval does too.
    told = bits > 0 if bits.any() else slice(None)
    summed = interval_of(found[0][:, told].sum(axis=1))
    total = Interval(float(summed[0]), float(summed[1]), 0.95) if independent else None
    answer = [_whole(by_lag, total) if total else _by_lag(by_lag, given)]
    if others:
        answer.append(_compared(by_lag))
    return ProbeResult(
        "probe",
        "What do the states tell about earlier tokens?",
        answer,
        lambda: _figure(by_lag),
        alt="Bits about a token by the steps since it was read.",
        tables=[_table(by_lag)],
        tidy={"": lambda: [dict(zip(["lag", *by_lag], x, strict=True)) for x in _lines(by_lag)]},
        notes=_notes(len(found[0]), independent, per_weight),
        by_lag=by_lag,
        given=given,
        total=float(bits.sum()) if independent else None,
        total_interval=total,
    )


def interval_of(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of Student's 95% interval for the mean of `values` over the first axis."""
    from scipy.stats import t

    streams = len(values)
    # Over 6 normal values, the fewest streams, Student's interval covers 95%, and a percentile
    # bootstrap 86% (simulated, 2,000 times).
    half = t.ppf(0.975, streams - 1) * values.std(axis=0, ddof=1) / math.sqrt(streams)
    return values.mean(axis=0) - half, values.mean(axis=0) + half


def _whole(by_lag: dict[str, np.ndarray], total: Interval) -> str:
    """Return a sentence with the sum of the bits in `by_lag`, and its interval `total`."""
    sums = (by_lag["bits"].sum(), total.low, total.high, by_lag["left"].sum())
    bits, low, high, left = (f"{round(x, 1) + 0.0:.1f}" for x in sums)
    told = (
        f"The states tell {bits} of {left} bits ({low} to {high}) about the {len(by_lag['bits'])} "
        "tokens before the last one"
    )
    before = f", {by_lag['untrained'].sum():.1f} before training" if "untrained" in by_lag else ""
    return f"{told}{before}."


def _by_lag(by_lag: dict[str, np.ndarray], given: int) -> str:
    """Return a sentence with some bits in `by_lag`, beyond what the `given` last tokens tell."""
    bits = by_lag["bits"]
    last = "token tells" if given == 1 else f"{given} tokens tell"
    known = f"the last {last}" if given else "the frequencies of the tokens tell"
    told = np.flatnonzero(bits >= TOLD)
    if not len(told):
        return f"Beyond what {known}, the states tell less than {TOLD} bits about any token."
    shown = [lag for lag in (1, 2, 4, 8, 16, 32) if lag <= told[-1] + 1] or [told[-1] + 1]
    each = ", ".join(f"{decimals(bits[lag - 1])} at lag {lag}" for lag in shown)
    return (
        f"Beyond what {known}, the states tell these bits about earlier tokens: {each}; they tell "
        f"{TOLD} or more up to lag {told[-1] + 1}."
    )


def _compared(by_lag: dict[str, np.ndarray]) -> str:
    """Return a sentence that counts the lags at which training adds bits, and takes bits away.

    `by_lag` has the bits before and after training.
    """
    untrained = by_lag["untrained"]
    more = np.sum(by_lag["low"] > untrained)
    less = np.sum(by_lag["high"].clip(0) < untrained)
    return (
        f"Training makes the states tell more at {more} of {len(untrained)} lags (low is above "
        f"untrained), and less at {less} (high is below untrained)."
    )


def _table(by_lag: dict[str, np.ndarray]) -> Table:
    headings = ["lag", *("to be known" if name == "left" else name for name in by_lag)]
    rows = [[number(lag), *map(decimals, values)] for lag, *values in _lines(by_lag)]
    return Table("Bits about the token, by lag", headings, rows)


def _lines(by_lag: dict[str, np.ndarray]) -> list[tuple[float, ...]]:
    """Return a tuple for each lag: the lag, then its value in each array of `by_lag`."""
    columns = [values.tolist() for values in by_lag.values()]
    return [*zip(range(1, len(columns[0]) + 1), *columns, strict=True)]


def _notes(streams: int, independent: bool, per_weight: float) -> list[str]:
    notes = [
        "The bits are a lower bound, as the heads are linear. The 95% interval is for the mean "
        f"over streams like the {number(streams)} that are scored; it does not include variation "
        "by the fit of the heads or by the training of the network."
    ]
    if per_weight < ENOUGH:
        notes.append(
            f"The heads were fitted to {per_weight:.1f} examples for each weight of a head; with "
            f"fewer than {ENOUGH}, heads leave more than 3% of the bits in the state."
        )
    if not independent:
        notes.append("These tokens predict one another, so do not add the bits of different lags.")
    return notes


def _figure(by_lag: dict[str, np.ndarray]) -> NotebookFigure:
    bounds = zip(by_lag["bits"], by_lag["low"].clip(0), by_lag["high"], strict=True)
    lines = {"the states": [Summary(x, Interval(low, high, 0.95)) for x, low, high in bounds]}
    named = {"untrained": "before training", "left": "to be known"}
    lines |= {named[x]: [Summary(y, None) for y in by_lag[x]] for x in named if x in by_lag}
    points = {name: list(enumerate(summaries, 1)) for name, summaries in lines.items()}
    return lines_figure(points, ["steps back", "bits about that token"], None, percent=False)
