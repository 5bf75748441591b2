"""The job by its definition in NumPy: a peer of the race, and an oracle for tests."""

from typing import Any, NamedTuple

import numpy as np
from learner import Learner

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7
"""Of Adam, in every peer: Keras's defaults."""


class Weights(NamedTuple):
    """The weights of the network, their gradients or their moments, float32."""

    kernel: np.ndarray  # [V, 4H], with the gates i f g o side by side
    recurrent: np.ndarray  # [H, 4H]
    bias: np.ndarray  # [4H]
    readout: np.ndarray  # [H, V]
    readout_bias: np.ndarray  # [V]


class State(NamedTuple):
    """The state of the LSTM, `[B, H]`."""

    c: np.ndarray
    h: np.ndarray


class NumpyLSTM(Learner):
    """An LSTM and a readout: forward, backward through time, Adam."""

    def start(self) -> None:
        """Glorot-uniform kernels, an orthogonal recurrent kernel, ones in the forget bias."""
        random = np.random.default_rng([self.config.seed, 2])
        v, h = self.config.task.vocab_size, self.config.network.hidden_size

        def glorot_uniform(rows: int, columns: int) -> np.ndarray:
            limit = np.sqrt(6 / (rows + columns))
            return random.uniform(-limit, limit, (rows, columns)).astype(np.float32)

        orthogonal = np.linalg.qr(random.normal(size=(4 * h, h)))[0].T.astype(np.float32)
        bias, zeros = np.repeat(np.array([0, 1, 0, 0], np.float32), h), np.zeros(v, np.float32)
        readout, kernel = glorot_uniform(h, v), glorot_uniform(v, 4 * h)
        self.weights = Weights(kernel, orthogonal, bias, readout, zeros)
        self.mean = Weights(*map(np.zeros_like, self.weights))
        self.square = Weights(*map(np.zeros_like, self.weights))
        self.updates = 0

    def run_batch(
        self, state: State | None, window: np.ndarray, target: np.ndarray, learn: bool
    ) -> tuple[State, float, np.ndarray]:
        if state is None:
            zeros = np.zeros((len(target), len(self.weights.recurrent)), np.float32)
            state = State(zeros, zeros)
        last, steps = unroll(self.weights, state, window)
        p = probabilities(self.weights, last.h)
        if learn:
            self._adam(backpropagate(self.weights, last, steps, p, target))
        return last, cross_entropy(p, target), np.argmax(p, axis=-1)

    def _adam(self, gradients: Weights) -> None:
        """One update of every weight, in place.

        m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  w = w - rate m' / (sqrt(v') + epsilon),
        where m' = m / (1 - b1^t) and v' = v / (1 - b2^t).
        """
        self.updates += 1
        rate = self.config.training.learning_rate
        for w, m, v, g in zip(self.weights, self.mean, self.square, gradients, strict=True):
            m[:] = BETA1 * m + (1 - BETA1) * g
            v[:] = BETA2 * v + (1 - BETA2) * g**2
            m_unbiased = m / (1 - BETA1**self.updates)
            v_unbiased = v / (1 - BETA2**self.updates)
            w[:] = w - rate * m_unbiased / (np.sqrt(v_unbiased) + EPSILON)


def unroll(w: Weights, state: State, window: np.ndarray) -> tuple[State, list[Any]]:
    """Run the LSTM over a window `[B, W]`: the last state, and every step for its gradient.

    i, f, g, o = split(x W + b + h U),  c' = s(f) c + s(i) tanh(g),  h' = s(o) tanh(c')

    x is one-hot, so x W is a row of W.
    """
    steps = []
    for token in window.T:
        i, f, g, o = np.split(w.kernel[token] + w.bias + state.h @ w.recurrent, 4, axis=-1)
        (i, f, o), g = (1 / (1 + np.exp(-gate)) for gate in (i, f, o)), np.tanh(g)
        c = f * state.c + i * g
        steps.append((token, state, i, f, g, o, np.tanh(c)))
        state = State(c, o * np.tanh(c))
    return state, steps


def probabilities(w: Weights, h: np.ndarray) -> np.ndarray:
    """The softmax of the readout of h `[B, H]`: `[B, V]`."""
    logits = h @ w.readout + w.readout_bias
    exp = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def cross_entropy(p: np.ndarray, target: np.ndarray) -> float:
    """The mean of -ln p(target) over B rows, in nats."""
    return float(-np.mean(np.log(p[np.arange(len(target)), target])))


def backpropagate(
    w: Weights, last: State, steps: list[Any], p: np.ndarray, target: np.ndarray
) -> Weights:
    """The gradients of the cross-entropy of one batch; the initial state gets none."""
    d_logits = (p - np.eye(p.shape[-1], dtype=np.float32)[target]) / len(target)
    gradients = Weights(*map(np.zeros_like, w))
    gradients.readout[:] = last.h.T @ d_logits
    gradients.readout_bias[:] = d_logits.sum(axis=0)
    dc, dh = np.zeros_like(last.c), d_logits @ w.readout.T
    for token, (c, h), i, f, g, o, tanh_c in reversed(steps):
        dc = dc + dh * o * (1 - tanh_c**2)
        gates = (dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g**2))
        da = np.concatenate([*gates, dh * tanh_c * o * (1 - o)], axis=-1)
        np.add.at(gradients.kernel, token, da)
        gradients.recurrent[:] += h.T @ da
        gradients.bias[:] += da.sum(axis=0)
        dc, dh = dc * f, da @ w.recurrent.T
    return gradients
