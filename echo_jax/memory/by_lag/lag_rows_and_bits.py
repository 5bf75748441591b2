"""Define the question by lag: its rows, its bits, and its words on pages. Imports no jax."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import UNSET, UnsetType

from echo_jax.memory.face_answers import PIXELS, SYMBOLS, Reading
from echo_jax.memory.protocol import Configuration, Protocol
from echo_jax.memory.question import (
    DECIMALS,
    Curve,
    MeasuredRow,
    Nats,
    Number,
    Question,
    Seeded,
    over_seeds,
)
from echo_jax.report.number_formats import plain, three_digits

UNCONVOLVED = 4
"""The first lag that the convolution of a block does not see."""


class BitsByLag(Seeded):
    """The bits of the state about the tokens 1 .. N steps back; N is 64 in the standard protocol.

    from_lag_4  the sum of the bits of lags 4 .. N, as the mean over the seeds; the convolution of a
                block sees only lags 1 to 3
    """

    from_lag_4: Number

    def columns(self, _: Protocol) -> dict[str, str]:
        """Return the texts of the columns beside the bits in a table, by their headings."""
        return {"lags 4 on": three_digits(self.from_lag_4)}

    @property
    def line(self) -> Curve:
        """The curve: the lags, and the mean bits of each lag."""
        return range(1, len(self.curve) + 1), self.curve


def lag_bits(nats: Sequence[float] | None, protocol: Protocol) -> np.ndarray:
    """Return the bits of each lag, at least 0, `[N]`; zeros if there are no `nats`.

    `nats` is the cross-entropy of each lag, or None; `protocol` states how many symbols there are.
    """
    if nats is None:
        return np.zeros(protocol.lags)
    bits = math.log2(protocol.symbols) - np.asarray(nats, np.float64) / math.log(2)
    # Tokens are uniform, so a factor of 0 makes each head a guess of log2 V bits: a value below 0
    # is noise of the recalibration.
    return np.maximum(bits, 0.0)


class LagRow(MeasuredRow, tag_field="question", tag="by lag", forbid_unknown_fields=True):
    """The row of a run by lag. The scores are null if a loss or a score was not finite.

    validation  the mean cross-entropy of each lag from 1, in nats, after recalibration, on streams
                drawn from the seed
    final       the mean cross-entropy on streams drawn from the seed and the trained weights
    reading     the answers of seed 0 about fixed streams after the usual updates; absent from other
                rows, and unless the protocol has 64 lags and 16 symbols
    """

    validation: Nats | None
    final: Nats | None
    reading: Reading | UnsetType = UNSET

    def validation_bits(self, protocol: Protocol) -> float:
        """Return the bits on the validation data, summed over all lags; 0 without a score."""
        return float(lag_bits(self.validation, protocol).sum())

    def curve(self, protocol: Protocol) -> np.ndarray:
        """Return the bits of each lag on the final data, `[N]`; zeros without a score."""
        return lag_bits(self.final, protocol)

    def tidy(self, score: list[float]) -> list[dict[str, Any]]:
        """Return a dictionary for each lag, from `score`, the nats of one data set."""
        return [{"lag": lag, "nats": nats} for lag, nats in enumerate(score, 1)]

    def check(self, protocol: Protocol) -> None:
        """Raise ValueError unless the scores have one number for each lag of `protocol`."""
        if any(len(x) != protocol.lags for x in (self.validation, self.final) if x):
            raise ValueError(f"nats does not have {protocol.lags} numbers, one for each lag")


class _ByLag(Question):
    name, field = "by lag", "bits_by_lag"
    has_budgets = True
    words, suffix, digits, short = "bits by lag", "", ".2f", "lag"
    title = "Bits about the token, by how many steps ago it came"
    curves, x_label, y_label = "forgetting", "steps back", "bits about the token"
    reading = (
        "Bits, of {most:.3g}, that the state holds about a token, by how many steps ago it came. "
        "The area under a curve is its bits by lag."
    )

    def pilot(self, protocol: Protocol, _: int | None = None, /) -> list[Configuration]:
        return [Configuration(self.name, protocol.pilot_updates, x) for x in protocol.rates]

    def least_bytes(self, protocol: Protocol) -> int:
        """Return the bytes of the tokens of all streams, and of all logits of one data set."""
        sets = (protocol.asked[-1] + 1) * (protocol.rows + 3 * protocol.streams)
        answers = protocol.asked_steps * protocol.lags * protocol.symbols
        return 4 * (sets + answers * max(protocol.rows, protocol.streams))

    def measure(self, rows: Sequence[LagRow], protocol: Protocol, /) -> BitsByLag:
        """Return the bits of each seed: the sum of its curve over all lags."""
        curves = np.array([row.curve(protocol) for row in rows])
        most = protocol.lags * math.log2(protocol.symbols)
        return BitsByLag(
            **over_seeds(rows, curves.sum(axis=1), most, curves.mean(axis=0)),
            from_lag_4=plain(curves[:, UNCONVOLVED - 1 :].sum(axis=1).mean(), DECIMALS),
        )

    def tokens(self, protocol: Protocol, /) -> int:
        return protocol.symbols

    def has_picture(self, protocol: Protocol, seed: int = 0, /) -> bool:
        return seed == 0 and (protocol.symbols, protocol.lags) == (SYMBOLS, PIXELS)


BY_LAG = _ByLag()
