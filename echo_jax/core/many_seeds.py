"""The same pure run for many seeds, mapped over the devices that it is given.

    dynamic    a leading axis S: a seed, a lag, a learning rate ... for every run
    pad        S becomes a multiple of the devices, by repeating the last run
    over_runs  each device maps the run over its share: `lax.map` on a CPU, `vmap` elsewhere
    [:S]       the caller cuts the padding off again

Row s of the result is what run s alone gives: bit for bit with `map` on a CPU, and with `vmap`,
whose batched products add up in another order, within a tolerance (`VMAP_TOLERANCE`).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import AxisType, PartitionSpec

from echo_jax.config import DynamicParams, RunConfig
from echo_jax.core.data import Corpus
from echo_jax.core.evaluation import Evaluation, evaluate
from echo_jax.core.network import Compute, build_network
from echo_jax.core.training import Metrics, TrainState, init, run_chunk
from echo_jax.exceptions import ConfigError

SeedMap = Literal["map", "vmap"]

VMAP_TOLERANCE = 1e-5
"""Largest difference of a weight, relative to the largest weight, that `vmap` makes in 100 updates
on a CPU; differences grow with further updates."""


def default_seed_map() -> SeedMap:
    """`map` on a CPU, where a core does one seed after the other at no loss; `vmap` elsewhere."""
    return "map" if jax.default_backend() == "cpu" else "vmap"


def devices_for(runs: int, seed_map: SeedMap, limit: int | None = None) -> list[jax.Device]:
    """The devices that a number of runs is spread over: at most one a run, and at most `limit`.

    On a CPU `vmap` gets one device: `shard_map` of `vmap` over several runs a device can hang
    there (with two devices on two cores it did in most tries).
    """
    devices = jax.local_devices()
    if seed_map == "vmap" and devices[0].platform == "cpu":
        return devices[:1]
    return devices[: min(runs, limit or runs)]


def stack_dynamic(configs: Sequence[RunConfig]) -> DynamicParams:
    """The dynamic parameters of several runs, each field `[S]`; ConfigError unless shapes agree.

    NumPy arrays: jax would compile a program for each operation on them, half a second in all.
    """
    shapes = {config.static_config for config in configs}
    if len(shapes) != 1:
        raise ConfigError(
            f"{len(shapes)} different shapes among {len(configs)} configurations cannot share one "
            "program: group them by their `static_config`"
        )
    fields = zip(*(config.dynamic for config in configs), strict=True)
    types = DynamicParams(np.int32, np.int32, np.float32, bool)
    return DynamicParams(*map(np.array, fields, types))


def pad(dynamic: DynamicParams, devices: int) -> DynamicParams:
    """Repeat the last run until the devices divide the runs: `[S]` to `[S or more]`."""
    runs = len(dynamic.seed)
    rows = np.minimum(np.arange(-(-runs // devices) * devices), runs - 1)
    return jax.tree.map(lambda leaf: leaf[rows], dynamic)


def over_runs(
    function: Callable[..., Any], devices: Sequence[jax.Device], seed_map: SeedMap
) -> Callable[..., Any]:
    """`function(dynamic, tree, shared)`, mapped over the runs of its first two arguments.

    They and the result get a leading axis S, which the number of devices divides; `shared` is a
    tree that all runs share.
    """
    mesh = jax.make_mesh((len(devices),), ("runs",), (AxisType.Auto,), devices=devices)

    def share(dynamic: DynamicParams, tree: Any, shared: Any) -> Any:
        """The runs of one device."""
        if seed_map == "map":
            return jax.lax.map(lambda run: function(*run, shared), (dynamic, tree))
        return jax.vmap(function, in_axes=(0, 0, None))(dynamic, tree, shared)

    rows, everywhere = PartitionSpec("runs"), PartitionSpec()
    return jax.shard_map(
        share, mesh=mesh, in_specs=(rows, rows, everywhere), out_specs=rows, check_vma=False
    )


def state_shapes(config: RunConfig) -> TrainState:
    """The states of all seeds of a run as shapes and types, `[S, ...]`; takes no memory."""
    one = jax.eval_shape(lambda: init(config.static_config, config.dynamic))
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((config.seeds, *leaf.shape), leaf.dtype), one
    )


def init_runs(config: RunConfig, devices: Sequence[jax.Device], seed_map: SeedMap) -> Callable:
    """`training.init` for many runs: dynamic parameters `[S]` to states `[S, ...]`."""
    mapped = over_runs(lambda dynamic, *_: init(config, dynamic), devices, seed_map)
    return lambda dynamic: mapped(dynamic, None, None)


def run_chunks(
    config: RunConfig,
    size: int,
    devices: Sequence[jax.Device],
    seed_map: SeedMap,
    compute: Compute = "fast",
) -> Callable[..., tuple[TrainState, Metrics]]:
    """`training.run_chunk` for many runs: of dynamic parameters, states, and a count and corpus."""
    network = build_network(config, compute)

    def one(dynamic: DynamicParams, state: TrainState, shared: Any) -> tuple[TrainState, Metrics]:
        count, corpus = shared
        return run_chunk(network, dynamic, state, size, count, corpus)

    mapped = over_runs(one, devices, seed_map)
    return lambda dynamic, state, count, corpus=None: mapped(dynamic, state, (count, corpus))


def evaluate_runs(
    config: RunConfig,
    devices: Sequence[jax.Device],
    seed_map: SeedMap,
    compute: Compute = "fast",
) -> Callable[..., Evaluation]:
    """`evaluation.evaluate` for many runs, each on its own sequences: of params and a corpus."""
    mapped = over_runs(
        lambda dynamic, params, corpus: evaluate(config, dynamic, params, corpus, compute),
        devices,
        seed_map,
    )
    return lambda dynamic, params, corpus=None: mapped(dynamic, params, corpus)


def train_and_evaluate(
    config: RunConfig,
    dynamic: DynamicParams,
    seed_map: SeedMap | None = None,
    corpus: Corpus | None = None,
) -> tuple[TrainState, Metrics, Evaluation]:
    """Whole runs in one call: the final states, `Metrics` `[S, N, K]` and `Evaluation`s `[S]`.

    The configuration, which is static, gives every shape and the number of sequences.
    """
    runs, sequences = len(dynamic.seed), config.training.sequences
    how = seed_map or default_seed_map()
    devices = devices_for(runs, how)
    padded = pad(dynamic, len(devices))
    state = init_runs(config, devices, how)(padded)
    state, metrics = run_chunks(config, sequences, devices, how)(padded, state, sequences, corpus)
    scored = evaluate_runs(config, devices, how)(padded, state.params, corpus)
    return jax.tree.map(lambda leaf: leaf[:runs], (state, metrics, scored))
