"""What the rows of docs/worth say: do the bits of a card order cells on other tasks?

    python benchmarks/worth_tables.py    # a minute; writes docs/worth/README.md and its figure

rows, cards  ─►  a `Point` for each cell  ─►  correlations over some of them  ─►  tables
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from scipy.special import entr
from scipy.stats import rankdata
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import root_mean_squared_error
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from worth import ARMS, PROBED, QUESTIONS, ROWS, SEEDS, TASKS, best_rates, cells_of, published, read

from echo_jax import statistics
from echo_jax.memory.tasks import digits, in_context
from echo_jax.report import styles
from echo_jax.report.number_formats import three_digits

TABLES = ROWS.with_name("README.md")
FIGURE = ROWS.with_name("scatter.svg")

MATRIX = {"delta-net", "gated-delta-net", "FrozenDeltaNet", "rwkv7"}
MATRIX |= {"gla", "mamba2", "mlstm", "FrozenLinearAttention"}
"""The cells with a matrix state."""

LARGER = "rwkv7"
"""Has more than 100 numbers of state in the second arm."""

FAMILIES = (
    ("lstm", "lstm-chrono", "slstm", "gru"),
    ("simple", "identity-rnn", "exprnn"),
    ("lru", "s5", "rg-lru"),
    ("mingru", "minlstm"),
    ("lmu",),
    ("delta-net", "gated-delta-net", "FrozenDeltaNet", "rwkv7"),
    ("gla", "mlstm", "mamba2", "FrozenLinearAttention"),
)
"""Cells that share a kind of recurrence, and so are no independent cases."""

DRAWN = 4000
"""Draws of a bootstrap."""

ORDERS = 100_000
"""Permutations that are drawn where there are more than 8! of them."""


class Point(NamedTuple):
    """What is known of a cell: by tasks, by_lag and by_key the bits of its seeds, and others.

    parameters  trained numbers of the cell and its block in the first arm
    early       bits by lag after the short runs of the pilot, at its best rate
    held        mean bits at lags 4 to 16 that a probe finds in the network of seed 1 on the text
    """

    name: str
    seeds: dict[str, Sequence[float]]

    def mean(self, name: str) -> float:
        """The mean over the seeds of what is known."""
        return float(np.mean(self.seeds[name]))


@functools.cache
def points(arm: str = ARMS[0]) -> Sequence[Point]:
    """The cells of an arm; a task is known where all seeds have rows."""
    rates, whole = best_rates(read()), [row for row in read() if row.arm == arm]
    found = []
    for card in published():
        rows = [x for x in whole if (x.cell, x.rate) == (card.name, rates.get((x.task, x.cell)))]
        seeds = dict[str, Sequence[float]](parameters=[card.parameters])
        for name in (*TASKS, *QUESTIONS):
            of_task = [row for row in rows if row.task == name]
            if len(of_task) == len(SEEDS):
                apart = PROBED if name == "text" else None
                seeds[name] = [row.bits for row in of_task if row.seed != apart]
        if held := [float(np.mean(row.held[3:])) for row in rows if row.held]:
            seeds["held"] = held
        if early := [x.mean for x in card.pilot if x.configuration.question == "by lag"]:
            seeds["early"] = [max(early)]
        if arm == ARMS[0]:
            measures = {"by_lag": card.bits_by_lag, "by_key": card.bits_by_key}
            seeds |= {name: of.by_seed for name, of in measures.items() if of}
        name = card.name.removeprefix("block-").removesuffix("-state-bytes-400")
        found.append(Point(name, seeds))
    return found


def is_trained(cell: Point) -> bool:
    """The recurrence is trained; anchors have names of classes."""
    return cell.name.islower()


def is_matrix(cell: Point) -> bool:
    """The state is a matrix, trained or not."""
    return cell.name in MATRIX


GROUPS: dict[str, Callable[[Point], bool]] = {
    "trained": is_trained,
    "vector": lambda x: is_trained(x) and not is_matrix(x),
    "matrix": lambda x: is_trained(x) and is_matrix(x),
    "matrix, not trained too": is_matrix,
}


def sample(group: str, names: Sequence[str], arm: str = ARMS[0]) -> list[Point]:
    """The cells of a group of which all names are known; in the second arm those of one size."""
    cells = [x for x in points(arm) if GROUPS[group](x) and {*names} <= x.seeds.keys()]
    return [x for x in cells if arm == ARMS[0] or x.name != LARGER]


def means(cells: Sequence[Point], names: Sequence[str]) -> np.ndarray:
    """The means of the named measures of each cell, [names, cells]."""
    return np.array([[x.mean(name) for x in cells] for name in names])


def residuals(values: np.ndarray, given: np.ndarray | None) -> np.ndarray:
    """The ranks of some values less what the ranks of others tell of them linearly."""
    ranks = rankdata(values)
    if given is None:
        return ranks - ranks.mean()
    others = rankdata(given)
    return ranks - np.polyval(np.polyfit(others, ranks, 1), others)


def correlation(x: np.ndarray, y: np.ndarray, given: np.ndarray | None = None) -> float:
    """Spearman's rank correlation; the partial one where something is given."""
    return float(np.corrcoef(residuals(x, given), residuals(y, given))[0, 1])


def p_value(x: np.ndarray, y: np.ndarray, given: np.ndarray | None = None) -> float:
    """Two-sided: the share of the orders of y with as large a correlation.

    All orders of up to 8 cells, else 100,000 drawn with a fixed seed and the one observed. Of a
    partial correlation what is given is taken off anew after each: without that, p is too small.
    """
    left, count = residuals(x, given), len(y)
    if count <= 8:
        orders = np.array(list(itertools.permutations(range(count))))
    else:
        drawn = np.random.default_rng(0).random((ORDERS, count)).argsort(axis=1)
        orders = np.concatenate([np.arange(count)[None], drawn])
    ranks = rankdata(y)[orders] - (count + 1) / 2
    if given is not None:
        others = rankdata(given) - (count + 1) / 2
        ranks = ranks - np.outer(ranks @ others / (others @ others), others)
    found = np.abs(ranks @ left) / np.linalg.norm(ranks, axis=1)
    return float(np.mean(found >= found[0] - 1e-9))


def over_seeds(cells: Sequence[Point], names: Sequence[str]) -> str:
    """The bounds of 95% of the correlations, seeds of cards and of the task drawn anew."""
    random, found = np.random.default_rng(0), []
    whole = [[x.seeds[name] for x in cells] for name in names]
    for _ in range(DRAWN):
        drawn = [[random.choice(x, len(x)).mean() for x in known] for known in whole]
        found.append(correlation(*map(np.array, drawn)))
    return bounds(found)


def over_families(cells: Sequence[Point], names: Sequence[str]) -> str:
    """The bounds of 95% of the correlations, families drawn anew; - of two families."""
    known = means(cells, names)
    families = [np.flatnonzero(np.isin([x.name for x in cells], some)) for some in FAMILIES]
    families = [some for some in families if some.size]
    if len(families) < 3:
        return "-"
    random, found = np.random.default_rng(0), []
    for drawn in random.integers(len(families), size=(DRAWN, len(families))):
        if len(set(drawn)) > 2:
            some = np.concatenate([families[i] for i in drawn])
            with np.errstate(invalid="ignore", divide="ignore"):  # cells alike in what is given
                found.append(correlation(*known[:, some]))
    return bounds(found)


def bounds(found: Sequence[float]) -> str:
    """The middle 95%."""
    return "{:.2f} to {:.2f}".format(*np.nanquantile(found, (0.025, 0.975)))


class Hypothesis(NamedTuple):
    """A primary hypothesis: a group of so many cells, and what orders them on a task.

    names  the predictor, the task and, where it is a partial correlation, what is given
    """

    title: str
    group: str
    size: int
    names: Sequence[str]


HYPOTHESES = (
    Hypothesis("1. digits, by lag", "vector", 13, ("by_lag", "digits", "parameters")),
    Hypothesis("2. in context, by key", "matrix, not trained too", 8, ("by_key", "in_context")),
    Hypothesis("3. noisy recall, by key", "matrix, not trained too", 8, ("by_key", "noisy_recall")),
    Hypothesis("4. text, held", "trained", 19, ("held", "text", "parameters")),
)


def verdict(estimate: float, adjusted: float) -> str:
    """The word that was fixed before the first row."""
    if estimate <= 0:
        return "refuted"
    return "supported" if adjusted < 0.05 else "undecided"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], ends: str = "") -> str:
    """A table, whose first column is of words; `ends` are the rules of last ones."""
    numbers = len(headings) - 1 - ends.count("|")
    written = [f"| {' | '.join(row).rstrip()} |" for row in (headings, *rows)]
    return "\n".join([written[0], "|---|" + "---:|" * numbers + ends, *written[1:]])


def primary() -> str:
    """The table of the hypotheses, of which all rows are there."""
    samples = [sample(of.group, of.names) for of in HYPOTHESES]
    known = [means(cells, of.names) for cells, of in zip(samples, HYPOTHESES, strict=True)]
    p_values = [p_value(*of) for of in known]
    rows = []
    for of, cells, x, p, adjusted in zip(
        HYPOTHESES, samples, known, p_values, statistics.holm(p_values), strict=True
    ):
        assert len(cells) == of.size
        estimate = correlation(*x)
        intervals = over_seeds(cells, of.names), over_families(cells, of.names)
        numbers = [f"{estimate:.2f}", *intervals, f"{p:.2g}", f"{adjusted:.2g}"]
        title = of.title + ", given parameters" * ("parameters" in of.names)
        words = verdict(estimate, adjusted), at_equal_parameters(of)
        rows.append([title, str(of.size), *numbers, *words])
    headings = ["hypothesis", "cells", "correlation", "over seeds", "over families", "p"]
    return markdown([*headings, "adjusted", "", "at 60,000 parameters"], rows, "---|---|")


def at_equal_parameters(of: Hypothesis) -> str:
    """The correlation in the second arm, nothing given, and its p; - on the text."""
    cells = sample(of.group, of.names[:2], ARMS[1])
    if not cells:
        return "-"
    x = means(cells, of.names[:2])
    return f"{correlation(*x):.2f} (p {p_value(*x):.2g})"


def tasks_of(arm: str) -> list[str]:
    """The tasks of which a cell has all rows."""
    return [name for name in TASKS if any(name in x.seeds for x in points(arm))]


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
    for task in tasks_of(ARMS[0]):
        pairs = ((sample(group, (name, task)), (name, task)) for group, name in columns)
        shown = (f"{correlation(*means(*pair)):.2f}" for pair in pairs)
        rows.append([f"`{task}`", *shown])
    return markdown(["task", *(f"{group}: `{name}`" for group, name in columns)], rows)


def of_last_pixels(pixels: int) -> float:
    """Bits of a softmax regression that sees the last pixels of a digit, on the final part."""
    known, final = digits.PARTS["training"], digits.PARTS["final"]
    seen = digits.PIXELS[:, -pixels:] / 16
    model = LogisticRegression(max_iter=10_000).fit(seen[known], digits.DIGITS[known])
    shares = model.predict_proba(seen[final])[np.arange(len(final)), digits.DIGITS[final]]
    of_answers = np.bincount(digits.DIGITS[final]) / len(final)
    return float(entr(of_answers).sum() + np.log(shares).mean()) / np.log(2)


def of_ideal_observer(rows: int) -> float:
    """Bits on `in_context` of one that knows the task, and weighs all 8! automata by Bayes."""
    drawn = in_context.draw(jax.random.key(0), rows, "final")
    inputs, targets, _ = map(np.asarray, drawn)
    states, noisy = in_context.STATES, in_context.NOISY
    automata = np.array([*itertools.permutations(range(states))], np.int8)
    nats = []
    for row, answers in zip(inputs, targets, strict=True):
        logs = np.zeros(len(automata))
        for state, answer in zip(row, answers, strict=True):
            weights = np.exp(logs - logs.max())
            right = automata[:, state] == answer
            share = weights[right].sum() / weights.sum()
            nats.append(-np.log(share * (1 - noisy) + noisy / states))
            logs += np.log(np.where(right, 1 - noisy, 0) + noisy / states)
    return float(np.log2(states) - np.mean(nats) / np.log(2))


def errors() -> str:
    """The table of the error for a trained cell that was left out, by what is known of it."""
    rows = []
    for task in tasks_of(ARMS[0]):
        cells = sample("trained", ("by_key", task))
        by_lag, by_key, size, y = means(cells, ("by_lag", "by_key", "parameters", task))
        kind, size = np.array([float(is_matrix(x)) for x in cells]), np.log(size)
        columns = [(), (kind,), (size,), (by_lag, by_key), (by_lag, by_key, size)]
        rows.append([f"`{task}`", *(f"{left_out_error(y, *some):.3f}" for some in columns)])
    known_by = ["mean alone", "vector or matrix", "parameters", "bits by lag and by key", "all"]
    return markdown(["task", *known_by], rows)


def left_out_error(y: np.ndarray, *columns: np.ndarray) -> float:
    """The root mean square error for a cell that a linear fit on the others did not see."""
    design = np.stack([np.ones(len(y)), *columns], axis=1)
    fit = LinearRegression(fit_intercept=False)
    return root_mean_squared_error(y, cross_val_predict(fit, design, y, cv=LeaveOneOut()))


def cells_table(arm: str) -> str:
    """The table of the bits of each cell; in the second arm of both questions too."""
    blocks: dict[str, Any] = {key: named.cell for key, named in cells_of(arm).items()}
    tasks, rows = tasks_of(arm), []
    names = tasks if arm == ARMS[0] else [*QUESTIONS, *tasks]
    for cell in sorted(points(arm), key=lambda x: -np.mean(x.seeds.get("by_lag", 0))):
        width = str(blocks[f"block-{cell.name}-state-bytes-400"].width)
        rows.append([cell.name, width, *(of_seeds(cell.seeds.get(x, ())) for x in names)])
    return markdown(["cell", "width", *(f"`{name}`" for name in names)], rows)


def of_seeds(found: Sequence[float]) -> str:
    """The mean, and the lowest and the highest seed in brackets."""
    if not found:
        return "-"
    low, mean, high = map(three_digits, (min(found), float(np.mean(found)), max(found)))
    return f"{mean} ({low} to {high})"


PANELS = {
    "digits": ("by_lag", "bits by lag"),
    "in_context": ("by_key", "bits by key"),
    "noisy_recall": ("by_key", "bits by key"),
    "text": ("held", "bits held, lags 4 to 16"),
    "selective_copy": ("by_lag", "bits by lag"),
}

WORDS = {
    "ProjectedRegister": "register",
    "RingReservoir": "ring",
    "OrthogonalReservoir": "reservoir",
    "PresentInput": "present input",
    "AttentionCache": "cache",
    "FrozenDeltaNet": "delta-net, not trained",
    "FrozenLinearAttention": "gla, not trained",
}
"""The words for anchors in the figure."""


def draw(path: Path) -> None:
    """A panel for each task with rows: its bits against those of the card."""
    tasks = tasks_of(ARMS[0])
    with styles.drawing():
        figure = Figure(figsize=(4 * len(tasks), 4.4), layout="constrained")
        for axes, task in zip(figure.subplots(1, len(tasks)), tasks, strict=True):
            predictor, words = PANELS[task]
            for cell in (x for x in points() if {predictor, task} <= x.seeds.keys()):
                at = cell.mean(predictor), cell.mean(task)
                kind = (styles.BLUE, styles.ORANGE)[is_matrix(cell)]
                colour = kind if is_trained(cell) else styles.GREY
                axes.plot(*at, "o", color=colour, markersize=4)
                axes.annotate(WORDS.get(cell.name, cell.name), at, (3, 2),
                              fontsize=6, textcoords="offset points", color=colour)  # fmt: skip
            axes.margins(x=0.2)
            axes.set_xlabel(words)
            axes.set_title(f"{task}, bits", fontsize=9)
            styles.style_axes(axes)
        path.write_bytes(styles.image(figure, "svg"))


PAGE = """# What a bit is worth: all numbers

Made by `python benchmarks/worth_tables.py` of the rows in `rows.jsonl`.
[What a bit is worth](../what-a-bit-is-worth.md) says what was asked, and what came of it.

{primary}

At 60,000 parameters nothing is given.

## Bits of each cell

Means, with the lowest and the highest of three seeds, on text of seeds 0 and 2.

{cells}

## What orders the cells

Spearman's correlations of bits on a task, exploratory: trained cells, of these 13 with vector and
6 with matrix states. `early` is by lag after 300 updates, at the best rate of the pilot.

{correlations}

## What predicts a cell

Root mean square error, in bits, for each trained cell left out of a linear fit; of parameters the
logarithm.

{errors}

## At 60,000 parameters

Bits, with the lowest and the highest of three seeds; - was not run. A state has 100 numbers, of
RWKV-7 169, and the convolution keeps 3 times the width more. Rates are those of the narrow block.
On `digits` an answer has at most 3.3 bits, on `in_context` 3, on `noisy_recall` 4; less than 0 is
worse than the frequencies of the answers.

{second_cells}

## Readers of another kind

On `digits` a softmax regression on the last 16, 24, 32, 40 and 64 pixels has {regressions} bits.
On `in_context` an ideal observer that knows the task has {observer:.2f} bits.
"""


def main() -> None:
    """Write the tables, and draw the figure."""
    regressions = (f"{of_last_pixels(pixels):.2f}" for pixels in (16, 24, 32, 40, 64))
    text = PAGE.format(
        primary=primary(),
        cells=cells_table(ARMS[0]),
        correlations=correlations(),
        errors=errors(),
        second_cells=cells_table(ARMS[1]),
        regressions=", ".join(regressions),
        observer=of_ideal_observer(200),
    )
    TABLES.write_text(text, "utf-8")
    draw(FIGURE)


if __name__ == "__main__":
    main()
