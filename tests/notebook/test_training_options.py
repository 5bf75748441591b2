"""Keyword arguments are the flags; sentences about flags become sentences about them."""

import pytest

from echo_jax.commands import flags
from echo_jax.commands.train import TrainCommand
from echo_jax.notebook.training_options import KINDS, as_keywords

OF_THE_COMMAND = {"--resume", "--open", "--format", "--compilation-cache"}


def test_the_keyword_arguments_are_the_flags_of_the_command():
    names = {f"--{name.replace('_', '-')}" for name in KINDS}
    known = {flag for flag in flags.names(TrainCommand) if not flag.startswith("--no-")}
    assert names == known - OF_THE_COMMAND


@pytest.mark.parametrize(
    ("text", "in_python"),
    [
        ("use --no-stateful or --window 2.", "use stateful=False or window=2."),
        ("use --stateful, or --bptt-batches 1", "use stateful=True, or bptt_batches=1"),
        ("--learning-rate 1e-3 and --lag -2", "learning_rate=1e-3 and lag=-2"),
        ("use --layout prefixes: it", 'use layout="prefixes": it'),
        ("use --sequences N for", "use sequences=N for"),
        ("must be at least --window wide", "must be at least window wide"),
        ("--hidden-size (or --hidden) here", "hidden_size here"),
        ("run echo-jax train --lag 3 --no-stateful", "run echo_jax.train(lag=3, stateful=False)"),
        ("echo-jax train --lag 3 --resume goes on", "echo-jax train --lag 3 --resume goes on"),
        ("echo-jax study --all", "echo-jax study --all"),
        ("--resume and --cell lru-mine", "--resume and cell lru-mine"),
    ],
)
def test_flags_become_keyword_arguments(text, in_python):
    assert as_keywords(text) == in_python
