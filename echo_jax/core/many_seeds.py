"""The same pure run for many seeds, mapped over the devices there are.

    settings   a leading axis S: a seed, a lag, a learning rate ... for every run
    pad        S becomes a multiple of the devices, by repeating the last run
    over_runs  each device maps the run over its share: `lax.map` on a CPU, `vmap` elsewhere
    [:S]       whoever reads the results cuts the padding off again

Row s of what comes out is what run s alone gives: bit for bit with `map` on a CPU, and with `vmap`,
whose batched products add up in another order, within a tolerance (`VMAP_TOLERANCE`).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, PartitionSpec

from echo_jax.config import RunConfig, TracedParameters
from echo_jax.core.data import Corpus
from echo_jax.core.evaluation import Evaluation, evaluate
from echo_jax.core.training import Metrics, TrainState, init, run_chunk
from echo_jax.exceptions import ConfigError

SeedMap = Literal["map", "vmap"]
VMAP_TOLERANCE = 1e-5
"""Largest difference of a weight, as a share of the largest, that `vmap` makes in 100 updates on a
CPU; differences grow with further updates."""


def default_seed_map() -> SeedMap:
    """`map` on a CPU, where a core does one seed after the other at no loss; `vmap` elsewhere."""
    return "map" if jax.default_backend() == "cpu" else "vmap"


def devices_for(runs: int, seed_map: SeedMap, limit: int | None = None) -> list[jax.Device]:
    """The devices that so many runs are spread over: never more than runs, nor than `limit`.

    On a CPU `vmap` gets one device: several runs a device under `shard_map` of `vmap` can hang
    there, with two devices on two cores in most tries.
    """
    devices = jax.local_devices()
    if seed_map == "vmap" and devices[0].platform == "cpu":
        return devices[:1]
    return devices[: min(runs, limit or runs)]


def stack_settings(configs: Sequence[RunConfig]) -> TracedParameters:
    """The settings of several runs, each field `[S]`; ConfigError unless their shapes agree."""
    shapes = {config.shapes for config in configs}
    if len(shapes) != 1:
        raise ConfigError(
            f"{len(shapes)} different shapes among {len(configs)} configurations cannot share one "
            "program: group them by their `shapes`"
        )
    seed, lag, learning_rate, stateful = zip(*(c.traced for c in configs), strict=True)
    return TracedParameters(
        jnp.asarray(seed, jnp.int32),
        jnp.asarray(lag, jnp.int32),
        jnp.asarray(learning_rate, jnp.float32),
        jnp.asarray(stateful, bool),
    )


def pad(settings: TracedParameters, devices: int) -> TracedParameters:
    """Repeat the last run until the devices divide the runs: `[S]` to `[S or more]`."""
    runs = len(settings.seed)
    rows = jnp.minimum(jnp.arange(-(-runs // devices) * devices), runs - 1)
    return jax.tree.map(lambda leaf: leaf[rows], settings)


def over_runs(
    function: Callable[..., Any], devices: Sequence[jax.Device], seed_map: SeedMap
) -> Callable[..., Any]:
    """`function(settings, tree, shared)`, mapped over the runs of its first two arguments.

    Args:
      function: pure; of the settings of one run, of a tree of its arrays, and of a tree that all
        runs share.
      devices: their number divides S.
      seed_map: how a device does its share.

    Returns:
      A function of the same arguments, the first two with a leading axis S, as has its result.
    """
    mesh = jax.make_mesh((len(devices),), ("runs",), (AxisType.Auto,), devices=devices)

    def share(settings: TracedParameters, tree: Any, shared: Any) -> Any:
        """What one device does: its runs."""

        def one(run: tuple[TracedParameters, Any]) -> Any:
            return function(*run, shared)

        mapped = (settings, tree)
        return jax.lax.map(one, mapped) if seed_map == "map" else jax.vmap(one)(mapped)

    rows, everywhere = PartitionSpec("runs"), PartitionSpec()
    return jax.shard_map(
        share, mesh=mesh, in_specs=(rows, rows, everywhere), out_specs=rows, check_vma=False
    )


def init_runs(config: RunConfig, devices: Sequence[jax.Device], seed_map: SeedMap) -> Callable:
    """`init` for many runs: settings `[S]` to states with a leading axis S."""
    mapped = over_runs(lambda settings, *_: init(config, settings), devices, seed_map)
    return lambda settings: mapped(settings, None, None)


def state_shapes(config: RunConfig) -> TrainState:
    """The states of all seeds of a run as shapes and types, `[S, ...]`; takes no memory."""
    one = jax.eval_shape(lambda: init(config.shapes, config.traced))
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((config.seeds, *leaf.shape), leaf.dtype), one
    )


def run_chunks(
    config: RunConfig, size: int, devices: Sequence[jax.Device], seed_map: SeedMap
) -> Callable[..., tuple[TrainState, Metrics]]:
    """`run_chunk` for many runs: of settings, states, and the count and corpus that they share."""

    def one(
        settings: TracedParameters, state: TrainState, shared: Any
    ) -> tuple[TrainState, Metrics]:
        count, corpus = shared
        return run_chunk(config, settings, state, size, count, corpus)

    mapped = over_runs(one, devices, seed_map)
    return lambda settings, state, count, corpus=None: mapped(settings, state, (count, corpus))


def evaluate_runs(
    config: RunConfig, devices: Sequence[jax.Device], seed_map: SeedMap
) -> Callable[..., Evaluation]:
    """`evaluate` for many runs, each on its own sequences: of settings, parameters, a corpus."""
    mapped = over_runs(
        lambda settings, params, corpus: evaluate(config, settings, params, corpus),
        devices,
        seed_map,
    )
    return lambda settings, params, corpus=None: mapped(settings, params, corpus)


def train_and_evaluate(
    config: RunConfig,
    settings: TracedParameters,
    seed_map: SeedMap | None = None,
    corpus: Corpus | None = None,
) -> tuple[TrainState, Metrics, Evaluation]:
    """Whole runs in one call: the final states, `Metrics` `[S, N, K]` and `Evaluation`s, all `[S]`.

    Args:
      config: gives every shape, and how many sequences to train on; static.
      settings: of every run, each field `[S]`, as `stack_settings` makes them.
      seed_map: None for the default of the platform.
      corpus: cut the sequences from it; None for random ones.
    """
    runs, sequences = len(settings.seed), config.training.sequences
    how = seed_map or default_seed_map()
    devices = devices_for(runs, how)
    padded = pad(settings, len(devices))
    state = init_runs(config, devices, how)(padded)
    state, metrics = run_chunks(config, sequences, devices, how)(padded, state, sequences, corpus)
    scored = evaluate_runs(config, devices, how)(padded, state.params, corpus)
    return jax.tree.map(lambda leaf: leaf[:runs], (state, metrics, scored))
