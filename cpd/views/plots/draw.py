"""Documents as pictures: data first, drawing second. Rows in, a .png, .svg or .pdf out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cpd.errors import CpdError, closest
from cpd.verdict.document import Document, Recordings
from cpd.verdict.judged import judged_document
from cpd.views.output import check_output, write_output
from cpd.views.plots.bisection import bisection_data, draw_bisection
from cpd.views.plots.dynamics import draw_dynamics, dynamics_data
from cpd.views.plots.front import draw_front, front_data
from cpd.views.plots.sensitivity import draw_levels, levels_data
from cpd.views.plots.style import RC
from cpd.views.plots.tuning import can_tune, draw_tuning, tuning_data
from cpd.views.tables.lines import lines, swept_levels
from cpd.views.tables.names import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


def plot(kind: str, document: Document, curves: Recordings, to: Path, chosen: Sequence[int] | None = None) -> None:
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
    _check_kind(kind)
    suffix = check_file(to)
    write_output(to, render(drawing(kind, document, curves, chosen), suffix))


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise CpdError(f"'{kind}' is no kind of picture", place="--kind", hint=closest(kind, KINDS))


def check_file(to: Path, option: str = "--to") -> str:
    """See whether a picture can be drawn into a file, without drawing it.

    Args:
        to: The file.
        option: How the user named it.

    Returns:
        Its suffix in small letters.

    Raises:
        CpdError: Unknown suffix, no such folder, or matplotlib missing.
    """
    suffix = check_output(to, SUFFIXES, option)
    if find_spec("matplotlib") is None:
        raise _needs_matplotlib(option)
    return suffix


def _needs_matplotlib(place: str) -> CpdError:
    return CpdError("needs matplotlib", place=place, hint="pip install 'cpd[plot]'")


def drawing(
    kind: str, document: Document, curves: Recordings, chosen: Sequence[int] | None = None
) -> Callable[[Figure], None]:
    """The data of a kind, bound to what draws it."""
    course = readable(document)
    document = judged_document(course)
    kinds: dict[str, Callable[[], Callable[[Figure], None]]] = {
        "tuning": lambda: partial(draw_tuning, tuning_data(document)),
        "bisection": lambda: partial(draw_bisection, bisection_data(document)),
        "front": lambda: partial(draw_front, front_data(document)),
        "dynamics": lambda: partial(draw_dynamics, dynamics_data(course, curves, chosen)),
        "levels": lambda: partial(draw_levels, levels_data(document)),
    }
    return kinds[kind]()


def figure(kind: str, document: Document, curves: Recordings, chosen: Sequence[int] | None = None) -> Figure:
    """Draw a document as a figure of matplotlib's, with no state of pyplot's: a notebook shows it once.

    Args:
        kind: As for :func:`plot`, and so on.
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        chosen: Places of the runs that ``dynamics`` shows.

    Raises:
        CpdError: Unknown kind, matplotlib missing, or nothing of this kind to draw.
    """
    _check_kind(kind)
    draw = drawing(kind, document, curves, chosen)
    with _own_style("plot"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        from cpd.views.plots.notebook import DOTS, Picture

        found = Picture(layout="constrained", dpi=DOTS)
        FigureCanvasAgg(found)
        draw(found)
        found.draw_without_rendering()  # what is made when it is first drawn, such as ticks, has this style
    return found


@contextmanager
def _own_style(place: str) -> Iterator[None]:
    """Draw as papers do, whatever the user has set.

    Raises:
        CpdError: matplotlib is missing.
    """
    if find_spec("matplotlib") is None:
        raise _needs_matplotlib(place)
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # Names may hold letters that the font has not: boxes in a .png, and the letters themselves in an .svg.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def render(draw: Callable[[Figure], None], suffix: str) -> bytes:
    """A picture's bytes; the same picture gives the same bytes.

    Args:
        draw: Draws into an empty figure.
        suffix: One of :data:`SUFFIXES`.

    Raises:
        CpdError: matplotlib is missing.
    """
    buffer = io.BytesIO()
    dates = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with _own_style("--to"):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        figure.savefig(buffer, format=suffix[1:], metadata=dates[suffix])
    return buffer.getvalue()
