"""How many examples decide each constraint, and how sure a verdict on them can be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from itertools import islice
from statistics import NormalDist
from typing import Any, NamedTuple

from cpd.engine.batch import Batch
from cpd.engine.prepared import Prepared
from cpd.engine.tree import take
from cpd.problem import Observed, Share
from cpd.shares import Combined

CONFIDENCE = 0.95
MOST_READ = 64
"""Minibatches of examples that are read while they are trained on, of which examples are counted."""


class Group(NamedTuple):
    """The examples that a constraint's value is of.

    Attributes:
        sizes: How many count for each component, weights as such; of a plain value that of all.
        share: Whether the value is a share of them.
        value: As measured at the start; NaN of one that is not of all examples, or is calculated from shares.
    """

    sizes: list[float]
    share: bool
    value: float


def groups(prepared: Prepared, held_out: bool) -> tuple[Mapping[str, Group], bool]:
    """The group of each constraint, counted by one measure of the first run's model; and whether all was read."""
    batches = prepared.held_out if held_out else prepared.batches
    assert batches is not None, "there are such examples"
    alone, models = prepared.stack.alone(), take(prepared.models, [0])
    found: dict[str, Group] = {}
    parts: Any = batches.judged(None)
    with prepared.untouched(), closing(parts):
        prepared.surroundings.restore()
        for examples, batch in islice(parts, MOST_READ):
            at = alone.returned(models, batches.copy_of(batch))
            count = examples if batches.streamed else prepared.examples(held_out) or 0
            for name in alone.names:
                group = _group((at.strict or {}).get(name, at.constraints[name]), count)
                found[name] = _together(found[name], group) if name in found else group
        whole = next(parts, None) is None
    return found, whole


def _group(value: Any, count: int) -> Group:
    if isinstance(value, Share):
        return Group(value.denominator.reshape(-1).tolist(), True, float(value.value.double().mean()))
    if isinstance(value, Combined):
        shares = {id(leaf): leaf for leaf in value.leaves if isinstance(leaf, Share)}
        sizes = [size for leaf in shares.values() for size in leaf.denominator.reshape(-1).tolist()]
        return Group(sizes or [float(count)], False, math.nan)
    return Group([float(count)], False, math.nan if isinstance(value, Observed) else float(value.double().mean()))


def _together(one: Group, other: Group) -> Group:
    return other._replace(sizes=[a + b for a, b in zip(one.sizes, other.sizes, strict=True)])


def described(prepared: Prepared, batch: Batch, held_out: bool) -> tuple[bool, str]:
    """Whether every group has examples, and how wide an interval each allows: ``70 % +- 4.7 points on 359 examples``.

    Args:
        prepared: The first run.
        batch: Its levels are the shares.
        held_out: Whether held-out examples decide.
    """
    said, empty = [], []
    found, whole = groups(prepared, held_out)
    for name, group in found.items():
        smallest = min(group.sizes)
        if not smallest:
            place = f"[{group.sizes.index(0)}]" if len(group.sizes) > 1 else ""
            empty.append(f"no {'held-out' if held_out else 'training'} example counts for {name}{place}")
            continue
        of = f", the smallest of {len(group.sizes):,} groups" if len(group.sizes) > 1 else ""
        width = _width(group, batch.keys[0].levels[name])
        plain = " (if it is a share of them)" if width and not group.share else ""
        said.append(f"{name} {width}on {'' if whole else 'at least '}{_count(smallest)}{of}{plain}")
    data = "held-out examples" if held_out else "training data"
    return not empty, "; ".join([*empty, f"by {data}: {'; '.join(said)}"] if said else empty)


def half_width(share: float, count: float, confidence: float = CONFIDENCE) -> float:
    r"""Half the width of an interval of a share of so many examples.

    .. math:: \frac{z}{1 + z^2 / n} \sqrt{\frac{p (1 - p)}{n} + \frac{z^2}{4 n^2}}

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference" (1927).
    """
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    return z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))


def _width(group: Group, level: float) -> str:
    """``70 % +- 4.7 points``, where the level is a share; empty where it is none."""
    if not 0 <= level <= 1 or not (group.share or 0 <= group.value <= 1):
        return ""
    points = 100 * half_width(level, min(group.sizes))
    return f"{100 * level:g} % +- {points:.2g} points "


def _count(size: float) -> str:
    if size != int(size):
        return f"a weight of {size:.4g}"
    return f"{int(size):,} example{'' if size == 1 else 's'}"
