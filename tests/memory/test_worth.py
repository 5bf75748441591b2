"""docs/what-a-bit-is-worth.md says what its rows say, recomputed here by other code."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest
import worth
import worth_tables
from scipy import stats

PAGE = Path(__file__).parents[2] / "docs" / "what-a-bit-is-worth.md"
MATRIX = {"delta-net", "gated-delta-net", "gla", "mlstm", "mamba2", "rwkv7",
          "FrozenDeltaNet", "FrozenLinearAttention"}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """The rows of the study as dictionaries."""
    return [msgspec.json.decode(line) for line in worth.ROWS.read_bytes().splitlines()]


def bits_of(row):
    final = row.get("final")
    return (final["entropy"] - final["nats"]) / np.log(2) if final else 0.0


def means(rows, task):
    """The mean bits of each cell at the rate that seed 0 chose."""
    found = {}
    of_task = [row for row in rows if row["task"] == task and row["arm"] == "numbers"]
    for cell in {row["cell"] for row in of_task}:
        tried = [row for row in of_task if row["cell"] == cell and row["seed"] == 0]
        assert len(tried) == 3
        best = min(tried, key=lambda row: row["validation"]["nats"] if "validation" in row else 99)
        chosen = [row for row in of_task if row["cell"] == cell and row["rate"] == best["rate"]]
        assert sorted(row["seed"] for row in chosen) == [0, 1, 2]
        name = cell.removeprefix("block-").removesuffix("-state-bytes-400")
        found[name] = np.mean([bits_of(row) for row in chosen])
    return found


def known(name):
    return msgspec.json.decode(
        (worth.CARDS / f"block-{name}-state-bytes-400" / "card.json").read_bytes()
    )


def partial(x, y, given):
    """The partial correlation of ranks from the three plain ones."""
    xy, xz, yz = (stats.spearmanr(*pair)[0] for pair in ((x, y), (x, given), (y, given)))
    return (xy - xz * yz) / np.sqrt((1 - xz**2) * (1 - yz**2))
