"""Cells that cheat are refused with one sentence, or scored as what they are."""

import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify, io_callback, pallas
from jax.experimental.custom_partitioning import custom_partitioning
from jax.extend import core
from jax.extend.mlir import ir
from jax.extend.mlir.dialects import stablehlo
from jax.interpreters import mlir
from measured import NAME, SIZE, cell_of, fed, honest, initial_state, lowered, measure

from echo_jax.cells import user_cell_check
from echo_jax.exceptions import ConfigError

BEYOND = "does more than compute its results"
TABLE: dict = {}
"""What cheats keep outside their carry."""


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


def checking(x):
    checkify.check(jnp.all(x > 9), "never")
    return x


@jax.custom_jvp
def with_a_derivative(x):
    return recalled(x)


with_a_derivative.defjvp(lambda x, slope: (x[0], slope[0]))


@jax.custom_batching.custom_vmap
def with_a_rule(x):
    return recalled(x)


with_a_rule.def_vmap(lambda size, batched, x: (x, batched[0]))


def foreign(target):
    return lambda x: jax.ffi.ffi_call(target, as_it_is(x))(x)


def foreign_and_exported(x):
    allowed = [jax.export.DisabledSafetyCheck.custom_call("mine")]
    return jax.export.export(jax.jit(foreign("mine")), disabled_checks=allowed)(x).call(x)


OUTER = jax.new_ref(jnp.zeros((1, SIZE)))


def from_a_reference(x):
    last = OUTER[...]
    OUTER[...] = x[:1]
    return last


def own_operation(name, emit):
    """A function with an operation that no function of jax has."""
    primitive = core.Primitive(name)
    primitive.def_abstract_eval(lambda x: x)
    mlir.register_lowering(primitive, emit)
    return primitive.bind


def infeed(context, x):
    token = stablehlo.create_token()
    op = stablehlo.InfeedOp([x.type, stablehlo.TokenType.get()], token)
    return [op.results[0]]


def outfeed(context, x):
    stablehlo.OutfeedOp([x], stablehlo.create_token())
    return [x]


def send(context, x):
    channel = stablehlo.ChannelHandle.get(1, 2)
    stablehlo.SendOp([x], stablehlo.create_token(), channel, is_host_transfer=True)
    return [x]


def recv(context, x):
    channel = stablehlo.ChannelHandle.get(1, 3)
    types = [x.type, stablehlo.TokenType.get()]
    op = stablehlo.RecvOp(types, stablehlo.create_token(), channel, is_host_transfer=True)
    return [op.results[0]]


def kernel(target):
    def emit(context, x):
        name = ir.StringAttr.get(target)
        return [stablehlo.CustomCallOp([x.type], [x], name).results[0]]

    return own_operation(target, emit)


CALLBACK = "xla_ffi_python_cpu_callback"
MEASURED = {
    "a callback": (recalled, CALLBACK),
    "a callback in order": (lambda x: io_callback(remembered, x, x, ordered=True), "io_callback"),
    "a callback with effects": (lambda x: io_callback(remembered, x, x), "io_callback"),
    "a callback for one stream": (lambda x: recalled(x) if len(x) == 1 else x, CALLBACK),
    "a callback beside a derivative": (with_a_derivative, CALLBACK),
    "a callback beside a batching rule": (with_a_rule, CALLBACK),
    "a callback in a branch": (lambda x: jax.lax.cond(x[0, 0] > 9, recalled, abs, x), CALLBACK),
    "a callback in a loop": (
        lambda x: jax.lax.fori_loop(0, 2, lambda i, x: recalled(x), x), CALLBACK
    ),
    "a callback in a checkpoint": (jax.checkpoint(recalled), CALLBACK),
    "a print": (printing, "debug_print"),
    "foreign code": (foreign("mine"), "ffi_call"),
    "foreign code that is exported": (foreign_and_exported, "mine"),
    "a kernel of the list by hand": (foreign("lapack_sgees_ffi"), "ffi_call"),
    "a longer name": (kernel("lapack_sgetrf_ffi_"), "lapack_sgetrf_ffi_"),
    "a name with more before it": (kernel("my_lapack_sgetrf_ffi"), "my_lapack_sgetrf_ffi"),
    "a name of another platform": (kernel("cusolver_getrf_ffi"), "cusolver_getrf_ffi"),
    "chance": (lambda x: x + jax.lax.rng_uniform(0.0, 1.0, x.shape), "rng"),
    "a reference": (from_a_reference, "get"),
    "a reference that is read": (lambda x: x + OUTER[...], "get"),
    "infeed": (own_operation("infeed", infeed), "infeed"),
    "outfeed": (own_operation("outfeed", outfeed), "outfeed"),
    "send": (own_operation("send", send), "send"),
    "recv": (own_operation("recv", recv), "recv"),
    "a kernel of Triton": (kernel("__gpu$xla.gpu.triton"), "__gpu$xla.gpu.triton"),
    "a kernel of Mosaic": (kernel("tpu_custom_call"), "tpu_custom_call"),
    "memory as it was": (kernel("AllocateBuffer"), "AllocateBuffer"),
}  # fmt: skip
"""What a step does to its input, and the word for it in the sentence."""


@pytest.mark.parametrize("cheat", MEASURED)
def test_a_step_that_reaches_out_passes_by_its_shapes_and_is_refused_where_it_is_measured(cheat):
    change, word = MEASURED[cheat]
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
    with pytest.raises(ConfigError, match=rf"test_cheats\.py:{line}: cell"):
        lowered(cell_of(fed(recalled)))


# Cells that hide what they keep elsewhere than in a step.


def keeps_a_reference(params):
    TABLE["reference"] = jax.new_ref(jnp.zeros((1, SIZE)))
    return params


def starts_with_a_reference(params, batch_size, input_size):
    TABLE["reference"] = jax.new_ref(jnp.zeros((1, SIZE)))
    return initial_state(params, batch_size, input_size)


def uses_the_reference(params, state, x):
    last = TABLE["reference"][...]
    TABLE["reference"][...] = x[:1]
    return honest(params, state, x + last)


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
    "a reference from prepare": (
        {"prepare": lambda params: jax.new_ref(params["kernel"])}, "fails in prepare"
    ),
    "a reference kept by prepare": (
        {"prepare": keeps_a_reference, "step": uses_the_reference}, BEYOND
    ),
    "a reference kept by the first state": (
        {"initial_state": starts_with_a_reference, "step": uses_the_reference},
        BEYOND,
    ),
    "a function from prepare": ({"prepare": lambda params: lambda x: x}, "fails in prepare"),
    "a string from prepare": ({"prepare": lambda params: "kernel"}, "fails in prepare"),
    "a callback in prepare": ({"prepare": lambda params: jax.tree.map(recalled, params)}, BEYOND),
    "arrays in a list": ({"step": keeps_arrays_in_a_list}, "an array of another program"),
    "a key in the state": (
        {"initial_state": lambda params, batch, size: jax.random.split(jax.random.key(0), batch)},
        r"starts from a carry with key<fry>\[2\]",
    ),
    "double precision": (
        {"initial_state": in_double_precision}, r"starts from a carry with float64\[2, 4\]"
    ),
    "integer parameters": (
        {"init": lambda key, size: {"kernel": jnp.ones((size, SIZE), int)}},
        "has the parameter kernel of type int32",
    ),
    "a setting": ({"step": changes_a_setting}, "sets jax_enable_x64"),
    "a kernel of Pallas": (
        {"step": fed(lambda x: pallas.pallas_call(lambda x, y: None, x)(x))}, "fails in a step"
    ),
    "a name of an axis": (
        {"step": fed(lambda x: jax.lax.psum(x, "streams"))}, "fails in a step"
    ),
    "a check": ({"step": fed(checking)}, "cannot be compiled|functionalized|does more"),
    "an odd error": ({"step": raises_what_cannot_be_printed}, "fails in a step .Unprintable"),
    "an exit": ({"step": exits}, "fails in a step .SystemExit"),
}  # fmt: skip


@pytest.mark.parametrize("cheat", REFUSED)
def test_a_cell_that_cannot_be_let_in_is_one_sentence(cheat):
    functions, sentence = REFUSED[cheat]
    TABLE.clear()
    with pytest.raises(ConfigError, match=sentence) as refusal:
        lowered(cell_of(**functions))
    assert "\n" not in str(refusal.value)


# Cells that are let in, as their tricks change nothing that is scored.


def peeking(params, state, xs, mask=None):
    """A scan that answers with the inputs of later steps."""
    xs = jax.nn.one_hot(xs, SIZE) if jnp.issubdtype(xs.dtype, jnp.integer) else xs
    return state, jnp.roll(xs, -1, axis=0)


def of_the_batch(params, state, x):
    return honest(params, state, x) if len(x) == 1 else (state, 100 + state)


@jax.custom_batching.custom_vmap
def mapped(x):
    return x


@mapped.def_vmap
def _(size, batched, x):
    TABLE["rule"] = "ran"
    return jnp.flip(x, axis=0), batched[0]


@jax.custom_vjp
def differentiated(x):
    return x


def forward(x):
    TABLE["rule"] = "ran"
    return recalled(x), None


differentiated.defvjp(forward, lambda _, slope: (slope,))


@jax.custom_jvp
def pushed_forward(x):
    return x


pushed_forward.defjvp(lambda x, slope: (recalled(x[0]), slope[0]))


def notes_down(params, state, x):
    TABLE.setdefault("list", []).append(x)
    TABLE["state"] = state
    return honest(params, state, x)


def keeps_parameters(params):
    TABLE["params"] = params
    return params


def uses_kept_parameters(params, state, x):
    return honest(TABLE["params"] if len(x) == 1 else params, state, x)


@custom_partitioning
def partitioned(x):
    return x


partitioned.def_partition(
    partition=lambda *of: None, infer_sharding_from_operands=lambda *of: None, sharding_rule="i->i"
)


AS_HONEST = {
    "looks at later inputs in its scan": {"scan": peeking},
    "sees other streams": {"step": fed(lambda x: x + jnp.sum(x, 0, keepdims=True) - x[:1])},
    "shifts streams": {"step": fed(lambda x: jnp.roll(x, 1, axis=0))},
    "answers by the size of the batch": {"step": of_the_batch},
    "calls back in other batches": {"step": fed(lambda x: x if len(x) == 1 else recalled(x))},
    "calls back for other inputs": {
        "step": fed(lambda x: x if x.shape[-1] == SIZE else recalled(x))
    },
    "mixes streams in its batching rule": {"step": fed(mapped)},
    "calls back in its reverse derivative": {"step": fed(differentiated)},
    "calls back in its forward derivative": {"step": fed(pushed_forward)},
    "notes down the arrays of its trace": {"step": notes_down},
    "keeps its parameters in Python": {"prepare": keeps_parameters, "step": uses_kept_parameters},
    "is partitioned by Python": {"step": fed(lambda x: x.at[0].set(partitioned(x[0])))},
}  # fmt: skip


@pytest.fixture(scope="module")
def of_the_honest():
    return measure(cell_of())


@pytest.mark.parametrize("cheat", AS_HONEST)
def test_a_trick_that_is_not_in_the_score_gives_the_numbers_of_the_honest_cell(
    cheat, of_the_honest
):
    TABLE.clear()
    measured = measure(cell_of(**AS_HONEST[cheat]))
    np.testing.assert_array_equal(measured.states, of_the_honest.states)
    np.testing.assert_array_equal(measured.outputs, of_the_honest.outputs)
    assert measured.state_bytes == of_the_honest.state_bytes == 4 * SIZE
    assert "rule" not in TABLE


# Cells that are let in, and whose tricks are scored as what they are.


def small_in_other_batches(params, batch_size, input_size):
    return jnp.zeros((batch_size, SIZE if batch_size == 1 else 1))


def small_for_the_first(params, batch_size, input_size):
    TABLE["calls"] = TABLE.get("calls", 0) + 1
    return jnp.zeros((batch_size, 100 if TABLE["calls"] > 1 else SIZE))


def of_any_size(params, state, x):
    return state + jnp.sum(x), x


def test_the_bytes_are_those_of_the_carry_that_is_measured():
    TABLE.clear()
    cells = [
        cell_of(of_any_size, initial_state=start)
        for start in (small_in_other_batches, small_for_the_first)
    ]
    assert [measure(cell).state_bytes for cell in cells] == [4 * SIZE, 400]


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
    "a clock": time.perf_counter,
    "a counter": counted,
    "a file": lambda: len(Path(__file__).read_bytes()),
    "the generator of NumPy": lambda: float(np.random.default_rng().normal()),
    "a fixed key": lambda: jax.random.normal(jax.random.key(0)),
    "a fixed key of the generator rbg": lambda: jax.random.normal(jax.random.key(0, impl="rbg")),
}


@pytest.mark.parametrize("what", CONSTANTS)
def test_what_python_reads_while_it_is_traced_is_one_constant_of_all_steps(what, of_the_honest):
    measured = measure(cell_of(constant_at(CONSTANTS[what])))
    np.testing.assert_array_equal(measured.states, of_the_honest.states)
    added = measured.outputs - of_the_honest.outputs
    np.testing.assert_allclose(added, np.full_like(added, added[0, 0, 0]), rtol=1e-5, atol=1e-5)
    assert np.any(added)


def test_a_table_of_sequences_is_counted_and_knows_those_of_the_table_alone():
    """The state is a place in the table; of streams that are not in it the answer is another's."""
    table = np.random.default_rng(1).integers(SIZE, size=(50, 6)).astype(np.int8)

    def step(params, place, x):
        return place + 1, jnp.asarray(table)[place[:, 0] % 50, place[:, 0] % 6][:, None] + 0.0 * x

    start = lambda params, batch, size: jnp.zeros((batch, 1), jnp.int32)  # noqa: E731
    measured = measure(cell_of(step, initial_state=start))
    assert measured.constant_bytes == table.nbytes
    assert measured.state_bytes == 4
    np.testing.assert_array_equal(measured.outputs, measured.outputs[:1].repeat(3, axis=0))


def test_the_program_is_traced_once_and_what_was_checked_is_what_is_compiled():
    TABLE.clear()
    of, arguments = lowered(cell_of(notes_down))
    before = len(TABLE["list"])
    of.compile()(*arguments)
    assert len(TABLE["list"]) == before
