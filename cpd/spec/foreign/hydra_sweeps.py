"""What a key of Hydra is swept over: ``choice(a,b)``, ``range(1,10)``, ``interval(0,1)``, ``glob(*)``, ``a,b,c``."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from cpd.spec.foreign.distributions import Fixed, Lost
from cpd.spec.foreign.draft import is_number
from cpd.spec.foreign.grids import Grid, Span, Values, too_many
from cpd.spec.yaml import FLOAT, INTEGER

Found = Grid | Fixed
Files = Callable[[Sequence[str], Sequence[str]], Sequence[str]]
"""Names of configs in a group, from patterns and patterns that are left out."""

_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\((.*)\)\s*", re.DOTALL)
_PAIRS = {"(": ")", "[": "]", "{": "}"}
_WORDS = {"true": True, "false": False, "null": None}


class How(NamedTuple):
    """How a sweeper takes its sweeps.

    Attributes:
        files: Lists what ``glob`` names.
        every: Whether each number of a range is tried.
        inclusive: Whether a range has its end.
    """

    files: Files
    every: bool = True
    inclusive: bool = False


def read_sweep(text: str, how: How) -> Found:
    """Return the values of a sweep as Hydra's override grammar has them.

    Args:
        text: After the ``=``.
        how: What the sweeper makes of it.

    Raises:
        Lost: It is not of that grammar, or names what is not there.
    """
    call = _call(text)
    if call is None:
        parts = split(text)
        values = [value_of(part) for part in parts]
        return Fixed(values[0]) if len(values) == 1 else Values(tuple(values))
    name, inner = call
    arguments = split(inner)
    if name in ("choice", "shuffle", "sort", "tag", "int", "float", "str", "bool", "json_str"):
        return _of_another(name, arguments, how)
    if name == "range":
        return _range(arguments, how)
    if name == "interval":
        return _interval(arguments)
    if name == "glob":
        return _glob(inner, how.files)
    raise Lost(f"'{name}(...)' is not of Hydra's grammar: write its values")


def split(text: str) -> list[str]:
    """Cut a text at its commas, those within quotes and brackets aside."""
    parts: list[str] = []
    closing: list[str] = []
    quote, start = "", 0
    for k, char in enumerate(text):
        if quote:
            quote = "" if char == quote and text[k - 1] != "\\" else quote
        elif char in "'\"":
            quote = char
        elif char in _PAIRS:
            closing.append(_PAIRS[char])
        elif closing and char == closing[-1]:
            closing.pop()
        elif char == "," and not closing:
            parts.append(text[start:k])
            start = k + 1
    return [part.strip() for part in [*parts, text[start:]]]


def value_of(text: str) -> Any:
    """A value of the grammar: a number, a word, a list of these; anything else as it stands."""
    text = text.strip()
    if len(text) > 1 and text[0] in "'\"" and text[-1] == text[0]:
        return text[1:-1].replace(f"\\{text[0]}", text[0])
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if INTEGER.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


def _call(text: str) -> tuple[str, str] | None:
    """A function and what stands in its brackets; None where the text is no call alone."""
    match = _CALL.fullmatch(text)
    if match is None or len(split(text)) > 1:
        return None
    return match[1], match[2]


def _of_another(name: str, arguments: list[str], how: How) -> Found:
    """A list of values, or what is made of another sweep."""
    if not arguments or not arguments[0]:
        raise Lost(f"'{name}()' is empty")
    plain = [one for one in arguments if not re.match(r"\s*(reverse|list|sweep|tags|value)\s*=", one)]
    named = dict(one.split("=", 1) for one in arguments if one not in plain)
    if name == "tag":
        tags = [one.lower() for one in plain[:-1]] + split(named.get("tags", "").strip("[] "))
        found = read_sweep(named.get("sweep", plain[-1] if plain else ""), how)
        return found._replace(log=True) if "log" in tags and isinstance(found, Span) and found.low > 0 else found
    inner = ",".join(plain) or named.get("list") or named.get("sweep") or named.get("value") or ""
    if name == "choice":
        listed = inner[1:-1] if inner.startswith("[") and inner.endswith("]") and "list" in named else inner
        values = tuple(value_of(one) for one in split(listed))
        return Values(values) if len(values) > 1 else Fixed(values[0])
    found = read_sweep(inner, how)
    if name == "shuffle":  # each is tried, in whatever order
        return found
    if name == "sort":
        return _sorted(found, named.get("reverse", "").strip().lower() == "true")
    return _cast(found, name)


def _sorted(found: Found, reverse: bool) -> Found:
    if not isinstance(found, Values):
        return found
    try:
        return Values(tuple(sorted(found.values, reverse=reverse)))
    except TypeError:
        return found


def _cast(found: Found, name: str) -> Found:
    if isinstance(found, Span):
        if name == "int" and math.ceil(found.low) > math.floor(found.high):
            raise Lost("no whole number lies between its ends")
        if name == "int":
            return Span(math.ceil(found.low), math.floor(found.high), found.log, found.step, True, found.every)
        return found._replace(whole=False) if name == "float" and found.step is None else found
    casts: dict[str, Callable[[Any], Any]] = {
        "int": int,
        "float": float,
        "str": _words,
        "json_str": _words,
        "bool": _truth,
    }
    try:
        if isinstance(found, Fixed):
            return Fixed(casts[name](found.value))
        return Values(tuple(casts[name](value) for value in found.values))
    except (TypeError, ValueError):
        raise Lost(f"its values are not to be cast by {name}()") from None


def _words(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _truth(value: Any) -> bool:
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return bool(value)


def _numbers(name: str, arguments: list[str], keys: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for k, one in enumerate(arguments):
        key, equals, text = one.partition("=")
        key, value = (key.strip(), value_of(text)) if equals else (keys[min(k, len(keys) - 1)], value_of(one))
        if not is_number(value) or key not in keys:
            raise Lost(f"'{name}({', '.join(arguments)})' has '{one}', which is no number")
        found[key] = value
    return found


def _range(arguments: list[str], how: How) -> Found:
    """From the first number to the last, which Hydra's own sweeper leaves out and Optuna's does not."""
    given = _numbers("range", arguments, ("start", "stop", "step"))
    if set(given) == {"start"}:
        given = {"start": 0, "stop": given["start"]}
    start, stop, step = given.get("start", 0), given.get("stop", 0), given.get("step", 1)
    if step == 0 or (stop - start) / step <= 0:
        raise Lost(f"'range({', '.join(arguments)})' is empty")
    whole = all(isinstance(one, int) for one in (start, stop, step))
    many = math.floor((stop - start) / step + 1e-9) + 1 if how.inclusive else math.ceil((stop - start) / step - 1e-9)
    first, last = start, start + step * (many - 1)
    low, high = min(first, last), max(first, last)
    if many == 1:
        return Fixed(int(low) if whole else low)
    span = Span(low, high, False, abs(step), whole, how.every)
    if too_many(span):
        raise Lost(f"'range({', '.join(arguments)})' has {span.many:,} values: write fewer")
    return span


def _interval(arguments: list[str]) -> Found:
    given = _numbers("interval", arguments, ("start", "end"))
    if set(given) != {"start", "end"} or given["start"] >= given["end"]:
        raise Lost(f"'interval({', '.join(arguments)})' has nothing between its ends")
    return Span(float(given["start"]), float(given["end"]))


def _glob(inner: str, files: Files) -> Found:
    kept: list[str] = []
    left: list[str] = []
    for one in split(inner):
        key, equals, listed = one.partition("=")
        own = listed if equals else one
        names = [str(value_of(part)) for part in split(own.strip().removeprefix("[").removesuffix("]"))]
        (left if equals and key.strip() == "exclude" else kept).extend(names)
    names = list(files(kept, left))
    if not names:
        raise Lost(f"'glob({inner})' names configs, of which none is there: write choice(...) with their names")
    return Values(tuple(names)) if len(names) > 1 else Fixed(names[0])
