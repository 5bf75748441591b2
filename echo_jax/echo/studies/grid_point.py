"""Grid points: configurations with labels, their grids and their expected time. No jax here."""

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from echo_jax import machine
from echo_jax.config import RunConfig, changed, to_dict
from echo_jax.echo.run.run_folder import RunSpec
from echo_jax.engine.grid import Task
from echo_jax.exceptions import ConfigError
from echo_jax.storage import atomic_files

if TYPE_CHECKING:
    from echo_jax.echo.data import Corpus

Label = str | int | float

Program = tuple[RunConfig, int, str | None, tuple[int, ...]]
"""What compiled programs depend on: the static configuration, the number of seeds, the digest of a
user's cell, and the lengths of the two parts of own data."""

Axes = Mapping[str, Mapping[Any, Any]]
"""The labels of a grid, each with its values, and for each value the fields of the configuration
that it sets."""


@dataclasses.dataclass(frozen=True)
class GridPoint:
    """One point of a grid: its labels, and the configuration that is run there."""

    labels: Mapping[str, Label]  # the first columns of its line in a table: {"window": 5, "lag": 1}
    config: RunConfig  # of all its seeds
    measures: tuple[str, ...] = ()  # beside the scores, names of `measures.MEASURES`
    until_learned: bool = False  # stop training when every seed has reached 99%
    cell_source: str | None = None  # SHA-256 of the file of a user's cell
    data_digest: str | None = None  # of the user's own values and their tokens
    tokens: Any = dataclasses.field(default=None, repr=False, compare=False)  # int32 [M]

    @property
    def name(self) -> str:
        """The labels as text, such as "window 5, lag 1"."""
        return ", ".join(f"{name} {value}" for name, value in self.labels.items())

    @property
    def key(self) -> str:
        """A digest of what is run, by which the row of the grid point is found.

        On one kind of machine, equal keys give bit-identical results. Labels and the study are left
        out of the digest, as a label may be reworded.
        """
        run = {
            "config": to_dict(self.config),
            "measures": list(self.measures),
            "until_learned": self.until_learned,
        }
        return atomic_files.digest_of(run | self.source)

    @property
    def source(self) -> dict[str, str]:
        """The digests of the user's cell and of the user's values, by field, if there are any."""
        digests = {"cell_source": self.cell_source, "data_digest": self.data_digest}
        return {name: digest for name, digest in digests.items() if digest}

    def on(self, inputs: RunSpec) -> "GridPoint":
        """Return this grid point with the configuration and the user's values of `inputs`."""
        digest = atomic_files.digest_of(dict(inputs.digests))
        return dataclasses.replace(
            self, config=inputs.config, tokens=inputs.tokens, data_digest=digest
        )

    @property
    def corpus(self) -> "Corpus | None":
        """The user's own values, divided into two parts, or None for random integers."""
        return RunSpec(self.config, tokens=self.tokens).corpus()

    @property
    def program(self) -> Program:
        """The key of the compiled programs, which points with an equal key share."""
        shapes = changed(self.config.static_config, sequences=1)
        return shapes, self.config.seeds, self.cell_source, tuple(map(len, self.corpus or ()))

    @property
    def work(self) -> float:
        """The expected seconds of this grid point, without compiling."""
        return expected_seconds(self.config, self.measures)


def grid(base: RunConfig, axes: Axes, **options: Any) -> tuple[GridPoint, ...]:
    """Return a grid point for each combination of values in `axes`, the last label varying fastest.

    A point has the configuration `base` with the fields that its values set. `options` are the
    other fields of every `GridPoint`. Raises ConfigError, which names the grid point, if a
    configuration breaks a rule.
    """
    points = []
    for values in itertools.product(*axes.values()):
        labels = dict(zip(axes, values, strict=True))
        fields = {k: v for name, value in labels.items() for k, v in axes[name][value].items()}
        try:
            points.append(GridPoint(labels, changed(base, **fields), **options))
        except ConfigError as error:
            raise error.then(f"this is of {GridPoint(labels, base).name}") from error
    return tuple(points)


def axis(field: str, *values: Label) -> Mapping[Label, Mapping[str, Any]]:
    """Return the axis of a label whose `values` are the values of the configuration's `field`."""
    return {value: {field: value} for value in values}


COMPILE_SECONDS = 3.5  # of the programs of one shape


def expected_seconds(config: RunConfig, measures: tuple[str, ...]) -> float:
    """Return the estimated seconds of all seeds of `config` on this machine, without compiling.

    `measures` are names of `measures.MEASURES` that are computed after training.
    """
    updates = config.training.sequences * config.task.updates_per_sequence
    rounds = -(-config.seeds // machine.cores())
    measure = sum(0.5 if name == "probe" else 0.1 for name in measures)  # seconds, of a seed
    return 1.0 + measure * config.seeds + rounds * updates * update_microseconds(config) / 1e6


def update_microseconds(config: RunConfig) -> float:
    """Return the estimated microseconds of an update of one seed of `config` on one core.

    The estimate is linear in the number of weights, of steps and of products.
    """
    task = config.task
    network = config.network
    outputs = task.vocab_size if task.framing == "classes" else 1
    embedded = network.encoding == "embedding"
    features = network.embedding_dim if embedded else outputs
    hidden = network.hidden_size
    if line := config.values_in_line:
        cell = line * features * hidden
        step = line * hidden
    else:
        gates = {"simple": 1, "gru": 3}.get(network.cell, 4)
        cell = gates * (features + hidden) * hidden
        step = gates * hidden * hidden
    weights = cell + hidden * outputs + embedded * outputs * features
    again = (1 + min(config.training.bptt_batches, task.updates_per_sequence)) / 2
    read = task.batch_size * task.targets_per_row * hidden * outputs
    products = task.window * again * task.batch_size * step + read
    return 5 + 6e-4 * weights + task.window * again + 2e-4 * products


def seconds_of(points: Sequence[Task]) -> float:
    """Return the estimated seconds of `points` on this machine's cores, with compiling."""
    programs = {point.program for point in points}
    return COMPILE_SECONDS * len(programs) + sum(point.work for point in points)


def minutes(seconds: float) -> str:
    """Return `seconds` as text: the number of minutes, at least 0.5, without the unit."""
    return f"{seconds / 60:.0f}" if seconds > 90 else f"{max(seconds / 60, 0.5):.1f}"
