"""echo_jax: how long can a recurrent network remember? The echo task in JAX and Flax.

    echo      the tutorial: windows, the carried state, the cut gradient, evaluation
              echo.run, one run; echo.studies, its questions answered by grids of runs
    memory    the measure: how many bits a state holds; memory.card measures a cell
    probing   the probe: how many bits the states of an already trained network tell
    learner   the network around a cell, the loss, one update
    cells     recurrent cells
    engine    grids of tasks here and on clusters, the process, progress
    storage   files that are written whole: arrays, rows, the user's values
    report    sections, tables and figures
    commands  the command line

The public calls are train, sweep, study, card, cards, probe and load; Protocol holds the numbers
with which cards are measured. Each name is imported on first use, so `import echo_jax` itself loads
no jax. An error that a caller can correct is an EchoError, which is a ValueError:

    ConfigError          a value breaks a rule
    StorageError         a file or folder is missing, damaged or in use, or cannot be written
    DivergedError        the loss of every seed became non-finite
    TasksFailedError     some tasks failed; all other tasks have rows
    SchedulerLostError   the scheduler of a cluster is gone

The docstring of each call names the errors that the call raises.
"""

import importlib
from typing import TYPE_CHECKING, Any

from echo_jax.jax_settings import __version__ as __version__

if TYPE_CHECKING:
    from echo_jax.echo.run.predictor import load as load
    from echo_jax.echo.run.train_call import train as train
    from echo_jax.echo.studies.study_call import study as study
    from echo_jax.echo.studies.sweep_call import sweep as sweep
    from echo_jax.exceptions import ConfigError as ConfigError
    from echo_jax.exceptions import DivergedError as DivergedError
    from echo_jax.exceptions import EchoError as EchoError
    from echo_jax.exceptions import SchedulerLostError as SchedulerLostError
    from echo_jax.exceptions import StorageError as StorageError
    from echo_jax.exceptions import TasksFailedError as TasksFailedError
    from echo_jax.memory.card.card_call import card as card
    from echo_jax.memory.card.card_call import cards as cards
    from echo_jax.memory.protocol import Protocol as Protocol
    from echo_jax.probing.probe_call import probe as probe

_ERRORS = "EchoError ConfigError StorageError DivergedError TasksFailedError SchedulerLostError"
_HOMES = {
    "Protocol": "memory.protocol",
    "card": "memory.card.card_call",
    "cards": "memory.card.card_call",
    "load": "echo.run.predictor",
    "probe": "probing.probe_call",
    "study": "echo.studies.study_call",
    "sweep": "echo.studies.sweep_call",
    "train": "echo.run.train_call",
    **dict.fromkeys(_ERRORS.split(), "exceptions"),
}


def __getattr__(name: str) -> Any:
    """Return the public object `name`; its module is imported on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"echo_jax.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'echo_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the names in this module, with the public names that are not yet imported."""
    return sorted([*globals(), *_HOMES])
