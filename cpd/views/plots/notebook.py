"""A figure that a notebook shows, whether pyplot was imported there or not."""

from __future__ import annotations

import io
import warnings

from matplotlib.figure import Figure

DOTS = 144
"""Per inch: the width of a paper's column is read on a screen from further away."""


class Picture(Figure):
    """A figure that shows itself; where pyplot draws in a notebook, that shows figures, and this is not asked."""

    def _repr_png_(self) -> bytes:
        """The picture as IPython wants it."""
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Glyph .* missing from font")
            self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()
