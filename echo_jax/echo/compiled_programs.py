"""Compile the programs of a run, and train chunk by chunk with them.

The three programs make the initial state, train on a chunk of sequences, and evaluate. The first
two are compiled before the clock of training starts; the evaluation may be compiled in the
background while training goes on.
"""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from echo_jax.config import DynamicParams, RunConfig, TaskConfig
from echo_jax.echo import evaluation, many_seeds, training
from echo_jax.echo.data import Corpus
from echo_jax.echo.evaluation import Evaluation
from echo_jax.echo.many_seeds import DevicePlan
from echo_jax.echo.training import Learner, Metrics
from echo_jax.learner.network import Network, Params
from echo_jax.learner.update import TrainState, train_chunks
from echo_jax.machine import has_wide_vectors


class Chunk(NamedTuple):
    """The outcome of a chunk of training.

    The score of a sequence is the mean over those of its updates that have a target.
    """

    done: int  # sequences trained on so far
    state: TrainState  # of every seed; valid until the next chunk starts, which reuses its memory
    loss: np.ndarray  # of each sequence of the chunk, float32 `[S, count]`
    accuracy: np.ndarray


class Programs(NamedTuple):
    """The compiled functions of a run of S seeds.

    Dynamic parameters, states and results have a leading axis of seeds, padded by `many_seeds.pad`.
    """

    init: Any  # dynamic parameters to states; None where it was not asked for
    run_chunk: Callable[..., tuple[TrainState, Metrics]]  # (dynamic, states, a count, corpus)
    evaluate: "Future[Timed]"  # (dynamic, params, corpus) to `Evaluation`, compiled meanwhile
    network: Network  # of every seed
    devices: list[jax.Device]  # that the seeds are spread over
    seeds: int  # S
    chunk: int  # sequences of a chunk, at most
    bytes: int  # memory of a chunk on all devices: arguments, results, scratch

    def dynamic(self, config: RunConfig) -> DynamicParams:
        """Return the dynamic parameters of every seed of `config`, padded for the devices."""
        return dynamic_of_seeds(config, len(self.devices))

    def placed(self, state: TrainState) -> TrainState:
        """Return `state`, NumPy leaves `[S, ...]`, as jax arrays, padded for the devices."""
        return jax.tree.map(jnp.array, many_seeds.pad(state, len(self.devices)))

    def train(
        self,
        dynamic: DynamicParams,
        state: TrainState,
        sequences: range,
        task: TaskConfig,
        corpus: Corpus | None = None,
        every: int | None = None,
    ) -> Iterator[Chunk]:
        """Train on a range of `sequences` of `task`, from `state`, and yield each `Chunk`.

        No chunk crosses a multiple of `every` sequences, where a checkpoint is due; None sets no
        such limit. `dynamic` and `state` have the padded parameters and states of the seeds. A
        `corpus` has the user's own values.
        """
        updates = task.updates_with_targets

        def run_chunk(state: TrainState, count: int) -> tuple[TrainState, Metrics]:
            return self.run_chunk(dynamic, state, count, corpus)

        chunks = train_chunks(run_chunk, state, sequences, self.chunk, every)
        for done, count, after, metrics in chunks:
            kept = (m[: self.seeds, :count][..., updates] for m in metrics)
            yield Chunk(done, after, *(np.mean(each, -1) for each in kept))

    def score(
        self, dynamic: DynamicParams, params: Params, corpus: Corpus | None = None
    ) -> Evaluation:
        """Return the `Evaluation` of `params` for every seed, NumPy leaves `[S, ...]`.

        Each seed has its own sequences. `dynamic` and `params` are padded, `[S or more, ...]`.
        """
        scored = jax.device_get(self.evaluate.result().program(dynamic, params, corpus))
        return jax.tree.map(lambda leaf: leaf[: self.seeds], scored)


class Timed(NamedTuple):
    """A compiled program and the seconds that compiling it took."""

    program: Any
    seconds: float


def compile_programs(
    config: RunConfig, learner: Learner, chunk: int, plan: DevicePlan, corpus: Corpus | None = None
) -> Programs:
    """Return the compiled programs of a run of `config` by `learner`; nothing is run yet.

    `chunk` is the largest number of sequences in a chunk, and `plan` says how the seeds are
    computed. A `corpus` has the user's own values, or their shapes.
    """
    # The end of the block waits for the evaluation.
    with ThreadPoolExecutor(1) as background:
        return start_compiling(config, learner, chunk, plan, corpus, background)


def start_compiling(  # noqa: PLR0913, PLR0917 - the last three say how, not what
    config: RunConfig,
    learner: Learner,
    chunk: int,
    plan: DevicePlan,
    corpus: Corpus | None,
    background: Executor,
    with_init: bool = True,
) -> Programs:
    """Return the programs as `compile_programs` does, without waiting for the evaluation.

    Threads of `background` compile the chunk of training, which takes longest, and the evaluation.
    Meanwhile this thread compiles the initial state, and then waits for the chunk. A resumed run
    needs no initial state, and passes `with_init` False.
    """
    devices = many_seeds.devices_for(config.seeds, *plan)
    dynamic = dynamic_of_seeds(config, len(devices))
    over = functools.partial(many_seeds.over_runs, devices=devices, seed_map=plan.seed_map)
    static = config.static_config
    train = functools.partial(training.run_chunk, static, learner, chunk)
    score = functools.partial(evaluation.evaluate, static, learner.network)
    init = jax.jit(over(functools.partial(training.init, learner)))
    # Donated, else there are two copies of weights and moments.
    run_chunk = jax.jit(over(train, shared=2), donate_argnums=1)
    evaluate = jax.jit(over(score, shared=1))
    state = jax.eval_shape(init, dynamic)

    # Traced here and compiled there: two traces at once take longer than one after the other.
    chunk_program = run_chunk.lower(dynamic, state, chunk, corpus)
    longest = background.submit(chunk_program.compile, options_of_training(config))
    traced = init.lower(dynamic) if with_init else None
    compiled_meanwhile = background.submit(  # traced there too: nothing waits for it here
        timed, lambda: evaluate.lower(dynamic, state.params, corpus).compile()
    )
    initial = traced.compile() if traced else None  # before the chunk is waited for
    compiled = longest.result()
    return Programs(
        init=initial,
        run_chunk=compiled,
        evaluate=compiled_meanwhile,
        network=learner.network,
        devices=devices,
        seeds=config.seeds,
        chunk=chunk,
        bytes=memory_of(compiled) * len(devices),
    )


WIDE = {"lstm", "lstm-chrono", "gru", "simple"}  # cells whose training gains from wide vectors


def options_of_training(config: RunConfig) -> dict[str, str | bool]:
    """Return XLA's options for compiling the training of `config`.

    The options ask for vectors of 512 bits where these save time, and are empty elsewhere. By
    default XLA uses vectors of 256 bits. With 512 bits, an update of part 4 takes 0.9 of the time,
    and its results are bit-identical; jax 0.10 to 0.12 accept the option. Mamba-2 would take
    longer, and its results would differ in last bits.
    """
    task, network = config.task, config.network
    # XLA sums a product of a matrix and a vector in as many parts as a vector has numbers. A size
    # of 1 makes such products; an embedding or an optimizer of the user's may have them too.
    matrices = min(task.batch_size, task.vocab_size, network.hidden_size) > 1
    usual = task.framing == "classes" and network.encoding == "one-hot"
    same_bits = matrices and usual and not config.training.of_optax
    if network.cell in WIDE and same_bits and has_wide_vectors():
        return {"xla_cpu_prefer_vector_width": "512"}
    return {}


def memory_of(program: Any) -> int:
    """Return the bytes of the compiled `program` on one device: arguments, results and scratch."""
    size = program.memory_analysis()
    taken = size.argument_size_in_bytes + size.output_size_in_bytes + size.temp_size_in_bytes
    # Donated memory is among the arguments and among the results, and is counted once.
    return int(taken - size.alias_size_in_bytes)


def dynamic_of_seeds(config: RunConfig, devices: int) -> DynamicParams:
    """Return the dynamic parameters of the seeds of `config`, padded for `devices` devices."""
    seeds = range(config.seed, config.seed + config.seeds)
    runs = [dataclasses.replace(config, seed=seed, seeds=1) for seed in seeds]
    return many_seeds.pad(many_seeds.stack_dynamic(runs), devices)


class Stopwatch:
    """The wall-clock seconds of timed blocks, by name, in the order of their timing."""

    def __init__(self) -> None:
        """Start without any times."""
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Keep the seconds that the `with` block takes, under `name`."""
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start


def timed(function: Callable[[], Any]) -> Timed:
    """Call `function`, which returns a program; return the program and the seconds of the call."""
    start = time.perf_counter()
    returned = function()
    return Timed(returned, time.perf_counter() - start)
