"""Colours, markers and dashes of lines by their number, that the colour-blind tell apart; texts on several lines."""

from __future__ import annotations

import re
from typing import NamedTuple

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's colours (2008) without the yellow, which is too light for lines on white."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")

DASHES = ("-", "--", "-.", ":")


class Look(NamedTuple):
    """Colour, marker and dashes of a line."""

    color: str
    marker: str
    dash: str


def look(number: int) -> Look:
    """The look of a picture's line by its number; colour and marker differ from one to the next."""
    dash = DASHES[(number // len(COLORS)) % len(DASHES)]
    return Look(COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)], dash)


def wrapped(text: str, letters: int, most: int = 3) -> list[str]:
    """Break a text into lines at spaces; a word that is longer than a line after its underscores, or anywhere.

    Args:
        text: The text.
        letters: Of a line.
        most: Lines; of a text that takes more, the last one has its end, where units stand, after an ellipsis.
    """
    letters = max(letters, 2)
    lines = [""]
    for word in text.split():
        parts = [word] if len(word) <= letters else re.findall(rf"[^_]{{1,{letters - 1}}}_?|_", word)
        for k, part in enumerate(parts):
            space = " " if k == 0 and lines[-1] else ""
            if len(lines[-1] + space + part) <= letters:
                lines[-1] += space + part
            else:
                lines.append(part)
    return lines if len(lines) <= most else [*lines[: most - 1], "…" + lines[-1][1 - letters :]]
