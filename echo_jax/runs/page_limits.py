"""Which runs have a page in which their LSTM runs, and how large it may be. No jax here."""

from collections.abc import Sequence

from echo_jax.config import RunConfig, flat
from echo_jax.exceptions import ConfigError

IN_A_PAGE = {"cell": "lstm", "encoding": "one-hot", "framing": "classes"}
"""The fields of a network that `show --play` can show."""

PAGE_BYTES = 400_000
"""Of a page that `show --play` makes, at most; all in it but weights and values take 70,000."""


def check_cell(config: RunConfig) -> None:
    """Raise ConfigError unless the network is an LSTM on one-hot values that predicts classes."""
    given = flat(config)
    for field, right in IN_A_PAGE.items():
        if given[field] != right:
            rule = "does not run in a page"
            raise ConfigError(field, given[field], rule, f"train one with {{{field}={right}}}")


def has_page(config: RunConfig, values: Sequence[str] | None) -> bool:
    """True where `show --play` makes a page of a run on these values, None for integers."""
    words = values or list(map(str, range(config.task.vocab_size)))
    units = config.network.hidden_size
    weights = (len(words) + units + 1) * 4 * units + (units + 1) * len(words)
    bytes_of_values = sum(len(ascii(word)) + 2 for word in words)
    fits = 70_000 + weights * 16 / 3 + bytes_of_values < PAGE_BYTES
    return fits and IN_A_PAGE.items() <= flat(config).items()
