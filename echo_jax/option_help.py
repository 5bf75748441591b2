"""Give the help of options, and the known name nearest to an unknown one. No jax here."""

import dataclasses
import difflib
import functools
import itertools
import re
from collections.abc import Collection

from echo_jax.exceptions import ConfigError, Spelling, spell

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
    "verbose verbosity":
        "leave it out, as progress of {sequences} is shown; a call takes progress=False",
    "report compare export_tasks import cells":
        "use echo-jax cards, whose --help lists what it does with cards",
    "cluster": "use it with sweep, study or card, which train many runs",
    "shuffle": "leave it out, as the state goes on from one batch of {sequences} to the next",
}  # fmt: skip
OTHER_NAMES = {name: fix for names, fix in _OTHER_NAMES.items() for name in names.split()}
"""The names of options in Keras and elsewhere, and what to use here."""


def unknown(given: str, field: str, known: Collection[str], where: str) -> ConfigError:
    """Return the error for a flag or an argument that does not exist, which names the one to use.

    `field` is what the option would set, `known` lists what can be set, and `where` prints them
    all.
    """
    fix = OTHER_NAMES.get(field)
    if fix is None or not {*re.findall(r"\{(\w+)", fix)} <= {*known}:
        near = difflib.get_close_matches(field, known, 1, 0.7)
        nearest = f"use {{{near[0]}}}, or " if near else ""
        fix = f"{nearest}see {where} for all of them"
    kind = "option" if given.startswith("-") else "argument"
    return ConfigError(None, given, f"is not an {kind}", fix)


@functools.cache
def help_of(kind: type, spelling: Spelling = "flag") -> dict[str, str]:
    """Return the docstrings below the fields of a class, each on one line, with options spelled.

    A dataclass has the fields of its bases too.
    """
    import docstring_parser

    bases = [base for base in reversed(kind.__mro__) if dataclasses.is_dataclass(base)] or [kind]
    parsed = [docstring_parser.parse_from_object(base).params for base in bases]
    parameters = itertools.chain.from_iterable(parsed)
    return {
        field.arg_name: spell(" ".join((field.description or "").split()), spelling)
        for field in parameters
    }
