"""Train the small configuration of `seeds_worker` with the seeds divided among processes.

    python processes_worker.py COORDINATOR PROCESSES PROCESS OUT SEEDS [WHAT]

WHAT happens instead of training: `compute` or `wait` for ever, `fail` with a ConfigError in the
last process, `stop` when a signal came, `messages` of all kinds. What a process does is
appended to OUT.I: its pid, then a word for each step.
"""

import dataclasses
import functools
import os
import signal
import sys
import time
from pathlib import Path

from echo_jax import machine, processes
from echo_jax.exceptions import ConfigError


def main(coordinator, count, process, out, seed_count, what="train"):
    flags = (coordinator,) if coordinator == "auto" else (coordinator, int(count), int(process))
    given = processes.Processes(*flags)
    if given.several and not processes.is_child():
        sys.exit(processes.supervise())

    def note(word):
        with Path(f"{out}.{process}").open("a") as file:
            file.write(f"{word}\n")

    note(f"pid {os.getpid()}")
    asked = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: asked.append(number))
    with processes.joined(given) as group:
        group.resume_with(Path("runs/some"))
        note("joined")
        DO[what](group, note, asked, out, int(seed_count))
    note("left")
    sys.exit(128 + asked[0] if asked else 0)


def train_seeds(some):
    """States, metrics and evaluations of some seeds, trained on one device."""
    import jax
    from seeds_worker import SMALL

    from echo_jax.core import many_seeds

    runs = [dataclasses.replace(SMALL, seed=seed) for seed in some]
    work = jax.jit(functools.partial(many_seeds.train_and_evaluate, SMALL.shapes, seed_map="map"))
    return work(many_seeds.stack_settings(runs))


def train(group, note, asked, out, seed_count):
    import jax
    import numpy as np

    machine.use_cpu_devices(1)
    machine.use_compilation_cache()
    mine = train_seeds(group.share(seed_count))
    note(f"trained {len(group.share(seed_count))}")
    whole = group.gather(mine)
    assert (whole is None) == (not group.writes)
    if group.writes:
        np.savez(out, *jax.tree.leaves(whole))


def compute(group, note, *_):
    import jax

    run = jax.jit(lambda x: jax.lax.fori_loop(0, 10_000, lambda i, y: y * 1.0001, x))
    run(1.0).block_until_ready()
    note("ready")
    while True:
        run(1.0).block_until_ready()


def wait(group, note, *_):
    """Process 1 never sends; the others wait for it, or for process 0."""
    note("ready")
    if group.process == 1:
        time.sleep(1000)
    group.any_of(False)


def fail(group, note, *_):
    if group.process == group.processes - 1:
        raise ConfigError("seeds 7 are too many: use 6")
    group.any_of(False)


def stop(group, note, asked, *_):
    note("ready")
    while not group.any_of(bool(asked)):
        time.sleep(0.05)


def messages(group, note, *_):
    """Bytes longer than one message may be, and the cost of `any_of`."""
    long = bytes(range(256)) * 12_345
    parts = group.gather_bytes(long[group.process :])
    assert parts is None or parts == [long[process:] for process in range(group.processes)]
    for data in (long, b""):
        assert group.broadcast(data if group.writes else None) == data
    assert [group.any_of(group.process == who) for who in (0, 1, -1)] == [True, True, False]
    start = time.perf_counter()
    for _ in range(200):
        group.any_of(False)
    note(f"any_of {(time.perf_counter() - start) / 200 * 1e3:.2f} ms")
    left = group._client.key_value_dir_get(processes.ROOT) if group.writes else []
    assert len(left) <= 2, left  # the last answer, and perhaps what the others say next


DO = {function.__name__: function for function in (train, compute, wait, fail, stop, messages)}

if __name__ == "__main__":
    main(*sys.argv[1:])
