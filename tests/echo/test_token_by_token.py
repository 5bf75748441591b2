import functools

import chex
import jax
import numpy as np
import pytest
from drawn import drawn_params, network_of

from echo_jax.config import NetworkConfig, RunConfig, TaskConfig, changed
from echo_jax.echo import token_by_token
from echo_jax.echo.evaluation import answer_sequence
from echo_jax.learner.loss import token_loss

LENGTH, VOCAB, HIDDEN = 23, 10, 6
TOKENS = np.random.default_rng(0).integers(0, VOCAB, LENGTH).astype(np.int32)
PIECE = 7  # of batch sizes 1 and 7 whole groups, of 2 and 5 also a rest, of 9 a rest alone


def make(layout, window, lag, batch_size, stateful, cell="lstm", **other):
    task = TaskConfig(LENGTH, VOCAB, window, lag, batch_size, layout)
    return changed(RunConfig(task, NetworkConfig(cell, HIDDEN, stateful)), **other)


KINDS = {
    "windows": make("windows", 3, 1, 5, False),
    "windows, stateful, B 1": make("windows", 3, 1, 1, True),
    "windows, stateful, B 2, future": make("windows", 2, -2, 2, True),
    "windows, stateful, B 5, lag beyond": make("windows", 3, 4, 5, True),
    "windows, stateful, B 9": make("windows", 1, 1, 9, True),
    "prefixes, stateful, future": make("prefixes", 4, -1, 7, True),
    "prefixes, missing token": make("prefixes", 3, 1, 2, True, missing="token"),
    "streams": make("streams", 4, 1, 3, False),
    "streams, stateful, lag beyond": make("streams", 3, 5, 2, True),
}


FAST = ("windows", "windows, stateful, B 5, lag beyond", "prefixes, stateful, future", "streams")


@functools.cache
def programs(config):
    """Weights large enough that every input and state matters; `start`, `feed`, `step`, answers."""
    network = network_of(config)
    functions = (
        *(functools.partial(of, config, network) for of in
          (token_by_token.start, token_by_token.feed, token_by_token.step)),
        functools.partial(answer_sequence, config, network, config.dynamic),
    )  # fmt: skip
    return drawn_params(network), *map(jax.jit, functions)


def feed_in_pieces(config, tokens, lengths, seen=None):
    """The state and the answers after feeding the tokens in pieces of 1 and of PIECE.

    `seen` is the number of tokens that were fed before.
    """
    params, start, feed, step, _ = programs(config)
    state, answers = start(params), []
    state = state if seen is None else state._replace(seen=np.int32(seen))
    for piece in np.split(tokens, np.cumsum(lengths)[:-1]):
        if len(piece) == 1:
            state, answer = step(params, state, piece[0])
            answers.append(jax.tree.map(lambda leaf: np.asarray(leaf)[None], answer))
        else:
            state, answer = feed(params, state, piece)
            answers.append(jax.tree.map(np.asarray, answer))
    return state, token_by_token.Answer(*map(np.concatenate, zip(*answers, strict=True)))


@pytest.mark.parametrize(
    "kind", [k if k in FAST else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_it_makes_no_difference_how_the_tokens_are_cut(kind):
    config = KINDS[kind]
    expected_state, expected = feed_in_pieces(config, TOKENS, [1] * LENGTH)
    two_best = np.sort(expected.logits, axis=-1)[:, -2:]
    clear = two_best[:, 1] - two_best[:, 0] > 1e-5
    rng = np.random.default_rng(2)
    for pieces in (1, 2, 3, 3):
        lengths = rng.permutation([PIECE] * pieces + [1] * (LENGTH - PIECE * pieces))
        state, answers = feed_in_pieces(config, TOKENS, lengths)
        chex.assert_trees_all_close(state, expected_state, atol=1e-5)
        np.testing.assert_array_equal(answers.exists, expected.exists)
        shown = answers.exists
        np.testing.assert_allclose(answers.logits[shown], expected.logits[shown], atol=1e-5)
        np.testing.assert_array_equal(answers.token[shown & clear], expected.token[shown & clear])


def test_a_count_of_tokens_that_cannot_grow_stays_and_answers_go_on():
    config = KINDS["windows"]
    late = token_by_token.LARGEST - 3
    state, answers = feed_in_pieces(config, TOKENS[:15], [PIECE, 1, PIECE], late)
    assert state.seen == token_by_token.LARGEST
    assert answers.exists.all()


OF_EVALUATION = {
    **{name: KINDS[name] for name in ("windows", "streams", "streams, stateful, lag beyond")},
    "windows, stateful": KINDS["windows, stateful, B 5, lag beyond"],
    "prefixes, future": make("prefixes", 4, -1, 11, True),
    "embedding and a missing token": make(
        *("prefixes", 3, 1, 2, True), missing="token", encoding="embedding", embedding_dim=5,
        tied=True,
    ),
    "mlp of values": make("windows", 3, 2, 1, True, "mlp", delay_line=5, framing="values"),
}  # fmt: skip


@pytest.mark.parametrize("config", OF_EVALUATION.values(), ids=OF_EVALUATION)
def test_evaluation_gives_the_same_answers(config):
    """Evaluation drops the first rows that fill no batch: where it does, echo starts later."""
    task, streams = config.task, config.task.layout == "streams"
    dropped = 0 if streams else len(task.target_times) % task.batch_size
    assert dropped == 0 or task.layout == "windows"
    tokens = TOKENS[dropped:]
    pieces = len(tokens) // PIECE - 1
    lengths = [PIECE] * pieces + [1] * (len(tokens) - PIECE * pieces)
    _, answers = feed_in_pieces(config, tokens, lengths)
    params, *_, evaluate = programs(config)
    answered = evaluate(params, np.tile(TOKENS, (task.batch_size, 1)) if streams else TOKENS)
    expected = jax.tree.map(lambda leaf: np.asarray(leaf[0]), answered)
    times = np.flatnonzero(expected.scored) if streams else np.asarray(task.row_times)
    shown, positions = times - dropped, times if streams else slice(None)
    assert np.all(answers.exists[shown])
    assert not np.any(answers.exists[: shown[0]])
    np.testing.assert_array_equal(answers.token[shown], expected.predicted[positions])
    loss_of = jax.jit(token_loss, static_argnums=2)
    loss = loss_of(answers.logits[shown], TOKENS[times - task.lag], task.framing)
    np.testing.assert_allclose(loss, expected.loss[positions], atol=1e-5)


def delay_line(steps):
    """Weights of a SimpleCell that says the token `steps` ago: unit pieces that hand on a one-hot.

    Piece 0 is the input; piece b is what piece b - 1 was a step before.
    """
    size = VOCAB * (steps + 1)
    kernel = np.zeros((VOCAB, size), np.float32)
    kernel[:, :VOCAB] = 20 * np.eye(VOCAB)
    recurrent = 20 * np.eye(size, k=VOCAB, dtype=np.float32)
    readout = np.eye(VOCAB, dtype=np.float32)
    cell = {"i": {"kernel": kernel, "bias": np.zeros(size, np.float32)}, "h": {"kernel": recurrent}}
    last = np.concatenate([np.zeros((size - VOCAB, VOCAB), np.float32), readout])
    return {"cell": cell, "readout": {"kernel": last, "bias": np.zeros(VOCAB, np.float32)}}


@functools.cache
def jitted_follows(config):
    network = network_of(config)
    return jax.jit(functools.partial(token_by_token.follows, config, network, windows=1000))


def follows(config, params, *positions):
    return np.asarray(jitted_follows(config)(params, jax.random.key(0), np.array(positions)))


@pytest.mark.parametrize(
    ("layout", "window", "stateful", "back"),
    [
        ("windows", 3, False, 1),
        ("streams", 3, True, 1),
        ("windows", 1, True, 2),  # row r continues row r - 2, so a step before is two steps back
    ],
)
def test_the_answer_of_a_delay_line_follows_the_token_that_it_says_and_no_other(
    layout, window, stateful, back
):
    task = TaskConfig(9, VOCAB, window, 1, 2, layout)
    config = RunConfig(task, NetworkConfig("simple", 2 * VOCAB, stateful))
    found = follows(config, delay_line(1), 0, 1, 2, 3, 8, 9)  # 9 is outside the sequence
    np.testing.assert_array_equal(found, np.arange(6) == back)
    drawn = functools.partial(jitted_follows(config), delay_line(1), jax.random.key(0))
    shares = [drawn(np.array([back]), pool=np.array(pool)).item() for pool in ([3, 3], [0, 1])]
    assert shares == [0, 1]  # one token alone never changes
