"""What the check of a cell lets in, and what it says of the rest."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from measured import NAME, SIZE, cell_of, fed, honest, lowered, measure

from echo_jax.cell_table import CELLS
from echo_jax.cells import registry, user_cell_check
from echo_jax.exceptions import ConfigError

# Awkward cells that are let in: functions in the place of the honest ones.


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
    outputs = measure(cell_of(**HONEST[name])).outputs
    assert np.isfinite(outputs).all()
    assert outputs.std(axis=(0, 1)).max() > 0


@pytest.mark.parametrize("name", CELLS)
def test_the_built_in_cells_are_let_in(name):
    lowered(registry.build(name, {"features": 4} | ({"delay_line": 2} if name == "mlp" else {})))


REFUSED = {
    "returns float32[2, 4] from a step: return two": {"step": lambda params, state, x: state},
    "turns its carry float32[2, 4] into bfloat16[2, 4]: return a carry of the same tree": {
        "step": lambda params, state, x: (state.astype(jnp.bfloat16), x)
    },
    "turns its carry float32[2, 4] into (float32[2, 4],): return a carry of the same tree": {
        "step": lambda params, state, x: ((state,), x)
    },
    "returns an output complex64[2, 4] for a batch of 2: return one array": {
        "step": lambda params, state, x: (state, x + 1j)
    },
    "starts from a carry with float32[4] for a batch of 2: keep numbers": {
        "initial_state": lambda params, batch, size: jnp.zeros(SIZE)
    },
    "has the parameter a/kernel of type bfloat16: make it float32": {
        "init": lambda key, size: {"a": {"kernel": jnp.zeros((size, SIZE), jnp.bfloat16)}}
    },
    "has the parameter w of type complex64: make it float32, real and imaginary part apart": {
        "init": lambda key, size: {"w": jnp.zeros((size, SIZE), jnp.complex64)}
    },
    "fails in initial_state (ZeroDivisionError: integer division or modulo by zero): define it": {
        "initial_state": lambda params, batch, size: jnp.zeros(batch // 0)
    },
    "cannot be compiled, as it asks for the value of an array": {
        "step": lambda params, state, x: (state, x * float(x[0, 0]))
    },
    "has a scan that returns (float32[2, 4], float32[3, 2, 1]) for float32[3, 2, 4]": {
        "scan": lambda params, state, xs, mask=None: (state, xs[..., :1])
    },
    "fails in scan (TypeError: ": {"scan": lambda params, state: state},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_broken_rule_is_one_sentence_with_a_line_of_this_file(sentence):
    with pytest.raises(ConfigError) as refusal:
        user_cell_check.check_shapes(cell_of(**REFUSED[sentence]), NAME, SIZE)
    assert re.match(rf"\S+[.]py:\d+: cell '{NAME}' {re.escape(sentence)}", str(refusal.value))


def test_the_bytes_of_constants_are_those_of_arrays_in_the_program():
    arrays = [np.array([2, 7, 1, 8, 3], dtype) for dtype in ("float32", "complex64", "int8")]
    held = [jnp.asarray(array) for array in arrays]
    step = fed(lambda x: x + sum(jnp.max(array.real) for array in held))
    assert measure(cell_of(step)).constant_bytes == 5 * (4 + 8 + 1)
    assert measure(cell_of()).constant_bytes == 0
