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
        self.rnn = torch.nn.GRU(weights["rnn.weight_ih_l0"].shape[1], units, batch_first=True)
        self.linear = torch.nn.Linear(units, len(weights["linear.bias"]))
        self.load_state_dict(weights)
        # r and z have two biases that are added: the second stays 0, so that a step moves one
        self.rnn.bias_hh_l0.register_hook(lambda g: g * (torch.arange(3 * units) >= 2 * units))

    def states(self, tokens):
        """The states after all steps: `[B, T]` to `[B, T, H]`."""
        return self.rnn(one_hot(tokens, self.rnn.input_size).float())[0]


def train(network, batches, loss_of):
    """Adam on a gradient of norm 1 at most; the rate falls to 0 by a cosine."""
    adam = torch.optim.Adam(network.parameters(), RATE, eps=1e-7)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, UPDATES)
    for batch in batches:
        adam.zero_grad()
        loss_of(network, *batch).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        adam.step()
        cosine.step()


def earlier(streams):
    """The tokens 1 .. 64 steps before each asked step, `[B, A, N]`."""
    return streams[:, ASKED[:, None] - 1 - torch.arange(LAGS)]


def lag_logits(network, states, reference):
    """The logits of all heads, `[B, V, A, N]`, from states that are standardised."""
    variance, mean = torch.var_mean(reference, (0, 1), correction=0)
    read = network.linear((states - mean) / (variance + 1e-12).sqrt())
    return read.unflatten(-1, (LAGS, SYMBOLS)).movedim(-1, 1)


def lag_loss(network, streams):
    """The mean cross-entropy over all lags."""
    states = network.states(streams)[:, ASKED]
    return cross_entropy(lag_logits(network, states, states), earlier(streams))


def fitted_factors(logits, targets):
    """The factor of each lag's logits with the smallest cross-entropy, where its slope is 0."""
    low, high = torch.zeros(LAGS), torch.full((LAGS,), 100.0)
    for _ in range(30):
        middle = (low + high) / 2
        expected = ((middle * logits).softmax(1) * logits).sum(1, keepdim=True)
        above = (expected - logits.gather(1, targets[:, None])).mean((0, 1, 2)) > 0
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return middle


@torch.no_grad()
def lag_scores(network, calibration, *sets):
    """Nats of each lag on each set of streams, as the heads answer and recalibrated."""
    reference, doubt = network.states(calibration)[:, ASKED], 1 / calibration[:, ASKED].numel()
    factors = fitted_factors(lag_logits(network, reference, reference), earlier(calibration))
    for streams in sets:
        logits = lag_logits(network, network.states(streams)[:, ASKED], reference)
        nats = cross_entropy(logits, earlier(streams), reduction="none")
        fitted = cross_entropy(factors * logits, earlier(streams), reduction="none")
        fitted = -((1 - doubt) * (-fitted).exp() + doubt / SYMBOLS).log()
        yield {"nats": nats.mean((0, 1)).tolist(), "recalibrated": fitted.mean((0, 1)).tolist()}


def recall_batches(tasks):
    """The sequences of all updates: half of the rows with the K of the ramp, the others fewer."""
    arrays = [tasks[name].float() for name in ("keys", "values", "order", "place")]
    for i, rows in enumerate(zip(*arrays, strict=True)):
        pairs = 2 + math.floor((rows[0].shape[1] - 2) * min(i / UPDATES / RAMP, 1))
        each = [recall(pairs, n, *row) for n, row in enumerate(zip(*rows, strict=True))]
        yield map(torch.stack, zip(*each, strict=True))


def recall(pairs, row, keys, values, order, place):
    """The tokens and targets of a row."""
    k = pairs if row < ROWS // 2 else 1 + int(place * (pairs - 1))
    (tokens, targets), asked = torch.zeros(2, 3 * len(keys)).long(), order[:k].argsort()
    tokens[: 2 * k : 2], tokens[1 : 2 * k : 2] = keys[:k], KEYS + values[:k]
    tokens[2 * k : 3 * k], targets[2 * k : 3 * k] = keys[asked], values[asked]
    targets[: 2 * k] = targets[3 * k :] = -100  # not scored
    return tokens, targets


def key_loss(network, tokens, targets):
    """The mean over all questions of a batch."""
    return cross_entropy(network.linear(network.states(tokens)).movedim(-1, 1), targets)


@torch.no_grad()
def right_answers(network, tokens, targets):
    """The right answers of each number of pairs, of tokens and targets `[numbers, rows, T]`."""
    answer = network.linear(network.states(tokens.flatten(0, 1).long())).argmax(-1).view_as(targets)
    return [int(x[:, 2 * k : 3 * k].sum()) for k, x in zip(PAIRS, answer == targets, strict=False)]


def row_of(question, tasks):
    """The scores of a row, without the facts of its run."""
    network, sets = Network(part(tasks, "gru.")), ("validation", "final")
    if question == "by lag":
        train(network, ((streams.long(),) for streams in tasks["training"]), lag_loss)
        scores = lag_scores(network, *(tasks[name].long() for name in ("calibration", *sets)))
        return dict(zip(sets, scores, strict=True))
    train(network, recall_batches(tasks), key_loss)
    pairs = [k for k in PAIRS if k <= tasks["keys"].shape[-1]]
    asked = [256 * k for k in pairs]
    row = {"schedule": "ramp", "level": pairs[-1], "pairs": pairs, "asked": asked}
    of_set = (part(tasks, f"{name}.") for name in sets)
    return row | {name: right_answers(network, **x) for name, x in zip(sets, of_set, strict=True)}


def part(arrays, start):
    """The arrays whose names start so, by the rest of their names."""
    return {name[len(start) :]: x for name, x in arrays.items() if name.startswith(start)}


if __name__ == "__main__":
    for seed in map(int, sys.argv[2:] or range(4)):
        for question in ("by lag", "by key"):
            of_seed = part(load_file(sys.argv[1]), f"seed_{seed}.{question.replace(' ', '_')}.")
            run = {"question": question, "seed": seed, "rate": RATE, "updates": UPDATES}
            print(json.dumps(run | row_of(question, of_seed)), flush=True)
