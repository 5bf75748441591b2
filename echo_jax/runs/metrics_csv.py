"""Loss and accuracy of every training sequence: as curves, and as the lines of `metrics.csv`."""

import numpy as np

from echo_jax.config import RunConfig


class History:
    """Loss and accuracy of every training sequence so far: the lines of `metrics.csv`.

    Its columns are sequence, loss and accuracy, and before them the seed where there are several;
    the lines are in the order of the sequences, and of the seeds within one.
    """

    def __init__(self, config: RunConfig) -> None:
        """No sequence yet, and no seed with a loss that is infinite or no number."""
        self.sequences = 0
        self.bad = np.zeros(config.seeds, bool)
        seeds = range(config.seed, config.seed + config.seeds)
        self._labels = [f"{seed}," for seed in seeds] if config.seeds > 1 else [""]
        self._lines = [f"{'seed,' * (config.seeds > 1)}sequence,loss,accuracy\n".encode()]
        self._curves: list[np.ndarray] = []

    def append(self, loss: np.ndarray, accuracy: np.ndarray) -> None:
        """Add the mean loss (nats) and accuracy of the next sequences, each float32 `[S, N]`."""
        curves = np.stack([loss, accuracy], axis=-1).astype(np.float32)
        shortest = np.swapaxes(curves, 0, 1).astype(str).tolist()  # digits enough to come back
        first = self.sequences + 1
        lines = [
            f"{label}{sequence},{pair[0]},{pair[1]}\n"
            for sequence, pairs in enumerate(shortest, first)
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
        """Loss and accuracy of all sequences so far, each float32 `[S, N]`."""
        together = np.concatenate(self._curves, axis=1)
        return together[..., 0], together[..., 1]

    @classmethod
    def of_text(cls, config: RunConfig, text: bytes) -> "History":
        """The inverse of `text`; ValueError for what no run wrote."""
        history = cls(config)
        header, *rows = text.decode("ascii").splitlines()
        pairs = np.array([[float(word) for word in row.rsplit(",", 2)[-2:]] for row in rows])
        with np.errstate(over="ignore"):  # infinity is spelled otherwise than what became it
            curves = pairs.reshape(-1, config.seeds, 2).astype(np.float32)
        curves = np.swapaxes(curves, 0, 1)
        history.append(curves[..., 0], curves[..., 1])
        again = history.text().decode("ascii").splitlines()
        labels = [[row.rsplit(",", 2)[0] for row in lines] for lines in ([header, *rows], again)]
        if labels[0] != labels[1] or not text.endswith(b"\n"):
            raise ValueError("these are not the lines that were written")
        history._lines = [text]
        return history
