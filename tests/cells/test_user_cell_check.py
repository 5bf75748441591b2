"""What the check of a cell lets in, and what it says of the rest.

A cell of functions is scored by `measurement.by_steps`, as every cell is. Cells with honest
mistakes are refused with one sentence, or scored as what they are.
"""

import re
import types
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.buffer_callback import buffer_callback

from echo_jax.cell_names import CELLS
from echo_jax.cells import registry, user_cell_check
from echo_jax.cells.adapt import adapt
from echo_jax.exceptions import ConfigError
from echo_jax.learner.network import Network
from echo_jax.memory import measurement

SIZE, STREAMS, STEPS = 4, 3, 6
NAME = "cells_of_tests:cell"


def init(key, input_size):
    return {"kernel": jax.random.normal(key, (input_size, SIZE))}


def initial_state(params, batch_size, input_size):
    return jnp.zeros((batch_size, SIZE))


def honest(params, state, x):
    state = jnp.tanh(x @ params["kernel"] + 0.5 * jnp.roll(state, 1, axis=-1))
    return state, state


def fed(change):
    """The honest step on changed inputs."""
    return lambda params, state, x: honest(params, state, change(x))


def cell_of(step=honest, **functions):
    """The cell of a step and of other functions, in which all else is honest."""
    of = {"init": init, "initial_state": initial_state, "step": step, **functions}
    return adapt(types.SimpleNamespace(**of))


def lowered(cell):
    """The checked program, and its arguments."""
    user_cell_check.check_shapes(cell, NAME, SIZE)
    params = cell.init(jax.random.key(0), SIZE)
    tokens = np.random.default_rng(0).integers(SIZE, size=(STREAMS, STEPS))
    arguments = {"cell": params}, jnp.asarray(tokens)
    network = Network(cell, None, SIZE, SIZE, SIZE)
    scored = lambda *of: measurement.by_steps(network, *of, lambda *found: found)  # noqa: E731
    return user_cell_check.check_program(cell, NAME, scored, *arguments), arguments


def measure(cell):
    """The states and outputs that are scored of a cell, and the bytes of its state."""
    of, arguments = lowered(cell)
    (states, outputs), carried = jax.device_get(of.lowered.compile()(*arguments))
    return states, outputs[:, :, 0], carried


KEY = jax.random.key(0)


def with_state(start, step):
    return {"initial_state": lambda params, batch, size: start(batch), "step": step}


def counts(params, state, x):
    h, time, (nothing, past) = state["h"], state["time"], state["rest"]
    h, y = honest(params, h / (1 + time[:, None]), x)
    return {"h": h, "time": time + 1, "rest": (nothing, past * 2)}, y


def rotates(params, state, x):
    state = state * jnp.exp(1j * jnp.arange(SIZE)) + x @ params["kernel"]
    return state, jnp.concatenate([state.real, state.imag], -1)


HONEST = {
    "state that is nested, counts and has gaps": with_state(
        lambda batch: {"h": jnp.zeros((batch, SIZE)), "time": jnp.zeros(batch, int),
                       "rest": (None, jnp.ones((batch, 2), jnp.int8))},
        counts,
    ),
    "state that is empty": with_state(lambda batch: (), lambda params, state, x: (state, x)),
    "complex state": with_state(lambda batch: jnp.zeros((batch, SIZE), jnp.complex64), rotates),
    "keys that it folds": {
        "step": fed(lambda x: x + jax.random.normal(jax.random.fold_in(KEY, 1), x.shape))
    },
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_an_awkward_cell_is_let_in_and_runs(name):
    _, outputs, _ = measure(cell_of(**HONEST[name]))
    assert np.isfinite(outputs).all()
    assert outputs.std(axis=(0, 1)).max() > 0


@pytest.mark.parametrize("name", CELLS)
def test_the_built_in_cells_are_let_in(name):
    lowered(registry.build(name, {"features": 4} | ({"delay_line": 2} if name == "mlp" else {})))


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
    "returns float32[2, 4] from a step: return a pair": {"step": lambda params, state, x: state},
    "turns its carry float32[2, 4] into bfloat16[2, 4]: return a carry of the same tree": {
        "step": lambda params, state, x: (state.astype(jnp.bfloat16), x)
    },
    "turns its carry float32[2, 4] into (float32[2, 4],): return a carry of the same tree": {
        "step": lambda params, state, x: ((state,), x)
    },
    "returns an output complex64[2, 4] for a batch of 2: return one array": {
        "step": lambda params, state, x: (state, x + 1j)
    },
    "starts from a carry with float32[4] for a batch of 2: use numbers": {
        "initial_state": lambda params, batch, size: jnp.zeros(SIZE)
    },
    "has the parameter a/kernel of type bfloat16: make it float32": {
        "init": lambda key, size: {"a": {"kernel": jnp.zeros((size, SIZE), jnp.bfloat16)}}
    },
    "has the parameter w of type complex64: make it float32": {
        "init": lambda key, size: {"w": jnp.zeros((size, SIZE), jnp.complex64)}
    },
    "fails in initial_state (ZeroDivisionError: integer division or modulo by zero): define it": {
        "initial_state": lambda params, batch, size: jnp.zeros(batch // 0)
    },
    "cannot be compiled": {"step": lambda params, state, x: (state, x * float(x[0, 0]))},
    "has a scan that returns (float32[2, 4], float32[3, 2, 1]) for float32[3, 2, 4]": {
        "scan": lambda params, state, xs, mask=None: (state, xs[..., :1])
    },
    f"{BEYOND} (a reference": {"step": fed(lambda x: x + REF[...])},
    f"{BEYOND} (a reference, or an array of another program)": {"step": keeps_arrays_in_a_list},
    "starts from a carry with float64[2, 4]": {"initial_state": in_double_precision},
    "changes its parameters in a step": {"step": changes_its_parameters},
    "fails in a step (SystemExit)": {"step": exits},
    "fails in scan (TypeError: ": {"scan": lambda params, state: state},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_broken_rule_is_one_sentence_with_a_line_of_this_file(sentence):
    TABLE.clear()
    with pytest.raises(ConfigError) as refusal:
        user_cell_check.check_shapes(cell_of(**REFUSED[sentence]), NAME, SIZE)
    assert re.match(rf"\S+[.]py:\d+: cell '{NAME}' {re.escape(sentence)}", str(refusal.value))
    assert "\n" not in str(refusal.value)


def test_the_bytes_of_constants_are_those_of_arrays_in_the_program():
    arrays = [np.array([2, 7, 1, 8, 3], dtype) for dtype in ("float32", "complex64", "int8")]
    held = [jnp.asarray(array) for array in arrays]
    step = fed(lambda x: x + sum(jnp.max(array.real) for array in held))
    assert lowered(cell_of(step))[0].constant_bytes == 5 * (4 + 8 + 1)
    assert lowered(cell_of())[0].constant_bytes == 0


MEASURED = {
    "pure_callback": {"step": fed(recalled)},
    "pure_callback in a branch": {
        "step": fed(lambda x: jax.lax.cond(x[0, 0] > 9, recalled, abs, x))
    },
    "pure_callback in prepare": {"prepare": lambda params: jax.tree.map(recalled, params)},
    "buffer_callback": {"step": fed(filled)},
    "debug_print": {"step": fed(printing)},
    "rng_uniform": {"step": fed(lambda x: x + jax.lax.rng_uniform(0.0, 1.0, x.shape))},
}
"""Functions of a cell, by the word for what they do in the sentence, and where they do it."""


@pytest.mark.parametrize("mistake", MEASURED)
def test_a_cell_that_reaches_out_passes_by_its_shapes_and_is_refused_where_it_is_measured(mistake):
    cell = cell_of(**MEASURED[mistake])
    user_cell_check.check_shapes(cell, NAME, SIZE)
    with pytest.raises(ConfigError) as refusal:
        lowered(cell)
    said = f"cell '{NAME}' {BEYOND} ({mistake.partition(' ')[0]}): remove"
    assert re.match(rf"\S+[.]py:\d+: {re.escape(said)}", str(refusal.value))


def test_the_line_is_that_of_the_users_own_call():
    lines = Path(__file__).read_text().splitlines()
    line = next(n for n, text in enumerate(lines, 1) if text.endswith("# line of the callback"))
    with pytest.raises(ConfigError, match=rf"test_user_cell_check\.py:{line}: cell"):
        lowered(cell_of(fed(recalled)))


def peeking(params, state, xs, mask=None):
    """A scan that answers with the inputs of later steps."""
    xs = jax.nn.one_hot(xs, SIZE) if jnp.issubdtype(xs.dtype, jnp.integer) else xs
    return state, jnp.roll(xs, -1, axis=0)


AS_HONEST = {
    "looks at later inputs in its scan": {"scan": peeking},
    "sees other streams": {"step": fed(lambda x: x + jnp.sum(x, 0, keepdims=True) - x[:1])},
}


@pytest.mark.parametrize("mistake", AS_HONEST)
def test_a_mistake_that_is_not_in_the_score_gives_the_numbers_of_the_honest_cell(mistake):
    measured, honestly = measure(cell_of(**AS_HONEST[mistake])), measure(cell_of())
    chex.assert_trees_all_equal(measured, honestly)
    assert measured[2] == 4 * SIZE
