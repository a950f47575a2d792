"""Documents as pictures: data first, drawing second. Rows in, a .png, .svg or .pdf out."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpd import durable
from cpd.errors import CpdError, closest
from cpd.plots.bisection import bisection_data, draw_bisection
from cpd.plots.dynamics import draw_dynamics, dynamics_data
from cpd.plots.front import draw_front, front_data
from cpd.plots.sensitivity import draw_levels, levels_data
from cpd.plots.style import RC
from cpd.plots.tuning import draw_tuning, tuning_data
from cpd.tables.lines import lines, swept_levels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "KINDS",
    "SUFFIXES",
    "bisection_data",
    "default_kind",
    "draw_bisection",
    "draw_dynamics",
    "draw_front",
    "draw_levels",
    "draw_tuning",
    "dynamics_data",
    "front_data",
    "levels_data",
    "plot",
    "tuning_data",
]

Document = Mapping[str, Any]
Curves = Sequence[Mapping[str, Any] | None]

KINDS = ("tuning", "bisection", "front", "dynamics", "levels")
SUFFIXES = (".png", ".svg", ".pdf")


def default_kind(document: Document) -> str:
    """The kind that shows a document best: a search, swept levels, several settings, or a single run."""
    if "search" in document:
        return "bisection"
    rows = lines(document)
    if swept_levels(rows):
        return "front"
    return "tuning" if len(rows) > 1 else "dynamics"


def plot(kind: str, document: Document, curves: Curves, to: Path, chosen: Sequence[int] | None = None) -> None:
    """Draw a document into a file; the file is whole or not there.

    Args:
        kind: One of :data:`KINDS`.
        document: Contract 3's object.
        curves: What was recorded of each of its runs; only ``dynamics`` reads them.
        to: Ends in one of :data:`SUFFIXES`.
        chosen: Places in the document of the runs that ``dynamics`` shows; default: a telling few.

    Raises:
        CpdError: Unknown kind or suffix, matplotlib missing, nothing of this kind to draw, or the file cannot be
            written.
    """
    if kind not in KINDS:
        raise CpdError(f"'{kind}' is no kind of picture", place="--kind", hint=closest(kind, KINDS))
    suffix = to.suffix.lower()
    if suffix not in SUFFIXES:
        raise CpdError(f"cannot draw '{to.suffix}' files", place=str(to), hint=closest(suffix, SUFFIXES))
    content = render(drawing(kind, document, curves, chosen), suffix)
    try:
        durable.write(to, content)
    except OSError as error:
        raise CpdError(f"cannot be written: {error.strerror}", place=str(to), hint="choose another place") from None


def drawing(
    kind: str, document: Document, curves: Curves, chosen: Sequence[int] | None = None
) -> Callable[[Figure], None]:
    """The data of a kind, bound to what draws it."""
    if kind == "dynamics":
        courses = dynamics_data(document, curves, chosen)
        return lambda figure: draw_dynamics(courses, figure)
    producers: dict[str, tuple[Callable[[Document], Any], Callable[[Any, Figure], None]]] = {
        "tuning": (tuning_data, draw_tuning),
        "bisection": (bisection_data, draw_bisection),
        "front": (front_data, draw_front),
        "levels": (levels_data, draw_levels),
    }
    produce, draw = producers[kind]
    data = produce(document)
    return lambda figure: draw(data, figure)


def render(draw: Callable[[Figure], None], suffix: str) -> bytes:
    """A picture's bytes; the same picture gives the same bytes.

    Args:
        draw: Draws into an empty figure.
        suffix: One of :data:`SUFFIXES`.

    Raises:
        CpdError: matplotlib is missing.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise CpdError("needs matplotlib", place="plot", hint="pip install 'cpd[plot]'") from None
    buffer = io.BytesIO()
    dates = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.savefig(buffer, format=suffix[1:], metadata=dates[suffix])
    return buffer.getvalue()
