"""A run about to start or to go on, checked against its folder before anything is compiled."""

import os
from pathlib import Path
from typing import NamedTuple

from echo_jax import atomic_files, machine
from echo_jax.config import RunConfig, to_dict
from echo_jax.core import many_seeds, network
from echo_jax.core.data import Corpus
from echo_jax.exceptions import ConfigError
from echo_jax.host.compiled_programs import Execution
from echo_jax.runs import checkpoint, run_folder
from echo_jax.runs.checkpoint import Saved
from echo_jax.runs.run_folder import Inputs

UPDATES = 400
"""Updates between two looks at the progress, about; fewer where seeds are many."""


class Job(NamedTuple):
    """Everything that the training loop needs to know.

    folder            of the run, claimed by this process
    inputs            the run is a function of them
    saved             the last checkpoint; None for a new run
    corpus            the user's own numbers as tokens; None for random sequences
    chunk             sequences of a chunk
    device_limit      use at most so many devices; None for all
    checkpoint_every  sequences between two checkpoints; None for about ten seconds
    """

    folder: Path
    inputs: Inputs
    saved: Saved | None
    corpus: Corpus | None
    chunk: int
    device_limit: int | None
    checkpoint_every: int | None

    @property
    def config(self) -> RunConfig:
        """The configuration of the run."""
        return self.inputs.config

    @property
    def execution(self) -> Execution:
        """The seed map and form that the folder states, else the defaults of the platform."""
        seed_map = self.inputs.seed_map or many_seeds.default_seed_map()
        return Execution(seed_map, self.device_limit, self.inputs.compute or "fast")


def begin(
    folder: Path,
    inputs: Inputs,
    *,
    resume: bool,
    device_limit: int | None = None,
    checkpoint_every: int | None = None,
) -> Job:
    """Make a folder that of a new run, or find how far the run in it is.

    Raises:
      ConfigError: the run cannot be done; nothing is compiled, and a new folder is still empty.
    """
    config = inputs.config
    machine.use_cpu_devices(min(device_limit or machine.cores(), config.seeds))
    network.build_network(config)  # refuses a cell that cannot be used
    shapes = many_seeds.state_shapes(config)
    machine.check_memory(checkpoint.size_of(shapes) + config.least_bytes)
    saved = _saved(folder, inputs, shapes) if resume else None
    job = Job(folder, inputs, saved, inputs.corpus, 0, device_limit, checkpoint_every)
    devices = many_seeds.devices_for(config.seeds, job.execution.seed_map, device_limit)
    if resume:
        run_folder.write_config(folder, inputs)
    else:
        run_folder.write_inputs(folder, inputs)
    return job._replace(chunk=_chunk_size(config, -(-config.seeds // len(devices))))


def _saved(folder: Path, inputs: Inputs, shapes: object) -> Saved | None:
    """The last checkpoint of a run that is not finished yet; ConfigError where it is."""
    saved = checkpoint.load(folder, inputs, shapes)
    done, wanted = saved.history.sequences if saved else 0, inputs.config.training.sequences
    if done > wanted:
        raise ConfigError(
            f"sequences {wanted} is below the {done} that {folder} has done: use more, or start a "
            "new run"
        )
    if done == wanted and _is_finished(folder, inputs.config):
        raise ConfigError(
            f"{folder} is finished, all {done} sequences: use a larger --sequences to go on, or "
            "predict with it"
        )
    return saved


def _is_finished(folder: Path, config: RunConfig) -> bool:
    """True if the folder has the result of this very configuration, not of a shorter run."""
    path = folder / run_folder.RESULT
    if not os.path.lexists(path):
        return False
    result = atomic_files.read_json(path, fix="remove it, and this command makes it again")
    return result.get("config") == to_dict(config)


def _chunk_size(config: RunConfig, runs_a_device: int) -> int:
    """Sequences of a chunk, from the number of runs that a device does one after the other."""
    updates = max(100, min(UPDATES, 12800 // runs_a_device))
    return max(1, min(config.training.sequences, updates // config.task.updates_per_sequence))
