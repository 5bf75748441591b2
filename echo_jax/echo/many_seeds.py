"""One pure run, mapped over many seeds and the given devices.

    dynamic    a leading axis S: a seed, a lag, a learning rate ... for every run
    pad        S becomes a multiple of the devices, by repeating the last run
    over_runs  each device maps the run over its share: `vmap`, or on a CPU `lax.map`
    [:S]       the caller cuts the padding off again

With `vmap`, batched products add up in another order: after 100 updates on a CPU, rows agree within
1e-5 of the largest weight, and differences grow with further updates. With `lax.map`, row s of the
result is bit-identical to run s alone, which on a CPU costs no time. tests/echo/test_many_seeds.py
compares the two.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from echo_jax.config import DynamicParams, RunConfig

SeedMap = Literal["map", "vmap"]


class DevicePlan(NamedTuple):
    """The way the seeds of a run are computed, which changes results by rounding only."""

    seed_map: SeedMap  # how a device does its seeds
    device_limit: int | None = None  # use at most so many devices; None for all


def default_seed_map() -> SeedMap:
    """Return `map` on a CPU, where seeds are as fast one after another, and `vmap` elsewhere."""
    return "map" if jax.default_backend() == "cpu" else "vmap"


def devices_for(runs: int, seed_map: SeedMap, limit: int | None = None) -> list[jax.Device]:
    """Return the devices over which `runs` runs are spread: at most one per run.

    There are at most `limit` devices, or as many as jax has if `limit` is None. On a CPU, the
    `seed_map` vmap gets one device, because `shard_map` of `vmap` can hang there if a device has
    several runs. With two devices on two cores, it hung in most tries.
    """
    devices = jax.local_devices()
    if seed_map == "vmap" and devices[0].platform == "cpu":
        return devices[:1]
    return devices[: min(runs, limit or runs)]


def stack_dynamic(configs: Sequence[RunConfig]) -> DynamicParams:
    """Return the dynamic parameters of the S runs `configs`, each field `[S]`.

    The runs have equal static configurations. The fields are NumPy arrays. For jax arrays, jax
    would compile a program for each operation on them, which takes half a second in all.
    """
    fields = zip(*(config.dynamic for config in configs), strict=True)
    types = DynamicParams(np.int32, np.int32, np.float32, bool)
    return DynamicParams(*map(np.array, fields, types))


def pad(of_runs: Any, devices: int) -> Any:
    """Return `of_runs`, leaves `[S, ...]`, with the last run repeated until `devices` divides S."""
    runs = len(jax.tree.leaves(of_runs)[0])
    rows = np.minimum(np.arange(-(-runs // devices) * devices), runs - 1)
    return jax.tree.map(lambda leaf: leaf[rows], of_runs)


def over_runs(
    function: Callable[..., Any],
    devices: Sequence[jax.Device],
    seed_map: SeedMap,
    shared: int = 0,
) -> Callable[..., Any]:
    """Return `function`, which computes one run, mapped over a leading axis S of S runs.

    Arguments and results have this axis, except for the last `shared` arguments, which all runs
    share. The number of `devices` divides S; `seed_map` says how a device maps its runs.
    """
    # Auto, since Explicit, the default of jax 0.10, does not have the bits of a run alone.
    mesh = jax.make_mesh((len(devices),), ("runs",), (AxisType.Auto,), devices=devices)
    rows = PartitionSpec("runs")
    everywhere = PartitionSpec()

    def mapped(*arguments: Any) -> Any:
        """Return the results `[S, ...]` of all runs; each device gets its share of the rows."""
        own = len(arguments) - shared
        if seed_map == "map" and len(jax.tree.leaves(arguments)[0]) == 1:
            # A loop around one run and a mesh of one device change no bit, and take time to trace.
            one = jax.tree.map(lambda leaf: leaf[0], arguments[:own])
            return jax.tree.map(lambda leaf: leaf[None], function(*one, *arguments[own:]))

        def share(*arguments: Any) -> Any:
            """Return the results of the runs of one device."""
            if seed_map == "map":
                # `shard_map` of a `lax.map` never hung on a CPU; see `devices_for`.
                return jax.lax.map(lambda run: function(*run, *arguments[own:]), arguments[:own])
            return jax.vmap(function, (0,) * own + (None,) * shared)(*arguments)

        specs = (rows,) * own + (everywhere,) * shared
        # check_vma: the scan of a run starts from zeros, which vary over no device, and ends with
        # a carry that varies; with the check jax refuses such a scan (0.10).
        return jax.shard_map(share, mesh=mesh, in_specs=specs, out_specs=rows, check_vma=False)(
            *arguments
        )

    return mapped
