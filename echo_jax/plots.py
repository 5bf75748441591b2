"""Figures of runs. No jax here; matplotlib without its windows, so it needs no display."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#595959"
"""From the palette of Okabe and Ito, told apart with any kind of colour vision."""


def training_curve(
    path: Path, loss: np.ndarray, accuracy: np.ndarray, result: dict[str, Any], title: str
) -> None:
    """Draw loss and accuracy of every training sequence, each with its floors.

    Args:
      path: the PNG to write, 800 pixels wide.
      loss: nats, float `[N]`.
      accuracy: in `[0, 1]`, float `[N]`.
      result: where the floors are.
      title: above both panels.
    """
    figure = Figure(figsize=(8, 3.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    left, right = figure.subplots(1, 2)
    _panel(left, loss, BLUE, "loss (nats)")
    _floor(left, result["floor_loss"], "chance, ln V")
    _panel(right, 100 * accuracy, ORANGE, "accuracy (%)")
    _floor(right, 100 * result["floor_accuracy"], "chance, 1/V")
    if result["floor_order_blind"] not in (1.0, result["floor_accuracy"]):
        _floor(left, result["floor_order_blind_loss"], "order-blind", dashes=":")
        _floor(right, 100 * result["floor_order_blind"], "order-blind", dashes=":")
    left.set_ylim(0, 1.12 * max(result["floor_loss"], float(np.max(loss))))
    right.set_ylim(-2, 106)
    figure.savefig(path, format="png")


def _panel(axes: Axes, values: np.ndarray, colour: str, label: str) -> None:
    """One curve: every sequence faint, its running mean of 20 on top."""
    sequence = np.arange(1, len(values) + 1)
    axes.plot(sequence, values, color=colour, alpha=0.25, linewidth=0.7)
    width = min(20, len(values))
    mean = np.convolve(values, np.full(width, 1 / width), mode="valid")
    axes.plot(sequence[width - 1 :], mean, color=colour, linewidth=1.8)
    axes.set_xlabel("training sequence")
    axes.set_ylabel(label)
    axes.spines[["top", "right"]].set_visible(False)


def _floor(axes: Axes, value: float, label: str, dashes: str = "--") -> None:
    axes.axhline(value, color=GREY, linestyle=dashes, linewidth=1.2)
    axes.annotate(
        label, (1, value), xycoords=("axes fraction", "data"), xytext=(0, 3),
        textcoords="offset points", ha="right", va="bottom", fontsize=9, color=GREY,
    )  # fmt: skip
