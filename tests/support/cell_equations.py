"""The equations of cells, in NumPy: functions `(params, state, x) -> (state, y)`."""

import numpy as np
import scipy.linalg
from cell_reference import gelu, sigmoid, silu

from echo_jax.cells.matrix_state.mlstm import MLSTMState
from echo_jax.cells.vector_state.lmu import LMUState
from echo_jax.cells.vector_state.slstm import SLSTMState


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


def min_lstm_step(p, h, x):
    f, i = sigmoid(x @ p.W_f + p.b_f), sigmoid(x @ p.W_i + p.b_i)
    h = f / (f + i) * h + i / (f + i) * (x @ p.W_h + p.b_h)
    return h, h


def lru_step(rate):
    def step(p, state, x):
        n = len(p.nu)
        b, c = p.B[:, :n] + 1j * p.B[:, n:], p.C[:n] - 1j * p.C[n:]
        decay = np.exp(-np.exp(rate * p.nu) + 1j * np.exp(rate * p.theta))
        s = decay * (state[0] + 1j * state[1]) + np.exp(p.gamma) * (x @ b)
        return (s.real, s.imag), gelu(np.real(s @ c) + x @ p.D)

    return step


def s5_step(p, state, x):
    eigenvalues, step = p.Lambda_re + 1j * p.Lambda_im, np.exp(p.log_step)
    a = np.exp(eigenvalues * step)
    u = x @ p.W_e + p.b_e
    s = a * (state[0] + 1j * state[1])
    s = s + u @ ((a - 1) / eigenvalues * (p.B_re + 1j * p.B_im))
    g = gelu(2 * np.real(s @ (p.C_re + 1j * p.C_im)) + p.D * u)
    return (s.real, s.imag), g * sigmoid(g @ p.W + p.b)


def rg_lru_step(p, h, x):
    u = x @ p.W_u + p.b_u
    r, i = sigmoid(u @ p.W_a + p.b_a), sigmoid(u @ p.W_x + p.b_x)
    a = (1 - sigmoid(p.Lambda)) ** (8 * r)
    h = a * h + np.sqrt(1 - a**2) * i * u
    return h, h


def exprnn_step(p, h, x):
    """With the rate 0.5 of A, whose numbers above the diagonal are filled row by row."""
    upper = np.zeros((h.shape[1],) * 2)
    upper[np.triu_indices(len(upper), 1)] = 0.5 * p.A
    z = h @ scipy.linalg.expm(upper - upper.T) + x @ p.T
    h = np.where(np.abs(z) + p.b > 0, z + np.sign(z) * p.b, 0)
    return h, h


def lmu_step(p, state, x):
    """The equations of section 2, each memory alone; a held input adds A^-1 (exp(A) - I) B u."""
    a = np.array([[-1, -1, -1], [3, -3, -3], [-5, 5, -5]]) / 6.5
    a_bar = scipy.linalg.expm(a)
    b_bar = np.linalg.inv(a) @ (a_bar - np.eye(3)) @ np.array([1, -3, 5]) / 6.5
    flat = state.m.reshape(len(x), 6)
    u = x @ p.e_x + state.h @ p.e_h + flat @ p.e_m
    m = np.empty_like(state.m)
    for row, memory in np.ndindex(len(x), 2):
        m[row, memory] = a_bar @ state.m[row, memory] + b_bar * u[row, memory]
    h = np.tanh(x @ p.W_x + state.h @ p.W_h + m.reshape(len(x), 6) @ p.W_m)
    return LMUState(h, m), h


def slstm_gates(p, h, x):
    """i~, f~, z~ and o~, each [B, H]: a head sees the units of h that are its own."""
    gates = np.split(x @ p.W + p.b, 4, axis=-1)
    size = p.R.shape[1]
    for head, block in enumerate(p.R):
        units = slice(head * size, (head + 1) * size)
        for gate, part in zip(gates, np.split(block, 4, axis=-1), strict=True):
            gate[:, units] += h[:, units] @ part
    return gates


def slstm_step(p, state, x):
    """The equations of section 2.2, with the stabilised gates."""
    i, f, z, o = slstm_gates(p, state.h, x)
    m = np.maximum(np.log(sigmoid(f)) + state.m, i)
    input_gate, forget_gate = np.exp(i - m), np.exp(np.log(sigmoid(f)) + state.m - m)
    c = forget_gate * state.c + input_gate * np.tanh(z)
    n = forget_gate * state.n + input_gate
    h = sigmoid(o) * c / n
    return SLSTMState(c, n, m, h), h


def mlstm_step(p, state, x):
    """The equations of section 2.3, row by row, with the stabilised gates."""
    memory, n, m, y = [], [], [], []
    for row, x_t in enumerate(x):
        q, k, v = x_t @ p.W_q + p.b_q, x_t @ p.W_k / np.sqrt(3) + p.b_k, x_t @ p.W_v + p.b_v
        i, log_f = x_t @ p.w_i + p.b_i, np.log(sigmoid(x_t @ p.w_f + p.b_f))
        m.append(np.maximum(log_f + state.m[row], i))
        kept, let_in = np.exp(log_f + state.m[row] - m[-1]), np.exp(i - m[-1])
        memory.append(kept * state.C[row] + let_in * np.outer(v, k))
        n.append(kept * state.n[row] + let_in * k)
        h = memory[-1] @ q / max(abs(n[-1] @ q), np.exp(-m[-1][0]))
        y.append((sigmoid(x_t @ p.W_o + p.b_o) * h) @ p.W_down)
    return MLSTMState(np.stack(memory), np.stack(n), np.stack(m)), np.stack(y)


def unit(z):
    return z / np.sqrt((z**2).sum(-1, keepdims=True) + 1e-6)


def delta_net_step(p, memory, x, alpha=1.0, gate=1.0):
    """Row by row, with the transition matrix of the paper, alpha (I - beta k k^T)."""
    q, k, v = unit(silu(x @ p.W_q)), unit(silu(x @ p.W_k)), silu(x @ p.W_v)
    beta = sigmoid(x @ p.W_beta)
    alpha, gate = np.broadcast_to(alpha, beta.shape), np.broadcast_to(gate, v.shape)
    after, ys = [], []
    for row in range(len(x)):
        transition = alpha[row] * (np.eye(k.shape[1]) - beta[row] * np.outer(k[row], k[row]))
        after.append(memory[row] @ transition + beta[row] * np.outer(v[row], k[row]))
        o = after[-1] @ q[row]
        o = gate[row] * p.gain * o / np.sqrt(np.mean(o**2) + 1e-5)
        ys.append(o @ p.W_o)
    return np.stack(after), np.stack(ys)


def gated_delta_net_step(p, memory, x):
    softplus = np.log1p(np.exp(x @ p.W_alpha + p.dt_bias))
    alpha = np.exp(-np.exp(p.A_log) * softplus)
    return delta_net_step(p, memory, x, alpha, silu(x @ p.W_g))


def gla_step(p, state, x):
    alpha = sigmoid(x @ p.W_alpha1 @ p.W_alpha2 + p.b_alpha) ** (1 / 16)
    q, k, v = x @ p.W_Q / np.sqrt(2), x @ p.W_K, x @ p.W_V
    state = alpha[:, :, None] * state + np.einsum("bk,bv->bkv", k, v)
    o = np.einsum("bk,bkv->bv", q, state)
    centred = o - o.mean(-1, keepdims=True)
    normalised = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)
    return state, silu(x @ p.W_r + p.b_r) * normalised @ p.W_O


def mamba2_step(p, state, u):
    z, x, b, c = u @ p.W_z, silu(u @ p.W_x), silu(u @ p.W_B), silu(u @ p.W_C)
    dt = np.log(1 + np.exp(u @ p.W_dt + p.dt_bias))
    decay = np.exp(-np.exp(p.A_log) * dt)
    state = decay[:, :, None] * state + dt[:, :, None] * np.einsum("bn,bp->bnp", b, x)
    o = (np.einsum("bn,bnp->bp", c, state) + p.D * x) * silu(z)
    return state, p.gain * o / np.sqrt(np.mean(o**2, -1, keepdims=True) + 1e-5) @ p.W_o


def rwkv7_step(p, state, x):
    """Row by row and head by head, with the transition matrix of the paper."""
    before, memory = state
    mixed = {i: x + getattr(p, f"mu_{i}") * (before - x) for i in "rkvwag"}
    r, key, v = (mixed[i] @ getattr(p, f"W_{i}") for i in "rkv")
    w = np.exp(-np.exp(-0.5) * sigmoid(p.w0 + np.tanh(mixed["w"] @ p.w1) @ p.w2))
    a = sigmoid(p.a0 + mixed["a"] @ p.a1 @ p.a2)
    gate = sigmoid(mixed["g"] @ p.g1) @ p.g2
    k = key * (1 - p.alpha + a * p.alpha)
    new, out = np.zeros_like(memory), np.zeros_like(v)
    for row in range(len(x)):
        for head in range(memory.shape[1]):
            at = slice(3 * head, 3 * head + 3)
            kappa = (key * p.xi)[row, at]
            kappa = kappa / np.linalg.norm(kappa)
            transition = np.diag(w[row, at]) - np.outer(kappa, a[row, at] * kappa)
            new[row, head] = memory[row, head] @ transition + np.outer(v[row, at], k[row, at])
            o = new[row, head] @ r[row, at]
            o = (o - o.mean()) / np.sqrt(o.var() + 64e-5) * p.gain[at] + p.bias[at]
            out[row, at] = o + (r[row, at] * p.rho[at]) @ k[row, at] * v[row, at]
    return (x, new), (gate * out) @ p.W_o


def rms_norm(x, scale):
    return scale * x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6)


def block_step(p, state, x):
    x, states = x @ p.W_in, []
    for q, (past, h) in zip(p.layers, state, strict=True):
        inputs = [rms_norm(x, q.norm), past[:, 0], past[:, 1], past[:, 2]]  # newest first
        u = q.conv_bias + sum(inputs[n] * q.conv[n] for n in range(4))
        new, y = min_lstm_step(q.cell, h, silu(u))
        x = x + y @ q.W + q.b
        x = x + gelu(rms_norm(x, q.mlp_norm) @ q.W1) @ q.W2
        states.append((np.stack(inputs[:3], axis=1), new))
    return tuple(states), rms_norm(x, p.norm)


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


def cache_step(p, state, x):
    """Row by row, over the places that are not empty."""
    after = np.concatenate([(x @ p.W_c)[:, None], state], axis=1)
    ys = []
    for seen, query in zip(after, x @ p.W_q, strict=True):
        filled = [n for n in range(len(seen)) if n == 0 or seen[n].any()]
        weights = np.exp([query @ seen[n] / np.sqrt(2) + p.b[n] for n in filled])
        ys.append(weights @ [seen[n] @ p.W_v for n in filled] / weights.sum())
    return after[:, :-1], np.stack(ys)
