"""Rules for tyro by which the fields of a command become flags: help, defaults, values."""

import dataclasses
import functools
import itertools
import re
import types
from collections.abc import Callable, Iterator, Sequence
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

from echo_jax.config import SHORT_NAMES
from echo_jax.exceptions import ConfigError
from echo_jax.option_help import help_of, unknown

# Without these the flags of a field that is a dataclass are --run.task.lag and the like.
CONFIG = (tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes)
REGISTRY = ConstructorRegistry()
"""The rules below, for `tyro.cli`."""


class BrokenRuleError(Exception):
    """Carries a ConfigError past tyro, which would put a ValueError into a box."""


def field_of(flag: str) -> str:
    """The field that a flag sets: --no-stateful sets stateful, --batch=5 batch_size."""
    name = re.sub("^--(no-)?", "", flag.partition("=")[0].replace("_", "-")).replace("-", "_")
    return next((field for field, alias in SHORT_NAMES.items() if alias == name), name)


def aliases(field: str) -> list[str] | None:
    """Other flags of a field, as tyro takes them."""
    return [f"--{SHORT_NAMES[field]}"] if field in SHORT_NAMES else None


def fields_of(command: Any) -> Iterator[str]:
    """The fields that a command has flags for, those of its sections too."""
    for field in dataclasses.fields(command):
        annotation: Any = field.type
        base = get_args(annotation)[0] if hasattr(annotation, "__metadata__") else annotation
        if dataclasses.is_dataclass(base):
            yield from fields_of(base)
        else:
            yield field.name.rstrip("_")


def subcommands(command: Any) -> Sequence[Any]:
    """The dataclasses of which a command takes one, each named as the word for it."""
    kinds = get_args(dataclasses.fields(command)[0].type)
    return kinds if all(map(dataclasses.is_dataclass, kinds)) else ()


def refuse_unknown(words: Sequence[str], command: Any, start: str) -> None:
    """Raise ConfigError for the first flag that a command, begun by `start`, does not have."""
    where = f"{start} --help"
    for kind in subcommands(command):
        if words and words[0] == kind.__name__.lower():
            command = kind
            where = f"{start} {words[0]} --help"
    known = ["help", *fields_of(command)]
    short = [alias for field, alias in SHORT_NAMES.items() if field in known]
    for word in itertools.takewhile("--".__ne__, words):
        flag = word.partition("=")[0]
        field = field_of(word)
        if flag.startswith("--") and field not in known and not flag.startswith("--tyro-"):
            raise unknown(flag, field, known + short, where)


@REGISTRY.struct_rule
def _dataclass(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass: tyro's own rule breaks the lines of a docstring as the source does."""
    kind: Any = info.type
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return None
    # Seen with tyro 1.0.17; this rule can go when tyro joins the lines of a field's docstring.
    specs = []
    for field in dataclasses.fields(kind):
        default = _default_of(field, info)
        annotation: Any = field.type
        base, *marks = get_args(annotation) if hasattr(annotation, "__metadata__") else [annotation]
        if tyro.conf.UseAppendAction not in marks:  # those are "(repeatable)"
            hint = tyro.conf.arg(help_behavior_hint=_hint(default), aliases=aliases(field.name))
            annotation = Annotated[base, hint, *marks]
        text = functools.partial(help_of(kind).get, field.name)
        specs.append(StructFieldSpec(field.name, annotation, default, text))

    @functools.wraps(kind, updated=())
    def instantiate(**values: Any) -> Any:
        """The dataclass of values; tyro passes a BrokenRuleError on, and not a ConfigError."""
        # tyro 1.0.17 prints a ValueError, which a ConfigError is, in a box and exits.
        try:
            return kind(**values)
        except ConfigError as error:
            raise BrokenRuleError(error) from None

    return StructConstructorSpec(instantiate=instantiate, fields=tuple(specs))


def _default_of(field: Any, info: StructTypeInfo) -> Any:
    if dataclasses.is_dataclass(info.default):
        return getattr(info.default, field.name)
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return tyro.MISSING if field.default is dataclasses.MISSING else field.default


def _hint(default: Any) -> str | Callable[[str], str]:
    """The default as help shows it; empty for a flag that may be left out."""
    if default is None or default in ((), ""):
        return ""
    if isinstance(default, bool):
        return "(default: on)" if default else "(default: off)"
    return lambda text: f"(default: {text})"


@REGISTRY.primitive_rule
def _optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """A value that may be None: None is what a flag that is left out stands for, and no word."""
    # tyro 1.0.17 takes the word None and shows {None}|INT; this rule can go when it does not.
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
