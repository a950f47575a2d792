"""Documents as pictures: data first, drawing second. Rows in, a .png, .svg or .pdf out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cpd import files
from cpd.errors import CpdError, closest
from cpd.views.plots.bisection import bisection_data, draw_bisection
from cpd.views.plots.dynamics import draw_dynamics, dynamics_data
from cpd.views.plots.front import draw_front, front_data
from cpd.views.plots.selection import select
from cpd.views.plots.sensitivity import draw_levels, levels_data
from cpd.views.plots.style import RC
from cpd.views.plots.tuning import can_tune, draw_tuning, tuning_data
from cpd.views.tables.lines import lines, swept_levels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "KINDS",
    "SUFFIXES",
    "bisection_data",
    "check_file",
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
    "select",
    "tuning_data",
]

Document = Mapping[str, Any]
Curves = Sequence[Mapping[str, Any] | None]

KINDS = ("tuning", "bisection", "front", "dynamics", "levels")
SUFFIXES = (".png", ".svg", ".pdf")


def default_kind(document: Document) -> str:
    """The kind that shows a document best: a search, swept levels, several settings, several runs, or a single one."""
    if "search" in document:
        return "bisection"
    rows = lines(document)
    if not swept_levels(rows) and can_tune(document):
        return "tuning"
    return "front" if len(rows) > 1 else "dynamics"


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
    check_file(to)
    content = render(drawing(kind, document, curves, chosen), to.suffix.lower())
    try:
        files.write(to, content)
    except OSError as error:
        raise CpdError(f"cannot be written: {error.strerror}", place=str(to), hint="choose another place") from None


def check_file(to: Path, option: str = "--to") -> None:
    """See whether a picture can be drawn into a file, without drawing it.

    Args:
        to: The file.
        option: How the user named it.

    Raises:
        CpdError: Unknown suffix, no such folder, or matplotlib missing.
    """
    suffix = to.suffix.lower()
    if suffix not in SUFFIXES:
        raise CpdError(f"cannot draw '{to.suffix}' files", place=f"{option} {to}", hint=closest(suffix, SUFFIXES))
    if not to.parent.is_dir():
        raise CpdError(f"no folder '{to.parent}'", place=f"{option} {to}", hint="make it, or choose another place")
    if find_spec("matplotlib") is None:
        raise _needs_matplotlib(option)


def _needs_matplotlib(place: str) -> CpdError:
    return CpdError("needs matplotlib", place=place, hint="pip install 'cpd[plot]'")


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
        raise _needs_matplotlib("--to") from None
    buffer = io.BytesIO()
    dates = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Names may hold letters that the font has not: boxes in a .png, and the letters themselves in an .svg.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.savefig(buffer, format=suffix[1:], metadata=dates[suffix])
    return buffer.getvalue()
