"""The values of a parameter of Weights & Biases: what it draws them from, as a grid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import Any, NamedTuple

from cpd.spec.foreign.draft import is_number
from cpd.spec.foreign.grids import Grid, Span, Values, too_many

QUANTILES = 5
"""Of a distribution without ends."""


class Lost(Exception):  # no error: what cannot be carried over, and why
    """A parameter that has no counterpart."""


class Fixed(NamedTuple):
    """One value."""

    value: Any


def read_distribution(spec: Mapping[str, Any], every: bool = False) -> tuple[Grid | Fixed, list[str]]:
    """Return the values of a parameter, and what to say of them.

    Args:
        spec: Of the parameter.
        every: Whether each of a range of integers is tried: of a grid.

    Raises:
        Lost: It says nothing that could be tried.
    """
    kind = _kind(spec)
    if kind == "constant":
        return Fixed(spec.get("value")), []
    if kind in ("categorical", "categorical_w_probabilities"):
        return _categorical(spec)
    quantised, base = kind.startswith("q_"), kind.removeprefix("q_")
    if base in ("normal", "log_normal"):
        return _normal(spec, base == "log_normal", quantised)
    ends = {
        "uniform": (False, False, ""),
        "int_uniform": (False, False, ""),
        "log_uniform": (True, True, ""),
        "log_uniform_values": (True, False, ""),
        "inv_log_uniform": (True, True, "-"),
        "inv_log_uniform_values": (True, False, "-"),
    }
    if base not in ends:
        raise Lost(f"the distribution {kind} has no counterpart: write its values")
    log, exponents, inverse = ends[base]
    low, high = _number(spec, "min"), _number(spec, "max")
    if exponents:
        low, high = (math.exp(min(700.0, -end if inverse else end)) for end in (low, high))
    notes = ["its inverse is what is drawn there: a log scale here"] if inverse else []
    return _span(min(low, high), max(low, high), log, spec, base == "int_uniform", quantised, every), notes


def _kind(spec: Mapping[str, Any]) -> str:
    if isinstance(spec.get("distribution"), str):
        return str(spec["distribution"])
    if "values" in spec:
        return "categorical"
    if "value" in spec:
        return "constant"
    if "min" in spec and "max" in spec:
        whole = all(isinstance(spec[end], int) for end in ("min", "max"))
        return ("q_uniform" if "q" in spec else "int_uniform") if whole else "q_uniform" if "q" in spec else "uniform"
    if "mu" in spec or "sigma" in spec:
        return "normal"
    raise Lost("it has neither value, values, nor min and max")


def _categorical(spec: Mapping[str, Any]) -> tuple[Grid | Fixed, list[str]]:
    values = spec.get("values")
    if not isinstance(values, list) or not values:
        raise Lost("it has no values")
    distinct = [v for k, v in enumerate(values) if not any(v == w and type(v) is type(w) for w in values[:k])]
    weighed = spec.get("probabilities") is not None
    notes = ["its probabilities are left out: each value is tried"] if weighed else []
    return (Fixed(distinct[0]) if len(distinct) == 1 else Values(tuple(distinct))), notes


def _number(spec: Mapping[str, Any], key: str, default: float | None = None) -> float:
    value = spec.get(key, default)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise Lost(f"its {key} is '{value}', no number") from None
    if not is_number(value) or not math.isfinite(value):
        raise Lost(f"its {key} is no number")
    return float(value)


def _span(
    low: float, high: float, log: bool, spec: Mapping[str, Any], whole: bool, quantised: bool, every: bool
) -> Grid | Fixed:
    step = _number(spec, "q", 1.0) if quantised else None
    if step is not None and step <= 0:
        raise Lost("its q is not above 0")
    if step is not None:
        low, high = math.ceil(low / step - 1e-9) * step, math.floor(high / step + 1e-9) * step
        whole = low.is_integer() and step.is_integer()
    if whole:
        low, high = math.ceil(low), math.floor(high)
    if low > high:
        raise Lost("nothing lies between its ends")
    if low == high:
        return Fixed(int(low) if whole else low)
    if log and low <= 0:
        raise Lost("a log scale has no number from 0 down")
    span = Span(low, high, log, step, whole, every)
    if too_many(span):
        raise Lost(f"it has {span.many:,} values: write fewer")
    return span


def _normal(spec: Mapping[str, Any], log: bool, quantised: bool) -> tuple[Grid | Fixed, list[str]]:
    """Quantiles of a distribution that has no ends, each as likely as the others."""
    mu, sigma = _number(spec, "mu", 0.0), _number(spec, "sigma", 1.0)
    if sigma <= 0:
        return Fixed(math.exp(mu) if log else mu), []
    normal = NormalDist(mu, sigma)
    values = [normal.inv_cdf((k + 0.5) / QUANTILES) for k in range(QUANTILES)]
    values = [math.exp(min(700.0, v)) for v in values] if log else values
    if quantised:
        step = _number(spec, "q", 1.0) or 1.0
        values = [round(v / step) * step for v in values]
    rounded = dict.fromkeys(float(f"{v:.6g}") for v in values)
    name = "log-normal" if log else "normal"
    return Values(tuple(rounded)), [
        f"{name} there, with mu {mu:g} and sigma {sigma:g}: {QUANTILES} of its quantiles here"
    ]
