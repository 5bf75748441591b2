"""The linear memory capacity: how well a linear readout of the state gives each past input.

Jaeger 2001, "Short term memory in echo state networks".
"""

from collections.abc import Iterator
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.core.data import Purpose, purpose_key, uniform_tokens
from echo_jax.core.network import Params
from echo_jax.memory_benchmark.measures.capacity import states
from echo_jax.memory_benchmark.parallel_runs import ParallelRuns, RawRow
from echo_jax.memory_benchmark.training import Run, Training
from echo_jax.report.number_formats import plain


def rows(
    training: Training, parallel: ParallelRuns, runs: list[Run], last: Params
) -> Iterator[RawRow]:
    """The raw rows `linear` of all seeds, at their initial and their trained weights, or none."""
    lags = training.protocol.linear_lags
    first = parallel.measure(lambda run, _: training.init(run).params, runs, None)
    drive = jax.jit(lambda run, params: drive_streams(training, run, params))
    found, stacked = [], parallel.stacked(runs)
    for i, run in enumerate(runs):
        row: RawRow = {"kind": "linear", "seed": run.seed, "lags": list(range(1, lags + 1))}
        for name, params in (("trained", last), ("untrained", first)):
            of_seed = jax.tree.map(lambda x, i=i: x[i], (stacked, params))
            seen, tokens = jax.device_get(drive(*of_seed))
            capacity, null = linear_capacity(seen, tokens, lags)
            row |= {name: plain(capacity, ".6f"), f"{name}_null": plain(null, ".6f")}
        found.append(row)
        parallel.interrupts.check()
    yield from found


def drive_streams(training: Training, run: Run, params: Params) -> tuple[chex.Array, chex.Array]:
    """States of two long streams `[2, T, D]` and their tokens `[2, T]`, without the washout."""
    protocol = training.protocol
    key = jax.random.fold_in(purpose_key(run.seed, Purpose.EVALUATION), 2**31 - 3)
    shape = (2, protocol.washout + protocol.linear_lags + protocol.linear_steps)
    tokens = uniform_tokens(key, shape, training.ladder.vocab_size)
    seen = states(training.network, params, tokens)
    return jnp.swapaxes(seen, 0, 1)[:, protocol.washout :], tokens[:, protocol.washout :]


def linear_capacity(seen: np.ndarray, tokens: np.ndarray, lags: int) -> tuple[Any, Any]:
    """The linear memory function of each lag from 1, and its null: float64 `[M]` each.

    The squared correlation, on the second stream, of the input n steps before with a ridge readout
    of the state that was fitted to the first stream. The sum over all lags is at most the number of
    state dimensions. The null is the same for inputs half a stream away, of which the state holds
    nothing: what the estimate gives by chance. States are `[2, T, D]` and tokens `[2, T]`; state
    numbers that are constant in the first stream count as 0.
    """
    seen = np.asarray(seen, np.float64)[:, lags:]
    centre, deviation = seen[0].mean(axis=0), seen[0].std(axis=0)
    varies = deviation > 1e-5 * np.abs(seen[0]).max(axis=0)
    fit, tried = (seen - centre) * np.where(varies, 1 / np.where(varies, deviation, 1.0), 0.0)
    inputs = np.asarray(tokens, np.float64)
    targets = np.stack([inputs[:, lags - n : inputs.shape[1] - n] for n in range(1, lags + 1)], -1)
    targets = np.concatenate([targets, np.roll(targets, targets.shape[1] // 2, axis=1)], axis=2)
    ridge = fit.T @ fit + 1e-7 * len(fit) * np.eye(fit.shape[1])  # the variances of `fit` are 1
    wanted = targets[0] - targets[0].mean(axis=0)
    answers = tried @ np.linalg.solve(ridge, fit.T @ wanted)
    x, y = answers - answers.mean(axis=0), targets[1] - targets[1].mean(axis=0)
    product = (x**2).sum(axis=0) * (y**2).sum(axis=0)
    found = (x * y).sum(axis=0) ** 2 / np.where(product > 0, product, 1.0)
    return found[:lags], found[lags:]
