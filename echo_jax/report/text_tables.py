"""Tables as text, in a terminal and as CSV; and as a data frame.

In a terminal `rich.table` is not used: it wraps or cuts entries at the width of the terminal, 80
columns where output goes to a file, and a result must come through whole.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from echo_jax.exceptions import ConfigError

if TYPE_CHECKING:
    import pandas


def table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0,)) -> str:
    """Rows as aligned columns: those in `left` to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "   ".join(
            entry.ljust(width) if column in left else entry.rjust(width)
            for column, (entry, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows with the same names: a line of names and one for each row; None is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else (), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def data_frame(rows: Sequence[Mapping[str, Any]]) -> "pandas.DataFrame":
    """A line for each row; ConfigError where pandas is not installed."""
    try:
        import pandas
    except ImportError as error:
        fix = "run pip install pandas, or use the plain dictionaries of rows"
        raise ConfigError(None, "pandas", "is not installed", fix) from error
    return pandas.DataFrame(rows)
