"""Cells whose state is a matrix as one writes them in PyTorch: a loop over steps, or over chunks.

    S' = diag(a) S + k u^T      u = v, or of DeltaNet beta (v - S^T k)
    o  = S'^T q

`in_steps` is the form of `naive_recurrent_gla` and `delta_rule_recurrence`, `in_chunks` that of
`delta_rule_chunkwise` (fla-org/flash-linear-attention, `fla/ops/*/naive.py`), with a triangular
solver in the place of its loop, and of `ssd_minimal_discrete` (state-spaces/mamba), with a loop
over chunks in the place of its sum over all pairs of them. Layers and weights are those of our
cells, with one head; inputs are `[B, T, F]`.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.nn import functional
from torch.nn.functional import logsigmoid, pad, sigmoid, silu, softplus

CHUNK = 32
"""Steps of a chunk, as in `delta_rule_chunkwise`; of GLA, whose decays are divided by, 16."""


class Terms(NamedTuple):
    """ln a `[B, T, K]` or `[B, T, 1]`, None for 0; k and q `[B, T, K]`, v `[B, T, V]`; and beta."""

    log_a: torch.Tensor | None
    k: torch.Tensor
    v: torch.Tensor
    q: torch.Tensor
    beta: torch.Tensor | None = None


def in_steps(terms: Terms) -> torch.Tensor:
    """All o, `[B, T, V]`, a step at a time."""
    log_a, k, v, q, beta = terms
    state = k.new_zeros(len(k), k.shape[-1], v.shape[-1])
    outputs = []
    for t in range(k.shape[1]):
        u = v[:, t]
        if log_a is not None:
            state = state * log_a[:, t, :, None].exp()
        if beta is not None:
            u = beta[:, t] * (u - torch.einsum("bkv,bk->bv", state, k[:, t]))
        state = state + k[:, t, :, None] * u[:, None]
        outputs.append(torch.einsum("bkv,bk->bv", state, q[:, t]))
    return torch.stack(outputs, 1)


def in_chunks(terms: Terms) -> torch.Tensor:
    """All o, `[B, T, V]`, a chunk at a time: products within chunks, S between them."""
    log_a, k, v, q, beta = terms
    steps = k.shape[1]
    log_a = torch.zeros_like(k[..., :1]) if log_a is None else log_a
    one_decay = log_a.shape[-1] == 1
    size = CHUNK if one_decay else CHUNK // 2
    whole = [log_a, k, v, q, *([] if beta is None else [beta])]
    padded = [pad(x, (0, 0, 0, -steps % size)).unflatten(1, (-1, size)) for x in whole]
    log_a, k, v, q, *shares = padded  # [B, N, C, n]
    since_start = log_a.cumsum(-2)
    from_start = q * since_start.exp()
    if one_decay:
        later = torch.ones(size, size, dtype=torch.bool).triu(1)
        since = (since_start - since_start.mT).masked_fill(later, -torch.inf).exp()
        weights = since * (q @ k.mT)
    else:
        weights = (from_start @ (k * (-since_start).exp()).mT).tril()
    for share in shares:  # u = U - W S, the WY representation
        sides = share * torch.cat([v, k * since_start.exp()], -1)
        system = (share * since * (k @ k.mT)).tril(-1)
        solved = torch.linalg.solve_triangular(system, sides, upper=False, unitriangular=True)
        v, w = solved.split([v.shape[-1], k.shape[-1]], -1)
    kept, to_end = since_start[:, :, -1, :, None], since_start[:, :, -1:] - since_start
    kept, k = kept.exp(), k * to_end.exp()
    state = k.new_zeros(len(k), k.shape[-1], v.shape[-1])
    outputs = []
    for n in range(k.shape[1]):
        u = v[:, n] if beta is None else v[:, n] - w[:, n] @ state
        outputs.append(from_start[:, n] @ state + weights[:, n] @ u)
        state = kept[:, n] * state + k[:, n].mT @ u
    return torch.cat(outputs, 1)[:, :steps]


def delta_net(p: Any, x: torch.Tensor, form: Callable[[Terms], torch.Tensor]) -> torch.Tensor:
    """As `DeltaNetCell`."""
    q, k, v = (silu(x @ each) for each in (p.W_q, p.W_k, p.W_v))
    q, k = (x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt() for x in (q, k))
    o = form(Terms(None, k, v, q, sigmoid(x @ p.W_beta)))
    return functional.rms_norm(o, p.gain.shape, p.gain, 1e-5) @ p.W_o


def gla(p: Any, x: torch.Tensor, form: Callable[[Terms], torch.Tensor]) -> torch.Tensor:
    """As `GLACell`."""
    log_a = logsigmoid(x @ p.W_alpha1 @ p.W_alpha2 + p.b_alpha) / 16
    o = form(Terms(log_a, x @ p.W_K, x @ p.W_V, x @ p.W_Q * p.W_Q.shape[1] ** -0.5))
    return (silu(x @ p.W_r + p.b_r) * functional.layer_norm(o, p.b_r.shape)) @ p.W_O


def mamba2(p: Any, x: torch.Tensor, form: Callable[[Terms], torch.Tensor]) -> torch.Tensor:
    """As `Mamba2Cell`."""
    u, dt = silu(x @ p.W_x), softplus(x @ p.W_dt + p.dt_bias)
    o = form(Terms(-p.A_log.exp() * dt, silu(x @ p.W_B), dt * u, silu(x @ p.W_C)))
    gated = (o + p.D * u) * silu(x @ p.W_z)
    return functional.rms_norm(gated, p.gain.shape, p.gain, 1e-5) @ p.W_o


def gated_delta_net(p: Any, x: torch.Tensor, form: Callable[[Terms], torch.Tensor]) -> torch.Tensor:
    """As `GatedDeltaNetCell`."""
    q, k, v = (silu(x @ each) for each in (p.W_q, p.W_k, p.W_v))
    q, k = (x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt() for x in (q, k))
    log_a = -p.A_log.exp() * softplus(x @ p.W_alpha + p.dt_bias)
    o = form(Terms(log_a, k, v, q, sigmoid(x @ p.W_beta)))
    return (silu(x @ p.W_g) * functional.rms_norm(o, p.gain.shape, p.gain, 1e-5)) @ p.W_o


class MLSTMTerms(NamedTuple):
    """q, k and v `[B, T, n]`, i~ and log f `[B, T, 1]`."""

    q: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    i: torch.Tensor
    log_f: torch.Tensor


def mlstm_in_steps(terms: MLSTMTerms) -> torch.Tensor:
    """All h~, `[B, T, V]`, a step at a time, as `mlstm_recurrent_sequence` of the authors."""
    q, k, v, i, log_f = terms
    matrix = k.new_zeros(len(k), k.shape[-1], v.shape[-1])
    n = k.new_zeros(len(k), k.shape[-1])
    m = k.new_zeros(len(k), 1)
    outputs = []
    for t in range(k.shape[1]):
        most = torch.maximum(log_f[:, t] + m, i[:, t])
        forget = (log_f[:, t] + m - most).exp()
        add = (i[:, t] - most).exp() * k[:, t]
        matrix = forget[..., None] * matrix + add[..., None] * v[:, t, None]
        n = forget * n + add
        m = most
        read = torch.einsum("bkv,bk->bv", matrix, q[:, t])
        weight = (n * q[:, t]).sum(-1, keepdim=True)
        outputs.append(read / torch.maximum(weight.abs(), (-m).exp()))
    return torch.stack(outputs, 1)


def mlstm_in_chunks(terms: MLSTMTerms) -> torch.Tensor:
    """All h~, `[B, T, V]`, 64 steps at a time, as `mlstm_chunkwise` of the authors."""
    steps = terms.k.shape[1]
    size = min(64, steps)
    padded = [pad(x, (0, 0, 0, -steps % size)).unflatten(1, (-1, size)) for x in terms]
    q, k, v, i, log_f = padded  # [B, N, C, n]
    v = torch.cat([v, torch.ones_like(i)], -1)  # n is one more value
    faded = log_f.cumsum(-2)
    gates = faded[:, :, -1:] - faded + i  # what the end has of each step
    highest = gates.amax(-2, keepdim=True)
    added = (k * (gates - highest).exp()).mT @ v
    matrix = k.new_zeros(len(k), k.shape[-1], v.shape[-1])
    m = k.new_zeros(len(k), 1, 1)
    starts = []
    for n in range(k.shape[1]):
        starts.append((matrix, m))
        end = faded[:, n, -1:]
        most = torch.maximum(end + m, highest[:, n])
        matrix = (end + m - most).exp() * matrix + (highest[:, n] - most).exp() * added[:, n]
        m = most
    matrix, m = (torch.stack(each, 1) for each in zip(*starts, strict=True))
    later = torch.ones(size, size, dtype=torch.bool).triu(1)
    log_d = (faded - faded.mT + i.mT).masked_fill(later, -torch.inf)
    most = torch.maximum(faded + m, log_d.amax(-1, keepdim=True))
    weights = (log_d - most).exp() * (q @ k.mT)
    found = weights @ v + (faded + m - most).exp() * (q @ matrix)
    read = found[..., :-1] / torch.maximum(found[..., -1:].abs(), (-most).exp())
    return read.flatten(1, 2)[:, :steps]


def mlstm(p: Any, x: torch.Tensor, form: Callable[..., torch.Tensor]) -> torch.Tensor:
    """As `MLSTMCell`."""
    read = (mlstm_in_steps if form is in_steps else mlstm_in_chunks)(
        MLSTMTerms(
            q=x @ p.W_q + p.b_q,
            k=(x @ p.W_k) * p.W_k.shape[1] ** -0.5 + p.b_k,
            v=x @ p.W_v + p.b_v,
            i=x @ p.w_i + p.b_i,
            log_f=logsigmoid(x @ p.w_f + p.b_f),
        )
    )
    return (sigmoid(x @ p.W_o + p.b_o) * read) @ p.W_down


class RWKV7Terms(NamedTuple):
    """All `[B, T, K]`: S' = diag(w) S - (a kappa) (kappa^T S) + k v^T, o = S'^T r."""

    r: torch.Tensor
    log_w: torch.Tensor
    k: torch.Tensor
    v: torch.Tensor
    kappa: torch.Tensor
    a: torch.Tensor


def rwkv7_in_steps(terms: RWKV7Terms) -> torch.Tensor:
    """All o, `[B, T, K]`, a step at a time, as `dplr_recurrence` of flash-linear-attention."""
    r, log_w, k, v, kappa, a = terms
    state = k.new_zeros(len(k), k.shape[-1], k.shape[-1])
    outputs = []
    for t in range(k.shape[1]):
        removed = torch.einsum("bkv,bk->bv", state, kappa[:, t])
        state = state * log_w[:, t, :, None].exp() + k[:, t, :, None] * v[:, t, None]
        state = state - (a * kappa)[:, t, :, None] * removed[:, None]
        outputs.append(torch.einsum("bkv,bk->bv", state, r[:, t]))
    return torch.stack(outputs, 1)


def rwkv7_in_chunks(terms: RWKV7Terms) -> torch.Tensor:
    """All o, `[B, T, K]`, a chunk at a time, as `dplr_chunkwise` of flash-linear-attention.

    Decays are divided by: in 32 steps they are above exp(-19.5).
    """
    steps = terms.k.shape[1]
    padded = [pad(x, (0, 0, 0, -steps % CHUNK)).unflatten(1, (-1, CHUNK)) for x in terms]
    r, log_w, k, v, kappa, a = padded  # [B, N, C, K]
    since = log_w.cumsum(-2)
    from_start = torch.cat([r * since.exp(), kappa * (since - log_w).exp()], -2)
    added = torch.cat([-a * kappa, k], -2)
    twice = torch.cat([since, since], -2)
    weights = from_start @ (added * (-twice).exp()).mT  # [2 C, 2 C]
    read, asked = weights.split(CHUNK, -2)
    by_u, by_v = (x.tril(-1) for x in asked.split(CHUNK, -1))
    sides = torch.cat([by_v @ v, from_start[:, :, CHUNK:]], -1)
    solved = torch.linalg.solve_triangular(-by_u, sides, upper=False, unitriangular=True)
    kept = since[:, :, -1, :, None].exp()
    to_end = added * (since[:, :, -1:] - twice).exp()
    read = torch.cat([x.tril() for x in read.split(CHUNK, -1)], -1)
    state = k.new_zeros(len(k), k.shape[-1], k.shape[-1])
    outputs = []
    for n in range(k.shape[1]):
        fixed, by_state = solved[:, n].split(k.shape[-1], -1)
        both = torch.cat([fixed + by_state @ state, v[:, n]], -2)
        outputs.append(from_start[:, n, :CHUNK] @ state + read[:, n] @ both)
        state = kept[:, n] * state + to_end[:, n].mT @ both
    return torch.cat(outputs, 1)[:, :steps]


def rwkv7(p: Any, x: torch.Tensor, form: Callable[..., torch.Tensor]) -> torch.Tensor:
    """As `RWKV7Cell` with one head."""
    shift = pad(x, (0, 0, 1, -1)) - x
    mixed = (x + mu * shift for mu in (p.mu_r, p.mu_k, p.mu_v, p.mu_w, p.mu_a, p.mu_g))
    weights = (p.W_r, p.W_k, p.W_v, p.w1, p.a1, p.g1)
    r, key, v, w, a, g = (x @ weight for x, weight in zip(mixed, weights, strict=True))
    a = sigmoid(p.a0 + a @ p.a2)
    kappa = key * p.xi
    kappa = kappa * (kappa.square().sum(-1, keepdim=True) + 1e-12).rsqrt()
    k = key * (1 + (a - 1) * p.alpha)
    log_w = -(math.exp(-0.5)) * sigmoid(p.w0 + w.tanh() @ p.w2)
    run = rwkv7_in_steps if form is in_steps else rwkv7_in_chunks
    read = run(RWKV7Terms(r, log_w, k, v, kappa, a))
    normed = functional.layer_norm(read, p.gain.shape, p.gain, p.bias, 64e-5)
    bonus = (r * p.rho * k).sum(-1, keepdim=True) * v
    return (sigmoid(g) @ p.g2 * (normed + bonus)) @ p.W_o
