"""Rules for tyro by which the fields of a command become flags: help, defaults, values."""

import dataclasses
import functools
import itertools
import re
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

from echo_jax.config import PARTS, SHORT_NAMES, Part
from echo_jax.exceptions import ConfigError, Spelling, spell

PART = {name: name for name in PARTS} | {"2": "current", "3": "no-context", "4": "context"}
"""The parts by their names, and by their numbers in the tutorial."""

_OTHER_NAMES = {
    "epochs epoch n_epoch n_epochs nb_epoch num_epochs":
        "use {sequences=N}, as there is no set of sequences to repeat",
    "units neurons n_units n_neurons hidden_units num_units": "use {hidden_size}",
    "timesteps time_steps n_timesteps lookback look_back window_size":
        "use {window} for the time steps of a row, and {length} for those of a sequence",
    "n_batch batchsize n_batch_size minibatch mini_batch": "use {batch_size}",
    "lr learn_rate step_size": "use {learning_rate}",
    "n_features features num_classes n_classes input_dim vocab vocabulary": "use {vocab_size}",
    "out_index n_lag delay shift": "use {lag}",
    "stateless": "use {stateful=False}",
    "return_sequences": "use {layout=streams} for a target at every step",
    "validation_split": "use {held_out} for the share that is kept for evaluation",
    "model layer rnn": "use {cell}",
    "verbose verbosity": "leave it out, as progress is shown where {sequences} are trained",
    "cluster": "use it with sweep, study or card, which train many runs",
    "shuffle": "leave it out, as the state goes on from one batch of {sequences} to the next",
}  # fmt: skip
OTHER_NAMES = {name: fix for names, fix in _OTHER_NAMES.items() for name in names.split()}
"""The names of options in Keras and elsewhere, and what to use here."""

REGISTRY = ConstructorRegistry()
"""The rules below, for `tyro.cli`."""


class BrokenRuleError(Exception):
    """Carries a ConfigError past tyro, which would put a ValueError into a box."""

    def __init__(self, error: ConfigError) -> None:
        """Keep the error."""
        super().__init__(error)
        self.error = error


def field_of(flag: str) -> str:
    """The field that a flag sets: --no-stateful sets stateful, --batch=5 batch_size."""
    name = re.sub("^--(no-)?", "", flag.partition("=")[0].replace("_", "-")).replace("-", "_")
    return next((field for field, alias in SHORT_NAMES.items() if alias == name), name)


def aliases(field: str) -> list[str] | None:
    """Other flags of a field, as tyro takes them."""
    return [f"--{SHORT_NAMES[field]}"] if field in SHORT_NAMES else None


@functools.cache
def help_of(kind: type, spelling: Spelling = "flag") -> dict[str, str]:
    """The docstrings below the fields of a dataclass, each on one line, with options spelled."""
    import docstring_parser

    bases = [base for base in reversed(kind.__mro__) if dataclasses.is_dataclass(base)]
    parsed = [docstring_parser.parse_from_object(base).params for base in bases]
    parameters = itertools.chain.from_iterable(parsed)
    return {
        field.arg_name: spell(" ".join((field.description or "").split()), spelling)
        for field in parameters
    }


@REGISTRY.struct_rule
def _dataclass(info: StructTypeInfo) -> StructConstructorSpec | None:
    """A dataclass: tyro's own rule breaks the lines of a docstring as the source does."""
    kind: Any = info.type
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return None
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
        """The dataclass; its ConfigError in an exception that tyro does not put into a box."""
        try:
            return kind(**values)
        except ConfigError as error:
            raise BrokenRuleError(error) from None

    return StructConstructorSpec(instantiate=instantiate, fields=tuple(specs))


def _default_of(field: Any, info: StructTypeInfo) -> Any:
    """The default of a field: that of the given instance, or of its class."""
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
def _part(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
    """A part of the tutorial, by its name or its number."""
    if info.type != Part:
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{{{','.join(PART)}}}",
        instance_from_str=lambda words: PART[words[0]],
        is_instance=lambda value: value in PARTS,
        str_from_instance=lambda value: [value],
        choices=tuple(PART),
    )
