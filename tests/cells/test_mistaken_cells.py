"""Cells with honest mistakes are refused with one sentence, or scored as what they are."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import io_callback
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


def printing(x):
    jax.debug.print("{}", x)
    return x


OUTER = jax.new_ref(jnp.zeros((1, SIZE)))


def from_a_reference(x):
    last = OUTER[...]
    OUTER[...] = x[:1]
    return last


MEASURED = {
    "a callback": (recalled, "pure_callback"),
    "a callback in order": (lambda x: io_callback(remembered, x, x, ordered=True), "io_callback"),
    "a callback in a branch": (
        lambda x: jax.lax.cond(x[0, 0] > 9, recalled, abs, x),
        "pure_callback",
    ),
    "a print": (printing, "debug_print"),
    "foreign code": (lambda x: jax.ffi.ffi_call("mine", as_it_is(x))(x), "ffi_call"),
    "chance": (lambda x: x + jax.lax.rng_uniform(0.0, 1.0, x.shape), "rng_uniform"),
    "a reference": (from_a_reference, "get"),
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


def changes_a_setting(params, state, x):
    jax.config.update("jax_enable_x64", True)
    return honest(params, state, x)


class Unprintable(BaseException):
    def __str__(self):
        raise self


def raises_what_cannot_be_printed(params, state, x):
    raise Unprintable


def exits(params, state, x):
    raise SystemExit


REFUSED = {
    "a function from prepare": ({"prepare": lambda params: lambda x: x}, "fails in prepare"),
    "a callback in prepare": ({"prepare": lambda params: jax.tree.map(recalled, params)}, BEYOND),
    "arrays in a list": ({"step": keeps_arrays_in_a_list}, "an array of another program"),
    "a key in the state": (
        {"initial_state": lambda params, batch, size: jax.random.split(jax.random.key(0), batch)},
        r"starts from a carry with key<fry>\[2\]",
    ),
    "double precision": (
        {"initial_state": in_double_precision}, r"starts from a carry with float64\[2, 4\]"
    ),
    "a setting": ({"step": changes_a_setting}, "sets jax_enable_x64"),
    "an odd error": ({"step": raises_what_cannot_be_printed}, "fails in a step .Unprintable"),
    "an exit": ({"step": exits}, "fails in a step .SystemExit"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_cell_that_cannot_be_let_in_is_one_sentence(mistake):
    functions, sentence = REFUSED[mistake]
    TABLE.clear()
    with pytest.raises(ConfigError, match=sentence) as refusal:
        lowered(cell_of(**functions))
    assert "\n" not in str(refusal.value)


# Cells that are let in, as their mistakes change nothing that is scored.


def peeking(params, state, xs, mask=None):
    """A scan that answers with the inputs of later steps."""
    xs = jax.nn.one_hot(xs, SIZE) if jnp.issubdtype(xs.dtype, jnp.integer) else xs
    return state, jnp.roll(xs, -1, axis=0)


def notes_down(params, state, x):
    TABLE.setdefault("list", []).append(x)
    TABLE["state"] = state
    return honest(params, state, x)


def keeps_parameters(params):
    TABLE["params"] = params
    return params


def uses_kept_parameters(params, state, x):
    return honest(TABLE["params"] if len(x) == 1 else params, state, x)


AS_HONEST = {
    "looks at later inputs in its scan": {"scan": peeking},
    "sees other streams": {"step": fed(lambda x: x + jnp.sum(x, 0, keepdims=True) - x[:1])},
    "notes down the arrays of its trace": {"step": notes_down},
    "keeps its parameters in Python": {"prepare": keeps_parameters, "step": uses_kept_parameters},
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


@pytest.mark.parametrize(
    ("dtype", "expected"), [("uint4", 1), ("bool", 1), ("bfloat16", 2), ("uint32", 4)]
)
def test_a_state_of_any_type_counts_its_bytes(dtype, expected):
    start = lambda params, batch, size: jnp.zeros((batch, SIZE), dtype)  # noqa: E731
    step = lambda params, state, x: (state | (x > 0).astype(dtype), x)  # noqa: E731
    if dtype == "bfloat16":
        step = lambda params, state, x: (state + x.astype(dtype), x)  # noqa: E731
    assert measure(cell_of(step, initial_state=start)).state_bytes == expected * SIZE


def constant_at(read):
    """A step whose output has a number that Python reads while it is traced."""

    def step(params, state, x):
        state, y = honest(params, state, x)
        return state, y + read()

    return step


def counted():
    TABLE["calls"] = TABLE.get("calls", 0) + 1
    return TABLE["calls"]


CONSTANTS = {
    "a counter": counted,
    "the generator of NumPy": lambda: float(np.random.default_rng().normal()),
    "a fixed key of the generator rbg": lambda: jax.random.normal(jax.random.key(0, impl="rbg")),
}


@pytest.mark.parametrize("what", CONSTANTS)
def test_what_python_reads_while_it_is_traced_is_one_constant_of_all_steps(what, of_the_honest):
    measured = measure(cell_of(constant_at(CONSTANTS[what])))
    np.testing.assert_array_equal(measured.states, of_the_honest.states)
    added = measured.outputs - of_the_honest.outputs
    np.testing.assert_allclose(added, np.full_like(added, added[0, 0, 0]), rtol=1e-5, atol=1e-5)
    assert np.any(added)


def test_the_program_is_traced_once_and_what_was_checked_is_what_is_compiled():
    TABLE.clear()
    of, arguments = lowered(cell_of(notes_down))
    before = len(TABLE["list"])
    of.lowered.compile()(*arguments)
    assert len(TABLE["list"]) == before
