"""The strip of states, and what the states tell: of a delay line, which is known, and of text."""

import math

import numpy as np
import pytest
from drawn import drawn_network
from run_folders import PLAIN

import echo_jax
from echo_jax.echo.run import predictor, predictor_states
from echo_jax.exceptions import ConfigError
from echo_jax.learner.network import read_out

TOKENS = np.array([3, 1, 4, 1, 0, 2, 4, 3], np.int32)


@pytest.mark.parametrize("stateful", [True, False])
@pytest.mark.parametrize("layout", ["windows", "prefixes", "streams"])
def test_the_last_state_of_each_row_gives_its_answer(layout, stateful):
    trained = drawn_network(PLAIN, layout=layout, stateful=stateful)
    rows = predictor_states.rows_of(trained, TOKENS)
    answers = trained.predict(TOKENS.tolist())
    assert [row.answer for row in rows] == answers[len(answers) - len(rows) :]
    for row in rows:
        logits = read_out(trained.network, trained.params, row.states["h"][-1])
        assert row.answer in (None, int(np.argmax(logits)))
        assert row.states["c"].shape == (len(row.tokens), 3)
    wanted = {"windows": [3] * 6, "prefixes": [2] + [3] * 6, "streams": [1] * 8}[layout]
    assert [len(row.tokens) for row in rows] == wanted


@pytest.mark.parametrize("fields", [{}, {"layout": "streams", "cell": "gru"}])
def test_the_states_of_any_values_are_drawn(fields):
    trained = drawn_network(PLAIN, **fields)
    figure = trained.states()
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert trained.states([99, *TOKENS.tolist()], unknown="skip").axes


def test_too_few_or_too_many_values_are_refused():
    with pytest.raises(ConfigError, match="2 values are too few for an answer: use 3 or more"):
        drawn_network(PLAIN).states([1, 2])
    with pytest.raises(ConfigError, match="1,000 values take 2,994 steps, more than 400"):
        drawn_network(PLAIN).states([1] * 1000)
    with pytest.raises(ConfigError, match="not in the vocabulary"):
        drawn_network(PLAIN).states([1, 2, 3, 17])


@pytest.fixture(autouse=True)
def few_streams(monkeypatch):
    monkeypatch.setattr(predictor_states, "STREAMS", (150, 150))
    monkeypatch.setattr(predictor_states, "ASKED", 8)


def trained(**options):
    sizes = {"window": 3, "length": 12, "batch_size": 2, "hidden_size": 4, "sequences": 2}
    return echo_jax.train(**sizes, **options, evaluation_sequences=4, progress=False)


def test_a_window_without_a_carried_state_tells_what_its_line_holds_and_nothing_before(
    tmp_path, call
):
    run = trained(cell="mlp", stateful=False, vocab_size=4, lag=1, out=tmp_path / "run")
    found = run.memory()
    expected = [2, 0, 0, 0, 0, 0]  # the line holds two inputs, the last of which is given
    np.testing.assert_allclose(found.by_lag["bits"], expected, atol=0.05)
    np.testing.assert_allclose(found.by_lag["untrained"], expected, atol=0.05)
    said = call("show.py", "--memory", "run", cwd=tmp_path).stdout
    assert found.answer[0] in said
    assert (tmp_path / "run" / "memory.png").stat().st_size > 10_000
    again = predictor.load(tmp_path / "run").memory()
    np.testing.assert_array_equal(again.by_lag["bits"], found.by_lag["bits"])


def test_of_a_text_the_bits_are_those_beyond_the_last_character(tmp_path):
    stays = np.random.default_rng(0).random(2000) < 0.8
    text = "".join(np.array(["a", "b"])[np.cumsum(~stays) % 2])
    path = tmp_path / "mine.txt"
    path.write_text(text)
    found = trained(cell="mlp", stateful=False, lag=-1, text=path, held_out=0.3).memory(lags=2)
    assert (found.given, found.total) == (1, None)
    left = -0.8 * math.log2(0.8) - 0.2 * math.log2(0.2)
    assert found.by_lag["left"][0] == pytest.approx(left, abs=0.1)
    assert found.by_lag["bits"][0] == pytest.approx(left, abs=0.1)  # it is in the window
