"""Cells with honest mistakes are refused with one sentence, or scored as what they are."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.buffer_callback import buffer_callback
from measured import NAME, SIZE, cell_of, fed, honest, lowered, measure

from echo_jax.cells import user_cell_check
from echo_jax.exceptions import ConfigError

BEYOND = "does more than compute its results"
TABLE: dict = {}
"""What these cells keep outside their carry."""


def as_it_is(x):
    return jax.ShapeDtypeStruct(x.shape, x.dtype)


def remembered(x):
    """The last input, kept in Python."""
    last = TABLE.get("last", np.zeros_like(x))
    TABLE["last"] = np.asarray(x)
    return last


def recalled(x):
    return jax.pure_callback(remembered, as_it_is(x), x)  # line of the callback


def filled(x):
    """The last input, which Python writes into the memory of the result."""

    def fill(_, result, given):
        np.asarray(result)[:] = remembered(np.asarray(given))

    return buffer_callback(fill, as_it_is(x))(x)


def printing(x):
    jax.debug.print("{}", x)
    return x


MEASURED = {
    "a callback": (recalled, "pure_callback"),
    "a branch": (lambda x: jax.lax.cond(x[0, 0] > 9, recalled, abs, x), "pure_callback"),
    "a callback into a buffer": (filled, "buffer_callback"),
    "a print": (printing, "debug_print"),
    "chance": (lambda x: x + jax.lax.rng_uniform(0.0, 1.0, x.shape), "rng_uniform"),
}
"""What a step does to its input, and the word for it in the sentence."""


@pytest.mark.parametrize("mistake", MEASURED)
def test_a_step_that_reaches_out_passes_by_its_shapes_and_is_refused_where_it_is_measured(mistake):
    change, word = MEASURED[mistake]
    cell = cell_of(fed(change))
    user_cell_check.check_shapes(cell, NAME, SIZE)
    with pytest.raises(ConfigError) as refusal:
        lowered(cell)
    line, _, said = str(refusal.value).partition(": ")
    assert ".py:" in line
    assert said.startswith(f"cell '{NAME}' {BEYOND} ({word}): leave out")


def test_the_line_is_that_of_the_users_own_call():
    lines = Path(__file__).read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if text.endswith("# line of the callback"))
    with pytest.raises(ConfigError, match=rf"test_mistaken_cells\.py:{line}: cell"):
        lowered(cell_of(fed(recalled)))


def keeps_arrays_in_a_list(params, state, x):
    earlier = TABLE.setdefault("list", [x])
    earlier.append(x)
    return honest(params, state, x + earlier[-2][:1])


def in_double_precision(params, batch_size, input_size):
    with jax.enable_x64(True):
        return jnp.zeros((batch_size, SIZE), jnp.float64)


REF = jax.new_ref(jnp.zeros(SIZE))


def changes_its_parameters(params, state, x):
    params["kernel"] = params["kernel"] + 1
    return honest(params, state, x)


def exits(params, state, x):
    raise SystemExit


REFUSED = {
    "a callback in prepare": ({"prepare": lambda params: jax.tree.map(recalled, params)}, BEYOND),
    "arrays in a list": ({"step": keeps_arrays_in_a_list}, "an array of another program"),
    "double precision": (
        {"initial_state": in_double_precision}, r"starts from a carry with float64\[2, 4\]"
    ),
    "a reference": ({"step": fed(lambda x: x + REF[...])}, "a reference"),
    "changed parameters": ({"step": changes_its_parameters}, "changes its parameters in a step"),
    "an exit": ({"step": exits}, "fails in a step .SystemExit"),
}  # fmt: skip


BY_SHAPES = ("a reference", "changed parameters")


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_cell_that_cannot_be_let_in_is_one_sentence(mistake):
    functions, sentence = REFUSED[mistake]
    TABLE.clear()
    check = user_cell_check.check_shapes if mistake in BY_SHAPES else lowered
    with pytest.raises(ConfigError, match=sentence) as refusal:
        check(cell_of(**functions), *([NAME, SIZE] if mistake in BY_SHAPES else []))
    assert "\n" not in str(refusal.value)


# Cells that are let in, as their mistakes change nothing that is scored.


def peeking(params, state, xs, mask=None):
    """A scan that answers with the inputs of later steps."""
    xs = jax.nn.one_hot(xs, SIZE) if jnp.issubdtype(xs.dtype, jnp.integer) else xs
    return state, jnp.roll(xs, -1, axis=0)


AS_HONEST = {
    "looks at later inputs in its scan": {"scan": peeking},
    "sees other streams": {"step": fed(lambda x: x + jnp.sum(x, 0, keepdims=True) - x[:1])},
}


@pytest.fixture(scope="module")
def of_the_honest():
    return measure(cell_of())


@pytest.mark.parametrize("mistake", AS_HONEST)
def test_a_mistake_that_is_not_in_the_score_gives_the_numbers_of_the_honest_cell(
    mistake, of_the_honest
):
    TABLE.clear()
    measured = measure(cell_of(**AS_HONEST[mistake]))
    np.testing.assert_array_equal(measured.states, of_the_honest.states)
    np.testing.assert_array_equal(measured.outputs, of_the_honest.outputs)
    assert measured.state_bytes == of_the_honest.state_bytes == 4 * SIZE
