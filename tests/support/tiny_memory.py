"""A protocol with a few updates and streams, so that a card takes seconds; and as a TOML file."""

from echo_jax import Protocol

NUMBERS = {"updates": 4, "updates_at_once": 2, "rows": 4, "streams": 2, "recalls": 2}
NUMBERS |= {"pairs_of_small": 4, "budgets": [2, 6], "rates": [0.01, 0.03]}
NUMBERS |= {"pilot_seeds": 2, "pilot_updates": 2}
NUMBERS |= {"rates_by_key": [0.003]}  # no pilot by key

TINY = Protocol(**NUMBERS)


def toml_of(numbers=NUMBERS):
    """The text of a file of --protocol."""
    return "".join(f"{name} = {value}\n" for name, value in numbers.items())
