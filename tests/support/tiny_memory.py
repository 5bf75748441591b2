"""The measure in bits with a few updates and streams, so that a card takes seconds.

As a program it is the command `card`; workers import it, so it is tiny there too.
"""

from echo_jax.commands import card as command
from echo_jax.memory import (
    card,
    card_rows,
    card_run,
    make_card,
    other_frameworks,
    protocol,
    scoring,
    step_time,
    tasks,
    training,
)

MODULES = (
    command, card, card_rows, card_run, make_card, other_frameworks, protocol, scoring, step_time,
    tasks, training,
)  # fmt: skip

TINY = {"UPDATES": 4, "UPDATES_AT_ONCE": 2, "ROWS": 4, "STREAMS": 2, "RECALLS": 2}
TINY |= {"PAIRS_OF_SMALL": 4, "TIMED_STEPS": 4, "TIMES": 1}
"""The constants that are small, in every module that has them."""


def make_tiny(set_attribute=setattr, constants=TINY):
    """Set the constants; `monkeypatch.setattr` puts them back."""
    for module in MODULES:
        for name, value in constants.items():
            if hasattr(module, name):
                set_attribute(module, name, value)


if __name__ in ("__main__", "__mp_main__"):
    make_tiny()
if __name__ == "__main__":
    command.main()
