"""Cells whose state is a vector, where their numbers are extreme or known in closed form."""

import cell_reference
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from cell_equations import rg_lru_step
from scipy.special import eval_legendre

from echo_jax.cells.vector_state.exprnn import ExpRNNCell, PreparedExpRNN, exponential
from echo_jax.cells.vector_state.lmu import LMUCell
from echo_jax.cells.vector_state.lru import RGLRUCell
from echo_jax.cells.vector_state.minimal_rnns import MinLSTMCell
from echo_jax.cells.vector_state.s5 import S5Cell, hippo_frequencies

EXPRNN = ExpRNNCell(5, recurrent_rate=0.5)


def test_exprnn_rotates_in_full_precision_also_where_that_is_not_the_default():
    prepared = PreparedExpRNN(jnp.eye(5), jnp.eye(5), jnp.zeros(5))
    assert "HIGHEST" in str(
        jax.make_jaxpr(EXPRNN.recur)(prepared, jnp.ones((1, 5)), jnp.ones((1, 5)))
    )


@pytest.mark.parametrize("scale", [0.0, 0.01, 1.0, 30.0])
def test_the_exponential_is_that_of_scipy_and_so_is_its_derivative(scale):
    drawn, direction = np.random.default_rng(0).normal(size=(2, 6, 6))
    matrix = scale * (drawn - drawn.T)
    expected = scipy.linalg.expm_frechet(matrix, direction)
    with jax.enable_x64(True):
        found = jax.jit(lambda a, d: jax.jvp(exponential, (a,), (d,)))(matrix, direction)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    found = np.asarray(jax.jit(exponential)(matrix.astype(np.float32)))
    np.testing.assert_allclose(found @ found.T, np.eye(6), atol=2e-4 if scale > 9 else 2e-6)


LMU = LMUCell(4, order=3, theta=6.5, memories=2)


def test_the_memory_of_lmu_is_a_delay_of_any_length_up_to_theta():
    time, order = np.arange(300), 12
    u = np.sin(2 * np.pi * time / 40) + np.cos(2 * np.pi * time / 93)
    cell = LMUCell(1, order, theta=64)

    @jax.jit
    def run(u):
        start = cell.initial_state(None, 1, 1).m
        return jax.lax.scan(lambda m, u: (cell.remember(m, u),) * 2, start, u)[1]

    m = np.asarray(run(np.float32(u).reshape(-1, 1, 1)))[:, 0, 0]
    for delay in (8, 16, 32, 50, 64):
        decoded = m @ eval_legendre(np.arange(order), 2 * delay / 64 - 1)
        delayed = np.interp(time - delay + 0.5, time, u)  # an input is held for a step
        np.testing.assert_allclose(decoded[150:], delayed[150:], atol=0.006)


def test_lmu_remembers_in_full_precision_also_where_that_is_not_the_default():
    assert "HIGHEST" in str(jax.make_jaxpr(LMU.remember)(jnp.ones((1, 2, 3)), jnp.ones((1, 2))))


MINLSTM = MinLSTMCell(4)


def test_minlstm_keeps_half_at_first_and_no_gate_is_lost_to_rounding():
    params = MINLSTM.init(jax.random.key(0), 5)
    kept, added = MINLSTM.project(params, jnp.zeros((1, 5)))
    np.testing.assert_allclose(kept, 0.5)
    np.testing.assert_array_equal(added, 0)
    shut = params._replace(b_f=jnp.full(4, -200.0), b_i=jnp.full(4, -201.0))
    kept, _ = MINLSTM.project(shut, jnp.zeros((1, 5)))
    np.testing.assert_allclose(kept, cell_reference.sigmoid(1.0), rtol=1e-5)


RG_LRU = RGLRUCell(4)


def test_the_input_is_scaled_by_the_root_of_1_minus_a_squared_also_where_a_is_close_to_1():
    decays = np.float32([-25.0, -12.0, -4.0, 0.0])
    params, x = cell_reference.initial(RG_LRU)._replace(Lambda=decays), np.ones(5)
    a, b = map(np.asarray, jax.jit(RG_LRU.project)(params, x))
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
    _, expected = rg_lru_step(p, np.zeros(4), x)
    np.testing.assert_allclose(b[1:], expected[1:], rtol=1e-5)
    assert a[0] == 1  # lost to rounding
    assert b[0] == pytest.approx(expected[0], rel=1e-4)


def test_a_unit_that_never_decays_adds_nothing_and_has_a_gradient():
    params = cell_reference.initial(RG_LRU)._replace(b_a=np.full(4, -200.0))

    @jax.jit
    @jax.value_and_grad
    def added(params):
        a, b = RG_LRU.project(params, jnp.ones(5))
        return jnp.sum(b) + jnp.sum(1 - a)

    total, gradient = added(params)
    assert abs(total) < 1e-15
    assert all(np.isfinite(leaf).all() for leaf in gradient)


S5 = S5Cell(4, state_size=6, blocks=2)


def test_the_frequencies_are_the_eigenvalues_of_hippo_legs_plus_a_matrix_of_rank_1():
    n = np.arange(10)
    legs = -np.tril(np.sqrt(np.outer(2 * n + 1, 2 * n + 1)), -1) - np.diag(n + 1)
    eigenvalues = np.linalg.eigvals(legs + np.sqrt(np.outer(n + 0.5, n + 0.5)))
    np.testing.assert_allclose(eigenvalues.real, -0.5)
    kept = np.sort(eigenvalues.imag)[:5]
    np.testing.assert_allclose(hippo_frequencies(5), kept)
    assert np.all(kept < 0)


def test_a_real_part_above_0_is_clipped():
    params = cell_reference.initial(S5)._replace(Lambda_re=np.full(6, 0.3, np.float32))
    decay = np.abs(np.asarray(jax.jit(lambda params: S5.prepare(params).a)(params)))
    np.testing.assert_allclose(decay, np.exp(-1e-4 * np.exp(params.log_step)), rtol=1e-6)
