"""The keyword arguments of a call are the flags of the command."""

import dataclasses

from echo_jax.commands.train import TrainCommand
from echo_jax.config import RunConfig, flat
from echo_jax.notebook.training_options import KINDS

OF_THE_COMMAND = {"run", "resume", "format", "compilation_cache"}


def test_the_keyword_arguments_are_the_flags_of_the_command():
    fields = {field.name for field in dataclasses.fields(TrainCommand)} | flat(RunConfig()).keys()
    assert {*KINDS} - {"args"} == fields - OF_THE_COMMAND
