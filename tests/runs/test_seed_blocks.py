"""A run by blocks of seeds is the run of one loop, wherever the blocks come from."""

import jax
import numpy as np
import pytest
from run_folders import OWN, inputs_of

from echo_jax import atomic_files, machine
from echo_jax.cluster import Here
from echo_jax.config import RunConfig, changed
from echo_jax.exceptions import ConfigError, StorageError
from echo_jax.host.interrupts import Interrupts
from echo_jax.host.progress import GridProgress
from echo_jax.host.stopwatch import Stopwatch
from echo_jax.runs import prepared_run, seed_blocks
from echo_jax.runs.train_run import train_blocks, train_run

CONFIG = changed(
    RunConfig(), vocab_size=6, length=8, window=2, batch_size=2, hidden_size=4, sequences=6,
    evaluation_sequences=5, seeds=5, seed=3,
)  # fmt: skip


@pytest.fixture(autouse=True)
def blocks_of_two(monkeypatch):
    monkeypatch.setattr(seed_blocks, "MOST_SEEDS", 2)
    monkeypatch.setattr(machine, "use_cpu_devices", lambda *_: None)


def begun(folder, config, resume=False):
    folder.mkdir(exist_ok=True)
    limits = {"device_limit": None, "checkpoint_every": None}
    return prepared_run.prepare(folder, inputs_of(config), resume=resume, **limits)


def by_blocks(made, function=seed_blocks.train_block):
    """Train a job by blocks in this process, `function` each."""
    blocks = seed_blocks.missing(made)
    bar = GridProgress({block.name: 1.0 for block in blocks})
    train_blocks(made, blocks, Mapped(function), bar, Stopwatch(), lambda _: None)


class Mapped:
    """An executor with another function."""

    def __init__(self, function):
        self.function = function

    def map(self, _, tasks):
        return Here(lambda *_: None).map(self.function, tasks)


@pytest.mark.parametrize(
    "config",
    [
        changed(CONFIG, seeds=3),
        pytest.param(changed(OWN, evaluation_sequences=3), marks=pytest.mark.slow),
    ],
)
def test_blocks_merge_to_the_run_of_one_loop(tmp_path, config):
    train_run(begun(tmp_path / "one", config), Interrupts(), Stopwatch(), lambda _: None)
    made = begun(tmp_path / "blocks", config)
    assert sum(block.config.seeds for block in seed_blocks.blocks_of(made)) == config.seeds
    by_blocks(made)
    for name in ("checkpoint.msgpack", "metrics.csv", "seeds.csv", "config.json"):
        one, other = ((tmp_path / folder / name).read_bytes() for folder in ("one", "blocks"))
        assert one == other, name
    one, other = (atomic_files.read_json(tmp_path / f / "result.json") for f in ("one", "blocks"))
    assert one["digest"] == other["digest"]
    assert not (tmp_path / "blocks" / seed_blocks.FOLDER).exists()


def test_a_block_of_another_text_than_that_of_this_process_is_not_trained(tmp_path):
    made = begun(tmp_path / "run", CONFIG)
    made = made._replace(inputs=made.inputs._replace(cell_source=64 * "a"))
    with pytest.raises(ConfigError, match=r"^cell 'lstm' has another text on this worker than"):
        seed_blocks.train_block(seed_blocks.blocks_of(made)[0], lambda _: None)


def zeros(block, report):
    """A trained block without training."""
    shapes = seed_blocks._shapes(block)
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes), "cpu"


def test_finished_blocks_are_kept_and_a_failed_one_is_tried_again(tmp_path):
    made, trained = begun(tmp_path / "run", CONFIG), []

    def fails_at_five(block, report):
        trained.append(block.config.seed)
        if block.config.seed == 5:
            raise ConfigError("five is not allowed")
        return zeros(block, report)

    message = r"^1 blocks of seeds failed, and \S+ has all others: seeds 5 to 6: five is not"
    with pytest.raises(ConfigError, match=message):
        by_blocks(made, fails_at_five)
    assert sorted(path.name for path in (made.folder / "blocks").iterdir()) == [
        "3-2-6.msgpack", "7-1-6.msgpack",
    ]  # fmt: skip
    trained.clear()
    with pytest.raises(ConfigError, match=message):
        by_blocks(begun(tmp_path / "run", CONFIG, resume=True), fails_at_five)
    assert trained == [5]


def trained(made):
    """Zeros as all blocks of a job."""
    seed_blocks.train(made, seed_blocks.missing(made), Mapped(zeros), lambda *_: None)
    return made


def test_a_block_of_another_run_or_a_damaged_one_is_refused_before_anything_is_trained(tmp_path):
    one = trained(begun(tmp_path / "one", CONFIG))
    other = trained(begun(tmp_path / "other", changed(CONFIG, learning_rate=0.01)))
    state, log, _, devices = seed_blocks.merged(one)
    assert (log.sequences, len(state.step), devices) == (6, 5, ["cpu"])
    moved = one.folder / "blocks" / "5-2-6.msgpack"
    (other.folder / "blocks" / "5-2-6.msgpack").replace(moved)
    with pytest.raises(StorageError, match=r"5-2-6\.msgpack is not of the run beside it: remove"):
        seed_blocks.missing(one)
    moved.write_bytes(moved.read_bytes()[:-1])
    with pytest.raises(StorageError, match=r"5-2-6\.msgpack is damaged.*: remove it"):
        seed_blocks.missing(one)


def test_blocks_of_fewer_sequences_are_trained_again_and_leave_with_the_others(tmp_path):
    trained(begun(tmp_path / "run", CONFIG))
    longer = begun(tmp_path / "run", changed(CONFIG, sequences=12), resume=True)
    assert [block.config.seed for block in seed_blocks.missing(longer)] == [3, 5, 7]
    seed_blocks.remove_files(longer.folder)
    assert not (longer.folder / "blocks").exists()


def test_nothing_is_written_behind_a_link(tmp_path):
    made = begun(tmp_path / "run", CONFIG)
    (made.folder / "blocks").symlink_to(tmp_path)
    with pytest.raises(StorageError, match="blocks is a link"):
        trained(made)
