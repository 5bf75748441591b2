"""Cells whose state is a matrix, and sLSTM, in chunks and where their numbers are extreme."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cell_equations import slstm_gates
from cell_reference import sigmoid

from echo_jax.cells.matrix_state import chunks, rwkv7
from echo_jax.cells.matrix_state.delta_net import DeltaNetCell, DeltaTerms
from echo_jax.cells.matrix_state.gated_linear_attention import GLACell, GLATerms
from echo_jax.cells.matrix_state.key_value_cell import OuterProductCell, OuterProductTerms
from echo_jax.cells.vector_state.slstm import SLSTMCell, SLSTMParams


def with_gradients(recurrence, terms, state):
    """The last state and all outputs of a form, and the gradients of their sum of squares."""

    def loss(terms, state):
        found = recurrence(None, state, terms, None)
        return sum((x**2).sum() for x in found), found

    return jax.value_and_grad(loss, (0, 1), has_aux=True)(terms, state)


def in_chunks(cell):
    """The recurrence of a cell from terms `[T, B, n]`, in chunks; `read_out` has no part in it."""

    def run(params, state, terms, mask):
        steps = jnp.arange(len(jax.tree.leaves(terms)[0]))
        rows = state.shape[0]

        def advance(state, chosen, present):
            chunk = jax.tree.map(lambda x: x[chosen, jnp.arange(rows)[:, None]], terms)
            return cell.recur_chunk(params, state, chunk, present)

        chosen = jnp.broadcast_to(steps[:, None], (len(steps), rows))
        return chunks.scan_over_chunks(advance, state, chosen, mask)

    return run


def assert_close(found, expected, share):
    """Every array is near to the other one, relative to its largest number."""
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, atol=share * np.abs(other).max(), rtol=0)


@pytest.mark.parametrize("log_alpha", [None, -0.05, -60.0])
@pytest.mark.parametrize("same", [0, 0.98, 1])
def test_chunks_of_the_delta_rule_are_its_steps_in_float64_also_for_one_key(same, log_alpha):
    rng = np.random.default_rng(0)
    steps, rows = 45, 2  # chunks whose triangles are halved, and one that is filled up
    q, k, v = (rng.normal(size=(steps, rows, 6)) for _ in range(3))
    k = same * k[0] + (1 - same) * k
    k /= np.linalg.norm(k, axis=-1, keepdims=True)
    decay = None if log_alpha is None else np.full((steps, rows, 1), log_alpha)
    terms = DeltaTerms(q, k, v, rng.uniform(0.9, 1, (steps, rows, 1)), decay)
    inputs = terms, rng.normal(size=(rows, 6, 6))
    cell = DeltaNetCell(6)
    run = jax.jit(functools.partial(with_gradients, in_chunks(cell)))
    found = run(*jax.tree.map(jnp.float32, inputs))
    with jax.enable_x64(True):
        expected = jax.jit(functools.partial(with_gradients, cell.sequential))(*inputs)
    assert_close(found, expected, 2e-5)


@pytest.mark.parametrize(("steps", "rows"), [(17, 16), (5, 256)])
def test_chunks_from_a_state_that_is_a_constant_in_the_program_are_the_steps(steps, rows):
    """XLA of jax 0.10.2 computes the sum of two products wrong there, on a CPU."""
    cell = GLACell(45)
    assert chunks.runs_in_chunks(cell.keys * cell.values)
    params = cell.init(jax.random.key(0), 16)
    tokens = jax.random.randint(jax.random.key(1), (steps, rows), 0, 16)

    def first():
        return cell.initial_state(params, rows, 16)

    def by_steps(inputs):
        return jax.lax.scan(lambda s, x: cell.step(params, s, x), first(), inputs)

    expected = jax.jit(by_steps)(jax.nn.one_hot(tokens, 16))
    found = jax.jit(lambda tokens: cell.scan(params, first(), tokens))(tokens)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize(
    ("over_strengths", "decays"),
    [(jax.lax.map, 3), (lambda run, strengths: jax.vmap(run)(strengths), 3), (jax.lax.map, 1)],
)
def test_chunks_are_the_steps_and_have_their_gradients_however_much_they_forget(
    over_strengths, decays
):
    """One product is finite up to a mean of -5 a step here; `vmap` computes both forms."""
    rng = np.random.default_rng(0)
    cell = OuterProductCell(3)
    k, v, q, state = (rng.normal(size=s) for s in ((40, 2, 3), (40, 2, 4), (40, 2, 3), (2, 3, 4)))
    k, v, q, state = map(jnp.float32, (k, v, q, state))
    log_a = jnp.float32(
        -np.multiply.outer((0.05, 1, 5, 10, 40), rng.uniform(0, 2, (40, 2, decays)))
    )
    log_a = log_a.at[0, 4].set(-5000)  # a product of decays is 0 from here to the end of the chunk
    log_a = log_a.at[0, 20, 0, 0].set(-5000)  # in the next chunk for one number of one row alone

    def of_strengths(form):
        def run(log_a):
            return with_gradients(form, GLATerms(OuterProductTerms(log_a, k, v, q), v), state)

        return jax.jit(lambda: over_strengths(run, log_a))()

    forms = (jax.tree.leaves(of_strengths(form)) for form in (in_chunks(cell), cell.sequential))
    for found, expected in zip(*forms, strict=True):
        for one, other in zip(found, expected, strict=True):  # of each strength
            assert_close(one, other, 2e-5)


def slstm_mean(p, xs):
    """The outputs by their definition: means of all past tanh(z~), weighted by logarithms."""
    h, weights, values, outputs = np.zeros((xs.shape[1], p.R.shape[1])), [], [], []
    for x in xs:
        i, f, z, o = slstm_gates(p, h, x)
        weights = [weight + np.log(sigmoid(f)) for weight in weights] + [i]
        values.append(np.tanh(z))
        shares = np.exp(np.array(weights) - np.max(weights, axis=0))
        h = sigmoid(o) * np.sum(shares * values, axis=0) / np.sum(shares, axis=0)
        outputs.append(h)
    return np.stack(outputs)


@pytest.mark.parametrize("input_bias", [-200, -60, -15, 200])
def test_slstm_is_a_mean_of_its_inputs_however_low_or_high_their_gates_are(input_bias):
    cell, rng = SLSTMCell(4), np.random.default_rng(0)
    xs = rng.normal(size=(6, 2, 3)).astype(np.float32)
    bias = np.repeat(np.float32([input_bias, 1, 0, 0]), 4)
    params = SLSTMParams(*(rng.normal(size=s).astype("f") for s in [(3, 16), (1, 4, 16)]), bias)

    @jax.jit
    def outputs(params, xs):
        return cell.scan(params, cell.initial_state(params, 2, 3), xs)[1]

    params64 = SLSTMParams(*(leaf.astype(np.float64) for leaf in params))
    found = outputs(params, xs)
    np.testing.assert_allclose(found, slstm_mean(params64, xs.astype(np.float64)), atol=3e-5)
    gradient = jax.jit(jax.grad(lambda params: jnp.sum(outputs(params, xs))))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_slstm_starts_with_forget_gates_from_open_to_shut_and_without_recurrence():
    params = jax.jit(SLSTMCell(400, heads=2).init, static_argnums=1)(jax.random.key(0), 10)
    b = np.asarray(params.b).reshape(4, 2, 200)
    assert not np.any(params.R)
    assert not np.any(b[[0, 2, 3]])
    np.testing.assert_array_equal(b[1, 0], b[1, 1])
    np.testing.assert_allclose(b[1, 0, [0, 1, -1]], [5, 5 - 12 * (1 / 199) ** 0.3, -7], rtol=1e-5)
    assert float(np.std(params.W)) == pytest.approx((2 / 50) ** 0.5, rel=0.02)


@pytest.mark.parametrize("decay", [-6.0, 0.0, 12.0])
def test_chunks_of_rwkv7_are_its_steps_where_steps_are_absent(monkeypatch, decay):
    cell = rwkv7.RWKV7Cell(6, heads=2, head_size=23)
    shapes = jax.eval_shape(lambda: cell.init(jax.random.key(0), 5))
    keys = jax.random.split(jax.random.key(1), len(shapes) + 2)
    draw = (0.3 * jax.random.normal(key, x.shape) for key, x in zip(keys[2:], shapes, strict=True))
    params = shapes._make(draw)
    params = params._replace(w0=params.w0 + decay)  # 12: nearly 0.545 at every step
    xs = jax.random.normal(keys[0], (37, 3, 5))  # two chunks, and one that is filled up
    mask = jax.random.bernoulli(keys[1], 0.7, xs.shape[:2])
    start = jax.tree.map(lambda x: x + 0.5, cell.initial_state(params, 3, 5))

    def measured():  # a new function, as jit keeps what it has traced
        def loss(params, xs, start):
            last, ys = cell.scan(params, start, xs, mask)
            ys = jnp.where(mask[..., None], ys, 0)
            return (ys**2).sum() + (last.S**2).sum(), (last, ys)

        return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(params, xs, start)

    by_chunks = measured()
    monkeypatch.setattr(chunks, "WIDE", 1000)
    by_steps = measured()
    assert_close(by_chunks, by_steps, 3e-5)
    pairs = zip(jax.tree.leaves(by_chunks), jax.tree.leaves(by_steps), strict=True)
    assert any(np.any(a != b) for a, b in pairs)  # there are two forms, rounded differently
