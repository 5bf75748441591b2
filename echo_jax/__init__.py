"""echo_jax: how long can a recurrent network remember? The echo task in JAX and Flax.

Submodules load on first use, so `import echo_jax` itself loads no jax.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_SUBMODULES = (
    "answers",
    "capacity",
    "card",
    "card_course",
    "card_figures",
    "card_markdown",
    "card_page",
    "card_pairs",
    "card_raw",
    "card_rows",
    "card_schema",
    "card_text",
    "cell_check",
    "cells",
    "checkpoint",
    "cli",
    "config",
    "controls",
    "copy_memory",
    "copy_prober",
    "echo",
    "estimate",
    "evaluation",
    "figures",
    "findings",
    "history",
    "ladder",
    "linear_cells",
    "linear_probe",
    "machine",
    "measures",
    "memory_tasks",
    "metrics",
    "network",
    "page",
    "plots",
    "price",
    "probe",
    "prober",
    "processes",
    "progress",
    "protocol",
    "recurrence",
    "report",
    "results",
    "rows",
    "runner",
    "schema",
    "scores",
    "seeds",
    "statistics",
    "storage",
    "studies",
    "study_folder",
    "sweep",
    "task",
    "trained",
    "training",
    "user_cell",
    "values",
)


def __getattr__(name: str) -> Any:
    """Import a submodule, or what loads a trained network, when it is first asked for."""
    if name == "load":
        return importlib.import_module("echo_jax.trained").load
    if name in _SUBMODULES:
        return importlib.import_module(f"echo_jax.{name}")
    raise AttributeError(f"module 'echo_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, whether loaded yet or not."""
    return sorted([*globals(), *_SUBMODULES, "load"])
