"""Figures that a notebook shows; its own display of figures starts with pyplot, unused here."""

from matplotlib.figure import Figure

from echo_jax.report.styles import drawing, image


class NotebookFigure(Figure):
    """A figure of matplotlib; in a notebook it shows itself, whatever backend there is."""

    def _repr_png_(self) -> bytes:
        """The content of a PNG file."""
        with drawing():
            return image(self, "png")
