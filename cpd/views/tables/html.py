"""A document as a part of an HTML page: what a notebook shows of a result, in its own light or dark colours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from cpd.views.printable import one_line
from cpd.views.tables.screen import Overview
from cpd.views.tables.section import Column, Section
from cpd.views.tables.terminal import fit

WIDTH = 160
"""Letters of the widest table: columns of high rank are left out of a wider one."""

LONGEST = 1200
"""Letters of a text."""

# The colours are those of the page, mixed with some of ours: a notebook says nowhere whether it is dark.
STYLE = """\
.cpd-result { font-size: 0.9em; line-height: 1.45; max-width: 72em; overflow-wrap: anywhere; }
.cpd-result p { margin: 0.15em 0; text-align: left; }
.cpd-result .title, .cpd-result .verdict { font-weight: 600; }
.cpd-result .faint { opacity: 0.7; }
.cpd-result .scroll { overflow-x: auto; margin: 0.5em 0; }
.cpd-result table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 0;
  color: inherit; font-size: inherit; }
.cpd-result th, .cpd-result td { padding: 0.2em 0.7em; text-align: left; vertical-align: bottom; white-space: nowrap;
  color: inherit; background: transparent; border: 0; }
.cpd-result thead th { font-weight: 600; border-bottom: 1px solid currentColor; }
.cpd-result th.number, .cpd-result td.number { text-align: right; }
.cpd-result .best td { font-weight: 700; }
.cpd-result .best td, .cpd-result .feasible td { color: #00805c; color: color-mix(in srgb, currentColor 40%, #00a878); }
.cpd-result .bad td, .cpd-result .error { color: #c04a00; color: color-mix(in srgb, currentColor 40%, #e05a00); }
"""


def html(shown: Overview) -> str:
    """An overview as HTML; every text is escaped, and nothing is loaded or run."""
    parts = [
        _paragraph("title", shown.title),
        _paragraph("faint", shown.subtitle),
        *([] if shown.table is None else _table(shown.table)),
        *(_paragraph("verdict", sentence) for sentence in shown.verdict),
        *(_paragraph("error", error) for error in shown.errors),
        *(_paragraph("faint", f"note: {note}") for note in shown.notes),
    ]
    return "\n".join([f'<div class="cpd-result"><style>\n{STYLE}</style>', *parts, "</div>"])


def _paragraph(kind: str, text: str) -> str:
    text = one_line(text)
    return f'<p class="{kind}">{escape(text if len(text) <= LONGEST else f"{text[:LONGEST]} ...")}</p>'


def _table(section: Section) -> Iterable[str]:
    columns, left_out = fit(section.flat, WIDTH, fold=False)
    marks = section.marks or [""] * len(columns[0].cells)
    yield '<div class="scroll"><table>'
    yield f"<thead>{_row('th', columns, ['<br>'.join(map(escape, column.header)) for column in columns])}</thead>"
    yield "<tbody>"
    for k, mark in enumerate(marks):
        yield _row("td", columns, [escape(column.cells[k]) for column in columns], mark)
    yield "</tbody></table></div>"
    if left_out := [*([section.folded] if section.folded else []), *left_out]:
        yield _paragraph("faint", f"left out: {', '.join(left_out)}")
    yield from (_paragraph("faint", note) for note in section.notes)


def _row(tag: str, columns: Sequence[Column], cells: Sequence[str], mark: str = "") -> str:
    kinds = [' class="number"' if column.right else "" for column in columns]
    inner = "".join(f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
    return f'<tr class="{mark}">{inner}</tr>' if mark else f"<tr>{inner}</tr>"
