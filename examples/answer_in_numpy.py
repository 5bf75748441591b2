"""The answers of a trained LSTM in NumPy: the arrays of its run, and no echo_jax.

echo-jax train --lag 1 --window 5 --out runs/part4
python examples/answer_in_numpy.py runs/part4 1 36 0 36 21 2
"""

import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

WEIGHTS = "cell.kernel", "cell.recurrent_kernel", "cell.bias", "readout.kernel", "readout.bias"


def sigmoid(x):
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


def answers(run, tokens, seed=0):
    """The answers to T integers, one for each whole window of W: a list of T - W + 1."""
    config = json.loads((run / "config.json").read_text())
    window, rows = config["task"]["window"], config["task"]["batch_size"]
    arrays = load_file(run / "checkpoint.safetensors")
    kernel, recurrent, bias, readout, readout_bias = (
        arrays[f"params.{name}"][seed] for name in WEIGHTS
    )
    zero = np.zeros(len(recurrent), np.float32)
    states, found = [(zero, zero)] * rows, []
    for row in range(len(tokens) - window + 1):
        c, h = states[row % rows]  # zero, or left by row - rows
        for token in tokens[row : row + window]:
            x = kernel[token]  # a one-hot vector times the kernel
            i, f, g, o = np.split(x + bias + h @ recurrent, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        if config["network"]["stateful"]:
            states[row % rows] = c, h
        found.append(int(np.argmax(h @ readout + readout_bias)))
    return found


if __name__ == "__main__":
    print(*answers(Path(sys.argv[1]), [int(word) for word in sys.argv[2:]]))
