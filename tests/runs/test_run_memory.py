"""What the state of a trained network tells: of a delay line, whose state is known, and of text."""

import math

import numpy as np
import pytest

import echo_jax
from echo_jax.runs import predictor, run_memory


@pytest.fixture(autouse=True)
def few_streams(monkeypatch):
    monkeypatch.setattr(run_memory, "STREAMS", (150, 150))
    monkeypatch.setattr(run_memory, "ASKED", 8)


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
