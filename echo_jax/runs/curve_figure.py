"""Figures of runs. No jax here; matplotlib without its windows, so it needs no display."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from echo_jax.report.styles import BLUE, GREY, ORANGE

POINTS = 500
"""Points drawn of a curve that has more."""


def training_figure(
    loss: np.ndarray, accuracy: np.ndarray, result: dict[str, Any], title: str
) -> Figure:
    """Loss and accuracy over training, each with its floors, 800 pixels wide.

    Args:
      loss: nats (of framing values squared), float `[S, N]`: every training sequence of every seed.
      accuracy: in `[0, 1]`, float `[S, N]`.
      result: where the floors are.
      title: above both panels.
    """
    figure = Figure(figsize=(8, 3.6), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=11)
    left, right = figure.subplots(1, 2)
    own = result["config"]["data"]["csv"] is not None
    unit, chance = "nats", "chance, ln V"
    if result["config"]["task"]["framing"] == "values":
        unit, chance = "squared", "chance, the variance"
    _panel(left, loss, BLUE, f"loss ({unit})")
    _floor(left, result["floor_loss"], "majority" if own else chance)
    _panel(right, 100 * accuracy, ORANGE, "accuracy (%)")
    _floor(right, 100 * result["floor_accuracy"], "majority" if own else "chance, 1/V")
    if result["floor_order_blind"] not in (1.0, result["floor_accuracy"]):
        _floor(left, result["floor_order_blind_loss"], "order-blind", dashes=":")
        _floor(right, 100 * result["floor_order_blind"], "order-blind", dashes=":")
    left.set_ylim(0, 1.12 * max(result["floor_loss"], float(np.max(loss))))
    right.set_ylim(-2, 106)
    return figure


def _panel(axes: Axes, values: np.ndarray, colour: str, label: str) -> None:
    """Thin: each seed's running mean of 20, of one seed every sequence; thick: their median."""
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


def _floor(axes: Axes, value: float, label: str, dashes: str = "--") -> None:
    axes.axhline(value, color=GREY, linestyle=dashes, linewidth=1.2, zorder=3)
    axes.annotate(
        label, (1, value), xycoords=("axes fraction", "data"), xytext=(0, 3),
        textcoords="offset points", ha="right", va="bottom", fontsize=9, color=GREY,
    )  # fmt: skip
