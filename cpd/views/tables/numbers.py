"""Numbers as they are written for a reader: four significant digits, shares in percent."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from cpd.verdict.averages import deviation, mean
from cpd.verdict.document import Plain

SHARES = {"rate", "rates", "density", "accuracy", "sparsity", "share", "precision", "recall"}
"""Words in a name that make a value between 0 and 1 a share, shown in percent."""

DIGITS = 4

LONG = 6
"""A list of so many entries is long."""

FINEST = 1e-15
"""A tolerance below this is none: no share has so many digits."""


def number(value: float | None, digits: int = DIGITS) -> str:
    """Write ``0.3507``, ``75.1``, ``5.894e-10``; ``-`` for a missing number."""
    if value is None:
        return "-"
    text = f"{value + 0.0:.{digits}g}"  # the zero that a computer has with a sign is one
    if "e" not in text:
        return text
    size, _, exponent = text.partition("e")
    return f"{value:.0f}" if 1 <= abs(value) < 1e6 else f"{size}e{int(exponent)}"


def measured(value: float | None, digits: int = DIGITS) -> str:
    """Like :func:`number`, with the zeros that say how precisely it is given: ``0.3500``."""
    text = number(value, digits)
    if value is None or value == 0 or "e" in text or abs(value) >= 10 ** (digits - 1):
        return text
    return f"{value:#.{digits}g}"


def decades(width: float | None, at_edge: bool) -> str:
    """Write ``4.67``, or ``>= 4.67`` where the range goes up to an end of the grid; ``-`` for none."""
    return "-" if width is None else f"{'>= ' if at_edge else ''}{width:.2f}"


def signed(value: float | None, percent: int | None = None) -> str:
    """Write a violation with its sign, ``+0.25`` or ``-1.2e-5``; with ``percent`` decimals where it is a share."""
    if value is None:
        return "-"
    text = number(value, 3) if percent is None else f"{100 * value:.{percent}f}"
    if float(text) == 0:
        return text.removeprefix("-")
    return text if text.startswith("-") else f"+{text}"


def spread(values: Sequence[float | None], percent: int | None = None) -> str:
    """Mean over seeds, with the sample standard deviation where there are several: ``0.3507 ± 0.0012``.

    Missing numbers are left out; with ``percent`` decimals where the value is a share.
    """
    found = [v for v in values if v is not None]
    if not found:
        return "-"
    if percent is not None:
        texts = [f"{100 * v:.{percent}f}" for v in [mean(found), *([deviation(found)] if len(found) > 1 else [])]]
        return " ± ".join(texts)
    average = measured(mean(found))
    return f"{average} ± {number(deviation(found), 2)}" if len(found) > 1 else average


def distinct(values: Sequence[Plain]) -> list[str]:
    """Write values with as many digits, at least 4, as tell them apart."""
    different = len({str(v) for v in values})
    texts = [setting_value(v) for v in values]
    for digits in range(DIGITS, 18):
        texts = [setting_value(v, digits) for v in values]
        if len(set(texts)) == different:
            break
    return texts


def setting_value(value: Plain, digits: int = DIGITS) -> str:
    """A hyperparameter's value: a number, a word, a truth, or a list or mapping of them."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_repeats([setting_value(v, digits) for v in value])) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {setting_value(v, digits)}" for name, v in value.items()) + "}"
    return number(value, digits) if isinstance(value, int | float) else str(value)


def _repeats(texts: Sequence[str]) -> list[str]:
    """The entries of a long list, what repeats itself said once: ``0.1, 30 x48, 5``."""
    if len(texts) < LONG:
        return list(texts)
    found = [(text, len(list(alike))) for text, alike in itertools.groupby(texts)]
    return [entry for text, n in found for entry in ([f"{text} x{n}"] if n > 2 else [text] * n)]


def sort_value(value: Plain) -> float | str | tuple[Any, ...] | None:
    """What rows are sorted by a hyperparameter's value by: a number, a word, or what a list or a mapping holds."""
    if isinstance(value, list):
        return tuple(map(sort_value, value))
    if isinstance(value, dict):
        return tuple((name, sort_value(inner)) for name, inner in value.items())
    return value


def is_share(name: str, values: Iterable[float | None]) -> bool:
    """Whether a quantity is a share: its name says so (rate, density, accuracy ...) and its values allow it."""
    named = SHARES & set(re.split(r"[^a-z0-9]+", name.lower()))
    return bool(named) and all(v is None or -1e-6 <= v <= 1 + 1e-6 for v in values)


def decimals(tolerance: float) -> int:
    """Decimals of a percentage: two, or more where the tolerance is finer than that and numbers have them."""
    return max(2, math.ceil(-2 - math.log10(tolerance))) if tolerance > FINEST else 2
