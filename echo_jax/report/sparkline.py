"""A curve in one line of text, for a terminal."""

import numpy as np

BLOCKS = "▁▂▃▄▅▆▇█"
WIDEST = 60  # characters
NARROWEST = 10


def curve_line(accuracy: np.ndarray, columns: int) -> str:
    """The accuracy of N training sequences, `[S, N]`, the mean of S seeds, from 0 to 100%.

    One sequence has few answers, so that its median over the seeds may be 0% where 1% is right.
    """
    curve = np.mean(accuracy, axis=0)
    last = min(20, accuracy.shape[1])
    count = f"{len(curve):,} sequence{'s' if len(curve) > 1 else ''}"
    before = f"Accuracy of {count}: {curve[:last].mean():.0%}"
    after = f"{curve[-last:].mean():.0%}"
    room = columns - len(f"{before}  {after}")
    width = int(np.clip(room, NARROWEST, WIDEST))
    # A character for each of at most so many equal parts.
    parts = np.array_split(curve, min(len(curve), width))
    means = np.array([part.mean() for part in parts])
    levels = np.clip((means * len(BLOCKS)).astype(int), 0, len(BLOCKS) - 1)
    return f"{before} {''.join(BLOCKS[level] for level in levels)} {after}"
