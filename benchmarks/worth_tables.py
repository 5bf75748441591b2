"""What the rows of docs/worth say: do the bits of a card order cells on other tasks?

    python benchmarks/worth_tables.py    # a minute; writes docs/worth/README.md and its figures

rows, cards  ─►  what is `Known` of each cell  ─►  correlations over some of them  ─►  tables
"""

import contextlib
import functools
import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import worth
from matplotlib.figure import Figure
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from worth import ARMS, FAMILIES, MATRIX, SEEDS, TASKS, UNTRAINED, WorthRow, read, short_name

from echo_jax import statistics
from echo_jax.cell_names import ANCHORS, CELLS, name_shown
from echo_jax.memory.card_contents import bits_of
from echo_jax.memory.protocol import STANDARD
from echo_jax.report import styles
from echo_jax.report.number_formats import three_digits

TABLES = worth.ROWS.with_name("README.md")


GROUPS: dict[str, Callable[[str], bool]] = {
    "all": lambda _: True,
    "trained": str.islower,  # anchors have names of classes
    "vector": lambda name: name.islower() and name not in MATRIX,
    "matrix": lambda name: name.islower() and name in MATRIX,
    "matrix, not trained too": MATRIX.__contains__,
}

LARGER = "rwkv7"
"""Has more than 100 numbers of state in the second arm."""

DRAWN = 4000
"""Draws of a bootstrap."""

FEWEST = 5
"""Cells of a hypothesis that is tested."""

Known = Mapping[str, Sequence[float]]
"""Of a cell: by tasks, by_lag and by_key the bits of its seeds, and others, which have one number.

parameters  trained numbers of the cell and its block in the first arm
held        mean bits at lags 4 to 16 that a probe finds in the network of seed 1 on the text
"""


@functools.cache
def at_best_rates(arm: str) -> dict[tuple[str, str], list[WorthRow]]:
    """The rows of all seeds by task and network, at the rate that seed 0 chose."""
    rates, found = worth.best_rates(read()), defaultdict(list)
    for row in read():
        rate = 0.0 if row.task == UNTRAINED else rates.get((row.task, row.cell))
        if (row.arm, row.rate) == (arm, rate) and row.seed in SEEDS:
            found[row.task, short_name(row.cell)].append(row)
    # Rows stand in the order in which runs ended, and ranks are taken seed by seed.
    whole = {key: rows for key, rows in found.items() if len(rows) == len(SEEDS)}
    return {key: sorted(rows, key=lambda row: row.seed) for key, rows in whole.items()}


@functools.cache
def cells(arm: str = ARMS[0]) -> dict[str, Known]:
    """Measures of each cell of an arm, by its name; a task is there where all seeds have rows."""
    if arm in SECOND:
        return {name: known for lists in SECOND[arm]() for name, known in ranked(lists).items()}
    again = [row for row in read() if row.task == worth.AGAIN[0] and row.seed in worth.AGAIN[1]]
    found = dict[str, Known]()
    for card in worth.published():
        name = short_name(card.name)
        known: dict[str, Sequence[float]] = {"parameters": [card.parameters]}
        for task in (*TASKS, *worth.QUESTIONS, *NEW):
            rows = at_best_rates(arm).get((task, name), [])
            apart = worth.PROBED if task == "text" else None
            known[task] = [row.bits for row in rows if row.seed != apart]
        probed = at_best_rates(arm).get(("text", name), [])
        known["held"] = [float(np.mean(row.held[3:])) for row in probed if row.held]
        if arm == ARMS[0]:
            measures = {"by_lag": card.bits_by_lag, "by_key": card.bits_by_key}
            known |= {name: of.by_seed for name, of in measures.items() if of}
        more = [row.bits for row in again if row.cell == card.name]
        known["ten more seeds"] = more if len(more) == len(worth.AGAIN[1]) else []
        found[name] = known
    return found


def sample(group: str, names: Sequence[str], arm: str = ARMS[0]) -> dict[str, Known]:
    """The cells of a group of which all names are known; in the second arm those of one size."""
    return {
        cell: known
        for cell, known in cells(arm).items()
        if GROUPS[group](cell) and all(map(known.get, names)) and (arm, cell) != (ARMS[1], LARGER)
    }


NEW = "delay_16", "delay_32", "appliances"
"""The outcomes that count in the second study."""

DELAYS = {"delay_16": 16, "delay_32": 32}

LEAST = 0.1
"""Fewer bits count as none, before training and after: networks that have none are tied."""

MANIPULATED = (
    ("lstm-forget-0", "lstm", "lstm-forget-3", "lstm-forget-5", "lstm-chrono"),
    ("lru-r_min-0.5-r_max-0.9", "lru", "lru-r_min-0.99-r_max-0.9999"),
    ("s5-steps-10", "s5", "s5-steps-0.1"),
    ("rg-lru-decays-0.5-0.9", "rg-lru", "rg-lru-decays-0.99-0.9999"),
    ("simple-gain-0.7", "simple-gain-0.9", "simple"),
)
"""Families of one cell that starts from other weights."""


def two_sizes() -> list[list[list[str]]]:
    """The vector states with 100 numbers and, in the same order, with 25: a cell is one case."""
    cards = worth.groups()["vector"]
    return [[[*map(short_name, cards)], [short_name(worth.small(x)) for x in cards]]]


SECOND: dict[str, Callable[[], Any]] = {
    "two sizes": two_sizes,
    "initial weights": lambda: [[[*family]] for family in MANIPULATED],
    "matrix states": lambda: [[[*map(short_name, worth.groups()["matrix"])]]],
}
"""Lists of networks within which ranks are taken; of several lists a place in all is one case."""


def of_outcome(curve: Any, outcome: str) -> float:
    """The bits of a curve by lag that count: after a delay D lags D to D + 15, else all."""
    delay = DELAYS.get(outcome)
    return float(sum(curve[delay - 1 : delay + 15] if delay else curve))


def curve_of(name: str) -> Sequence[float]:
    """The bits of the trained card by lag; KeyError where there is none."""
    cards = {short_name(x.name): x.bits_by_lag for x in worth.published()}
    asked: Any = [row.asked for row in at_best_rates(ARMS[0]).get(("by_lag", name), [])]
    found = cards.get(name) or (bits_of(asked, STANDARD) if asked else None)
    if found is None:
        raise KeyError(name)
    return found.curve


def before(name: str, outcome: str) -> list[float]:
    """The mean bits that a probe reads from three draws of weights."""
    drawn = [of_outcome(row.held, outcome) for row in at_best_rates(ARMS[0])[UNTRAINED, name]]
    return [float(np.mean(drawn))]


MEASURES: dict[str, Callable[[str, str], list[float]]] = {
    "untrained": before,
    "learned": lambda name, task: [x.bits for x in at_best_rates(ARMS[0])[task, name]],
    "trained": lambda name, task: [of_outcome(curve_of(name), task)],
    "late": lambda name, _: [sum(curve_of(name)[32:])],
    "by_key": lambda name, _: [float(np.mean(cells()[name]["by_key"]))],
    "parameters": lambda name, _: [worth.parameters_of(name)],
}
"""Of a network and an outcome; those of several seeds are ranked for each of them."""


def ranked(lists: Sequence[Sequence[str]]) -> dict[str, Known]:
    """The mean ranks of each place in lists of networks, over lists and outcomes, by first names.

    Ranks are taken within a list, an outcome and a seed, less the middle one. A place without all
    rows is left out, and a measure that one of the others lacks.
    """
    rows = at_best_rates(ARMS[0])
    needed = [*NEW, UNTRAINED]
    kept = [x for x in zip(*lists, strict=True) if all((t, n) in rows for t in needed for n in x)]
    found: dict[str, dict[str, Sequence[float]]] = {names[0]: {} for names in kept}
    for measure, of in MEASURES.items() if kept else ():
        with contextlib.suppress(KeyError):
            values = [[[of(name, task) for name in x] for x in kept] for task in NEW]
            bits = np.array(values)  # [outcomes, places, lists, seeds]
            ranks = rankdata(np.where(bits < LEAST, 0, bits), axis=1) - (len(kept) + 1) / 2
            for name, of_seeds in zip(found, ranks.mean(axis=(0, 2)).tolist(), strict=True):
                found[name][measure] = of_seeds
    return {**found}


def means(sampled: Mapping[str, Known], names: Sequence[str]) -> np.ndarray:
    """The means of the named measures of each cell, `[names, cells]`."""
    return np.array([[np.mean(known[name]) for known in sampled.values()] for name in names])


def residuals(values: np.ndarray, given: Sequence[np.ndarray]) -> np.ndarray:
    """The ranks of values `[..., cells]` less what the ranks of others tell of them linearly."""
    # Mean ranks that are equal differ in their last bits, and would be ties no longer.
    ranks = rankdata(np.round(values, 9), axis=-1)
    known = np.stack([np.ones(ranks.shape[-1]), *map(rankdata, np.round(given, 9))], axis=1)
    left = ranks - ranks @ known @ np.linalg.pinv(known)
    return np.where(np.abs(left) < 1e-9, 0, left)  # no correlation of what rounding left


def correlation(x: np.ndarray, y: np.ndarray, *given: np.ndarray) -> Any:
    """Spearman's rank correlation of x with each y `[..., cells]`; partial where more is given."""
    left, right = residuals(x, given), residuals(y, given)
    return right @ left / np.linalg.norm(left) / np.linalg.norm(right, axis=-1)


def p_value(known: np.ndarray, family: Any = 0) -> float:
    """Two-sided: the share of the orders of y, within families, with as large a correlation.

    All orders of up to 8 cells, else 100,000 drawn with a fixed seed and the one observed. Of a
    partial correlation what is given is taken off anew after each: without that, p is too small.
    """
    x, y, *given = known
    if len(y) <= 8:
        orders = np.array([*itertools.permutations(range(len(y)))])
    else:
        # Cells stand by families, and whole numbers keep these apart in the order of the keys.
        drawn = (np.random.default_rng(0).random((100_000, len(y))) + family).argsort(axis=1)
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


def over_families(
    sampled: Mapping[str, Known], names: Sequence[str], families: Sequence[Sequence[str]]
) -> list[float]:
    """The bounds of 95% of the correlations, families drawn anew; cells where two have all."""
    known = means(sampled, names)
    places = [np.flatnonzero(np.isin([*sampled], some)) for some in families]
    places = [some for some in places if some.size]
    if len(places) < 3:
        places = [np.array([i]) for i in range(len(sampled))]
    random, found = np.random.default_rng(0), []
    for drawn in random.integers(len(places), size=(DRAWN, len(places))):
        if len(set(drawn)) > 2:
            some = np.concatenate([places[i] for i in drawn])
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
    """A group of cells of an arm, and what orders them on a task.

    names     the predictor, the task and, where it is a partial correlation, what is given
    families  those that a bootstrap draws, and within which cells are permuted if `within`
    """

    title: str
    group: str
    names: Sequence[str]
    arm: str = ARMS[0]
    families: Sequence[Sequence[str]] = FAMILIES
    within: bool = False


HYPOTHESES = (
    Hypothesis("1. digits, by lag", "vector", ("by_lag", "digits", "parameters")),
    Hypothesis("2. in context, by key", "matrix, not trained too", ("by_key", "in_context")),
    Hypothesis("3. noisy recall, by key", "matrix, not trained too", ("by_key", "noisy_recall")),
    Hypothesis("4. text, held", "trained", ("held", "text", "parameters")),
)
WIDER = [of._replace(arm=ARMS[1], names=of.names[:2]) for of in HYPOTHESES]
OTHER_SEEDS = HYPOTHESES[2]._replace(names=("by_key", "ten more seeds"))

BEFORE = Hypothesis("before training", "all", ("untrained", "learned"), "two sizes")
WEIGHTS = Hypothesis(
    "initial weights", "all", ("untrained", "learned"), "initial weights", MANIPULATED, within=True
)
MATRIX_STATES = BEFORE._replace(title="matrix states, before training", arm="matrix states")
SECONDARY = (
    BEFORE._replace(names=("untrained", "learned", "parameters")),
    BEFORE._replace(title="trained card, same lags", names=("trained", "learned")),
    BEFORE._replace(title="trained card, lags 33 to 64", names=("late", "learned")),
    MATRIX_STATES,
    MATRIX_STATES._replace(title="matrix states, by key", names=("by_key", "learned")),
)


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


def tested(hypotheses: Sequence[Hypothesis]) -> str:
    """The table of hypotheses, adjusted among them; those with too few rows are left out."""
    samples = [(of, sample(of.group, of.names, of.arm)) for of in hypotheses]
    samples = [(of, sampled) for of, sampled in samples if len(sampled) >= FEWEST]
    p_values, rows = [], []
    for of, sampled in samples:
        family = [[x in some for some in of.families].index(True) for x in sampled if of.within]
        p_values.append(p_value(means(sampled, of.names), family or 0))
    adjusted = statistics.holm(p_values)
    for (of, sampled), p, holm in zip(samples, p_values, adjusted, strict=True):
        estimate = correlation(*means(sampled, of.names))
        interval = over_families(sampled, of.names, of.families)
        numbers = [f"{estimate:.2f}", over_seeds(sampled, of.names), shown(interval)]
        bits = reliability([known[of.names[1]] for known in sampled.values()])
        title = of.title + ", given parameters" * ("parameters" in of.names)
        last = f"{p:.2g}", f"{holm:.2g}", f"{bits:.2f}", verdict(estimate, holm, interval)
        rows.append([title, str(len(sampled)), *numbers, *last])
    headings = ["hypothesis", "cells", "correlation", "over seeds", "over families", "p"]
    return markdown([*headings, "adjusted", "reliability", "verdict"], rows, "---|")


def networks() -> str:
    """The table of the second study: bits before training, and of what was learned."""
    rows, found = [], at_best_rates(ARMS[0])
    for name in map(short_name, itertools.chain(*worth.groups().values())):
        curves = [row.held for row in found.get((UNTRAINED, name), [])]
        bits = [[of_outcome(x, task) for x in curves] for task in ("all", *DELAYS)]
        bits += [[row.bits for row in found.get((task, name), [])] for task in worth.OUTCOMES]
        if any(bits):
            rows.append([words_of(name), f"{worth.parameters_of(name):,}", *map(of_seeds, bits)])
    headings = ["network", "parameters", "before, all lags", "16 to 31", "32 to 47"]
    return markdown([*headings, *(f"`{task}`" for task in worth.OUTCOMES)], rows)


def errors() -> str:
    """The table of the error for a trained cell that was left out, by what is known of it."""
    rows = []
    for task in (*TASKS, *NEW):
        sampled = sample("trained", ("by_key", task))
        if len(sampled) < FEWEST:
            continue
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
    blocks: dict[str, Any] = {key: named.cell for key, named in worth.cells_of(arm).items()}
    names = TASKS if arm == ARMS[0] else (*worth.QUESTIONS, *TASKS[:3])
    rows = []
    for cell, known in sorted(cells(arm).items(), key=lambda x: -np.mean(x[1].get("by_lag") or 0)):
        width = str(blocks[f"block-{cell}-state-bytes-400"].width)
        rows.append([words_of(cell), width, *(of_seeds(known.get(name, ())) for name in names)])
    return markdown(["cell", "width", *(f"`{name}`" for name in names)], rows)


def of_seeds(found: Sequence[float]) -> str:
    """The mean, and the lowest and the highest seed in brackets."""
    if not found:
        return "-"
    low, mean, high = map(three_digits, (min(found), float(np.mean(found)), max(found)))
    return f"{mean} ({low} to {high})"


WORDS = {"held": "found by a probe at lags 4 to 16"}
"""Measures on the axes of a figure, where they are not their names."""


def words_of(name: str) -> str:
    """The name of a cell that people read, and its options: LRU r_min 0.5 r_max 0.9."""
    begun = [cell for cell in (*CELLS, *ANCHORS) if f"{name}-".startswith(f"{cell}-")]
    cell = max(begun, key=len)
    return name_shown(cell) + name.removeprefix(cell).replace("-", " ")


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
            axes.annotate(words_of(name), points[name], (1.06, height), fontsize=9,
                          textcoords="axes fraction", color=colour, va="center",
                          arrowprops={"arrowstyle": "-", "color": styles.PALE,
                                      "relpos": (0, 0.5)})  # fmt: skip
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
        "hypotheses": tested(HYPOTHESES),
        "at 60,000 parameters": tested(WIDER),
        "ten more seeds": tested([OTHER_SEEDS]),
        "second": tested([BEFORE, WEIGHTS]),
        "secondary": tested(SECONDARY),
        "networks": networks(),
        "cells": cells_table(ARMS[0]),
        "errors": errors(),
        "cells at 60,000 parameters": cells_table(ARMS[1]),
    }
    text = TABLES.read_text("utf-8")
    for name, table in tables.items():
        text = put(text, name, table)
    TABLES.write_text(text, "utf-8")
    for of in (*HYPOTHESES, BEFORE, WEIGHTS):
        x, y = of.names[:2]
        shown = sample("all", (x, y), of.arm)
        points = dict(zip(shown, map(tuple, means(shown, (x, y)).T.tolist()), strict=True))
        if len(points) >= FEWEST:
            unit = "mean rank" if of.arm in SECOND else "bits"
            path = TABLES.with_name(re.sub(r"\W+", "-", of.title) + ".svg")
            words = [WORDS.get(name, name).replace("_", " ") for name in (x, y)]
            draw(path, points, *(f"{each}, {unit}" for each in words))


if __name__ == "__main__":
    main()
