"""A document on one screen, whatever its size: title, the table that answers it, and the verdict."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rich.console import Console
from rich.text import Text

from cpd.verdict.document import Document
from cpd.verdict.settings import settings_of
from cpd.views.printable import one_line
from cpd.views.tables.headline import MOST_NAMED, subtitle, title, verdict_sentences
from cpd.views.tables.lines import error_line
from cpd.views.tables.names import readable
from cpd.views.tables.runs import runs_section
from cpd.views.tables.search import search_section
from cpd.views.tables.section import Section
from cpd.views.tables.shape import Shape
from cpd.views.tables.summary import summary_section
from cpd.views.tables.terminal import fit, left_out_line, print_line, print_section, print_wrapped

MOST_ROWS = 10
"""Rows of the table; of more, the first and the last ones and the best are shown."""

MOST_LINES = 4
"""Lines of each text above and below the table."""

MOST_SENTENCES = 8
"""Sentences of the verdict."""

MOST_NOTES = 3
"""Errors, and notes."""

LEFT_OUT = "..."


@dataclass(frozen=True)
class Overview:
    """What one screen has of a document.

    Attributes:
        title: What was asked.
        subtitle: What all runs share.
        table: The summary of methods; of a search its iterations; of one setting a method its runs; None without runs.
        verdict: The answer, a sentence for each method.
        errors: The distinct errors of failed runs, a line each.
        notes: What else there is to know.
    """

    title: str
    subtitle: str
    table: Section | None
    verdict: Sequence[str]
    errors: Sequence[str] = ()
    notes: Sequence[str] = ()


def overview(document: Document, notes: Sequence[str] = ()) -> Overview:
    """Choose what one screen has.

    Args:
        document: Contract 3's object.
        notes: Lines of whoever shows it.
    """
    document = readable(document)
    table = _table(document)
    sentences = _first(verdict_sentences(document), MOST_SENTENCES)
    said = _first([one_line(note) for note in notes])
    return Overview(title(document, MOST_NAMED), subtitle(document), table, sentences, _errors(document), said)


def _table(document: Document) -> Section | None:
    """The one table that answers: of a search its iterations, else the summary, or the runs where it says nothing."""
    if "search" in document:
        return shortened(search_section(document)) if document["search"]["iterations"] else None
    if (summary := summary_section(document, narrow=True)) is not None:
        return shortened(summary)
    settings = settings_of(document["runs"])
    if not settings:
        return None
    shown = settings if len(settings) <= 2 * MOST_ROWS else [*settings[:MOST_ROWS], *settings[-MOST_ROWS:]]
    few: Document = {**document, "runs": [run for runs in shown for run in runs]}
    return shortened(runs_section(few, Shape(narrow=True)), of=len(settings))


def shortened(section: Section, most: int = MOST_ROWS, of: int | None = None, hint: str = "") -> Section:
    """A table of at most so many rows: its first and last ones and those marked best, dots where some are left out.

    Args:
        section: The table.
        most: Rows that are kept.
        of: How many rows there would be; default: those of the table.
        hint: How to see all.
    """
    count = len(section.columns[0].cells)
    if count <= most:
        return replace(section, notes=_first(section.notes))
    marks = section.marks or [""] * count
    best = [k for k, mark in enumerate(marks) if mark == "best"][: most // 2]
    ends = [k for pair in zip(range(count), reversed(range(count)), strict=True) for k in pair]
    kept = sorted([*best, *[k for k in ends if k not in best][: most - len(best)]])
    shown: list[int | None] = []
    for before, at in zip([-1, *kept], kept, strict=False):
        shown += [None, at] if at - before > 1 else [at]
    columns = [replace(c, cells=[LEFT_OUT if at is None else c.cells[at] for at in shown]) for c in section.columns]
    return replace(
        section,
        columns=columns,
        marks=["" if at is None else marks[at] for at in shown],
        groups=[section.groups[at if at is not None else kept[0]] for at in shown] if section.groups else (),
        notes=[f"{len(kept)} of {of or count:,} rows{hint}", *_first(section.notes)],
    )


def screen(shown: Overview, coloured: bool = False, width: int | None = None) -> str:
    """The overview as lines of at most a terminal's width.

    Args:
        shown: What there is to say.
        coloured: Whether to write a terminal's codes for colours.
        width: Default: the terminal's, 80 where there is none.
    """
    paper = Paper(coloured, width)
    paper.put(lambda to: print_wrapped(shown.title, to, "bold"))
    paper.put(lambda to: print_wrapped(shown.subtitle, to, "dim"))
    paper.put(lambda to: print_line("", to))
    if shown.table is not None:
        _put_table(paper, shown.table)
        paper.put(lambda to: print_line("", to))
    for sentence in shown.verdict:
        paper.put(lambda to, text=sentence: print_wrapped(text, to, "bold"))  # type: ignore[misc]
    for error in shown.errors:
        paper.put(lambda to, text=error: print_line(text, to, "red"))  # type: ignore[misc]
    for note in shown.notes:
        paper.put(lambda to, text=f"note: {note}": print_wrapped(text, to))  # type: ignore[misc]
    return "\n".join(paper.lines)


def _put_table(paper: Paper, table: Section) -> None:
    """The columns that fit, then what was left out and the notes."""
    columns, left_out = fit(table.columns, paper.width)
    fitting = replace(table, columns=columns, notes=(), folded="")
    paper.put(lambda to: print_section(fitting, to), None)
    if left_out := [*([table.folded] if table.folded else []), *left_out]:
        paper.put(lambda to: print_wrapped(left_out_line(left_out, paper.width), to, "dim"))
    for note in table.notes:
        paper.put(lambda to, text=note: print_wrapped(text, to))  # type: ignore[misc]


class Paper:
    """Lines of a terminal's width: texts are clipped, and a line that is too long is cut.

    Args:
        coloured: Whether to write a terminal's codes for colours.
        width: Default: the terminal's.
    """

    def __init__(self, coloured: bool, width: int | None) -> None:
        self.lines: list[str] = []
        self._console = Console(
            file=_Encoded(),
            width=width,
            force_terminal=coloured,
            force_jupyter=False,
            no_color=None if coloured else True,
            highlight=False,
            markup=False,
            emoji=False,
        )

    @property
    def width(self) -> int:
        """Letters of a line."""
        return self._console.width

    def put(self, write: Callable[[Console], None], most: int | None = MOST_LINES) -> None:
        """Add what is printed, at most so many lines of it."""
        with self._console.capture() as captured:
            write(self._console)
        lines = captured.get().split("\n")[:-1]
        if most is not None and len(lines) > most:
            lines = [*lines[: most - 1], LEFT_OUT]
        self.lines += map(self._cut, lines)

    def _cut(self, line: str) -> str:
        text = Text.from_ansi(line)
        if text.cell_len <= self._console.width:
            return line
        text.truncate(self._console.width, overflow="ellipsis" if self._console.encoding == "utf-8" else "crop")
        with self._console.capture() as captured:
            self._console.print(text, soft_wrap=True, end="")
        return captured.get()


class _Encoded(io.StringIO):
    """Text in characters that stdout has, for that is where it will be shown."""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return getattr(sys.stdout, "encoding", None) or "utf-8"


def _errors(document: Document) -> list[str]:
    """Each distinct error once, with how many runs it ended, the most frequent first."""
    lines = [error_line(run["error"]) for run in document["runs"] if run["error"] and run["status"] == "failed"]
    counts = sorted(dict.fromkeys(lines), key=lambda line: -lines.count(line))
    return _first([f"failed: {lines.count(line)} run(s): {line}" for line in counts], MOST_NOTES)


def _first(texts: Sequence[str], most: int = MOST_NOTES) -> list[str]:
    """The first of several texts, and how many more there are."""
    if len(texts) <= most:
        return list(texts)
    return [*texts[: most - 1], f"{len(texts) - most + 1} more"]
