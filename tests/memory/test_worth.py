"""docs/what-a-bit-is-worth.md says what its rows say, recomputed here by other code."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
import worth
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


def row(seed, rate, nats):
    score = worth.TaskScore(accuracy=0.5, nats=nats, entropy=2.0) if nats else worth.UNSET
    cell = "block-lstm-state-bytes-400"
    return worth.WorthRow("digits", "numbers", cell, seed, rate, 300, score, score)


@pytest.mark.parametrize(
    ("rows", "runs"),
    [
        ([], {(0, 0.003), (0, 0.01), (0, 0.03)}),
        ([row(0, 0.003, 1.0), row(0, 0.03, 0.5)], {(0, 0.01)}),
        ([row(0, x, n) for x, n in zip(worth.RATES, (1.0, 0.5, None), strict=True)],
         {(1, 0.01), (2, 0.01)}),
        ([row(0, x, 1 - x) for x in worth.RATES] + [row(2, 0.03, 9.0)], {(1, 0.03)}),
    ],
)  # fmt: skip
def test_seed_0_chooses_the_rate_of_the_others(rows, runs):
    missing = worth.missing("digits", "numbers", rows)
    assert {(x.seed, x.rate) for x in missing if "-lstm-state" in x.card} == runs


@pytest.mark.slow
def test_a_run_made_again_has_the_published_row(rows):
    name = "block-PresentInput-state-bytes-400"
    run = worth.Run("digits", "numbers", name, worth.cells_of("numbers")[name], 0.01, 0)
    found = worth.make_row(run, worth.compile_run(run), lambda share: None)
    [published] = [x for x in rows if worth.key_of(msgspec.convert(x, worth.WorthRow)) == run.key]
    assert found.stopped == pytest.approx(published["stopped"], abs=600)
    for part in ("validation", "final"):
        nats = getattr(found, part).nats
        assert nats == pytest.approx(published[part]["nats"], abs=0.02)
