"""1,000 small configurations drawn at random, of every layout."""

import functools

import numpy as np

from echo_jax.config import RunConfig, changed
from echo_jax.exceptions import ConfigError

COUNT = 1000
LONGEST = 9
MOST_ROWS = 5  # of a batch
LAYOUTS = ["windows"] * 3 + ["prefixes"] * 2 + ["streams"]  # short windows have few rows


def drawn(rng):
    """Fields of a run, which may not agree."""
    length = int(rng.integers(1, LONGEST + 1))
    stateful = bool(rng.random() < 0.8)
    layout = str(rng.choice(LAYOUTS))
    fields = {
        "length": length,
        "window": int(rng.integers(1, rng.choice([3, length + 1]) + 1)),
        "lag": int(rng.integers(max(-1, 1 - length), length)),
        "batch_size": int(rng.integers(1, MOST_ROWS + 1)),
        "layout": layout,
        "stateful": stateful,
        "bptt_batches": int(rng.integers(1, 5)) if stateful else 1,
    }
    if layout == "prefixes":
        fields["missing"] = str(rng.choice(["masked", "token"]))
    if rng.random() < 0.3:
        fields["cell"] = "mlp"
        fields["delay_line"] = int(rng.integers(1, LONGEST)) if rng.random() < 0.7 else None
    return fields


@functools.cache
def random_runs():
    rng = np.random.default_rng(0)
    configs = []
    while len(configs) < COUNT:
        try:
            configs.append(changed(RunConfig(), **drawn(rng)))
        except ConfigError:
            continue
    return tuple(configs)
