"""What the rows of docs/worth say: do the bits of a card order cells on other tasks?

    python benchmarks/worth_tables.py    # a minute; writes docs/worth/README.md and its figure

rows, cards  ─►  a `Point` for each cell  ─►  correlations over some of them  ─►  tables
"""

import functools
import itertools
from collections import defaultdict
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
from worth import (
    ARMS,
    PROBED,
    QUESTIONS,
    ROWS,
    SEEDS,
    TASKS,
    WorthRow,
    best_rates,
    cells_of,
    published,
    read,
)

from echo_jax import statistics
from echo_jax.memory.card import bits_of
from echo_jax.memory.protocol import STANDARD
from echo_jax.memory.tasks import digits, in_context
from echo_jax.report import styles
from echo_jax.report.number_formats import three_digits

TABLES = ROWS.with_name("README.md")
FIGURE = ROWS.with_name("scatter.svg")

MATRIX = {"delta-net", "gated-delta-net", "FrozenDeltaNet", "rwkv7"}
MATRIX |= {"gla", "mamba2", "mlstm", "FrozenLinearAttention"}
"""The cells with a matrix state."""

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

BOOTSTRAPS = 4000
DRAWN = 100_000
"""Permutations that are drawn where there are more than 8! of them."""


class Point(NamedTuple):
    """What is known of a cell: `tasks` are the mean bits over the seeds.

    early   bits by lag after the short runs of the pilot, at its best rate
    held    mean bits at lags 4 to 16 that a probe finds in the network of seed 1 on the text
    scores  the rows of each task that count
    seeds   the bits of each seed, by lag and by key
    """

    name: str
    lag: float | None
    key: float | None
    parameters: int
    early: float | None
    held: float | None
    tasks: dict[str, float]
    scores: dict[str, list[WorthRow]]
    seeds: dict[str, list[float]]

    @property
    def trained(self) -> bool:
        """The recurrence is trained; anchors have names of classes."""
        return self.name.islower()

    @property
    def matrix(self) -> bool:
        """The state is a matrix."""
        return self.name in MATRIX


@functools.cache
def points(arm: str = ARMS[0]) -> Sequence[Point]:
    """The cells of an arm, by name; a task is known where all seeds have rows."""
    of_cell = defaultdict[str, list[WorthRow]](list)
    rates = best_rates(read())
    for row in read():
        if row.arm == arm and row.rate == rates.get((row.task, row.cell)):
            of_cell[row.cell].append(row)
    found = []
    for card in published():
        rows = of_cell[card.name]
        scores = {name: [row for row in rows if row.task == name] for name in TASKS}
        scores = {name: some for name, some in scores.items() if len(some) == len(SEEDS)}
        if "text" in scores:
            scores["text"] = [row for row in scores["text"] if row.seed != PROBED]
        tasks = {name: float(np.mean([x.bits for x in of])) for name, of in scores.items()}
        held = [float(np.mean(row.held[3:])) for row in rows if row.held]
        early = [x.mean for x in card.pilot if x.configuration.question == "by lag"]
        measured = card.bits_by_lag, card.bits_by_key
        by_lag, by_key = measured if arm == ARMS[0] else (measure(rows, x) for x in QUESTIONS)
        found.append(
            Point(
                card.name.removeprefix("block-").removesuffix("-state-bytes-400"),
                lag=by_lag.mean if by_lag else None,
                key=by_key.mean if by_key else None,
                parameters=card.parameters,
                early=max(early, default=None),
                held=next(iter(held), None),
                tasks=tasks,
                scores=scores,
                seeds={
                    "lag": by_lag.by_seed if by_lag else [],
                    "key": by_key.by_seed if by_key else [],
                },
            )
        )
    return found


def measure(rows: Sequence[WorthRow], question: str) -> Any:
    """The measure of a question of the cards in the second arm; None while a seed has no row."""
    asked = [row.asked for row in rows if row.asked and row.task == question]
    return bits_of(asked, STANDARD) if len(asked) == len(SEEDS) else None


class Sample(NamedTuple):
    """Two numbers of each cell of a sample, and one that is held fixed, or None."""

    names: list[str]
    x: np.ndarray
    y: np.ndarray
    given: np.ndarray | None


def sample(
    cells: Sequence[Point],
    predictor: Callable[[Point], float | None],
    task: str,
    given: Callable[[Point], float] | None = None,
) -> Sample:
    """The cells for which all is known."""
    known = [x for x in cells if predictor(x) is not None and task in x.tasks]
    return Sample(
        [x.name for x in known],
        np.array([predictor(x) for x in known]),
        np.array([x.tasks[task] for x in known]),
        None if given is None else np.array([given(x) for x in known]),
    )


def residuals(values: np.ndarray, given: np.ndarray | None) -> np.ndarray:
    """The ranks of some values less what the ranks of others tell of them linearly."""
    ranks = rankdata(values)
    if given is None:
        return ranks - ranks.mean()
    others = rankdata(given)
    return ranks - np.polyval(np.polyfit(others, ranks, 1), others)


def correlation(of: Sample) -> float:
    """Spearman's rank correlation; the partial one where something is given."""
    return float(np.corrcoef(residuals(of.x, of.given), residuals(of.y, of.given))[0, 1])


def p_value(of: Sample) -> float:
    """Two-sided: the share of the orders of y with as large a correlation.

    All orders of up to 8 cells, else 100,000 drawn with a fixed seed and the one observed. Of a
    partial correlation what is given is taken off anew after each: without that, p is too small.
    """
    x, count = residuals(of.x, of.given), len(of.y)
    if count <= 8:
        orders = np.array(list(itertools.permutations(range(count))))
    else:
        drawn = np.random.default_rng(0).random((DRAWN, count)).argsort(axis=1)
        orders = np.concatenate([np.arange(count)[None], drawn])
    ranks = rankdata(of.y)[orders] - (count + 1) / 2
    if of.given is not None:
        others = rankdata(of.given) - (count + 1) / 2
        ranks = ranks - np.outer(ranks @ others / (others @ others), others)
    found = np.abs(ranks @ x) / np.linalg.norm(ranks, axis=1)
    return float(np.mean(found >= found[0] - 1e-9))


def over_seeds(of: Sample, predictor: Callable[[Point], float | None], task: str) -> list[float]:
    """The bounds of 95% of the correlations, seeds of cards and of the task drawn anew."""
    random, found = np.random.default_rng(0), []
    known = [x for x in points() if x.name in of.names]
    seeds = [x.seeds.get(predictor.__name__) or [predictor(x) or 0.0] for x in known]
    runs = [[row.bits for row in cell.scores[task]] for cell in known]
    for _ in range(BOOTSTRAPS):
        x = [random.choice(some, len(some)).mean() for some in seeds]
        y = [random.choice(some, len(some)).mean() for some in runs]
        found.append(correlation(of._replace(x=np.array(x), y=np.array(y))))
    return np.quantile(found, (0.025, 0.975)).tolist()


def over_families(of: Sample) -> str:
    """The bounds of 95% of the correlations, families drawn anew; - of two families."""
    families = [np.flatnonzero(np.isin(of.names, family)) for family in FAMILIES]
    families = [cells for cells in families if cells.size]
    if len(families) < 3:
        return "-"
    random, found = np.random.default_rng(0), []
    for drawn in random.integers(len(families), size=(BOOTSTRAPS, len(families))):
        cells = np.concatenate([families[i] for i in drawn])
        given = None if of.given is None else of.given[cells]
        if len(set(drawn)) > 2:
            with np.errstate(invalid="ignore", divide="ignore"):  # cells alike in what is given
                found.append(correlation(Sample([], of.x[cells], of.y[cells], given)))
    return "{:.2f} to {:.2f}".format(*np.nanquantile(found, (0.025, 0.975)))


def left_out_error(of: Sample, *columns: np.ndarray) -> float:
    """The root mean square error for a cell that a linear fit on the others did not see."""
    design = np.stack([np.ones(len(of.y)), *columns], axis=1)
    fit = LinearRegression(fit_intercept=False)
    return root_mean_squared_error(of.y, cross_val_predict(fit, design, of.y, cv=LeaveOneOut()))


def vector(cell: Point) -> bool:
    """A trained cell with a vector state."""
    return cell.trained and not cell.matrix


def parameters(cell: Point) -> float:
    """Trained numbers of a cell and its block."""
    return float(np.log(cell.parameters))


def lag(cell: Point) -> float | None:
    """Bits by lag."""
    return cell.lag


def key(cell: Point) -> float | None:
    """Bits by key."""
    return cell.key


class Hypothesis(NamedTuple):
    """A primary hypothesis: the cells, their number, and what is to order them on a task."""

    name: str
    cells: Callable[[Point], bool]
    size: int
    predictor: Callable[[Point], float | None]
    task: str
    given: Callable[[Point], float] | None = None

    def sample(self) -> Sample:
        """Its cells, as far as rows are there."""
        return sample([x for x in points() if self.cells(x)], self.predictor, self.task, self.given)


HYPOTHESES = (
    Hypothesis("1. digits, by lag, given parameters", vector, 13, lag, "digits", parameters),
    Hypothesis("2. in context, by key", lambda x: x.matrix, 8, key, "in_context"),
    Hypothesis("3. noisy recall, by key", lambda x: x.matrix, 8, key, "noisy_recall"),
    Hypothesis(
        "4. text, held, given parameters",
        lambda x: x.trained, 19, lambda x: x.held, "text", parameters,
    ),
)  # fmt: skip


def verdict(estimate: float, adjusted: float) -> str:
    """The word that was fixed before the first row."""
    if estimate <= 0:
        return "refuted"
    return "supported" if adjusted < 0.05 else "undecided"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]], ends: str = "") -> list[str]:
    """The lines of a table, whose first column is of words; `ends` is the rule of a last one."""
    numbers = len(headings) - 1 - bool(ends)
    written = [f"| {' | '.join(row).rstrip()} |" for row in (headings, *rows)]
    return [written[0], "|---|" + "---:|" * numbers + ends, *written[1:]]


def primary() -> list[str]:
    """The lines of the table of the hypotheses; one whose rows are not all there has no verdict."""
    samples = [hypothesis.sample() for hypothesis in HYPOTHESES]
    whole = [len(x.y) == of.size for x, of in zip(samples, HYPOTHESES, strict=True)]
    p_values = [p_value(x) if full else 1.0 for x, full in zip(samples, whole, strict=True)]
    rows = []
    for of, x, full, p, adjusted in zip(
        HYPOTHESES, samples, whole, p_values, statistics.holm(p_values), strict=True
    ):
        if full:
            estimate, (low, high) = correlation(x), over_seeds(x, of.predictor, of.task)
            bounds = [f"{low:.2f} to {high:.2f}", over_families(x)]
            numbers = [f"{estimate:.2f}", *bounds, f"{p:.2g}", f"{adjusted:.2g}"]
            shown = [*numbers, verdict(estimate, adjusted)]
        else:
            shown = [*"-----", "rows are missing"]
        rows.append([of.name, str(of.size), *shown])
    headings = ["hypothesis", "cells", "correlation", "over seeds", "over families", "p"]
    return markdown([*headings, "adjusted", ""], rows, "---|")


GROUPS: dict[str, Callable[[Point], bool]] = {
    "trained": lambda x: x.trained,
    "vector": vector,
    "matrix": lambda x: x.trained and x.matrix,
}
COLUMNS: Sequence[tuple[str, str, Callable[[Point], float | None]]] = (
    ("trained", "lag", lag),
    ("trained", "key", key),
    ("trained", "parameters", parameters),
    ("vector", "lag", lag),
    ("vector", "key", key),
    ("vector", "lag, 300 updates", lambda x: x.early),
    ("vector", "parameters", parameters),
    ("matrix", "lag", lag),
    ("matrix", "key", key),
)


def exploratory() -> list[str]:
    """The lines of a table: each task, and the correlations with a predictor in a group."""
    rows = []
    for task in (task for task in TASKS if any(task in x.tasks for x in points())):
        shown = []
        for group, _, predictor in COLUMNS:
            of = sample([x for x in points() if GROUPS[group](x)], predictor, task)
            shown.append(f"{correlation(of):.2f}" if len(of.y) > 5 else "-")
        rows.append([f"`{task}`", *shown])
    return markdown(["task", *(f"{group}: {name}" for group, name, _ in COLUMNS)], rows)


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


def errors() -> list[str]:
    """The lines of a table: the error for a trained cell that was left out, by what is known."""
    rows = []
    cells = [x for x in points() if x.trained and x.key is not None]
    for task in TASKS:
        of = sample(cells, lag, task)
        known = [x for x in cells if x.name in of.names]
        if len(known) < 8:
            continue
        of_lag, of_key, size = (np.array([f(x) for x in known]) for f in (lag, key, parameters))
        kind = np.array([float(x.matrix) for x in known])
        columns = [(), (kind,), (size,), (of_lag, of_key), (of_lag, of_key, size)]
        rows.append([f"`{task}`", *(f"{left_out_error(of, *some):.3f}" for some in columns)])
    known_by = ["mean alone", "vector or matrix", "parameters", "bits by lag and by key", "all"]
    return markdown(["task", *known_by], rows)


def cell_rows() -> list[str]:
    """The lines of a table: the mean bits of each cell on each task that has rows."""
    tasks = [name for name in TASKS if any(name in x.tasks for x in points())]
    rows = []
    for cell in sorted(points(), key=lambda x: -x.tasks.get("digits", 0)):
        shown = [f"{cell.tasks[name]:.2f}" if name in cell.tasks else "-" for name in tasks]
        rows.append([cell.name, *shown])
    return markdown(["cell", *(f"`{name}`" for name in tasks)], rows)


LARGER = "rwkv7"
"""Has more than 100 numbers of state in the second arm."""


def second_arm() -> list[str]:
    """The lines of a table: the hypotheses with the bits of the second arm, nothing given."""
    rows = []
    for of in HYPOTHESES[:3]:
        cells = [x for x in points(ARMS[1]) if of.cells(x) and x.name != LARGER]
        some = sample(cells, of.predictor, of.task)
        if len(some.y) > 5:
            numbers = [f"{correlation(some):.2f}", f"{p_value(some):.2g}"]
            rows.append([of.name.removesuffix(", given parameters"), str(len(some.y)), *numbers])
    return markdown(["at 60,000 parameters", "cells", "correlation", "p"], rows)


def second_arm_cells() -> list[str]:
    """The lines of a table: what each cell has in the second arm, by lag as in the first."""
    names, rows = TASKS[:3], []
    blocks: dict[str, Any] = {key: named.cell for key, named in cells_of(ARMS[1]).items()}
    for x in sorted(points(ARMS[1]), key=lambda x: -(x.lag or 0)):
        width = blocks[f"block-{x.name}-state-bytes-400"].width
        measures = [of_seeds(x.seeds[question]) for question in ("lag", "key")]
        shown = [f"{x.tasks[name]:.2f}" if name in x.tasks else "-" for name in names]
        rows.append([x.name, str(width), *measures, *shown])
    return markdown(["cell", "width", "by lag", "by key", *(f"`{name}`" for name in names)], rows)


def of_seeds(found: Sequence[float]) -> str:
    """The mean, and the lowest and the highest seed in brackets."""
    if not found:
        return "-"
    low, mean, high = map(three_digits, (min(found), float(np.mean(found)), max(found)))
    return f"{mean} ({low} to {high})"


PANELS: Sequence[tuple[str, str, Callable[[Point], float | None]]] = (
    ("digits", "bits by lag", lag),
    ("in_context", "bits by key", key),
    ("noisy_recall", "bits by key", key),
    ("text", "bits held, lags 4 to 16", lambda x: x.held),
    ("selective_copy", "bits by lag", lag),
)

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
    panels = [panel for panel in PANELS if any(panel[0] in x.tasks for x in points())]
    with styles.drawing():
        figure = Figure(figsize=(4 * len(panels), 4.4), layout="constrained")
        all_axes = figure.subplots(1, len(panels))
        for axes, (task, words, predictor) in zip(all_axes, panels, strict=True):
            for cell in points():
                x = predictor(cell)
                if x is None or task not in cell.tasks:
                    continue
                colour = (styles.BLUE, styles.ORANGE)[cell.matrix] if cell.trained else styles.GREY
                axes.plot(x, cell.tasks[task], "o", color=colour, markersize=4)
                axes.annotate(WORDS.get(cell.name, cell.name), (x, cell.tasks[task]), (3, 2),
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

## Bits of each cell

Means of three seeds, on text of seeds 0 and 2.

{cells}

## What orders the cells

Spearman's correlations of bits on a task, exploratory: trained cells, of these 13 with vector and
6 with matrix states; by lag after 300 updates at the best rate of the pilot.

{correlations}

## What predicts a cell

Root mean square error, in bits, for each trained cell left out of a linear fit; of parameters the
logarithm.

{errors}

## At 60,000 parameters

By lag and by key with the lowest and the highest seed. The convolution keeps 3 times the width in
numbers.

{second_cells}

{second}

## Readers of another kind

On `digits` a softmax regression on the last 16, 24, 32, 40 and 64 pixels has {regressions} bits.
On `in_context` an ideal observer that knows the task has {observer:.2f} bits.
"""


def main() -> None:
    """Write the tables, and draw the figure."""
    regressions = (f"{of_last_pixels(pixels):.2f}" for pixels in (16, 24, 32, 40, 64))
    tables = {
        "primary": primary(),
        "cells": cell_rows(),
        "correlations": exploratory(),
        "errors": errors(),
        "second_cells": second_arm_cells(),
        "second": second_arm(),
    }
    written = {name: "\n".join(lines) for name, lines in tables.items()}
    of_readers = {"regressions": ", ".join(regressions), "observer": of_ideal_observer(200)}
    TABLES.write_text(PAGE.format(**written, **of_readers), "utf-8")
    draw(FIGURE)


if __name__ == "__main__":
    main()
