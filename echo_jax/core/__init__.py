"""The tutorial as pure functions: no clock, file, print, environment or global randomness.

    data ─► network, with its carry ─► training ─► evaluation, online

`chance` has the baselines of every score; `many_seeds` maps a run over seeds and devices. The main
functions load on first use: `echo_jax.core.train_sequence`.
"""

import importlib
from typing import Any

_PUBLIC = {
    "draw_sequences": "data",
    "sequence_batches": "data",
    "build_network": "network",
    "init_params": "network",
    "apply": "network",
    "init": "training",
    "run_chunk": "training",
    "train_sequence": "training",
    "train_batch": "training",
    "evaluate": "evaluation",
    "answer_sequence": "evaluation",
    "stack_dynamic": "many_seeds",
    "train_and_evaluate": "many_seeds",
}


def __getattr__(name: str) -> Any:
    """Import the module of a public function."""
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"echo_jax.core.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'echo_jax.core' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted([*globals(), *_PUBLIC])
