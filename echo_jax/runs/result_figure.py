"""The figure of a run: loss and accuracy over training. No display is needed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import UNSET

from echo_jax import atomic_files
from echo_jax.config import RunConfig
from echo_jax.report.styles import BLUE, GREY, ORANGE, Format, drawing, image
from echo_jax.runs.run_file import Finished
from echo_jax.runs.run_folder import FIGURE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from echo_jax.report.charts import NotebookFigure


def draw(folder: Path, finished: Finished, kind: Format = "png") -> Path:
    """Make the figure of a run folder; returns its path. ConfigError where it was edited."""
    path = (folder / FIGURE).with_suffix(f".{kind}")
    with drawing():
        content = image(figure_of(finished), kind)
    atomic_files.write_generated(path, content)
    return path


def figure_of(finished: Finished) -> "NotebookFigure":
    """Loss and accuracy over training, with the baselines; 800 pixels wide."""
    from echo_jax.report.charts import NotebookFigure

    config, _, scores, _ = finished
    loss, accuracy = finished.curves()
    of_values = config.task.framing == "values"
    own = config.data.file is not None
    figure = NotebookFigure(figsize=(8, 3.6), dpi=100, layout="constrained")
    figure.suptitle(title_of(config), fontsize=11)
    left, right = figure.subplots(1, 2)
    _panel(left, loss, BLUE, "loss (squared)" if of_values else "loss (nats)")
    _panel(right, 100 * accuracy, ORANGE, "accuracy (%)")
    left.set_ylim(0, 1.12 * max(scores.baseline_loss, float(np.max(loss))))
    right.set_ylim(-2, 106)
    guess = "majority" if own else "chance, the variance" if of_values else "chance, ln V"
    _baseline(left, scores.baseline_loss, guess, "--")
    _baseline(right, 100 * scores.baseline_accuracy, "majority" if own else "chance, 1/V", "--")
    lines: list[Any] = [(f"{scores.k_gram}-gram", scores.k_gram_loss, scores.k_gram_accuracy, "-.")]
    lines.append(("persistence", UNSET, scores.persistence_accuracy, (0, (1, 3))))
    if scores.order_blind_accuracy not in (1.0, scores.baseline_accuracy):
        blind = scores.order_blind_accuracy
        lines.append(("order-blind", scores.order_blind_loss, blind, ":"))
    for name, of_loss, of_accuracy, dashes in lines:
        if of_loss is not UNSET:
            _baseline(left, of_loss, name, dashes)
        if of_accuracy is not UNSET:
            _baseline(right, 100 * of_accuracy, name, dashes)
    for axes in (left, right):
        axes.legend(loc="best", fontsize=9, frameon=False)
    return figure


def title_of(config: RunConfig) -> str:
    """The title of the figure of a run."""
    task = config.task
    kind = "stateful" if config.network.stateful else "stateless"
    title = (
        f"Echo of lag {task.lag}, window {task.window}, batch size {task.batch_size}, "
        f"{kind} {config.network.cell}"
    )
    if config.training.bptt_batches > 1:
        title += f", gradient through {config.training.bptt_batches} batches"
    return f"{title}, {config.seeds} seeds" if config.seeds > 1 else title


def _panel(axes: "Axes", values: np.ndarray, colour: str, label: str) -> None:
    """Thin: the running mean of 20 of each seed, or every sequence of one; thick: their median."""
    sequences = values.shape[1]
    width = min(20, sequences)
    kernel = np.full(width, 1 / width)
    means = np.array([np.convolve(curve, kernel, mode="valid") for curve in values])
    at = np.arange(width, sequences + 1)
    thin: dict[str, Any] = {"color": colour, "alpha": 0.25, "linewidth": 0.7}
    if len(values) == 1:
        axes.plot(np.arange(1, sequences + 1), values[0], **thin)
    else:
        every = -(-len(at) // 500)  # at most 500 points of a curve are drawn
        axes.plot(at[::every], means.T[::every], **thin)
    axes.plot(at, np.median(means, axis=0), color=colour, linewidth=1.8)
    axes.set_xlabel("training sequence")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)


def _baseline(axes: "Axes", value: float, name: str, dashes: Any) -> None:
    axes.axhline(value, color=GREY, linestyle=dashes, linewidth=1.2, zorder=3, label=name)
