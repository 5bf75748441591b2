"""How a run grows with each of its sizes, beside what arithmetic and memory traffic explain.

python scripts/benchmark.py --scaling

Every point is measured in a fresh process on one core. An update is explained by

    flops of its products / peak of a product  +  bytes of Adam / bandwidth

with the peak and the bandwidth measured in that process, the bandwidth on as many bytes as
weights and moments take, so in the same cache. Not in it: sigmoid, tanh and softmax, products too
small to reach the peak, and what it costs to start an operation.
"""

import dataclasses
import functools
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from echo_jax.config import NetworkConfig, RunConfig, TaskConfig, from_dict, to_dict
from echo_jax.speed_benchmark.peers import ONE_THREAD, SMALL_JOB, pinned

AXES: dict[str, tuple[int, ...]] = {
    "window": (5, 10, 50, 100, 200, 500, 1000),
    "vocabulary": (100, 1000, 10_000, 50_000),
    "hidden": (50, 100, 256, 512, 1024),
    "seeds": (1, 4, 16, 64, 256, 1024),
    "length": (25, 100, 1000, 10_000),
}
"""The sizes measured; all others stay as in part 4, except that a sequence holds two windows."""

SECONDS = 2.0
"""Measuring time of a point."""

TIME_LIMIT = 180
"""Seconds after which a point is given up."""

CALL = 0.25
"""Seconds that one call of the compiled program should take at least, where it can."""


class Machine(NamedTuple):
    """What a core can do: products in flop/s, memory traffic in byte/s."""

    peak: float
    bandwidth: float


NOMINAL = Machine(peak=5e10, bandwidth=1e10)
"""A guess, only to choose how many sequences one call trains on."""


class Point(NamedTuple):
    """One measurement: the axis it belongs to, its size there, what is run."""

    axis: str
    size: int
    config: RunConfig


def points(fast: bool) -> list[Point]:
    """All points of all axes, or one small one."""
    if fast:
        return [Point("window", SMALL_JOB.task.window, SMALL_JOB)]
    return [Point(axis, size, configure(axis, size)) for axis in AXES for size in AXES[axis]]


def configure(axis: str, size: int) -> RunConfig:
    """Part 4 with one of its sizes changed."""
    match axis:
        case "window":
            return RunConfig(TaskConfig(window=size, length=max(TaskConfig.length, 2 * size)))
        case "vocabulary":
            return RunConfig(TaskConfig(vocab_size=size))
        case "hidden":
            return RunConfig(network=NetworkConfig(hidden_size=size))
        case "seeds":
            return RunConfig(seeds=size)
        case _:
            return RunConfig(TaskConfig(length=size))


def parameters(config: RunConfig) -> int:
    """How many weights the LSTM and its readout have."""
    v, h = config.task.vocab_size, config.network.hidden_size
    return (v + h + 1) * 4 * h + (h + 1) * v


def flops(config: RunConfig) -> int:
    """Of the products of an update.

    They are h U in every step, and the readout, each forward, backward and for the gradient of
    its weights. The one-hot product is a gather, which costs none.
    """
    task, h = config.task, config.network.hidden_size
    steps = task.batch_size * task.window
    return 3 * 2 * (steps * h * 4 * h + task.batch_size * h * task.vocab_size)


def adam_bytes(config: RunConfig) -> int:
    """Of an update: weight and both moments read and written, the gradient written and read."""
    return 8 * 4 * parameters(config)


def explained(config: RunConfig, machine: Machine) -> float:
    """Seconds of an update, by the head of this file."""
    return flops(config) / machine.peak + adam_bytes(config) / machine.bandwidth


def measure_all(core: int, fast: bool) -> list[dict[str, Any]]:
    """Every point, one after the other, the same shapes only once."""
    seconds = 0.1 if fast else SECONDS
    once = functools.cache(functools.partial(measure_in_process, core, seconds))
    rows = []
    for point in points(fast):
        print(f"{point.axis} {point.size:,}", file=sys.stderr, flush=True)
        rows.append({"axis": point.axis, "size": point.size} | once(point.config))
    return rows


def measure_in_process(core: int, seconds: float, config: RunConfig) -> dict[str, Any]:
    """What `measure` returns in a fresh process on one core, or why there is nothing."""
    command = [sys.executable, "-m", __name__, json.dumps(to_dict(config)), str(seconds)]
    with pinned(core):
        try:
            done = subprocess.run(
                command,
                check=True,
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT,
                env={**os.environ, **ONE_THREAD},
            )
        except subprocess.TimeoutExpired:
            return {"failure": f"not done after {TIME_LIMIT} s"}
        except subprocess.CalledProcessError as error:
            return {"failure": (error.stderr.strip().splitlines() or ["no message"])[-1]}
    return json.loads(done.stdout.splitlines()[-1])


def measure(config: RunConfig, seconds: float) -> dict[str, Any]:
    """Compile and run chunks of sequences for all seeds of a configuration, on one device.

    Returns:
      compile_seconds; microseconds an update of a seed takes, and by the model should; peak_mib
      above what the imports took; flops, adam_bytes; peak and bandwidth.
    """
    import jax

    from echo_jax.core import many_seeds

    before = peak_mib()
    device, size = jax.local_devices()[:1], sequences_in_call(config)
    runs = [dataclasses.replace(config, seed=seed, seeds=1) for seed in range(config.seeds)]
    settings = many_seeds.stack_traced(runs)
    state = jax.jit(many_seeds.init_runs(config.shapes, device, "map"))(settings)
    run_chunks = jax.jit(
        many_seeds.run_chunks(config.shapes, size, device, "map"), donate_argnums=1
    )
    begin = time.perf_counter()
    program = run_chunks.lower(settings, state, size).compile()
    compile_seconds = time.perf_counter() - begin
    call = seconds_of_call(functools.partial(program, settings), state, size, seconds)
    peak = peak_mib() - before
    machine = measure_machine(config)
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
    """Enough of them to fill the time of a call, and for 40 updates of a seed; at most 100."""
    updates = config.task.updates_per_sequence
    filling = int(CALL / (updates * config.seeds * explained(config, NOMINAL)))
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
    """The most memory this process ever had resident, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_machine(config: RunConfig) -> Machine:
    """The peak of a product of 512 x 512, and the bandwidth on as much memory as a seed's state."""
    import jax.numpy as jnp

    averaging = jnp.full((512, 512), 1 / 512)
    floats = min(3 * parameters(config), 2**26)
    product = seconds_of_loop(lambda x: x @ averaging, (512, 512), 20)
    passes = max(10, 2**26 // floats)
    traffic = seconds_of_loop(lambda x: x * 0.999 + 0.001, (floats,), passes)
    return Machine(2 * 512**3 / product, 2 * 4 * floats / traffic)


def seconds_of_loop(step: Callable[[Any], Any], shape: tuple[int, ...], repeats: int) -> float:
    """Seconds of one step, from ones of a shape to the next array; the best of three loops."""
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
    """A panel for each axis, log-log: measured, and what is explained; last the compile times."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measured = [row for row in rows if "failure" not in row]
    axes_names = list(dict.fromkeys(row["axis"] for row in measured))
    figure = Figure(figsize=(8, 5.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3).ravel()
    for panel, axis in zip(panels, axes_names, strict=False):
        draw_times(panel, axis, [row for row in measured if row["axis"] == axis])
    for panel in panels[len(axes_names) : -1]:
        panel.set_axis_off()
    draw_compile(panels[-1], [row for row in measured if row["axis"] == "window"])
    panels[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, format="png")


def draw_times(panel: Any, axis: str, rows: Sequence[dict[str, Any]]) -> None:
    """Microseconds per update against a size."""
    from echo_jax.report.styles import BLUE, GREY

    sizes = [row["size"] for row in rows]
    ideal = [row["explained_microseconds"] for row in rows]
    panel.loglog(sizes, ideal, color=GREY, linestyle="--", label="explained")
    times = [row["microseconds"] for row in rows]
    panel.loglog(sizes, times, color=BLUE, marker="o", markersize=4, label="measured")
    label_panel(panel, axis, "us per update" + " and seed" * (axis == "seeds"))
    panel.set_ylim(whole_decades(ideal + times))


def draw_compile(panel: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Seconds of compiling against the window; the ideal is not to grow."""
    from echo_jax.report.styles import GREY, ORANGE

    sizes = [row["size"] for row in rows]
    times = [row["compile_seconds"] for row in rows]
    panel.loglog(sizes, np.full(len(sizes), times[0]), color=GREY, linestyle="--")
    panel.loglog(sizes, times, color=ORANGE, marker="o", markersize=4)
    label_panel(panel, "window", "seconds to compile")
    panel.set_ylim(whole_decades(times))


def whole_decades(values: Sequence[float]) -> tuple[float, float]:
    """The powers of ten around some values."""
    return 10.0 ** math.floor(math.log10(min(values))), 10.0 ** math.ceil(math.log10(max(values)))


def label_panel(panel: Any, below: str, beside: str) -> None:
    """Name both axes of a panel, number the powers of ten alone, take the frame away."""
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_minor_formatter("")
    panel.set_xlabel(below)
    panel.set_ylabel(beside)
    panel.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    print(json.dumps(measure(from_dict(json.loads(sys.argv[1])), float(sys.argv[2]))))
