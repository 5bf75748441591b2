"""The memory of torch.nn.GRU in bits: train it on exported tasks, write rows for a memory card.

    echo-jax card --export-tasks tasks
    python examples/card_in_pytorch.py tasks/tasks.safetensors > rows.jsonl
    echo-jax card --import rows.jsonl --name torch-gru

A layer of your own goes in the place of `torch.nn.GRU`. docs/protocol.md says what is measured.
"""

import json
import math
import sys

import torch
from safetensors.torch import load_file
from torch.nn.functional import cross_entropy, one_hot

UPDATES, ROWS, RATE, RAMP = 3000, 16, 0.01, 0.6
SYMBOLS, LAGS, ASKED = 16, 64, torch.arange(64, 96, 4)
KEYS, PAIRS = 64, (2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64)


class Network(torch.nn.Module):
    """A GRU on one-hot tokens, and a linear layer on its state."""

    def __init__(self, weights, units=100):
        """A network with the exported first weights."""
        super().__init__()
        self.tokens = weights["rnn.weight_ih_l0"].shape[1]
        self.rnn = torch.nn.GRU(self.tokens, units, batch_first=True)
        self.linear = torch.nn.Linear(units, len(weights["linear.bias"]))
        self.load_state_dict(weights)
        # r and z have two biases that are added: the second stays 0, so that a step moves one
        self.rnn.bias_hh_l0.register_hook(lambda g: g * (torch.arange(3 * units) >= 2 * units))

    def states(self, tokens):
        """The states after all steps: `[B, T]` to `[B, T, H]`."""
        return self.rnn(one_hot(tokens, self.tokens).float())[0]


def train(network, batches, loss_of):
    """Adam on a gradient of norm 1 at most; the rate falls to 0 by a cosine."""
    adam = torch.optim.Adam(network.parameters(), RATE, (0.9, 0.999), 1e-7)
    for i, batch in enumerate(batches):
        adam.param_groups[0]["lr"] = RATE * (1 + math.cos(math.pi * i / UPDATES)) / 2
        adam.zero_grad()
        loss_of(network, *batch).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()


def lag_logits(network, streams, calibration=None):
    """The logits of all heads at the asked steps, `[B, A, N, V]`, from standardised states."""
    states = network.states(streams)[:, ASKED]
    reference = states if calibration is None else network.states(calibration)[:, ASKED]
    variance, mean = torch.var_mean(reference, (0, 1), correction=0)
    read = network.linear((states - mean) / (variance + 1e-12).sqrt())
    return read.unflatten(-1, (LAGS, SYMBOLS))


def earlier(streams):
    """The tokens 1 .. 64 steps before each asked step, `[B, A, N]`."""
    return streams[:, ASKED[:, None] - 1 - torch.arange(LAGS)]


def nats(logits, targets):
    """The mean cross-entropy of each lag."""
    return cross_entropy(logits.movedim(-1, 1), targets, reduction="none").mean((0, 1))


def lag_loss(network, streams):
    """The mean cross-entropy over all lags."""
    return nats(lag_logits(network, streams), earlier(streams)).mean()


def fitted_factors(logits, targets):
    """The factor of each lag's logits with the smallest cross-entropy: its slope is 0 there."""
    right = logits.gather(-1, targets[..., None])[..., 0]
    low, high = torch.zeros(LAGS), torch.full((LAGS,), 100.0)
    for _ in range(30):
        middle = (low + high) / 2
        expected = ((middle[:, None] * logits).softmax(-1) * logits).sum(-1)
        above = (expected - right).mean((0, 1)) > 0
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return middle


@torch.no_grad()
def lag_score(network, streams, calibration):
    """Nats of each lag, as the heads answer and recalibrated."""
    of_set = lag_logits(network, calibration, calibration)
    factors, doubt = fitted_factors(of_set, earlier(calibration)), 1 / of_set[..., 0, 0].numel()
    logits, targets = lag_logits(network, streams, calibration), earlier(streams)
    right = (factors[:, None] * logits).softmax(-1).gather(-1, targets[..., None])[..., 0]
    recalibrated = -((1 - doubt) * right + doubt / SYMBOLS).log().mean((0, 1))
    return {"nats": nats(logits, targets).tolist(), "recalibrated": recalibrated.tolist()}


def recall_batches(tasks):
    """The sequences of all updates: half of the rows with the K of the ramp, the others fewer."""
    arrays = [tasks[name].float() for name in ("keys", "values", "order", "place")]
    for i, rows in enumerate(zip(*arrays, strict=True)):
        pairs = 2 + math.floor((rows[0].shape[1] - 2) * min(i / UPDATES / RAMP, 1))
        each = [recall(pairs, n, *row) for n, row in enumerate(zip(*rows, strict=True))]
        yield [torch.stack(part) for part in zip(*each, strict=True)]


def recall(pairs, row, keys, values, order, place):
    """The tokens and targets of a row."""
    k = pairs if row < ROWS // 2 else 1 + int(place * (pairs - 1))
    asked = order[:k].argsort()
    tokens, targets = torch.zeros(2, 3 * len(keys)).long()
    tokens[: 2 * k : 2], tokens[1 : 2 * k : 2] = keys[:k], KEYS + values[:k]
    tokens[2 * k : 3 * k], targets[2 * k : 3 * k] = keys[asked], values[asked]
    targets[: 2 * k] = targets[3 * k :] = -100  # not scored
    return tokens, targets


def key_loss(network, tokens, targets):
    """The mean cross-entropy over all questions of a batch."""
    return cross_entropy(network.linear(network.states(tokens)).movedim(-1, 1), targets)


@torch.no_grad()
def right_answers(network, recall):
    """The right answers of each number of pairs, of tokens and targets `[numbers, rows, T]`."""
    counts = []
    for pairs, x, y in zip(PAIRS, recall["tokens"].long(), recall["targets"], strict=False):
        asked = slice(2 * pairs, 3 * pairs)
        answers = network.linear(network.states(x)[:, asked]).argmax(-1)
        counts.append(int((answers == y[:, asked]).sum()))
    return counts


def lag_row(tasks, run):
    """The row of a seed by lag."""
    network = Network(part(tasks, "gru."))
    train(network, ((streams.long(),) for streams in tasks["training"]), lag_loss)
    calibration, *sets = (tasks[x].long() for x in ("calibration", "validation", "final"))
    validation, final = (lag_score(network, streams, calibration) for streams in sets)
    return {"question": "by lag", **run, "validation": validation, "final": final}


def key_row(tasks, run):
    """The row of a seed by key, with the ramp."""
    network, most = Network(part(tasks, "gru.")), tasks["keys"].shape[-1]
    train(network, recall_batches(tasks), key_loss)
    pairs = [k for k in PAIRS if k <= most]
    counts = {"level": most, "pairs": pairs, "asked": [256 * k for k in pairs]}
    right = {x: right_answers(network, part(tasks, f"{x}.")) for x in ("validation", "final")}
    return {"question": "by key", **run, "schedule": "ramp", **counts, **right}


def part(arrays, start):
    """The arrays whose names start so, by the rest of their names."""
    return {name[len(start) :]: x for name, x in arrays.items() if name.startswith(start)}


if __name__ == "__main__":
    path, *seeds = sys.argv[1:]
    for seed in map(int, seeds or range(4)):
        tasks = part(load_file(path), f"seed_{seed}.")
        run = {"seed": seed, "rate": RATE, "updates": UPDATES}
        for make, question in ((lag_row, "by_lag."), (key_row, "by_key.")):
            print(json.dumps(make(part(tasks, question), run)), flush=True)
