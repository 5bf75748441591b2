"""The LSTM of PyTorch by lag: the rows `tests/memory/twins/TorchLSTM.jsonl`. It needs PyTorch.

echo-jax card --export-tasks tasks --seeds 8
PYTHONPATH=examples python tests/support/lstm_in_pytorch.py tasks/tasks.safetensors > ROWS
"""

import json
import sys

import torch
from card_in_pytorch import RATE, UPDATES, Network, lag_loss, lag_scores, part, train
from safetensors.torch import load_file
from torch.nn.functional import one_hot

HIDDEN = 50


class LSTMNetwork(Network):
    """An LSTM whose c is read too; first weights drawn as `lstm_twins.lstm_init` does."""

    def __init__(self, heads: dict[str, torch.Tensor]) -> None:
        """A network with the exported first weights of the heads."""
        torch.nn.Module.__init__(self)
        self.rnn = torch.nn.LSTMCell(heads["weight"].shape[0] // 64, HIDDEN)
        self.linear = torch.nn.Linear(2 * HIDDEN, len(heads["bias"]))
        self.linear.load_state_dict(heads)
        torch.nn.init.xavier_uniform_(self.rnn.weight_ih)
        torch.nn.init.orthogonal_(self.rnn.weight_hh)
        is_forget_gate = torch.arange(4 * HIDDEN) // HIDDEN == 1
        self.rnn.bias_ih.data = is_forget_gate.float()
        self.rnn.bias_hh.data.zero_()
        self.rnn.bias_hh.requires_grad = False  # the two are added, and one is enough

    def states(self, tokens: torch.Tensor) -> torch.Tensor:
        """h and c after all steps: `[B, T]` to `[B, T, 2H]`."""
        state, found = None, []
        for x in one_hot(tokens, self.rnn.input_size).float().unbind(1):
            state = self.rnn(x, state)
            found.append(torch.cat(state, -1))
        return torch.stack(found, 1)


for seed in map(int, sys.argv[2:] or range(8)):
    torch.manual_seed(seed)
    tasks = part(load_file(sys.argv[1]), f"seed_{seed}.by_lag.")
    network, sets = LSTMNetwork(part(tasks, "gru.linear.")), ("validation", "final")
    train(network, ((streams.long(),) for streams in tasks["training"]), lag_loss)
    scores = lag_scores(network, *(tasks[name].long() for name in ("calibration", *sets)))
    run = {"question": "by lag", "seed": seed, "rate": RATE, "updates": UPDATES}
    print(json.dumps(run | dict(zip(sets, scores, strict=True))), flush=True)
