"""Time, memory and compilation of an update against each size of a run.

Every point is measured in a fresh process on one core. The time of an update is explained by

    flops of its products / peak of a product  +  bytes of Adam / bandwidth

with the peak and the bandwidth measured in that process, the bandwidth on as many bytes as
weights and moments take, so in the same cache. Not explained are sigmoid, tanh and softmax,
products too small to reach the peak, and the start of each operation.
"""

import dataclasses
import functools
import math
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from echo_jax.config import NetworkConfig, RunConfig, TaskConfig
from echo_jax.speed_benchmark.learner import SMALL_JOB
from echo_jax.speed_benchmark.race import say
from echo_jax.speed_benchmark.worker import Worker, WorkerError

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

MEASURING_SECONDS, TIME_LIMIT = 2.0, 180
"""Measuring time of a point, and the seconds after which it is given up."""

CALL_SECONDS = 0.25
"""Time that one call of the compiled program should take at least."""


class Machine(NamedTuple):
    """The speed of a core: products in flop/s, memory traffic in byte/s."""

    peak: float
    bandwidth: float


NOMINAL = Machine(peak=5e10, bandwidth=1e10)
"""A guess, used only to choose how many sequences one call trains on."""


class Point(NamedTuple):
    """One measurement: its axis, its size there, the run."""

    axis: str
    size: int
    config: RunConfig


def points(fast: bool) -> list[Point]:
    """All points of all axes, or one small one."""
    if fast:
        return [Point("window", SMALL_JOB.task.window, SMALL_JOB)]
    return [Point(axis, n, run(n)) for axis, (sizes, run) in AXES.items() for n in sizes]


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


def adam_bytes(config: RunConfig) -> int:
    """Memory traffic of Adam: weight and both moments read and written, so is the gradient."""
    return 8 * 4 * parameters(config)


def explained(config: RunConfig, machine: Machine) -> float:
    """Seconds of an update by the formula above."""
    return flops(config) / machine.peak + adam_bytes(config) / machine.bandwidth


def measure_all(core: int, fast: bool) -> list[dict[str, Any]]:
    """Measure every point, one after the other, equal runs only once."""
    seconds = 0.1 if fast else MEASURING_SECONDS
    once = functools.cache(functools.partial(_measure_in_process, core, seconds))
    rows = []
    for point in points(fast):
        say(f"{point.axis} {point.size:,}")
        rows.append({"axis": point.axis, "size": point.size} | once(point.config))
    return rows


def _measure_in_process(core: int, seconds: float, config: RunConfig) -> dict[str, Any]:
    with Worker(core, {}, _send_measurement, config, seconds) as worker:
        try:
            return worker.reply(TIME_LIMIT)
        except WorkerError as error:
            return {"failure": str(error)}


def _send_measurement(pipe: Connection, config: RunConfig, seconds: float) -> None:
    pipe.send(measure(config, seconds))


def measure(config: RunConfig, seconds: float) -> dict[str, Any]:
    """Compile and run chunks of sequences for all seeds of a configuration, on one device.

    Returns:
      compile_seconds; microseconds of an update of a seed, measured and explained; peak_mib above
      the imports; flops, adam_bytes; peak and bandwidth.
    """
    import jax

    from echo_jax.core import many_seeds

    before = peak_mib()
    device, size = jax.local_devices()[:1], sequences_in_call(config)
    runs = [dataclasses.replace(config, seed=seed, seeds=1) for seed in range(config.seeds)]
    traced = many_seeds.stack_traced(runs)
    state = jax.jit(many_seeds.init_runs(config.shapes, device, "map"))(traced)
    chunks = many_seeds.run_chunks(config.shapes, size, device, "map")
    begin = time.perf_counter()
    program = jax.jit(chunks, donate_argnums=1).lower(traced, state, size).compile()
    compile_seconds = time.perf_counter() - begin
    call = seconds_of_call(functools.partial(program, traced), state, size, seconds)
    peak, machine = peak_mib() - before, measure_machine(config)
    updates = size * config.task.updates_per_sequence * config.seeds
    return {
        "compile_seconds": compile_seconds,
        "microseconds": 1e6 * call / updates,
        "explained_microseconds": 1e6 * explained(config, machine),
        "peak_mib": peak,
        "flops": flops(config),
        "adam_bytes": adam_bytes(config),
        **machine._asdict(),
    }


def sequences_in_call(config: RunConfig) -> int:
    """Enough to fill the time of a call, and for 40 updates of a seed; at most 100."""
    updates = config.task.updates_per_sequence
    filling = int(CALL_SECONDS / (updates * config.seeds * explained(config, NOMINAL)))
    return min(100, max(1, 40 // updates, filling))


def seconds_of_call(program: Callable[..., Any], state: Any, size: int, seconds: float) -> float:
    """The median over the calls that fit into a time, at least two; the first is not counted."""
    import jax

    times: list[float] = []
    while len(times) < 3 or (sum(times) < seconds and len(times) < 100):
        begin = time.perf_counter()
        state, _ = jax.block_until_ready(program(state, size))
        times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


def peak_mib() -> float:
    """The largest memory that this process ever had resident, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_machine(config: RunConfig) -> Machine:
    """The peak of a product of 512 x 512, and the bandwidth on as much memory as a seed's state."""
    import jax.numpy as jnp

    averaging, floats = jnp.full((512, 512), 1 / 512), min(3 * parameters(config), 2**26)
    product = seconds_of_loop(lambda x: x @ averaging, (512, 512), 20)
    traffic = seconds_of_loop(lambda x: x * 0.999 + 0.001, (floats,), max(10, 2**26 // floats))
    return Machine(2 * 512**3 / product, 2 * 4 * floats / traffic)


def seconds_of_loop(step: Callable[[Any], Any], shape: tuple[int, ...], repeats: int) -> float:
    """Seconds of one step from array to array, starting from ones; the best of three loops."""
    import jax
    import jax.numpy as jnp

    loop = jax.jit(lambda x: jax.lax.fori_loop(0, repeats, lambda _, x: step(x), x))
    array = jax.block_until_ready(loop(jnp.ones(shape)))
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        array = jax.block_until_ready(loop(array))
        times.append(time.perf_counter() - begin)
    return min(times) / repeats


def table(rows: Sequence[dict[str, Any]]) -> str:
    """All points, a line each, in Markdown."""
    lines = [
        "| size | | compile s | us per update and seed | explained us | ratio | peak MiB |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        start = f"| {row['axis']} | {row['size']:,} |"
        if "failure" in row:
            lines.append(f"{start} {row['failure']} | | | | |")
            continue
        ideal, us = row["explained_microseconds"], row["microseconds"]
        lines.append(
            f"{start} {row['compile_seconds']:.2f} | {us:,.1f} | {ideal:,.1f} | {us / ideal:.2f} | "
            f"{row['peak_mib']:,.0f} |"
        )
    return "\n".join(lines)


def draw(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """A panel for each axis, log-log: measured and explained times; last the compile times."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from echo_jax.report.styles import BLUE, ORANGE

    measured = [row for row in rows if "failure" not in row]
    of_axis = {axis: [row for row in measured if row["axis"] == axis] for axis in AXES}
    figure = Figure(figsize=(8, 5.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    *panels, last = figure.subplots(2, 3).ravel()
    for panel, (axis, points) in zip(panels, of_axis.items(), strict=True):
        ideal = [row["explained_microseconds"] for row in points]
        _draw_curves(panel, points, "microseconds", ideal, BLUE)
        panel.set(xlabel=axis, ylabel="us per update" + " and seed" * (axis == "seeds"))
    compiling = [row["compile_seconds"] for row in of_axis["window"]]
    _draw_curves(last, of_axis["window"], "compile_seconds", compiling[:1] * len(compiling), ORANGE)
    last.set(xlabel="window", ylabel="seconds to compile")
    panels[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, format="png")


def _draw_curves(
    panel: Any, points: Sequence[dict[str, Any]], field: str, ideal: Sequence[float], color: str
) -> None:
    """Measured values against sizes, and the ideal; no panel where nothing was measured."""
    from echo_jax.report.styles import GREY

    if not points:
        panel.set_axis_off()
        return
    sizes, values = [row["size"] for row in points], [row[field] for row in points]
    panel.loglog(sizes, ideal, color=GREY, linestyle="--", label="explained")
    panel.loglog(sizes, values, color=color, marker="o", markersize=4, label="measured")
    lowest, highest = np.log10([min([*ideal, *values]), max([*ideal, *values])])
    panel.set_ylim(10.0 ** math.floor(lowest), 10.0 ** math.ceil(highest))
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_minor_formatter("")
    panel.spines[["top", "right"]].set_visible(False)
