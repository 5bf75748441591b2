"""Cells of one page of equations, and of known memory, are those equations in NumPy and float64."""

import cell_reference
import numpy as np
import pytest
from cell_reference import gelu, sigmoid

from echo_jax.cells import known_memory
from echo_jax.cells.adapters.adapt import adapt
from echo_jax.cells.vector_state import delay_line_mlp, flax_rnns, lru, lstm, minimal_rnns


def lstm_step(p, state, x):
    c, h = state
    i, f, g, o = np.split(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4, axis=-1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return (c, h), h


def identity_rnn_step(p, h, x):
    h = np.maximum(x @ p.W + h @ p.U + p.b, 0)
    return h, h


def min_gru_step(p, h, x):
    z, candidate = np.split(x @ p.W + p.b, 2, axis=-1)
    h = (1 - sigmoid(z)) * h + sigmoid(z) * candidate
    return h, h


def lru_step(rate):
    def step(p, state, x):
        n = len(p.nu)
        b, c = p.B[:, :n] + 1j * p.B[:, n:], p.C[:n] - 1j * p.C[n:]
        decay = np.exp(-np.exp(rate * p.nu) + 1j * np.exp(rate * p.theta))
        s = decay * (state[0] + 1j * state[1]) + np.exp(p.gamma) * (x @ b)
        return (s.real, s.imag), gelu(np.real(s @ c) + x @ p.D)

    return step


def perceptron_step(p, line, x):
    """On the line of what the inputs so far add to the next outputs."""
    terms = np.einsum("bf,dfh->bdh", x, p["kernel"])
    sums = np.concatenate([line, np.zeros_like(terms[:, :1])], axis=1) + terms
    return sums[:, 1:], np.maximum(sums[:, 0] + p["bias"], 0)


def shift_register_step(p, slots, x):
    slots = np.concatenate([x[:, None], slots[:, :-1]], axis=1)
    return slots, slots.reshape(len(x), -1)


def reservoir_step(p, state, x):
    state = 0.8 * (state @ p["U"]) + x @ p["W"]
    return state, state


CELLS = {
    "lstm": (lstm.LSTMCell(4), lstm_step),
    "identity rnn": (flax_rnns.IdentityRNNCell(4), identity_rnn_step),
    "mingru": (minimal_rnns.MinGRUCell(4), min_gru_step),
    "minlstm": (minimal_rnns.MinLSTMCell(4), cell_reference.min_lstm_step),
    "lru": (lru.LRUCell(4, 7, 0.5, 1.0, 1.0, recurrent_rate=0.3), lru_step(0.3)),
    "mlp": (delay_line_mlp.DelayLineMLP(4, 3), perceptron_step),
    "shift register": (known_memory.ShiftRegister(4), shift_register_step),
    "projected register": (
        known_memory.ProjectedRegister(4, 2),
        lambda p, slots, x: shift_register_step(p, slots, x @ p["W"]),
    ),
    "reservoir": (known_memory.OrthogonalReservoir(6, scale=0.8), reservoir_step),
    "present input": (known_memory.PresentInput(6), lambda p, s, x: (x @ p["W"], x @ p["W"])),
}


@pytest.mark.parametrize("name", CELLS)
def test_a_cell_is_its_equations_step_by_step_and_at_once(name):
    cell, equations = CELLS[name]
    cell_reference.check_equations(adapt(cell), equations, scale=0.4)
