"""Plain rows as a data frame; pandas is imported here alone."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from echo_jax.exceptions import ConfigError

if TYPE_CHECKING:
    import pandas


def data_frame(rows: Sequence[Mapping[str, Any]]) -> "pandas.DataFrame":
    """A line for each row; ConfigError where pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        fix = "run pip install pandas, or use the plain dictionaries of rows"
        raise ConfigError(None, "pandas", "is not installed", fix) from error
    return pandas.DataFrame(rows)
