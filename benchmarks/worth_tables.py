"""What the rows of docs/worth say: do the bits of a card order cells on other tasks?

    python benchmarks/worth_tables.py    # a minute; writes docs/worth/README.md and its figures

rows, cards  ─►  what is `Known` of each cell  ─►  correlations over some of them  ─►  tables
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from worth import (
    AGAIN,
    ARMS,
    FAMILIES,
    MATRIX,
    PROBED,
    QUESTIONS,
    ROWS,
    SEEDS,
    TASKS,
    best_rates,
    cells_of,
    published,
    read,
    short_name,
)

from echo_jax import statistics
from echo_jax.report import styles
from echo_jax.report.number_formats import three_digits

TABLES = ROWS.with_name("README.md")


GROUPS: dict[str, Callable[[str], bool]] = {
    "trained": str.islower,  # anchors have names of classes
    "vector": lambda name: name.islower() and name not in MATRIX,
    "matrix": lambda name: name.islower() and name in MATRIX,
    "matrix, not trained too": MATRIX.__contains__,
}

LARGER = "rwkv7"
"""Has more than 100 numbers of state in the second arm."""

DRAWN = 4000
"""Draws of a bootstrap."""

Known = Mapping[str, Sequence[float]]
"""Of a cell: by tasks, by_lag and by_key the bits of its seeds, and others, which have one number.

parameters  trained numbers of the cell and its block in the first arm
early       bits by lag after the short runs of the pilot, at its best rate
held        mean bits at lags 4 to 16 that a probe finds in the network of seed 1 on the text
"""


@functools.cache
def cells(arm: str = ARMS[0]) -> dict[str, Known]:
    """Measures of each cell of an arm, by its name; a task is there where all seeds have rows."""
    rates, rows = best_rates(read()), [row for row in read() if row.arm == arm]
    again = [row for row in rows if row.task == AGAIN[0] and row.seed in AGAIN[1]]
    rows = [row for row in rows if row.seed in SEEDS]
    found = dict[str, Known]()
    for card in published():
        own = [x for x in rows if (x.cell, x.rate) == (card.name, rates.get((x.task, x.cell)))]
        known: dict[str, Sequence[float]] = {"parameters": [card.parameters]}
        for name in (*TASKS, *QUESTIONS):
            of_task = [row for row in own if row.task == name]
            apart = PROBED if name == "text" else None
            if len(of_task) == len(SEEDS):
                known[name] = [row.bits for row in of_task if row.seed != apart]
        known["held"] = [float(np.mean(row.held[3:])) for row in own if row.held]
        pilot = [x.mean for x in card.pilot if x.configuration.question == "by lag"]
        known["early"] = [max(pilot)] if pilot else []
        if arm == ARMS[0]:
            measures = {"by_lag": card.bits_by_lag, "by_key": card.bits_by_key}
            known |= {name: of.by_seed for name, of in measures.items() if of}
        more = [row.bits for row in again if row.cell == card.name]
        known["ten more seeds"] = more if len(more) == len(AGAIN[1]) else []
        found[short_name(card.name)] = known
    return found


def sample(group: str, names: Sequence[str], arm: str = ARMS[0]) -> dict[str, Known]:
    """The cells of a group of which all names are known; in the second arm those of one size."""
    return {
        cell: known
        for cell, known in cells(arm).items()
        if GROUPS[group](cell) and all(map(known.get, names)) and (arm, cell) != (ARMS[1], LARGER)
    }


def means(sampled: Mapping[str, Known], names: Sequence[str]) -> np.ndarray:
    """The means of the named measures of each cell, `[names, cells]`."""
    return np.array([[np.mean(known[name]) for known in sampled.values()] for name in names])


def residuals(values: np.ndarray, given: Sequence[np.ndarray]) -> np.ndarray:
    """The ranks of values `[..., cells]` less what the ranks of others tell of them linearly."""
    ranks = rankdata(values, axis=-1)
    known = np.stack([np.ones(ranks.shape[-1]), *map(rankdata, given)], axis=1)
    left = ranks - ranks @ known @ np.linalg.pinv(known)
    return np.where(np.abs(left) < 1e-9, 0, left)  # no correlation of what rounding left


def correlation(x: np.ndarray, y: np.ndarray, *given: np.ndarray) -> Any:
    """Spearman's rank correlation of x with each y `[..., cells]`; partial where more is given."""
    left, right = residuals(x, given), residuals(y, given)
    return right @ left / np.linalg.norm(left) / np.linalg.norm(right, axis=-1)


def p_value(x: np.ndarray, y: np.ndarray, *given: np.ndarray) -> float:
    """Two-sided: the share of the orders of y with as large a correlation.

    All orders of up to 8 cells, else 100,000 drawn with a fixed seed and the one observed. Of a
    partial correlation what is given is taken off anew after each: without that, p is too small.
    """
    if len(y) <= 8:
        orders = np.array([*itertools.permutations(range(len(y)))])
    else:
        drawn = np.random.default_rng(0).random((100_000, len(y))).argsort(axis=1)
        orders = np.concatenate([np.arange(len(y))[None], drawn])
    found = np.abs(correlation(x, y[orders], *given))
    return float(np.mean(found >= found[0] - 1e-9))


def over_seeds(sampled: Mapping[str, Known], names: Sequence[str]) -> str:
    """The bounds of 95% of the correlations, seeds of cards and of the task drawn anew."""
    random, found = np.random.default_rng(0), []
    whole = [[known[name] for known in sampled.values()] for name in names]
    for _ in range(DRAWN):
        drawn = [[random.choice(x, len(x)).mean() for x in seeds] for seeds in whole]
        found.append(correlation(*map(np.array, drawn)))
    return shown(bounds(found))


def over_families(sampled: Mapping[str, Known], names: Sequence[str]) -> list[float]:
    """The bounds of 95% of the correlations, families drawn anew; cells where two have all."""
    known = means(sampled, names)
    families = [np.flatnonzero(np.isin([*sampled], some)) for some in FAMILIES]
    families = [some for some in families if some.size]
    if len(families) < 3:
        families = [np.array([i]) for i in range(len(sampled))]
    random, found = np.random.default_rng(0), []
    for drawn in random.integers(len(families), size=(DRAWN, len(families))):
        if len(set(drawn)) > 2:
            some = np.concatenate([families[i] for i in drawn])
            with np.errstate(invalid="ignore", divide="ignore"):  # cells alike in what is given
                found.append(correlation(*known[:, some]))
    return bounds(found)


def bounds(found: Sequence[float]) -> list[float]:
    """The middle 95%."""
    return np.nanquantile(found, (0.025, 0.975)).tolist()


def shown(interval: Sequence[float]) -> str:
    """An interval in words."""
    return "{:.2f} to {:.2f}".format(*interval)


class Hypothesis(NamedTuple):
    """A primary hypothesis: a group of cells, and what orders them on a task.

    names  the predictor, the task and, where it is a partial correlation, what is given
    """

    title: str
    group: str
    names: Sequence[str]


HYPOTHESES = (
    Hypothesis("1. digits, by lag", "vector", ("by_lag", "digits", "parameters")),
    Hypothesis("2. in context, by key", "matrix, not trained too", ("by_key", "in_context")),
    Hypothesis("3. noisy recall, by key", "matrix, not trained too", ("by_key", "noisy_recall")),
    Hypothesis("4. text, held", "trained", ("held", "text", "parameters")),
)
OTHER_SEEDS = HYPOTHESES[2]._replace(names=("by_key", "ten more seeds"))


def verdict(estimate: float, adjusted: float, interval: Sequence[float]) -> str:
    """The word for a correlation, its adjusted p-value and its interval."""
    low, high = interval
    if estimate > 0 and adjusted < 0.05:
        return "supported"
    if high < 0:
        return "refuted"
    return "no relation" if -0.3 < low <= 0 <= high < 0.3 else "undecided"


def reliability(bits: Sequence[Sequence[float]]) -> float:
    """The share of the variance of the means of cells that is not of seeds; bits `[cells, k]`."""
    of_seeds = np.var(bits, axis=1, ddof=1).mean() / np.shape(bits)[1]
    return float(1 - of_seeds / np.mean(bits, axis=1).var(ddof=1))


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], ends: str = "") -> str:
    """A table, whose first column is of words; `ends` are the rules of last ones."""
    numbers = len(headings) - 1 - ends.count("|")
    written = [f"| {' | '.join(row).rstrip()} |" for row in (headings, *rows)]
    return "\n".join([written[0], "|---|" + "---:|" * numbers + ends, *written[1:]])


def primary(arm: str, hypotheses: Sequence[Hypothesis]) -> str:
    """The table of hypotheses; those that have no rows yet are left out."""
    if arm == ARMS[1]:  # at equal parameters nothing is given
        hypotheses = [of._replace(names=of.names[:2]) for of in hypotheses]
    tested = [(of, sample(of.group, of.names, arm)) for of in hypotheses]
    tested = [(of, sampled) for of, sampled in tested if sampled]
    known = [means(sampled, of.names) for of, sampled in tested]
    p_values, rows = [p_value(*x) for x in known], []
    adjusted = statistics.holm(p_values)
    for i, (of, sampled) in enumerate(tested):
        estimate, interval = correlation(*known[i]), over_families(sampled, of.names)
        numbers = [f"{estimate:.2f}", over_seeds(sampled, of.names), shown(interval)]
        numbers += [f"{p_values[i]:.2g}", f"{adjusted[i]:.2g}"]
        bits = reliability([known[of.names[1]] for known in sampled.values()])
        title = of.title + ", given parameters" * ("parameters" in of.names)
        word = verdict(estimate, adjusted[i], interval)
        rows.append([title, str(len(sampled)), *numbers, f"{bits:.2f}", word])
    headings = ["hypothesis", "cells", "correlation", "over seeds", "over families", "p"]
    return markdown([*headings, "adjusted", "reliability", ""], rows, "---|")


COLUMNS = {
    "trained": ("by_lag", "by_key", "parameters"),
    "vector": ("by_lag", "by_key", "early", "parameters"),
    "matrix": ("by_lag", "by_key"),
}
"""The groups and predictors of the table of correlations."""


def correlations() -> str:
    """The table of each task and the correlations with a predictor in a group."""
    columns = [(group, name) for group, names in COLUMNS.items() for name in names]
    rows = []
    for task in TASKS:
        pairs = ((sample(group, (name, task)), (name, task)) for group, name in columns)
        shown = (f"{correlation(*means(*pair)):.2f}" for pair in pairs)
        rows.append([f"`{task}`", *shown])
    return markdown(["task", *(f"{group}: `{name}`" for group, name in columns)], rows)


def errors() -> str:
    """The table of the error for a trained cell that was left out, by what is known of it."""
    rows = []
    for task in TASKS:
        sampled = sample("trained", ("by_key", task))
        by_lag, by_key, size, y = means(sampled, ("by_lag", "by_key", "parameters", task))
        kind, size = np.array([float(cell in MATRIX) for cell in sampled]), np.log(size)
        bits = by_lag, by_key
        columns = [(), (kind,), (size,), bits, (*bits, kind), (*bits, size)]
        rows.append([f"`{task}`", *(f"{left_out_error(y, *some):.3f}" for some in columns)])
    known_by = ["mean alone", "vector or matrix", "parameters", "bits by lag and by key"]
    return markdown(["task", *known_by, "bits and kind", "bits and parameters"], rows)


def left_out_error(y: np.ndarray, *columns: np.ndarray) -> float:
    """The root mean square error for a cell that a linear fit on the others did not see."""
    design = np.stack([np.ones(len(y)), *columns], axis=1)
    fit = LinearRegression(fit_intercept=False)
    return root_mean_squared_error(y, cross_val_predict(fit, design, y, cv=LeaveOneOut()))


def cells_table(arm: str) -> str:
    """The table of the bits of each cell; in the second arm of both questions too."""
    blocks: dict[str, Any] = {key: named.cell for key, named in cells_of(arm).items()}
    names = TASKS if arm == ARMS[0] else (*QUESTIONS, *TASKS[:3])
    rows = []
    for cell, known in sorted(cells(arm).items(), key=lambda x: -np.mean(x[1].get("by_lag", 0))):
        width = str(blocks[f"block-{cell}-state-bytes-400"].width)
        rows.append([cell, width, *(of_seeds(known.get(name, ())) for name in names)])
    return markdown(["cell", "width", *(f"`{name}`" for name in names)], rows)


def of_seeds(found: Sequence[float]) -> str:
    """The mean, and the lowest and the highest seed in brackets."""
    if not found:
        return "-"
    low, mean, high = map(three_digits, (min(found), float(np.mean(found)), max(found)))
    return f"{mean} ({low} to {high})"


WORDS = {
    "ProjectedRegister": "register",
    "RingReservoir": "ring",
    "OrthogonalReservoir": "reservoir",
    "PresentInput": "present input",
    "AttentionCache": "cache",
    "FrozenDeltaNet": "delta-net, not trained",
    "FrozenLinearAttention": "gla, not trained",
}
"""The words for anchors in a figure."""


def draw(path: Path, points: Mapping[str, tuple[float, float]], x: str, y: str) -> None:
    """Points by their names, which stand in a column beside them, each with a line to its point."""
    with styles.drawing():
        figure = Figure(figsize=(styles.WIDTH, 4.6), layout="constrained")
        axes = figure.add_subplot()
        order = sorted(points, key=lambda name: points[name][1])
        for name, height in zip(order, np.linspace(0, 1, len(order)), strict=True):
            kind = (styles.BLUE, styles.ORANGE)[name in MATRIX]
            colour = kind if name[0].islower() else styles.GREY
            axes.plot(*points[name], "o", color=colour, markersize=5)
            axes.annotate(WORDS.get(name, name), points[name], (1.06, height), fontsize=9,
                          textcoords="axes fraction", color=colour, va="center",
                          arrowprops={"arrowstyle": "-", "color": styles.PALE})  # fmt: skip
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        styles.style_axes(axes)
        path.write_bytes(styles.image(figure, "svg"))


def put(text: str, name: str, table: str) -> str:
    """The text with a table in the place of what stands between the marks of a name."""
    before, mark, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("\n<!-- end -->")
    if not (mark and end):
        raise ValueError(f"{TABLES} has no marks of {name}")
    return before + mark + table + end + after


def main() -> None:
    """Write the tables into docs/worth/README.md, and draw the figures."""
    tables = {
        "hypotheses": primary(ARMS[0], HYPOTHESES),
        "at 60,000 parameters": primary(ARMS[1], HYPOTHESES),
        "ten more seeds": primary(ARMS[0], [OTHER_SEEDS]),
        "cells": cells_table(ARMS[0]),
        "correlations": correlations(),
        "errors": errors(),
        "cells at 60,000 parameters": cells_table(ARMS[1]),
    }
    text = TABLES.read_text("utf-8")
    for name, table in tables.items():
        text = put(text, name, table)
    TABLES.write_text(text, "utf-8")
    for of in HYPOTHESES:
        x, y = of.names[:2]
        points = {name: (float(np.mean(known[x])), float(np.mean(known[y])))
                  for name, known in cells().items() if known.get(x) and known.get(y)}  # fmt: skip
        draw(TABLES.with_name(f"{y}.svg"), points, f"{x.replace('_', ' ')}, bits", f"{y}, bits")


if __name__ == "__main__":
    main()
