"""The fields of a memory card, as typed structs: the source of docs/card.schema.json.

A card itself stays a plain dictionary, because its digest is that of its JSON text; `fault` checks
such a dictionary against the structs. A number that sizes anything has an upper bound here. The
summary has no type: `validation` compares it with that of the raw rows.
"""

import datetime
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from echo_jax.config import CONTROL
from echo_jax.exceptions import shown

SCHEMA = 2
"""Version of the fields below; after a release any change of a field is another version."""

PROTOCOL_1 = 1
"""Version of the fields of the cards of protocol 1, of which only digests are checked."""

LARGEST = 1e39
"""Bound on the magnitude of every number: beyond the range of float32."""

Row = Mapping[str, Any]
NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$(?!\n)"
SHA_256 = r"^[0-9a-f]{64}$(?!\n)"
PATTERNS = {
    NAME: "of 1 to 100 letters, digits, '.', '_' and '-', the first a letter or digit",
    SHA_256: "of 64 hexadecimal digits",
}
"""Patterns, and their description in messages. None may stand in a union with a list or an object,
because msgspec 0.22 then frees the pattern twice and crashes."""

Whole = Annotated[int, Meta(ge=0, le=2**53)]
Count = Annotated[int, Meta(ge=1, le=2**53)]
Size = Annotated[int, Meta(ge=1, le=10_000)]
Number = Annotated[float, Meta(ge=-LARGEST, le=LARGEST)]
Positive = Annotated[float, Meta(gt=0, le=LARGEST)]
NotNegative = Annotated[float, Meta(ge=0, le=LARGEST)]
Share = Annotated[float, Meta(ge=0, le=1)]
LONGEST = 1000
"""The most characters of a text."""

Text = Annotated[str, Meta(min_length=1, max_length=LONGEST)]
Name = Annotated[str, Meta(pattern=NAME)]
Hash = Annotated[str, Meta(pattern=SHA_256)]

Scalar = Number | Text | bool | None
Nested = Scalar | list[Scalar] | dict[Text, Scalar]
Arguments = dict[Text, Scalar | list[Nested] | dict[Text, Nested]]

Few = Meta(min_length=1, max_length=100)
Several = Meta(min_length=1, max_length=1000)
Many = Meta(min_length=1, max_length=10_000)
Lags = Annotated[list[Count], Many]
PerLag = list[Number | None]
Shares = list[Share | None]
Evaluations = Annotated[list[Share | None], Many]
Losses = Annotated[list[NotNegative | None], Many]
Gradients = list[NotNegative | None]
Times = dict[Text, Annotated[list[Number], Meta(min_length=1)]]


class Cell(msgspec.Struct, forbid_unknown_fields=True):
    """The cell that was measured.

    cell    its name, or `package.module:Class`
    args    its keyword arguments
    source  SHA-256 of the file of its class, or of the cell of a notebook that defines it; null
            for a built-in cell, and where there is no text
    """

    cell: Text
    args: Arguments
    source: Hash | None


class Ladder(msgspec.Struct, forbid_unknown_fields=True):
    """One way to ask for an echo, see docs/protocol.md."""

    name: Text
    task: Literal["lag", "hold", "marked", "key", "copy"]
    vocab_size: Annotated[int, Meta(ge=2, le=2**53)]
    rungs: Annotated[list[Count], Several]
    coarse: Annotated[list[Count], Meta(max_length=1000)]
    threshold: Share


class Protocol(msgspec.Struct):
    """The fields of a protocol that a summary depends on; docs/protocol.md describes all fields."""

    name: Text
    track: Literal["cell", "block"]
    version: Annotated[int, Meta(ge=2, le=2**53)]
    ladders: Annotated[list[Ladder], Few]
    exact_lags: Annotated[list[Count], Meta(max_length=100)]
    budget: Count
    evaluate_every: Count
    answers: Annotated[int, Meta(ge=1, le=10_000_000)]
    confirmation: Size
    shortest_lag: Count
    steps_per_lag: Annotated[int, Meta(ge=2, le=2**53)]
    shortest_hold: Count
    marked_among: dict[Text, Count]
    seeds: Annotated[int, Meta(ge=1, le=1000)]
    rates: Annotated[list[Positive], Few]
    rows: list[Text]
    refine: bool
    capacity_lags: Size
    capacity_most: Size
    linear_lags: Size
    beyond: Annotated[list[Count], Few]


class RawRow(msgspec.Struct, tag_field="kind", forbid_unknown_fields=True):
    """A measurement of one seed, or of the cell; numbers are rounded to six digits."""


class Run(RawRow, tag="run"):
    """A network that was trained on one rung of a ladder from its initial weights.

    accuracy   on fresh data, at each evaluation
    confirmed  the number of an evaluation, from 0, and the accuracy of its confirmation on other
               fresh data, where the evaluation reached the threshold
    failed     true if the loss became non-finite
    """

    ladder: Text
    rung: Count
    rate: Positive
    seed: Whole
    accuracy: Evaluations
    confirmed: list[tuple[Whole, Share]]
    failed: bool


class Skipped(RawRow, tag="skipped"):
    """A rung that was not run, because all seeds passed the next coarser one at once."""

    ladder: Text
    rung: Count


class Curriculum(Run, tag="curriculum"):
    """A run that starts from the weights with which the seed passed the shorter lag `from`."""

    from_: Count = msgspec.field(name="from")


class Bits(RawRow, tag="bits"):
    """Bits about each past token, 1 to `lags` steps back, that are recalled from the state.

    Of a network that was trained on all these lags at once; null where training failed.

    exact    from the state as it is
    float16  after rounding the state to 16 bits
    noise    after adding noise to the state
    """

    ladder: Text
    seed: Whole
    rate: Positive
    lags: Size
    exact: PerLag
    float16: PerLag
    noise: PerLag
    state_numbers: Whole


class Linear(RawRow, tag="linear"):
    """Held-out r squared of a ridge regression from the state to each past token.

    trained, untrained  of the state after and before training
    *_null              the same for unrelated tokens, half a stream away
    """

    seed: Whole
    lags: Lags
    trained: Shares
    untrained: Shares
    trained_null: Shares
    untrained_null: Shares


class Beyond(RawRow, tag="beyond"):
    """Accuracy on streams that are `times` as long as the `length` steps trained on."""

    seed: Whole
    lag: Count
    length: Count
    times: Lags
    accuracy: Shares


class Jacobian(RawRow, tag="jacobian"):
    """Mean norm of the gradient of the logit margin with respect to the input 0 .. lag steps back.

    before, after  before and after training
    change         largest change of a logit, relative to the largest, when that token is replaced,
                   at these weights and at random weights around them; null if not finite
    """

    seed: Whole
    lag: Count
    before: Gradients
    after: Gradients
    change: NotNegative | None


class Price(RawRow, tag="price"):
    """Sizes, and microseconds per step by batch size, each time that was measured.

    parameters         trained numbers, those of the block and the readout included
    state_bytes        of the state of the cells, of one stream
    convolution_bytes  of the state of the convolutions of the block
    train              per step of training
    stream             per step of inference, one step at a time
    """

    parameters: Whole
    state_bytes: Whole
    convolution_bytes: Whole
    train: Times
    stream: Times


class Copy(RawRow, tag="copy"):
    """A network that was trained on copy memory with T blanks, at each evaluation.

    loss      nats, mean over the whole sequence
    recall    nats, mean over the ten symbols to recall
    accuracy  of these symbols
    """

    T: Count
    seed: Whole
    rate: Positive
    updates: Lags
    loss: Losses
    recall: Losses
    accuracy: Evaluations


class Card(msgspec.Struct, forbid_unknown_fields=True):
    """A memory card; docs/card.md describes its parts, its validation and its meaning.

    raw      the measurements
    rows     the summary of the raw rows; null for what was not measured
    remarks  of the check of the cell: what is allowed and good to know
    """

    schema: Count
    name: Name
    cell: Cell
    protocol: Protocol
    protocol_hash: Hash
    seeds: Annotated[list[Whole], Several]
    raw: list[Run | Skipped | Curriculum | Bits | Linear | Beyond | Jacobian | Price | Copy]
    rows: dict[str, Any]
    not_measured: dict[Text, Text]
    device: Text
    versions: dict[Text, Text]
    date: datetime.date
    seconds: dict[Text, Number]
    digest: Hash
    remarks: list[Text] = []


def fault(value: Any, kind: Any = Card, where: str = "") -> str | None:
    """The first thing in JSON values that does not fit a type of this module; None if all does.

    `where` is the name of the value, empty for a whole card.
    """
    try:
        msgspec.convert(value, kind)
        odd = next(filter(re.compile(rf"{CONTROL}|[\ud800-\udfff]").search, _strings(value)), None)
    except RecursionError:
        return f"{where or 'the card'} is nested too deeply"
    except msgspec.ValidationError as error:
        what, _, path = str(error).rpartition(" - at `$")
        path = path.rstrip("`") if what else ""
        what = what or str(error)
        for pattern, words in PATTERNS.items():
            what = what.replace(f"matching regex {pattern!r}", words)
        what = "".join(c if c.isprintable() else "?" for c in what)[:200]
        known = "[...]" not in path  # msgspec does not tell the keys of a dictionary
        for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", path) if known else ():
            value = value[name or int(index)]
        found = shown(value) if known and not isinstance(value, dict | list) else "wrong"
        place = (where + path).lstrip(".") or "the card"
        return f"{place} is {found} ({what[0].lower()}{what[1:]})"
    return odd and f"{where or 'the card'} has control characters in {shown(odd)}"


def _strings(value: Any) -> Iterator[str]:
    """All strings in a tree of JSON values, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _strings(each)
