"""The strip of states: its numbers, and the figure."""

import numpy as np
import pytest
from drawn import drawn_network
from run_folders import PLAIN

from echo_jax.core.network import read_out
from echo_jax.exceptions import ConfigError
from echo_jax.runs import states_figure

TOKENS = np.array([3, 1, 4, 1, 0, 2, 4, 3], np.int32)


@pytest.mark.parametrize("stateful", [True, False])
@pytest.mark.parametrize("layout", ["windows", "prefixes", "streams"])
def test_the_last_state_of_each_row_gives_its_answer(layout, stateful):
    trained = drawn_network(PLAIN, layout=layout, stateful=stateful)
    rows = states_figure.rows_of(trained, TOKENS)
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
    figure = trained.states(states_figure.any_values(trained))
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert trained.states([99, *TOKENS.tolist()], unknown="skip").axes


def test_too_few_or_too_many_values_are_refused():
    with pytest.raises(ConfigError, match="2 values are too few for an answer: use 3 or more"):
        drawn_network(PLAIN).states([1, 2])
    with pytest.raises(ConfigError, match="1,000 values are 2,994 steps, more than 400: use fewer"):
        drawn_network(PLAIN).states([1] * 1000)
    with pytest.raises(ConfigError, match="not in the vocabulary"):
        drawn_network(PLAIN).states([1, 2, 3, 17])
