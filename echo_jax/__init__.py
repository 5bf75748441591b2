"""echo_jax: how long can a recurrent network remember? The echo task in JAX and Flax.

    core              the tutorial: data, network, training, evaluation
    cells             recurrent cells
    runs              one training run on disk
    studies           the tutorial's questions, answered by grids of runs
    memory_benchmark  how long a cell remembers; memory_cards: the result as a file
    commands          the command line

Submodules load on first use, so `import echo_jax` itself loads no jax.
"""

import importlib
from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import a submodule, or the loader of trained networks, on first use."""
    if name == "load":
        return importlib.import_module("echo_jax.runs.predictor").load
    if name in _submodules():
        return importlib.import_module(f"echo_jax.{name}")
    raise AttributeError(f"module 'echo_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted([*globals(), *_submodules(), "load"])


def _submodules() -> list[str]:
    import pkgutil  # takes 10 ms, and commands do without

    return [module.name for module in pkgutil.iter_modules(__path__)]
