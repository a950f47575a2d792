"""An option of the command line, declared beside the field of the dataclass that it sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TRAIN = "What to train"
VERDICT = "What counts"
WHERE = "Where and how"
KEPT = "What is kept"
OUTPUT = "Output"
"""Groups of options, as a help shows them."""


@dataclass(frozen=True)
class Option:
    """What the command line needs to know of a field besides its type and its default.

    A ``tuple`` field's option may be given again; that of a ``bool`` which is true by default turns it off.

    Attributes:
        help: What it does, in a sentence.
        names: How it is typed; default: the field's own name.
        least: The smallest number that it takes: an integer where the field is one, else a float.
        read: Reads the word that was typed, where the field holds something else.
        metavar: What a value looks like in the help, e.g. ``NAME=VALUE``; default: the choices, or the field's name.
        group: The group of options that it is shown in; default: its dataclass's.
    """

    help: str
    names: tuple[str, ...] = ()
    least: float | None = None
    read: Callable[[str], Any] | None = None
    metavar: str = ""
    group: str = ""
