"""Measures of models that are not to go on without any: where one raises, the others have their numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cpd.engine.counting import out_of_memory
from cpd.engine.loading import user_traceback
from cpd.engine.prepared import Prepared
from cpd.engine.python_state import PythonState
from cpd.engine.stacked import Models, Stacked
from cpd.engine.stacked_rows import stacked_rows
from cpd.engine.tracebacks import ItemRaised
from cpd.engine.tree import mapped, take
from cpd.errors import CpdError


def judged(
    prepared: Prepared,
    models: Models,
    python: Sequence[PythonState] | None = None,
    *,
    held_out: bool = False,
    keep: bool = False,
) -> tuple[Stacked, dict[int, str]]:
    """The models' numbers on all examples; NaN for those whose measure raises, and what it raises.

    Args:
        prepared: What they started from.
        models: Those of some runs.
        python: What each of them keeps in Python, where that is not the same.
        held_out: Whether on the examples that are not trained on.
        keep: Whether the terms of shares are kept.
    """
    try:
        return prepared.measured(models, python, held_out=held_out, keep=keep), {}
    except (CpdError, ItemRaised):
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
    alone = replace(prepared, stack=prepared.stack.alone())
    rows: list[Stacked | None] = []
    raised = {}
    for r in range(models.runs):
        try:
            rows.append(alone.measured(take(models, [r]), python and [python[r]], held_out=held_out, keep=keep))
        except CpdError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            rows.append(None)
            raised[r] = user_traceback(error)
    missing = next((row for row in rows if row), unmeasured(prepared, take(models, [0])))
    nothing = mapped(lambda leaf: torch.full_like(leaf, float("nan")), missing[:-3])
    terms = missing.terms and mapped(lambda leaf: torch.full_like(leaf, float("nan")), missing.terms)
    missing = Stacked(*nothing, None, terms)
    return stacked_rows([row or missing for row in rows]), raised


def mean_of(parts: Sequence[tuple[Tensor, Stacked]]) -> Stacked:
    """The mean of several models' numbers with their shares ``[R]``; those of one model as they are.

    What is not observed of a model that has a share is not observed; the terms of single models are not theirs.
    """
    (_, first), *others = parts
    if not others:
        return first

    def mean(values: Sequence[Tensor]) -> Tensor:
        weighted = [_shared(share, value) for (share, _), value in zip(parts, values, strict=True)]
        return torch.stack(weighted).sum(0).to(values[0].dtype)

    partial = any(at.observed is not None for _, at in parts)
    seen = torch.stack([_seen(at) | (share == 0).unsqueeze(1) for share, at in parts]).all(0)
    return first._replace(
        objective=mean([at.objective for _, at in parts]),
        surrogate=mean([at.surrogate for _, at in parts]),
        strict=mean([at.strict for _, at in parts]),
        metrics={name: mean([at.metrics[name] for _, at in parts]) for name in first.metrics},
        observed=seen if partial else None,
        terms=None,
    )


def _seen(at: Stacked) -> Tensor:
    return torch.ones_like(at.strict, dtype=torch.bool) if at.observed is None else at.observed


def _shared(share: Tensor, value: Tensor) -> Tensor:
    """A model's part of a mean; one without a share has none, whatever its numbers are."""
    own = share.view(-1, *[1] * (value.dim() - 1))
    return torch.where(own > 0, own * value.to(own.dtype), 0.0)


def unmeasured(prepared: Prepared, models: Models) -> Stacked:
    """Numbers of models that are not measured: NaN."""
    like = next(iter(models.parameters.values()))
    nothing = like.new_full((models.runs, sum(prepared.stack.sizes.values())), float("nan"))
    return Stacked(like.new_full((models.runs,), float("nan")), nothing, nothing, {}, {}, {}, {})
