"""Time, memory and compilation of an update by each size of a run: python benchmarks/scaling.py.

Every point is measured in a fresh process on one core. The time of an update is explained by

    flops of its products / peak of a product  +  bytes of Adam / bandwidth

with the peak and the bandwidth measured in that process, the bandwidth on as many bytes as
weights and moments take, so in the same cache. Not explained are sigmoid, tanh and softmax,
products too small to reach the peak, and the start of each operation.
"""

import functools
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import surroundings
from learner import SMALL_JOB
from matplotlib.figure import Figure
from surroundings import Point, markdown_table, measured_apart, seconds_of_calls

from echo_jax.cells.cell_object import cell_of
from echo_jax.config import NetworkConfig, RunConfig, TaskConfig
from echo_jax.echo import many_seeds, training
from echo_jax.echo.compiled_programs import dynamic_of_seeds
from echo_jax.report import styles
from echo_jax.report.styles import BLUE, GREY

AXES: dict[str, tuple[tuple[int, ...], Callable[[int], RunConfig]]] = {
    "window": (
        (5, 10, 50, 100, 200, 500, 1000),
        lambda size: RunConfig(TaskConfig(window=size, length=max(TaskConfig.length, 2 * size))),
    ),
    "vocabulary": (
        (100, 1000, 10_000, 50_000),
        lambda size: RunConfig(TaskConfig(vocab_size=size)),
    ),
    "hidden": (
        (50, 100, 256, 512, 1024),
        lambda size: RunConfig(network=NetworkConfig(hidden_size=size)),
    ),
    "seeds": ((1, 4, 16, 64, 256, 1024), lambda size: RunConfig(seeds=size)),
    "length": ((25, 100, 1000, 10_000), lambda size: RunConfig(TaskConfig(length=size))),
}
"""The sizes of each axis, and part 4 with one of them; a sequence holds at least two windows."""


class Machine(NamedTuple):
    """The speed of a core: products in flop/s, memory traffic in byte/s."""

    peak: float
    bandwidth: float


def main(fast: bool = False, figure: Path | None = None, out: Path | None = None) -> None:
    """Measure how the time of an update grows with each size of a run, on one core.

    Args:
      fast: measure one very small size, to see that everything works; the times mean nothing.
      figure: an SVG file for the figure of all sizes; one that is there is replaced.
      out: a new JSON file for all that was measured.
    """
    with surroundings.measuring(out) as (measured, core):
        points: list[Point] = [
            ({"axis": axis, "size": n}, (run(n), 2.0))
            for axis, (ns, run) in AXES.items()
            for n in ns
        ]
        if fast:
            points = [({"axis": "window", "size": SMALL_JOB.task.window}, (SMALL_JOB, 0.1))]
        rows = measured["points"] = measured_apart(core, measure, points)
        print(table(rows))
    if figure:
        with styles.drawing():
            figure.write_bytes(styles.image(draw(rows), "svg"))


def parameters(config: RunConfig) -> int:
    """The number of weights of the LSTM and its readout."""
    v, h = config.task.vocab_size, config.network.hidden_size
    return (v + h + 1) * 4 * h + (h + 1) * v


def flops(config: RunConfig) -> int:
    """The operations of the products of an update.

    They are h U in every step, and the readout, each forward, backward and for the gradient of its
    weights. The one-hot product is a gather, which takes none.
    """
    task, h = config.task, config.network.hidden_size
    steps = task.batch_size * task.window
    return 3 * 2 * (steps * h * 4 * h + task.batch_size * h * task.vocab_size)


def explained(config: RunConfig, machine: Machine) -> float:
    """Seconds of an update by the formula above.

    Adam reads and writes weights, both moments and gradients, 4 bytes each.
    """
    return flops(config) / machine.peak + 8 * 4 * parameters(config) / machine.bandwidth


def measure(config: RunConfig, seconds: float) -> dict[str, float]:
    """Compile and run chunks of sequences for all seeds of a configuration, on one device.

    Gives compile_seconds; microseconds of an update of a seed, measured and explained; peak_mib
    above the imports; peak and bandwidth.
    """
    before = peak_mib()
    device, updates = jax.local_devices()[:1], config.task.updates_per_sequence
    # a call takes a quarter of a second by a guess of the speed, or 40 updates of a seed
    guess = updates * config.seeds * explained(config, Machine(peak=5e10, bandwidth=1e10))
    size = min(100, max(1, 40 // updates, int(0.25 / guess)))
    dynamic = dynamic_of_seeds(config, devices=1)
    learner = training.build_learner(config, cell_of(config))
    over = functools.partial(many_seeds.over_runs, devices=device, seed_map="map")
    chunk = functools.partial(training.run_chunk, config.static_config, learner, size)
    run_chunk = jax.jit(over(chunk, shared=2), donate_argnums=1)
    state = jax.jit(over(functools.partial(training.init, learner)))(dynamic)
    begin = time.perf_counter()
    program = run_chunk.lower(dynamic, state, size, None).compile()
    compile_seconds = time.perf_counter() - begin

    def train() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(program(dynamic, state, size, None))

    calls = seconds_of_calls(train, seconds)
    peak, machine = peak_mib() - before, measure_machine(config)
    return {
        "compile_seconds": compile_seconds,
        "microseconds": 1e6 * statistics.median(calls[1:]) / (size * updates * config.seeds),
        "explained_microseconds": 1e6 * explained(config, machine),
        "peak_mib": peak,
        **machine._asdict(),
    }


def peak_mib() -> float:
    """The largest memory that this process ever had resident, MiB."""
    import resource  # of Unix

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_machine(config: RunConfig) -> Machine:
    """The peak of a product of 512 x 512, and the bandwidth on as much memory as a seed's state."""
    averaging, floats = jnp.full((512, 512), 1 / 512), min(3 * parameters(config), 2**26)
    product = seconds_of_loop(lambda x: x @ averaging, (512, 512), 20)
    traffic = seconds_of_loop(lambda x: x * 0.999 + 0.001, (floats,), max(10, 2**26 // floats))
    return Machine(2 * 512**3 / product, 2 * 4 * floats / traffic)


def seconds_of_loop(step: Callable[[Any], Any], shape: tuple[int, ...], repeats: int) -> float:
    """Seconds of one step from array to array, starting from ones; the best of three loops."""
    loop = jax.jit(lambda x: jax.lax.fori_loop(0, repeats, lambda _, x: step(x), x))
    array = jax.block_until_ready(loop(jnp.ones(shape)))
    return min(seconds_of_calls(lambda: jax.block_until_ready(loop(array)), 0)) / repeats


def table(rows: Sequence[dict[str, Any]]) -> str:
    """All points, a line each, in Markdown."""
    headings = ["size", "", "compile s", "us per update and seed", "explained us", "ratio"]

    def line(row: dict[str, Any]) -> list[str]:
        labels = [row["axis"], f"{row['size']:,}"]
        if "failure" in row:
            return [*labels, row["failure"]]
        ideal, us = row["explained_microseconds"], row["microseconds"]
        times = [f"{row['compile_seconds']:.2f}", f"{us:,.1f}", f"{ideal:,.1f}"]
        return [*labels, *times, f"{us / ideal:.2f}", f"{row['peak_mib']:,.0f}"]

    return markdown_table([*headings, "peak MiB"], map(line, rows))


def draw(rows: Sequence[dict[str, Any]]) -> Figure:
    """A panel for each axis, log-log: measured and explained times; last the compile times."""
    figure = Figure(figsize=(8, 5.4), dpi=100, layout="constrained")
    panels = figure.subplots(2, 3).ravel()
    for panel, axis in zip(panels, [*AXES, "window"], strict=True):
        of_axis = [row for row in rows if row["axis"] == axis and "failure" not in row]
        name, label = "microseconds", "us per update" + " and seed" * (axis == "seeds")
        if panel is panels[-1]:
            name, label = "compile_seconds", "seconds to compile"
        sizes, values = ([row[key] for row in of_axis] for key in ("size", name))
        panel.loglog(sizes, values, color=BLUE, marker="o", markersize=4, label="measured")
        if name == "microseconds":
            ideal = [row["explained_microseconds"] for row in of_axis]
            panel.loglog(sizes, ideal, "--", color=GREY, label="explained")
        panel.margins(y=0.4)
        panel.spines[["top", "right"]].set_visible(False)
        panel.set(xlabel=axis, ylabel=label)
    panels[0].legend(frameon=False, fontsize=9)
    return figure


if __name__ == "__main__":
    surroundings.run(main)
