"""Configurations, and a run of a card, made in this thread."""

from echo_jax.cells.registry import build
from echo_jax.memory.card.train_and_score import CardRun, compile_run, make_row
from echo_jax.memory.card_contents import MeasuredCell
from echo_jax.memory.protocol import STANDARD, Configuration


def by_lag(rate, updates=STANDARD.updates):
    """A configuration by lag."""
    return Configuration("by lag", updates, rate)


def by_key(rate, updates=STANDARD.updates):
    """A configuration by key."""
    return Configuration("by key", updates, rate)


def run_of(name, options, configuration, seed=0, protocol=STANDARD):
    """The task that is a run of a cell."""
    cell = build(name, options)
    return CardRun(MeasuredCell(name, options), protocol, configuration, seed, cell)


def made(run):
    """The row of a run."""
    return make_row(run, compile_run(run), lambda _: None)
