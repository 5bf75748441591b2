"""DeltaNet, GLA and Mamba-2 as one writes them in PyTorch: a loop over steps, or over chunks.

    S' = diag(a) S + k u^T      u = v, or of DeltaNet beta (v - S^T k)
    o  = S'^T q

`in_steps` is the form of `naive_recurrent_gla` and `delta_rule_recurrence`, `in_chunks` that of
`delta_rule_chunkwise` (fla-org/flash-linear-attention, `fla/ops/*/naive.py`), with a triangular
solver in the place of its loop, and of `ssd_minimal_discrete` (state-spaces/mamba), with a loop
over chunks in the place of its sum over all pairs of them. Layers and weights are those of our
cells, with one head; inputs are `[B, T, F]`.
"""

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
        sides = share * torch.cat([v, k], -1)
        system = (share * k @ k.mT).tril(-1)
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
