"""What the rows of docs/worth say: do the bits of a card order cells on other tasks?

    python benchmarks/worth_tables.py    # a minute; writes docs/worth/README.md and its figure

rows, cards  ─►  what is `Known` of each cell  ─►  correlations over some of them  ─►  tables
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from scipy.special import entr, logsumexp
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

MATRIX = {*FAMILIES[-2], *FAMILIES[-1]}
"""The cells with a matrix state."""

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
        found[card.name.removeprefix("block-").removesuffix("-state-bytes-400")] = known
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
    return bounds(found)


def over_families(sampled: Mapping[str, Known], names: Sequence[str]) -> str:
    """The bounds of 95% of the correlations, families drawn anew; - of two families."""
    known = means(sampled, names)
    families = [np.flatnonzero(np.isin([*sampled], some)) for some in FAMILIES]
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
    known = [means(sampled, of.names) for sampled, of in zip(samples, HYPOTHESES, strict=True)]
    p_values = [p_value(*x) for x in known]
    adjusted, rows = statistics.holm(p_values), []
    for i, of in enumerate(HYPOTHESES):
        estimate = correlation(*known[i])
        intervals = over_seeds(samples[i], of.names), over_families(samples[i], of.names)
        numbers = [f"{estimate:.2f}", *intervals, f"{p_values[i]:.2g}", f"{adjusted[i]:.2g}"]
        title = of.title + ", given parameters" * ("parameters" in of.names)
        words = verdict(estimate, adjusted[i]), at_equal_parameters(of)
        rows.append([title, str(len(samples[i])), *numbers, *words])
    headings = ["hypothesis", "cells", "correlation", "over seeds", "over families", "p"]
    return markdown([*headings, "adjusted", "", "at 60,000 parameters"], rows, "---|---|")


def at_equal_parameters(of: Hypothesis) -> str:
    """The correlation in the second arm, nothing given, and its p; - on the text."""
    sampled = sample(of.group, of.names[:2], ARMS[1])
    if not sampled:
        return "-"
    x = means(sampled, of.names[:2])
    return f"{correlation(*x):.2f} (p {p_value(*x):.2g})"


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


def of_last_pixels(pixels: int) -> float:
    """Bits of a softmax regression that sees the last pixels of a digit, on the final part."""
    known, final = digits.PARTS["training"], digits.PARTS["final"]
    seen = digits.PIXELS[:, -pixels:] / 16
    model = LogisticRegression(max_iter=10_000).fit(seen[known], digits.DIGITS[known])
    shares = model.predict_proba(seen[final])[np.arange(len(final)), digits.DIGITS[final]]
    of_answers = np.bincount(digits.DIGITS[final]) / len(final)
    return float(entr(of_answers).sum() + np.log(shares).mean()) / np.log(2)


def of_ideal_observer(rows: int) -> float:
    """Bits on `in_context` of one that knows the task, and weighs all 8! automata by Bayes.

    The product of what it gives each answer is the mean likelihood of all answers of a row.
    """
    inputs, targets, _ = map(np.asarray, in_context.draw(jax.random.key(0), rows, "final"))
    states, steps = in_context.STATES, in_context.STEPS
    automata = np.array([*itertools.permutations(range(states))], np.int8)
    right = [(automata[:, x] == y).sum(axis=1) for x, y in zip(inputs, targets, strict=True)]
    wrong = in_context.NOISY / states
    logs = np.array(right) * np.log(1 - in_context.NOISY + wrong)
    logs += (steps - np.array(right)) * np.log(wrong)
    nats = (np.log(len(automata)) - logsumexp(logs, axis=1).mean()) / steps
    return float((np.log(states) - nats) / np.log(2))


def errors() -> str:
    """The table of the error for a trained cell that was left out, by what is known of it."""
    rows = []
    for task in TASKS:
        sampled = sample("trained", ("by_key", task))
        by_lag, by_key, size, y = means(sampled, ("by_lag", "by_key", "parameters", task))
        kind, size = np.array([float(cell in MATRIX) for cell in sampled]), np.log(size)
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
    """A panel for each task: its bits against those of the card."""
    with styles.drawing():
        figure = Figure(figsize=(4 * len(TASKS), 4.4), layout="constrained")
        for axes, task in zip(figure.subplots(1, len(TASKS)), TASKS, strict=True):
            predictor, words = PANELS[task]
            for cell, known in cells().items():
                if not (known.get(predictor) and known.get(task)):
                    continue
                at = np.mean(known[predictor]), np.mean(known[task])
                kind = (styles.BLUE, styles.ORANGE)[cell in MATRIX]
                colour = kind if cell.islower() else styles.GREY
                axes.plot(*at, "o", color=colour, markersize=4)
                axes.annotate(WORDS.get(cell, cell), at, (3, 2),
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
