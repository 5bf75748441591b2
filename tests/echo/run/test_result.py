import itertools
import json
import math

import msgspec
import numpy as np
import pytest
from fabricated_results import ACCURACY, CONFIG, LEARNED, LOSS, fabricated_result, scored
from random_runs import random_runs

from echo_jax.config import changed
from echo_jax.echo import chance
from echo_jax.echo.data import Corpus
from echo_jax.echo.run import checkpoint, result, scoring
from echo_jax.echo.run.checkpoint import Finished, History
from echo_jax.echo.run.result import FailedSeeds, Reached, Result, StoredInterval
from echo_jax.echo.run.scoring import OwnScores
from echo_jax.storage import atomic_files


def test_a_result_holds_medians_their_intervals_and_every_seed():
    made = fabricated_result()
    assert msgspec.to_builtins(made.by_seed) == {
        "seed": [7, 8, 9],
        "accuracy": [0.9, 0.95, 0.2],
        "loss": [0.3, 0.2, 2.0],
        "distance": [3.0, 2.0, 9.0],
        "sequences_to_99": [30, 25, None],
        "recalled_bits": [2.56719, 2.71146, 0.11461],
    }
    assert (made.accuracy, made.loss, made.sequences_to_99) == (0.9, 0.3, 30)
    assert made.loss_interval == StoredInterval(low=0.2, high=2.0, coverage=0.75)
    assert made.sequences_to_99_interval == StoredInterval(low=25, high=None, coverage=0.75)
    assert (made.reached_99.seeds, made.reached_99.of) == (2, 3)
    assert made.accuracy_by_position == pytest.approx([0.7, 0.7, 0.65], abs=1e-6)
    assert (made.expected, made.predicted) == ([1, 5, 3], [1, 2, 3])
    assert made.recalled_bits == pytest.approx(3 - 0.3 / math.log(2), abs=1e-5)
    assert (made.distance, made.baseline_distance) == (3.0, 2.0)  # of 0 .. 7, guess 3 or 4
    assert made.updates == 40
    one = fabricated_result(changed(CONFIG, seeds=1))
    assert (one.accuracy_interval, one.sequences_to_99) == (None, 30)
    assert one.reached_99 == Reached(seeds=1, of=1, interval=None)


def test_the_ceiling_counts_what_was_fed_and_says_how_soon_99_percent_of_it_was_reached():
    whole = fabricated_result()
    assert whole.ceiling_accuracy == 1
    assert whole.sequences_to_99_of_ceiling == whole.sequences_to_99
    assert whole.sequences_to_99_of_ceiling_interval == whole.sequences_to_99_interval
    task = {"window": 1, "batch_size": 1}  # the first of 3 rows asks for what was never fed
    low = np.array([0.69 * LEARNED, 0.65 * LEARNED, LEARNED])
    made = scoring.summarise(changed(CONFIG, **task), scored(), (LOSS, low))
    assert made.ceiling_accuracy == pytest.approx((2 + 1 / 8) / 3, abs=1e-6)  # 99%: 0.701
    assert (made.sequences_to_99, made.sequences_to_99_of_ceiling) == (None, None)
    high = np.array([0.71 * LEARNED, 0.71 * LEARNED, LEARNED])
    made = scoring.summarise(changed(CONFIG, **task), scored(), (LOSS, high))
    assert (made.sequences_to_99, made.sequences_to_99_of_ceiling) == (None, 30)
    assert made.sequences_to_99_of_ceiling_by_seed == [30, 30, 25]
    loss = LOSS.copy()
    loss[1, 5] = np.nan
    made = scoring.summarise(changed(CONFIG, **task), scored(), (loss, high))
    assert made.sequences_to_99_of_ceiling_by_seed == [30, None, 25]


def test_a_seed_that_failed_counts_as_the_worst_and_is_named():
    loss = LOSS.copy()
    loss[0, 11:] = np.nan
    broken = scored()._replace(loss=np.array([np.nan, 0.2, np.inf]))
    curves = (loss, np.array([LEARNED, LEARNED, np.zeros(40)]))
    made = scoring.summarise(CONFIG, broken, curves)
    assert made.failed == FailedSeeds(seed=[7, 9], sequence=[12, None])
    assert made.by_seed.accuracy == [0.0, 0.95, 0.0]
    assert made.by_seed.loss == [None, 0.2, None]
    assert made.by_seed.distance == [None, 2.0, None]
    assert made.by_seed.sequences_to_99 == [None, 30, None]
    assert (made.accuracy, made.loss) == (0.0, None)
    assert made.accuracy_by_position == pytest.approx([1.0, 0.9, 0.95])
    assert (made.answers_of_seed, made.predicted) == (8, [1, 5, 3])
    values = Corpus(np.arange(8), np.arange(8))
    own = OwnScores(values, list("stuvwxyz"), follows=np.array([0.9, 0.5, 0.9]))
    config = changed(CONFIG, csv="my.csv", column="n")
    assert scoring.summarise(config, broken, curves, own).follows == 0.5  # of the seed 8
    json.dumps(msgspec.to_builtins(made), allow_nan=False)


def test_the_digest_is_of_all_but_times_devices_and_versions(monkeypatch):
    made = fabricated_result()
    blind = chance.order_blind_baseline(CONFIG)
    other = chance.Baseline(blind.accuracy * (1 + 1e-13), blind.loss * (1 - 1e-13))
    with monkeypatch.context() as patch:  # another processor, whose products have other last digits
        patch.setattr(chance, "order_blind_baseline", lambda _: other)
        assert fabricated_result().digest == made.digest
    assert made.digest == "a0916081fa2bd9749b38e845b5275821417fb5f04c29ab51f8e377f584d49300"
    for name in msgspec.to_builtins(made):
        other = msgspec.structs.replace(made, **{name: "changed"})
        same = name in result.NOT_OF_THE_RUN
        assert (result.digest(other) == made.digest) == same, name


def test_the_baselines_and_the_ceiling_of_a_users_own_numbers_are_those_of_the_held_out_part():
    corpus = Corpus(np.array([0, 1] * 4, np.int32), np.array([0, 2, 0, 1, 0, 1, 0, 0], np.int32))
    own = changed(CONFIG, csv="my.csv", column="n")
    made = scoring.summarise(own, scored(), (LOSS, ACCURACY), OwnScores(corpus, list("stuvwxyz")))
    entropy = -sum(p * math.log(p) for p in (5 / 8, 2 / 8, 1 / 8))
    written = msgspec.to_builtins(made)
    assert not [name for name in (*written, *written["by_seed"]) if "distance" in name]
    assert written["baseline_accuracy"] == 5 / 8
    assert written["baseline_loss"] == pytest.approx(entropy, abs=1e-6)
    assert made.recalled_bits == pytest.approx((entropy - 0.3) / math.log(2), abs=1e-5)
    # of the 7 pairs of neighbours one holds the same value twice
    assert written["order_blind_accuracy"] == pytest.approx((1 + 6 * 0.5) / 7, abs=1e-6)
    assert written["order_blind_loss"] == pytest.approx(6 / 7 * math.log(2), abs=1e-6)
    assert (made.expected, made.predicted) == (["t", "x", "v"], ["t", "u", "v"])
    # sequences of 4 ask for x(0), x(1) and x(2): 0 2 0, 2 0 1, 0 1 0, 1 0 1, 0 1 0
    assert made.untrained == result.Untrained(1, ["u"], pytest.approx(2 / 15, abs=1e-6))
    assert made.ceiling_accuracy == pytest.approx(13 / 15, abs=1e-6)
    assert made.sequences_to_99_of_ceiling_by_seed == made.by_seed.sequences_to_99
    unknown = Corpus(np.array([1, 2], np.int32), corpus.held_out)  # no network says the 5 zeros
    assert scoring.baselines(own, unknown)["baseline_accuracy"] == 2 / 8


def test_no_baseline_is_above_the_ceiling():
    """Of 2,000 runs on integers, of streams from zero, and on values, one never trained on."""
    rng = np.random.default_rng(0)
    streams = changed(CONFIG, length=25, layout="streams", stateful=False)
    grid = itertools.product(range(7), range(1, 9))
    runs = [(changed(streams, lag=lag, window=window), None) for lag, window in grid]
    runs += [(changed(config, vocab_size=8), None) for config in random_runs()]
    for config in random_runs()[::8]:
        held_out = np.sort(rng.choice(3, 20, p=rng.dirichlet([0.5] * 3)))
        own = changed(config, vocab_size=3, csv="my.csv", column="n")
        runs.append((own, Corpus(np.arange(20) % 2, held_out)))
    for config, corpus in runs:
        scores = scoring.baselines(config, corpus)
        ceiling = scoring.ceiling_of(config, scores["baseline_accuracy"], corpus)
        if ceiling is not None:
            highest = max(scores["baseline_accuracy"], scores["order_blind_accuracy"])
            assert highest <= ceiling + 1e-12, config


def test_a_result_is_written_with_a_line_for_each_seed(tmp_path):
    made = fabricated_result()
    history = History(CONFIG)
    history.append(LOSS.astype(np.float32), ACCURACY.astype(np.float32))
    checkpoint.write_finished(tmp_path, Finished(CONFIG, history, made))
    written = atomic_files.read_json(tmp_path / "result.json")
    assert msgspec.convert(written, Result) == made
    assert (tmp_path / "seeds.csv").read_text().splitlines() == [
        "seed,accuracy,loss,distance,sequences_to_99,recalled_bits",
        "7,0.9,0.3,3.0,30,2.56719",
        "8,0.95,0.2,2.0,25,2.71146",
        "9,0.2,2.0,9.0,,0.11461",
    ]
