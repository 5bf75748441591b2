"""The keyword arguments of a call are the flags of the command."""

from echo_jax.commands import flags
from echo_jax.commands.train import TrainCommand
from echo_jax.notebook.training_options import KINDS

OF_THE_COMMAND = {"resume", "open", "format", "compilation_cache"}


def test_the_keyword_arguments_are_the_flags_of_the_command():
    assert {*KINDS} - {"args"} == {*flags.fields(TrainCommand)} - OF_THE_COMMAND
