"""The rows of a study, found by their labels."""

from echo_jax.echo.studies.result_rows import summary


def median(row, name):
    """The median of a score over the seeds."""
    return summary(row, name).median


class Rows(list):
    """The rows of a study, found by their labels."""

    def __call__(self, **labels):
        """The first row with these labels; KeyError where it was not run."""
        for row in self.all(**labels):
            return row
        raise KeyError(f"no row has the labels {labels}")

    def each(self, label, *values, **labels):
        """A row for each value of one label; KeyError where one was not run."""
        return [self(**labels, **{label: value}) for value in values]

    def all(self, **labels):
        """All rows with these labels."""
        named = {name.replace("_", " "): value for name, value in labels.items()}
        return [row for row in self if named.items() <= row.labels.items()]
