"""The measure in any framework: tasks to a file, rows from a file to a card.

export_tasks ─► tasks.safetensors ─► training elsewhere ─► rows, JSON lines ─► imported

Final streams that are exported are known before training, so they depend on the seed alone; a card
of imported rows says so. docs/your-own-cell.md has the arrays. Layers of PyTorch need none of this.
"""

import datetime
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import msgspec
import numpy as np

from echo_jax import atomic_files, tensor_files
from echo_jax.cells.registry import build
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.memory import card as cards
from echo_jax.memory import make_card
from echo_jax.memory.by_key import ByKey
from echo_jax.memory.by_lag import ByLag
from echo_jax.memory.card import Card
from echo_jax.memory.protocol import PILOT_SEED, Configuration, Protocol
from echo_jax.memory.rows import Row, row_kind

KNOWN = "test streams known beforehand"
"""The remark of a card of imported rows."""


def export_tasks(protocol: Protocol, folder: Path, seeds: range, most: int) -> Path:
    """Write `tasks.safetensors`: for each seed the arrays of both questions, under `seed_0.`, ...

    The training data are those of the runs here, update by update; the seeds of the pilot, if there
    is one, have the arrays by lag alone. The metadata have the numbers of the protocol. Of 3,000
    updates a seed has about 13 MB. Returns the path of the file, which replaces one that is there.
    """
    atomic_files.check_no_link(folder)
    atomic_files.make_folder(folder)
    cell = build("simple", {"features": 1})  # the data are those of any cell
    lag = ByLag(cell, protocol)
    key = ByKey(cell, protocol, most)
    tree = dict[str, Any]()
    for seed in seeds:
        tree[f"seed_{seed}.by_lag"] = lag_tasks(lag, seed, protocol.updates)
        tree[f"seed_{seed}.by_key"] = key_tasks(key, seed)
    pilot = protocol.pilot_seeds if len(protocol.rates) > 1 else 0
    for seed in range(PILOT_SEED, PILOT_SEED + pilot):
        tree[f"seed_{seed}.by_lag"] = lag_tasks(lag, seed, protocol.pilot_updates)
    path = folder / "tasks.safetensors"
    numbers = msgspec.to_builtins(protocol)
    about = {"protocol": protocol.name, "numbers": numbers, "seeds": list(seeds)}
    tensor_files.write(path, "memory tasks", tree, about)
    return path


def lag_tasks(question: ByLag, seed: int, updates: int) -> dict[str, Any]:
    """The arrays of a seed by lag; docs/your-own-cell.md describes each."""
    training = jax.vmap(question.draw)(training_keys(seed, updates))
    sets = question.draw_sets(seed, np.zeros(0, np.uint32))
    return as_bytes({"training": training} | sets._asdict())


def key_tasks(question: ByKey, seed: int) -> dict[str, Any]:
    """The arrays of a seed by key, where K rises by the ramp.

    The target of a step that is asked nothing is 255.
    """
    updates = question.protocol.updates
    levels = question.ramp(jnp.arange(updates) / updates)
    training = jax.vmap(question.draw)(training_keys(seed, updates), levels)
    sets = question.draw_sets(seed, np.zeros(0, np.uint32))
    asked = {"training": training, "validation": sets.validation, "final": sets.final}
    return as_bytes({
        part: {"tokens": rows.tokens, "targets": jnp.where(rows.scored, rows.targets, 255)}
        for part, rows in asked.items()
    })  # fmt: skip


def training_keys(seed: int, updates: int) -> chex.PRNGKey:
    """The keys of the batches of the first updates of a run, `[updates]`."""
    return jax.vmap(jax.random.fold_in, (None, 0))(
        purpose_key(seed, Purpose.DATA), jnp.arange(updates)
    )


def as_bytes(tokens: dict[str, Any]) -> dict[str, Any]:
    """Arrays of tokens as uint8."""
    return jax.tree.map(partial(np.asarray, dtype=np.uint8), tokens)


def import_rows(
    protocol: Protocol,
    path: Path,
    place: Path,
    state_bytes: int = 0,
    layers: int = 1,
    parameters: int = 0,
) -> tuple[Card, list[Row]]:
    """Write the card of a file of rows as the folder `place`; StorageError for a bad file or row.

    An earlier import in this folder is replaced. The bytes of the state, of all layers, are those
    that the rows state, or else those given; ConfigError for none. Unknown parameters are 0.
    """
    fix = "write rows as docs/your-own-cell.md says"
    rows = row_kind(protocol).read_any(path, fix)
    if not rows:
        raise StorageError(None, path, "has no rows", fix)
    cards.check_together(rows, path)
    known_bytes = max(row.state_bytes for row in rows) or state_bytes
    if not known_bytes:
        rule = "states no bytes of state, by which cards are compared"
        raise ConfigError(None, path, rule, "give {state_bytes}, for one stream and all layers")
    card = Card(
        protocol=protocol,
        name=place.name,
        # a name by which no page shows it as a built-in cell
        cell=cards.MeasuredCell(f"{cards.IMPORTED}{place.name}", {"layers": layers}),
        state_bytes=known_bytes,
        conv_bytes=0,
        parameters=parameters,
        seeds=sorted({row.seed for row in rows if row.seed < PILOT_SEED}),
        configuration=configurations_of(rows, path),
        date=datetime.datetime.now(datetime.UTC).date(),
        remarks=[KNOWN],
    )
    card = cards.with_rows(card, rows)  # before anything is written
    with make_card.claimed(place, card):
        return cards.write_whole(card, rows, place), rows


def configurations_of(rows: Sequence[Row], path: Path) -> list[Configuration]:
    """The configurations of rows; StorageError for several of a question and number of updates."""
    found = dict.fromkeys(row.configuration for row in rows if row.seed < PILOT_SEED)
    first = dict[tuple[str, int], Configuration]()
    for of in found:
        other = first.setdefault((of.question, of.updates), of)
        if other != of:
            rule = f"has rows of {other} and of {of}, and a card is of one configuration"
            raise StorageError(None, path, rule, "keep the rows of one, chosen on other seeds")
    return [*found]
