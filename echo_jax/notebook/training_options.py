"""The keyword arguments of `echo_jax.train`, and sentences that name them in place of flags."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict, get_args, get_origin, get_type_hints

from echo_jax.config import CELL_NAMES, Framing, Part
from echo_jax.exceptions import ConfigError


class TrainOptions(TypedDict, total=False):
    """The flags of `echo-jax train` that a Python call has, as types alone."""

    part: Part
    out: str | Path | None
    checkpoint_every: int | None
    devices: int | None
    seed_map: Literal["map", "vmap"] | None
    compute: Literal["literal", "fast"]
    length: int
    vocab_size: int
    window: int
    lag: int
    batch_size: int
    layout: Literal["windows", "prefixes", "streams"]
    missing: Literal["masked", "token"]
    framing: Framing
    cell: str
    hidden_size: int
    stateful: bool
    encoding: Literal["one-hot", "embedding"]
    embedding_dim: int
    tied: bool
    delay_line: int | None
    sequences: int
    learning_rate: float
    optimizer: Literal["adam", "keras-adam"]
    bptt_batches: int
    csv: str | None
    column: str | None
    held_out: float
    seed: int
    seeds: int
    evaluation_sequences: int


KINDS: Mapping[str, Any] = get_type_hints(TrainOptions)
"""The type of each keyword argument."""

_CHOICES = {
    word
    for kind in KINDS.values()
    for each in (kind, *get_args(kind))
    if get_origin(each) is Literal
    for word in get_args(each)
}
_NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
_WORD = "|".join(sorted({*_CHOICES, *CELL_NAMES}, key=len, reverse=True))
_FLAG = rf"--[a-z]+(?:-[a-z]+)*(?: (?:{_NUMBER}|[A-Z]+\b|(?:{_WORD})(?![\w-])))?"


def as_keywords(text: str) -> str:
    """A text with each flag as a keyword argument, with its value if it has one.

    use --no-stateful or --window 2          ->  use stateful=False or window=2
    echo-jax train --lag 3 --cell gru        ->  echo_jax.train(lag=3, cell="gru")
    """
    text = re.sub(r" \(or --[a-z]+\)", "", with_study_calls(text))  # the aliases of flags
    return re.sub(rf"echo-jax train(?: {_FLAG})+|{_FLAG}", _spelled, text)


def with_study_calls(text: str) -> str:
    """A text with each command of a study as a call: echo-jax study state -> echo_jax.study(..)."""
    return re.sub(r"echo-jax study (\w+)", r'echo_jax.study("\1")', text)


def _spelled(found: re.Match[str]) -> str:
    """A command, or one flag; it stays if a flag of it is no argument."""
    arguments = [_keyword(flag) for flag in re.findall(_FLAG, found[0])]
    if any(argument.startswith("--") for argument in arguments):
        return found[0]
    is_command = not found[0].startswith("--")
    return f"echo_jax.train({', '.join(arguments)})" if is_command else arguments[0]


def _keyword(flag: str) -> str:
    """A flag with its value, if it has one."""
    name, space, value = flag.removeprefix("--").partition(" ")
    name = name.replace("-", "_")
    switch = name.removeprefix("no_")
    if KINDS.get(switch) is bool:
        return f"{switch}={switch == name}{space}{value}"
    if name not in KINDS:
        return flag
    if not value:
        return name
    return f"{name}={value}" if re.fullmatch(rf"{_NUMBER}|[A-Z]+", value) else f'{name}="{value}"'


@contextlib.contextmanager
def spelled_for_python(spelled: Callable[[str], str] = as_keywords) -> Iterator[None]:
    """Within it the sentence of a ConfigError names keyword arguments."""
    try:
        yield
    except ConfigError as error:
        raise type(error)(spelled(str(error))) from None
