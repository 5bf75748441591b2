"""Layers of PyTorch for a memory card: echo-jax card --cell torch_layers.py:torch_gru."""

import torch


def torch_gru(input_size, features=100):
    """The GRU of PyTorch, with PyTorch's first weights."""
    return torch.nn.GRU(input_size, features, batch_first=True)
