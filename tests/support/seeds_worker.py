"""Run a small configuration for some seeds on some CPU devices; leave every leaf in a file.

    python seeds_worker.py DEVICES map|vmap OUT SEED ...

A process of its own, because the number of CPU devices is fixed when jax starts.
"""

import functools
import sys

import jax
import numpy as np
from whole_runs import train_and_evaluate

from echo_jax import machine
from echo_jax.config import RunConfig, changed
from echo_jax.echo import many_seeds

SMALL = changed(
    RunConfig(), length=10, vocab_size=8, window=3, batch_size=2, hidden_size=6, sequences=25,
    learning_rate=1e-2, evaluation_sequences=30,
)  # fmt: skip


def main(devices, how, out, *seed_list):
    machine.use_cpu_devices(int(devices))
    runs = [changed(SMALL, seed=int(seed)) for seed in seed_list]
    train = jax.jit(functools.partial(train_and_evaluate, SMALL.static_config, seed_map=how))
    results = train(many_seeds.stack_dynamic(runs))
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(results)]
    np.savez(out, devices=len(jax.devices()), **{f"leaf{i}": x for i, x in enumerate(leaves)})


if __name__ == "__main__":
    main(*sys.argv[1:])
