"""The same pure run for many seeds, mapped over the devices that it is given.

    dynamic    a leading axis S: a seed, a lag, a learning rate ... for every run
    pad        S becomes a multiple of the devices, by repeating the last run
    over_runs  each device maps the run over its share: `lax.map` on a CPU, `vmap` elsewhere
    [:S]       the caller cuts the padding off again

Row s of the result is what run s alone gives: bit for bit with `map` on a CPU, and with `vmap`,
whose batched products add up in another order, within 1e-5 of the largest weight after 100 updates
on a CPU; differences grow with further updates.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from echo_jax.config import DynamicParams, RunConfig

SeedMap = Literal["map", "vmap"]


def default_seed_map() -> SeedMap:
    """Return `map` for a CPU, where one seed after the other costs nothing; `vmap` elsewhere."""
    return "map" if jax.default_backend() == "cpu" else "vmap"


def devices_for(runs: int, seed_map: SeedMap, limit: int | None = None) -> list[jax.Device]:
    """Return the devices that `runs` are spread over: at most one a run, and at most `limit`.

    On a CPU `vmap` gets one device: `shard_map` of `vmap` over several runs a device can hang
    there (with two devices on two cores it did in most tries).
    """
    devices = jax.local_devices()
    if seed_map == "vmap" and devices[0].platform == "cpu":
        return devices[:1]
    return devices[: min(runs, limit or runs)]


def stack_dynamic(configs: Sequence[RunConfig]) -> DynamicParams:
    """Return the dynamic parameters of several runs of one static configuration, each field `[S]`.

    NumPy arrays: jax would compile a program for each operation on them, half a second in all.
    """
    fields = zip(*(config.dynamic for config in configs), strict=True)
    types = DynamicParams(np.int32, np.int32, np.float32, bool)
    return DynamicParams(*map(np.array, fields, types))


def pad(of_runs: Any, devices: int) -> Any:
    """Repeat the last run until the devices divide the runs: leaves `[S]` to `[S or more]`."""
    runs = len(jax.tree.leaves(of_runs)[0])
    rows = np.minimum(np.arange(-(-runs // devices) * devices), runs - 1)
    return jax.tree.map(lambda leaf: leaf[rows], of_runs)


def over_runs(
    function: Callable[..., Any],
    devices: Sequence[jax.Device],
    seed_map: SeedMap,
    shared: int = 0,
) -> Callable[..., Any]:
    """Return the function of one run, mapped over a leading axis S of its arguments and its result.

    The number of devices divides S. The last `shared` arguments do not have this axis: all runs
    share them.
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
