"""Read and write a run in its one file, `checkpoint.safetensors`, which is written whole.

metadata                     configuration, digests of own values, versions, sequences so far
step, params.*, opt_state.*  the state of every seed, `[S, ...]`
curves.loss, .accuracy       of every training sequence so far, float32 `[S, N]`
result                       JSON, uint8 `[bytes]`, once the run has ended

The file of a new run has only the metadata. The other files of its folder, except the user's own
values, are made from this file. docs/formats.md lists them.
"""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import jax
import msgspec
import numpy as np

from echo_jax import machine
from echo_jax.config import RunConfig, from_dict, is_built_in, to_dict
from echo_jax.echo.run import run_folder
from echo_jax.echo.run.result import Result
from echo_jax.echo.run.run_folder import CHECKPOINT, CONFIG, METRICS, RESULT, SEEDS, Begun, RunSpec
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.report.text_tables import csv_text
from echo_jax.storage import atomic_files, tensor_files

Count = Annotated[int, msgspec.Meta(ge=0)]


class About(msgspec.Struct, kw_only=True):
    """The metadata of the file: what a run is a function of, and how far it has come.

    config        the configuration as plain values
    files         the digests of the files of own data, by name
    seed_map      how a device computes its seeds; None for the default of the device
    compute       the form of computation; None for fast
    cell_source   the SHA-256 of the file of a user's cell; None for a built-in cell
    begun         the versions, device and cores with which the run began
    sequences     the number of sequences trained on so far
    result_bytes  the length of the result in the file; 0 before the end
    """

    config: dict[str, Any]
    files: dict[str, str] = {}
    seed_map: Literal["map", "vmap"] | None = None
    compute: Literal["literal", "fast"] | None = None
    cell_source: str | None = None
    begun: Begun
    sequences: Count = 0
    result_bytes: Annotated[int, msgspec.Meta(ge=0, le=atomic_files.JSON_LIMIT)] = 0


class History:
    """The log of a training: loss and accuracy of every sequence so far.

    The columns of `metrics.csv` are sequence, loss and accuracy; if there are several seeds, the
    seed comes first. The lines are in the order of the sequences, and then of the seeds.

    sequences  the number of sequences so far
    bad        bool `[S]`, the seeds that have had a non-finite loss
    """

    def __init__(self, config: RunConfig) -> None:
        """Start the log of the seeds of `config`, with no sequence."""
        self.sequences = 0
        self.bad = np.zeros(config.seeds, bool)
        self._seeds = range(config.seed, config.seed + config.seeds)
        self._curves: list[np.ndarray] = []

    def append(self, loss: np.ndarray, accuracy: np.ndarray) -> None:
        """Add the loss and the accuracy of each of the next N sequences, both float32 `[S, N]`.

        The loss is in nats; in framing `values` it is a mean squared error.
        """
        self._curves.append(np.stack([loss, accuracy], axis=-1).astype(np.float32))
        self.sequences += loss.shape[1]
        self.bad |= ~np.isfinite(loss).all(axis=1)

    def curves(self) -> tuple[np.ndarray, np.ndarray]:
        """Return loss and accuracy of all N sequences so far, each float32 `[S, N]`."""
        together = np.concatenate(self._curves, axis=1)
        return together[..., 0], together[..., 1]

    def text(self) -> bytes:
        """Return the content of `metrics.csv`."""
        several = len(self._seeds) > 1
        labels = [f"{seed}," for seed in self._seeds] if several else [""]
        lines = ["seed,sequence,loss,accuracy\n" if several else "sequence,loss,accuracy\n"]
        sequence = 0
        for curves in self._curves:
            with np.printoptions(legacy=False):  # which a program may have set to round
                exact = np.swapaxes(curves, 0, 1).astype(str).tolist()  # the shortest to read back
            for pairs in exact:
                sequence += 1
                for label, (loss, accuracy) in zip(labels, pairs, strict=True):
                    lines.append(f"{label}{sequence},{loss},{accuracy}\n")
        return "".join(lines).encode()


class Saved(NamedTuple):
    """The state of every seed, as NumPy leaves `[S, ...]`, and the log of the training so far."""

    state: Any
    history: History


class Finished(NamedTuple):
    """A run that has ended; `params`, `[S or more, ...]`, is None if the weights were not read."""

    config: RunConfig
    history: History
    result: Result
    params: Any = None

    def curves(self) -> tuple[np.ndarray, np.ndarray]:
        """Return loss and accuracy of the seeds that did not fail, each float32 `[seeds, N]`."""
        good = ~np.isin(self.result.by_seed.seed, self.result.failed.seed)
        loss, accuracy = self.history.curves()
        return loss[good], accuracy[good]


def write(
    folder: Path, inputs: RunSpec, saved: Saved | None = None, result: Result | None = None
) -> None:
    """Write the file of the run in `folder`, which holds its `inputs` and how far it has come.

    `saved` is None before the first sequence, and `result` is None before the end.
    """
    tree: dict[str, Any] = {}
    content = b""
    if saved:
        loss, accuracy = saved.history.curves()
        tree = {**saved.state._asdict(), "curves": {"loss": loss, "accuracy": accuracy}}
    if result:
        # An array, and no metadata, which are read by themselves and so are limited to a MiB.
        content = msgspec.json.encode(result)
        tree["result"] = np.frombuffer(content, np.uint8)
    sequences = saved.history.sequences if saved else 0
    how_far = {"sequences": sequences, "result_bytes": len(content)}
    tensor_files.write(folder / CHECKPOINT, "run", tree, stated(inputs) | how_far)


def stated(inputs: RunSpec) -> dict[str, Any]:
    """Return the `inputs` of a run as plain values; digests stand for the user's own values."""
    return {
        "config": to_dict(inputs.config),
        "files": dict(inputs.digests),
        "seed_map": inputs.seed_map,
        "compute": inputs.compute,
        "cell_source": inputs.cell_source,
        "begun": msgspec.to_builtins(inputs.begun or run_folder.begun_here()),
    }


def begin(folder: Path, inputs: RunSpec) -> None:
    """Write the files of a new run into `folder`.

    The user's own values come first, as the checkpoint makes the folder a run.
    """
    run_folder.write_values(folder, inputs)
    write(folder, inputs)
    write_config(folder, inputs)


def read_inputs(folder: Path, to_train: bool = True) -> RunSpec:
    """Return the inputs of the run in `folder`; raise StorageError if a file is missing or damaged.

    Prediction, with `to_train` False, does not need the tokens, so it ignores their damage. Tokens
    that can be read tell which values are untrained.
    """
    about, config = _about(folder)
    names = ("seed_map", "compute", "cell_source", "begun")
    inputs = RunSpec(config, digests=about.files, **{name: getattr(about, name) for name in names})
    if config.data.file is None:
        return inputs._replace(digests={})
    return run_folder.with_values(folder, inputs, to_train)


def read(folder: Path, inputs: RunSpec, shapes: Any) -> tuple[Saved | None, Result | None]:
    """Return the state and log of the run in `folder`, and its result.

    The state and log are None before the first checkpoint, and the result is None before the end.
    `inputs` are the inputs of the run, and `shapes` are the shapes of its `TrainState`. Raises
    StorageError if the file is damaged, or if its arrays have other shapes.
    """
    tree, history, result = _read(folder, inputs.config, shapes._asdict())
    if not history.sequences:
        return None, result
    state = type(shapes)(**{name: tree[name] for name in shapes._fields})
    return Saved(state, history), result


def read_state(folder: Path, inputs: RunSpec, shapes: Any) -> Saved:
    """Return the state and the log of the run in `folder`, as `read` does.

    Raises StorageError if the run has no checkpoint yet, or its file is damaged.
    """
    saved, _ = read(folder, inputs, shapes)
    if not saved:
        fix = (
            f"continue it by echo-jax train --resume {shlex.quote(str(folder))}, or start a new run"
        )
        raise StorageError(None, folder, "has no checkpoint yet", fix)
    return saved


def read_finished(folder: Path) -> Finished:
    """Return the run in `folder` without its weights; raise StorageError unless it is finished."""
    _, config = _about(folder)
    # Without shapes of a state no cell is built, so none of the user's is imported for a figure.
    _, history, result = _read(folder, config, {}, others=True)
    if not result:
        fix = f"continue the run with echo-jax train --resume {shlex.quote(str(folder))}"
        raise StorageError(None, folder, "has no result yet", fix)
    return Finished(config, history, result)


def other_bits(begun: Begun) -> str | None:
    """Return why a run that began as `begun` may get other last bits here, or None."""

    def decisive(of: Begun) -> dict[str, str]:
        versions = {name: x for name, x in of.versions.items() if name in ("jax", "XLA_FLAGS")}
        return {"device": of.device, "cores": str(of.cores), **versions}

    differ = machine.apart(decisive(begun), decisive(run_folder.begun_here()))
    return f"results may differ in their last bits: {'; '.join(differ)}" if differ else None


def write_config(folder: Path, inputs: RunSpec) -> None:
    """Write `config.json`, which states the `inputs` of a run, into `folder`."""
    fields = stated(inputs)
    atomic_files.write_json(folder / CONFIG, {**fields.pop("config"), **fields})


def write_finished(folder: Path, finished: Finished) -> None:
    """Write `metrics.csv`, `result.json` and, for several seeds, `seeds.csv` into `folder`."""
    atomic_files.write_bytes(folder / METRICS, finished.history.text())
    fields = msgspec.to_builtins(finished.result)
    if finished.config.seeds > 1:
        columns = fields["by_seed"]
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        atomic_files.write_bytes(folder / SEEDS, csv_text(rows).encode())
    atomic_files.write_json(folder / RESULT, fields)


def _about(folder: Path) -> tuple[About, RunConfig]:
    """Return the metadata of the file in `folder`, and the configuration in the metadata."""
    fix = "use the folder of a run, restore the file, or start a new run"
    stated = tensor_files.read_about(folder / CHECKPOINT, fix)
    with _of_a_run(folder):
        about = msgspec.convert(stated, About)
        return about, from_dict(about.config)


@contextlib.contextmanager
def _of_a_run(folder: Path) -> Iterator[None]:
    """Turn an error about the content of a run's file, in the `with` block, into StorageError."""
    try:
        yield
    except (ConfigError, msgspec.MsgspecError) as error:
        rule = f"does not describe a run of this version ({error})"
        fix = f"restore it, or train again with the configuration in {CONFIG}"
        raise StorageError(None, folder / CHECKPOINT, rule, fix) from None


def _read(
    folder: Path, config: RunConfig, state: dict[str, Any], others: bool = False
) -> tuple[dict[str, Any], History, Result | None]:
    """Return the arrays of the file in `folder`, the log and the result, None before the end.

    `config` is the configuration of the run. `state` has the shapes of the arrays to read of the
    state, by name. With `others`, the file may hold more arrays, which are left out. Raises
    StorageError if the file is damaged.
    """
    cell = config.network.cell
    own = "" if is_built_in(cell) else f", use the file of cell {cell} with which it was trained"

    def shapes(stated: dict[str, Any]) -> dict[str, Any]:
        """Return the shapes of the arrays that a file with the metadata `stated` contains."""
        with _of_a_run(folder):
            about = msgspec.convert(stated, About)
        found = dict(state) if about.sequences else {}
        if about.sequences:
            curve = jax.ShapeDtypeStruct((config.seeds, about.sequences), "float32")
            found["curves"] = {"loss": curve, "accuracy": curve}
        if about.result_bytes:
            found["result"] = jax.ShapeDtypeStruct((about.result_bytes,), "uint8")
        return found

    fix = f"restore it{own}, or train again with the configuration in {CONFIG}"
    tree, _ = tensor_files.read(folder / CHECKPOINT, shapes, fix, others)
    history = History(config)
    if "curves" in tree:
        history.append(**tree["curves"])
    with _of_a_run(folder):
        content = tree["result"].tobytes() if "result" in tree else None
        result = msgspec.json.decode(content, type=Result) if content else None
    return tree, history, result
