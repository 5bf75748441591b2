"""The measure in any framework: tasks and first weights to a file, rows from a file to a card.

export_tasks ─► tasks.safetensors ─► training elsewhere ─► rows, JSON lines ─► imported

Final streams that are exported are known before training, so they depend on the seed alone; a card
of imported rows says so. docs/your-own-cell.md has the arrays, examples/card_in_pytorch.py uses
them.
"""

import datetime
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np

from echo_jax import atomic_files, tensor_files
from echo_jax.cells.interface import Cell, CellParams
from echo_jax.cells.registry import build
from echo_jax.core.data import Purpose, purpose_key
from echo_jax.exceptions import StorageError
from echo_jax.memory import card as cards
from echo_jax.memory import make_card, scoring
from echo_jax.memory.card import Card
from echo_jax.memory.card_rows import row_kind
from echo_jax.memory.protocol import Protocol
from echo_jax.memory.training import ByKey, ByLag

UNITS = 100
"""Units of the GRU whose first weights are exported: 400 bytes of state."""

KNOWN = "test streams known beforehand"
"""The remark of a card of imported rows."""


def export_tasks(protocol: Protocol, folder: Path, seeds: range, most: int) -> Path:
    """Write `tasks.safetensors`: for each seed the arrays of `tasks_of`, under `seed_0.` and so on.

    The training data are those of the runs here, update by update. Of 3,000 updates a seed has
    about 10 MB. Returns the path of the file, which replaces one that is there.
    """
    atomic_files.check_no_link(folder)
    atomic_files.make_folder(folder)
    gru = build("gru", {"features": UNITS})
    tree = {f"seed_{seed}": tasks_of(protocol, gru, seed, most) for seed in seeds}
    path = folder / "tasks.safetensors"
    of = protocol.name
    tensor_files.write(path, "memory tasks", tree, {"protocol": of, "seeds": list(seeds)})
    return path


def tasks_of(protocol: Protocol, gru: Cell, seed: int, most: int) -> dict[str, Any]:
    """The arrays of a seed for up to `most` = Kmax pairs; docs/your-own-cell.md describes each."""
    lag = ByLag(gru, protocol)
    key = ByKey(gru, protocol, most)
    no_weights = np.zeros(0, np.uint32)
    lag_sets = scoring.draw_lag_sets(lag, seed, no_weights)._asdict()
    key_sets = scoring.draw_key_sets(key, seed, no_weights)
    pairs = training_data(key, seed)
    return {
        "by_lag": {
            "training": small(training_data(lag, seed)),
            **{name: small(streams) for name, streams in lag_sets.items()},
            "gru": first_weights(lag, seed),
        },
        "by_key": {
            "keys": small(pairs.keys),
            "values": small(pairs.values),
            "order": small(jnp.argsort(jnp.argsort(pairs.order))),
            "place": np.asarray(pairs.place),
            **{
                name: {"tokens": small(asked.tokens), "targets": small(asked.targets)}
                for name, asked in key_sets._asdict().items()
                if asked  # there is no calibration set by key
            },
            "gru": first_weights(key, seed),
        },
    }


def training_data(question: ByLag | ByKey, seed: int) -> Any:
    """The batches of all updates of a run, as `draw` gives them, stacked."""
    key = purpose_key(seed, Purpose.DATA)
    updates = jnp.arange(question.protocol.updates)
    return jax.vmap(lambda i: question.draw(jax.random.fold_in(key, i)))(updates)


def first_weights(question: ByLag | ByKey, seed: int) -> dict[str, Any]:
    """The weights of a GRU and of the linear layer on its state before the first update."""
    params = question.init_params(purpose_key(seed, Purpose.WEIGHTS))
    linear = params["heads"] if isinstance(question, ByLag) else params["readout"]
    layer = {"weight": linear["kernel"].T, "bias": linear["bias"]}
    return {"rnn": torch_gru(params["cell"]), "linear": layer}


def torch_gru(params: CellParams) -> dict[str, chex.Array]:
    """The weights of the GRU of Flax as `torch.nn.GRU` names and stores them.

        weight_ih_l0   `[3H, F]`, the transposed input kernels of r, z and n
        weight_hh_l0   `[3H, H]`, the transposed recurrent kernels
        bias_ih_l0     `[3H]`, b_r, b_z and b_n
        bias_hh_l0     `[3H]`, 0, 0 and c

    Both apply the reset gate after the product by U_n. In PyTorch r and z have two biases each,
    which are added: the second, of 0 here, must stay 0 in training to keep the same steps.
    """
    kernels = ((part, [params[part + gate]["kernel"].T for gate in "rzn"]) for part in "ih")
    c = params["hn"]["bias"]
    return {
        **{f"weight_{part}h_l0": jnp.concatenate(of) for part, of in kernels},
        "bias_ih_l0": jnp.concatenate([params["i" + gate]["bias"] for gate in "rzn"]),
        "bias_hh_l0": jnp.concatenate([jnp.zeros(2 * len(c)), c]),
    }


def small(tokens: chex.Array) -> np.ndarray:
    """Tokens as uint8."""
    return np.asarray(tokens, np.uint8)


def import_rows(
    protocol: Protocol, path: Path, name: str, folder: Path, state_bytes: int = 0
) -> Card:
    """Write the card of a file of rows as `folder`/`name`; StorageError for a bad file or row.

    Sizes that nobody gave are 0. Rows of an earlier import under this name are replaced.
    """
    fix = "write rows as docs/your-own-cell.md says"
    rows = row_kind(protocol).read_unsigned(path, fix)
    if not rows:
        raise StorageError(None, path, "has no rows", fix)
    cards.check_together(rows, path)
    card = Card(
        protocol=protocol,
        name=name,
        # a name by which no page shows it as a built-in cell
        cell=cards.MeasuredCell(f"imported {name}", {}),
        state_bytes=state_bytes,
        conv_bytes=0,
        parameters=0,
        seeds=sorted({row.seed for row in rows}),
        configuration=list(dict.fromkeys(row.configuration for row in rows)),
        date=datetime.datetime.now(datetime.UTC).date(),
        remarks=[KNOWN],
    )
    with make_card.claimed(folder / name, card):
        return cards.write_whole(card, rows, folder / name)
