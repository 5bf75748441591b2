"""echo_jax: how long can a recurrent network remember? The echo task in JAX and Flax.

    core      the tutorial: data, network, training, evaluation
    cells     recurrent cells
    runs      one training run on disk
    studies   the tutorial's questions, answered by grids of runs
    memory    how many bits the state of a cell tells: the memory card
    probing   the same of any network that is already trained
    grid      a grid of runs: tasks, rows, executors, for studies and cards
    commands  the command line

The calls train, sweep, study, card, cards, probe and load, and Protocol, the numbers of a card:
each loads on first use, so `import echo_jax` itself loads no jax. What a caller can correct is an
EchoError, which is a ValueError: ConfigError (a value), StorageError (a file or folder),
DivergedError, TasksFailedError, SchedulerLostError. Each docstring names those that it raises.
"""

import importlib
from typing import TYPE_CHECKING, Any

from echo_jax.version import __version__ as __version__

if TYPE_CHECKING:
    from echo_jax.exceptions import ConfigError as ConfigError
    from echo_jax.exceptions import DivergedError as DivergedError
    from echo_jax.exceptions import EchoError as EchoError
    from echo_jax.exceptions import SchedulerLostError as SchedulerLostError
    from echo_jax.exceptions import StorageError as StorageError
    from echo_jax.exceptions import TasksFailedError as TasksFailedError
    from echo_jax.memory.card_call import card as card
    from echo_jax.memory.card_call import cards as cards
    from echo_jax.memory.protocol import Protocol as Protocol
    from echo_jax.probing.probe_call import probe as probe
    from echo_jax.runs.predictor import load as load
    from echo_jax.runs.train_call import train as train
    from echo_jax.studies.study_call import study as study
    from echo_jax.studies.sweep import sweep as sweep

_ERRORS = "EchoError ConfigError StorageError DivergedError TasksFailedError SchedulerLostError"
_HOMES = {
    "Protocol": "memory.protocol",
    "card": "memory.card_call",
    "cards": "memory.card_call",
    "load": "runs.predictor",
    "probe": "probing.probe_call",
    "study": "studies.study_call",
    "sweep": "studies.sweep",
    "train": "runs.train_call",
    **dict.fromkeys(_ERRORS.split(), "exceptions"),
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name on first use."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"echo_jax.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'echo_jax' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names, loaded or not."""
    return sorted([*globals(), *_HOMES])
