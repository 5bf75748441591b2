"""What the rows of docs/worth say: do the bits of a card order cells on other tasks?

    python benchmarks/worth_tables.py    # a minute; writes docs/worth/README.md and its figures

rows, cards  ─►  what is `Known` of each cell  ─►  correlations over some of them  ─►  tables
"""

import functools
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import worth
from initial_weights import MANIPULATED
from matplotlib.figure import Figure
from rank_correlations import correlation, p_value
from scipy.stats import f_oneway, rankdata
from worth import ARMS, FAMILIES, MATRIX, SEEDS, TASKS, UNTRAINED, is_vector, read, short_name

from echo_jax import statistics
from echo_jax.cell_names import ANCHORS, CELLS, name_shown
from echo_jax.memory.by_key.key_rows_and_bits import BY_KEY
from echo_jax.memory.by_lag.lag_rows_and_bits import BY_LAG
from echo_jax.report import styles
from echo_jax.report.number_formats import three_digits

TABLES = worth.ROWS.with_name("README.md")

LARGER = "rwkv7"
"""Has more than 100 numbers of state in the second arm."""

DRAWN = 4000
"""Draws of a bootstrap."""

Known = Mapping[str, Sequence[float]]
"""Of a cell: by tasks, by_lag and by_key the bits of its seeds, and others, which have one number.

parameters  trained numbers of the cell and its block in the first arm
held        mean bits at lags 4 to 16 that a probe finds in the network of seed 1 on the text
"""


MORE_SEEDS = "ten more seeds"
"""The task `worth.AGAIN`, of the seeds that chose no rate."""


@functools.cache
def at_best_rates(arm: str) -> dict[tuple[str, str], list[worth.WorthRow]]:
    """The rows of all seeds by task and network, at the rate that seed 0 chose."""
    rates = worth.best_rates(read())
    found = defaultdict(list)
    # Rows stand in the order in which runs ended, and ranks are taken seed by seed. The ten more
    # seeds have no ranks, and keep that order, in which a bootstrap draws them.
    for row in sorted(read(), key=lambda row: min(row.seed, len(SEEDS))):
        rate = 0.0 if row.task == UNTRAINED else rates.get((row.task, row.cell))
        if (row.arm, row.rate) == (arm, rate):
            task = row.task if row.seed in SEEDS else MORE_SEEDS
            found[task, short_name(row.cell)].append(row)
    seeds = {MORE_SEEDS: worth.AGAIN[1]}
    return {key: rows for key, rows in found.items() if len(rows) == len(seeds.get(key[0], SEEDS))}


@functools.cache
def cells(arm: str) -> dict[str, Known]:
    """Measures of each cell of an arm, by its name; a task is there where all seeds have rows."""
    rows = at_best_rates(arm)
    found = dict[str, Known]()
    for card in worth.published():
        name = short_name(card.name)
        known: dict[str, Sequence[float]] = {
            task: [row.bits for row in seeds if (task, row.seed) != ("text", worth.PROBED)]
            for (task, cell), seeds in rows.items()
            if cell == name
        }
        known["parameters"] = [card.parameters]
        probed = rows.get(("text", name), [])
        known["held"] = [float(np.mean(row.held[3:])) for row in probed if row.held]
        for question in worth.QUESTIONS if arm == ARMS[0] else ():
            bits = getattr(card, f"bits_{question}")
            known[question] = bits.by_seed if bits else ()
        found[name] = known
    return found


LAGS = {"delay_16": slice(15, 31), "delay_32": slice(31, 47), "appliances": slice(64)}
"""The outcomes of the second study, and where in a curve by lag the bits stand that count there.

After a delay D these are the lags D to D + 15, on the appliances all.
"""

LEAST = 0.1
"""Fewer bits count as none, before training and after: networks that have none are tied."""

SECOND: dict[str, Callable[[], Any]] = {
    "one size": lambda: [[named("vector")]],
    "two sizes": lambda: [[named("vector"), named("small")]],
    "matrix states": lambda: [[named("matrix")]],
    "initial weights": lambda: [[family] for family in MANIPULATED],
}
"""Lists of networks within which ranks are taken; of several lists a place in all is one case."""


def named(group: str) -> list[str]:
    """The short names of the networks of a group."""
    return [*map(short_name, worth.cells_of(group))]


def measured(measure: str, name: str, outcome: str) -> list[Any]:
    """The value of a measure for a network on an outcome: one number, or one of each seed."""
    rows: Any = at_best_rates(ARMS[0])
    if measure == "learned":
        return [row.bits for row in rows[outcome, name]]
    if measure == "parameters":
        return [worth.parameters_of(name)]
    if measure == "untrained":
        return [np.mean([sum(row.held[LAGS[outcome]]) for row in rows[UNTRAINED, name]])]
    [card] = [card for card in worth.published() if short_name(card.name) == name]
    if measure == "by_key":
        return [card.known(BY_KEY).mean]
    lags = slice(32, 64) if measure == "late" else LAGS[outcome]
    return [sum(card.known(BY_LAG).curve[lags])]


def ranked(lists: Sequence[Sequence[str]], measures: Sequence[str]) -> dict[str, Known]:
    """The mean ranks of each place in lists of networks, over lists and outcomes, by first names.

    Ranks are taken within a list, an outcome and a seed, less the middle one. A place without all
    rows is left out.
    """
    needed = [*LAGS, UNTRAINED]
    rows = at_best_rates(ARMS[0])
    kept = [x for x in zip(*lists, strict=True) if all((y, n) in rows for y in needed for n in x)]
    found: list[Sequence[float]] = []
    for measure in measures:
        # [outcomes, places, lists, seeds]
        bits = np.array([[[measured(measure, n, y) for n in x] for x in kept] for y in LAGS])
        ranks = rankdata(np.where(bits < LEAST, 0, bits), axis=1) - (len(kept) + 1) / 2
        found.append(ranks.mean(axis=(0, 2)).tolist())
    return {x[0]: dict(zip(measures, of, strict=True)) for x, *of in zip(kept, *found, strict=True)}


def means(sampled: Mapping[str, Known], names: Sequence[str]) -> np.ndarray:
    """The means of the named measures of each cell, `[names, cells]`."""
    return np.array([[np.mean(known[name]) for known in sampled.values()] for name in names])


def over_seeds(sampled: Mapping[str, Known], names: Sequence[str]) -> list[float]:
    """Correlations, seeds of cards and of the task drawn anew."""
    random = np.random.default_rng(0)

    def drawn(name: str) -> np.ndarray:
        """The means of one draw for each cell."""
        seeds = [known[name] for known in sampled.values()]
        return np.array([random.choice(x, len(x)).mean() for x in seeds])

    return [correlation(*map(drawn, names)) for _ in range(DRAWN)]


def over_families(
    sampled: Mapping[str, Known], names: Sequence[str], families: Sequence[Sequence[str]]
) -> list[float]:
    """Correlations, families drawn anew; cells where two have all."""
    known = means(sampled, names)
    places = [np.flatnonzero(np.isin([*sampled], some)) for some in families]
    places = [some for some in places if some.size]
    if len(places) < 3:
        places = [np.array([i]) for i in range(len(sampled))]
    drawn = np.random.default_rng(0).integers(len(places), size=(DRAWN, len(places)))
    some = [np.concatenate([places[i] for i in draw]) for draw in drawn if len(set(draw)) > 2]
    with np.errstate(invalid="ignore", divide="ignore"):  # cells alike in what is given
        return [correlation(*known[:, chosen]) for chosen in some]


class Hypothesis(NamedTuple):
    """The cells of an arm that `among` takes, and what orders them on a task.

    names     the predictor, the task and, where it is a partial correlation, what is given
    families  those that a bootstrap draws; cells are permuted within those of one cell
    """

    title: str
    names: Sequence[str]
    arm: str = ARMS[0]
    among: Callable[[str], bool] = bool
    families: Sequence[Sequence[str]] = FAMILIES


def sample(of: Hypothesis) -> dict[str, Known]:
    """The cells of which all names are known; in the second arm those of one size."""
    if of.arm in SECOND:
        found = [ranked(lists, of.names) for lists in SECOND[of.arm]()]
        return {cell: known for some in found for cell, known in some.items()}
    return {
        cell: known
        for cell, known in cells(of.arm).items()
        if of.among(cell) and all(map(known.get, of.names)) and (of.arm, cell) != (ARMS[1], LARGER)
    }


HYPOTHESES = (
    Hypothesis("1. digits, by lag", ("by_lag", "digits", "parameters"), among=is_vector),
    Hypothesis("2. in context, by key", ("by_key", "in_context"), among=MATRIX.__contains__),
    Hypothesis("3. noisy recall, by key", ("by_key", "noisy_recall"), among=MATRIX.__contains__),
    Hypothesis("4. text, held", ("held", "text", "parameters"), among=str.islower),
)
WIDER = [of._replace(arm=ARMS[1], names=of.names[:2]) for of in HYPOTHESES[:3]]
OTHER_SEEDS = HYPOTHESES[2]._replace(names=("by_key", MORE_SEEDS))

BEFORE = Hypothesis("before training", ("untrained", "learned"), "two sizes")
SECONDARY = [
    BEFORE._replace(names=(*BEFORE.names, "parameters")),
    Hypothesis("before training, 100 numbers", BEFORE.names, "one size"),
    Hypothesis("trained card, the same lags", ("trained", "learned"), "one size"),
    Hypothesis("trained card, lags 33 to 64", ("late", "learned"), "one size"),
    Hypothesis("matrix states, before training", BEFORE.names, "matrix states"),
    Hypothesis("matrix states, by key", ("by_key", "learned"), "matrix states"),
]
WEIGHTS = Hypothesis("initial weights", BEFORE.names, "initial weights", families=MANIPULATED)


def verdict(estimate: float, adjusted: float, interval: Iterable[float]) -> str:
    """The word for a correlation, its adjusted p-value and its interval."""
    low, high = interval
    if estimate > 0 and adjusted < 0.05:
        return "supported"
    if high < 0:
        return "refuted"
    return "no relation" if -0.3 < low <= 0 <= high < 0.3 else "undecided"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], ends: str = "") -> str:
    """A table, whose first column is of words; `ends` are the rules of last ones."""
    numbers = len(headings) - 1 - ends.count("|")
    written = [f"| {' | '.join(row).rstrip()} |" for row in (headings, *rows)]
    return "\n".join([written[0], "|---|" + "---:|" * numbers + ends, *written[1:]])


def tested(hypotheses: Sequence[Hypothesis]) -> str:
    """The table of hypotheses, adjusted among them."""
    samples = [(of, sample(of)) for of in hypotheses]
    p_values = []
    rows = []
    for of, sampled in samples:
        within = MANIPULATED if of.families is MANIPULATED else [[*sampled]]
        family = [[cell in some for some in within].index(True) for cell in sampled]
        p_values.append(p_value(means(sampled, of.names), family))
    adjusted = statistics.holm(p_values)
    for (of, sampled), p, holm in zip(samples, p_values, adjusted, strict=True):
        estimate = correlation(*means(sampled, of.names))
        drawn = over_seeds(sampled, of.names), over_families(sampled, of.names, of.families)
        bounds = [np.nanquantile(found, (0.025, 0.975)) for found in drawn]
        # The share of the variance of the means of cells that is not of seeds.
        reliability = 1 - 1 / f_oneway(*(known[of.names[1]] for known in sampled.values()))[0]
        title = of.title + ", given parameters" * ("parameters" in of.names)
        intervals = ["{:.2f} to {:.2f}".format(*interval) for interval in bounds]
        last = f"{p:.2g}", f"{holm:.2g}", f"{reliability:.2f}", verdict(estimate, holm, bounds[1])
        rows.append([title, str(len(sampled)), f"{estimate:.2f}", *intervals, *last])
    headings = ["hypothesis", "cells", "correlation", "over seeds", "over families", "p"]
    return markdown([*headings, "adjusted", "reliability", "verdict"], rows, "---|")


def networks() -> str:
    """The table of the second study: bits before training, and of what was learned."""
    rows = []
    found: Any = at_best_rates(ARMS[0])
    for name in [name for group in worth.GROUPS[2:] for name in named(group)]:
        # In this order the appliances, where all lags count, come first.
        bits = [[sum(x.held[LAGS[y]]) for x in found[UNTRAINED, name]] for y in sorted(LAGS)]
        bits += [[row.bits for row in found[y, name]] for y in LAGS]
        rows.append([words_of(name), f"{worth.parameters_of(name):,}", *map(of_seeds, bits)])
    headings = ["network", "parameters", "before, all lags", "16 to 31", "32 to 47"]
    return markdown([*headings, *(f"`{task}`" for task in LAGS)], rows)


def errors() -> str:
    """The table of the error for a trained cell that was left out, by what is known of it."""
    rows = []
    for task in (*TASKS, *LAGS):
        sampled = sample(Hypothesis("", ("by_key", task), among=str.islower))
        by_lag, by_key, size, y = means(sampled, ("by_lag", "by_key", "parameters", task))
        kind = np.array([float(cell in MATRIX) for cell in sampled])
        bits = by_lag, by_key
        columns = [(), (kind,), (np.log(size),), bits, (*bits, kind), (*bits, np.log(size))]
        rows.append([f"`{task}`", *(f"{left_out_error(y, *some):.3f}" for some in columns)])
    known_by = ["mean alone", "vector or matrix", "parameters", "bits by lag and by key"]
    return markdown(["task", *known_by, "bits and kind", "bits and parameters"], rows)


def left_out_error(y: np.ndarray, *columns: np.ndarray) -> float:
    """The root mean square error for a cell that a linear fit on the others did not see."""
    design = np.stack([np.ones(len(y)), *columns], axis=1)
    # The error without a cell in the fit follows from its leverage, on the hat matrix's diagonal.
    hat = design @ np.linalg.pinv(design)
    return float(np.sqrt(np.mean(((y - hat @ y) / (1 - np.diag(hat))) ** 2)))


def cells_table(arm: str) -> str:
    """The table of the bits of each cell; in the second arm of both questions too."""
    blocks: Any = {short_name(card): x.cell for card, x in worth.cells_of(arm).items()}
    names = TASKS if arm == ARMS[0] else (*worth.QUESTIONS, *TASKS[:3])
    rows = []
    for cell, known in sorted(cells(arm).items(), key=lambda x: -np.mean(x[1].get("by_lag") or 0)):
        bits = (of_seeds(known.get(name)) for name in names)
        rows.append([words_of(cell), str(blocks[cell].width), *bits])
    return markdown(["cell", "width", *(f"`{name}`" for name in names)], rows)


def of_seeds(found: Sequence[float] | None) -> str:
    """The mean, and the lowest and the highest seed in brackets."""
    if not found:
        return "-"
    low, mean, high = map(three_digits, (min(found), float(np.mean(found)), max(found)))
    return f"{mean} ({low} to {high})"


WORDS = {"held": "found by a probe at lags 4 to 16"}
"""Measures on the axes of a figure, where they are not their names."""


def words_of(name: str) -> str:
    """The name of a cell that people read, and its options: LRU r_min 0.5 r_max 0.9."""
    cell = max((x for x in (*CELLS, *ANCHORS) if f"{name}-".startswith(f"{x}-")), key=len)
    return name_shown(cell) + name.removeprefix(cell).replace("-", " ")


def draw(of: Hypothesis) -> None:
    """Cells by their names, which stand in a column beside them, each with a line to its point."""
    names = of.names[:2]
    shown = sample(of._replace(names=names, among=bool))
    points = dict(zip(shown, map(tuple, means(shown, names).T.tolist()), strict=True))
    unit = "mean rank" if of.arm in SECOND else "bits"
    x, y = (f"{WORDS.get(name, name).replace('_', ' ')}, {unit}" for name in names)
    with styles.drawing():
        figure = Figure(figsize=(styles.WIDTH, 4.6), layout="constrained")
        axes = figure.add_subplot()
        order = sorted(points, key=lambda name: points[name][1])
        for name, height in zip(order, np.linspace(0, 1, len(order)), strict=True):
            colour = styles.ORANGE if name in MATRIX else styles.BLUE
            colour = colour if name[0].islower() else styles.GREY
            axes.plot(*points[name], "o", color=colour, markersize=5)
            axes.annotate(words_of(name), points[name], (1.06, height), fontsize=9,
                          textcoords="axes fraction", color=colour, va="center",
                          arrowprops={"arrowstyle": "-", "color": styles.PALE,
                                      "relpos": (0, 0.5)})  # fmt: skip
        axes.set(xlabel=x, ylabel=y)
        styles.style_axes(axes)
        path = TABLES.with_name(re.sub(r"\W+", "-", of.title) + ".svg")
        path.write_bytes(styles.image(figure, "svg"))


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
        before, mark, rest = text.partition(f"<!-- {name} -->\n")
        text = before + mark + table + rest[rest.index("\n<!-- end -->") :]
    TABLES.write_text(text, "utf-8")
    for of in (*HYPOTHESES, BEFORE, WEIGHTS):
        draw(of)


if __name__ == "__main__":
    main()
