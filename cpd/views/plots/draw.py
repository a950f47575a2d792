"""Documents as pictures: data first, drawing second. Rows in, a .png, .svg or .pdf out."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cpd.errors import CpdError, closest, install
from cpd.verdict.document import Document, Recordings
from cpd.verdict.judged import judged_document
from cpd.views.figures.bisection import bisection_data
from cpd.views.figures.chosen import named
from cpd.views.figures.dynamics import dynamics_data
from cpd.views.figures.front import front_data
from cpd.views.figures.heatmap import heatmap_data
from cpd.views.figures.hyperparameters import are_grids_of_constraints, kind_of_settings
from cpd.views.figures.parallel import parallel_data
from cpd.views.figures.sensitivity import levels_data
from cpd.views.figures.tuning import can_tune, tuning_data
from cpd.views.output import check_output, write_output
from cpd.views.plots.bisection import draw_bisection
from cpd.views.plots.dynamics import draw_dynamics
from cpd.views.plots.front import draw_front
from cpd.views.plots.heatmap import draw_heatmap
from cpd.views.plots.parallel import draw_parallel
from cpd.views.plots.sensitivity import draw_levels
from cpd.views.plots.sheet import Sheet
from cpd.views.plots.style import RC, STYLES
from cpd.views.plots.tuning import draw_tuning
from cpd.views.printable import one_line
from cpd.views.tables.lines import lines, swept_levels
from cpd.views.tables.names import readable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLACE = "plot"

KINDS = ("tuning", "heatmap", "parallel", "bisection", "front", "dynamics", "levels")
SUFFIXES = (".png", ".svg", ".pdf")


TITLES = {
    "tuning": "tuning",
    "heatmap": "two hyperparameters at a time",
    "parallel": "hyperparameters and what they give",
    "bisection": "search",
    "front": "trade-off",
    "dynamics": "dynamics",
    "levels": "sensitivity to the level",
}
"""What a title says that a kind shows."""


@dataclass(frozen=True)
class Wishes:
    """What a user may ask of a picture.

    Attributes:
        chosen: Places in the document of the runs that ``dynamics`` shows; default: a telling few.
        constraints: Names and patterns of those that are shown; default: where there are many, those that are
            violated most.
        style: One of :data:`cpd.views.plots.style.STYLES`.
        title: Above the picture, empty for none; default: the task and what is shown.
    """

    chosen: Sequence[int] | None = None
    constraints: Sequence[str] = ()
    style: str = "paper"
    title: str | None = None


PLAIN = Wishes()


def default_kind(document: Document) -> str:
    """The kind that shows a document best: a search, swept levels, several settings, several runs, or a single one."""
    if "search" in document:
        return "bisection"
    rows = lines(document)
    if not swept_levels(rows) and (can_tune(document) or are_grids_of_constraints(document)):
        return kind_of_settings(document)
    return "front" if len(rows) > 1 else "dynamics"


def plot(kind: str, document: Document, curves: Recordings, to: Path, wishes: Wishes = PLAIN) -> None:
    """Draw a document into a file; the file is whole or not there.

    Args:
        kind: One of :data:`KINDS`.
        document: Contract 3's object.
        curves: What was recorded of each of its runs; only ``dynamics`` reads them.
        to: Ends in one of :data:`SUFFIXES`.
        wishes: What else is asked of it.

    Raises:
        CpdError: Unknown kind, suffix or style, matplotlib missing, nothing of this kind to draw, or the file cannot
            be written.
    """
    check_kind(kind)
    suffix = check_file(to, place=PLACE)
    write_output(to, render(drawing(kind, document, curves, wishes), suffix, wishes.style))


def check_kind(kind: str) -> None:
    """See whether there is such a kind.

    Raises:
        CpdError: There is not.
    """
    if kind not in KINDS:
        raise CpdError(f"'{kind}' is no kind of picture", place="--kind", hint=closest(kind, KINDS))


def check_file(to: Path, option: str = "--to", place: str | None = None) -> str:
    """See whether a picture can be drawn into a file, without drawing it.

    Args:
        to: The file.
        option: How the user named it.
        place: What cannot be done without matplotlib, where that is not the option.

    Returns:
        Its suffix in small letters.

    Raises:
        CpdError: Unknown suffix, no such folder, or matplotlib missing.
    """
    suffix = check_output(to, SUFFIXES, option)
    if find_spec("matplotlib") is None:
        raise _needs_matplotlib(place or option)
    return suffix


def _needs_matplotlib(place: str) -> CpdError:
    return CpdError("needs matplotlib", place=place, hint=install("matplotlib"))


def drawing(kind: str, document: Document, curves: Recordings, wishes: Wishes = PLAIN) -> Callable[[Figure], None]:
    """The data of a kind, bound to what draws it.

    Args:
        kind: One of :data:`KINDS`.
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        wishes: What else is asked of it.

    Raises:
        CpdError: Nothing of this kind to draw, no such style, or no such constraint.
    """
    if wishes.style not in STYLES:
        raise CpdError(f"no style '{wishes.style}'", place="--style", hint=closest(wishes.style, STYLES))
    course = readable(document)
    document = judged_document(course)
    names = named(document, wishes.constraints) if wishes.constraints else None
    if names is not None and kind == "bisection":
        hint = "--kind tuning shows others"
        raise CpdError("'bisection' shows the constraint that was searched", place="--constraints", hint=hint)
    kinds: dict[str, Callable[[], Callable[[Sheet], None]]] = {
        "tuning": lambda: partial(draw_tuning, tuning_data(document, names)),
        "heatmap": lambda: partial(draw_heatmap, heatmap_data(document, names)),
        "parallel": lambda: partial(draw_parallel, parallel_data(document, names)),
        "bisection": lambda: partial(draw_bisection, bisection_data(document)),
        "front": lambda: partial(draw_front, front_data(document, names)),
        "dynamics": lambda: partial(draw_dynamics, dynamics_data(course, curves, wishes.chosen, constraints=names)),
        "levels": lambda: partial(draw_levels, levels_data(document, names)),
    }
    draw = kinds[kind]()
    title = f"{one_line(document['task'])}: {TITLES[kind]}" if wishes.title is None else one_line(wishes.title)
    return lambda figure: draw(Sheet(figure, STYLES[wishes.style], title))


def figure(kind: str, document: Document, curves: Recordings, wishes: Wishes = PLAIN) -> Figure:
    """Draw a document as a figure of matplotlib's, with no state of pyplot's: a notebook shows it once.

    Args:
        kind: As for :func:`plot`, and so on.
        document: Contract 3's object.
        curves: What was recorded of each of its runs.
        wishes: What else is asked of it.

    Raises:
        CpdError: Unknown kind or style, matplotlib missing, or nothing of this kind to draw.
    """
    check_kind(kind)
    draw = drawing(kind, document, curves, wishes)
    with _own_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        from cpd.views.plots.notebook import DOTS, Picture

        found = Picture(layout="constrained", dpi=DOTS)
        FigureCanvasAgg(found)
        draw(found)
        found.draw_without_rendering()  # what is made when it is first drawn, such as ticks, has this style
    return found


@contextmanager
def _own_style() -> Iterator[None]:
    """Draw as papers do, whatever the user has set.

    Raises:
        CpdError: matplotlib is missing.
    """
    if find_spec("matplotlib") is None:
        raise _needs_matplotlib(PLACE)
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings():
        # Names may hold letters that the font has not: boxes in a .png, and the letters themselves in an .svg.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def render(draw: Callable[[Figure], None], suffix: str, style: str = "paper") -> bytes:
    """A picture's bytes; the same picture gives the same bytes.

    Args:
        draw: Draws into an empty figure.
        suffix: One of :data:`SUFFIXES`.
        style: It was drawn in, which has its dots per inch.

    Raises:
        CpdError: matplotlib is missing.
    """
    buffer = io.BytesIO()
    dates = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with _own_style():
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure)
        dots = STYLES[style].resolution(*figure.get_size_inches())
        figure.savefig(buffer, format=suffix[1:], metadata=dates[suffix], dpi=dots)
    return buffer.getvalue()
