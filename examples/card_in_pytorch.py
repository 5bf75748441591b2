"""The memory of a PyTorch layer in bits: train it on exported tasks, write rows for a memory card.

    echo-jax cards export tasks
    python examples/card_in_pytorch.py tasks/tasks.safetensors rows.jsonl --device cpu
    echo-jax cards import rows.jsonl --name torch-gru

A layer of your own goes into `make_layer`. Rows are kept as they come, and the same command makes
those that lack: name another file for another layer. docs/protocol.md says what is measured.
"""

import argparse
import json
import math
import sys
import time

import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy, one_hot

SIZES = {"by lag": (16, 64 * 16), "by key": (128, 64)}  # different tokens, and answers
CHUNKS = (65, 4, 4, 4, 4, 4, 4, 4)  # steps up to each asked one
ASKED, LAGS = torch.tensor(CHUNKS).cumsum(0) - 1, torch.arange(1, 65)
PILOT_SEED, RATES = 1000, (0.003, 0.01, 0.03, 0.1, 0.3)  # by lag: the pilot chooses one
RAMP = {"rate": 0.003, "schedule": "ramp"}  # by key
PAIRS = [2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64]


def make_layer(inputs):
    """The layer: `layer(x, state)` of inputs `[B, T, F]` is its outputs `[B, T, H]` and last state.

    A state is a tensor `[layers, B, ...]` or a tuple of such; the layer starts from None.
    """
    return torch.nn.GRU(inputs, 100, batch_first=True)


class Network(torch.nn.Module):
    """A layer on one-hot tokens, and a linear layer on its state (by lag) or output (by key)."""

    def __init__(self, question, layer, weights):
        """A network; around a GRU of 100 units it has the exported first weights."""
        super().__init__()
        self.rnn = layer
        self.tokens, answers = SIZES[question]
        output, state = layer(torch.zeros(1, 1, self.tokens), None)
        self.state_bytes = sum(x.nbytes for x in flat(state))
        read = torch.cat(flat(state), 1) if question == "by lag" else output
        self.linear = torch.nn.Linear(read.shape[-1], answers)
        torch.nn.init.kaiming_normal_(self.linear.weight, nonlinearity="linear")  # LeCun's, not cut
        torch.nn.init.zeros_(self.linear.bias)
        if repr(layer) == f"GRU({self.tokens}, 100, batch_first=True)":
            self.load_state_dict(weights)
            # r and z have two biases that are added: the second stays 0, so that a step moves one
            layer.bias_hh_l0.register_hook(lambda g: torch.cat([0 * g[:200], g[200:]]))

    def states(self, streams):
        """The states after the asked steps: `[B, T]` to `[B, A, D]`."""
        state, found = None, []
        for x in one_hot(streams.long(), self.tokens).float().split(CHUNKS, 1):
            _, state = self.rnn(x, state)
            found.append(torch.cat(flat(state), 1).float())
        return torch.stack(found, 1)

    def logits(self, tokens):
        """The logits after each step: `[B, T]` to `[B, V, T]`."""
        output, _ = self.rnn(one_hot(tokens.long(), self.tokens).float(), None)
        return self.linear(output).movedim(-1, 1)


def flat(state):
    """The tensors of a state as real ones, `[B, D]` each."""
    each = state if isinstance(state, tuple) else (state,)
    reals = (torch.view_as_real(x) if x.is_complex() else x for x in each)
    return [x.movedim(1, 0).flatten(1) for x in reals]


def train(network, run, batches, loss_of):
    """Adam on a gradient of norm 1 at most; the rate falls to 0 by a cosine."""
    adam = torch.optim.Adam(network.parameters(), run["rate"], eps=1e-7)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, len(batches))
    start = time.monotonic()
    for i, batch in enumerate(batches, 1):
        adam.zero_grad()
        loss = loss_of(network, *batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        cosine.step()
        if i % 250 == 1:
            left = (time.monotonic() - start) / i * (len(batches) - i)
            print(f"{run}, update {i}: loss {loss:.3f}, {left:.0f} s left", file=sys.stderr)


def lag_logits(network, streams, reference=None):
    """Logits `[B, V, A, N]` and targets of all heads; states are standardised by a reference."""
    states = network.states(streams)
    reference = states if reference is None else reference
    variance, mean = torch.var_mean(reference, (0, 1), correction=0)
    read = network.linear((states - mean) / (variance + 1e-12).sqrt())
    targets = streams[:, ASKED[:, None] - LAGS].long()
    return read.unflatten(-1, (len(LAGS), -1)).movedim(-1, 1), targets


def fitted_factors(logits, targets):
    """The factor of each lag's logits with the smallest cross-entropy, where its slope is 0."""
    low, high = torch.zeros(len(LAGS)), torch.full((len(LAGS),), 100.0)
    for _ in range(30):
        middle = (low + high) / 2
        expected = ((middle * logits).softmax(1) * logits).sum(1, keepdim=True)
        above = (expected - logits.gather(1, targets[:, None])).mean((0, 1, 2)) > 0
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return middle


@torch.no_grad()
def lag_scores(network, calibration, *sets):
    """The nats of each lag on each set of streams, recalibrated."""
    factors = fitted_factors(*lag_logits(network, calibration))
    reference = network.states(calibration)
    doubt = 1 / reference[..., 0].numel()
    for streams in sets:
        logits, targets = lag_logits(network, streams, reference)
        right = (-cross_entropy(factors * logits, targets, reduction="none")).exp()
        yield -((1 - doubt) * right + doubt / network.tokens).log().mean((0, 1))


def key_loss(network, tokens, targets):
    """The mean over all questions of a batch; other targets are 255."""
    return cross_entropy(network.logits(tokens), targets.long(), ignore_index=255)


@torch.no_grad()
def right_answers(network, tokens, targets):
    """The right answers of each number of pairs, of tokens and targets `[numbers, rows, T]`."""
    answers = network.logits(tokens.flatten(0, 1)).argmax(1).view_as(targets)
    return (answers == targets).sum((1, 2))


def part(arrays, start):
    """The arrays whose names start so, by the rest of their names."""
    return {name[len(start) :]: x for name, x in arrays.items() if name.startswith(start)}


def row_of(run, arrays):
    """The row of a run; its answers are null where a number is not finite."""
    torch.manual_seed(run["seed"])
    question = run["question"]
    tasks = part(arrays, f"seed_{run['seed']}.{question.replace(' ', '_')}.")
    network = Network(question, make_layer(SIZES[question][0]), part(tasks, "gru."))
    row = run | {"state_bytes": network.state_bytes}
    if question == "by lag":
        batches = [(x,) for x in tasks["training"]]
        train(network, run, batches, lambda *x: cross_entropy(*lag_logits(*x)))
        sets = (tasks[name] for name in ("calibration", "validation", "final"))
        scores = [*lag_scores(network, *sets)]
    else:
        training, *sets = (part(tasks, f"{x}.") for x in ("training", "validation", "final"))
        batches = [*zip(training["tokens"], training["targets"], strict=True)]
        train(network, run, batches, key_loss)
        scores = [right_answers(network, **x) for x in sets]
        pairs = PAIRS[: len(scores[0])]
        row |= {"level": pairs[-1], "pairs": pairs, "asked": [256 * k for k in pairs]}
    finite = all(bool(x.isfinite().all()) for x in (*network.parameters(), *scores))
    validation, final = (x.tolist() if finite else None for x in scores)
    return row | {"updates": len(batches), "validation": validation, "final": final}


def lacking(arrays, rows):
    """The runs without a row: first the pilot, whose best rate the others by lag have."""
    bits = dict.fromkeys(RATES, 0.0)
    for row in rows:
        if row["seed"] >= PILOT_SEED and row["final"]:
            bits[row["rate"]] += sum(max(4 - x / math.log(2), 0) for x in row["validation"])
    best = max(RATES, key=bits.__getitem__)
    seeds = sorted({int(name.split(".")[0].removeprefix("seed_")) for name in arrays})
    usual = [seed for seed in seeds if seed < PILOT_SEED]
    by_lag = [(seed, rate) for seed in seeds[len(usual) :] for rate in RATES]
    by_lag += [(seed, best) for seed in usual]
    runs = [{"question": "by lag", "seed": seed, "rate": rate} for seed, rate in by_lag]
    runs += [{"question": "by key", "seed": seed, **RAMP} for seed in usual]
    return [run for run in runs if not any(run.items() <= row.items() for row in rows)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("tasks")
    parser.add_argument("rows")
    parser.add_argument("--device", choices=("cpu", "cuda", "mps"), default="cpu")
    options = parser.parse_args()
    torch.set_default_device(options.device)
    arrays = load_file(options.tasks, options.device)
    with open(options.rows, "a+b", buffering=0) as file:
        file.seek(0)
        *lines, torn = file.read().split(b"\n")
        file.truncate(file.tell() - len(torn))  # a last line that was cut off
        rows = [*map(json.loads, lines)]
        while runs := lacking(arrays, rows):
            print(f"{len(runs)} runs to make", file=sys.stderr)
            rows.append(row_of(runs[0], arrays))
            file.write(json.dumps(rows[-1]).encode() + b"\n")
