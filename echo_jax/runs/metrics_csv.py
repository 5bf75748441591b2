"""Loss and accuracy of every training sequence: as curves, and as the lines of `metrics.csv`."""

import numpy as np

from echo_jax.config import RunConfig


class History:
    """The log of a training: loss and accuracy of every sequence so far.

    The columns of `metrics.csv` are sequence, loss and accuracy, and before them the seed where
    there are several; its lines are in the order of the sequences, and of the seeds within one.

    sequences  how many there are so far
    bad        bool `[S]`, the seeds that have had a non-finite loss
    """

    def __init__(self, config: RunConfig) -> None:
        """Start with no sequence."""
        self.sequences = 0
        self.bad = np.zeros(config.seeds, bool)
        self._seeds = range(config.seed, config.seed + config.seeds)
        self._curves: list[np.ndarray] = []

    def append(self, loss: np.ndarray, accuracy: np.ndarray) -> None:
        """Add the mean loss (nats) and accuracy of the next N sequences, each float32 `[S, N]`."""
        self._curves.append(np.stack([loss, accuracy], axis=-1).astype(np.float32))
        self.sequences += loss.shape[1]
        self.bad |= ~np.isfinite(loss).all(axis=1)

    def curves(self) -> tuple[np.ndarray, np.ndarray]:
        """Loss and accuracy of all N sequences so far, each float32 `[S, N]`."""
        together = np.concatenate(self._curves, axis=1)
        return together[..., 0], together[..., 1]

    def text(self) -> bytes:
        """The content of `metrics.csv`."""
        several = len(self._seeds) > 1
        labels = [f"{seed}," for seed in self._seeds] if several else [""]
        lines = ["seed,sequence,loss,accuracy\n" if several else "sequence,loss,accuracy\n"]
        sequence = 0
        for curves in self._curves:
            with np.printoptions(legacy=False):  # which a program may have set to round
                exact = np.swapaxes(curves, 0, 1).astype(str).tolist()  # the shortest to read back
            for pairs in exact:
                sequence += 1
                for label, (loss, accuracy) in zip(labels, pairs, strict=True):
                    lines.append(f"{label}{sequence},{loss},{accuracy}\n")
        return "".join(lines).encode()
