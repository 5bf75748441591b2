import itertools
import math

import numpy as np
import pytest

from echo_jax.config import NetworkConfig, RunConfig, TaskConfig
from echo_jax.echo import chance


def brute_force_baseline(size, vocab_size, framing="classes"):
    """Over all windows: the best guess and what the counts alone leave, entropy or variance.

    The best number to say is the mean of the window.
    """
    accuracy, loss = [], []
    for window in itertools.product(range(vocab_size), repeat=size):
        shares = np.bincount(window, minlength=vocab_size) / size
        accuracy.append(shares.max())
        entropy = -sum(p * math.log(p) for p in shares if p)
        loss.append(entropy if framing == "classes" else np.var(window) / (vocab_size - 1) ** 2)
    return np.mean(accuracy), np.mean(loss)


@pytest.mark.parametrize("framing", ["classes", "values"])
@pytest.mark.parametrize(("size", "vocab_size"), [(1, 2), (2, 2), (5, 3), (7, 2), (3, 9), (6, 4)])
def test_the_order_blind_baseline_is_that_of_all_windows(size, vocab_size, framing):
    task = TaskConfig(size, vocab_size, size, 0, 1, framing=framing)
    expected = brute_force_baseline(size, vocab_size, framing)
    found = chance.order_blind_baseline(RunConfig(task))
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("framing", ["classes", "values"])
@pytest.mark.parametrize(
    ("layout", "window", "lag", "network", "sizes"),
    [
        ("windows", 4, -1, {}, [None]),
        ("windows", 4, 4, {}, [None]),
        ("prefixes", 4, 1, {}, [2, 3, 4, 4, 4]),
        ("streams", 3, 1, {}, [2, 3, 3, 3, 3]),
        ("streams", 3, 1, {"stateful": False}, [2, 3, None, 2, 3]),
        ("windows", 4, 1, {"cell": "mlp", "delay_line": 3}, [3]),
        ("prefixes", 4, 1, {"cell": "mlp", "delay_line": 1}, [None]),
    ],
)
def test_the_baseline_of_a_layout_is_the_mean_over_its_targets_and_the_values_fed(
    layout, window, lag, network, sizes, framing
):
    """None stands for a target that the network is not fed."""
    task = TaskConfig(6, 3, window, lag, 1, layout, framing=framing)
    guess = chance.chance_baseline(task)
    each = [brute_force_baseline(size, 3, framing) if size else guess for size in sizes]
    found = chance.order_blind_baseline(RunConfig(task, NetworkConfig(**network)))
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-12)


@pytest.mark.parametrize("vocab_size", [2, 3, 10, 100])
def test_no_guess_at_a_value_is_nearer_or_has_a_smaller_square_than_chance(vocab_size):
    integers = np.arange(vocab_size)
    distances = np.abs(integers - integers[:, None]).mean(axis=1)
    assert chance.chance_distance(vocab_size) == pytest.approx(distances.min(), rel=1e-12)
    numbers = np.linspace(0, 1, 2 * vocab_size - 1)[:, None]  # one of them is the mean
    squares = np.mean((integers / (vocab_size - 1) - numbers) ** 2, axis=1)
    baseline = chance.chance_baseline(TaskConfig(vocab_size=vocab_size, framing="values"))
    assert baseline == pytest.approx((1 / vocab_size, squares.min()), rel=1e-12)


def foretold(training, held_out, order):
    """The score of a k-gram of x(t+1), 4 different values, a window of 3, by counting in loops.

    Every sequence of 20 that an evaluation may cut is asked at the ends of its 17 rows.
    """
    scores = []
    for t in [start + end for start in range(len(held_out) - 19) for end in range(2, 19)]:
        shares = (np.bincount(training, minlength=4) + 1) / (len(training) + 4)
        for k in range(order):
            context = held_out[t - k : t + 1].tolist()
            ends = range(2, len(training) - 1)
            after = [training[s + 1] for s in ends if training[s - k : s + 1].tolist() == context]
            if after:
                counts, different = np.bincount(after, minlength=4), len(set(after))
                shares = (counts + different * shares) / (len(after) + different)
        target = held_out[t + 1]
        scores.append((shares.argmax() == target, -math.log(shares[target])))
    return np.mean(scores, axis=0)


def test_values_in_order_are_foretold_by_counts_and_past_ones_as_if_time_ran_backwards():
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 4, 150)
    tokens = np.where(rng.random(150) < 0.7, (3 * np.arange(150) + 1) % 4, noise)
    training, held_out = tokens[:110], tokens[110:]
    ahead = TaskConfig(length=20, vocab_size=4, window=3, lag=-1, batch_size=1)
    each = [foretold(training, held_out, order) for order in (1, 2, 3)]
    k, found = chance.k_gram_baseline(training, held_out, ahead)
    assert k == 1 + np.argmin(each, axis=0)[1]
    np.testing.assert_allclose(found, each[k - 1], rtol=1e-12)
    scores = chance.ordered_baselines(training, held_out, ahead)
    asked = np.arange(21)[:, None] + np.arange(2, 19)
    assert scores["persistence_accuracy"] == np.mean(held_out[asked] == held_out[asked + 1])
    past = TaskConfig(length=20, vocab_size=4, window=3, lag=3, batch_size=1)
    backwards = chance.ordered_baselines(training[::-1], held_out[::-1], past)
    assert backwards == pytest.approx(scores, rel=1e-12)
