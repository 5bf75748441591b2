"""Read a picture of 8 x 8 pixels from the answers of a run about ten fixed streams. Imports no jax.

step     0   1   2 ...  63  64  65 ...   the stream T
pixel    0   1   2 ...  63               pixel 0 is at the top left
lag     64  63  62 ...   1               read after step 64
lag      -  64  63 ...   2               read after step 65: pixel 0 is beyond

A picture is drawn as pixel XOR (answer XOR T), so a right answer shows the pixel of any picture.
The tokens can therefore be independent, as in training.

By key, a stream shows eight random pairs: a key is the place of a pixel, and the 4 high bits of its
value stand for the colour. The run is queried for the value of each key, and the picture shows the
colour XOR the 4 high bits of (answer XOR value).
"""

import base64
from typing import Annotated

import msgspec
import numpy as np
from msgspec import UNSET, Meta, UnsetType

SYMBOLS, PIXELS = 16, 64
PAIRS, VALUES = 8, 64  # by key; there is a key for each pixel

# Written out: no jax is needed to read them, and another version of it may draw others.
STREAMS = (
    "3564801e15e6ef72b63c1e441ba39fe3a8ebd85d4ab871b57608760703d7f11fa",
    "74106887bfa6c8db90fca6efe45ab7d360535c0ff74f755124934eaacbeda978a",
    "e87cb62b925ea39914c05a9382637d2e267080f463ecd2d0675a21736fd058ff1",
    "2328363fbea789d8025648c8cb7d7e448d1e86dc7d69fc35b079f592d51df450c",
    "d12970dac5e5cbc48060835b51b247844bf15a9c15497bc0817e6a93e2125414e",
    "92b3a44e4266caee9850d0863666fd7bfd2f7cbf6e658a0b486e3c6a18f1a7cef",
    "214c2313cac4aba41aaa32c3f6d7e0ffa9b2ffcaa76279137cfb8915851a37407",
    "2d56b55184e0acdaa1f6844108471011cd8b306636a02edf6d07142925b256fd8",
    "22deddf553819071ef6d355b9de6eb2ad5803dc4ab101bde60e5e5a2c642e92f5",
    "4fad39fc85559c91cd499fa88464b9aab553949f001d7f78e4e3fe03b91913d95",
)
"""The tokens as hexadecimal digits: the first draw of `uniform_tokens` from jax.random.key(52)."""


LATER = "15cefec20572f63a5de8226317dd"
"""The tokens after the first of `STREAMS`, while its picture fades: the first draw of key(54)."""


class Reading(msgspec.Struct, forbid_unknown_fields=True):
    """The answers of a run about `STREAMS`, ordered by stream, then by lag 1 .. 64.

    weights    the SHA-256 of the trained weights, as hexadecimal digits
    at_once    the bits by lag on the final streams, asked after step 64 only
    answers    the most likely values 0 .. 15, in base64; a byte holds two, the first in its high
               half
    certainty  4 bits less the entropy of each recalibrated answer, in base64; a byte for each
               answer, 255 for 4 bits
    """

    weights: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    at_once: Annotated[float, Meta(ge=0, le=4 * PIXELS)]
    # 320 and 640 bytes in base64.
    answers: Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{427}=$")]
    certainty: Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{854}==$")]


class KeyReading(Reading):
    """The answers of a run about `key_measurement.fixed_pairs`, ordered by stream, then by query.

    at_once    the bits by key with eight pairs, on the final data
    answers    the most likely values 0 .. 63, in base64; a byte for each answer
    certainty  the accuracy bits of each answer's recalibrated probability, in base64; a byte for
               each answer, 255 for 6 bits
    """

    # 80 bytes in base64.
    answers: Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{107}=$")]
    certainty: Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{107}=$")]


class Fading(msgspec.Struct, forbid_unknown_fields=True):
    """The answers about the pixels of `fading_stream` after steps 64 .. 92, in base64.

    The answers are ordered by step 64 + s, then by lag s + 1 .. 64, the lags of pixels within
    reach.

    answers    the values, encoded as in `Reading`
    certainty  the certainties, encoded as in `Reading`
    surprise   -log2 of the right token's recalibrated probability; a byte for each answer, in 16ths
               of a bit
    """

    answers: str
    certainty: str
    surprise: str


class ReadCard(Reading):
    """The reading of a run of a published card.

    By lag, the run has seed 0. By key, its bits are the median over the seeds, or the lower of the
    two middle values.

    card      the name of the card
    bits      the bits of the run that is read
    fading    the answers by lag while the picture fades, for the cards that a page shows first
    surprise  the surprise by key for these cards, as in `Fading`, about the colours of the first
              stream
    """

    card: str
    bits: float
    answers: str
    certainty: str
    fading: Fading | UnsetType = UNSET
    surprise: str | UnsetType = UNSET


class Readings(msgspec.Struct, forbid_unknown_fields=True):
    """The content of readings.json, from which pictures of published cards are drawn.

    cells   the readings by lag
    places  the keys of the streams by key, `[10, 8]`, in the order of the queries
    values  the values of these keys, `[10, 8]`
    by_key  the readings by key
    """

    cells: list[ReadCard] = []
    places: list[list[int]] = []
    values: list[list[int]] = []
    by_key: list[ReadCard] = []


def fixed_streams() -> np.ndarray:
    """Return `STREAMS` as tokens, int32 `[10, 65]`."""
    return np.array([[int(digit, 16) for digit in stream] for stream in STREAMS], np.int32)


def fading_stream() -> np.ndarray:
    """Return the tokens of the first of `STREAMS`, followed by `LATER`, int32 `[93]`."""
    return np.array([int(digit, 16) for digit in STREAMS[0] + LATER], np.int32)


def packed(weights: bytes, at_once: float, answers: np.ndarray, certainty: np.ndarray) -> Reading:
    """Return the reading of a run by lag or, with eight answers for each stream, by key.

    Args:
      weights: the bytes of the SHA-256 of the trained weights.
      at_once: the bits of the run on its final data, as in `Reading` and `KeyReading`.
      answers: the most likely values, `[10, N]`; N is 64 by lag and 8 by key.
      certainty: the certainty of each answer, 0 .. 1, `[10, N]`.
    """
    values = np.asarray(answers, np.uint8)
    kind, pack = {PIXELS: (Reading, halves), PAIRS: (KeyReading, encoded)}[values.shape[1]]
    return kind(weights.hex(), at_once, pack(values), encoded(255 * np.asarray(certainty)))


def halves(values: np.ndarray) -> str:
    """Return `values` 0 .. 15 in base64; a byte holds two, the first in its high half."""
    pairs = values.reshape(-1, 2)
    return encoded(np.bitwise_or(pairs[:, 0] << 4, pairs[:, 1]))


def encoded(numbers: np.ndarray) -> str:
    """Return `numbers` from 0 to 255 in base64; each is rounded to a byte."""
    return base64.b64encode(np.round(numbers).astype(np.uint8).tobytes()).decode()


def unpacked(reading: Reading) -> tuple[np.ndarray, np.ndarray]:
    """Return the values 0 .. 15 and certainties 0 .. 1 of a `reading` by lag, each `[10, 64]`."""
    values, certainty = (
        np.frombuffer(base64.b64decode(x), np.uint8) for x in (reading.answers, reading.certainty)
    )
    halves = np.stack([values >> 4, values & 15], axis=1)
    return halves.reshape(-1, PIXELS), certainty.reshape(-1, PIXELS) / 255


def left_of(
    picture: np.ndarray, reading: Reading, stream: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels that `reading` leaves of `picture`, int `[64]`, and their areas, 0 .. 1.

    `picture` has 64 values 0 .. 15. The `reading`, by lag, gives the answers about the fixed stream
    number `stream`. The area of a pixel is the certainty of its answer.
    """
    # From lag 64 down, because the oldest token stands for the first pixel.
    values, certainty = (each[stream, ::-1] for each in unpacked(reading))
    return picture ^ values ^ fixed_streams()[stream, :PIXELS], certainty
