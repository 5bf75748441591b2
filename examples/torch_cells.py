"""Two layers of PyTorch with a state of 400 bytes; their cards are in docs/cards."""

import torch


def gru(input_size):
    """The gated recurrent unit, of 100 units."""
    return torch.nn.GRU(input_size, 100, batch_first=True)


def projected_lstm(input_size):
    """The LSTM with projected outputs (Sak et al. 2014): 75 numbers in its cell, 25 go on."""
    return torch.nn.LSTM(input_size, 75, proj_size=25, batch_first=True)
