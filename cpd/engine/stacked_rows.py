"""Evaluations of one run each, put together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from cpd.engine.bound import Tensors
from cpd.engine.stacked import Stacked


def stacked_rows(rows: Sequence[Stacked]) -> Stacked:
    """Evaluations of one run each, as one of them all."""
    return Stacked(
        objective=torch.cat([row.objective for row in rows]),
        surrogate=torch.cat([row.surrogate for row in rows]),
        strict=torch.cat([row.strict for row in rows]),
        metrics={n: torch.cat([row.metrics[n] for row in rows]) for n in rows[0].metrics},
        buffers={n: torch.cat([row.buffers[n] for row in rows]) for n in rows[0].buffers},
        reached={},
        parameters={},
        observed=_stacked_observed(rows),
        terms=_stacked_terms(rows),
    )


def _stacked_terms(rows: Sequence[Stacked]) -> Tensors | None:
    terms = [row.terms for row in rows if row.terms is not None]
    if len(terms) != len(rows):
        return None
    return {n: torch.cat([own[n] for own in terms]) for n in terms[0]}


def _stacked_observed(rows: Sequence[Stacked]) -> Tensor | None:
    if all(row.observed is None for row in rows):
        return None
    all_of_it = (torch.ones_like(r.strict, dtype=torch.bool) if r.observed is None else r.observed for r in rows)
    return torch.cat(list(all_of_it))
