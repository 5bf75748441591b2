"""Rules for tyro by which the fields of a command become flags: help, defaults, values."""

import dataclasses
import functools
import types
from collections.abc import Callable
from typing import Annotated, Any, Union, get_args, get_origin

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

_ELSEWHERE = {
    "--epochs --epoch --n-epoch --n-epochs --nb-epoch --num-epochs":
        ("--sequences", "every sequence is new and used once, use --sequences N for how many"),
    "--units --neurons --n-units --n-neurons --hidden-units --num-units":
        ("--hidden-size", "units are --hidden-size (or --hidden) here"),
    "--timesteps --time-steps --n-timesteps --lookback --look-back --window-size":
        ("--window", "the time steps of a row are --window here, those of a sequence --length"),
    "--n-batch --batchsize --n-batch-size --minibatch --mini-batch":
        ("--batch-size", "rows in a batch are --batch-size (or --batch) here"),
    "--lr --learn-rate --step-size": ("--learning-rate", "use --learning-rate"),
    "--n-features --features --num-classes --n-classes --input-dim --vocab --vocabulary":
        ("--vocab-size", "the number of different values is --vocab-size here"),
    "--out-index --n-lag --delay --shift": ("--lag", "the steps back to the target are --lag here"),
    "--stateless": ("--no-stateful", "use --no-stateful"),
    "--return-sequences":
        ("--layout", "use --layout streams for a target at every step"),
    "--validation-split": ("--held-out", "the share kept for evaluation is --held-out here"),
    "--model --layer --rnn": ("--cell", "the recurrent layer is --cell here"),
    "--verbose --verbosity":
        ("--sequences", "there is none, progress is a bar in a terminal and a few lines elsewhere; "
         "leave it out"),
    "--run --run-folder --folder --model-path":
        ("--beyond", "name the folder of the run without a flag, as in echo-jax predict FOLDER"),
    "--cluster":
        ("--checkpoint-every", "sweep, study and probe take --cluster, train runs on this machine; "
         "use echo-jax sweep for many seeds on many machines"),
    "--shuffle --no-shuffle":
        ("--sequences", "batches are never shuffled, the state goes on from one to the next"),
}  # fmt: skip

ELSEWHERE = {other: hint for others, hint in _ELSEWHERE.items() for other in others.split()}
"""The names of flags in Keras and elsewhere: our flag for the same, and a hint."""

REGISTRY = ConstructorRegistry()
"""The rules below, for `tyro.cli`."""


def names(command: Any, once: bool = False) -> list[str]:
    """Every flag of a command dataclass, nested fields included; or those that may not repeat."""
    found: list[str] = []
    for field in dataclasses.fields(command):
        kind = getattr(field.type, "__origin__", field.type)
        marks = getattr(field.type, "__metadata__", ())
        if dataclasses.is_dataclass(kind):
            found += names(kind, once)
        elif tyro.conf.Positional not in marks and not (
            once and tyro.conf.UseAppendAction in marks
        ):
            name = field.name.replace("_", "-")
            found += [f"--{name}", f"--no-{name}"] if kind is bool else [f"--{name}"]
    return found


@functools.cache
def help_of(kind: type) -> dict[str, str]:
    """The docstrings below the fields of a dataclass, each on one line."""
    import docstring_parser

    parameters = docstring_parser.parse_from_object(kind).params
    return {each.arg_name: " ".join((each.description or "").split()) for each in parameters}


@REGISTRY.struct_rule
def _dataclass(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass: tyro's own rule breaks the lines of a docstring as the source does."""
    kind = info.type
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return None
    fields = []
    for field in dataclasses.fields(kind):
        default = field.default
        if isinstance(info.default, kind):
            default = getattr(info.default, field.name)
        elif field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        elif default is dataclasses.MISSING:
            default = tyro.MISSING
        annotation: Any = field.type
        base, *marks = get_args(annotation) if hasattr(annotation, "__metadata__") else [annotation]
        if tyro.conf.UseAppendAction not in marks:  # those are "(repeatable)"
            hint = tyro.conf.arg(help_behavior_hint=_hint(default))
            annotation = Annotated[base, hint, *marks]
        text = functools.partial(help_of(kind).get, field.name)
        fields.append(StructFieldSpec(field.name, annotation, default, text))
    return StructConstructorSpec(instantiate=kind, fields=tuple(fields))


def _hint(default: Any) -> str | Callable[[str], str]:
    """The default as help shows it; empty for a flag that may be left out."""
    if default is None or default in ((), ""):
        return ""
    if isinstance(default, bool):
        return "(default: on)" if default else "(default: off)"
    return lambda shown: f"(default: {shown})"


@REGISTRY.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """A value that may be None: None is what a flag that is left out stands for, and no word."""
    kinds = set(get_args(info.type)) - {types.NoneType}
    if get_origin(info.type) not in (types.UnionType, Union) or len(kinds) != 1:
        return None
    of_kind = PrimitiveTypeInfo.make(kinds.pop(), info.markers)
    spec = ConstructorRegistry.get_primitive_spec(of_kind)
    assert isinstance(spec, PrimitiveConstructorSpec)
    return dataclasses.replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: [] if value is None else spec.str_from_instance(value),
    )


@REGISTRY.primitive_rule
def _several(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Several values of one kind after a flag."""
    kinds = get_args(info.type)
    if kinds[1:] != (...,) or tyro.conf.UseAppendAction in info.markers:
        return None
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(kinds[0], info.markers))
    assert isinstance(spec, PrimitiveConstructorSpec)
    return dataclasses.replace(
        spec,
        nargs="*",
        metavar=f"{spec.metavar} ...",
        instance_from_str=lambda words: tuple(spec.instance_from_str([word]) for word in words),
        is_instance=lambda values: all(map(spec.is_instance, values)),
        str_from_instance=lambda values: [
            word for value in values for word in spec.str_from_instance(value)
        ],
    )


@REGISTRY.primitive_rule
def _number(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """Whole and other numbers, refused in our words."""
    kind: Any = info.type
    if kind not in (int, float):
        return None
    called, example = ("a whole number", "1") if kind is int else ("a number", "0.001")

    def read(words: list[str]) -> Any:
        """The number that the first word is."""
        if len(words[0]) > 300:  # Python reads no integer of more than 4,300 digits
            raise ValueError(f"is too long for a number: use one such as {example}")
        try:
            return kind(words[0])
        except ValueError:
            raise ValueError(f"{words[0]} is not {called}: use one such as {example}") from None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=kind.__name__.upper(),
        instance_from_str=read,
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [str(value)],
    )
