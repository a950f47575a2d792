"""Texts from specs, problems and errors without what a terminal would obey: controls, escapes, direction marks."""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?)?")
"""Sequences that make a terminal change colours, clear itself or rename its window."""

_KEPT = "\n\t"


def one_line(text: str) -> str:
    """Text for a cell or a title: on one line, what a terminal would obey taken out."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "" for c in _ESCAPES.sub("", text)).strip()


def without_controls(text: str) -> str:
    """Text for a file of data: what a terminal would obey taken out, lines and tabs kept."""
    return "".join(c for c in _ESCAPES.sub("", text) if c.isprintable() or c in _KEPT)


def size(count: int) -> str:
    """Bytes as people say them: ``444 B``, ``1.3 MB``."""
    amount, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 999.5:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" or amount >= 99.5 else f"{amount:.1f} {unit}"


def spelled_out(text: str) -> str:
    """Text for a message: what a terminal would obey written out, so that it is seen; lines and tabs kept."""
    return "".join(c if c.isprintable() or c in _KEPT else repr(c)[1:-1] for c in text)
