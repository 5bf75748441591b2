"""The figure of a run: loss and accuracy over training. No display is needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from echo_jax import atomic_files, machine
from echo_jax.config import RunConfig, from_dict
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.report.styles import BLUE, GREY, ORANGE, Format, drawing, image
from echo_jax.runs import result
from echo_jax.runs.metrics_csv import History
from echo_jax.runs.result import Result
from echo_jax.runs.run_folder import FIGURE, METRICS, RESULT

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from echo_jax.report.notebook_figure import NotebookFigure

POINTS = 500
"""Points drawn of a curve that has more."""


class Curves(NamedTuple):
    """The curves in the figure of a run; loss and accuracy of the seeds that are good, `[S, N]`."""

    config: RunConfig
    result: Result
    loss: np.ndarray
    accuracy: np.ndarray


def read(folder: Path) -> Curves:
    """The curves of a run folder; ConfigError where a file of them is missing or damaged."""
    found, path = result.read(folder), folder / METRICS
    try:
        config = from_dict(found.config)
    except ConfigError as error:
        raise StorageError(f"{folder / RESULT} is not the result of a run ({error})") from None
    text = atomic_files.read_bytes(path, machine.memory())
    try:
        return curves_of(config, found, History.of_text(config, text))
    except ValueError:
        raise StorageError(f"{path} is damaged: restore it, or train again") from None


def curves_of(config: RunConfig, found: Result, history: History) -> Curves:
    """The curves of a run, of the seeds that are good."""
    good = ~np.isin(found.by_seed.seed, found.failed.seed)
    loss, accuracy = history.curves()
    return Curves(config, found, loss[good], accuracy[good])


def draw(folder: Path, curves: Curves | None = None, kind: Format = "png") -> Path:
    """Make the figure of a run folder from its metrics and its result; returns its path.

    ConfigError where one of the two is missing or damaged, or the figure cannot be drawn, or a file
    that is no PNG was edited since.
    """
    curves, path = curves or read(folder), (folder / FIGURE).with_suffix(f".{kind}")
    with drawing():
        content = image(figure_of(curves), kind)
    (atomic_files.write_bytes if kind == "png" else atomic_files.write_generated)(path, content)
    return path


def figure_of(curves: Curves) -> "NotebookFigure":
    """The figure of a run."""
    config, found, loss, accuracy = curves
    return training_figure(loss, accuracy, found, curve_title(config))


def curve_title(config: RunConfig) -> str:
    """The title of the figure of a run."""
    task = config.task
    again, seeds = config.training.bptt_batches, config.seeds
    more = f", gradient through {again} batches" * (again > 1) + f", {seeds} seeds" * (seeds > 1)
    return (
        f"Echo of lag {task.lag}, window {task.window}, batch size {task.batch_size}, "
        f"{'stateful' if config.network.stateful else 'stateless'} {config.network.cell}{more}"
    )


def training_figure(
    loss: np.ndarray, accuracy: np.ndarray, result: Result, title: str
) -> "NotebookFigure":
    """Loss and accuracy over training, each `[S, N]`, with the baselines; 800 pixels wide."""
    from echo_jax.report.notebook_figure import NotebookFigure

    figure = NotebookFigure(figsize=(8, 3.6), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=11)
    left, right = figure.subplots(1, 2)
    of_values = result.config["task"]["framing"] == "values"
    names = ("chance, the variance" if of_values else "chance, ln V", "chance, 1/V")
    if result.config["data"]["csv"] is not None:
        names = ("majority", "majority")
    baselines = [(result.baseline_loss, names[0])], [(result.baseline_accuracy, names[1])]
    if result.order_blind_accuracy not in (1.0, result.baseline_accuracy):
        baselines[0].append((result.order_blind_loss, "order-blind"))
        baselines[1].append((result.order_blind_accuracy, "order-blind"))
    _panel(left, loss, BLUE, "loss (squared)" if of_values else "loss (nats)")
    _panel(right, 100 * accuracy, ORANGE, "accuracy (%)")
    left.set_ylim(0, 1.12 * max(result.baseline_loss, float(np.max(loss))))
    right.set_ylim(-2, 106)
    _baselines(left, baselines[0], loss)
    _baselines(right, [(100 * share, name) for share, name in baselines[1]], 100 * accuracy)
    return figure


def _panel(axes: "Axes", values: np.ndarray, colour: str, label: str) -> None:
    """Thin: the running mean of 20 of each seed, or every sequence of one; thick: their median."""
    sequences = values.shape[1]
    width = min(20, sequences)
    kernel = np.full(width, 1 / width)
    means = np.array([np.convolve(curve, kernel, mode="valid") for curve in values])
    at = np.arange(width, sequences + 1)
    thin = (np.arange(1, sequences + 1), values) if len(values) == 1 else (at, means)
    every = 1 if len(values) == 1 else -(-len(at) // POINTS)
    axes.plot(thin[0][::every], thin[1].T[::every], color=colour, alpha=0.25, linewidth=0.7)
    axes.plot(at, np.median(means, axis=0), color=colour, linewidth=1.8)
    axes.set_xlabel("training sequence")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)


def _baselines(axes: "Axes", baselines: Sequence[tuple[float, str]], curves: np.ndarray) -> None:
    """A line for each baseline, with its name where the curves `[S, N]` leave the most room."""
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    x = (np.arange(1, curves.shape[1] + 1) - left) / (right - left)
    y = (curves - low) / (high - low)
    taken: list[Box] = []
    for (value, name), dashes in zip(baselines, ("--", ":"), strict=False):
        axes.axhline(value, color=GREY, linestyle=dashes, linewidth=1.2, zorder=3)
        line, width, height = (value - low) / (high - low), 0.022 * len(name), 0.065
        spots = [
            Box(start, start + width, bottom, bottom + height)
            for bottom in (line, line - height)
            for start in (1 - width, 0.0)
        ]
        crowds = [spot.crowd(x, y, taken) + 0.05 * at for at, spot in enumerate(spots)]
        place = spots[int(np.argmin(crowds))]
        taken.append(place)
        at_left, below = place.left == 0, place.bottom < line
        axes.annotate(
            name, (0.01 if at_left else 1, value), xycoords=("axes fraction", "data"),
            xytext=(0, -3 if below else 3), textcoords="offset points", fontsize=9, color=GREY,
            ha="left" if at_left else "right", va="top" if below else "bottom",
        )  # fmt: skip


class Box(NamedTuple):
    """A place for a name, in fractions of a panel."""

    left: float
    right: float
    bottom: float
    top: float

    def crowd(self, x: np.ndarray, y: np.ndarray, taken: Sequence["Box"]) -> float:
        """The share of the curves x `[N]`, y `[S, N]` in it; more where a name or the edge is."""
        inside = y[:, (self.left <= x) & (x <= self.right)]
        share = np.mean((self.bottom <= inside) & (inside <= self.top)) if inside.size else 0.0
        names = sum(
            self.left < other.right and other.left < self.right
            and self.bottom < other.top and other.bottom < self.top
            for other in taken
        )  # fmt: skip
        return float(share) + names + 10 * (self.bottom < 0 or self.top > 1)
