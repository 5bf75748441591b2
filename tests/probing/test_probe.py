"""Bits that are known beforehand: channels in closed form, copies, codes, chains."""

import itertools
import re

import jax.numpy as jnp
import numpy as np
import pytest

import echo_jax
from echo_jax.exceptions import ConfigError
from echo_jax.probing.checked_streams import ProbedStreams, check_streams
from echo_jax.probing.probe_result import result_of


def uniform(streams=80, length=24, classes=4, seed=0):
    return np.random.default_rng(seed).integers(classes, size=(streams, length))


def shifted(tokens, lag):
    """The one-hot vector of the token some steps back, zeros before the first, `[S, T, V]`."""
    back = np.pad(tokens, ((0, 0), (lag, 0)), constant_values=-1)[:, : tokens.shape[1]]
    return (back[..., None] == np.arange(tokens.max() + 1)).astype(np.float32)


def register(tokens, *lags):
    return np.concatenate([shifted(tokens, lag) for lag in lags], -1)


def chain(streams=200, length=40, stays=0.7, seed=0):
    """Streams of a Markov chain over two tokens that repeats the one before in a share of cases."""
    changes = np.random.default_rng(seed).random((streams, length)) >= stays
    return np.cumsum(changes, axis=1) % 2


def entropy(share):
    return -share * np.log2(share) - (1 - share) * np.log2(1 - share)


def test_a_copy_of_an_earlier_token_has_all_its_bits_and_those_of_no_other():
    tokens = uniform()
    found = echo_jax.probe(register(tokens, 0, 2, 5), tokens, 6)
    expected = [0, 2, 0, 0, 2, 0]
    np.testing.assert_allclose(found.by_lag["bits"], expected, atol=0.02)
    np.testing.assert_allclose(found.by_lag["entropy"], 2, atol=0.02)
    assert found.total == pytest.approx(4, abs=0.05)
    assert found.total_interval.low <= found.total <= found.total_interval.high


def test_bits_of_a_noisy_channel_are_its_mutual_information():
    tokens = uniform(400, 24, 2)
    noise = np.random.default_rng(1).normal(size=(*tokens.shape, 1))
    received = 2.0 * shifted(tokens, 1)[..., :1] - 1 + noise
    received[:, 0] = 0
    received = np.concatenate([shifted(tokens, 0), received], -1)
    y = np.linspace(-12, 12, 100_001)
    density = np.exp(-((y - 1) ** 2) / 2) / np.sqrt(2 * np.pi)
    capacity = 1 - np.sum(density * np.log2(1 + np.exp(-2 * y))) * (y[1] - y[0])  # of BPSK
    found = echo_jax.probe(received, tokens, 3)
    assert found.by_lag["low"][0] < capacity < found.by_lag["high"][0] + 0.01
    np.testing.assert_allclose(found.by_lag["bits"][1:], 0, atol=0.01)


def test_states_that_know_nothing_have_no_bits_however_many_numbers_they_have():
    tokens = uniform(80, 40, 4)
    states = np.random.default_rng(1).normal(size=(*tokens.shape, 150))
    assert echo_jax.probe(states, tokens, 4).total < 0.02


def test_the_bits_do_not_depend_on_the_basis_and_the_units_of_the_states():
    tokens = uniform(120)
    random = np.random.default_rng(1)
    noisy = register(tokens, 0, 1) + random.normal(scale=0.7, size=(*tokens.shape, 8))
    mixed = (noisy @ random.normal(size=(8, 8))) * 1e4 + 1e3
    first, second = (echo_jax.probe(states, tokens, 2).total for states in (noisy, mixed))
    assert second == pytest.approx(first, rel=0.01)


def test_of_tokens_that_predict_one_another_the_bits_are_those_beyond_the_last():
    tokens = chain()
    last = shifted(tokens, 0)
    known = echo_jax.probe(last, tokens, 3)
    assert (known.given, known.total) == (1, None)
    assert known.by_lag["bits"].max() < 0.01  # all it knows is known from the last token
    assert known.by_lag["left"][0] == pytest.approx(entropy(0.7), abs=0.03)
    both = register(tokens, 0, 1)
    told = echo_jax.probe(both, tokens, 3, untrained=register(tokens, 0, 0))
    assert told.by_lag["bits"][0] == pytest.approx(told.by_lag["left"][0], abs=0.02)
    assert told.by_lag["untrained"].max() < 0.01
    alone = echo_jax.probe(last, tokens, 3, given=0)
    assert alone.by_lag["bits"][0] == pytest.approx(1 - entropy(0.7), abs=0.03)
    assert alone.total is None
    pair = echo_jax.probe(both, tokens, 3, given=2)
    assert pair.by_lag["bits"].max() < 0.01


def test_a_code_by_position_is_read_by_heads_for_each_step_alone():
    tokens = uniform(400, 12, 4)
    slots = np.zeros((*tokens.shape, 4, 4), np.float32)
    for step in range(tokens.shape[1]):  # a register that is written at step mod 4
        slots[:, step:, step % 4] = np.eye(4)[tokens[:, step, None]]
    states = slots.reshape(*tokens.shape, 16)
    shared = echo_jax.probe(states, tokens, 3).total
    apart = echo_jax.probe(states, tokens, 3, at=[5, 8], by_step=True).total
    assert shared < 4
    assert apart == pytest.approx(6, abs=0.1)


def test_more_than_before_training_is_an_interval_above_it_and_less_one_below():
    noise = np.repeat([[-0.1], [0.1]], 20, axis=0)  # an interval of 0.03 on both sides
    before = np.array([0.4, 0.48, 0.5, 0.52, 0.54, 0.6]) * np.ones((40, 1))
    found = result_of(
        [0.5 + noise + 0 * before, before], *np.ones((2, 6)), 0, independent=True, per_weight=9
    )
    assert re.findall(r"\d+", found.answer[1]) == ["1", "6", "2"]


def test_the_interval_of_a_total_leaves_out_the_lags_that_the_total_leaves_out():
    told = 0.5 + np.repeat([-0.1, 0.1], 20)
    found = np.column_stack([told, *np.full((5, 40), -0.3)])
    result = result_of([found], *np.ones((2, 6)), 0, independent=True, per_weight=9)
    assert result.total == pytest.approx(0.5)
    assert result.total_interval[:2] == pytest.approx([0.4676, 0.5324], abs=1e-4)


def test_what_the_step_or_an_n_gram_tells_is_no_knowledge_of_the_states():
    step = np.arange(12) % 2  # 0 .. 3 at even steps, 4 .. 7 at odd ones
    tokens = np.random.default_rng(0).integers(4, size=(700, 12)) + 4 * step
    nothing = np.zeros((700, 12, 2))
    found = echo_jax.probe(nothing, tokens, 3, at=[6, 9], by_step=True, given=0)
    assert found.by_lag["bits"].max() < 0.01
    text = np.random.default_rng(0).zipf(1.3, size=(80, 40)).clip(max=40)
    text[:, 1:] = np.where(text[:, :-1] % 3 == 0, text[:, :-1] // 3, text[:, 1:])
    for given in (1, 2):
        found = echo_jax.probe(np.zeros((80, 40, 1)), text, 2, given=given)
        assert found.by_lag["bits"].max() == 0


def test_a_context_that_never_occurred_has_the_shares_after_its_newest_token():
    tokens = np.tile([0, 1, 2, 0, 1, 2, 0], (2, 1))
    probed = ProbedStreams(tokens, 3, np.arange(2, 7), 1)
    shorter, longer = (probed.log_shares(given, slice(None)) for given in (1, 2))
    for newest, before in np.ndindex(3, 3):
        occurred = newest == (before + 1) % 3
        same = np.allclose(longer[newest + 3 * before], shorter[newest])
        assert same != occurred


def test_numbers_that_hardly_vary_count_as_constant():
    tokens = uniform(60, 12)
    found = echo_jax.probe(register(tokens, 0, 1, 2) * np.float32([1] * 8 + [1e-40] * 4), tokens, 2)
    assert found.by_lag["bits"][0] > 1.9


def test_large_means_and_bfloat16_lose_nothing():
    tokens = uniform(60, 12)
    means = 1e9 * np.arange(8)  # one for each number
    found = echo_jax.probe(register(tokens, 0, 1).astype(np.float64) + means, tokens, 2)
    assert found.by_lag["bits"][0] > 1.9
    half = jnp.asarray(register(tokens, 0, 1), jnp.bfloat16)
    assert echo_jax.probe(half, tokens, 2).by_lag["bits"][0] > 1.9


class Odd:
    """As a nested tensor of PyTorch, which has no shape."""

    @property
    def shape(self):
        raise KeyError("shape")

    detach = shape


CASES = {
    "states": (lambda s, t: (s[:, :-1], t), r"states have 11 steps, but the tokens have 12"),
    "not finite": (
        lambda s, t: (np.where(np.arange(12)[:, None] == 3, np.nan, s), t),
        "first in stream 0 after step 3",
    ),
    "objects": (lambda s, t: (s.astype(object), t), r"states are an array of object \[60, 12, 4"),
    "masked states": (lambda s, t: (np.ma.masked_equal(s, 1), t), "states are masked: leave out"),
    "masked tokens": (lambda s, t: (s, np.ma.masked_equal(t, 1)), "tokens are masked"),
    "words": (lambda s, t: (s, t.astype(str)), "tokens are an array of <U"),
    "floats": (lambda s, t: (s, t * 0.5), "give integers"),
    "time first": (
        lambda s, t: (s.swapaxes(0, 1), t),
        r"states are an array of float32 \[12, 60, 4\], for tokens \[60, 12\]",
    ),
    "tuple": (lambda s, t: ((s, s[:, -1]), t), r"states are a tuple: give the array alone"),
    "padding": (
        lambda s, t: (s, np.where(np.arange(12) >= 10, -100, t)),
        "tokens=-100 is negative, in stream 0 at step 10: leave out padding",
    ),
    "one token": (lambda s, t: (s, t * 0), "tokens=0 is the only token"),
    "few streams": (lambda s, t: (s[:15], t[:15]), "15 streams are .* give 37 or more, [^(]+$"),
    "few examples": (lambda s, t: (np.repeat(s, 40, axis=-1), t), "420 examples .* 160 numbers"),
    "no array": (lambda s, t: ([[[1], [1, 2]]], t), "states are not an array"),
    "odd object": (lambda s, t: (Odd(), t), "states are not an array of numbers .KeyError"),
    "no number": (lambda s, t: (s[..., :0], t), r"states are an array of float32 \[60, 12, 0\]"),
    "too many": (
        lambda s, t: (np.broadcast_to(s[..., :1], (60, 12, 10**14)), t),
        "GiB of memory is needed",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_arrays_are_one_sentence(name):
    change, sentence = CASES[name]
    tokens = uniform(60, 12)
    with pytest.raises(ConfigError, match=sentence):
        echo_jax.probe(*change(shifted(tokens, 1), tokens), 2)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lags": 12}, "lags=12"),
        ({"at": [1]}, "at=1"),
        ({"at": []}, r"at=\[\] is not a step from lags=2 to 11"),
        ({"at": -1}, "at=-1 is not a list"),
        ({"at": itertools.count(3)}, r"at=.* is not a list"),
        ({"at": [5.7]}, "at=5.7 is not a whole number"),
        ({"scored": 30}, "60 streams are too few for scored=30: give 66"),
        ({"given": 9}, "given=9 is more than the 3 tokens"),
    ],
)
def test_bad_options_are_one_sentence(options, sentence):
    tokens = uniform(60, 12)
    with pytest.raises(ConfigError, match=sentence):
        echo_jax.probe(shifted(tokens, 1), tokens, **{"lags": 2, **options})


def windows(apart, streams=80, length=24, classes=4):
    """Windows of one stream, in any order."""
    whole = uniform(1, apart * streams + length, classes)[0]
    order = np.random.default_rng(1).permutation(streams)
    return np.lib.stride_tricks.sliding_window_view(whole, length)[order * apart]


@pytest.mark.parametrize(
    ("tokens", "sentence"),
    [
        (np.concatenate([uniform(80, 24), uniform(80, 24)[:1]]), "streams 0 and 80 have the same"),
        (np.tile(uniform(1, 20), (60, 1)), "streams 0 and 1 have the same 20 tokens"),
        (np.tile(uniform(3, 20, 2), (20, 1)), "have the same 20 tokens, which cannot be chance"),
        (windows(1), "of the streams begin with the last 23 tokens of others"),
        (windows(1, classes=2), "of the streams begin with the last 23 tokens of others"),
        (windows(7), "begin with the last 17 tokens of others, which cannot be chance"),
    ],
)
def test_streams_that_repeat_or_overlap_are_refused(tokens, sentence):
    with pytest.raises(ConfigError, match=sentence):
        echo_jax.probe(register(tokens, 0, 1), tokens, 2)


def test_streams_that_are_alike_by_chance_are_no_repeats():
    steps = np.arange(24)
    periodic, phases = steps + 0 * uniform(), steps + uniform(80, 1)
    for honest in (
        uniform(300, 5, 2), chain(stays=0.98), periodic % 4, phases % 4, np.tile(uniform(80, 8), 2)
    ):  # fmt: skip
        check_streams(honest, honest.max() + 1)


def second_order(streams=100, length=40, classes=5, repeats=0.7):
    """Streams whose token is the one two steps before in a share of cases, in others any."""
    tokens = uniform(streams, length, classes)
    random = np.random.default_rng(1)
    for step in range(2, length):
        again = random.random(streams) < repeats
        tokens[:, step] = np.where(again, tokens[:, step - 2], tokens[:, step])
    return tokens


def recurrent(tokens, units=20):
    """The states of a tanh RNN that was not trained."""
    random = np.random.default_rng(0)
    inputs = 0.3 * random.normal(size=(tokens.max() + 1, units))
    inner = 0.6 * np.linalg.qr(random.normal(size=(units, units)))[0]
    states = [np.zeros((len(tokens), units))]
    for token in tokens.T:
        states.append(np.tanh(inputs[token] + states[-1] @ inner))
    return np.stack(states[1:], axis=1)


INDEPENDENT, TEXT = uniform(60, 16, 6), second_order()
NETWORKS = {
    "register": (register(INDEPENDENT, 0, 1, 2), INDEPENDENT),
    "present input": (register(INDEPENDENT, 0), INDEPENDENT),
    "RNN": (recurrent(INDEPENDENT, 15), INDEPENDENT),  # the programs of the register's 15 numbers
    "RNN on text": (recurrent(TEXT, 8), TEXT),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_tokens_that_are_not_those_fed_are_refused_or_named(name):
    states, tokens = NETWORKS[name]
    echo_jax.probe(states, tokens, 2)  # as they are: no word, although text is predicted
    text = tokens is TEXT
    named = pytest.warns(UserWarning, match="one step") if text else pytest.raises(ConfigError)
    for shift in ((states[:, :-1], tokens[:, 1:]), (states[:, 1:], tokens[:, :-1])):
        with named:
            echo_jax.probe(*shift, 2)
