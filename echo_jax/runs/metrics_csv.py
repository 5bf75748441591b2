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
        seeds = range(config.seed, config.seed + config.seeds)
        several = config.seeds > 1
        self._labels = [f"{seed}," for seed in seeds] if several else [""]
        self._lines = [b"seed,sequence,loss,accuracy\n" if several else b"sequence,loss,accuracy\n"]
        self._curves: list[np.ndarray] = []

    def append(self, loss: np.ndarray, accuracy: np.ndarray) -> None:
        """Add the mean loss (nats) and accuracy of the next N sequences, each float32 `[S, N]`."""
        curves = np.stack([loss, accuracy], axis=-1).astype(np.float32)
        with np.printoptions(legacy=False):  # which a program may have set to round
            exact = np.swapaxes(curves, 0, 1).astype(str).tolist()  # the shortest that reads back
        lines = [
            f"{label}{sequence},{pair[0]},{pair[1]}\n"
            for sequence, pairs in enumerate(exact, self.sequences + 1)
            for label, pair in zip(self._labels, pairs, strict=True)
        ]
        self._lines.append("".join(lines).encode())
        self._curves.append(curves)
        self.sequences += loss.shape[1]
        self.bad |= ~np.isfinite(loss).all(axis=1)

    def text(self) -> bytes:
        """The content of `metrics.csv`."""
        return b"".join(self._lines)

    def curves(self) -> tuple[np.ndarray, np.ndarray]:
        """Loss and accuracy of all N sequences so far, each float32 `[S, N]`."""
        together = np.concatenate(self._curves, axis=1)
        return together[..., 0], together[..., 1]

    @classmethod
    def of_text(cls, config: RunConfig, text: bytes) -> "History":
        """The inverse of `text`; ValueError for lines that are not three numbers."""
        history = cls(config)
        rows = text.decode("ascii").splitlines()[1:]
        pairs = np.array([[float(word) for word in row.rsplit(",", 2)[-2:]] for row in rows])
        curves = np.swapaxes(pairs.reshape(-1, config.seeds, 2), 0, 1)
        history.append(*np.moveaxis(curves.astype(np.float32), -1, 0))
        history._lines = [text]
        return history
