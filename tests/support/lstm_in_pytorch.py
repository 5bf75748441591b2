"""The LSTM of PyTorch by lag: the rows `tests/memory/twins/TorchLSTM.jsonl`. It needs PyTorch.

echo-jax card --export-tasks tasks --seeds 8
PYTHONPATH=examples python tests/support/lstm_in_pytorch.py tasks/tasks.safetensors RATE > ROWS
"""

import json
import sys

import card_in_pytorch
import torch
from safetensors.torch import load_file


def make_layer(inputs: int) -> torch.nn.LSTM:
    """An LSTM of 50 units, first weights drawn as `lstm_twins.lstm_init` does."""
    layer = torch.nn.LSTM(inputs, 50, batch_first=True)
    torch.nn.init.xavier_uniform_(layer.weight_ih_l0)
    torch.nn.init.orthogonal_(layer.weight_hh_l0)
    is_forget_gate = torch.arange(200) // 50 == 1
    layer.bias_ih_l0.data = is_forget_gate.float()
    layer.bias_hh_l0.data.zero_()
    layer.bias_hh_l0.requires_grad = False  # the two are added, and one is enough
    return layer


card_in_pytorch.make_layer = make_layer
for seed in range(8):
    run = {"question": "by lag", "seed": seed, "rate": float(sys.argv[2])}
    row = card_in_pytorch.row_of(run, load_file(sys.argv[1]))
    print(json.dumps(row), flush=True)
