"""Tables as Markdown and LaTeX: the same cells as on a terminal, all columns."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cpd.views.tables.section import Column, Section

LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after a line end, LaTeX would take a bracket for an argument
    "]": "{]}",
    "±": r"$\pm$",
}
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?( ± \d+(\.\d+)?(e[+-]?\d+)?)?")
POWER = re.compile(r"e([+-]?\d+)")


def markdown(section: Section) -> str:
    """A pipe table, numbers to the right, the best row in bold, footnotes below."""
    if not section.height:
        return "\n\n".join(map(escape_markdown, said(section))) + "\n"
    columns = section.flat
    header = [escape_markdown(column.name) for column in columns]
    rows = [[_emphasised(section, k, escape_markdown(c.cells[k])) for c in columns] for k in range(_height(section))]
    widths = [max(3, *(len(row[at]) for row in [header, *rows])) for at in range(len(columns))]
    rules = ["-" * (w - 1) + ":" if c.right else "-" * w for c, w in zip(columns, widths, strict=True)]
    lines = [_piped(row, widths, columns) for row in [header, rules, *rows]]
    notes = [f"\n{escape_markdown(note)}" for note in said(section)]
    return "\n".join([*lines, *notes]) + "\n"


def said(section: Section) -> list[str]:
    """What stands below a table: which rows it has, where not all, and its footnotes."""
    return [*([section.shown] if section.shown else []), *section.notes]


def escape_markdown(text: str) -> str:
    """Text that Markdown shows as it is; an underscore inside a word needs no escape."""
    text = re.sub(r"([\\|`*\[\]~]|<(?=[A-Za-z/!?])|&(?=[#A-Za-z]))", r"\\\1", text)
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


def latex(section: Section) -> str:
    """A booktabs table, numbers to the right in mathematics, the best row in bold, footnotes below."""
    if not section.height:
        return "".join(r"\par " + escape_latex(note) + "\n" for note in said(section))
    columns = section.flat
    rows = [[_bold(section, k, latex_cell(column.cells[k])) for column in columns] for k in range(_height(section))]
    lines = [
        r"\begin{tabular}{" + "".join("r" if column.right else "l" for column in columns) + "}",
        r"\toprule",
        " & ".join(escape_latex(column.name) for column in columns) + r" \\",
        r"\midrule",
        *(" & ".join(row) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(r"\par " + escape_latex(note) for note in said(section)),
    ]
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return (
        "".join(LATEX.get(c, c) for c in text).replace(r"\textless{}=", r"$\le$").replace(r"\textgreater{}=", r"$\ge$")
    )


def latex_cell(text: str) -> str:
    """A number in mathematics, with a power of ten; anything else as text."""
    if not NUMBER.fullmatch(text):
        return escape_latex(text)
    powers = POWER.sub(lambda match: rf" \times 10^{{{int(match[1])}}}", text)
    return "$" + powers.replace("±", r"\pm") + "$"


def _bold(section: Section, k: int, cell: str) -> str:
    if not cell or not _is_best(section, k):
        return cell
    return rf"$\mathbf{{{cell[1:-1]}}}$" if cell.startswith("$") and cell.endswith("$") else rf"\textbf{{{cell}}}"


def _emphasised(section: Section, k: int, cell: str) -> str:
    return f"**{cell}**" if _is_best(section, k) and cell else cell


def _is_best(section: Section, k: int) -> bool:
    return bool(section.marks) and section.marks[k] == "best"


def _height(section: Section) -> int:
    return len(section.columns[0].cells)


def _piped(row: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    cells = [t.rjust(w) if c.right else t.ljust(w) for t, w, c in zip(row, widths, columns, strict=True)]
    return "| " + " | ".join(cells) + " |"
