"""Values that are no shares, measured again on resamples of the held-out examples."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cpd.engine.judging import judged
from cpd.engine.minibatches import Minibatches
from cpd.engine.paired import Both
from cpd.engine.prepared import Prepared
from cpd.engine.python_state import PythonState
from cpd.engine.resampling import SEED
from cpd.engine.stacked import Models
from cpd.engine.tree import leaves, mapped
from cpd.outcome import Evidence, Series

MOST = 1000
"""Most resamples."""
LEAST = 100
"""A value is not measured on fewer, which would say too little."""
SHARE = 0.1
"""Of the examples that the training evaluated, how many may be evaluated for it."""
OTHERS = ((math.nan, 0.0), (-1.0, 0.0), (1e3, 1.0))
"""How the numbers of the examples are changed, each times and plus these, to see whether values depend on them."""


def resamples_within(trained: int, examples: int) -> int:
    """On how many resamples of so many examples values are measured, after a training that evaluated ``trained``.

    A tenth of the training's evaluations of examples, at most 1,000; below 100, none.
    """
    count = min(MOST, int(SHARE * trained / examples)) if examples else 0
    return count if count >= LEAST else 0


def remeasured(
    prepared: Prepared,
    models: Models,
    python: Sequence[PythonState] | None,
    steps: int,
    columns: dict[str, int | slice],
) -> list[dict[str, Evidence]]:
    """Evidence of constraints that are made of no shares, of each run by name.

    Of a value that does not depend on the examples it is that value itself.

    Args:
        prepared: Has the held-out examples, in memory.
        models: The finished ones.
        python: What each of them keeps in Python, where that is not the same.
        steps: Of the training.
        columns: Where the constraints stand among the components.
    """
    found: list[dict[str, Evidence]] = [{} for _ in range(models.runs)]
    held = prepared.held_out
    if not columns or held is None or held.streamed:
        return found
    examples = prepared.examples(held_out=True) or 0

    def on(data: Any) -> np.ndarray[Any, Any]:
        at, _ = judged(replace(prepared, held_out=Minibatches(data, None, 0)), models, python, held_out=True)
        return at.recorded.detach().cpu().double().numpy()

    values = on(held.data)
    same = np.isfinite(values) & np.logical_and.reduce([on(other) == values for other in _others(held.data)])
    count = resamples_within(trained_examples(prepared, steps), examples)
    if not count and not same.any():
        return found
    drawn = [on(resampled(held.data, k)) for k in range(count)]
    varied = np.stack(drawn) if drawn else np.full((LEAST, *values.shape), np.nan)
    # What is the same on each resample though it depends on the examples may yet be another on fresh ones.
    still = np.nan_to_num(np.abs(varied - values)).max(0) == 0
    varied = np.where(same, values, np.where(still, np.nan, varied))
    for r, name in ((r, name) for r in range(models.runs) for name in columns):
        own = varied[:, r, columns[name]]
        if np.isfinite(own).any():
            is_sure = bool(np.all(same[r, columns[name]]))
            found[r][name] = Evidence(resampled=Series(own.astype(np.float32)), size=None if is_sure else examples)
    return found


def trained_examples(prepared: Prepared, steps: int) -> int:
    """How many examples a run of so many steps evaluates."""
    batches = prepared.batches
    return steps * (batches.usual_size or prepared.examples() or 0)


def resampled(data: Any, number: int) -> Any:
    """The examples drawn with replacement; each stream by itself."""
    if isinstance(data, Both):
        return Both(resampled(data.batch, 2 * number), resampled(data.constraint_batch, 2 * number + 1))
    tensors = leaves(data)
    drawn = np.random.default_rng([SEED, len(tensors[0]), number]).integers(0, len(tensors[0]), len(tensors[0]))
    index = torch.from_numpy(drawn).to(tensors[0].device)
    return mapped(lambda t: t.index_select(0, index), data)


def _others(data: Any) -> Iterator[Any]:
    """The same trees with other numbers, which no value that depends on them is the same for."""
    if isinstance(data, Both):
        for batch, second in zip(_others(data.batch), _others(data.constraint_batch), strict=True):
            yield Both(batch, second)
        return
    for number, (times, more) in enumerate(OTHERS):
        yield mapped(functools.partial(_other, torch.Generator().manual_seed(number), times, more), data)


def _other(generator: torch.Generator, times: float, more: float, t: Tensor) -> Tensor:
    """Floating-point numbers changed; whole ones drawn anew between the smallest and the largest."""
    if t.is_floating_point() or t.is_complex():
        return t * times + more
    whole = t.to("cpu", torch.int64)
    if not whole.numel():
        return t
    low, high = int(whole.min()), int(whole.max())
    return torch.randint(low, high + 1, whole.shape, generator=generator).to(t)
