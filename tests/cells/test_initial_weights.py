"""What cells start from, before anything is learned."""

import cell_reference
import jax
import numpy as np
import pytest
from cell_reference import sigmoid

from echo_jax.cells.adapters.linen_cell import LinenCell
from echo_jax.cells.block import Block
from echo_jax.cells.matrix_state.delta_net import GatedDeltaNetCell
from echo_jax.cells.matrix_state.gated_linear_attention import GLACell
from echo_jax.cells.matrix_state.mamba2 import Mamba2Cell
from echo_jax.cells.matrix_state.mlstm import MLSTMCell
from echo_jax.cells.matrix_state.rwkv7 import RWKV7Cell
from echo_jax.cells.vector_state.exprnn import ExpRNNCell
from echo_jax.cells.vector_state.flax_rnns import IdentityRNNCell
from echo_jax.cells.vector_state.lmu import LMUCell
from echo_jax.cells.vector_state.lru import LRUCell, RGLRUCell
from echo_jax.cells.vector_state.lstm import ChronoLSTMCell, LSTMCell
from echo_jax.cells.vector_state.s5 import S5Cell, hippo_frequencies
from echo_jax.exceptions import ConfigError

LSTM = LinenCell(LSTMCell(50))
BLOCK = Block(LSTM, width=300)
S5 = S5Cell(300, state_size=200, blocks=4)
GLOROT_OF_GLA = 2**-2.5 * np.sqrt(6)
UNIFORM = {
    LSTM: {"kernel": np.sqrt(6 / 300)},
    BLOCK: {"conv": 1 / 2},
    GLACell(300): {
        "W_Q": GLOROT_OF_GLA / np.sqrt(250), "W_K": GLOROT_OF_GLA / np.sqrt(250), "W_V": 1 / 10,
        "W_alpha1": GLOROT_OF_GLA / np.sqrt(116), "W_alpha2": GLOROT_OF_GLA / np.sqrt(166),
        "b_alpha": 1 / 4, "W_r": 1 / 10, "b_r": 1 / 10, "W_O": 300**-0.5,
    },
    Mamba2Cell(300): {"W_B": 1 / 10, "W_dt": 1 / 10, "W_o": 300**-0.5},
    GatedDeltaNetCell(80): {"W_alpha": 1 / 10, "W_o": 120**-0.5},
    ExpRNNCell(801): {"b": 0.01},
    LMUCell(60, order=40, memories=50): {"e_x": 0.03**0.5, "e_h": 0.05**0.5},
}  # fmt: skip
"""The bounds of uniform weights, for 100 inputs."""
NORMAL = {
    MLSTMCell(50, 400, 300): {
        **dict.fromkeys(("W_q", "W_k", "W_v", "W_o"), 250**-0.5), "W_down": 2 * 50**-0.5,
    },
    BLOCK: {"W": 50**-0.5, "W1": 300**-0.5, "W2": 600**-0.5},
    ExpRNNCell(801): {"T": 50**-0.5},
    LMUCell(60, order=40, memories=50): {"W_x": 80**-0.5, "W_h": 60**-0.5, "W_m": 1030**-0.5},
    IdentityRNNCell(200): {"W": 1e-3},
    RGLRUCell(400): {"W_a": 400**-0.5, "W_x": 400**-0.5, "W_u": 1 / 10},
    S5: {
        "B_re": 800**-0.5, "B_im": 800**-0.5, "C_re": 400**-0.5, "C_im": 400**-0.5, "D": 1,
        "W_e": 1 / 10, "W": 300**-0.5,
    },
}  # fmt: skip
"""The standard deviations of normal weights, for 100 inputs."""
CONSTANT = {
    MLSTMCell(50, 400, 300): {
        "b_f": 3, "w_i": 0, "w_f": 0, "b_q": 0, "b_k": 0, "b_v": 0, "b_o": 0,
    },
    LMUCell(60, order=40, memories=50): {"e_m": 0},
    IdentityRNNCell(200): {"U": np.eye(200), "b": 0},
    RGLRUCell(400): {"b_u": 0, "b_a": 0, "b_x": 0},
    S5: {
        "Lambda_re": -0.5, "Lambda_im": np.tile(np.float32(hippo_frequencies(50)), 4),
        "b_e": 0, "b": 0,
    },
    Mamba2Cell(300): {"D": 1, "gain": 1},
    BLOCK: {"norm": 1, "conv_bias": 0, "b": 0, "mlp_norm": 1},
    LSTM: {"bias": np.repeat([0, 1, 0, 0], 50)},
}  # fmt: skip


@pytest.mark.parametrize(
    "cell", {**UNIFORM, **NORMAL, **CONSTANT}, ids=lambda cell: type(cell).__name__
)
def test_weights_start_as_their_authors_start_them(cell):
    params = cell_reference.initial(cell, 100)
    params = params.layers[0] if cell is BLOCK else params
    params = params if isinstance(params, dict) else params._asdict()
    for name, limit in UNIFORM.get(cell, {}).items():
        assert 0.97 * limit < np.max(np.abs(params[name])) <= limit, name
        assert np.std(params[name]) == pytest.approx(limit / np.sqrt(3), rel=0.1), name
    for name, deviation in NORMAL.get(cell, {}).items():
        assert np.std(params[name]) == pytest.approx(deviation, rel=0.06), name
    for name, value in CONSTANT.get(cell, {}).items():
        np.testing.assert_array_equal(params[name], np.broadcast_to(value, params[name].shape))


def assert_uniform(numbers, atol):
    """The numbers have the quartiles of a uniform distribution from 0 to 1."""
    quarters = np.linspace(0, 1, 5)
    np.testing.assert_allclose(np.quantile(numbers, quarters), quarters, atol=atol)


def test_the_recurrent_kernel_of_the_lstm_is_orthogonal():
    recurrent = cell_reference.initial(LSTM, 100)["recurrent_kernel"]
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(50), atol=1e-5)


def test_the_chrono_lstm_starts_with_times_spread_evenly_up_to_the_longest():
    cells = map(LinenCell, (LSTMCell(300), ChronoLSTMCell(300)))
    plain, chrono = map(cell_reference.initial, cells)
    for kernel in ("kernel", "recurrent_kernel"):
        np.testing.assert_array_equal(plain[kernel], chrono[kernel])
    i, f, g, o = np.split(chrono["bias"], 4)
    np.testing.assert_array_equal(i, -f)
    assert not np.any([g, o])
    u = np.exp(np.float64(f))
    np.testing.assert_allclose(np.quantile(u, [0, 0.5, 1]), [1, 32, 63], atol=3)
    with pytest.raises(ConfigError, match=r"^longest 2 is below 3"):
        ChronoLSTMCell(4, longest=2)


@pytest.mark.parametrize("cell", [Mamba2Cell(1), GatedDeltaNetCell(1)])
def test_a_head_draws_its_decay_and_its_step_size(cell):
    init = jax.jit(jax.vmap(lambda key: cell.init(key, 3)))
    heads = init(jax.random.split(jax.random.key(0), 2000))
    rate = np.exp(np.float64(heads.A_log))
    log_step = np.log(np.log1p(np.exp(np.float64(heads.dt_bias))))
    slowest = 1 if isinstance(cell, Mamba2Cell) else 0
    assert_uniform((rate - slowest) / (16 - slowest), 0.03)
    assert_uniform(log_step / np.log(100) + 1.5, 0.03)


def test_the_decays_of_gla_rg_lru_and_s5_are_those_of_their_authors():
    b_alpha = cell_reference.initial(GLACell(300), 100).b_alpha
    assert np.mean(sigmoid(b_alpha) ** (1 / 16)) == pytest.approx(0.5 ** (1 / 16), abs=1e-3)
    decay = cell_reference.initial(RGLRUCell(400), 100).Lambda
    decay = (1 - sigmoid(np.float64(decay))) ** 8
    assert_uniform((decay - 0.9) / 0.099, 0.08)
    log_step = cell_reference.initial(S5, 100).log_step
    assert_uniform((log_step - np.log(0.001)) / np.log(100), 0.4 / np.log(100))


def test_exprnn_starts_as_rotations_of_pairs_of_units():
    angles = np.zeros((801, 801))
    angles[np.triu_indices(801, 1)] = 0.1 * cell_reference.initial(ExpRNNCell(801), 100).A
    s = np.diagonal(angles, 1)[::2]
    assert np.count_nonzero(angles) == np.count_nonzero(s) == 400
    assert_uniform(s / (2 * np.pi) + 0.5, 0.06)


@pytest.mark.parametrize(
    ("r_min", "r_max", "max_phase"), [(0.0, 1.0, 6.28), (0.9, 0.999, 6.28), (0.999, 1.0, 0.3)]
)
def test_the_lru_starts_on_its_ring_and_keeps_the_variance_of_noise(r_min, r_max, max_phase):
    cell = LRUCell(2, 4000, r_min, r_max, max_phase)
    nu, theta, gamma = (np.float64(leaf) for leaf in cell_reference.initial(cell)[:3])
    radius, phase = np.exp(-np.exp(cell.recurrent_rate * nu)), np.exp(cell.recurrent_rate * theta)
    assert r_min < radius.min()
    assert radius.max() < r_max
    share = (radius**2 - r_min**2) / (r_max**2 - r_min**2)  # uniform over the area of the ring
    assert_uniform(share, 0.03)
    assert_uniform(phase / max_phase, 0.03)
    # The variance of sum_j lambda^j gamma w_j for white noise w: gamma^2 / (1 - |lambda|^2).
    np.testing.assert_allclose(np.exp(2 * gamma) / (1 - radius**2), 1, rtol=1e-2)


def test_initial_values_of_rwkv7_are_those_of_the_authors_code():
    init = jax.jit(lambda key: RWKV7Cell(8, heads=2).init(key, 5))
    params = jax.tree.map(np.asarray, init(jax.random.key(0)))
    linear = np.linspace(-0.5, 0.5, 8)
    zigzag = np.tile([-1, -1 / 9, 1 / 9, 1], 2)  # in each head
    np.testing.assert_allclose(params.w0, -2.5 + 6 * linear + 2.5 * zigzag, atol=1e-6)
    np.testing.assert_allclose(params.a0, -0.19 + 0.4 * linear + 0.3 * zigzag, atol=1e-6)
    np.testing.assert_allclose(params.xi, 0.71 - 0.1 * linear, rtol=1e-6)
    for i, power in zip("rwkvag", (0.2, 0.9, 0.7, 0.7, 0.9, 0.2), strict=True):
        found = getattr(params, f"mu_{i}")
        np.testing.assert_allclose(found, [1 - (n / 5) ** power for n in range(5)], atol=1e-6)
    np.testing.assert_allclose(params.W_r @ params.W_r.T, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(params.W_k @ params.W_k.T, 0.01 * np.eye(5), atol=1e-6)
    np.testing.assert_allclose(params.w2.T @ params.w2, 0.01 * 32 / 8 * np.eye(8), atol=1e-6)
    assert not np.any(params.W_o)
